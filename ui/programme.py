"""A city's targets against what the data of a run show, each with bounds: nothing is claimed beyond them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from ui.layers.streets import one_direction
from ui.runs import Run

_FILE = Path(__file__).parent / "programme.toml"


@dataclass(frozen=True)
class Target:
    """One target as announced: amount, unit, when, by whom."""

    key: str
    value: float
    unit: str
    measure: str
    date: str
    source: str
    start: float | None = None


@dataclass(frozen=True)
class Shown:
    """
    What the data show of a target.

    Attributes
    ----------
    low, high
        Bounds in the target's unit: what is certainly there, and what may be there as far as the data go.
        Both None: the data do not tell.
    possible
        What the run found that could be added, in the target's unit; None where it looked for nothing.
    stock
        The data tell what there is, the target what is to be new: the two cannot be subtracted.
    """

    low: float | None
    high: float | None
    possible: float | None = None
    stock: bool = False


@cache
def targets() -> tuple[Target, ...]:
    """The targets in the order of the page."""
    with _FILE.open("rb") as file:
        return tuple(Target(**entry) for entry in tomllib.load(file)["target"])


def shown(run: Run, target: Target) -> Shown:
    """What a run shows of a target."""
    return _MEASURES[target.measure](run)


def sorting_stations(run: Run) -> Shown:
    """Sorting stations of the run; places that no street reaches count in the upper bound only."""
    if "sorting" not in run.categories:
        return Shown(None, None)
    mine = run.opportunities[run.opportunities["category"] == "sorting"]
    reached = mine[[c for c in mine.columns if c.startswith("snapped_")]].any(axis=1)
    return Shown(float(reached.sum()), float(len(mine)), _new_sites(run, "sorting"))


def charger_stations(run: Run) -> Shown:
    """Charging stations that exist today: the locked sites."""
    if "chargers" not in run.site_kinds:
        return Shown(None, None)
    locked = float(run.sites("chargers")["locked"].sum())
    return Shown(locked, locked, _new_sites(run, "chargers"))


def charger_points(run: Run) -> Shown:
    """
    Charging points: as many as the stations tell, and at least one at each that does not.

    Where every station tells, low and high are one figure; a single one that does not leaves no upper bound.
    """
    stations, figures = charger_stations(run), _site_figures(run, "chargers")
    told, silent = figures.get("existing_points"), figures.get("existing_points_unknown")
    if told is None or silent is None:
        return Shown(stations.low, None)
    low = float(told + silent)
    return Shown(low, None if silent else low, figures.get("points"))


def trees(run: Run) -> Shown:
    """Trees that the run knows (a lower bound: maps hold few of them), and places that it found for more."""
    if "trees" not in run.site_kinds:
        return Shown(None, None)
    facts = _site_figures(run, "trees")
    existing = facts.get("existing")
    return Shown(
        None if existing is None else float(existing), None, float(facts.get("candidates", 0)), stock=True
    )


def green_ha(run: Run) -> Shown:
    """Public green space of the run in hectares; where areas lack, no bound."""
    if "green" not in run.categories or "area_ha" not in run.opportunities.columns:
        return Shown(None, None)
    area = pd.to_numeric(run.opportunities.loc[run.opportunities["category"] == "green", "area_ha"])
    most = float(area.sum()) if area.notna().all() else None
    return Shown(float(area.sum()), most, _new_ground_ha(run, roofs=False), stock=True)


def roofs_ha(run: Run) -> Shown:
    """Green roofs and walls: no source of a run holds them; roofs that could be ones where the run looked for any."""
    return Shown(None, None, _new_ground_ha(run, roofs=True))


def bike_km(run: Run) -> Shown:
    """
    Kilometres for cycling.

    Low: ways that are cycleways and nothing else. High: with streets of Level of Traffic Stress 1 (Furth,
    Mekuria & Nixon 2016), which every adult rides. Each street counts once, whatever its directions.
    """
    if "bike" not in run.modes:
        return Shown(None, None)
    streets = _streets(run, "bike")
    if "highway" not in streets.columns or streets["highway"].isna().all():
        return Shown(None, None)
    length = streets["length_m"] / 1000
    cycleway = streets["highway"].astype("string").eq("cycleway").fillna(value=False)
    calm = pd.to_numeric(streets["lts"]).eq(1) if "lts" in streets.columns else cycleway
    on_foot = streets["highway"].astype("string").isin(["footway", "pedestrian", "platform", "steps"])
    return Shown(float(length[cycleway].sum()), float(length[cycleway | (calm & ~on_foot)].sum()))


def limit30_percent(run: Run) -> Shown:
    """
    Share of the length of motor streets with a limit of at most 30 km/h.

    Low: tagged so. High: those without a tagged limit too. Streets that keep their own limit under the run's
    rules (`major`) are left out.
    """
    if "street30" not in run.modes:
        return Shown(None, None)
    streets = _streets(run, "street30")
    if "maxspeed_kmh" not in streets.columns:
        return Shown(None, None)
    if "major" in streets.columns:
        streets = streets[~streets["major"].fillna(value=False).to_numpy(bool)]
    total = float(streets["length_m"].sum())
    if not total:
        return Shown(None, None)
    limit = pd.to_numeric(streets["maxspeed_kmh"])
    slow = float(streets["length_m"][limit <= 30].sum())
    unknown = float(streets["length_m"][limit.isna()].sum())
    return Shown(100 * slow / total, 100 * (slow + unknown) / total)


def _site_figures(run: Run, kind: str) -> dict[str, Any]:
    return dict(run.site_facts(kind).get("figures", {}))


def _new_ground_ha(run: Run, *, roofs: bool) -> float | None:
    """Hectares of the ground, or of the roofs, that the run chose for green; None where it chose none."""
    if "green" not in run.site_kinds:
        return None
    table = run.sites("green")
    chosen = ~table["locked"].astype(bool) & (table["ground"].astype(str).eq("roof") == roofs)
    return float(table.loc[chosen, "area_ha"].sum()) or None


def _new_sites(run: Run, kind: str) -> float | None:
    return float((~run.sites(kind)["locked"].astype(bool)).sum()) if kind in run.site_kinds else None


def _streets(run: Run, mode: str) -> gpd.GeoDataFrame:
    return one_direction(run.edges(mode))


_MEASURES: dict[str, Callable[[Run], Shown]] = {
    m.__name__: m
    for m in (
        sorting_stations,
        charger_stations,
        charger_points,
        trees,
        green_ha,
        roofs_ha,
        bike_km,
        limit30_percent,
    )
}
