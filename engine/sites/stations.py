"""Charging stations and sorting points: candidates at the kerb, whom they serve, the best set, and why."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from shapely.geometry.base import BaseGeometry

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.sites.ask import StationAsk
from engine.sites.budget import budget_sweep
from engine.sites.candidates import PLACES_AT_ONCE, Candidates, Obstacles, street_side_candidates
from engine.sites.capacity import capacitated_covering
from engine.sites.carriageway import walkways
from engine.sites.catchment import catchment, served
from engine.sites.covering import building_order, maximal_covering, served_in_order, spacing_conflicts
from engine.sites.median import p_median
from engine.sites.objective import by_stream
from engine.sites.plan import SitePlan, distance_to, existing_points, new_sites, per_cell, site_table
from engine.sites.regret import CoverScenario, least_regret
from engine.sites.selection import Effort, FloatArray, IntArray, SiteSelection
from engine.sites.travel import travel_minutes
from engine.sites.why import PLACES, demand_data, place_name, rests_on, why_served
from engine.snapping import LocalMetres, Snaps, local_metres, snap

MAX_SNAP_M = 100.0
"""[m] Farthest that a site may lie from the street on which people come."""


def site_stations(
    network: StreetNetwork,
    network_street30: StreetNetwork,
    pieces: StreetPieces,
    demand: npt.ArrayLike,
    ask: StationAsk,
    *,
    existing: gpd.GeoDataFrame | None = None,
    obstacles: Obstacles | None = None,
    within: BaseGeometry | None = None,
    at_once: int = PLACES_AT_ONCE,
) -> SitePlan:
    """
    Propose stations at the kerbs of motor streets, on top of those that exist.

    Parameters
    ----------
    network
        Streets on which people come to the station: the walking network, or for fleets the driving network.
    network_street30
        Motor streets, along which the candidates stand.
    pieces
        The streets of `network` inside each cell.
    demand
        [unit] Whom to serve in each cell, shape (cells,).
    ask
        The question.
    existing
        Stations today; they stay.
    obstacles
        What to keep away from, by kind; footways and crossings of `network` join as the kind ``walkway``.
    within
        [deg] Area that may be built in; None: everywhere.
    at_once
        Places that are judged together: changes memory, never results.

    Returns
    -------
    SitePlan
        ``newly_served`` holds those of `demand` who come within the cutoff, whatever the question weighs.

    Raises
    ------
    InputError
        If an array does not have one entry a cell (or an existing station).
    """
    people = per_cell(demand, pieces, what="demand")
    need = np.ones(pieces.n_cells) if ask.need is None else per_cell(ask.need, pieces, what="need")
    around = {**(obstacles or {}), "walkway": walkways(network)}
    found = street_side_candidates(
        network_street30, ask.kerb_rule, obstacles=around, within=within, at_once=at_once
    )
    today = existing_points(existing)
    lon_lat = np.concatenate([today, found.places.lon_lat])
    plane = local_metres(network_street30)
    snaps = snap(network, lon_lat, max_snap_m=MAX_SNAP_M)
    xy = plane.project(lon_lat)
    serves = served(catchment(network, snaps, pieces, cutoff_ms=round(ask.cutoff_min * 60_000)))
    limits: _Limits = {
        "locked": np.arange(len(today)),
        "conflicts": spacing_conflicts(xy[:, 0], xy[:, 1], min_spacing_m=ask.spacing_m),
        "effort": ask.effort,
    }
    town = _Town(network, pieces, snaps, serves, people, need, len(today))
    answer = _solve(town, ask, limits)
    new = new_sites(found.table(answer.selection.chosen - len(today)), answer.selection)
    plain = served_in_order(serves, people, answer.selection)
    exact = ask.need is None and not ask.scenarios and ask.objective == "covering"
    new = new.assign(newly_served=new["gain"] if exact else np.diff(plain))
    new = _explained(new, ask, today, plane)
    figures = _figures(town, ask, found, answer.selection.curve if exact else plain)
    return SitePlan(
        site_table(new, kind=ask.kind, existing=today),
        answer.selection,
        found.rejected,
        figures | answer.figures,
    )


class _Limits(TypedDict):
    """What every solver is told besides the problem and the number of sites."""

    locked: npt.NDArray[np.int64]
    conflicts: sp.csr_array
    effort: Effort | None


class _Town(NamedTuple):
    """The covering problem and what it was made from; existing stations are the first rows."""

    network: StreetNetwork
    pieces: StreetPieces
    snaps: Snaps
    serves: sp.csr_array
    people: FloatArray
    need: FloatArray
    n_today: int


class _Answer(NamedTuple):
    """A set of stations, and figures that only its question has."""

    selection: SiteSelection
    figures: dict[str, Any]


def _solve(town: _Town, ask: StationAsk, limits: _Limits) -> _Answer:
    """The set that answers the question."""
    weight = town.people * town.need
    if ask.objective == "p_median":
        minutes = travel_minutes(town.network, town.snaps, town.pieces, far_min=ask.far_min)
        found = p_median(minutes, weight, far=ask.far_min, count=ask.count, **limits)
        total = max(float(weight.sum()), 1e-300)
        mean = {"mean_min_before": found.baseline / total, "mean_min_after": found.objective / total}
        return _Answer(found, mean)
    if ask.capacity is not None:
        before = ask.capacity if ask.existing_capacity is None else ask.existing_capacity
        room = np.full(town.serves.shape[0], ask.capacity, np.float64)
        room[: town.n_today] = _per_station(before, town.n_today)
        return _Answer(
            capacitated_covering(town.serves, weight, capacity=room, count=ask.count, **limits), {}
        )
    serves = town.serves
    if ask.takes is not None:
        serves, weight = _divided(serves, weight, ask, town.n_today)
    if ask.scenarios:
        return _robust(town, ask, limits)
    figures: dict[str, Any] = {}
    if ask.sweep:
        table = budget_sweep(serves, weight, counts=ask.sweep, **limits)
        figures["sweep"] = table.to_dict("records")
    return _Answer(maximal_covering(serves, weight, count=ask.count, **limits), figures)


def _robust(town: _Town, ask: StationAsk, limits: _Limits) -> _Answer:
    """One set for the question and its scenarios; the proof of the set is that of the question itself."""
    futures = [CoverScenario(town.serves, town.people * town.need)]
    for scenario in ask.scenarios:
        cutoff_ms = round(ask.cutoff_min * 60_000 * scenario.speed_factor)
        serves = (
            town.serves
            if scenario.speed_factor == 1
            else served(catchment(town.network, town.snaps, town.pieces, cutoff_ms=cutoff_ms))
        )
        people = (
            town.people
            if scenario.demand is None
            else per_cell(scenario.demand, town.pieces, what=f"demand of the scenario {scenario.name!r}")
        )
        futures.append(CoverScenario(serves, people * town.need))
    if ask.takes is not None:
        futures = [
            CoverScenario(*_divided(f.coverage, np.asarray(f.demand), ask, town.n_today)) for f in futures
        ]
    robust = least_regret(futures, count=ask.count, **limits)
    base = futures[0]
    demand = np.asarray(base.demand, np.float64)
    chosen, curve = building_order(sp.csr_array(base.coverage), demand, limits["locked"], robust.chosen)
    selection = SiteSelection(
        chosen=chosen,
        locked=limits["locked"],
        objective=float(curve[-1]),
        baseline=float(curve[0]),
        bound=max(float(curve[-1]), float(robust.best_bound[0])),
        curve=curve,
        method="least worst regret by multiplicative weights; each step is a covering problem with its own bound",
    )
    names = ["as asked", *(s.name for s in ask.scenarios)]
    rows = [
        {"name": name, "served": float(s), "best_bound": float(b), "regret": float(r)}
        for name, s, b, r in zip(names, robust.served, robust.best_bound, robust.regret, strict=True)
    ]
    figures = {
        "scenarios": rows,
        "worst_regret": robust.worst_regret,
        "worst_regret_bound": robust.regret_bound,
    }
    return _Answer(selection, figures)


def _divided(
    serves: sp.sparray | sp.spmatrix, weight: FloatArray, ask: StationAsk, n_today: int
) -> tuple[sp.csr_array, FloatArray]:
    """The problem stream by stream; new points take all."""
    takes = np.asarray(ask.takes, bool)
    if takes.ndim != 2 or len(takes) != n_today:
        msg = f"takes has shape {takes.shape}: expected one row for each of {n_today} existing points"
        raise InputError(msg)
    every = np.ones((serves.shape[0] - n_today, takes.shape[1]), bool)
    share = np.ones(takes.shape[1]) if ask.stream_weight is None else ask.stream_weight
    return by_stream(serves, weight, takes=np.concatenate([takes, every]), weight=share)


def _per_station(values: npt.ArrayLike, n: int) -> FloatArray:
    result = np.asarray(values, np.float64)
    if result.ndim and result.shape != (n,):
        msg = f"existing_capacity has shape {result.shape}: expected one number, or one for each of {n} stations"
        raise InputError(msg)
    return np.broadcast_to(result, n)


def _explained(new: pd.DataFrame, ask: StationAsk, today: FloatArray, plane: LocalMetres) -> pd.DataFrame:
    """The new sites with their distance to the nearest existing one, what they replace, and why."""
    away = distance_to(new, today, plane)
    why = [
        why_served(
            kind=ask.kind,
            where=place_name(street=row["name"], side=row["side"], highway=row["highway"]),
            newly_served=row["newly_served"],
            unit=ask.unit,
            trip=f"a {ask.cutoff_min:g} min {ask.trip}",
            nearest_m=nearest,
            rests_on=rests_on(
                demand=demand_data(ask.unit), width_known=row["width_known"], parking=row["parking"]
            ),
        )
        for row, nearest in zip(new.to_dict("records"), away, strict=True)
    ]
    return new.assign(
        nearest_existing_m=np.where(np.isfinite(away), away, np.nan), replaces=PLACES[ask.kind], why=why
    )


def _figures(town: _Town, ask: StationAsk, found: Candidates, curve: FloatArray) -> dict[str, Any]:
    accepted: IntArray = town.snaps.accepted.astype(np.int64)
    n = town.n_today
    return {
        "candidates": len(found),
        "existing": n,
        f"{ask.unit}_total": float(town.people.sum()),
        f"{ask.unit}_served_before": float(curve[0]),
        f"{ask.unit}_served_after": float(curve[-1]),
        "candidates_not_on_network": int((1 - accepted[n:]).sum()),
        "existing_not_on_network": int((1 - accepted[:n]).sum()),
    }
