"""
kill -9 in the middle of a run: the next run completes, and its outputs are those of a run that nobody disturbed.

Half of the kills come at a random moment, half just before a chosen change of the disk (a file opened for writing,
a rename, a deletion), so that every gap between two of them is met sooner or later. ``PROCHE_KILLS=200`` kills that
often (default 8); the count is printed at the end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from pipelines.compute import run
from pipelines.rundir import MANIFEST, RunDirectory, check
from pipelines.warm_town import town_tables
from tests.tried import note

KILLS = int(os.environ.get("PROCHE_KILLS", "8"))
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["pipelines.compute", "tests.faults.test_killed_runs"])
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "os.truncate")

pytestmark = [
    pytest.mark.timeout(120 + 60 * KILLS),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9"),
]


def _die_at(change: int, folder: str, told: Any) -> None:
    """End this process, as the system would, just before its n-th change of a folder; count the changes."""
    count = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = args
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in CHANGES:
            return
        else:
            path = args[0]
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder):
            count += 1
            told.value = count
            if count == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _run(tables: dict[str, Any], folder: str, change: int, told: Any) -> None:
    os.environ["PROCHE_WARM"] = "off"
    _die_at(change, folder, told)
    run(tables, cache=Path(folder) / "cache", out=Path(folder) / "out")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return town_tables(tmp_path_factory.mktemp("town"))


def started(tables: dict[str, Any], folder: Path, change: int) -> tuple[Any, Any]:
    told = FORKS.Value("i", 0)
    process = FORKS.Process(target=_run, args=(tables, str(folder), change, told))
    process.start()
    return process, told


@dataclass(frozen=True)
class Clean:
    """A run that nobody disturbed, and one of another configuration made before it."""

    tables: dict[str, Any]
    folder: Path
    before: Path
    changes: int
    """How often it changes the disk."""

    @classmethod
    def of(cls, tables: dict[str, Any], folder: Path) -> Clean:
        process, told = started(tables, folder, 0)
        process.join()
        assert process.exitcode == 0
        before = run({**tables, "scoring": {"cutoff_min": 7}}, cache=folder / "cache", out=folder / "before")
        return cls(tables, folder, before.path, told.value)


def test_a_killed_run_is_completed_by_the_next(tables: dict[str, Any], tmp_path: Path) -> None:
    """Two of eight kills meet a whole run; the others one of a single mode, which changes the disk in the same ways."""
    walk = {k: v for k, v in tables.items() if k != "sites"}
    walk["network"] = {"bike": {"enabled": False}, "street30": {"enabled": False}}
    whole, small = Clean.of(tables, tmp_path / "whole"), Clean.of(walk, tmp_path / "small")
    assert whole.changes > small.changes > 50, "the runs are watched"
    draw = random.Random(int(os.environ.get("PROCHE_KILLS_SEED", "9")))
    reached = [
        killed(n, whole if n % 8 in (0, 5) else small, tmp_path / f"kill{n}", draw) for n in range(KILLS)
    ]
    assert len(set(reached)) > KILLS // 3, "the kills come at different moments"


def killed(n: int, clean: Clean, folder: Path, draw: random.Random) -> int:
    """Kill a run in an own folder, complete it, compare; the change of the disk at which it ended."""
    if n % 3 == 0:  # an older run of another configuration lies there
        shutil.copytree(clean.before, folder / "out")
    known = n % 4 == 1
    if known:  # most steps are, so that the kill meets the export
        shutil.copytree(clean.folder / "cache" / "artifacts", folder / "cache" / "artifacts")
    by_change = n % 2 == 0
    process, told = started(clean.tables, folder, draw.randint(1, clean.changes) if by_change else 0)
    if not by_change:
        moment = draw.randint(0, clean.changes // 8 if known else clean.changes)
        while process.is_alive() and told.value < moment:
            process.join(0.002)
        process.join(draw.random() * 0.05)
        process.kill()
    process.join()
    at = f"after a kill at change {told.value} of {clean.changes}"
    note("runs killed with SIGKILL", process.exitcode == -signal.SIGKILL)
    whole_or_none(folder / "out")
    finished = run(clean.tables, cache=folder / "cache", out=folder / "out")
    assert finished.manifest["outputs"] == RunDirectory.open(clean.folder / "out").manifest["outputs"], at
    assert set(check(finished.path)["state"]) == {"ok"}, at
    assert leftovers(folder) == [], at
    shutil.rmtree(folder)
    return int(told.value)


def whole_or_none(out: Path) -> None:
    """A run directory that has a manifest is whole, the old one or the new one."""
    if (out / MANIFEST).exists():
        assert set(check(out)["state"]) == {"ok"}


def leftovers(folder: Path) -> list[str]:
    """What a killed run would leave: parts of artifacts and outputs, leases."""
    found = [*folder.glob("cache/artifacts/*/.*"), *folder.glob("out/.new-*"), *folder.glob("cache/leases/*")]
    return [str(p) for p in found if p.name != ".lock"]
