"""Reach: for each mode, the times from every cell to the places of every category, and how many are in reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.config import Mode
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.measuring import checked_nearest, measure, mode_reach
from pipelines.steps.opportunities import OpportunityTables
from pipelines.steps.tiles import tiled_reach
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet


def reach_artifact(
    ctx: Context, mode: Mode, network: Artifact, opportunities: Artifact, area: StudyArea
) -> Artifact:
    """``reach_{mode}.parquet``: one row a cell with the contract's measures of this mode."""
    scoring = ctx.config.scoring
    needs = {
        "network": network.key,
        "opportunities": opportunities.key,
        "cells": [str(c) for c in area.cells],
        "limit_min": scoring.search_limit_min,
        "max_origin_snap_m": scoring.max_origin_snap_m,
    }

    def build(folder: Path) -> dict[str, Any]:
        if ctx.tile_cells is not None and len(area.cells) > ctx.tile_cells:
            table, report = tiled_reach(
                ctx, mode, area.cells, most=ctx.tile_cells, network=network, opportunities=opportunities
            )
            write_parquet(table, folder / f"reach_{mode}.parquet")
            return report
        places = OpportunityTables.load(opportunities)
        reach = mode_reach(ctx, mode, network, places, area)
        limit_ms = round(scoring.search_limit_min * 60_000)
        field = checked_nearest(reach.network, reach.destinations, k=2, limit_ms=limit_ms)
        table = measure(reach, field, mode, places.categories)
        write_parquet(table, folder / f"reach_{mode}.parquet")
        return {
            "no_network": int(reach.pieces.no_network.sum()),
            "street_km": round(float(reach.pieces.length_m.sum()) / 1000, 3),
        }

    return ctx.artifact(f"reach_{mode}", needs, build)
