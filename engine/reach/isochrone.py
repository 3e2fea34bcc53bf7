"""Isochrones: the streets that a point reaches within a time, cut where the time runs out, and outlines of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.features
import scipy.ndimage
import shapely
from rasterio import Affine

from engine.cells import StreetPieces, cell_polygons
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.compiled import kernel
from engine.reach.graph import UNREACHABLE, reach_graph
from engine.reach.search import ball
from engine.snapping import Snaps, local_metres

FloatArray = npt.NDArray[np.float64]
_FINEST_M = 10.0
"""[m] Side of a pixel of an outline, where the isochrone is small enough for it."""
_PIXELS = 256
"""Pixels along the longer side of a larger one."""
_FILLED_M2 = 20_000.0
"""[m²] Courtyards up to this size, with reached streets all around, belong to the isochrone."""


@dataclass(frozen=True, eq=False)
class ReachedStreets:
    """
    Parts of streets that are reached within a limit.

    Attributes
    ----------
    street, start, stop
        Street and the fractions of it between which it is reached; sorted, disjoint for each street.
    time_ms
        [ms] Time at every vertex, `UNREACHABLE` beyond the limit, shape (vertices,).
    limit_ms
        [ms] The limit, inclusive.
    """

    street: npt.NDArray[np.int32]
    start: FloatArray
    stop: FloatArray
    time_ms: npt.NDArray[np.int32]
    limit_ms: int


def reached_streets(network: StreetNetwork, origin: Snaps, *, limit_ms: int) -> ReachedStreets:
    """
    Find what is reached from a point that lies on a street.

    The time runs FROM the point along directed streets, after its walk to the street. A street is reached from
    either end and, where the point lies on it, from the middle; each part is cut at the exact point where the limit
    is used up.

    Parameters
    ----------
    network
        The streets.
    origin
        One accepted snap.
    limit_ms
        [ms] Greatest time, inclusive.

    Raises
    ------
    InputError
        The origin is not one accepted snap, or the limit is negative.

    Notes
    -----
    O(reached arcs) for the search, O(streets touched) for the cuts.
    """
    if len(origin.street) != 1 or not origin.accepted[0] or not 0 <= limit_ms < UNREACHABLE:
        why = (
            "; ".join(str(r) for r in origin.reason if r)
            or f"{len(origin.street)} points, limit {limit_ms} ms"
        )
        msg = f"an isochrone needs one point on the {network.mode} network and a limit of 0 ms or more; found {why}"
        raise InputError(msg)
    graph = reach_graph(network)
    street, fraction = int(origin.street[0]), float(origin.fraction[0])
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    rest = limit_ms - int(origin.access_ms[0])
    at_street = np.full(network.n_vertices, UNREACHABLE, dtype=np.int32)
    if rest < 0:
        nothing = np.empty(0)
        return ReachedStreets(np.empty(0, np.int32), nothing, nothing, at_street, limit_ms)
    ahead = forward - round(forward * fraction) if forward >= 0 else UNREACHABLE
    behind = round(backward * fraction) if backward >= 0 else UNREACHABLE
    seeds = [(int(network.v[street]), ahead), (int(network.u[street]), behind)]
    seeds = [(vertex, time) for vertex, time in seeds if time <= rest]
    slots = graph.slot[[vertex for vertex, _ in seeds]]
    with graph.borrow(rest) as scratch:
        times = np.array([time for _, time in seeds], dtype=np.int32)
        n = ball(*graph.out_of, slots, times, np.int64(rest), graph.shift, scratch)
        found = scratch.found[:n].copy()
        at_street[graph.vertex[found]] = scratch.time_ms[found]
        scratch.time_ms[found] = UNREACHABLE
    parts = _parts(network, at_street, np.unique(np.append(_touched(graph.incident, found), street)), rest)
    if forward > 0 or backward > 0:
        low = fraction - (rest / backward if backward > 0 else 0.0)
        high = fraction + (rest / forward if forward > 0 else 0.0)
        parts.append((np.array([street]), np.array([max(low, 0.0)]), np.array([min(high, 1.0)])))
    merged = _merged(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    reached = at_street < UNREACHABLE
    at_street[reached] += int(origin.access_ms[0])
    return ReachedStreets(*merged, at_street, limit_ms)


def _touched(
    incident: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]], slots: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Streets that touch some slots."""
    indptr, street = incident
    counts = indptr[slots + 1] - indptr[slots]
    first = (
        np.repeat(indptr[slots] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        if len(slots)
        else counts
    )
    return np.unique(street[first + np.arange(int(counts.sum()))]).astype(np.int64)


def _parts(
    network: StreetNetwork, time: npt.NDArray[np.int32], streets: npt.NDArray[np.int64], limit: int
) -> list[tuple[npt.NDArray[np.int64], FloatArray, FloatArray]]:
    """Parts reached from the first end and from the last end of each street."""
    parts = []
    ends = ((network.u, network.forward_ms, False), (network.v, network.backward_ms, True))
    for vertex, takes, turned in ends:
        here, length = time[vertex[streets]].astype(np.int64), takes[streets]
        go = (here <= limit) & (length >= 0)
        left = (limit - here[go]).astype(np.float64)
        far = np.where(left >= length[go], 1.0, left / np.maximum(length[go], 1))
        kept = streets[go]
        parts.append((kept, 1.0 - far, np.ones(len(far))) if turned else (kept, np.zeros(len(far)), far))
    return parts


def _merged(
    street: npt.NDArray[np.int64], start: FloatArray, stop: FloatArray
) -> tuple[npt.NDArray[np.int32], FloatArray, FloatArray]:
    """Join parts of one street that overlap; drop those without length."""
    kept = stop > start
    street, start, stop = street[kept], start[kept], stop[kept]
    order = np.lexsort((start, street))
    street, start, stop = street[order], start[order], stop[order]
    if not len(street):
        return street.astype(np.int32), start, stop
    reach = street * 2.0 + np.minimum(stop, 1.0)  # grows along the order, and never joins two streets
    before = np.maximum.accumulate(reach)[:-1]
    new = np.append(True, street[1:] * 2.0 + start[1:] > before)
    first = np.flatnonzero(new)
    last = np.maximum.reduceat(stop, first)
    return street[first].astype(np.int32), start[first], last


def reached_lines(network: StreetNetwork, reached: ReachedStreets) -> npt.NDArray[np.object_]:
    """[deg] One LineString a reached part, EPSG:4326."""
    begin, end, owner = _reached_segments(network, reached)
    xy = np.stack([begin, end], axis=1)
    lines = shapely.linestrings(xy) if len(xy) else np.empty(0, dtype=object)
    rows = np.flatnonzero(np.append(True, owner[1:] != owner[:-1])) if len(owner) else np.empty(0, dtype=int)
    groups = np.split(np.asarray(lines, dtype=object), rows[1:]) if len(rows) else []
    return np.array([shapely.line_merge(shapely.multilinestrings(g)) for g in groups], dtype=object)


def isochrone_outline(
    network: StreetNetwork, reached: ReachedStreets, *, radius_m: float = 45.0
) -> shapely.MultiPolygon:
    """
    Outline what is reached: the ground whose nearest street point is reached.

    A spot belongs to the outline if a street lies within `radius_m` of it and the nearest street point is a reached
    one. So the outline ends half-way to the next street that is not reached, and never lies over the far bank of a
    river or railway that is not crossed. Courtyards of up to 2 ha that only reached streets surround are filled.

    Parameters
    ----------
    network
        The streets, reached or not.
    reached
        Of `reached_streets`.
    radius_m
        [m] How far from a street its ground extends.

    Returns
    -------
    shapely.MultiPolygon
        [deg] EPSG:4326, corners cut (Chaikin 1974); empty where nothing is reached.

    References
    ----------
    Chaikin, G. (1974). An algorithm for high-speed curve generation. Computer Graphics and Image Processing 3, 346–349.
    """
    begin, end, _ = _reached_segments(network, reached)
    if not len(begin):
        return shapely.MultiPolygon()
    plane = local_metres(network)
    inside = np.column_stack([plane.project(begin), plane.project(end)])
    low = inside.reshape(-1, 2).min(axis=0) - 2 * radius_m
    high = inside.reshape(-1, 2).max(axis=0) + 2 * radius_m
    pixel = max(_FINEST_M, float((high - low).max()) / _PIXELS)
    shape = tuple(int(x) for x in np.ceil((high - low) / pixel).astype(int)[::-1])
    outside = _others(network, reached, low, high)
    segments = np.concatenate([outside, inside])
    flags = np.repeat(np.array([1, 2], dtype=np.uint8), [len(outside), len(inside)])
    owner = np.zeros(shape, dtype=np.uint8)
    _stamp(segments, flags, low, pixel, np.full(shape, radius_m**2), owner)
    mask = _filled(owner, pixel)
    return _traced(mask, Affine(pixel, 0, low[0], 0, pixel, low[1]), network, pixel)


def isochrone_buffer(
    network: StreetNetwork, reached: ReachedStreets, *, radius_m: float = 25.0
) -> shapely.Geometry:
    """[deg] The reached streets widened by `radius_m` on either side: exact, and slower than the outline."""
    begin, end, _ = _reached_segments(network, reached)
    if not len(begin):
        return shapely.MultiPolygon()
    plane = local_metres(network)
    lines = shapely.linestrings(np.stack([plane.project(begin), plane.project(end)], axis=1))
    wide = shapely.union_all(shapely.buffer(lines, radius_m, quad_segs=4))
    return shapely.transform(wide, plane.unproject)


def isochrone_cells(pieces: StreetPieces, reached: ReachedStreets) -> npt.NDArray[np.uint64]:
    """H3 cells of which at least half of the street length is reached."""
    inside = np.zeros(pieces.n_cells)
    order = np.argsort(pieces.street, kind="stable")
    first = np.searchsorted(pieces.street[order], reached.street, side="left")
    last = np.searchsorted(pieces.street[order], reached.street, side="right")
    counts = last - first
    part = np.repeat(np.arange(len(reached.street)), counts)
    piece = order[
        np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    ]
    shared = np.minimum(pieces.stop[piece], reached.stop[part]) - np.maximum(
        pieces.start[piece], reached.start[part]
    )
    width = pieces.stop[piece] - pieces.start[piece]
    share = np.divide(shared, width, out=(shared >= 0).astype(np.float64), where=width > 0)
    weight = np.where(pieces.length_m > 0, pieces.length_m, 1e-9)
    np.add.at(inside, pieces.cell[piece], np.clip(share, 0.0, 1.0) * weight[piece])
    whole = np.bincount(pieces.cell, weights=weight, minlength=pieces.n_cells)
    return pieces.cells[(whole > 0) & (inside >= 0.5 * whole)]


def cells_outline(cells: npt.NDArray[np.uint64]) -> shapely.Geometry:
    """[deg] Cells joined into one shape."""
    return shapely.union_all(cell_polygons(cells))


def _reached_segments(
    network: StreetNetwork, reached: ReachedStreets
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    return _segments(network, reached.street.astype(np.int64), reached.start, reached.stop)


def _segments(
    network: StreetNetwork, street: npt.NDArray[np.int64], start: FloatArray, stop: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """[deg] Begin and end of each straight piece of some parts of streets, and the part that it belongs to."""
    counts = np.diff(network.offsets)[street] - 1
    part = np.repeat(np.arange(len(street)), counts)
    at = (
        np.repeat(network.offsets[street] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        if len(street)
        else counts
    )
    at = (at + np.arange(int(counts.sum()))).astype(np.int64)
    begin, end = network.coords[at], network.coords[at + 1]
    narrow = np.cos(np.radians(begin[:, 1]))
    length = np.hypot((end[:, 0] - begin[:, 0]) * narrow, end[:, 1] - begin[:, 1])
    run = np.cumsum(length)
    before = np.concatenate([[0.0], run[:-1]])
    opening = np.concatenate([[0], np.cumsum(counts)[:-1]])[part] if len(part) else part
    total = np.bincount(part, weights=length, minlength=len(street))[part]
    total = np.where(total > 0, total, 1.0)
    low, high = (before - before[opening]) / total, (run - before[opening]) / total
    width = np.where(high > low, high - low, 1.0)
    a = np.clip((start[part] - low) / width, 0.0, 1.0)[:, None]
    b = np.clip((stop[part] - low) / width, 0.0, 1.0)[:, None]
    kept = (b > a)[:, 0]
    step = end - begin
    return (begin + a * step)[kept], (begin + b * step)[kept], part[kept]


def _complement(
    street: npt.NDArray[np.int64], start: FloatArray, stop: FloatArray
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """What is left of streets beside some of their parts."""
    first = np.append(True, street[1:] != street[:-1]) if len(street) else np.empty(0, dtype=bool)
    last = np.append(first[1:], True) if len(street) else first
    gap_start = np.where(first, 0.0, np.concatenate([[0.0], stop[:-1]]) if len(stop) else stop)
    street = np.concatenate([street, street[last]])
    gap_start, gap_stop = (
        np.concatenate([gap_start, stop[last]]),
        np.concatenate([start, np.ones(int(last.sum()))]),
    )
    kept = gap_stop - gap_start > 1e-9
    return street[kept], gap_start[kept], gap_stop[kept]


def _others(network: StreetNetwork, reached: ReachedStreets, low: FloatArray, high: FloatArray) -> FloatArray:
    """
    [m] Straight pieces of what is not reached within a box: (x, y) of begin and end.

    Lines across a square are left out: they are ways over one ground, not grounds of their own.
    """
    plane = local_metres(network)
    west, south = plane.unproject(low[None])[0]
    east, north = plane.unproject(high[None])[0]
    lon, lat = network.lon, network.lat
    near = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    untouched = near[network.u] | near[network.v]
    untouched[reached.street] = False
    street, start, stop = _complement(reached.street.astype(np.int64), reached.start, reached.stop)
    more = np.flatnonzero(untouched)
    street, start = np.concatenate([street, more]), np.concatenate([start, np.zeros(len(more))])
    stop = np.concatenate([stop, np.ones(len(more))])
    if "area_crossing" in network.streets.columns:
        kept = ~network.streets["area_crossing"].to_numpy(bool)[street]
        street, start, stop = street[kept], start[kept], stop[kept]
    begin, end, _ = _segments(network, street, start, stop)
    return np.column_stack([plane.project(begin), plane.project(end)]) if len(begin) else np.empty((0, 4))


@kernel
def _stamp(segments, flags, low, pixel, best, owner):  # type: ignore[no-untyped-def]
    """
    Put the flag of the nearest segment into `owner`, pixel by pixel.

    `best` holds the square of the distance within which a segment counts; pixels without one keep their flag.
    """
    rows, columns = owner.shape
    radius = best[0, 0] ** 0.5
    for s in range(len(segments)):
        x0, y0 = segments[s, 0] - low[0], segments[s, 1] - low[1]
        dx, dy = segments[s, 2] - low[0] - x0, segments[s, 3] - low[1] - y0
        square = dx * dx + dy * dy
        left = max(0, int((min(x0, x0 + dx) - radius) / pixel))
        right = min(columns, int((max(x0, x0 + dx) + radius) / pixel) + 1)
        bottom = max(0, int((min(y0, y0 + dy) - radius) / pixel))
        top = min(rows, int((max(y0, y0 + dy) + radius) / pixel) + 1)
        for i in range(bottom, top):
            for j in range(left, right):
                px, py = (j + 0.5) * pixel - x0, (i + 0.5) * pixel - y0
                t = 0.0
                if square > 0.0:
                    t = min(1.0, max(0.0, (px * dx + py * dy) / square))
                ex, ey = px - t * dx, py - t * dy
                d = ex * ex + ey * ey
                if flags[s] == 2:  # a pixel that a reached street runs through is reached
                    d = max(0.0, d**0.5 - 0.75 * pixel) ** 2
                if d < best[i, j]:
                    best[i, j] = d
                    owner[i, j] = flags[s]


def _filled(owner: npt.NDArray[np.uint8], pixel: float) -> npt.NDArray[np.bool_]:
    """Pixels of reached streets, and of small courtyards that only they surround."""
    mask: npt.NDArray[np.bool_] = np.equal(owner, 2)
    label, number = scipy.ndimage.label(owner == 0)
    if not number:
        return mask
    size = np.bincount(label.ravel(), minlength=number + 1) * pixel * pixel
    other = np.zeros(number + 1, dtype=bool)
    other[np.unique(label[scipy.ndimage.binary_dilation(owner == 1)])] = True
    border = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    other[np.unique(border)] = True
    fill = ~other & (size <= _FILLED_M2)
    fill[0] = False
    filled: npt.NDArray[np.bool_] = mask | fill[label]
    return filled


def _traced(
    mask: npt.NDArray[np.bool_], transform: Affine, network: StreetNetwork, pixel: float
) -> shapely.MultiPolygon:
    """[deg] Outlines of a mask, simplified by less than a pixel, corners cut."""
    found = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, transform=transform)
    rough = [shapely.geometry.shape(shape) for shape, _ in found]
    smooth = [_chaikin(shapely.simplify(polygon, 0.8 * pixel)) for polygon in rough]
    valid = shapely.make_valid(np.array(smooth, dtype=object))
    parts = [p for p in shapely.get_parts(shapely.union_all(valid)) if p.geom_type == "Polygon"]
    return shapely.transform(shapely.MultiPolygon(parts), local_metres(network).unproject)


def _chaikin(polygon: Any) -> shapely.Polygon:
    """Cut each corner at a quarter of its sides."""
    rings = [polygon.exterior, *polygon.interiors]
    cut = []
    for ring in rings:
        xy = np.asarray(ring.coords)
        step = np.diff(xy, axis=0)
        both = np.stack([xy[:-1] + 0.25 * step, xy[:-1] + 0.75 * step], axis=1).reshape(-1, 2)
        cut.append(np.vstack([both, both[:1]]))
    return shapely.Polygon(cut[0], cut[1:])
