"""Files that the browser fetches: MapLibre GL, the map's own scripts, and the packed geometry of runs."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import streamlit as st
from streamlit.components.v1 import declare_component

_SCRIPTS = Path(__file__).parent / "map" / "js"
_LIBRARY_FILES = ("maplibre-gl.js", "maplibre-gl.css")


class LibraryMissingError(ImportError):
    """The package that ships MapLibre GL JS is not installed, or ships it elsewhere."""


def library_folder() -> Path:
    """
    Where the `maplibre` package keeps MapLibre GL JS. The package is found, not imported.

    Raises
    ------
    LibraryMissingError
        The package or one of its files is not there.
    """
    spec = importlib.util.find_spec("maplibre")
    if spec is None or not spec.submodule_search_locations:
        msg = "the map needs the package maplibre, which ships MapLibre GL JS; install proche[app]"
        raise LibraryMissingError(msg)
    folder = Path(next(iter(spec.submodule_search_locations))) / "srcjs"
    missing = [name for name in _LIBRARY_FILES if not (folder / name).is_file()]
    if missing:
        msg = f"{folder} lacks {missing}: expected the package maplibre 0.3; install proche[app]"
        raise LibraryMissingError(msg)
    return folder


@dataclass(frozen=True)
class Served:
    """Names under which the server answers for three folders, and the folder of packed files."""

    scripts: str
    library: str
    files: str
    shelf: Path


@st.cache_resource(show_spinner=False)
def _shelf() -> tempfile.TemporaryDirectory[str]:
    """One folder a server process, removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="proche-map-")


def serve() -> Served:
    """
    Offer the three folders through the server's own component route, which never leaves a folder.

    Cheap: it only tells the running server their names.
    """
    shelf = Path(_shelf().name)
    return Served(
        scripts=declare_component("map_scripts", path=str(_SCRIPTS)).name,
        library=declare_component("map_library", path=str(library_folder())).name,
        files=declare_component("map_files", path=str(shelf)).name,
        shelf=shelf,
    )


def put(shelf: Path, suffix: str, content: bytes) -> str:
    """
    Put bytes on the shelf under the name of their digest, and return the name.

    The same bytes have the same name in every session, so a browser never holds a stale file.
    """
    name = f"{sha256(content).hexdigest()[:20]}.{suffix}"
    target = shelf / name
    if not target.exists():
        with tempfile.NamedTemporaryFile(dir=shelf, delete=False) as file:
            file.write(content)
        Path(file.name).replace(target)
    return name
