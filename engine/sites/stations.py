"""Charging stations and sorting points: candidates at the kerb, whom they serve, the best set, and why."""

from __future__ import annotations

from typing import Any, TypedDict

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.sites.candidates import KerbRule, Obstacles, street_side_candidates
from engine.sites.capacity import capacitated_covering
from engine.sites.carriageway import walkways
from engine.sites.catchment import catchment, served
from engine.sites.covering import maximal_covering, spacing_conflicts
from engine.sites.objective import by_stream
from engine.sites.plan import SitePlan, distance_to, existing_points, new_sites, per_cell, site_table
from engine.sites.rules import CHARGERS, SORTING
from engine.sites.selection import Effort
from engine.sites.why import place_name, rests_on, why_served
from engine.snapping import local_metres, snap

MAX_SNAP_M = 100.0
"""[m] Farthest that a site may lie from the street on which people come."""


def site_chargers(
    network_walk: StreetNetwork,
    network_street30: StreetNetwork,
    pieces: StreetPieces,
    demand: npt.ArrayLike,
    *,
    count: int,
    existing: gpd.GeoDataFrame | None = None,
    cutoff_min: float = 5.0,
    min_spacing_m: float = 150.0,
    rule: KerbRule = CHARGERS,
    obstacles: Obstacles | None = None,
    unit: str = "residents",
    capacity: npt.ArrayLike | None = None,
    existing_capacity: npt.ArrayLike | None = None,
    effort: Effort | None = None,
) -> SitePlan:
    """
    Propose charging stations at the kerbs of motor streets, on top of those that exist.

    Parameters
    ----------
    network_walk
        Streets on which people come to the station. For fleets, the driving network with its own `pieces`.
    network_street30
        Motor streets, along which the candidates stand.
    pieces
        The streets of `network_walk` inside each cell.
    demand
        [unit] Residents (or cars) of each cell, shape (cells,).
    count
        New stations at most.
    existing
        Stations today; they stay.
    cutoff_min
        [min] Longest walk to a station.
    min_spacing_m
        [m] Two stations are never nearer than this, in a straight line.
    rule, obstacles
        What is asked of a place (`engine.sites.rules`), and what to keep away from, by kind; footways and crossings
        of `network_walk` join as the kind ``walkway``.
    unit
        What `demand` counts.
    capacity
        [unit] What a new station can serve; None for no limit.
    existing_capacity
        [unit] What existing stations can serve, one number or one a station; None takes `capacity`.
    effort
        How hard to search.

    Returns
    -------
    SitePlan
        A cell is served when at least half of its streets lie within the walk.

    Raises
    ------
    InputError
        If `demand` does not have one entry a cell.
    """
    return _site_by_cover(
        network_walk,
        network_street30,
        pieces,
        per_cell(demand, pieces, what="demand"),
        kind="chargers",
        count=count,
        existing=existing,
        cutoff_min=cutoff_min,
        min_spacing_m=min_spacing_m,
        rule=rule,
        obstacles=obstacles,
        unit=unit,
        capacity=capacity,
        existing_capacity=existing_capacity,
        effort=effort,
    )


def site_sorting(
    network_walk: StreetNetwork,
    network_street30: StreetNetwork,
    pieces: StreetPieces,
    demand: npt.ArrayLike,
    *,
    count: int,
    existing: gpd.GeoDataFrame | None = None,
    cutoff_min: float = 5.0,
    min_spacing_m: float = 100.0,
    rule: KerbRule = SORTING,
    obstacles: Obstacles | None = None,
    unit: str = "residents",
    existing_takes: npt.ArrayLike | None = None,
    stream_weight: npt.ArrayLike | None = None,
    effort: Effort | None = None,
) -> SitePlan:
    """
    Propose sorting points, each in the place of about two parked cars; other parameters as in `site_chargers`.

    A new point takes every stream. A resident with access to all streams counts 1, to some of them their weight.

    Parameters
    ----------
    existing_takes
        True where an existing point takes a stream, shape (existing, streams): a point without the stream is not
        access to it. None: existing points take everything.
    stream_weight
        What each stream counts, shape (streams,); None counts them alike.

    Raises
    ------
    InputError
        If `demand` does not have one entry a cell, or `existing_takes` one row an existing point.
    """
    return _site_by_cover(
        network_walk,
        network_street30,
        pieces,
        per_cell(demand, pieces, what="demand"),
        kind="sorting",
        count=count,
        existing=existing,
        cutoff_min=cutoff_min,
        min_spacing_m=min_spacing_m,
        rule=rule,
        obstacles=obstacles,
        unit=unit,
        takes=existing_takes,
        stream_weight=stream_weight,
        effort=effort,
    )


def _site_by_cover(
    walk: StreetNetwork,
    street30: StreetNetwork,
    pieces: StreetPieces,
    demand: npt.NDArray[np.float64],
    *,
    kind: str,
    count: int,
    existing: gpd.GeoDataFrame | None,
    cutoff_min: float,
    min_spacing_m: float,
    rule: KerbRule,
    obstacles: Obstacles | None,
    unit: str,
    capacity: npt.ArrayLike | None = None,
    existing_capacity: npt.ArrayLike | None = None,
    takes: npt.ArrayLike | None = None,
    stream_weight: npt.ArrayLike | None = None,
    effort: Effort | None,
) -> SitePlan:
    found = street_side_candidates(street30, rule, obstacles={**(obstacles or {}), "walkway": walkways(walk)})
    today = existing_points(existing)
    n_today = len(today)
    lon_lat = np.concatenate([today, found.points[["lon", "lat"]].to_numpy(np.float64)])
    plane = local_metres(street30)
    snaps = snap(walk, lon_lat, max_snap_m=MAX_SNAP_M)
    xy = plane.project(lon_lat)
    serves = served(catchment(walk, snaps, pieces, cutoff_ms=round(cutoff_min * 60_000)))
    weight = demand
    if takes is not None:
        serves, weight = _divided(serves, demand, np.asarray(takes, bool), stream_weight, n_today)
    given: _Limits = {
        "count": count,
        "locked": np.arange(n_today),
        "conflicts": spacing_conflicts(xy[:, 0], xy[:, 1], min_spacing_m=min_spacing_m),
        "effort": effort,
    }
    if capacity is None:
        selection = maximal_covering(serves, weight, **given)
    else:
        before = np.broadcast_to(
            np.asarray(capacity if existing_capacity is None else existing_capacity), n_today
        )
        room = np.concatenate([before, np.broadcast_to(np.asarray(capacity), len(found.points))])
        selection = capacitated_covering(serves, weight, capacity=room, **given)
    new = new_sites(found.points, selection, skip=n_today)
    away = distance_to(new, today, plane)
    new = new.assign(newly_served=new["gain"], nearest_existing_m=np.where(np.isfinite(away), away, np.nan))
    new["why"] = [
        why_served(
            kind=kind,
            where=place_name(street=row["name"], side=row["side"], highway=row["highway"]),
            newly_served=row["newly_served"],
            unit=unit,
            minutes=cutoff_min,
            nearest_m=nearest,
            rests_on=rests_on(
                demand=f"{unit} by cell", width_known=row["width_known"], parking=row["parking"]
            ),
        )
        for row, nearest in zip(new.to_dict("records"), away, strict=True)
    ]
    figures: dict[str, Any] = {
        "candidates": len(found.points),
        "existing": n_today,
        f"{unit}_total": float(demand.sum()),
        f"{unit}_served_before": selection.baseline,
        f"{unit}_served_after": selection.objective,
        "candidates_not_on_walk_network": int((~snaps.accepted[n_today:]).sum()),
        "existing_not_on_walk_network": int((~snaps.accepted[:n_today]).sum()),
    }
    return SitePlan(site_table(new, kind=kind, existing=today), selection, found.rejected, figures)


class _Limits(TypedDict):
    """What every covering solver is told besides the problem."""

    count: int
    locked: npt.NDArray[np.int64]
    conflicts: sp.csr_array
    effort: Effort | None


def _divided(
    serves: sp.csr_array,
    demand: npt.NDArray[np.float64],
    takes: npt.NDArray[np.bool_],
    stream_weight: npt.ArrayLike | None,
    n_today: int,
) -> tuple[sp.csr_array, npt.NDArray[np.float64]]:
    """The problem stream by stream; new points take all."""
    if takes.ndim != 2 or len(takes) != n_today:
        msg = (
            f"existing_takes has shape {takes.shape}: expected one row for each of {n_today} existing points"
        )
        raise InputError(msg)
    every = np.ones((serves.shape[0] - n_today, takes.shape[1]), bool)
    share = np.ones(takes.shape[1]) if stream_weight is None else stream_weight
    return by_stream(serves, demand, takes=np.concatenate([takes, every]), weight=share)
