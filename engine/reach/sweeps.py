"""
Sweeps: sixteen places at a time against the whole network, for the many searches behind counts.

All searches of a sweep climb the hierarchy together and come down together, vertex by vertex in the order of
positions; a branch that no search comes near is left out in one step. What a street contributes is known as soon as
its ends are: most streets lie within a cutoff or beyond it as a whole, which one comparison of vectors tells for
sixteen places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.network.street_network import StreetNetwork
from engine.reach.compiled import inner, kernel
from engine.reach.contribution import PieceRows, contribution, meeting
from engine.reach.decay import STEP
from engine.reach.graph import ReachGraph, Seeds, StreetPoints
from engine.reach.hierarchy import Hierarchy
from engine.reach.lanes import LANES, first_one, mark, ones, pull, push_up, within
from engine.reach.search import FAR
from engine.reach.searches import lines, stretch
from engine.reach.threads import ranges, spread, workers


@dataclass(frozen=True, eq=False)
class SweepRows:
    """
    What a sweep needs to judge rows of street pieces, in the order in which it comes by.

    Attributes
    ----------
    offsets
        Rows whose later end is position ``p`` are ``offsets[p]:offsets[p + 1]``.
    ends
        Positions of u and v, times u→v and v→u, rank of the street, walk to the row, shape (rows, 6).
    peak
        Greatest time on the street is ``peak[0] · t_u + (1 − peak[0]) · t_v + peak[1]``, the walk included.
    """

    offsets: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]
    peak: npt.NDArray[np.float32]

    @classmethod
    def of(cls, streets: npt.NDArray[np.int32], rows: PieceRows, n: int) -> SweepRows:
        """Describe rows whose streets (positions of u and v, times) are ranked by `sweep_rank`."""
        u, v, forward, backward = streets[rows.street].T.astype(np.float64)
        both = np.maximum(forward, 0) + np.maximum(backward, 0)
        share = np.divide(forward, both, out=np.full(len(both), 0.5), where=both > 0)
        share = np.where(forward < 0, 1.0, np.where(backward < 0, 0.0, share))
        extra = np.where(
            forward < 0, backward, np.where(backward < 0, forward, share * np.maximum(backward, 0))
        )
        extra = np.where((forward < 0) & (backward < 0), np.inf, extra)  # closed: no time is enough
        ends = np.column_stack([streets[rows.street], rows.street, rows.access_ms])
        return cls(
            offsets=np.searchsorted(np.maximum(u, v), np.arange(n + 1)).astype(np.int64),
            ends=np.ascontiguousarray(ends, dtype=np.int32),
            peak=np.column_stack([share, extra + rows.access_ms]).astype(np.float32),
        )


def sweep_rank(network: StreetNetwork, tree: Hierarchy) -> npt.NDArray[np.int32]:
    """Rank streets by the position of their later end: the order in which a sweep comes by."""
    later = np.maximum(tree.shape.position[network.u], tree.shape.position[network.v])
    rank = np.empty(len(later), dtype=np.int32)
    rank[np.argsort(later, kind="stable")] = np.arange(len(later), dtype=np.int32)
    return rank


def batches(
    places: npt.NDArray[np.int64], category: npt.NDArray[np.int32], first_position: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """
    Group places of one category that lie close into batches of sixteen, shape (batches, 16); -1 for an idle lane.

    Parameters
    ----------
    places
        Places that can be reached.
    category
        Category of each of them.
    first_position
        A position at which each of them is reached.
    """
    order = np.lexsort((places, first_position, category))
    places, category = places[order], category[order]
    start = np.searchsorted(category, category)
    within_category = np.arange(len(places)) - start
    _, batch = np.unique(np.column_stack([category, within_category // LANES]), axis=0, return_inverse=True)
    result = np.full((int(batch.max(initial=-1)) + 1, LANES), -1, dtype=np.int64)
    result[batch.ravel(), within_category % LANES] = places
    return result


def sweep_places(
    network: StreetNetwork,
    tree: Hierarchy,
    graph: ReachGraph,
    starts: Seeds,
    points: StreetPoints,
    own: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]],
    category: npt.NDArray[np.int32],
    places: npt.NDArray[np.int64],
    decays: npt.NDArray[np.float64],
    rows: PieceRows,
    sums_shape: tuple[int, int, int],
) -> npt.NDArray[np.int64]:
    """
    Add up what places count for along the streets of cells, shape (cells, categories, decays).

    The same integers as one bounded search a place gives.
    """
    position = tree.shape.position[graph.vertex[starts.slot]].astype(np.int32)
    some = places[np.diff(starts.offsets)[places] > 0]
    groups = batches(some, category[some], position[starts.offsets[some]])
    streets = np.empty((len(network.streets), 4), dtype=np.int32)
    at_u, at_v = tree.shape.position[network.u], tree.shape.position[network.v]
    streets[sweep_rank(network, tree)] = np.column_stack(
        [at_u, at_v, network.forward_ms, network.backward_ms]
    )
    judged = SweepRows.of(streets, rows, graph.n)

    greatest = int(decays[:, 1].max())
    n = graph.n

    def run(bounds: tuple[int, int]) -> npt.NDArray[np.int64]:
        sums = np.zeros(sums_shape, dtype=np.int64)
        _sweep(
            groups[bounds[0] : bounds[1]],
            category,
            (starts.offsets, position, starts.time_ms),
            (tree.shape.indptr, tree.shape.head, tree.shape.parent, tree.shape.end),
            tree.up,
            tree.down,
            (points.offsets, points.fraction, points.place, points.ahead_ms, points.behind_ms),
            own,
            decays,
            greatest,
            (judged.offsets, judged.ends, judged.peak),
            streets,
            (rows.of_street, rows.access_ms),
            (rows.offsets, rows.table),
            (
                np.empty((n, LANES), dtype=np.int32),
                np.zeros(n, dtype=np.bool_),
                np.zeros(n, dtype=np.bool_),
                np.full(n, -1, dtype=np.int32),
                np.zeros(len(streets), dtype=np.int64),
                np.empty((2, n), dtype=np.int32),
            ),
            np.zeros((sums_shape[1], len(rows.street), len(decays)), dtype=np.int32),
            sums,
        )
        return sums

    total = np.zeros(sums_shape, dtype=np.int64)
    for part in spread(run, ranges(len(groups), workers())):
        total += part
    return total


@kernel
def _sweep(  # type: ignore[no-untyped-def]
    groups,
    category,
    starts,
    shape,
    up,
    down,
    points,
    own,
    decays,
    limit,
    judged,
    streets,
    rows,
    pieces,
    scratch,
    whole,
    sums,
):
    """
    Sweep batch by batch and add to `sums`.

    `scratch` is (times, near, marked, visit, mine, climb): False, -1 and 0 where that is their type's rest.
    """
    indptr, head, parent, end = shape
    times, near, marked, visit, mine, climb = scratch
    n = len(indptr) - 1
    for batch in range(len(groups)):
        kind = category[groups[batch, 0]]
        busy = np.int64(0)
        count = np.int64(0)
        for lane in range(LANES):
            place = groups[batch, lane]
            if place < 0:
                continue
            busy |= np.int64(1) << lane
            for a in range(starts[0][place], starts[0][place + 1]):
                count = mark(starts[1][a], parent, marked, (times,), climb, count)
                times[starts[1][a], lane] = min(times[starts[1][a], lane], starts[2][a])
            for a in range(own[0][place], own[0][place + 1]):
                mine[own[1][a]] |= np.int64(1) << lane
        for i in range(count):
            x = climb[0, i]
            push_up(times, x, down[1], down[2], down[0][x], down[0][x + 1])
        p = np.int64(0)
        while p < n:
            hit = marked[p]
            a = indptr[p]
            while not hit and a < indptr[p + 1]:
                hit = near[head[a]]
                a += 1
            if not hit:
                p = np.int64(end[p])
                continue
            near[p] = pull(times, p, up[1], up[2], up[0][p], up[0][p + 1], marked[p]) <= limit
            visit[p] = batch
            for i in range(judged[0][p], judged[0][p + 1]):
                _judge(i, times, busy, mine, limit, decays, judged, pieces, kind, whole[kind], sums)
            p += 1
        for lane in range(LANES):
            place = groups[batch, lane]
            if place < 0:
                continue
            for a in range(own[0][place], own[0][place + 1]):
                s = own[1][a]
                mine[s] = 0
                _own(
                    s,
                    place,
                    lane,
                    batch,
                    times,
                    visit,
                    limit,
                    points,
                    decays,
                    streets,
                    rows,
                    pieces,
                    kind,
                    sums,
                )
        for i in range(count):
            marked[climb[0, i]] = False
    for c in range(len(whole)):
        for r in range(whole.shape[1]):
            for q in range(pieces[0][r], pieces[0][r + 1]):
                for m in range(len(decays)):
                    sums[np.int64(pieces[1][q, 3]), c, m] += np.int64(pieces[1][q, 2]) * whole[c, r, m]


@inner
def _judge(i, times, busy, mine, limit, decays, judged, pieces, kind, whole, sums):  # type: ignore[no-untyped-def]
    """Count one row of pieces for all lanes: as a whole where that is sure, else piece by piece."""
    _, ends, peak = judged
    u, v = ends[i, 0], ends[i, 1]
    lanes = busy & ~mine[ends[i, 4]]
    for m in range(len(decays)):
        bits = within(times, u, v, peak[i, 0], peak[i, 1], ends[i, 5], np.int32(decays[m, 1]))
        part = (bits >> LANES) & lanes
        if decays[m, 0] == STEP:
            sure = bits & lanes
            whole[i, m] += np.int32(ones(sure))
            part &= ~sure
        while part != 0:
            lane = first_one(part)
            part &= part - 1
            at_u = np.int64(times[u, lane]) if times[u, lane] <= limit else np.int64(FAR)
            at_v = np.int64(times[v, lane]) if times[v, lane] <= limit else np.int64(FAR)
            rising, falling = lines(at_u, at_v, ends[i, 2], ends[i, 3])
            _add(
                i,
                rising,
                falling,
                ends[i, 2],
                ends[i, 3],
                0.0,
                1.0,
                ends[i, 5],
                decays[m],
                pieces,
                sums[:, kind, m],
            )


@inner
def _own(s, place, lane, batch, times, visit, limit, points, decays, streets, rows, pieces, kind, sums):  # type: ignore[no-untyped-def]
    """Count a street on which the place itself lies."""
    u, v, forward, backward = streets[s, 0], streets[s, 1], streets[s, 2], streets[s, 3]
    at_u = np.int64(times[u, lane]) if visit[u] == batch and times[u, lane] <= limit else np.int64(FAR)
    at_v = np.int64(times[v, lane]) if visit[v] == batch and times[v, lane] <= limit else np.int64(FAR)
    left = 0.0
    while left < 1.0:
        right, rising, falling = stretch(place, points, s, left, at_u, at_v, forward, backward)
        for r in range(rows[0][s], rows[0][s + 1]):
            for m in range(len(decays)):
                _add(
                    r,
                    rising,
                    falling,
                    forward,
                    backward,
                    left,
                    right,
                    rows[1][r],
                    decays[m],
                    pieces,
                    sums[:, kind, m],
                )
        left = right


@inner
def _add(r, rising, falling, forward, backward, left, right, walk, decay, pieces, sums):  # type: ignore[no-untyped-def]
    """Add the contributions of one row between two fractions."""
    if rising >= FAR and falling >= FAR:
        return
    offsets, table = pieces
    up, down = np.float64(backward), np.float64(forward)
    meet = meeting(rising, falling, up, down)
    rising = rising + walk if rising < FAR else rising
    falling = falling + walk if falling < FAR else falling
    for p in range(offsets[r], offsets[r + 1]):
        sums[np.int64(table[p, 3])] += contribution(
            table[p, 0], table[p, 1], table[p, 2], left, right, rising, falling, up, down, meet, decay
        )
