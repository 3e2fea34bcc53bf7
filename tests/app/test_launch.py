"""How the map is started: every protection on, nothing that the installed Streamlit does not know."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import streamlit.config

from ui.assets import LibraryMissingError, library_folder
from ui.launch import app_file, streamlit_command

ROOT = Path(__file__).resolve().parents[2]


def options(command: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for flag in command[: command.index("--")]:
        if flag.startswith("--"):
            name, _, value = flag[2:].partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_every_protection_is_on() -> None:
    command, _ = streamlit_command([Path("a run")], port=8601, headless=True)
    flags = options(command)
    assert flags["server.enableXsrfProtection"] == ["true"]
    assert flags["server.enableCORS"] == ["true"]
    assert flags["browser.gatherUsageStats"] == ["false"]
    assert flags["server.address"] == ["127.0.0.1"]
    assert "localhost" in flags["server.allowedHosts"]
    assert int(flags["server.maxUploadSize"][0]) <= 10
    assert flags["client.showErrorDetails"] == ["none"]
    assert flags["server.port"] == ["8601"]
    assert command[-1] == str(Path("a run").resolve())


def test_only_known_options_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    known = streamlit.config.get_config_options()
    older = {k: v for k, v in known.items() if k != "server.allowedHosts"}
    monkeypatch.setattr(streamlit.config, "get_config_options", lambda: older)
    flags = options(streamlit_command([])[0])
    assert "server.allowedHosts" not in flags
    assert set(flags) <= set(older)


def test_a_plain_streamlit_run_has_the_same_protections() -> None:
    with (ROOT / ".streamlit" / "config.toml").open("rb") as file:
        config = tomllib.load(file)
    flags = options(streamlit_command([], headless=True)[0])
    for section, entries in config.items():
        for key, value in entries.items():
            wanted = (
                [str(v) for v in value]
                if isinstance(value, list)
                else [str(value).lower() if isinstance(value, bool) else str(value)]
            )
            assert flags[f"{section}.{key}"] == wanted, key


def test_the_page_list_is_found() -> None:
    assert app_file().read_text("utf-8").count("start(") == 1


def test_the_map_library_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (library_folder() / "maplibre-gl.js").stat().st_size > 500_000
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LibraryMissingError, match=r"proche\[app\]"):
        library_folder()
