"""Plazas and other walkable areas: crossed in straight lines between their entrances, not walked round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.network.geodesy import EARTH_RADIUS_M
from engine.network.tags import TagColumns
from engine.network.visibility import Areas, lines_across
from engine.osm_extract import OsmExtract

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EXACT_UP_TO = 16
"""Areas with at most this many points keep every straight line that shortens a way."""

STRETCH = 1.05
"""With more points a line is left out where the lines already drawn make at most this multiple of its length: the
number of lines then grows with the points, not with their square (greedy spanner, Althöfer et al. 1993)."""

MAX_POINTS = 240
"""Of more entrances and corners than this, evenly many along the boundary are taken."""


@dataclass(frozen=True, eq=False)
class Crossings:
    """
    Straight lines across areas.

    Attributes
    ----------
    a, b
        Positions of the ends in the extract's nodes.
    way
        Row of the area's way.
    areas, points
        Number of areas crossed, and of their entrances, for the report.
    """

    a: IntArray
    b: IntArray
    way: IntArray
    areas: int
    points: int


def is_area_way(tags: TagColumns) -> BoolArray:
    """Ways tagged as an area that is walked on: ``area=yes``, or a platform."""
    area = tags.isin("area", ("yes",))
    platform = tags.isin("railway", ("platform",)) | tags.isin("public_transport", ("platform",))
    return area | ((platform | tags.isin("highway", ("platform",))) & ~tags.isin("area", ("no",)))


def plaza_crossings(extract: OsmExtract, tags: TagColumns, open_: BoolArray) -> Crossings:
    """
    Lines across every open area of an extract.

    Entrances are the nodes of an area's boundary where another open way or area touches it, and dead ends of open
    ways at ground level inside it. Lines stay inside the area; where a corner or a hole is in the way they bend
    at it.

    Parameters
    ----------
    extract, tags
        The ways.
    open_
        Ways that the mode may use, shape (ways,).

    Notes
    -----
    O(k² · b) for an area of k entrances and corners and b boundary points, k at most `MAX_POINTS`.
    """
    areas = open_areas(extract, is_area_way(tags) & open_)
    if not len(areas.way):
        empty = np.empty(0, dtype=np.int64)
        return Crossings(empty, empty, empty, 0, 0)
    dangling = _dead_ends(extract, tags, open_)
    x, y = _metres(extract.lon, extract.lat)
    a, b, area, points = lines_across(
        x,
        y,
        areas,
        entrance=_meeting_nodes(extract, open_),
        dangling=dangling[np.argsort(x[dangling], kind="stable")],
        exact_up_to=EXACT_UP_TO,
        stretch=STRETCH,
        max_points=MAX_POINTS,
    )
    return Crossings(a, b, areas.way[area], len(areas.way), points)


def open_areas(extract: OsmExtract, chosen: BoolArray) -> Areas:
    """Closed area ways, each an area, and the rings of area relations put together."""
    size = np.diff(extract.way_offsets)
    rows = np.flatnonzero(chosen & (size >= 4))
    first, last = extract.way_offsets[rows], extract.way_offsets[rows + 1] - 1
    rows = rows[extract.way_refs[first] == extract.way_refs[last]]
    relation = np.zeros(len(rows), dtype=np.int64)
    if "area_of" in extract.ways.columns:
        relation = extract.ways["area_of"].to_numpy(np.int64)[rows]
    order = np.lexsort((rows, relation))
    rows, relation = rows[order], relation[order]
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (relation[1:] != relation[:-1]) | (relation[1:] == 0)
    count = size[rows] - 1
    ring_start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    take = np.repeat(extract.way_offsets[rows] - ring_start[:-1], count) + np.arange(ring_start[-1])
    area_start = np.append(np.flatnonzero(begins), len(rows)).astype(np.int64)
    return Areas(extract.way_refs[take], ring_start, area_start, rows[begins])


def _meeting_nodes(extract: OsmExtract, open_: BoolArray) -> BoolArray:
    """Nodes used by more than one open way or area."""
    n = len(extract.node_id)
    way = np.repeat(np.arange(len(open_)), np.diff(extract.way_offsets))
    used = open_[way]
    ref, way = extract.way_refs[used], way[used]
    first, last = np.full(n, len(open_), dtype=np.int64), np.full(n, -1, dtype=np.int64)
    np.minimum.at(first, ref, way)
    np.maximum.at(last, ref, way)
    return np.asarray(last > first)


def _dead_ends(extract: OsmExtract, tags: TagColumns, open_: BoolArray) -> IntArray:
    """Ends of open ways that meet no other open way, at ground level."""
    raised = tags.map("layer", lambda text: text not in {"0", ""}, default=False).astype(bool)
    for key in ("tunnel", "bridge"):
        raised |= tags.has(key) & ~tags.isin(key, ("no",))
    rows = np.flatnonzero(open_ & ~raised & (np.diff(extract.way_offsets) >= 2))
    first, last = extract.way_offsets[rows], extract.way_offsets[rows + 1] - 1
    ends = np.concatenate([extract.way_refs[first], extract.way_refs[last]])
    used = np.repeat(open_, np.diff(extract.way_offsets))
    uses = np.bincount(extract.way_refs[used], minlength=len(extract.node_id))
    alone = np.zeros(len(extract.node_id), dtype=bool)
    alone[ends[uses[ends] == 1]] = True
    return np.flatnonzero(alone)


def _metres(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[m] Plane coordinates true to scale at the middle of the extract: enough for what is straight and inside."""
    scale = np.pi * EARTH_RADIUS_M / 180
    middle = float(np.mean(lat)) if len(lat) else 0.0
    reference = float(lon[0]) if len(lon) else 0.0
    east = (lon - reference + 180.0) % 360.0 - 180.0
    return east * scale * np.cos(np.deg2rad(middle)), lat * scale
