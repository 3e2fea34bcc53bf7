"""Gaps: clusters of under-served cells in every mode, ranked by what they cost their residents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from engine.gaps import find_gaps
from engine.places.category import Category
from pipelines.steps.context import Context
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet


def gaps_artifact(ctx: Context, scores: Artifact, categories: Mapping[str, Category]) -> Artifact:
    """``gaps.parquet``: one row a gap, by mode, category and rank."""
    scoring, modes = ctx.config.scoring, ctx.config.modes
    counted = [name for name, category in categories.items() if category.weight > 0]
    labels = {name: category.label_en for name, category in categories.items()}
    needs = {
        "scores": scores.key,
        "categories": counted,
        "labels": labels,
        "threshold_min": scoring.cutoff_min,
        "limit_min": scoring.search_limit_min,
    }

    def build(folder: Path) -> dict[str, Any]:
        cells = gpd.read_parquet(scores.file("cells.parquet"))
        tables = [
            find_gaps(
                cells,
                mode=mode,
                categories=counted,
                labels=labels,
                threshold_min=scoring.cutoff_min,
                limit_min=scoring.search_limit_min,
            )
            for mode in modes
        ]
        gaps = gpd.GeoDataFrame(pd.concat(tables, ignore_index=True), geometry="geometry", crs="EPSG:4326")
        write_parquet(gaps, folder / "gaps.parquet")
        return {"gaps": {mode: len(table) for mode, table in zip(modes, tables, strict=True)}}

    return ctx.artifact("gaps", needs, build)
