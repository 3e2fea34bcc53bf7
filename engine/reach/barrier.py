"""
Barriers: water and railways, which nobody crosses but where a street does.

A shape around reached streets may spill over a bank that no street crosses: it takes in water, and where the far side
has no streets of its own, also land. Here it is cut along the bank, and only the sides on which streets are reached are
kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from engine.network.street_network import StreetNetwork
from engine.reach.isochrone import ReachedStreets, reached_segments
from engine.snapping import local_metres, metric_coords

_LINES: Mapping[str, Sequence[str]] = {"waterway": ("river", "canal"), "railway": ("rail",)}
_AREAS: Mapping[str, Sequence[str]] = {"natural": ("water",), "waterway": ("riverbank",)}
_BASIN_M2 = 100.0
"""[m²] Fountains and basins up to this size are no barrier."""
_SLIT_M = 1.0
"""[m] Half the width of a line that is a barrier."""
_MIXED = 0.05
"""Coast with some ground on its land side, as a share of that with it on the water side, that still makes it sea."""
_ONWARD_M = 200.0
"""[m] A coastline that an extract cuts off is taken to go straight on so far."""
_DECK_M = 8.0
"""[m] A street over a barrier carries this much ground on either side."""


@dataclass(frozen=True, eq=False)
class Barriers:
    """
    What separates the ground on either side of it.

    Attributes
    ----------
    shapes
        [deg] Polygons of water, and lines of rivers, canals and railways, EPSG:4326.
    coasts
        [deg] Coastlines, with land to the left and water to the right.
    """

    shapes: npt.NDArray[np.object_]
    coasts: npt.NDArray[np.object_]

    @classmethod
    def of(cls, tags: Sequence[Mapping[str, str]], geometry: npt.NDArray[np.object_]) -> Barriers:
        """
        Choose the barriers among features of OpenStreetMap.

        Water areas, rivers, canals, coastlines and railways at grade. What lies in a tunnel or under cover, and a
        railway on a bridge, separates nothing.

        Parameters
        ----------
        tags, geometry
            [deg] Tags and shape of each feature.
        """
        shapes = np.asarray(geometry, dtype=object)
        kind = shapely.get_dimensions(shapes)
        kept = np.array([_separates(t, int(d)) for t, d in zip(tags, kind, strict=True)], dtype=bool)
        coast = (kind == 1) & np.array([t.get("natural") == "coastline" for t in tags], dtype=bool)
        return cls(shapes[kept], shapes[coast])

    @classmethod
    def none(cls) -> Barriers:
        """Nothing that separates."""
        return cls(np.empty(0, dtype=object), np.empty(0, dtype=object))


def _separates(tags: Mapping[str, str], dimension: int) -> bool:
    wanted: Mapping[str, Sequence[str]] = {1: _LINES, 2: _AREAS}.get(dimension, {})
    if not any(tags.get(key) in values for key, values in wanted.items()):
        return False
    passed = ("tunnel", "covered", "bridge") if "railway" in tags else ("tunnel", "covered")
    return all(tags.get(key, "no") == "no" for key in passed) and tags.get("location") != "underground"


def on_this_side(
    shape: shapely.Geometry, network: StreetNetwork, reached: ReachedStreets, barriers: Barriers
) -> shapely.Geometry:
    """
    Cut a shape around reached streets at the barriers that none of them crosses.

    Parameters
    ----------
    shape
        [deg] Polygons, EPSG:4326.
    network, reached
        The streets, and the parts of them that are reached.
    barriers
        Water and railways.

    Returns
    -------
    shapely.Geometry
        [deg] The ground that is joined to reached streets without crossing a barrier. Where a street crosses, the
        ground beneath and 8 m beside it is kept.

    Notes
    -----
    O(points of the shape and of the barriers within its box).
    """
    plane = local_metres(network)
    box = shapely.box(*shapely.bounds(shape))
    shapes, coasts = (
        shapely.transform(some[shapely.intersects(box, some)], plane.project)
        for some in (barriers.shapes, barriers.coasts)
    )
    if not len(shapes) + len(coasts):
        return shape
    ground = shapely.transform(shape, plane.project)
    lines = shapely.get_dimensions(shapes) == 1
    ponds = shapely.make_valid(shapes[~lines & (shapely.area(shapes) > _BASIN_M2)])
    walls = np.concatenate([ponds, _slit(shapes[lines]), _sea(ground, coasts)])
    wall = shapely.union_all(shapely.intersection(walls, shapely.envelope(ground)))
    segments, _ = reached_segments(network, reached, metric_coords(network))
    streets = np.asarray(shapely.linestrings(segments.reshape(-1, 2, 2)), dtype=object)
    shapely.prepare(wall)
    over = streets[shapely.intersects(wall, streets)]
    deck = shapely.union_all(shapely.buffer(over, _DECK_M, quad_segs=2))
    parts = _areas(shapely.difference(ground, shapely.difference(wall, deck)))
    touched = np.unique(shapely.STRtree(streets).query(parts, predicate="intersects")[0])
    kept = shapely.transform(shapely.multipolygons(parts[touched]), plane.unproject)
    valid: shapely.Geometry = shapely.make_valid(kept)
    return valid


def _slit(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.buffer(lines, _SLIT_M, quad_segs=2, cap_style="flat"), dtype=object)


def _areas(shape: shapely.Geometry) -> npt.NDArray[np.object_]:
    parts: npt.NDArray[np.object_] = np.asarray(shapely.get_parts(shape), dtype=object)
    flat: npt.NDArray[np.bool_] = np.equal(shapely.get_dimensions(parts), 2)
    return parts[flat]


def _sea(ground: shapely.Geometry, coasts: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """
    Parts of some ground that lie to the right of the coastlines which cut it.

    A part on both sides is land.
    """
    if not len(coasts):
        return coasts
    cut = shapely.union_all(_slit(np.append(coasts, _onward(coasts))))
    parts = _areas(shapely.difference(ground, cut))
    points, line = shapely.get_coordinates(coasts, return_index=True)
    step = np.diff(points, axis=0)
    length = np.hypot(*step.T)
    some = (line[1:] == line[:-1]) & (length > 0)
    middle, along = (
        (points[:-1] + 0.5 * step)[some],
        (step / np.where(length > 0, length, 1.0)[:, None])[some],
    )
    tree, seen = shapely.STRtree(parts), np.zeros((2, len(parts)))
    for left, side in enumerate((1.0, -1.0)):
        beside = middle + side * 2 * _SLIT_M * np.column_stack([along[:, 1], -along[:, 0]])
        point, part = tree.query(shapely.points(beside), predicate="intersects")
        np.add.at(seen[left], part, length[some][point])
    sea: npt.NDArray[np.bool_] = np.greater(_MIXED * seen[0], seen[1])
    over = shapely.buffer(parts[sea], 2 * _SLIT_M, quad_segs=2)  # and the slit, so that no sliver stays
    return np.asarray(over, dtype=object)


def _onward(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Straight on from every end of a line that no other line takes up: there an extract cuts it off."""
    points, line = shapely.get_coordinates(lines, return_index=True)
    first = np.flatnonzero(np.diff(line, prepend=-1))
    last = np.append(first[1:], len(points)) - 1
    end, before = np.concatenate([first, last]), np.concatenate([first + 1, last - 1])
    _, which, times = np.unique(points[end], axis=0, return_inverse=True, return_counts=True)
    loose = times[which.ravel()] == 1
    a, step = points[end[loose]], points[end[loose]] - points[before[loose]]
    step *= _ONWARD_M / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    return np.asarray(shapely.linestrings(np.stack([a, a + step], axis=1)), dtype=object)
