"""A real run of the demonstration, computed once a session by the product's own command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ui.runs import Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of ``proche demo``; PROCHE_TEST_RUN names one that was computed before."""
    return make_demo_run(tmp_path_factory)


def make_demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ready = os.environ.get("PROCHE_TEST_RUN")
    if ready:
        return Path(ready)
    out = tmp_path_factory.mktemp("runs") / "helsinki-centre"
    command = [sys.executable, "-m", "pipelines", "demo", "--no-app", "--quiet", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def run(demo_run: Path) -> Run:
    return Run.open(demo_run.name, demo_run)


@pytest.fixture
def app(demo_run: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("PROCHE_RUNS", str(demo_run))
    monkeypatch.setattr("sys.argv", ["app.py"])
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=800)
