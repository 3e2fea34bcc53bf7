"""The dossier on paper: what a jury prints is whole, in the longer of the two languages."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import Page

from pipelines.cli import cli
from tests.e2e.conftest import ARTIFACTS, PATIENCE_S, ROOT, Server
from tests.e2e.driver import at_rest, open_map

_PAPER_PX = 703  # 186 mm between the margins of A4, at 96 px an inch


def test_no_table_is_wider_than_the_paper(page: Page, demo_run: Path, tmp_path: Path) -> None:
    examples = sorted((ROOT / "configs" / "proposals").glob("helsinki-*.geojson"))
    call = ["compare", demo_run, *examples, "-o", tmp_path / "rivals", "--lang", "fr", "--draws", 40]
    done = CliRunner().invoke(cli, [str(a) for a in call])
    assert done.exit_code == 0, done.output
    page.set_viewport_size({"width": _PAPER_PX, "height": 1000})
    page.emulate_media(media="print")
    page.goto((tmp_path / "rivals" / "dossier.html").as_uri())
    widths = page.evaluate("[...document.querySelectorAll('table')].map(t => t.scrollWidth)")
    assert len(widths) > 5
    assert max(widths) <= _PAPER_PX
    ARTIFACTS.mkdir(exist_ok=True)
    printed = page.pdf(path=ARTIFACTS / "dossier.pdf", format="A4", print_background=True)
    assert printed.startswith(b"%PDF")


def test_a_proposal_from_a_file_leaves_the_app_as_a_dossier(page: Page, server: Server) -> None:
    open_map(page, server, "proposals?lang=fr")
    school = ROOT / "configs" / "proposals" / "helsinki-school.geojson"
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(school)
    make = page.locator(".st-key-dossier_make button")
    make.wait_for()
    at_rest(page)
    make.click()
    saved = page.locator(".st-key-dossier_html button")
    saved.wait_for(timeout=2_000 * PATIENCE_S)
    with page.expect_download() as waiting:
        saved.click()
    assert waiting.value.suggested_filename.endswith("dossier.html")
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert '<html lang="fr"' in text
    assert "A · A school and a sorting point" in text
    assert "Primary school" in text
    assert "http://" not in text.replace("http://www.w3.org", ""), "it asks nobody for anything"
