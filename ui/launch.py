"""How the map is started: one command line with every protection switched on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import streamlit.config

_OPTIONS: dict[str, str] = {
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.enableStaticServing": "false",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.maxUploadSize": "2",
    "server.maxMessageSize": "50",
    "theme.base": "light",
    "theme.primaryColor": "#0b4f8a",
    "theme.backgroundColor": "#fbfaf7",
    "theme.secondaryBackgroundColor": "#f1eee7",
    "theme.textColor": "#1b1f24",
}
"""Options of the server; those that the installed Streamlit does not know are left out."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")


def app_file() -> Path:
    """
    The page list: ``app.py`` beside the package in a checkout, its copy in ``ui/script`` where installed.

    Not beside ``ui/pages``: Streamlit takes a folder of that name beside its script for a list of its own.
    """
    here = Path(__file__).resolve().parent
    return next(p for p in (here / "script" / "app.py", here.parent / "app.py") if p.is_file())


def streamlit_command(
    runs: Sequence[Path],
    *,
    port: int | None = None,
    headless: bool = False,
    hosts: Sequence[str] = LOCAL_HOSTS,
) -> tuple[list[str], dict[str, str]]:
    """
    The command that serves the map, and the environment to start it in.

    Parameters
    ----------
    runs
        Run directories; none: those of ``PROCHE_RUNS``, else every run in ``cache/runs`` of the working
        directory.
    port
        TCP port; None: 8501 or the next that is free.
    headless
        Do not open a browser.
    hosts
        Host names that the server answers to; it listens on this machine only.

    Examples
    --------
    >>> command, environment = streamlit_command([Path("cache/runs/helsinki-centre")], port=8600)
    >>> command[1:4]
    ['-m', 'ui.serve', 'run']
    """
    options = {**_OPTIONS, "server.address": "127.0.0.1", "server.headless": str(headless).lower()}
    if port is not None:
        options["server.port"] = str(port)
    known = streamlit.config.get_config_options()
    flags = [f"--{name}={value}" for name, value in options.items() if name in known]
    if "server.allowedHosts" in known:
        flags += [f"--server.allowedHosts={host}" for host in hosts]
    command = [
        sys.executable,
        "-m",
        "ui.serve",
        "run",
        str(app_file()),
        *flags,
        "--",
        *(str(r.resolve()) for r in runs),
    ]
    return command, dict(os.environ)
