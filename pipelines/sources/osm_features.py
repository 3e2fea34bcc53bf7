"""Features of an OSM file: points, lines and polygons, multipolygon relations included."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import shapely

from engine.osm_extract import Features
from pipelines.sources.osm_lines import closed_rings, member_ways
from pipelines.sources.osm_raw import UNIT, RawOsm, TagTable

_LINE_KEYS = ("highway", "barrier", "railway", "route", "waterway")
_COVERING_KEYS = ("building", "leisure", "landuse", "amenity", "shop")
_LINE_VALUES = {
    "natural": ("tree_row", "coastline", "cliff"),
    "power": ("line",),
    "attraction": ("big_wheel",),
}


def read_features(
    raw: RawOsm,
    keep: Mapping[str, Collection[str] | None],
    *,
    bounds: tuple[float, float, float, float] | None,
    repairs: dict[str, int],
) -> Features:
    """
    Objects with a wanted tag as geometries.

    Parameters
    ----------
    raw
        All objects of the file.
    keep
        Tag key → accepted values (None: any).
    bounds
        [deg] Only features whose geometry touches the box.
    repairs
        Counts by reason are added here.

    Returns
    -------
    Features
        Nodes, then ways, then relations, each by id.
    """
    ids: list[str] = []
    tags: list[dict[str, str]] = []
    geometry: list[npt.NDArray[np.object_]] = []
    edited: list[npt.NDArray[np.int32]] = []
    if keep:
        for kind, read in (("node", _points), ("way", _ways), ("relation", _relations)):
            rows, shapes = read(raw, keep, repairs)
            table = {"node": raw.node_tags, "way": raw.way_tags, "relation": raw.relation_tags}[kind]
            number = {"node": raw.node_id, "way": raw.way_id, "relation": raw.relation_id}[kind]
            ids += [f"{kind}/{i}" for i in number[rows]]
            tags += table.dicts(rows)
            geometry.append(shapes)
            edited.append(table.edited(rows))
    if not ids:
        return Features.none()
    found = Features(ids, tags, np.concatenate(edited), np.concatenate(geometry))
    if bounds is None:
        return found
    near = np.flatnonzero(shapely.intersects(found.geometry, shapely.box(*bounds)))
    return Features([ids[i] for i in near], [tags[i] for i in near], found.edited[near], found.geometry[near])


def _xy(raw: RawOsm, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.column_stack([raw.node_x[places], raw.node_y[places]]) / UNIT


def _points(
    raw: RawOsm, keep: Mapping[str, Collection[str] | None], repairs: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    rows = raw.node_tags.matching(keep)
    return rows, np.asarray(shapely.points(_xy(raw, rows)), dtype=object)


def _ways(
    raw: RawOsm, keep: Mapping[str, Collection[str] | None], repairs: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    rows = raw.way_tags.matching(keep)
    size = np.diff(raw.way_offsets)[rows]
    start = np.concatenate([[0], np.cumsum(size)])
    take = np.repeat(raw.way_offsets[rows] - start[:-1], size) + np.arange(start[-1])
    line = np.repeat(np.arange(len(rows)), size)
    place = raw.locate(raw.way_refs[take])
    known = place >= 0
    if not known.all():
        repairs["features_missing_nodes"] = repairs.get("features_missing_nodes", 0) + int((~known).sum())
    line, place = line[known], place[known]
    count = np.bincount(line, minlength=len(rows))
    offsets = np.concatenate([[0], np.cumsum(count)])
    closed = np.zeros(len(rows), dtype=bool)
    some = count >= 4
    closed[some] = place[offsets[:-1][some]] == place[offsets[1:][some] - 1]
    polygon = closed & areas(raw.way_tags, rows)
    xy = _xy(raw, place)
    shapes = np.full(len(rows), None, dtype=object)
    for chosen, kind in ((polygon, _polygons), (~polygon & (count >= 2), _lines)):
        own = np.concatenate([[0], np.cumsum(count[chosen])])
        shapes[chosen] = kind(xy[np.repeat(chosen, count)], own)
    for i in np.flatnonzero(polygon)[~shapely.is_valid(shapes[polygon])]:
        shapes[i] = _valid(shapes[i], repairs)
    return _without_empty(rows, shapes, repairs)


def _polygons(xy: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    rings = np.arange(len(offsets))
    return np.asarray(
        shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, (offsets, rings)), dtype=object
    )


def _lines(xy: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    return np.asarray(
        shapely.from_ragged_array(shapely.GeometryType.LINESTRING, xy, (offsets,)), dtype=object
    )


def areas(tags: TagTable, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """
    Which ways, if closed, are areas rather than loops.

    ``area`` decides where it says yes or no; streets, barriers, railways and the like are loops unless they are
    also something that covers ground; anything else is an area.

    Parameters
    ----------
    tags
        Tags of all ways.
    rows
        The ways.
    """

    def carry(keep: Mapping[str, Collection[str] | None]) -> npt.NDArray[np.bool_]:
        return np.isin(rows, tags.matching(keep))

    loop = carry(dict.fromkeys(_LINE_KEYS)) & ~carry(dict.fromkeys(_COVERING_KEYS)) | carry(_LINE_VALUES)
    return (~loop | carry({"area": ("yes",)})) & ~carry({"area": ("no",)})


def _relations(
    raw: RawOsm, keep: Mapping[str, Collection[str] | None], repairs: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    areas = raw.relation_tags.matching({"type": ("multipolygon", "boundary")})
    rows = np.intersect1d(raw.relation_tags.matching(keep), areas, assume_unique=True)
    shapes = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        shapes[i] = multipolygon(raw, int(row), repairs)
    return _without_empty(rows, shapes, repairs)


def multipolygon(raw: RawOsm, row: int, repairs: dict[str, int]) -> shapely.Geometry | None:
    """
    Geometry of one multipolygon relation.

    Member ways are joined end to end into rings; rings with the role ``inner`` are cut out of the others.
    Rings that the file leaves open (clipped at its edge) are left out and counted.
    """
    outer, inner = (
        [_valid(shapely.Polygon(_xy(raw, ring)), repairs) for ring, _ in closed_rings(raw, ways, repairs)]
        for ways in (member_ways(raw, row, repairs, role=role) for role in ("outer", "inner"))
    )
    if not outer:
        repairs["relations_without_ring"] = repairs.get("relations_without_ring", 0) + 1
        return None
    shape = shapely.union_all(outer)
    return shapely.difference(shape, shapely.union_all(inner)) if inner else shape


def _valid(polygon: shapely.Geometry, repairs: dict[str, int]) -> shapely.Geometry:
    """The polygon, its self-crossings resolved; only its polygonal part."""
    if shapely.is_valid(polygon):
        return polygon
    repairs["invalid_polygons"] = repairs.get("invalid_polygons", 0) + 1
    parts = shapely.get_parts(shapely.make_valid(polygon))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _without_empty(
    rows: npt.NDArray[np.int64], shapes: npt.NDArray[np.object_], repairs: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    empty = np.array([shape is None or shape.is_empty for shape in shapes], dtype=bool)
    if empty.any():
        repairs["features_without_geometry"] = repairs.get("features_without_geometry", 0) + int(empty.sum())
    return rows[~empty], shapes[~empty]
