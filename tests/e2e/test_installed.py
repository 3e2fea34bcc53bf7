"""The app as it is installed from a wheel: what the command opens is ours, whichever page a link is of."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT, Server, ended, free_port, started
from tests.e2e.driver import open_map

pytestmark = pytest.mark.e2e


def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``proche`` of a fresh environment with a wheel of this checkout and the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    built = call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("the build backend is not installed and no package index is in reach")
    assert built.returncode == 0, built.stderr
    assert call(sys.executable, "-m", "venv", "--without-pip", folder / "venv").returncode == 0
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("proche-*.whl")
    put = call(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        wheel,
    )
    assert put.returncode == 0, put.stderr
    # A path that is named in a .pth file brings the libraries, but not the editable checkout among them.
    packages = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    (Path(packages) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = call(python, "-P", "-c", "import ui; print(ui.__file__)").stdout
    assert found.startswith(packages), found
    return folder / "venv" / "bin" / "proche"


@pytest.fixture(scope="module")
def installed_server(
    installed: Path, demo_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """What ``proche app`` serves, started in a folder that holds nothing."""
    elsewhere, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    command = [str(installed), "app", str(demo_run), "--headless", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    log = elsewhere / "log.txt"
    running = started(command, environment, [demo_run], port=port, cwd=elsewhere, log=log)
    yield running
    ended(running)


PAGES = ["Explore", "Gaps", "Sites", "Proposals", "Programme", "About the data"]


@pytest.mark.parametrize(
    ("link", "title", "has"),
    [
        ("gaps?lang=en&mode=walk", "Gaps", "Show on the map"),
        ("about?lang=en", "About the data", "Method in plain words"),
    ],
)
def test_a_link_opens_its_page_as_installed(
    page: Page, installed_server: Server, link: str, title: str, has: str
) -> None:
    if title == "About the data":
        page.goto(f"{installed_server.url}/{link}")
    else:
        open_map(page, installed_server, link)
    menu = page.get_by_test_id("stTopNavLink")
    expect(menu).to_have_text(PAGES)
    expect(menu.and_(page.locator("[aria-current=page]"))).to_have_text(title)
    expect(page.get_by_text(has).first).to_be_visible()
    assert page.locator('[data-testid="stSidebarNav"]').count() == 0, "the server lists files of its own"
