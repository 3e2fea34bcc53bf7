"""Writing tables: GeoParquet with the same bytes for the same content, and the formats of GIS and spreadsheets."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from pipelines.errors import ConfigError
from pipelines.store import write_atomic

FORMATS = {"gpkg": "GPKG", "geojson": "GeoJSON", "csv": "CSV", "flatgeobuf": "FlatGeobuf"}


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table; the bytes depend on its content alone."""
    table = table.reset_index(drop=True)
    if isinstance(table, gpd.GeoDataFrame):
        table.to_parquet(
            path, index=False, compression="zstd", geometry_encoding="WKB", write_covering_bbox=False
        )
    else:
        table.to_parquet(path, index=False, compression="zstd")


def write_json(value: object, path: Path) -> None:
    """Write JSON with sorted keys, NaN as null."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    write_atomic(path, (text + "\n").encode())


def _plain(value: Any) -> object:
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    msg = f"cannot write a {type(value).__name__} to JSON"
    raise TypeError(msg)


def export_table(table: gpd.GeoDataFrame, path: Path, *, form: str, layer: str) -> None:
    """
    Write a table for QGIS or a spreadsheet.

    A CSV has the centroid's ``lon`` and ``lat`` instead of the geometry, and text that a spreadsheet would
    take for a formula is quoted with an apostrophe.

    Raises
    ------
    ConfigError
        The format is unknown.
    """
    if form not in FORMATS:
        msg = f"unknown format {form!r}; known are {', '.join(FORMATS)}"
        raise ConfigError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        write_atomic(path, _csv(table).encode("utf-8-sig"))
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as work:
        part = Path(work) / f"part.{'fgb' if form == 'flatgeobuf' else form}"
        options: dict[str, Any] = {"layer": layer} if form == "gpkg" else {}
        table.to_file(part, driver=FORMATS[form], engine="pyogrio", **options)
        os.replace(part, path)  # noqa: PTH105 - replaces across the same folder, atomically


def _csv(table: gpd.GeoDataFrame) -> str:
    points = table.geometry.representative_point()
    flat = pd.DataFrame(table.drop(columns=table.geometry.name))
    flat["lon"], flat["lat"] = points.x.round(7), points.y.round(7)
    for column in flat.columns:
        if pd.api.types.is_string_dtype(flat[column]) or flat[column].dtype == object:
            flat[column] = flat[column].map(harmless, na_action="ignore")
    # RFC 4180; with "\n" alone a "\r" inside a text would stand unquoted and begin a new line
    return str(flat.to_csv(index=False, lineterminator="\r\n"))


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet begins a formula with, full-width signs included (OWASP, CSV Injection)."""


def harmless(value: object) -> object:
    """Text that a spreadsheet cannot take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
