"""The dossier on paper: what a jury prints is whole, in the longer of the two languages."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import Page

from pipelines.cli import cli
from tests.e2e.conftest import ARTIFACTS, ROOT

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
