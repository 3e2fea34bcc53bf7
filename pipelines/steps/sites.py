"""Sites: where new chargers, sorting points and trees would serve most, with the proof of how good the set is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.cells import StreetPieces, street_pieces
from engine.network.street_network import StreetNetwork
from engine.sites.candidates import Obstacles
from engine.sites.plan import SitePlan
from engine.sites.rules import TREES
from engine.sites.stations import site_chargers, site_sorting
from engine.sites.trees import site_trees
from pipelines.config import Heat, SiteKind
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.inputs import resolve
from pipelines.steps.opportunities import read_file_places
from pipelines.steps.streets import features_of, load_network
from pipelines.steps.surface import canopy_share, heat_factor
from pipelines.store import Artifact
from pipelines.tables_out import write_json, write_parquet

KINDS = ("chargers", "sorting", "trees")

_EXISTING: dict[str, Callable[[dict[str, str]], bool]] = {
    "chargers": lambda t: t.get("amenity") == "charging_station",
    "sorting": lambda t: t.get("amenity") == "recycling",
    "trees": lambda t: t.get("natural") == "tree",
}
_OBSTACLES: dict[str, Callable[[dict[str, str]], bool]] = {
    "building": lambda t: t.get("building", "no") != "no",
    "crossing": lambda t: t.get("highway") == "crossing",
    "bus_stop": lambda t: t.get("highway") == "bus_stop",
    "tree": lambda t: t.get("natural") in ("tree", "tree_row"),
    "charger": lambda t: t.get("amenity") == "charging_station",
}


def sites_artifact(
    ctx: Context,
    kind: str,
    *,
    extract: Artifact,
    network_walk: Artifact,
    network_street30: Artifact,
    population: Artifact | None,
    area: StudyArea,
) -> Artifact:
    """``sites_{kind}.parquet``, ranked with why, and ``sites_{kind}.json`` with objective, bound, gap and curve."""
    settings: SiteKind = getattr(ctx.config.sites, kind)
    bounds = area.boundary.bounds
    existing = settings.existing
    needs: dict[str, Any] = {
        "kind": kind,
        "settings": settings.model_dump(mode="json"),
        "extract": extract.key,
        "networks": [network_walk.key, network_street30.key],
        "population": population.key if population else None,
        "cells": [str(c) for c in area.cells],
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
        "existing": None,
    }
    heat = ctx.config.heat if kind == "trees" else Heat()
    canopy = resolve(ctx, "heat.canopy", heat.canopy) if heat.canopy else None
    warmth = resolve(ctx, "heat.temperature", heat.temperature) if heat.temperature else None
    needs["heat"] = [r.sha256 if r else None for r in (canopy, warmth)]
    if existing.address is not None:
        role = f"sites.{kind}.existing"
        filed = read_file_places(ctx, role, existing, bounds=bounds)
        needs["existing"] = ctx.inputs[role].sha256
    else:
        filed = None

    def build(folder: Path) -> dict[str, Any]:
        features = features_of(extract)
        tags = features["tags"].tolist()
        mapped = features[[_EXISTING[kind](t) for t in tags]] if len(features) else features
        known = _points(mapped, filed)
        obstacles: Obstacles = {
            name: features.geometry[[test(t) for t in tags]] if len(features) else features.geometry
            for name, test in _OBSTACLES.items()
        }
        walk = load_network(network_walk, "walk")
        motor = load_network(network_street30, "street30")
        pieces = street_pieces(walk, area.cells, max_snap_m=ctx.config.scoring.max_origin_snap_m)
        demand, unit = _demand(population, ~pieces.no_network)
        surfaces = {
            "canopy": canopy_share(canopy, area.cells) if canopy else None,
            "heat": heat_factor(warmth, area.cells) if warmth else None,
        }
        plan = _plan(kind, settings, walk, motor, pieces, demand, unit, known, obstacles, surfaces)
        write_parquet(plan.sites, folder / f"sites_{kind}.parquet")
        facts = site_facts(plan, unit=unit)
        write_json(facts, folder / f"sites_{kind}.json")
        return {k: v for k, v in facts.items() if k != "curve"}

    return ctx.artifact(f"sites_{kind}", needs, build)


def _plan(
    kind: str,
    settings: Any,
    walk: StreetNetwork,
    motor: StreetNetwork,
    pieces: StreetPieces,
    demand: npt.NDArray[np.float64],
    unit: str,
    existing: gpd.GeoDataFrame,
    obstacles: Obstacles,
    surfaces: Mapping[str, npt.NDArray[np.float64] | None],
) -> SitePlan:
    if kind == "trees":
        rule = replace(TREES, spacing_m=settings.spacing_m, apart_m=min(TREES.apart_m, settings.spacing_m))
        return site_trees(
            walk,
            motor,
            pieces,
            demand,
            count=settings.count,
            existing=existing,
            obstacles=obstacles,
            rule=rule,
            canopy=surfaces["canopy"],
            heat=surfaces["heat"],
        )
    site = site_chargers if kind == "chargers" else site_sorting
    return site(
        walk,
        motor,
        pieces,
        demand,
        count=settings.count,
        existing=existing,
        cutoff_min=settings.walk_min,
        min_spacing_m=settings.spacing_m,
        obstacles={k: v for k, v in obstacles.items() if k != "charger" or kind != "chargers"},
        unit=unit,
    )


def site_facts(plan: SitePlan, *, unit: str) -> dict[str, Any]:
    """What is proven of a set of sites: the members of `sites_{kind}.json`."""
    chosen = plan.selection
    return {
        "objective": float(chosen.objective),
        "baseline": float(chosen.baseline),
        "bound": float(chosen.bound),
        "gap": float(chosen.gap),
        "method": chosen.method,
        "unit": unit,
        "curve": [float(x) for x in chosen.curve],
        "rejected": dict(plan.rejected),
        "figures": dict(plan.figures),
    }


def _points(mapped: gpd.GeoDataFrame, filed: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """Existing sites as points, from the map and from a file."""
    parts = [shapely.point_on_surface(mapped.geometry.to_numpy())]
    names = [str(t.get("name", "")) for t in mapped["tags"]]
    if filed is not None:
        parts.append(shapely.point_on_surface(filed.geometry.to_numpy()))
        names += [str(n) for n in filed["name"]]
    points = np.concatenate(parts)
    return gpd.GeoDataFrame({"name": names}, geometry=points, crs="EPSG:4326")


def _demand(
    population: Artifact | None, has_network: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], str]:
    """Residents of each cell; where no population is given, every cell with streets counts as one."""
    if population is None:
        return has_network.astype(np.float64), "cells"
    table = pd.read_parquet(population.file("population.parquet"))
    return table["population"].to_numpy(np.float64), "residents"
