"""Why a cell has its figures, for the map: computed once for all sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h3
import numpy as np
import shapely
import streamlit as st

from pipelines.errors import ConfigError
from ui.layers.features import feature_collection
from ui.runs import Run

if TYPE_CHECKING:
    from pipelines.explain import ModeView

# What computes is loaded with the first cell that is chosen, not with the first page.

ISOCHRONE_MIN = (5.0, 10.0, 15.0)
_TOLERANCE_DEG = 2e-5
"""[deg] About two metres: outlines are drawn no finer."""
_SLIT_DEG = 4.5e-5
"""[deg] Five metres of latitude."""
_MOST_MODES = 6


def explanation(run: Run, cell: str, mode: str) -> dict[str, Any]:
    """What `pipelines.explain.explain_cell` says of a cell of the run."""
    return _explained(run.key, cell, mode, run)


@st.cache_resource(show_spinner=False, max_entries=_MOST_MODES)
def _view(key: tuple[str, str], mode: str, _run: Run) -> ModeView:
    from pipelines.explain import load_mode

    return load_mode(_run.directory, mode, network=_run.network(mode))


@st.cache_data(show_spinner=False, max_entries=500)
def _explained(key: tuple[str, str], cell: str, mode: str, _run: Run) -> dict[str, Any]:
    from pipelines.explain import explain_cell

    return explain_cell(_run.directory, cell, mode=mode, view=_view(key, mode, _run))


def route_feature(told: dict[str, Any], category: str) -> dict[str, Any] | None:
    """The way from a cell to its nearest place of a category as a GeoJSON feature, None where there is none."""
    route = told["categories"].get(category, {}).get("route")
    if route is None:
        return None
    return {"type": "Feature", "properties": {"role": "nearest"}, "geometry": route}


def isochrones(run: Run, cell: str, mode: str) -> dict[str, Any]:
    """
    What is reached from the middle of a cell within `ISOCHRONE_MIN`, as GeoJSON.

    Empty where no street is near enough to start from.
    """
    return _isochrones(run.key, cell, mode, run)


def drawable(shape: Any, *, lat: float) -> Any:
    """An outline as it can be drawn: slits narrower than ten metres (between rails, say) are closed."""
    squeeze = np.array([np.cos(np.radians(lat)), 1.0])
    flat = shapely.transform(shape, lambda xy: xy * squeeze)
    closed = flat.buffer(_SLIT_DEG).buffer(-_SLIT_DEG)
    return shapely.simplify(shapely.transform(closed, lambda xy: xy / squeeze), _TOLERANCE_DEG)


@st.cache_data(show_spinner=False, max_entries=500)
def _isochrones(key: tuple[str, str], cell: str, mode: str, _run: Run) -> dict[str, Any]:
    from pipelines.isochrone import isochrone_geojson

    lat, lon = h3.cell_to_latlng(cell)
    try:
        found = isochrone_geojson(
            _run.directory, lon_lat=(lon, lat), mode=mode, minutes=ISOCHRONE_MIN, network=_run.network(mode)
        )
    except ConfigError:
        return feature_collection([], [])
    shapes = [drawable(shapely.geometry.shape(f["geometry"]), lat=lat) for f in found["features"]]
    return feature_collection(shapes, ({"minutes": f["properties"]["minutes"]} for f in found["features"]))
