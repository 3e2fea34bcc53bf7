"""The city report: one file, escaped, with the run's own figures, on two printed pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.city_report import city_report
from pipelines.cli import cli
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
    row = re.search(r"On foot: Sorting points</th>(.*?)</tr>", page.read_text("utf-8"))
    assert row is not None
    assert f"{100 * share:.0f} %" in row[1]


def test_the_map_draws_every_cell_once(demo_run: RunDirectory, page: Path) -> None:
    first = page.read_text("utf-8").split("<svg")[1].split("</svg>")[0]
    outlines = re.findall(r'<path d="(M[^"]*Z)" fill="#(?!fff)', first)
    assert sum(path.count("M") for path in outlines) == len(demo_run.cells)


def test_text_from_outside_is_escaped(demo_run: RunDirectory) -> None:
    hostile = RunDirectory.open(demo_run.path)
    hostile.manifest["config"]["area"]["name"] = '<script>alert("x")</script>'
    hostile.manifest["attribution"][:] = ["<img onerror=1>"]
    text = city_report(hostile)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


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
