"""Street trees: where there is room, who would gain from each, and the best set."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import shapely
from shapely.geometry.base import BaseGeometry

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.sites.audience import TREES_IN_SIGHT, in_sight, shaded
from engine.sites.candidates import (
    PLACES_AT_ONCE,
    KerbRule,
    Obstacles,
    positions,
    street_side_candidates,
)
from engine.sites.carriageway import meets, street_boxes, walkways
from engine.sites.concave import concave_covering
from engine.sites.nearby import portions, sum_within
from engine.sites.plan import SitePlan, distance_to, existing_points, new_sites, per_cell, site_table
from engine.sites.rules import TREES
from engine.sites.selection import FloatArray
from engine.sites.why import demand_data, place_name, why_tree
from engine.snapping import LocalMetres, local_metres, metric_streets, snap

CANOPY_TARGET = 0.3
"""Share of a neighbourhood under canopy that the deficit is measured from: the 30 of 3-30-300."""
BESIDE_M = 12.0
"""[m] Those who walk within this of a tree walk in its shade: a carriageway's width."""
TREE_TO_STREET_M = 20.0
"""[m] An existing tree farther than this from every street belongs to none."""


def site_trees(
    network_walk: StreetNetwork,
    network_street30: StreetNetwork,
    pieces: StreetPieces,
    population: npt.ArrayLike,
    *,
    count: int,
    existing: gpd.GeoDataFrame | None = None,
    canopy: npt.ArrayLike | None = None,
    heat: npt.ArrayLike | None = None,
    walkers: npt.ArrayLike | None = None,
    walker_weight: float = 0.25,
    need: npt.ArrayLike | None = None,
    rule: KerbRule = TREES,
    obstacles: Obstacles | None = None,
    within: BaseGeometry | None = None,
    within_m: float = 100.0,
    canopy_target: float = CANOPY_TARGET,
    unit: str = "residents",
    at_once: int = PLACES_AT_ONCE,
) -> SitePlan:
    """
    Propose street trees at the kerbs of motor streets.

    Two goals are counted in people, each with diminishing returns (see `engine.sites.concave`). *Shade*: the
    residents within `within_m` of a street, and those who walk along it, × canopy deficit × heat; both sides lined
    have 86 % of it (`engine.sites.audience.shaded`). *Three trees in sight of home* (the 3 of 3-30-300): the residents
    of a piece of street, with the trees that it sees; three trees give 86 %. Existing trees count first.

    Parameters
    ----------
    network_walk
        Streets on which people live.
    network_street30
        Streets along which trees may stand.
    pieces
        The streets of `network_walk` inside each cell.
    population
        Residents of each cell, shape (cells,).
    count
        New trees at most.
    existing
        Trees today: kept clear of, and counted as standing.
    canopy
        Share of each cell under canopy, 0…1: people matter in proportion to what lacks to `CANOPY_TARGET`. None where
        there is no raster, and figures and reasons say so.
    heat
        Heat of each cell as a factor around 1; None where there is no raster, and figures and reasons say so.
    walkers
        People who walk along each street of `network_walk` (`engine.sites.flows.walking_flows`), shape (streets,);
        a place takes the busiest of those that run within `BESIDE_M` of it. None leaves them out, and figures and
        reasons say so.
    walker_weight
        What one who walks past counts beside one who lives near: a choice to be declared.
    need
        What a person of each cell counts (`engine.sites.objective.equity_weight`), shape (cells,); None
        counts all alike.
    rule, obstacles
        What is asked of a place, and what to keep away from, by kind (`existing` joins the kind ``tree``).
    within
        [deg] Area that may be planted; None: everywhere.
    within_m
        [m] Straight distance within which residents gain shade.
    canopy_target
        Share under canopy from which on nothing lacks.
    unit
        What `population` counts.
    at_once
        Places that are judged, and candidates whose surroundings are looked at, together: changes memory, never
        results.

    Returns
    -------
    SitePlan
        Existing trees are not listed; ``newly_served`` holds the residents within `within_m`.

    Raises
    ------
    InputError
        If an array does not have one entry a cell (`walkers`: a street).

    References
    ----------
    Konijnendijk (2023) Evidence-based guidelines for greener, healthier, more resilient neighbourhoods: introducing
    the 3–30–300 rule. Journal of Forestry Research 34, 821–830.
    """
    people = per_cell(population, pieces, what="population")
    lacks = _need(pieces, canopy, heat, canopy_target)
    if need is not None:
        lacks = lacks * per_cell(need, pieces, what="need")
    given = {"canopy": canopy, "heat": heat, "walkers": walkers}
    ran_without = [name for name, values in given.items() if values is None]
    today = existing_points(existing)
    around = _around(network_walk, obstacles, today)
    found = street_side_candidates(network_street30, rule, obstacles=around, within=within, at_once=at_once)
    plane = local_metres(network_street30)
    xy, stand = found.places.xy, plane.project(today)
    homes, share = piece_centres(network_walk, pieces, plane)
    living = people[pieces.cell] * share
    passing = np.zeros(len(xy))
    if walkers is not None:
        passing = _beside(network_walk, found.places.lon_lat, walkers, at_once=at_once)
    values = np.column_stack([living, living * lacks[pieces.cell], lacks[pieces.cell], np.ones(len(living))])
    residents, exposed, needed, near = sum_within(xy, homes, values, within_m=within_m, at_once=at_once).T
    mean_need = np.divide(needed, near, out=np.ones(len(near)), where=near > 0)
    exposed = exposed + walker_weight * passing * mean_need
    standing = _trees_by_street(network_street30, today)
    street = found.places.street.astype(np.int64)
    by_street = shaded(network_street30, street, exposed, standing, within_m=within_m)
    by_home = in_sight(xy, homes, living * lacks[pieces.cell], stand, at_once=at_once)
    selection = concave_covering(
        sp.hstack([by_street.dose, by_home.dose], format="csr"),
        np.concatenate([by_street.worth, by_home.worth]),
        scale=np.concatenate([by_street.scale, by_home.scale]),
        standing=np.concatenate([by_street.standing, by_home.standing]),
        count=count,
    )
    chosen = selection.chosen
    lacking = np.where(by_home.standing < TREES_IN_SIGHT, living, 0.0)
    new = new_sites(found.table(chosen), selection)
    away = distance_to(new, today, plane)
    new = new.assign(
        newly_served=residents[chosen],
        nearest_existing_m=np.where(np.isfinite(away), away, np.nan),
        replaces="nothing: stands on the pavement",
        unseen=np.asarray(by_home.dose[chosen] @ lacking, np.float64),
        already=standing[street[chosen]],
        passing=passing[chosen],
    )
    new["why"] = _reasons(new, unit, within_m, ran_without)
    after = by_home.standing + np.asarray(by_home.dose[chosen].sum(axis=0)).ravel()
    figures = {
        "candidates": len(found),
        "existing": len(today),
        "ran_without": ran_without,
        f"{unit}_total": float(people.sum()),
        f"{unit}_three_trees_before": float(living[by_home.standing >= TREES_IN_SIGHT].sum()),
        f"{unit}_three_trees_after": float(living[after >= TREES_IN_SIGHT].sum()),
    }
    table = site_table(new, kind="trees", existing=np.empty((0, 2)))
    return SitePlan(table, selection, found.rejected, figures)


def _around(network_walk: StreetNetwork, obstacles: Obstacles | None, trees: FloatArray) -> dict[str, Any]:
    """What to keep away from: the obstacles, trees today and footways mapped apart."""
    around: dict[str, Any] = dict(obstacles or {})
    points = np.asarray(shapely.points(trees), dtype=object)
    around["tree"] = np.concatenate([np.asarray(around.get("tree", ()), dtype=object), points])
    around["walkway"] = walkways(network_walk)
    return around


def _reasons(new: pd.DataFrame, unit: str, within_m: float, ran_without: list[str]) -> list[str]:
    """Why each tree, with the data that it rests on."""
    data = "; ".join(
        [demand_data(unit), "trees and streets as mapped"] + [f"without {name}" for name in ran_without]
    )
    return [
        why_tree(
            where=place_name(street=row["name"], side=row["side"], highway=row["highway"]),
            people=row["newly_served"],
            unit=unit,
            within_m=within_m,
            without_sight=row["unseen"],
            already=int(row["already"]),
            walkers=None if "walkers" in ran_without else row["passing"],
            rests_on=data,
        )
        for row in new.to_dict("records")
    ]


def _need(
    pieces: StreetPieces, canopy: npt.ArrayLike | None, heat: npt.ArrayLike | None, target: float
) -> FloatArray:
    """How much shade lacks in each cell: canopy deficit × heat, 1 where nothing is known."""
    need = np.ones(pieces.n_cells)
    if canopy is not None:
        need *= np.clip(target - per_cell(canopy, pieces, what="canopy"), 0.0, None) / target
    if heat is not None:
        need *= np.clip(per_cell(heat, pieces, what="heat"), 0.0, None)
    return need


def _beside(
    network: StreetNetwork, lon_lat: FloatArray, walkers: npt.ArrayLike, *, at_once: int
) -> FloatArray:
    """Walkers on the busiest street within `BESIDE_M` of each point."""
    flow = np.asarray(walkers, np.float64)
    if flow.shape != (len(network.streets),):
        msg = f"walkers has shape {flow.shape}: expected one number for {len(network.streets)} streets"
        raise InputError(msg)
    result = np.zeros(len(lon_lat))
    xy, box = (
        local_metres(network).project(lon_lat),
        street_boxes(network),
    )
    for part in portions(len(xy), at_once):
        rows = np.flatnonzero(meets(box, xy[part], BESIDE_M))
        hit, street = shapely.STRtree(metric_streets(network, rows)).query(
            np.asarray(shapely.points(xy[part]), dtype=object), predicate="dwithin", distance=BESIDE_M
        )
        np.maximum.at(result[part], hit, flow[rows[street]])
    return result


def piece_centres(
    network: StreetNetwork, pieces: StreetPieces, plane: LocalMetres
) -> tuple[FloatArray, FloatArray]:
    """[m] Middle of each piece of street in `plane`, and its share of its cell's street length."""
    _, lon_lat, _ = positions(network, pieces.street.astype(np.int64), (pieces.start + pieces.stop) / 2)
    length = np.maximum(pieces.length_m, 1e-9)
    whole = np.bincount(pieces.cell, weights=length, minlength=pieces.n_cells)
    return plane.project(lon_lat), length / whole[pieces.cell]


def _trees_by_street(network: StreetNetwork, trees: FloatArray) -> FloatArray:
    """Existing trees of each street."""
    if not len(trees):
        return np.zeros(len(network.streets))
    near = snap(network, trees, max_snap_m=TREE_TO_STREET_M)
    return np.bincount(near.street[near.accepted], minlength=len(network.streets)).astype(np.float64)
