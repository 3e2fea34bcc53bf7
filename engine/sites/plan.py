"""A proposal of one kind: its table of sites, the proof of the set, and what was rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.projection import WGS84
from engine.sites.selection import FloatArray, SiteSelection
from engine.sites.why import nearest_m
from engine.snapping import LocalMetres

_EMPTY: dict[str, object] = {
    "rank": np.int32(0),
    "kind": "",
    "street": np.int32(-1),
    "name": "",
    "gain": 0.0,
    "newly_served": 0.0,
    "replaces": "",
    "why": "Exists today; kept.",
    "locked": True,
    "nearest_existing_m": np.nan,
    "side": "",
    "highway": "",
    "width_m": np.nan,
    "width_known": False,
    "parking": "unknown",
    "pavement": "unknown",
    "oneway": False,
    "fraction": np.nan,
    "lon": np.nan,
    "lat": np.nan,
}
"""Columns of the table of sites, and what an existing site says in each."""


@dataclass(frozen=True, eq=False)
class SitePlan:
    """
    Proposed sites of one kind with the proof of how good they are together.

    Attributes
    ----------
    sites
        One row a site, existing ones first where they are listed (``rank`` 0, ``locked``), then the new ones
        by ``rank`` (1 is built first). ``street`` is the row in the network of the candidates (-1 for an
        existing site), ``name`` its name, ``gain`` what the site adds to the objective in building order,
        ``newly_served`` the people it adds, ``replaces`` what stands there now, ``why`` a sentence,
        ``nearest_existing_m`` the straight distance
        to the nearest existing site; further ``kind``, ``side``, ``highway``, ``width_m``, ``width_known``,
        ``parking``, ``pavement``, ``oneway``, ``fraction``, ``lon``, ``lat``; geometry EPSG:4326.
    selection
        Objective, bound, gap and curve.
    rejected
        Places along the streets that were looked at and left out, by reason.
    figures
        What the summary shows: candidates, residents served before and after …
    """

    sites: gpd.GeoDataFrame
    selection: SiteSelection
    rejected: dict[str, int]
    figures: dict[str, Any] = field(default_factory=dict)


def new_sites(points: gpd.GeoDataFrame, selection: SiteSelection) -> pd.DataFrame:
    """The chosen candidates, in building order, with rank and gain."""
    chosen = pd.DataFrame(points.drop(columns="geometry"))
    rank = np.arange(1, len(chosen) + 1, dtype=np.int32)
    return chosen.assign(rank=rank, gain=np.diff(selection.curve), locked=False)


def site_table(new: pd.DataFrame, *, kind: str, existing: FloatArray) -> gpd.GeoDataFrame:
    """
    The table of a plan.

    Parameters
    ----------
    new
        Chosen candidates in building order.
    kind
        ``chargers``, ``sorting``, ``trees`` …
    existing
        [deg] Longitude and latitude of the existing sites to list first, shape (n, 2).

    Returns
    -------
    geopandas.GeoDataFrame
        As `SitePlan.sites` says; dtypes do not depend on whether there are existing or new sites.
    """
    old = pd.DataFrame(_EMPTY, index=range(len(existing)))
    old = old.assign(lon=existing[:, 0], lat=existing[:, 1])
    kept = new.reindex(columns=list(_EMPTY))
    parts = [part for part in (old, kept) if len(part)]
    both = pd.concat(parts, ignore_index=True) if parts else old
    dtypes = {
        name: np.asarray(value).dtype if not isinstance(value, str) else "str"
        for name, value in _EMPTY.items()
    }
    both = both.assign(kind=kind).astype(dtypes)
    return gpd.GeoDataFrame(both, geometry=gpd.points_from_xy(both["lon"], both["lat"]), crs=WGS84)


def distance_to(new: pd.DataFrame, existing: FloatArray, plane: LocalMetres) -> FloatArray:
    """[m] Straight distance from each new site to the nearest existing one, inf where there is none."""
    return nearest_m(plane.project(new[["lon", "lat"]].to_numpy(np.float64)), plane.project(existing))


def existing_points(existing: gpd.GeoDataFrame | None) -> FloatArray:
    """
    Where existing sites stand.

    Returns
    -------
    numpy.ndarray
        [deg] Longitude and latitude, shape (n, 2); lines and polygons stand at a point on them, empty ones
        are left out.
    """
    if existing is None or not len(existing):
        return np.empty((0, 2))
    table = existing if existing.crs is None or existing.crs.equals(WGS84) else existing.to_crs(WGS84)
    shapes = table.geometry.to_numpy()
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    return np.asarray(shapely.get_coordinates(shapely.point_on_surface(shapes)), np.float64).reshape(-1, 2)


def per_cell(values: npt.ArrayLike, pieces: StreetPieces, *, what: str) -> FloatArray:
    """
    One number a cell.

    Raises
    ------
    InputError
        If there is another number of them.
    """
    result = np.asarray(values, np.float64)
    if result.shape != (pieces.n_cells,):
        msg = f"{what} has shape {result.shape}, the pieces {pieces.n_cells} cells: expected one entry a cell"
        raise InputError(msg)
    return result
