"""The warm-up is a run like any other, and leaves a marker only when it has come to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import warm
from pipelines.compute import run
from pipelines.warm_town import town_tables


def test_the_town_runs_through_every_step(tmp_path: Path) -> None:
    made = run(town_tables(tmp_path), cache=tmp_path / "cache", out=tmp_path / "out")
    assert made.cells["walk_score"].max() > 90
    assert len(made.sites("trees")) == 3


def test_a_second_process_is_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []

    class Process:
        def __init__(self, command: object, **_: object) -> None:
            started.append(command)

        def terminate(self) -> None:
            started.append("ended")

        def wait(self) -> None:
            return

    monkeypatch.setattr(warm.subprocess, "Popen", Process)
    monkeypatch.setattr(warm.os, "cpu_count", lambda: 2)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PROCHE_WARM", "on")
    with warm.warming():
        assert len(started) == 1
    assert started[1:] == ["ended"]
    warm.marker().touch()
    with warm.warming():
        assert len(started) == 2
