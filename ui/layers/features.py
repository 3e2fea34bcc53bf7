"""Places, gaps and sites as GeoJSON for the map: few properties, coordinates to 0.1 m."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

DECIMALS = 6
"""Digits of a coordinate: 0.1 m."""


def feature_collection(geometry: Iterable[Any], properties: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """GeoJSON of geometries and their properties; missing and empty geometries are left out."""
    features = [
        {"type": "Feature", "properties": p, "geometry": _rounded(g)}
        for g, p in zip(geometry, properties, strict=True)
        if g is not None and not g.is_empty
    ]
    return {"type": "FeatureCollection", "features": features}


def to_bytes(collection: Any) -> bytes:
    """JSON as compact UTF-8."""
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def places_geojson(opportunities: gpd.GeoDataFrame, *, category: str) -> dict[str, Any]:
    """
    Places of one category as points with a `label`.

    A polygon is drawn at a point inside it. The label is the place's name, else its OpenStreetMap id.
    """
    rows = opportunities[opportunities["category"] == category]
    points = [g if g.geom_type == "Point" else g.representative_point() for g in rows.geometry]
    return feature_collection(points, ({"label": label} for label in labels(rows)))


def labels(rows: pd.DataFrame) -> list[str]:
    """The name of each row, else its id."""
    names = rows["name"] if "name" in rows.columns else pd.Series(None, index=rows.index, dtype=object)
    ids = rows["id"].astype(str)
    return [str(n) if isinstance(n, str) and n.strip() else i for n, i in zip(names, ids, strict=True)]


def as_points(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The table with a point inside each outline in its place."""
    shapes = table.geometry.to_numpy()
    points = np.where(shapely.get_type_id(shapes) == 0, shapes, shapely.point_on_surface(shapes))
    return table.set_geometry(gpd.GeoSeries(points, index=table.index, crs=table.crs))


def table_geojson(
    table: gpd.GeoDataFrame, *, label: Sequence[str], keep: Sequence[str] = ()
) -> dict[str, Any]:
    """A table of gaps or sites with a `label` a row, and the columns in `keep` where it has them."""
    present = [c for c in keep if c in table.columns]
    records = table[present].to_dict("records") if present else [{} for _ in range(len(table))]
    properties = (
        {"label": text, **{k: plain(v) for k, v in r.items()}} for text, r in zip(label, records, strict=True)
    )
    return feature_collection(table.geometry, properties)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy scalars unwrapped, missing values None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _rounded(geometry: Any) -> Any:
    return _round(shapely.geometry.mapping(geometry))


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {k: _round(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_round(v) for v in value]
    return value
