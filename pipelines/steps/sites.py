"""Sites: where new stations, trees and green space would serve most, with the proof of how good the set is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.cells import StreetPieces, street_pieces
from engine.network.street_network import StreetNetwork
from engine.sites.ask import RULES, Scenario, StationAsk
from engine.sites.budget import bend
from engine.sites.candidates import KerbRule
from engine.sites.flows import walking_flows
from engine.sites.green import green_candidates, site_green
from engine.sites.plan import SitePlan
from engine.sites.rules import TREES
from engine.sites.stations import site_stations
from engine.sites.trees import site_trees
from pipelines.config import Chargers, FileSource, GreenSites, SiteKind, SortingSites, StationKind, Trees
from pipelines.errors import ConfigError
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context, InputFile
from pipelines.steps.inputs import resolve
from pipelines.steps.opportunities import OpportunityTables, destinations_for, read_file_places
from pipelines.steps.site_inputs import (
    People,
    existing_sites,
    fleet_demand,
    ground_parcels,
    obstacles,
    walked_places,
)
from pipelines.steps.streets import features_of, load_network
from pipelines.steps.surface import canopy_share, heat_factor, vegetation_share
from pipelines.store import Artifact
from pipelines.tables_out import write_json, write_parquet

KINDS = ("chargers", "sorting", "trees", "green")
"""Every kind, in the order in which they are sited: each keeps clear of those before it."""
FLOW_LIMIT_MIN = 15.0
"""[min] Nobody is counted who walks farther past a tree."""
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SiteSources:
    """Artifacts that siting rests on."""

    extract: Artifact
    network_walk: Artifact
    network_street30: Artifact
    opportunities: Artifact
    reach_walk: Artifact
    population: Artifact | None

    def needs(self, kind: str) -> dict[str, str | None]:
        """What identifies those of them that a kind rests on; places by what a walker sees of them."""
        found: dict[str, str | None] = {
            "extract": self.extract.key,
            "walk": self.network_walk.key,
            "population": None if self.population is None else self.population.key,
        }
        if kind == "green":
            return found | {"reach": self.reach_walk.key}
        return found | {
            "street30": self.network_street30.key,
            "places": walked_places(OpportunityTables.load(self.opportunities)),
        }


def sites_artifact(
    ctx: Context,
    kind: str,
    sources: SiteSources,
    area: StudyArea,
    *,
    before: Mapping[str, Artifact],
    count: int | None = None,
) -> Artifact:
    """
    ``sites_{kind}.parquet``, ranked with why, and ``sites_{kind}.json`` with objective, bound, gap and curve.

    Parameters
    ----------
    before
        Kinds sited before this one, whose new sites are kept clear of.
    count
        New sites at most, in place of the settings' own (a joint budget).
    """
    settings: SiteKind | GreenSites = getattr(ctx.config.sites, kind)
    if count is not None:
        settings = settings.model_copy(update={"count": count})
    inputs = site_files(ctx, kind, settings)
    needs: dict[str, Any] = {
        "kind": kind,
        "settings": settings.model_dump(mode="json"),
        "sources": sources.needs(kind),
        "before": {name: a.key for name, a in before.items()} if kind != "green" else {},
        "cells": [str(c) for c in area.cells],
        "area": area.boundary.wkt,
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
        "income": ctx.config.population.income_column,
        "inputs": {role: file.sha256 for role, file in inputs.items()},
    }

    def build(folder: Path) -> dict[str, Any]:
        town = SiteTown(ctx, sources, area)
        clear_of = [gpd.read_parquet(a.file(f"sites_{name}.parquet")) for name, a in before.items()]
        plan, unit = plan_sites(town, kind, settings, inputs, clear_of)
        write_parquet(plan.sites, folder / f"sites_{kind}.parquet")
        facts = site_facts(plan, unit=unit, count=getattr(settings, "count", None))
        write_json(facts, folder / f"sites_{kind}.json")
        return {k: v for k, v in facts.items() if k != "curve"}

    return ctx.artifact(f"sites_{kind}", needs, build)


class SiteTown:
    """What every kind of site is computed on, read when it is first needed."""

    def __init__(self, ctx: Context, sources: SiteSources, area: StudyArea) -> None:
        self.ctx, self.sources, self.area = ctx, sources, area
        self.walk = load_network(sources.network_walk, "walk")
        self.pieces = self.pieces_of(self.walk)
        self.features = features_of(sources.extract)
        self.places = OpportunityTables.load(sources.opportunities)
        self.people = People.load(sources.population, ctx.config.population.income_column, area)

    @property
    def motor(self) -> StreetNetwork:
        """Motor streets."""
        return load_network(self.sources.network_street30, "street30")

    def pieces_of(self, network: StreetNetwork) -> StreetPieces:
        """The streets of a network inside each cell."""
        return street_pieces(network, self.area.cells, max_snap_m=self.ctx.config.scoring.max_origin_snap_m)

    def filed(self, role: str, source: Any) -> gpd.GeoDataFrame | None:
        """Places of a file that the configuration names."""
        return read_file_places(self.ctx, role, source, bounds=self.area.boundary.bounds)


def plan_sites(
    town: SiteTown,
    kind: str,
    settings: SiteKind | GreenSites,
    inputs: Mapping[str, InputFile],
    clear_of: list[gpd.GeoDataFrame],
) -> tuple[SitePlan, str]:
    """The plan of one kind, and what its objective counts."""
    if isinstance(settings, GreenSites):
        return _green(town, settings, inputs)
    filed = town.filed(f"sites.{kind}.existing", settings.existing)
    existing = existing_sites(kind, town.features, town.places, filed)
    others = [
        existing_sites(other, town.features, town.places, None)
        for other in ("chargers", "sorting")
        if other != kind
    ]
    new = [table[table["rank"] > 0] for table in clear_of]
    around = obstacles(town.features, [*others, *new])
    if isinstance(settings, Trees):
        return _trees(town, settings, inputs, existing, around)
    if isinstance(settings, StationKind):
        return _stations(town, kind, settings, existing, around)
    msg = f"unknown kind of site {kind!r}"
    raise ConfigError(msg)


def _stations(
    town: SiteTown, kind: str, settings: StationKind, existing: gpd.GeoDataFrame, around: Any
) -> tuple[SitePlan, str]:
    people, key = town.people, f"sites.{kind}"
    demand, unit = people.demand(settings.demand, ~town.pieces.no_network, key=f"{key}.demand")
    scenarios = tuple(
        Scenario(
            s.name,
            None
            if s.demand is None
            else people.demand(s.demand, ~town.pieces.no_network, key=f"{key}.scenarios.demand")[0],
            s.speed_factor,
        )
        for s in settings.scenarios
    )
    ask = StationAsk(
        kind=kind,
        count=settings.count,
        cutoff_min=settings.walk_min,
        min_spacing_m=settings.spacing_m,
        rule=_rule(RULES[kind], settings),
        unit=unit,
        objective=settings.objective,
        far_min=settings.far_min,
        capacity=settings.capacity,
        existing_capacity=_existing_capacity(settings, existing),
        need=people.need(settings.equity_aversion, key=f"{key}.equity_aversion"),
        sweep=settings.sweep,
        scenarios=scenarios,
    )
    network, pieces = town.walk, town.pieces
    motor = town.motor
    if isinstance(settings, Chargers) and settings.fleets.address is not None:
        depots = town.filed("sites.chargers.fleets", settings.fleets)
        network, pieces = motor, town.pieces_of(motor)
        demand = np.zeros(len(town.area.cells)) if depots is None else fleet_demand(depots, town.area)
        ask = replace(ask, unit="vehicles", trip="drive", cutoff_min=settings.drive_min)
    if isinstance(settings, SortingSites) and settings.streams:
        takes = [[s in str(has).split(";") for s in settings.streams] for has in existing["streams"]]
        ask = replace(
            ask,
            takes=np.array(takes, bool).reshape(len(existing), len(settings.streams)),
            stream_weight=[settings.stream_weights.get(s, 1.0) for s in settings.streams],
        )
    plan = site_stations(
        network,
        motor,
        pieces,
        demand,
        ask,
        existing=existing,
        obstacles=around,
        within=town.area.boundary,
        at_once=town.ctx.places_at_once,
    )
    figures = dict(plan.figures)
    if isinstance(settings, Chargers):
        figures["points"] = settings.points * int((plan.sites["rank"] > 0).sum())
        told = existing["capacity"].to_numpy(np.float64)
        figures["existing_points"] = float(np.nansum(told))
        figures["existing_points_unknown"] = int(np.isnan(told).sum())
    return replace(plan, figures=figures), ask.unit


def _existing_capacity(settings: StationKind, existing: gpd.GeoDataFrame) -> FloatArray | None:
    """What each existing station can serve, None without capacities."""
    if settings.capacity is None:
        return None
    if settings.existing_capacity is not None:
        return np.full(len(existing), settings.existing_capacity)
    points = settings.points if isinstance(settings, Chargers) else 1
    share = existing["capacity"].to_numpy(np.float64) / points if isinstance(settings, Chargers) else np.nan
    return np.where(
        np.isfinite(share), settings.capacity * np.nan_to_num(share), settings.capacity
    ) * np.ones(len(existing))


def _trees(
    town: SiteTown, settings: Trees, inputs: Mapping[str, InputFile], existing: gpd.GeoDataFrame, around: Any
) -> tuple[SitePlan, str]:
    people = town.people
    living, unit = people.demand("population", ~town.pieces.no_network, key="sites.trees")
    need = people.need(settings.equity_aversion, key="sites.trees.equity_aversion")
    cells = town.area.cells
    canopy = None
    if "heat.canopy" in inputs:
        canopy = canopy_share(inputs["heat.canopy"], cells)
    elif "heat.ndvi" in inputs:
        canopy = vegetation_share(inputs["heat.ndvi"], cells)
    walkers = None
    if settings.walker_weight > 0:
        to = destinations_for(town.places, "walk")
        walkers = walking_flows(town.walk, town.pieces, living, to, limit_ms=round(FLOW_LIMIT_MIN * 60_000))
    rule = replace(TREES, spacing_m=settings.spacing_m, apart_m=min(TREES.apart_m, settings.spacing_m))
    plan = site_trees(
        town.walk,
        town.motor,
        town.pieces,
        living,
        count=settings.count,
        existing=existing,
        canopy=canopy,
        heat=heat_factor(inputs["heat.temperature"], cells) if "heat.temperature" in inputs else None,
        walkers=walkers,
        walker_weight=settings.walker_weight,
        need=need,
        rule=_rule(rule, settings),
        obstacles=around,
        within=town.area.boundary,
        within_m=settings.within_m,
        canopy_target=settings.canopy_target,
        unit=unit,
        at_once=town.ctx.places_at_once,
    )
    return plan, unit


def _green(town: SiteTown, settings: GreenSites, inputs: Mapping[str, InputFile]) -> tuple[SitePlan, str]:
    least = {
        kind: hectares
        for kind in ("parcel", "schoolyard", "roof", "car_park")
        if (hectares := getattr(settings, f"{kind}_min_ha")) is not None
    }
    file = inputs["sites.green.parcels"].path if "sites.green.parcels" in inputs else None
    ground = green_candidates(ground_parcels(town.features, file, town.area, list(least)), min_ha=least)
    living, unit = town.people.demand("population", ~town.pieces.no_network, key="sites.green")
    reached = pd.read_parquet(town.sources.reach_walk.file("reach_walk.parquet"))
    minutes = reached.get("walk_green_minutes", pd.Series(np.inf, index=reached.index))
    already = (minutes <= settings.walk_min).to_numpy(bool)
    plan = site_green(
        town.walk,
        town.pieces,
        living,
        ground,
        budget_ha=settings.budget_ha,
        already=already,
        cutoff_min=settings.walk_min,
        need=town.people.need(settings.equity_aversion, key="sites.green.equity_aversion"),
        unit=unit,
    )
    return plan, unit


def _rule(rule: KerbRule, settings: SiteKind) -> KerbRule:
    """The kind's rule, changed by the keys that were given."""
    clearance: dict[str, float] = {**rule.clearance_m}
    clearance |= {str(kind): metres for kind, metres in settings.clearance_m.items()}
    return replace(rule, clearance_m=clearance, **settings.rule_changes)


def site_files(ctx: Context, kind: str, settings: SiteKind | GreenSites) -> dict[str, InputFile]:
    """Files that a kind rests on besides the run's artifacts, by role."""
    asked: dict[str, str | None] = {}
    if kind == "trees":
        heat = ctx.config.heat
        asked |= {"heat.canopy": heat.canopy, "heat.ndvi": heat.ndvi, "heat.temperature": heat.temperature}
    if isinstance(settings, GreenSites):
        asked["sites.green.parcels"] = settings.parcels
    found = {role: resolve(ctx, role, address) for role, address in asked.items() if address is not None}
    sources: dict[str, FileSource] = {}
    if isinstance(settings, SiteKind):
        sources[f"sites.{kind}.existing"] = settings.existing
    if isinstance(settings, Chargers):
        sources["sites.chargers.fleets"] = settings.fleets
    for role, source in sources.items():
        if source.address is not None:
            found[role] = resolve(ctx, role, source.address, sha256=source.sha256, licence=source.licence)
    return found


def site_facts(plan: SitePlan, *, unit: str, count: int | None) -> dict[str, Any]:
    """What is proven of a set of sites: the members of `sites_{kind}.json`."""
    chosen = plan.selection
    curve = np.asarray(chosen.curve, np.float64)
    facts = {
        "objective": float(chosen.objective),
        "baseline": float(chosen.baseline),
        "bound": float(chosen.bound),
        "gap": _finite(chosen.gap),
        "gain_gap": _finite(chosen.gain_gap),
        "sense": chosen.sense,
        "method": chosen.method,
        "unit": unit if chosen.sense == "max" else f"{unit} × min",
        "curve": [float(x) for x in curve],
        "bend": max(0, bend(np.arange(len(curve), dtype=np.float64), abs(curve - curve[0]))),
        "rejected": dict(plan.rejected),
        "figures": dict(plan.figures),
        "solver": dict(chosen.figures or {}),
    }
    if note := _note(plan, count):
        facts["note"] = note
    return facts


def _note(plan: SitePlan, count: int | None) -> str:
    """Why there are fewer sites than asked for; empty where there are not."""
    found = len(plan.selection.chosen)
    if count is None or found >= count:
        return ""
    if not plan.figures.get("candidates"):
        reasons = ", ".join(
            f"{n} {reason}" for reason, n in sorted(plan.rejected.items(), key=lambda r: -r[1])[:3]
        )
        return f"no place along the streets passed the rules ({reasons or 'there are no streets'})"
    return f"{found} of {count}: no further place would add anything"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
