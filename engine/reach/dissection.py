"""
Nested dissection: the order in which a contraction hierarchy takes a street network apart.

A set of vertices is split by a small separator that is contracted after both halves, and so on down. Separators come
from inertial flow: sort along a direction, hold the first and the last vertices as source and sink, and cut between
them where the fewest streets cross, as at a river.

References
----------
George, A. (1973). Nested dissection of a regular finite element mesh. SIAM J. Numerical Analysis 10(2), 345–363.
Schild, A., Sommer, C. (2015). On balanced separators in road networks. SEA 2015, LNCS 9125, 286–297.
Dinic, E. A. (1970). Algorithm for solution of a problem of maximum flow in networks with power estimation.
Soviet Math. Doklady 11, 1277–1280.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.reach.compiled import inner, kernel

_HELD = 0.3
"""Share of the vertices held at each end: no half is smaller (Schild & Sommer take 0.25…0.45)."""
_LEAF = 6
_SMALL = 64
"""Sets up to this size are tried along two directions only."""
_DIRECTIONS = np.array([[1.0, 0.0], [0.0, 1.0], [0.7071, 0.7071], [0.7071, -0.7071]])


def dissection_order(
    u: npt.NDArray[np.int32], v: npt.NDArray[np.int32], xy: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """
    Order the vertices of an undirected graph for contraction, first to last.

    Parameters
    ----------
    u, v
        Ends of the edges; directions, loops and repetitions do not matter.
    xy
        [m] Coordinates, shape (vertices, 2).

    Notes
    -----
    About O(separator · edges) a level, and logarithmically many levels.
    """
    n = len(xy)
    pairs = np.unique(np.sort(np.column_stack([u, v])[u != v], axis=1), axis=0)
    tail, head = np.concatenate([pairs, pairs[:, ::-1]]).T
    rows = np.lexsort((head, tail))
    back = np.empty(len(rows), dtype=np.int32)
    back[rows] = np.arange(len(rows), dtype=np.int32)
    twin = np.roll(back, len(pairs))[rows]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=n))]).astype(np.int32)
    lines = np.argsort(_DIRECTIONS @ xy.T, axis=1, kind="stable").astype(np.int32)
    scratch = (
        np.zeros(n, dtype=np.int32),
        np.empty(n, dtype=np.int8),
        np.zeros(len(rows), dtype=np.int8),
        *(np.empty(n, dtype=np.int32) for _ in range(3)),
        np.empty((2 * n + 2, 2), dtype=np.int32),
    )
    order = np.empty(n, dtype=np.int32)
    _dissect(indptr, head[rows].astype(np.int32), twin, lines, scratch, order)
    return order


@kernel
def _dissect(indptr, head, twin, lines, scratch, order):  # type: ignore[no-untyped-def]
    """
    Split sets until they are small.

    `lines` holds the vertices sorted along each direction, and is used up; `scratch` is (part, inside, flow, level,
    cursor, queue, stack), ``part`` 0 everywhere.
    """
    part, inside, flow, level, cursor, queue, stack = scratch
    stack[0, 0], stack[0, 1] = 0, len(indptr) - 1
    height = 1
    parts = np.int64(0)
    while height > 0:
        height -= 1
        first, last = stack[height, 0], stack[height, 1]
        size = last - first
        if size <= _LEAF:
            for i in range(first, last):
                order[i] = lines[0, i]
            continue
        parts += 1
        for i in range(first, last):
            part[lines[0, i]] = parts
        fewest = np.int64(len(head) + 1)  # a dense set may have more edges across any cut than vertices
        for d in range(len(lines) if size > _SMALL else 2):
            line = lines[d, first:last]
            cut = _cut(line, indptr, head, twin, part, parts, flow, level, cursor, queue, fewest)
            if cut < fewest:
                fewest = cut
                for i in range(size):
                    inside[line[i]] = level[line[i]] >= 0
        left, right = _separate(lines[0, first:last], indptr, head, part, parts, inside, queue)
        for d in range(len(lines)):
            _partition(lines[d, first:last], inside, left, right, queue)
        for i in range(first + left + right, last):
            order[i] = lines[0, i]
        stack[height, 0], stack[height, 1] = first, first + left
        stack[height + 1, 0], stack[height + 1, 1] = first + left, first + left + right
        height += 2


@inner
def _cut(line, indptr, head, twin, part, parts, flow, level, cursor, queue, enough):  # type: ignore[no-untyped-def]
    """
    Push the greatest flow from the first to the last vertices of a line; return its value.

    Afterwards ``level >= 0`` marks the side of the source. Gives up and returns `enough` once that much flows.
    """
    size = len(line)
    held = max(1, int(size * _HELD))
    for i in range(size):
        for a in range(indptr[line[i]], indptr[line[i] + 1]):
            flow[a] = 0
    total = 0
    while True:
        sink = _levels(line, held, indptr, head, part, parts, flow, level, cursor, queue)
        if not sink:
            return total
        for i in range(held):
            source = line[i]
            while True:
                if not _augment(source, indptr, head, twin, part, parts, flow, level, cursor, queue):
                    break
                total += 1
                if total >= enough:
                    return enough


@inner
def _levels(line, held, indptr, head, part, parts, flow, level, cursor, queue):  # type: ignore[no-untyped-def]
    """Breadth-first levels from the sources over what can still carry flow; -2 marks sinks not reached."""
    size = len(line)
    for i in range(size):
        level[line[i]] = -1
        cursor[line[i]] = indptr[line[i]]
    for i in range(size - held, size):
        level[line[i]] = -2
    for i in range(held):
        level[line[i]] = 0
        queue[i] = line[i]
    begin, end = 0, held
    reached = False
    while begin < end:
        here = queue[begin]
        begin += 1
        for a in range(indptr[here], indptr[here + 1]):
            there = head[a]
            if part[there] != parts or flow[a] > 0 or level[there] >= 0:
                continue
            if level[there] <= -2:
                reached = True
                level[there] = -3 - (level[here] + 1)
            else:
                level[there] = level[here] + 1
                queue[end] = there
                end += 1
    return reached


@inner
def _augment(source, indptr, head, twin, part, parts, flow, level, cursor, path):  # type: ignore[no-untyped-def]
    """Send one unit along increasing levels from a source to a sink; False if there is no way left."""
    depth = 0
    here = source
    while True:
        if level[here] <= -2:
            for i in range(depth):
                flow[path[i]] += 1
                flow[twin[path[i]]] -= 1
            return True
        moved = False
        while cursor[here] < indptr[here + 1]:
            a = cursor[here]
            there = head[a]
            if (
                part[there] == parts
                and flow[a] <= 0
                and (level[there] == level[here] + 1 or level[there] <= -3)
            ):
                path[depth] = a
                depth += 1
                here = there
                moved = True
                break
            cursor[here] += 1
        if moved:
            continue
        if depth == 0:
            return False
        depth -= 1
        here = head[twin[path[depth]]]
        cursor[here] += 1


@inner
def _separate(members, indptr, head, part, parts, inside, border):  # type: ignore[no-untyped-def]
    """
    Turn a cut into a separator of vertices, marked 2 in `inside`; return the sizes of both halves (marked 1 and 0).

    The separator is the end points of the cut on the side that has fewer.
    """
    ends_in, ends_out, left = 0, 0, 0
    for here in members:
        left += inside[here]
        if _on_border(here, indptr, head, part, parts, inside):
            ends_in += inside[here]
            ends_out += 1 - inside[here]
    side = 1 if ends_in <= ends_out else 0
    right = len(members) - left
    count = 0
    for here in members:
        if inside[here] == side and _on_border(here, indptr, head, part, parts, inside):
            border[count] = here
            count += 1
    for i in range(count):
        inside[border[i]] = 2
    return (left - ends_in, right) if side == 1 else (left, right - ends_out)


@inner
def _on_border(here, indptr, head, part, parts, inside):  # type: ignore[no-untyped-def]
    """Tell whether an edge of the cut ends at a vertex."""
    for a in range(indptr[here], indptr[here + 1]):
        if part[head[a]] == parts and inside[head[a]] != inside[here]:
            return True
    return False


@inner
def _partition(line, inside, left, right, spare):  # type: ignore[no-untyped-def]
    """Sort a line into left half, right half and separator, each in its old order."""
    ones, zeros, twos = 0, left, left + right
    for i in range(len(line)):
        side = inside[line[i]]
        if side == 1:
            spare[ones] = line[i]
            ones += 1
        elif side == 0:
            spare[zeros] = line[i]
            zeros += 1
        else:
            spare[twos] = line[i]
            twos += 1
    for i in range(len(line)):
        line[i] = spare[i]
