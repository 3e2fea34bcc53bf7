"""What a first visitor waits for: the start page loads little, and the server the rest before it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.app.conftest import ROOT

HEAVY = ("sklearn", "scipy.stats", "numba", "osmnx", "osmium", "rasterio", "igraph")


def loaded(code: str) -> set[str]:
    """Modules that a fresh process has after some lines of code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return set(json.loads(told.stdout.splitlines()[-1]))


def test_pages_that_only_show_load_nothing_that_computes() -> None:
    pages = ("explore", "gaps", "sites", "programme", "about")
    modules = loaded("\n".join(["import ui.shell", *(f"import ui.views.{page}" for page in pages)]))
    assert modules.isdisjoint(HEAVY)


def test_the_server_warms_up_every_page_and_the_first_run(demo_run: Path) -> None:
    code = f"""
from ui.serve import warm
from ui.cache import open_run
warm([{str(demo_run)!r}])
run = open_run({demo_run.resolve().name!r}, __import__("pathlib").Path({str(demo_run.resolve())!r}))
assert {{"base_streets", "frame", "weight"}} <= vars(run).keys(), "another run than the pages open"
"""
    assert {"ui.views.proposals", "ui.views.about", "pipelines.explain", "pipelines.isochrone"} <= loaded(
        code
    )


def test_a_run_that_is_damaged_does_not_stop_the_warming(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    assert "ui.views.about" in loaded(f"from ui.serve import warm\nwarm([{str(tmp_path / 'broken')!r}])")
