"""Portrait of a city: green ladder, types of cells, confidence, and published figures beside ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.cells import street_pieces
from engine.confidence import EVERYWHERE, EXACT_SNAP_M, Rules, cell_confidence, completeness
from engine.equity import weighted_mean
from engine.places.category import Category
from engine.places.ladder import green_distances, ladder_summary
from engine.published import beside_published
from engine.scoring import Decay, residents_of, weight_of
from engine.sensitivity import ranking_sensitivity, sensitivity_summary
from engine.snapping import Snaps
from engine.typology import cell_types
from pipelines.config import Mode
from pipelines.errors import ConfigError
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.measuring import DECIMALS
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.panel import panel_rows
from pipelines.steps.scores import decay_of_run
from pipelines.steps.streets import load_network
from pipelines.store import Artifact
from pipelines.tables_out import write_json, write_parquet


def green_artifact(ctx: Context, network: Artifact, opportunities: Artifact, area: StudyArea) -> Artifact:
    """``green.parquet``: how far, in metres along streets, parks of each size are from every cell."""
    needs = {
        "network": network.key,
        "opportunities": opportunities.key,
        "cells": [str(c) for c in area.cells],
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
    }

    def build(folder: Path) -> dict[str, Any]:
        tables = OpportunityTables.load(opportunities)
        areas = _areas(tables)
        walk = load_network(network, "walk")
        pieces = street_pieces(walk, area.cells, max_snap_m=ctx.config.scoring.max_origin_snap_m)
        table = pd.DataFrame(index=range(pieces.n_cells))
        if len(areas):
            destinations = destinations_for(tables, "walk")
            number = np.full(len(tables.places), -1, dtype=np.int32)
            number[areas.index.to_numpy()] = np.arange(len(areas), dtype=np.int32)
            park = number[destinations.place]
            entered = (park >= 0) & destinations.snaps.accepted
            table = green_distances(
                walk,
                pieces,
                _some(destinations.snaps, entered),
                park[entered],
                areas.to_numpy(np.float64),
            )
        write_parquet(table.round(DECIMALS), folder / "green.parquet")
        return {"parks": len(areas)}

    return ctx.artifact("green", needs, build)


def _areas(tables: OpportunityTables) -> pd.Series:
    """[ha] Area of each green space with an outline, by its row in the places."""
    if "area_ha" not in tables.places:
        return pd.Series(dtype=np.float64)
    return tables.places["area_ha"].dropna()


def _some(snaps: Snaps, keep: npt.NDArray[np.bool_]) -> Snaps:
    """Some of the access points."""
    return Snaps(
        street=snaps.street[keep],
        fraction=snaps.fraction[keep],
        access_m=snaps.access_m[keep],
        access_ms=snaps.access_ms[keep],
        reason=snaps.reason[keep],
    )


def portrait_artifact(
    ctx: Context,
    scores: Artifact,
    opportunities: Artifact,
    green: Artifact | None,
    panel: Artifact,
    categories: Mapping[str, Category],
) -> Artifact:
    """``portrait.parquet`` (types, confidence, green distances of each cell) and ``summary.json``."""
    scoring = ctx.config.scoring
    counted = [name for name, c in categories.items() if c.weight > 0]
    needs = {
        "scores": scores.key,
        "opportunities": opportunities.key,
        "green": green.key if green else None,
        "panel": panel.key,
        "weights": {name: c.weight for name, c in categories.items()},
        "labels": {name: [c.label_en, c.label_fr] for name, c in categories.items()},
        "counted": counted,
        "decay": [scoring.decay, scoring.decay_full_min, scoring.decay_half_min, scoring.decay_zero_min],
        "cutoff_min": scoring.cutoff_min,
        "max_snap_m": scoring.max_snap_m,
        "city": ctx.config.area.name,
        "known": {name: o.known for name, o in ctx.config.opportunities.items() if o.known is not None},
    }

    def build(folder: Path) -> dict[str, Any]:
        cells = gpd.read_parquet(scores.file("cells.parquet"))
        summary = json.loads(scores.file("summary.json").read_text("utf-8"))
        tables = OpportunityTables.load(opportunities)
        weights = {name: categories[name].weight for name in counted}
        mapped = _mapped(ctx, cells, tables)
        columns: dict[str, Any] = {"h3_cell": cells["h3_cell"]}
        for mode in ctx.config.modes:
            figures = summary["modes"][mode]
            own = cells.assign(no_network=cells[f"{mode}_score"].isna())
            columns |= _types(ctx, own, mode, counted, categories, figures)
            seen = _snapped(tables, mode)
            columns |= _confidence(own, mode, seen, list(categories), figures, _rules(ctx), mapped)
            columns |= _sensitivity(own, mode, weights, figures, decay_of_run(ctx))
        distances = pd.read_parquet(green.file("green.parquet")) if green else pd.DataFrame()
        summary["completeness"] = (
            [] if mapped is None else json.loads(mapped.ratios.to_json(orient="records"))
        )
        summary["resolution_panel"] = panel_rows(panel)
        summary["places"] = _counts(tables, ctx.config.modes)
        summary["park_entrances"] = dict(opportunities.info["park_entrances"])
        summary["parks_without_entrance"] = sorted(tables.places.loc[tables.places["no_entrance"], "id"])
        summary["green_ladder"] = _ladder(distances, cells)
        labels = {name: (c.label_en, c.label_fr) for name, c in categories.items()}
        published = beside_published(summary, city=ctx.config.area.name, labels=labels)
        summary["published"] = json.loads(published.to_json(orient="records"))
        table = pd.concat([pd.DataFrame(columns), distances], axis=1)
        write_parquet(table, folder / "portrait.parquet")
        write_json(summary, folder / "summary.json")
        return {"published": len(published)}

    return ctx.artifact("portrait", needs, build)


def _rules(ctx: Context) -> Rules:
    """Rules of confidence; with a cap below what counts as exact, every accepted snap is exact."""
    scoring = ctx.config.scoring
    return Rules(threshold_min=scoring.cutoff_min, max_snap_m=max(scoring.max_snap_m, EXACT_SNAP_M + 1.0))


def _types(
    ctx: Context,
    cells: gpd.GeoDataFrame,
    mode: Mode,
    counted: list[str],
    categories: Mapping[str, Category],
    figures: dict[str, Any],
) -> dict[str, Any]:
    """Type of each cell; the types themselves go into the figures of the mode."""
    if not counted:
        figures["cell_types"] = []
        return {}
    found = cell_types(
        cells,
        mode=mode,
        categories=counted,
        labels_en={n: categories[n].label_en for n in counted},
        labels_fr={n: categories[n].label_fr for n in counted},
        decay=decay_of_run(ctx),
        threshold_min=ctx.config.scoring.cutoff_min,
    )
    figures["cell_types"] = json.loads(found.types.to_json(orient="records"))
    return {f"{mode}_cell_type": found.cells.to_numpy(np.int16)}


def _snapped(tables: OpportunityTables, mode: Mode) -> gpd.GeoDataFrame:
    """Places that the mode reaches, with the shortest walk from a street to one of their doors."""
    access = tables.access[tables.access[f"{mode}_street"] >= 0]
    leg = access.groupby("place")[f"{mode}_access_m"].min()
    seen = pd.to_datetime(tables.places["seen"])
    age = (seen.max() - seen).dt.days / 365.25
    places = tables.places.assign(age_years=age).iloc[leg.index.to_numpy()]
    return places.assign(snap_m=leg.to_numpy(np.float64))


class _Mapped(NamedTuple):
    """What is mapped of what is known to exist, and the neighbourhoods that counts are known for."""

    ratios: pd.DataFrame
    zones: gpd.GeoDataFrame | None


def _mapped(ctx: Context, cells: gpd.GeoDataFrame, tables: OpportunityTables) -> _Mapped | None:
    """
    Places inside the area against the known counts of the configuration; None where there are none.

    Raises
    ------
    ConfigError
        Counts are given for a neighbourhood that the run does not have.
    """
    rows: list[tuple[str, str, int]] = []
    names = {str(n) for n in cells["neighbourhood"].dropna()} if "neighbourhood" in cells else set()
    for category, settings in ctx.config.opportunities.items():
        if isinstance(settings.known, int):
            rows.append((category, EVERYWHERE, settings.known))
        for zone, count in settings.known.items() if isinstance(settings.known, dict) else ():
            if zone not in names:
                known = ", ".join(sorted(names)[:5]) or "none: give area.neighbourhoods"
                msg = f"opportunities.{category}.known names {zone!r}; the run's neighbourhoods are {known}"
                raise ConfigError(msg)
            rows.append((category, zone, count))
    if not rows:
        return None
    points = shapely.get_coordinates(shapely.point_on_surface(tables.places.geometry.to_numpy()))
    resolution = ctx.config.area.resolution
    of = [f"{h3.latlng_to_cell(lat, lon, resolution):x}" for lon, lat in points]
    inside = tables.places[np.isin(of, cells["h3_cell"].to_numpy())]
    zones = None
    if names:
        outlines = cells[cells["neighbourhood"].notna()].dissolve("neighbourhood")
        zones = gpd.GeoDataFrame(
            {"zone": outlines.index.astype(str)}, geometry=outlines.geometry.to_numpy(), crs=cells.crs
        )
    counts = pd.DataFrame(rows, columns=["category", "zone", "known"])
    return _Mapped(completeness(inside, counts, zones=zones), zones)


def _confidence(
    cells: gpd.GeoDataFrame,
    mode: Mode,
    places: gpd.GeoDataFrame,
    names: list[str],
    figures: dict[str, Any],
    rules: Rules,
    mapped: _Mapped | None,
) -> dict[str, Any]:
    """Confidence of each cell in each category, and its mean in the figures of the mode."""
    against = {} if mapped is None else {"ratios": mapped.ratios, "zones": mapped.zones}
    table = cell_confidence(cells, places, mode=mode, categories=names, rules=rules, **against)
    residents = residents_of(cells)
    weight = np.ones(len(cells)) if residents is None else residents
    columns: dict[str, Any] = {}
    for name in names:
        own = table[table["category"] == name]
        confidence = own["confidence"].to_numpy(np.float64)
        columns[f"{mode}_{name}_confidence"] = confidence.round(DECIMALS)
        columns[f"{mode}_{name}_because"] = own["because"].to_numpy()
        mean = weighted_mean(confidence, weight)
        figures["categories"][name]["confidence_mean"] = float(mean) if np.isfinite(mean) else None
    return columns


def _counts(tables: OpportunityTables, modes: Sequence[str]) -> dict[str, Any]:
    """Places of each category, and how many of them no street of a mode is near enough to."""
    places = tables.places
    return {
        name: {
            "found": int((places["category"] == name).sum()),
            "rejected": {
                m: int(((places["category"] == name) & ~places[f"snapped_{m}"]).sum()) for m in modes
            },
        }
        for name in tables.categories
    }


def _sensitivity(
    cells: gpd.GeoDataFrame, mode: Mode, weights: Mapping[str, float], figures: dict[str, Any], decay: Decay
) -> dict[str, Any]:
    """Rank of each cell and its band under other speeds and weights; how firm the ranking is, in the figures."""
    figures["sensitivity"] = None
    if not weights or cells["no_network"].all():
        return {}
    by_cell = ranking_sensitivity(cells, mode=mode, weights=weights, decay=decay)
    told = sensitivity_summary(by_cell)
    if "neighbourhood" in cells.columns:
        some = cells[cells["neighbourhood"].notna()]
        named = ranking_sensitivity(some, mode=mode, weights=weights, decay=decay, group="neighbourhood")
        told["neighbourhoods"] = json.loads(named.table.to_json(orient="records", double_precision=9))
    figures["sensitivity"] = told
    ranks = by_cell.table.set_index("unit").reindex(cells["h3_cell"])
    return {f"{mode}_{c}": ranks[c].to_numpy(np.float64) for c in ("rank", "rank_low", "rank_high")}


def _ladder(distances: pd.DataFrame, cells: gpd.GeoDataFrame) -> dict[str, Any]:
    """Shares of the ladder; empty where no green space has an outline."""
    if distances.empty or not len(distances.columns):
        return {}
    return dict(ladder_summary(distances, weight_of(cells)[0]))
