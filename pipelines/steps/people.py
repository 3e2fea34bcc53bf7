"""People: residents moved from a grid, polygons or a raster to the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from engine.cells import cell_polygons
from engine.population import population_to_cells
from pipelines.sources.population import read_population
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.inputs import resolve
from pipelines.steps.streets import features_of
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet


def cells_frame(area: StudyArea) -> gpd.GeoDataFrame:
    """Cells with their hexadecimal names and outlines."""
    names = [f"{int(c):x}" for c in area.cells]
    return gpd.GeoDataFrame({"h3_cell": names}, geometry=cell_polygons(area.cells), crs="EPSG:4326")


def population_artifact(
    ctx: Context, area: StudyArea, extract: Artifact, *, step: str = "population"
) -> Artifact | None:
    """``population.parquet``: one row a cell; None where the configuration names no population."""
    settings = ctx.config.population
    if settings.address is None:
        return None
    source = resolve(ctx, "population", settings.address, sha256=settings.sha256, licence=settings.licence)
    income = resolve(ctx, "population.income", settings.income) if settings.income else None
    by_buildings = settings.by == "buildings"
    needs = {
        "source": source.sha256,
        "income": income.sha256 if income else None,
        "settings": settings.model_dump(mode="json", exclude={"licence"}),
        "cells": [str(c) for c in area.cells],
        "area": area.boundary.wkt,
        "buildings": extract.key if by_buildings else None,
    }

    def build(folder: Path) -> dict[str, Any]:
        people = read_population(
            source.path,
            kind="grid" if settings.grid else "polygons" if settings.polygons else "raster",
            column=settings.column,
            band=settings.band,
            layer=settings.layer,
            keep=settings.keep,
            income=income.path if income else None,
            income_key=settings.income_key,
            income_column=settings.income_column,
            polygon_key=settings.polygon_key,
            bounds=area.boundary.bounds,
        )
        column = "population" if settings.raster else settings.column
        moved = population_to_cells(
            cells_frame(area),
            people,
            column=column,
            counts=[c for c in settings.keep if c in people.columns and c != settings.income_column],
            means=[settings.income_column] if settings.income_column else [],
            by=settings.by,
            buildings=_buildings(extract) if by_buildings else None,
            area=area.boundary,
        )
        write_parquet(moved.table, folder / "population.parquet")
        return {
            "total": moved.total,
            "inside": moved.inside,
            "outside": moved.outside,
            "nearest": moved.nearest,
            "by_area": moved.by_area,
            "missing": moved.missing,
            "without_income": _without(moved.table, settings.income_column),
            "source": dict(people.attrs.get("report", {})),
        }

    return ctx.artifact(step, needs, build)


def _without(table: pd.DataFrame, column: str | None) -> float:
    """Residents of cells where a mean is not known for anybody."""
    return float(table.loc[table[column].isna(), "population"].sum()) if column else 0.0


def _buildings(extract: Artifact) -> gpd.GeoDataFrame:
    features = features_of(extract)
    is_building = np.array([t.get("building", "no") != "no" for t in features["tags"]], dtype=bool)
    table = features[is_building & (features.geometry.geom_type.isin(["Polygon", "MultiPolygon"]))]
    levels = pd.to_numeric(
        pd.Series([t.get("building:levels") for t in table["tags"]], index=table.index), errors="coerce"
    )
    return gpd.GeoDataFrame({"floors": levels}, geometry=table.geometry, crs=table.crs)
