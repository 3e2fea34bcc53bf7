"""How far a figure can be trusted: completeness, snaps, edit ages, edges; shown beside it, not hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from engine.errors import InputError, SchemaError
from engine.projection import local_equal_area, require_crs
from engine.scoring import THRESHOLD_MIN, categories_of, flag_of, minutes_of

_Floats = npt.NDArray[np.float64]

COMPONENTS = ("completeness", "snap", "age", "edge", "support")
EVERYWHERE = "everywhere"
"""Zone of a count that holds for the whole area."""

SINGLE_PLACE = 0.7
"""Confidence where one place alone brings a cell within the threshold: a single mapping error decides."""
UNSEEN = 0.5
"""Confidence near the end of the data where something nearer may lie beyond it."""
FRESH_YEARS, STALE_YEARS = 2.0, 10.0
"""[years] Edits up to the first are fresh; from the second on they say nothing."""
EXACT_SNAP_M = 20.0
"""[m] A door this near to a street is where it seems to be: half a street and a pavement."""


@dataclass(frozen=True)
class Rules:
    """
    What lowers confidence, and where it ends.

    Attributes
    ----------
    threshold_min
        [min] The threshold that a cell is within or not.
    max_snap_m
        [m] Cap of the off-network leg: confidence in a place this far from a street is 0.
    neighbours
        Number of nearest places whose snaps and ages count for a cell.
    """

    threshold_min: float = THRESHOLD_MIN
    max_snap_m: float = 100.0
    neighbours: int = 3


def completeness(
    places: gpd.GeoDataFrame, known: pd.DataFrame, *, zones: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """
    Compare what is mapped with what is known to exist.

    Parameters
    ----------
    places
        ``category`` and geometry.
    known
        Counts: ``category``, ``known`` (number of places) and, with zones, ``zone``. Without a zone a count
        holds for the whole area.
    zones
        Polygons with a ``zone`` column. Any CRS.

    Returns
    -------
    pandas.DataFrame
        ``category``, ``zone``, ``known``, ``mapped``, ``ratio`` (mapped / known; above 1 where more is
        mapped; NaN where none is known to exist), in the order of `known`.

    Raises
    ------
    SchemaError
        If a column is missing, a count is negative, or a zone is not among the zones.
    """
    _need(known, ("category", "known"), "known counts")
    _need(places, ("category",), "places")
    zone = known["zone"].astype(str) if "zone" in known.columns else pd.Series(EVERYWHERE, index=known.index)
    number = pd.to_numeric(known["known"]).to_numpy(np.float64)
    if (number < 0).any() or not np.isfinite(number).all():
        msg = (
            f"known counts reach from {number.min()} to {number.max()}; expected finite numbers of at least 0"
        )
        raise SchemaError(msg)
    at = _zone_of(places, zones)
    stray = sorted(set(zone) - {EVERYWHERE} - (set() if zones is None else set(zones["zone"].astype(str))))
    if stray:
        msg = f"counts are known for the zones {stray[:5]}, which are not among the zones given"
        raise SchemaError(msg)
    of = places["category"].to_numpy(dtype=object)
    mapped = [
        int(((of == c) & ((at == z) if z != EVERYWHERE else True)).sum())
        for c, z in zip(known["category"], zone, strict=True)
    ]
    ratio = np.divide(mapped, number, out=np.full(len(number), np.nan), where=number > 0)
    return pd.DataFrame(
        {
            "category": known["category"].to_numpy(),
            "zone": zone.to_numpy(),
            "known": number,
            "mapped": mapped,
            "ratio": ratio,
        }
    )


def cell_confidence(
    cells: gpd.GeoDataFrame,
    places: gpd.GeoDataFrame,
    *,
    mode: str,
    categories: Sequence[str] | None = None,
    ratios: pd.DataFrame | None = None,
    zones: gpd.GeoDataFrame | None = None,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """
    Say how far each cell's time to each category can be trusted, and why not further.

    Confidence is the smallest of its components, each in 0…1, so that the reason is always one of them:

    * ``completeness``: mapped / known count of the cell's zone, at most 1;
    * ``snap``: mean off-network leg of the nearest places, 1 up to 20 m, 0 at the cap;
    * ``age``: mean age of their last edits, 1 up to 2 years, 0 from 10 on;
    * ``edge``: ½ near the end of the data, for a cell that seems to be beyond the threshold;
    * ``support``: 0.7 where one place alone brings the cell within the threshold; 0 where `places` hold none at all.

    What is not known (no count, no ages) takes no part, and its column is null.

    Parameters
    ----------
    cells
        The contract's columns and polygons.
    places
        ``category``, geometry, and where known ``snap_m`` [m] (off-network leg) and ``age_years`` [years].
    mode
        Mode of the times.
    categories
        Categories; by default all that have columns.
    ratios
        Table of `completeness`.
    zones
        The zones of `ratios`.
    rules
        Where confidence ends; `Rules` by default.

    Returns
    -------
    pandas.DataFrame
        One row a cell and category, in the order of the categories and the cells: ``h3_cell``, ``category``,
        the five components, ``confidence`` (0 without streets), ``because`` (the component that limits it;
        ``no_network``; empty at 1).

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If a rule is not positive.
    """
    rules = rules or Rules()
    if not (rules.max_snap_m > EXACT_SNAP_M and rules.neighbours >= 1):
        msg = f"{rules}: expected max_snap_m above {EXACT_SNAP_M:g} and at least one neighbour"
        raise InputError(msg)
    _need(cells, ("h3_cell",), "cells")
    _need(places, ("category",), "places")
    names = list(categories if categories is not None else categories_of(cells, mode=mode))
    times = minutes_of(cells, mode=mode, categories=names)
    crs = local_equal_area(cells)
    centres = shapely.centroid(cells.geometry.to_crs(crs).to_numpy())
    doors = places.geometry.to_crs(crs).to_numpy()
    zone = _zone_of(cells, zones)
    tables = []
    for k, name in enumerate(names):
        own = np.flatnonzero(places["category"].to_numpy(dtype=object) == name)
        near = _nearest_rows(centres, doors[own], rules.neighbours)
        parts = {
            "completeness": _of_zone(ratios, name, zone),
            "snap": _falling(_mean_of(places, "snap_m", own, near), EXACT_SNAP_M, rules.max_snap_m),
            "age": _falling(_mean_of(places, "age_years", own, near), FRESH_YEARS, STALE_YEARS),
            "edge": _edge(cells, mode, times[:, k], rules.threshold_min),
            "support": _support(cells, mode, name, times[:, k], rules.threshold_min)
            if len(own)
            else np.zeros(len(cells)),
        }
        tables.append(_table(cells, name, parts))
    columns = ["h3_cell", "category", *COMPONENTS, "confidence", "because"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _table(cells: gpd.GeoDataFrame, name: str, parts: Mapping[str, _Floats]) -> pd.DataFrame:
    values = np.stack([parts[c] for c in COMPONENTS], axis=1)
    known = np.where(np.isnan(values), 1.0, values)
    confidence = known.min(axis=1)
    because = np.array(COMPONENTS, dtype=object)[known.argmin(axis=1)]
    because[confidence >= 1] = ""
    blind = flag_of(cells, "no_network")
    confidence[blind], because[blind] = 0.0, "no_network"
    table = pd.DataFrame(values, columns=list(COMPONENTS))
    table.insert(0, "category", name)
    table.insert(0, "h3_cell", cells["h3_cell"].to_numpy())
    return table.assign(confidence=confidence, because=because.astype(str))


def _need(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        msg = f"{what} lack the columns {missing}; found {list(table.columns)}"
        raise SchemaError(msg)


def _zone_of(table: gpd.GeoDataFrame, zones: gpd.GeoDataFrame | None) -> npt.NDArray[np.object_]:
    """Zone that holds a point of each row, empty where none does; the first of several."""
    found = np.full(len(table), "", dtype=object)
    if zones is None:
        return found
    require_crs(zones, what="zones")
    _need(zones, ("zone",), "zones")
    points = shapely.point_on_surface(table.geometry.to_crs(zones.crs).to_numpy())
    row, zone = shapely.STRtree(zones.geometry.to_numpy()).query(points, predicate="intersects")
    order = np.lexsort((zone, row))[::-1]
    found[row[order]] = zones["zone"].astype(str).to_numpy(dtype=object)[zone[order]]
    return found


def _of_zone(ratios: pd.DataFrame | None, name: str, zone: npt.NDArray[np.object_]) -> _Floats:
    """Completeness of each cell's zone, else of the whole area, else NaN."""
    if ratios is None:
        return np.full(len(zone), np.nan)
    own = ratios[ratios["category"] == name]
    known = dict(zip(own["zone"], np.minimum(own["ratio"].to_numpy(np.float64), 1.0), strict=True))
    everywhere = known.get(EVERYWHERE, np.nan)
    return np.array([known.get(z, everywhere) for z in zone], dtype=np.float64)


def _nearest_rows(
    centres: npt.NDArray[np.object_], doors: npt.NDArray[np.object_], count: int
) -> npt.NDArray[np.int64]:
    """Rows of the places nearest to each cell as the crow flies, shape (cells, at most `count`)."""
    if not len(doors):
        return np.empty((len(centres), 0), dtype=np.int64)
    points = shapely.get_coordinates(shapely.centroid(doors))
    k = min(count, len(doors))
    _, row = cKDTree(points).query(shapely.get_coordinates(centres), k=np.arange(1, k + 1))
    return np.asarray(row, dtype=np.int64)


def _mean_of(
    places: gpd.GeoDataFrame, column: str, own: npt.NDArray[np.int64], near: npt.NDArray[np.int64]
) -> _Floats:
    """Mean of a column over each cell's nearest places; NaN where it is not known."""
    if column not in places.columns or not near.shape[1]:
        return np.full(len(near), np.nan)
    values = pd.to_numeric(places[column]).to_numpy(np.float64, na_value=np.nan)[own][near]
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean = np.divide(total, known.sum(axis=1), out=np.full(len(near), np.nan), where=known.any(axis=1))
    return np.asarray(mean)


def _falling(value: _Floats, best: float, worst: float) -> _Floats:
    """1 up to `best`, straight down to 0 at `worst`."""
    return np.asarray(np.clip((worst - value) / (worst - best), 0.0, 1.0))


def _edge(cells: gpd.GeoDataFrame, mode: str, minutes: _Floats, threshold: float) -> _Floats:
    """½ where the end of the data may hide a nearer place that would change the verdict."""
    own = f"{mode}_edge_affected"
    affected = flag_of(cells, own if own in cells.columns else "edge_affected")
    return np.where(affected & ~(minutes <= threshold), UNSEEN, 1.0)


def _support(cells: gpd.GeoDataFrame, mode: str, name: str, minutes: _Floats, threshold: float) -> _Floats:
    """0.7 where the nearest place is within the threshold and the second is not; NaN where no second is known."""
    column = f"{mode}_{name}_second_minutes"
    if column not in cells.columns:
        return np.full(len(cells), np.nan)
    second = pd.to_numeric(cells[column]).to_numpy(np.float64, na_value=np.nan)
    return np.where((minutes <= threshold) & ~(second <= threshold), SINGLE_PLACE, 1.0)
