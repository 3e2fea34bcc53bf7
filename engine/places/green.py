"""Green space: outlines that touch are one park, and the ladder of sizes and distances."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.errors import InputError
from engine.places.entrance import park_entrances, streets_inside
from engine.projection import local_equal_area

__all__ = ["GREEN_LADDER", "GreenStep", "ladder_steps", "merge_parks", "park_entrances", "streets_inside"]

HECTARE_M2 = 10_000.0


class GreenStep(NamedTuple):
    """One step of the ladder: a park of at least `min_area_ha` within `distance_m` along streets."""

    name: str
    min_area_ha: float
    distance_m: float
    reference: str


GREEN_LADDER = (
    GreenStep("green_01ha_300m", 0.1, 300.0, "INSEE (2025), espaces verts ouverts au public"),
    GreenStep(
        "green_05ha_300m", 0.5, 300.0, "WHO Regional Office for Europe (2016), Urban green spaces and health"
    ),
    GreenStep(
        "green_1ha_300m",
        1.0,
        300.0,
        "Konijnendijk (2023), the 3-30-300 rule, J. Forestry Research 34, 821-830",
    ),
    GreenStep("green_15ha_500m", 1.5, 500.0, "docs/method.md, ladder of green space"),
)
"""Distances are along streets from the doorstep to an entrance; they are never converted to minutes."""


def ladder_steps(area_ha: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """
    Steps of `GREEN_LADDER` that a park is large enough for.

    Parameters
    ----------
    area_ha
        [ha] Area of each park, shape (parks,).

    Returns
    -------
    ndarray of bool
        Shape (parks, steps); the smallest size is inclusive.

    Examples
    --------
    >>> ladder_steps([0.1, 1.2]).tolist()
    [[True, False, False, False], [True, True, True, False]]
    """
    smallest = np.array([step.min_area_ha for step in GREEN_LADDER])
    return np.asarray(area_ha, dtype=np.float64)[:, None] >= smallest[None, :]


def merge_parks(
    parks: gpd.GeoDataFrame, *, min_area_ha: float = 0.0, touch_m: float = 0.5
) -> tuple[gpd.GeoDataFrame, list[tuple[str, str]]]:
    """
    Merge green outlines that touch, then drop what is too small.

    Two outlines touch if they are at most `touch_m` apart: a park cut in two by the mapper is one park, two
    parks with a street between them are two.

    Parameters
    ----------
    parks
        Polygons, EPSG:4326, with the columns of places (``id``, ``name``, ``sources`` …).
    min_area_ha
        [ha] Smallest merged area, inclusive.
    touch_m
        [m] Largest gap inside one park: the precision of mapping.

    Returns
    -------
    parks : geopandas.GeoDataFrame
        One row a park; ``id``, ``name`` and other attributes of its largest part (the largest one that is
        named, for the name), all ``sources``, ``area_ha``, outline. In the order of the first part.
    dropped : list of (str, str)
        Id and reason (``merged``, ``too small``) of each outline that is not a row of its own.

    Raises
    ------
    InputError
        If a limit is negative.
    """
    if not (min_area_ha >= 0 and touch_m >= 0):
        msg = f"min_area_ha is {min_area_ha} and touch_m {touch_m}; expected numbers of at least 0"
        raise InputError(msg)
    if parks.empty:
        return parks.assign(area_ha=np.empty(0)), []
    crs = local_equal_area(parks)
    outlines = shapely.make_valid(parks.geometry.to_numpy())
    metres = gpd.GeoSeries(outlines, crs=parks.crs).to_crs(crs).to_numpy()
    group, part_area = touching_groups(metres, touch_m=touch_m), shapely.area(metres)
    rows, dropped = [], []
    for members in _members(group):
        union = _polygons(shapely.union_all(outlines[members]))
        ranked = members[np.lexsort((members, -part_area[members]))]
        area_ha = float(gpd.GeoSeries([union], crs=parks.crs).to_crs(crs).area.iloc[0]) / HECTARE_M2
        small = area_ha < min_area_ha
        dropped += [
            (parks["id"].iloc[k], "too small" if small else "merged")
            for k in (members if small else ranked[1:])
        ]
        if not small:
            rows.append(_park(parks, members, ranked) | {"area_ha": area_ha, "geometry": union})
    columns = [*(c for c in parks.columns if c != "geometry"), "area_ha", "geometry"]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), geometry="geometry", crs=parks.crs), dropped


def touching_groups(outlines: npt.NDArray[np.object_], *, touch_m: float) -> npt.NDArray[np.int64]:
    """
    Number the groups of outlines that touch, directly or through others.

    Parameters
    ----------
    outlines
        [m] Polygons in a projected system, shape (outlines,).
    touch_m
        [m] Largest gap between two that touch, inclusive.
    """
    n = len(outlines)
    left, right = shapely.STRtree(outlines).query(outlines, predicate="dwithin", distance=touch_m)
    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, label = connected_components(links, directed=False)
    return np.asarray(label, dtype=np.int64)


def _members(group: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Rows of each group, groups in the order of their first row."""
    order = np.argsort(group, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted(runs, key=lambda rows: int(rows[0]))


def _polygons(shape: Any) -> Any:
    """The areal part of a geometry: repairs may leave stray lines."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) == 7).any():
        parts = shapely.get_parts(parts)
    flat = shapely.get_parts(parts)
    areal = flat[shapely.get_dimensions(flat) == 2]
    return areal[0] if len(areal) == 1 else shapely.multipolygons(areal)


def _park(
    parks: gpd.GeoDataFrame, members: npt.NDArray[np.int64], ranked: npt.NDArray[np.int64]
) -> dict[str, Any]:
    row: dict[str, Any] = parks.iloc[ranked[0]].drop("geometry").to_dict()
    row["name"] = next((x for x in parks["name"].iloc[ranked] if x), "")
    row["sources"] = ";".join(parks["sources"].iloc[members])
    return row
