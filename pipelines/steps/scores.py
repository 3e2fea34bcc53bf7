"""Scores: the cells table of the contract and the city's summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3.api.numpy_int as h3
import numpy as np
import pandas as pd

from engine.places.category import Category
from engine.scoring import Decay, city_summary, score_cells
from pipelines.config import Mode
from pipelines.steps.area import StudyArea, near_edge
from pipelines.steps.context import Context
from pipelines.steps.people import cells_frame
from pipelines.store import Artifact
from pipelines.tables_out import write_json, write_parquet


def scores_artifact(
    ctx: Context,
    area: StudyArea,
    reach: Mapping[Mode, Artifact],
    further: Mapping[Mode, Artifact],
    population: Artifact | None,
    categories: Mapping[str, Category],
    *,
    extract: Artifact,
    reaches: Mapping[Mode, float],
) -> Artifact:
    """``cells.parquet`` (the contract's columns) and ``summary.json``."""
    scoring = ctx.config.scoring
    weights = {name: category.weight for name, category in categories.items()}
    needs = {
        "reach": {m: a.key for m, a in reach.items()},
        "further": {m: a.key for m, a in further.items()},
        "population": population.key if population else None,
        "cells": [str(c) for c in area.cells],
        "neighbourhoods": [None if n is None else str(n) for n in area.neighbourhood],
        "weights": weights,
        "decay": [scoring.decay, scoring.decay_full_min, scoring.decay_half_min, scoring.decay_zero_min],
        "cutoff_min": scoring.cutoff_min,
        "limit_min": scoring.search_limit_min,
        "extent": [extract.info["bbox"], extract.info["road_ends"]],
        "reach_m": dict(reaches),
    }

    def build(folder: Path) -> dict[str, Any]:
        cells = assemble_cells(area, reach, population, extract=extract, reaches=reaches)
        decay = decay_of_run(ctx)
        missing = {
            mode: pd.read_parquet(a.file(f"reach_{mode}.parquet"))["no_network"] for mode, a in reach.items()
        }
        scores = [
            score_cells(
                cells.assign(no_network=missing[mode]),
                weights=weights,
                modes=[mode],
                decay=decay,
                threshold_min=scoring.cutoff_min,
            )
            for mode in reach
        ]
        more = [pd.read_parquet(a.file(f"measures_{mode}.parquet")) for mode, a in further.items()]
        scored = gpd.GeoDataFrame(
            pd.concat([cells, *scores, *more], axis=1), geometry="geometry", crs=cells.crs
        )
        write_parquet(scored, folder / "cells.parquet")
        parts = [
            city_summary(
                scored.assign(no_network=missing[mode]),
                modes=[mode],
                categories=list(categories),
                counted=[name for name, weight in weights.items() if weight > 0],
                threshold_min=scoring.cutoff_min,
                limit_min=scoring.search_limit_min,
                income=ctx.config.population.income_column or "income",
            )
            for mode in reach
        ]
        summary = parts[0] | {
            "area_km2": float(sum(h3.cell_area(int(c), unit="km^2") for c in area.cells)),
            "categories_counted": [name for name, weight in weights.items() if weight > 0],
            "modes": {mode: part["modes"][mode] for mode, part in zip(reach, parts, strict=True)},
        }
        write_json(summary, folder / "summary.json")
        return {
            "cells": len(scored),
            "edge_affected": int(scored["edge_affected"].sum()),
            "no_network": int(scored["no_network"].sum()),
        }

    return ctx.artifact("scores", needs, build)


def decay_of_run(ctx: Context) -> Decay:
    """What a place is worth at a distance, by the run's configuration."""
    scoring = ctx.config.scoring
    return Decay(
        scoring.decay,
        full_min=scoring.decay_full_min,
        half_min=scoring.decay_half_min,
        zero_min=scoring.decay_zero_min,
    )


def assemble_cells(
    area: StudyArea,
    reach: Mapping[Mode, Artifact],
    population: Artifact | None,
    *,
    extract: Artifact,
    reaches: Mapping[Mode, float],
) -> gpd.GeoDataFrame:
    """
    One row a cell: people, streets, flags, and every mode's measures.

    ``street_length_m``, ``no_network`` and ``edge_affected`` are the walking network's (the first mode's where
    nobody walks); ``{mode}_edge_affected`` tells it for each mode.
    """
    cells = cells_frame(area)
    people = pd.read_parquet(population.file("population.parquet")) if population else None
    cells["population"] = people["population"].to_numpy(np.float64) if people is not None else np.nan
    if people is not None:
        for column in people.columns.difference(["h3_cell", "population"]):
            cells[str(column)] = people[column].to_numpy()
    if any(n is not None for n in area.neighbourhood):
        cells["neighbourhood"] = area.neighbourhood
    tables = {
        mode: pd.read_parquet(artifact.file(f"reach_{mode}.parquet")) for mode, artifact in reach.items()
    }
    main = next(iter(tables))
    west, south, east, north = extract.info["bbox"]
    ends = extract.info["road_ends"]
    edge = {mode: near_edge(area.cells, (west, south, east, north), ends, reaches[mode]) for mode in tables}
    cells["street_length_m"] = tables[main]["street_length_m"].to_numpy(np.float64)
    cells["edge_affected"] = edge[main]
    cells["no_network"] = tables[main]["no_network"].to_numpy(bool)
    measures = [t.drop(columns=["street_length_m", "no_network"]) for t in tables.values()]
    flags = pd.DataFrame({f"{mode}_edge_affected": flag for mode, flag in edge.items()})
    return gpd.GeoDataFrame(
        pd.concat([cells, flags, *measures], axis=1), geometry="geometry", crs="EPSG:4326"
    )
