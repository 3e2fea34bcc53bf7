"""The city's figures at several sizes of cells: how far they hang on the grid (modifiable areal unit problem)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd

from engine.cells import cells_in_area, street_pieces
from engine.places.category import Category
from engine.reach.cell_times import cell_times
from engine.reach.nearest import nearest
from engine.scoring import residents_of, score_cells
from engine.sensitivity import resolution_panel
from pipelines.config import Mode
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.measuring import DECIMALS
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.people import cells_frame, population_artifact
from pipelines.steps.scores import decay_of_run
from pipelines.steps.streets import load_network
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet

MOST_CELLS = 100_000
"""A resolution at which the area would have more cells than this is left out of the panel."""


def panel_artifact(
    ctx: Context,
    mode: Mode,
    area: StudyArea,
    *,
    network: Artifact,
    opportunities: Artifact,
    scores: Artifact,
    extract: Artifact,
    categories: Mapping[str, Category],
) -> Artifact:
    """``panel.parquet``: figures of one mode at each resolution; no rows where only one resolution is asked for."""
    scoring, own = ctx.config.scoring, ctx.config.area.resolution
    others = sorted(r for r in set(scoring.resolutions) - {own} if _about(area, own, r) <= MOST_CELLS)
    areas = {r: _area_at(area, r) for r in others}
    people = {r: population_artifact(ctx, areas[r], extract, step=f"population_r{r}") for r in others}
    needs = {
        "scores": scores.key,
        "network": network.key,
        "opportunities": opportunities.key,
        "people": {r: p.key if p else None for r, p in people.items()},
        "cells": {r: [str(c) for c in a.cells] for r, a in areas.items()},
        "mode": mode,
    }

    def build(folder: Path) -> dict[str, Any]:
        cells = gpd.read_parquet(scores.file("cells.parquet"))
        tables = {
            own: pd.DataFrame(cells.drop(columns="geometry")).assign(no_network=cells[f"{mode}_score"].isna())
        }
        if areas:
            tables |= _measured(ctx, mode, areas, people, network, opportunities, categories)
        panel = pd.DataFrame(columns=["mode", "category", "figure"])
        if len(tables) > 1 and _alike(tables):
            panel = resolution_panel(
                tables,
                modes=[mode],
                categories=list(categories),
                counted=[n for n, c in categories.items() if c.weight > 0],
                threshold_min=scoring.cutoff_min,
                limit_min=scoring.search_limit_min,
            )
        write_parquet(panel, folder / "panel.parquet")
        return {"cells": {str(r): len(t) for r, t in sorted(tables.items())}}

    return ctx.artifact("panel", needs, build)


def panel_rows(panel: Artifact) -> list[dict[str, Any]]:
    """The panel as the summary tells it."""
    rows: list[dict[str, Any]] = json.loads(
        pd.read_parquet(panel.file("panel.parquet")).to_json(orient="records", double_precision=9)
    )
    return rows


def _about(area: StudyArea, own: int, resolution: int) -> float:
    """Number of cells that the area has at a resolution, about."""
    ratio = h3.average_hexagon_area(own, unit="m^2") / h3.average_hexagon_area(resolution, unit="m^2")
    return float(len(area.cells) * ratio)


def _area_at(area: StudyArea, resolution: int) -> StudyArea:
    cells = cells_in_area(area.boundary, resolution=resolution)
    return StudyArea(area.boundary, cells, np.full(len(cells), None, dtype=object))


def _alike(tables: Mapping[int, pd.DataFrame]) -> bool:
    """Whether all resolutions weigh by residents, or none does."""
    return len({residents_of(t) is None for t in tables.values()}) == 1


def _measured(
    ctx: Context,
    mode: Mode,
    areas: Mapping[int, StudyArea],
    people: Mapping[int, Artifact | None],
    network: Artifact,
    opportunities: Artifact,
    categories: Mapping[str, Category],
) -> dict[int, pd.DataFrame]:
    """Scored cells at each resolution: one search, integrated over other pieces of the same streets."""
    scoring = ctx.config.scoring
    streets = load_network(network, mode)
    places = destinations_for(OpportunityTables.load(opportunities), mode)
    field = nearest(streets, places, k=1, limit_ms=round(scoring.search_limit_min * 60_000))
    weights = {name: c.weight for name, c in categories.items()}
    tables = {}
    for r, area in areas.items():
        pieces = street_pieces(streets, area.cells, max_snap_m=scoring.max_origin_snap_m)
        minutes = (cell_times(streets, pieces, field, places).mean_ms[:, :, 0] / 60_000).round(DECIMALS)
        table = pd.DataFrame({f"{mode}_{name}_minutes": minutes[:, c] for c, name in enumerate(categories)})
        table.insert(0, "h3_cell", cells_frame(area)["h3_cell"])
        table["no_network"] = pieces.no_network
        moved = people[r]
        residents = None if moved is None else pd.read_parquet(moved.file("population.parquet"))
        table["population"] = np.nan if residents is None else residents["population"].to_numpy(np.float64)
        scored = score_cells(
            table,
            weights=weights,
            modes=[mode],
            decay=decay_of_run(ctx),
            threshold_min=scoring.cutoff_min,
        )
        tables[r] = pd.concat([table, scored], axis=1)
    return tables
