"""The city report: one file, escaped, with the run's own figures, on two printed pages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from shapely import Point

from pipelines.city_backdrop import backdrop_of, drawn
from pipelines.city_drawing import SCORES, map_svg
from pipelines.city_report import city_report
from pipelines.city_words import TEXTS
from pipelines.cli import cli
from pipelines.errors import ConfigError
from pipelines.report import headline
from pipelines.rundir import RunDirectory


@pytest.fixture(scope="module")
def page(demo_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "helsinki.html"
    done = CliRunner().invoke(cli, ["report", str(demo_run.path), "-o", str(file)])
    assert done.exit_code == 0, done.output
    return file


def test_the_report_stands_alone(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"<script|src=|@import|url\(|<link", text)
    assert text.count("<svg") == text.count("</svg>") == 3
    assert "OpenStreetMap contributors" in text
    assert len(re.findall(r'<svg[^>]* aria-label="[^"]+"', text)) == 3


def test_figures_are_the_summary_s(demo_run: RunDirectory, page: Path) -> None:
    share = demo_run.summary["modes"]["walk"]["categories"]["sorting"]["share"]
    row = re.search(r"Sorting points</th>(.*?)</tr>", page.read_text("utf-8"))
    assert row is not None
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row[1])[1] == f"{100 * share:.0f}\u00a0%"


def test_the_map_draws_every_cell_once(demo_run: RunDirectory, page: Path) -> None:
    first = page.read_text("utf-8").split("<svg")[1].split("</svg>")[0]
    outlines = re.findall(r'<path d="(M[^"]*Z)" fill="#(?!fff|b8d4e8)', first)
    assert sum(path.count("M") for path in outlines) == len(demo_run.cells)


def test_text_from_outside_is_escaped(demo_run: RunDirectory) -> None:
    hostile = RunDirectory.open(demo_run.path)
    hostile.manifest["config"]["area"]["name"] = '<script>alert("x")</script>'
    hostile.manifest["attribution"][:] = ["<img onerror=1>"]
    text = city_report(hostile)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


def test_findings_are_sentences_with_the_summary_s_figures(demo_run: RunDirectory, page: Path) -> None:
    walk = demo_run.summary["modes"]["walk"]
    far = min(demo_run.categories, key=lambda c: walk["categories"][c]["share"])
    text = page.read_text("utf-8").split("In short")[1].split("</ul>")[0]
    assert f"the mean is {walk['categories'][far]['mean_minutes']:.1f} min" in text
    spread = next(r for r in demo_run.summary["resolution_panel"] if r["figure"] == "score_mean")["spread"]
    assert f"the mean score moves by {spread:.1f} points" in text


def test_the_map_shows_water_roads_and_names(demo_run: RunDirectory) -> None:
    backdrop = backdrop_of(demo_run)
    assert len(backdrop.roads) > 20
    named = backdrop._replace(names=[("Kluuvi", Point(24.944, 60.172)), ("Far away", Point(25.5, 60.172))])
    cells = demo_run.cells
    picture = map_svg(cells, cells["walk_score"], SCORES, title="", backdrop=partial(drawn, named))
    assert ">Kluuvi</text>" in picture
    assert "Far away" not in picture
    assert 'stroke="#fff"' in picture


def test_the_french_report_is_french_to_the_last_label(demo_run: RunDirectory, page: Path) -> None:
    french = city_report(demo_run, language="fr")
    assert '<html lang="fr">' in french
    assert "À pied" in french
    assert "Points de tri" in french
    bare = re.sub(r"<[^>]*>|\s+", " ", french.split("<body>")[1])
    for word in ("within", "cells", "share", "minutes over", "On foot", "Score of", "residents", " and "):
        assert word not in bare, word
    with pytest.raises(ConfigError, match="no language 'de'; the report speaks en, fr"):
        city_report(demo_run, language="de")  # type: ignore[arg-type]


def test_every_text_has_the_same_blanks_in_both_languages() -> None:
    for key, pair in TEXTS.items():
        english, french = (set(re.findall(r"{(\w+)}", text)) for text in pair)
        assert english == french, key


@pytest.mark.slow
def test_it_prints_on_two_pages(page: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    pdf = tmp_path / "report.pdf"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-pdf-header-footer",
    ]
    command = [
        chromium,
        *flags,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={pdf}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert len(re.findall(rb"/Type /Page\b", pdf.read_bytes())) == 2


def test_a_category_of_which_the_data_hold_no_place_is_unknown_and_not_the_farthest(
    demo_run: RunDirectory, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(demo_run.path, tmp_path / "bare"))
    manifest = json.loads((bare / "manifest.json").read_text("utf-8"))
    manifest["reports"]["opportunities"]["places"]["sorting"] = 0
    (bare / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    run = RunDirectory.open(bare)

    assert run.absent == ["sorting"]
    text = city_report(run)
    assert "What is farthest: sorting points" in city_report(demo_run)
    assert "What is farthest: sorting points" not in text
    assert "The data hold no place of this kind: Sorting points." in text
    row = re.search(r"<th[^>]*>Sorting points</th>(.*?)</tr>", text.split("Within reach")[1], re.DOTALL)
    assert row is not None
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row[1])[:-1] == ["–"] * 3 * len(run.modes)
    assert "sorting unknown;" in headline(run)
    assert "\n  ! no sorting in the data: unknown, not 0 %; nobody can have all of them" in headline(run)


def test_data_without_a_date_are_dated_by_their_newest_edit(demo_run: RunDirectory, tmp_path: Path) -> None:
    osm = demo_run.manifest["osm"]
    assert osm["newest_edit"][:4] == osm["timestamp"][:4]
    bare = Path(shutil.copytree(demo_run.path, tmp_path / "bare"))
    manifest = json.loads((bare / "manifest.json").read_text("utf-8"))
    manifest["osm"] |= {"timestamp": None, "newest_edit": "2015-08-23"}
    (bare / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert "map data: 2015-08-23 (their newest edit)." in city_report(RunDirectory.open(bare))
    manifest["osm"] |= {"newest_edit": None}
    (bare / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert "map data: unknown date." in city_report(RunDirectory.open(bare))
