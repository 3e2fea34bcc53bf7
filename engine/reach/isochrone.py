"""Isochrones: the streets that a point reaches within a time, cut where the time runs out, and shapes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from engine.cells import StreetPieces, cell_polygons
from engine.errors import InputError
from engine.network.copies import copies_of
from engine.network.street_network import StreetNetwork
from engine.reach.compiled import inner, kernel
from engine.reach.graph import UNREACHABLE, reach_graph
from engine.reach.search import FAR, ball
from engine.snapping import Snaps, local_metres, metric_coords

FloatArray = npt.NDArray[np.float64]


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
    street, fraction, walk = int(origin.street[0]), float(origin.fraction[0]), int(origin.access_ms[0])
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    rest = limit_ms - walk
    at_vertex = np.full(network.n_vertices, UNREACHABLE, dtype=np.int32)
    if rest < 0:
        nothing = np.empty(0)
        return ReachedStreets(np.empty(0, np.int32), nothing, nothing, at_vertex, limit_ms)
    seeds = [(network.v[street], forward - round(forward * fraction))] if forward >= 0 else []
    seeds += [(network.u[street], round(backward * fraction))] if backward >= 0 else []
    slots = graph.slot[np.array([vertex for vertex, _ in seeds], dtype=np.int32)]
    times = np.array([time for _, time in seeds], dtype=np.int32)
    with graph.borrow(rest) as scratch:
        n = ball(*graph.out_of, slots, times, rest, graph.shift, tuple(scratch))
        found = scratch.found[:n]
        room = 2 * int((graph.incident[0][found + 1] - graph.incident[0][found]).sum()) + 3
        out = (np.empty(room, dtype=np.int32), np.empty(room), np.empty(room))
        number = _cut(
            found, graph.incident, graph.touching[1], graph.ends, graph.rank[street], street, fraction, rest,
            scratch.time_ms, out,
        )  # fmt: skip
        at_vertex[graph.vertex[found]] = scratch.time_ms[found] + walk
        scratch.time_ms[found] = UNREACHABLE
    parts = _on_the_ground(network, out[0][:number], out[1][:number], out[2][:number])
    return ReachedStreets(*parts, at_vertex, limit_ms)


def _on_the_ground(
    network: StreetNetwork, street: npt.NDArray[np.int32], start: FloatArray, stop: FloatArray
) -> tuple[npt.NDArray[np.int32], FloatArray, FloatArray]:
    """Sort parts by street; those on copies of a street are parts of the street, and parts that overlap are one."""
    own = copies_of(network).street[street]
    street, start, stop, own = street[own >= 0], start[own >= 0], stop[own >= 0], own[own >= 0]
    copied = np.isin(own, own[own != street])
    order = np.lexsort((np.where(copied, start, 0.0), own))
    street, start, stop, copied = own[order], start[order], stop[order], copied[order]
    kept = np.ones(len(street), dtype=bool)
    last = -1
    for i in np.flatnonzero(copied).tolist():
        if last >= 0 and street[last] == street[i] and start[i] <= stop[last]:
            stop[last] = max(stop[last], stop[i])
            kept[i] = False
        else:
            last = i
    return street[kept], start[kept], stop[kept]


@kernel
def _cut(found, incident, rank, ends, own_rank, own, at, limit, time_ms, out):  # type: ignore[no-untyped-def]
    """
    Cut the streets that touch what is found, and the one on which the origin lies, where the time runs out.

    Every part begins at an end of its street, or at the origin. Parts of one street follow each other; return their
    number.
    """
    n = np.int64(0)
    for i in range(len(found)):
        here = found[i]
        for a in range(incident[0][here], incident[0][here + 1]):
            row = ends[rank[a]]
            if rank[a] == own_rank or (here == row[1] and row[0] != row[1] and time_ms[row[0]] != FAR):
                continue  # a street with both ends in reach is taken from u
            low, high = _open(row, limit, time_ms)
            if low >= high:
                n = _keep(out, n, incident[1][a], 0.0, 1.0)
            else:
                n = _keep(out, n, incident[1][a], 0.0, low)
                n = _keep(out, n, incident[1][a], high, 1.0)
    row = ends[own_rank]
    low, high = _open(row, limit, time_ms)
    start, stop = at - _far(limit, row[3]), at + _far(limit, row[2])
    start, stop = max(start, 0.0), min(stop, 1.0)
    if start <= low:
        start, low = 0.0, 0.0
    if stop >= high:
        stop, high = 1.0, 1.0
    n = _keep(out, n, own, 0.0, low)
    n = _keep(out, n, own, start, stop)
    return _keep(out, n, own, high, 1.0)


@inner
def _open(row, limit, time_ms):  # type: ignore[no-untyped-def]
    """Fraction up to which a street is reached from its first end, and from which on it is from its last."""
    low, high = 0.0, 1.0
    if time_ms[row[0]] <= limit:
        low = _far(limit - time_ms[row[0]], row[2])
    if time_ms[row[1]] <= limit:
        high = 1.0 - _far(limit - time_ms[row[1]], row[3])
    return low, high


@inner
def _far(left, takes):  # type: ignore[no-untyped-def]
    """Share of a street that a time suffices for; none of one that is closed."""
    if takes < 0:
        return 0.0
    return 1.0 if left >= takes else left / takes


@inner
def _keep(out, n, street, start, stop):  # type: ignore[no-untyped-def]
    """Note a part unless it has no length; return the new number of parts."""
    if stop <= start:
        return n
    out[0][n], out[1][n], out[2][n] = street, start, stop
    return n + 1


def reached_lines(network: StreetNetwork, reached: ReachedStreets) -> npt.NDArray[np.object_]:
    """[deg] One LineString a reached part, EPSG:4326."""
    segments, part = reached_segments(network, reached, network.coords)
    lines = np.asarray(shapely.linestrings(segments.reshape(-1, 2, 2)), dtype=object)
    rows = np.flatnonzero(np.diff(part, prepend=-1)) if len(part) else np.empty(0, dtype=int)
    groups = np.split(lines, rows[1:]) if len(rows) else []
    return np.array([shapely.line_merge(shapely.multilinestrings(g)) for g in groups], dtype=object)


def reached_segments(
    network: StreetNetwork, reached: ReachedStreets, coords: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """
    Give the straight pieces of what is reached.

    Parameters
    ----------
    network, reached
        The streets, and the parts of them that are reached.
    coords
        Points of the streets in the plane of the result: ``network.coords``, or `metric_coords`.

    Returns
    -------
    tuple of numpy.ndarray
        (x, y) of the begin and the end of each piece, shape (pieces, 4), and the reached part that it belongs to.
    """
    room = int((network.offsets[reached.street + 1] - network.offsets[reached.street]).sum())
    segments, part = np.empty((room, 4)), np.empty(room, dtype=np.int32)
    n = _straight(
        reached.street, reached.start, reached.stop, network.offsets, metric_coords(network), coords, segments, part
    )  # fmt: skip
    return segments[:n], part[:n]


@kernel
def _straight(street, start, stop, offsets, metres, coords, segments, owner):  # type: ignore[no-untyped-def]
    """Write the straight pieces of parts of streets; return their number."""
    n = np.int64(0)
    for i in range(len(street)):
        first, last = offsets[street[i]], offsets[street[i] + 1]
        total = length_of(metres, first, last)
        run = 0.0
        for p in range(first, last - 1):
            width = length_of(metres, p, p + 2) / total if total > 0.0 else 1.0 / (last - first - 1)
            a = min(max((start[i] - run) / width, 0.0), 1.0) if width > 0.0 else 0.0
            b = min(max((stop[i] - run) / width, 0.0), 1.0) if width > 0.0 else 0.0
            run += width
            if b <= a:
                continue
            for c in range(2):
                step = coords[p + 1, c] - coords[p, c]
                segments[n, c], segments[n, 2 + c] = coords[p, c] + a * step, coords[p, c] + b * step
            owner[n] = i
            n += 1
    return n


@inner
def length_of(metres, first, last):  # type: ignore[no-untyped-def]
    """[m] Length of the line through some points."""
    total = 0.0
    for p in range(first, last - 1):
        dx, dy = metres[p + 1, 0] - metres[p, 0], metres[p + 1, 1] - metres[p, 1]
        total += (dx * dx + dy * dy) ** 0.5
    return total


def isochrone_buffer(
    network: StreetNetwork, reached: ReachedStreets, *, radius_m: float = 25.0
) -> shapely.Geometry:
    """[deg] The reached streets widened by `radius_m` on either side: exact, and slower than the outline."""
    segments, _ = reached_segments(network, reached, metric_coords(network))
    if not len(segments):
        return shapely.MultiPolygon()
    lines = shapely.linestrings(segments.reshape(-1, 2, 2))
    wide = shapely.union_all(shapely.buffer(lines, radius_m, quad_segs=4))
    return shapely.transform(wide, local_metres(network).unproject)


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
