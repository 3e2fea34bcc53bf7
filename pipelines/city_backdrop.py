"""Water, main roads and names of a run: what makes a small map of its cells readable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import shapely

from pipelines.city_drawing import Frame, outline
from pipelines.rundir import RunDirectory

_MAIN = ("motorway", "trunk", "primary", "secondary")
_PLACES = ("suburb", "quarter", "neighbourhood")
_NOTHING = np.empty(0, dtype=object)
_LETTER, _LINE, _MOST_NAMES = 4.0, 13.0, 14
"""Width of a letter and height of a line of names in units of the drawing, and how many names a map has at most."""


class Backdrop(NamedTuple):
    """
    What makes a map readable: EPSG:4326, each part may be empty.

    Attributes
    ----------
    water
        Polygons.
    roads
        Lines of main roads.
    names
        Name and point of neighbourhoods, the most important first.
    """

    water: npt.NDArray[np.object_]
    roads: npt.NDArray[np.object_]
    names: Sequence[tuple[str, Any]]


def backdrop_of(run: RunDirectory) -> Backdrop:
    """
    Water and names of neighbourhoods from the run's features, main roads from its streets.

    Every part that the run does not know is empty: a run of own tables has none but the names of its
    neighbourhoods.

    Parameters
    ----------
    run
        A finished run.
    """
    water, names = _of_features(run)
    return Backdrop(water, _roads(run), names or _of_neighbourhoods(run))


def _of_features(run: RunDirectory) -> tuple[Any, list[tuple[str, Any]]]:
    if not run.has("features.parquet"):
        return _NOTHING, []
    table = gpd.read_parquet(run.path / "features.parquet")
    shapes = table.geometry.to_numpy()
    tags = [
        json.loads(t) if '"water"' in t or '"place"' in t or '"riverbank"' in t else {} for t in table["tags"]
    ]
    wet = np.array(
        [t.get("natural") == "water" or t.get("waterway") == "riverbank" for t in tags], dtype=bool
    )
    wet &= shapely.get_dimensions(shapes) == 2
    named = sorted(
        (_PLACES.index(t["place"]), t["name"], k)
        for k, t in enumerate(tags)
        if t.get("place") in _PLACES and t.get("name")
    )
    return shapes[wet], [(name, shapely.point_on_surface(shapes[k])) for _, name, k in named]


def _roads(run: RunDirectory) -> Any:
    mode = "street30" if "street30" in run.modes else run.modes[0]
    path = run.path / f"network_{mode}_edges.parquet"
    if "highway" not in pq.read_schema(path).names:
        return _NOTHING
    edges = gpd.read_parquet(path, columns=["highway", "backward", "geometry"])
    main = edges["highway"].isin(_MAIN) & ~edges["backward"]
    return edges.geometry.to_numpy()[main.to_numpy()]


def _of_neighbourhoods(run: RunDirectory) -> list[tuple[str, Any]]:
    """Names of the run's neighbourhoods at the middle of their cells, the largest first."""
    cells = run.cells
    if "neighbourhood" not in cells.columns:
        return []
    centres = shapely.get_coordinates(shapely.centroid(cells.geometry.to_numpy()))
    table = cells[["neighbourhood"]].assign(x=centres[:, 0], y=centres[:, 1], n=1)
    middle = table.groupby("neighbourhood").agg({"x": "mean", "y": "mean", "n": "size"})
    ordered = middle.sort_values("n", ascending=False, kind="stable")
    return [(str(name), shapely.Point(row.x, row.y)) for name, row in ordered.iterrows()]


def drawn(backdrop: Backdrop, frame: Frame) -> list[str]:
    """Water, roads and names within the frame; of names that would overlap the first."""
    west, south, east, north = frame.bounds
    water, roads = (
        shapely.clip_by_rect(some, west, south, east, north) if len(some) else some
        for some in (backdrop.water, backdrop.roads)
    )
    small = 0.5 / frame.down
    rings = [p for p in shapely.get_parts(shapely.simplify(water, small)) if p.geom_type == "Polygon"]
    lines = shapely.get_parts(shapely.simplify(roads, small))
    lines = lines[shapely.get_type_id(lines) == 1]
    drawn = "".join(
        "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in frame.points(shapely.get_coordinates(line)))
        for line in lines
    )
    parts = [
        f'<path d="{outline(np.array(rings, dtype=object), frame)}" fill="#b8d4e8" fill-opacity=".85"/>'
        if rings
        else "",
        f'<path d="{drawn}" fill="none" stroke="#fff" stroke-width=".7" stroke-opacity=".75"/>'
        if drawn
        else "",
    ]
    taken: list[tuple[float, float, float]] = []
    for name, point in backdrop.names:
        x, y = frame.points(shapely.get_coordinates(point)[:1])[0]
        half = _LETTER * len(name) / 2
        inside = half < x < frame.width - half and 6 < y < frame.height - 4
        free = all(abs(y - b) > _LINE or abs(x - a) > half + other for a, b, other in taken)
        if inside and free and len(taken) < _MOST_NAMES:
            taken.append((x, y, half))
            parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="7.5" fill="#222" stroke="#fff" '
                f'stroke-width="1.8" paint-order="stroke">{escape(name)}</text>'
            )
    return parts
