"""Names on the map: streets along their course, parks, water and neighbourhoods, from the run's own data."""

from __future__ import annotations

import json
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from ui.layers.backdrop import kind_of
from ui.layers.features import DECIMALS
from ui.layers.frame import mercator, unwrap
from ui.layers.streets import NARROWEST, one_direction, street_class

NameKind = Literal["district", "water", "park", "street"]
_EVERY_M = 600.0
"""[m] A long street says its name again after so much."""
_REACHES_M = (240.0, 120.0, 60.0, 30.0)
"""[m] Half lengths along a street on which its name may stand, longest first."""
_STRAIGHT = 0.985
"""A piece of street counts as straight where its chord is at least this share of its length."""
_MOST = 6000
_METRES_A_WORLD = 40_075_016.686


def names_json(
    streets: gpd.GeoDataFrame, features: gpd.GeoDataFrame | None, cells: gpd.GeoDataFrame
) -> list[list[Any]]:
    """
    Where names stand on the map, the weightiest first.

    Parameters
    ----------
    streets
        Edges (EPSG:4326) with ``length_m``, and ``name`` and ``highway`` where known.
    features
        The run's OpenStreetMap features: ``tags`` and ``geometry``; None where there are none.
    cells
        ``geometry``, and ``neighbourhood`` where the run has such.

    Returns
    -------
    list
        ``[kind, text, lon, lat, angle, room]`` each: the angle [deg, clockwise on the screen, −90 to 90] of the
        street there, and the room [m] that the name may take.
    """
    found = [*_districts(cells), *_areas(features), *_streets(streets)]
    return found[:_MOST]


def _districts(cells: gpd.GeoDataFrame) -> list[list[Any]]:
    if "neighbourhood" not in cells.columns:
        return []
    table = cells[cells["neighbourhood"].notna().to_numpy()]
    centres = shapely.get_coordinates(shapely.centroid(table.geometry.to_numpy()))
    points = pd.DataFrame({"name": table["neighbourhood"].astype(str).to_numpy(), "lon": centres[:, 0],
                           "lat": centres[:, 1]})  # fmt: skip
    middle = points.groupby("name", sort=True).agg(
        lon=("lon", "mean"), lat=("lat", "mean"), n=("lon", "size")
    )
    room = 140 * np.sqrt(middle["n"])
    return [
        _entry("district", str(name), float(r.lon), float(r.lat), 0.0, float(w))
        for (name, r), w in zip(middle.iterrows(), room, strict=True)
    ]


def _areas(features: gpd.GeoDataFrame | None) -> list[list[Any]]:
    if features is None or features.empty:
        return []
    areas = features[features.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy()]
    found: dict[tuple[str, str], tuple[float, list[Any]]] = {}
    for tags, shape in zip(areas["tags"], areas.geometry, strict=True):
        told = json.loads(tags) if isinstance(tags, str) else dict(tags)
        kind, name = kind_of(told), str(told.get("name") or "").strip()
        if kind is None or not name:
            continue
        point = shapely.point_on_surface(shape)
        area = shape.area * np.cos(np.radians(point.y)) * (_METRES_A_WORLD / 360) ** 2
        if area > found.get((kind, name), (0.0, []))[0]:
            label: NameKind = "water" if kind == "water" else "park"
            found[kind, name] = (area, _entry(label, name, point.x, point.y, 0.0, 1.6 * float(np.sqrt(area))))
    return [entry for _, entry in sorted(found.values(), key=lambda pair: (-pair[0], pair[1][1]))]


def _streets(edges: gpd.GeoDataFrame) -> list[list[Any]]:
    if "name" not in edges.columns or edges.empty:
        return []
    streets = one_direction(edges)
    names = streets["name"].astype("string").str.strip()
    streets = streets[(names.notna() & (names != "")).to_numpy(bool)]
    rank = (
        street_class(streets["highway"]) if "highway" in streets.columns else np.full(len(streets), NARROWEST)
    )
    table = pd.DataFrame({"name": streets["name"].astype(str).str.strip().to_numpy(), "rank": rank,
                          "line": streets.geometry.to_numpy()})  # fmt: skip
    found: list[tuple[int, float, list[Any]]] = []
    for name, pieces in table.groupby("name", sort=True):
        best = int(pieces["rank"].min())
        for room, entry in _along(str(name), pieces["line"].to_numpy()):
            found.append((best, -room, entry))
    found.sort(key=lambda x: (x[0], x[1], x[2][1], x[2][2]))
    return [entry for *_, entry in found]


def _along(name: str, lines: Any) -> list[tuple[float, list[Any]]]:
    """Where a street's name stands: on straight pieces of its longest course."""
    merged = shapely.line_merge(shapely.union_all(lines))
    parts = shapely.get_parts(merged)
    course = parts[int(np.argmax(shapely.length(parts)))]
    lon_lat = shapely.get_coordinates(course)
    ground = np.cos(np.radians(lon_lat[:, 1].mean())) * _METRES_A_WORLD
    flat = shapely.linestrings(mercator(unwrap(lon_lat[:, 0]), lon_lat[:, 1]) * ground)
    length = float(flat.length)
    count = max(1, round(length / _EVERY_M))
    found = []
    for k in range(count):
        at = (k + 0.5) * length / count
        for reach in _REACHES_M:
            first, last = max(0.0, at - reach), min(length, at + reach)
            a, b = shapely.get_coordinates(shapely.line_interpolate_point(flat, [first, last]))
            chord = float(np.hypot(*(b - a)))
            if last - first > 0 and chord >= _STRAIGHT * (last - first):
                turn = float(np.degrees(np.arctan2(b[1] - a[1], b[0] - a[0])))
                turn -= 180 if turn > 90 else -180 if turn <= -90 else 0
                x, y = shapely.get_coordinates(shapely.line_interpolate_point(flat, at))[0] / ground
                lon, lat = 360 * x - 180, float(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y)))))
                found.append((chord, _entry("street", name, float(lon), lat, turn, chord)))
                break
    return found


def _entry(kind: NameKind, text: str, lon: float, lat: float, angle: float, room: float) -> list[Any]:
    return [kind, text, round(lon, DECIMALS), round(lat, DECIMALS), round(angle), round(room)]
