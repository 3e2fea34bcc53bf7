"""What sessions share: runs opened read-only, and their packed geometry on the server's shelf."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ui.assets import put, serve
from ui.layers.backdrop import backdrop_geojson
from ui.layers.cells import pack_geometry
from ui.layers.features import places_geojson, to_bytes
from ui.layers.names import names_json
from ui.layers.streets import pack_streets
from ui.runs import Run, find_runs, fingerprint
from ui.search import SearchIndex, build_index

_MOST_RUNS = 12
_MOST_FILES = 200


def runs_offered() -> dict[str, Path]:
    """The runs of this server by name: from the command line, the environment or ``cache/runs``."""
    return find_runs(sys.argv[1:], default=Path.cwd() / "cache" / "runs")


def open_run(name: str, path: Path) -> Run:
    """A run, opened once for all sessions and again when it was computed anew."""
    return _open_run(name, str(path), fingerprint(path))


@st.cache_resource(show_spinner=False, max_entries=_MOST_RUNS)
def _open_run(name: str, path: str, mark: str) -> Run:  # the mark is part of the key
    return Run.open(name, Path(path))


@dataclass(frozen=True)
class RunFiles:
    """Files of a run's geometry and names on the shelf: each crosses to a browser once."""

    cells: str
    streets: str
    backdrop: str
    names: str


def run_files(run: Run) -> RunFiles:
    """Cells, streets, water and names of a run, packed once for all sessions."""
    return _run_files(run.key, run)


@st.cache_resource(show_spinner=False, max_entries=_MOST_RUNS)
def _run_files(key: tuple[str, str], _run: Run) -> RunFiles:
    shelf = serve().shelf
    streets, features = _run.base_streets, _run.features
    return RunFiles(
        cells=put(shelf, "cells", pack_geometry(_run.cells, weight=_run.weight, frame=_run.frame)),
        streets=put(shelf, "streets", pack_streets(streets, frame=_run.frame)),
        backdrop=put(shelf, "geojson", to_bytes(backdrop_geojson(features))),
        names=put(shelf, "json", to_bytes(names_json(streets, features, _run.cells))),
    )


def places_file(run: Run, category: str) -> str:
    """The places of a category as GeoJSON on the shelf, made once for all sessions."""
    return _places_file(run.key, category, run)


@st.cache_resource(show_spinner=False, max_entries=_MOST_FILES)
def _places_file(key: tuple[str, str], category: str, _run: Run) -> str:
    return put(serve().shelf, "geojson", to_bytes(places_geojson(_run.opportunities, category=category)))


def search_index(run: Run) -> SearchIndex:
    """Names of streets and places of a run, gathered once for all sessions."""
    return _search_index(run.key, run)


@st.cache_resource(show_spinner=False, max_entries=_MOST_RUNS)
def _search_index(key: tuple[str, str], _run: Run) -> SearchIndex:
    return build_index(_run.base_streets, _run.opportunities)


@st.cache_resource(show_spinner=False, max_entries=_MOST_FILES)
def set_aside(key: tuple[str, str], page: str) -> None:
    """
    Take what a page has loaded for all sessions out of the collection of garbage, once a run and page.

    Streamlit collects garbage after every rerun and walks every object of the process for it: nine tenths of
    the processor time of a change of layer. Modules and shared runs live as long as the server, so there is
    nothing to find among them.
    """
    _ = key, page
    gc.collect()
    gc.freeze()
