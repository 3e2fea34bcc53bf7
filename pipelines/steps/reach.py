"""Reach: for each mode, the times from every cell to the places of every category, and how many are in reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.config import Mode
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.ground import Ground
from pipelines.steps.measuring import checked_nearest, measure, mode_reach
from pipelines.steps.opportunities import OpportunityTables
from pipelines.steps.tiles import Tile, missing_tiles, tiled_reach
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet


def reach_artifact(
    ctx: Context, mode: Mode, network: Artifact, opportunities: Artifact, area: StudyArea
) -> Artifact:
    """``reach_{mode}.parquet``: one row a cell with the contract's measures of this mode."""

    def build(folder: Path) -> dict[str, Any]:
        if (most := ctx.cells_at_once(len(area.cells))) is not None:
            table, report = tiled_reach(
                ctx, mode, area.cells, most=most, network=network, opportunities=opportunities
            )
            write_parquet(table, folder / f"reach_{mode}.parquet")
            return report
        places = OpportunityTables.load(opportunities)
        reach = mode_reach(ctx, mode, network, places, area)
        limit_ms = round(ctx.config.scoring.search_limit_min * 60_000)
        field = checked_nearest(reach.network, reach.destinations, k=2, limit_ms=limit_ms)
        table = measure(reach, field, mode, places.categories)
        write_parquet(table, folder / f"reach_{mode}.parquet")
        return {
            "no_network": int(reach.pieces.no_network.sum()),
            "street_km": round(float(reach.pieces.length_m.sum()) / 1000, 3),
        }

    needs = _needs(ctx, network, opportunities, area)
    return ctx.artifact(f"reach_{mode}", needs, build)


def tiles_to_make(ctx: Context, ground: Ground) -> list[Tile]:
    """
    Tiles that the reach of a run is joined from and that are not in the cache yet, for every mode.

    None where all cells are measured at once. What the tiles of a mode share is computed where it is missing.
    """
    found: list[Tile] = []
    area, opportunities = ground.area, ground.opportunities
    most = ctx.cells_at_once(len(area.cells))
    if most is None:
        return found
    for mode, network in ground.networks.items():
        if not ctx.known(f"reach_{mode}", _needs(ctx, network, opportunities, area)):
            found += missing_tiles(
                ctx, mode, area.cells, most=most, network=network, opportunities=opportunities
            )
    return found


def _needs(ctx: Context, network: Artifact, opportunities: Artifact, area: StudyArea) -> dict[str, Any]:
    return {
        "network": network.key,
        "opportunities": opportunities.key,
        "cells": [str(c) for c in area.cells],
        "limit_min": ctx.config.scoring.search_limit_min,
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
    }
