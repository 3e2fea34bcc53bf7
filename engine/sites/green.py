"""Green space: which new ground within a number of hectares would give most people a park within reach."""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import shapely

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.projection import WGS84, local_equal_area, require_crs
from engine.sites.budget import budgeted_covering
from engine.sites.catchment import catchment, served
from engine.sites.covering import served_in_order
from engine.sites.plan import SitePlan, per_cell, site_table
from engine.sites.selection import Effort, FloatArray
from engine.sites.why import demand_data
from engine.snapping import snap

GATE_SPACING_M = 50.0
"""[m] Between the points of a boundary that are tried as ways in: about a street block."""
GATE_REACH_M = 30.0
"""[m] A boundary point farther than this from every street is no way in (METHOD §4)."""
REPLACES = {
    "parcel": "unused ground",
    "schoolyard": "a schoolyard, opened when there is no school",
    "roof": "a bare roof",
    "car park": "parking at ground level",
}
"""What stands there now, by kind of ground."""
HECTARE_M2 = 10_000.0


class Ground(NamedTuple):
    """Candidate ground that passed, and how much was rejected for each reason."""

    parcels: gpd.GeoDataFrame
    """``kind``, ``name``, ``area_ha``; geometry EPSG:4326, in the order given."""
    rejected: dict[str, int]


def green_candidates(parcels: gpd.GeoDataFrame, *, min_ha: dict[str, float]) -> Ground:
    """
    Keep the ground that is large enough to become green space.

    Parameters
    ----------
    parcels
        Polygons with a ``kind`` (``parcel``, ``schoolyard``, ``roof`` …) and by option a ``name``; any CRS.
    min_ha
        [ha] Least area of each kind; a kind that is not named is left out and counted.

    Returns
    -------
    Ground
        Invalid outlines are repaired; lines, points and empty geometries are rejected.

    Raises
    ------
    InputError
        If there is no ``kind`` column.
    CRSError
        If the table has no CRS.
    """
    require_crs(parcels, what="the table of parcels")
    if "kind" not in parcels:
        msg = f"parcels has the columns {list(parcels.columns)}: expected 'kind' (parcel, schoolyard, roof …)"
        raise InputError(msg)
    plain = parcels.to_crs(WGS84).reset_index(drop=True)
    shapes = plain.geometry.to_numpy().copy()
    polygonal = np.isin(shapely.get_type_id(shapes), (3, 6)) & ~shapely.is_empty(shapes)
    shapes[~polygonal] = None
    plain = plain.set_geometry(gpd.GeoSeries(shapely.make_valid(shapes), crs=WGS84))
    area = plain.to_crs(local_equal_area(plain)).area.fillna(0.0).to_numpy(np.float64) / HECTARE_M2
    kind = plain["kind"].astype("str")
    least = kind.map(min_ha).to_numpy(np.float64, na_value=np.nan)
    reason = np.select(
        [~polygonal, np.isnan(least), area < np.nan_to_num(least)],
        ["no_area", "kind_not_asked_for", "too_small"],
        "",
    )
    names = plain["name"].astype("object") if "name" in plain else pd.Series([""] * len(plain))
    table = gpd.GeoDataFrame(
        {"kind": kind, "name": names.where(names.notna(), "").astype("str"), "area_ha": area},
        geometry=plain.geometry,
        crs=WGS84,
    )
    reasons, counts = np.unique(reason[reason != ""], return_counts=True)
    kept = table[reason == ""].reset_index(drop=True)
    return Ground(kept, {str(r): int(c) for r, c in zip(reasons, counts, strict=True)})


def site_green(
    network_walk: StreetNetwork,
    pieces: StreetPieces,
    population: npt.ArrayLike,
    ground: Ground,
    *,
    budget_ha: float,
    already: npt.ArrayLike,
    cutoff_min: float = 5.0,
    need: npt.ArrayLike | None = None,
    unit: str = "residents",
    effort: Effort | None = None,
) -> SitePlan:
    """
    Choose the ground that gives most residents a green space within a walk, for a number of hectares.

    Parameters
    ----------
    network_walk
        Streets on which people walk.
    pieces
        The streets inside each cell.
    population
        Residents of each cell, shape (cells,).
    ground
        From `green_candidates`.
    budget_ha
        [ha] New ground in all; every parcel is taken whole or not at all.
    already
        True for cells that have a green space within the walk today, shape (cells,).
    cutoff_min
        [min] Longest walk, to the nearest point of the boundary that lies at a street.
    need
        What a person of each cell counts (`engine.sites.objective.equity_weight`), shape (cells,); None
        counts all alike.
    unit
        What `population` counts.
    effort
        How hard to work on the bound.

    Returns
    -------
    SitePlan
        One row a parcel with ``area_ha`` and its outline; ``figures["area_ha"]`` says what is used. ``newly_served``
        and the figures count people, whatever `need` weighs.

    Raises
    ------
    InputError
        If an array does not have one entry a cell, or the budget is negative.
    """
    people = per_cell(population, pieces, what="population")
    has = per_cell(already, pieces, what="already").astype(bool)
    parcels = ground.parcels
    gates, owner = _gates(parcels)
    snaps = snap(network_walk, gates, max_snap_m=GATE_REACH_M)
    reached = served(catchment(network_walk, snaps, pieces, cutoff_ms=round(cutoff_min * 60_000)))
    belongs = sp.csr_array(
        (np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(len(parcels), len(owner))
    )
    coverage = sp.csr_array(belongs @ reached.astype(np.float64))
    weight = np.ones(pieces.n_cells) if need is None else per_cell(need, pieces, what="need")
    selection = budgeted_covering(
        coverage,
        np.where(has, 0.0, people * weight),
        cost=parcels["area_ha"].to_numpy(np.float64),
        budget=budget_ha,
        effort=effort,
    )
    chosen = parcels.iloc[selection.chosen].reset_index(drop=True)
    gain = np.diff(selection.curve)
    newly = np.diff(served_in_order(coverage, np.where(has, 0.0, people), selection))
    points = shapely.get_coordinates(shapely.point_on_surface(chosen.geometry.to_numpy())).reshape(-1, 2)
    new = pd.DataFrame({"name": chosen["name"], "lon": points[:, 0], "lat": points[:, 1]}).assign(
        rank=np.arange(1, len(chosen) + 1, dtype=np.int32),
        street=-1,
        gain=gain,
        newly_served=newly,
        locked=False,
        nearest_existing_m=np.nan,
        side="",
        highway="",
        parking="unknown",
        pavement="unknown",
        width_m=np.nan,
        width_known=False,
        oneway=False,
        fraction=np.nan,
        replaces=[REPLACES.get(kind, kind) for kind in chosen["kind"]],
    )
    new["why"] = [
        f"{row['kind'].capitalize()} {row['name'] or 'without a name'} ({row['area_ha']:.2f} ha): {served_here:,.0f} "
        f"{unit} newly within a {cutoff_min:g} min walk of green space. Rests on {demand_data(unit)} and the outline "
        "of the ground; who owns it and whether it may be opened are not known here."
        for row, served_here in zip(chosen.to_dict("records"), newly, strict=True)
    ]
    table = site_table(new, kind="green", existing=np.empty((0, 2)))
    table = table.assign(area_ha=chosen["area_ha"].to_numpy(np.float64), ground=chosen["kind"].astype("str"))
    table = table.set_geometry(gpd.GeoSeries(chosen.geometry.to_numpy(), crs=WGS84))
    at_street = np.zeros(len(parcels), bool)
    at_street[owner[snaps.accepted]] = True
    figures = {
        "candidates": len(parcels),
        "candidates_away_from_streets": int((~at_street).sum()),
        "area_ha": float(chosen["area_ha"].sum()),
        f"{unit}_total": float(people.sum()),
        f"{unit}_served_before": float(people[has].sum()),
        f"{unit}_served_after": float(people[has].sum() + newly.sum()),
    }
    return SitePlan(table, selection, ground.rejected, figures)


def _gates(parcels: gpd.GeoDataFrame) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """[deg] Points along the boundaries, at most `GATE_SPACING_M` apart, and the parcel of each."""
    if not len(parcels):
        return np.empty((0, 2)), np.empty(0, np.int64)
    plane = local_equal_area(parcels)
    lines = shapely.segmentize(parcels.to_crs(plane).boundary.to_numpy(), GATE_SPACING_M)
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    back = gpd.GeoSeries(gpd.points_from_xy(xy[:, 0], xy[:, 1]), crs=plane).to_crs(WGS84)
    return shapely.get_coordinates(back.to_numpy()), owner.astype(np.int64)
