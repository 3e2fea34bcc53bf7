"""The map as people use it: a server on loopback and a real Chromium with software WebGL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.app.conftest import make_demo_run
from ui.launch import streamlit_command

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "test-artifacts"
PATIENCE_S = 90.0
"""How long a test waits for what must come: a machine under load may be twenty times slower than one at rest."""
expect.set_options(timeout=1000 * PATIENCE_S)
_FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
]


@dataclass
class Server:
    """A running map and the runs that it shows."""

    url: str
    runs: list[Path]
    process: subprocess.Popen[bytes]


@dataclass
class Watched:
    """What a page did that it should not have done."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def chromium() -> str:
    """The browser; the tests skip where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(runs: list[Path], log: Path, *, port: int | None = None, **environment: str) -> Server:
    """A map of its own; `environment` is added to that of the command."""
    port = port or free_port()
    command, usual = streamlit_command(runs, port=port, headless=True)
    return started(command, usual | environment, runs, port=port, cwd=ROOT, log=log)


def started(
    command: list[str], environment: dict[str, str], runs: list[Path], *, port: int, cwd: Path, log: Path
) -> Server:
    """Start a command that serves the map, and wait until it answers."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(int(4 * PATIENCE_S)):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return Server(url, runs, process)
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.25)
    pytest.fail(f"the server did not answer: {log.read_text()}")


def ended(server: Server) -> None:
    """End a server and what it has started."""
    os.killpg(server.process.pid, signal.SIGTERM)
    server.process.wait(20)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of ``proche demo``."""
    return make_demo_run(tmp_path_factory)


@pytest.fixture(scope="session")
def server(demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The map of the demonstration."""
    running = start_server([demo_run], tmp_path_factory.mktemp("server") / "log.txt")
    yield running
    ended(running)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    path = chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 × 860 that remembers every request outside and every script error."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 860}, locale="en-GB", accept_downloads=True
    )
    opened = context.new_page()
    opened.set_default_timeout(1000 * PATIENCE_S)
    watched = Watched()
    opened.on("request", lambda r: watched.outside.append(r.url) if not _inside(r.url) else None)
    opened.on("pageerror", lambda e: watched.errors.append(str(e)))
    yield opened
    context.close()
    assert watched.outside == [], "the page asked the outside world"
    assert watched.errors == [], "a script failed"


def _inside(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:", "file:"))


def keep(page: Page, name: str) -> Path:
    """Save a screenshot among the artifacts of the test run."""
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=str(path))
    return path
