"""Which points of an area see each other, and which lines between them are worth drawing; compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TOUCH_M = 1e-4
"""[m] Closer than this a point lies on a line: a hundredth of the grid on which OSM stores positions."""

_compiled = numba.njit(cache=True)


class Areas(NamedTuple):
    """
    Areas and their rings.

    Ring ``r`` is ``nodes[ring_start[r]:ring_start[r + 1]]``, its last node is not the first again; area ``i`` has the
    rings ``area_start[i]`` to ``area_start[i + 1]`` and is tagged by the way row ``way[i]``. A point is inside an
    area when it is inside an odd number of its rings.
    """

    nodes: IntArray
    ring_start: IntArray
    area_start: IntArray
    way: IntArray


def lines_across(
    x: FloatArray,
    y: FloatArray,
    areas: Areas,
    *,
    entrance: BoolArray,
    dangling: IntArray,
    exact_up_to: int,
    stretch: float,
    max_points: int,
) -> tuple[IntArray, IntArray, IntArray, int]:
    """
    Lines between the points of each area.

    Parameters
    ----------
    x, y
        [m] Position of every node.
    areas
        The areas.
    entrance
        Nodes that lead into an area whose boundary they are on, shape (nodes,).
    dangling
        Nodes that lead into the area that they lie in, sorted by x.
    exact_up_to, stretch, max_points
        Rules of thinning, as in ``engine.network.plaza``.

    Returns
    -------
    tuple
        First node, second node and area of each line, and the number of entrances.
    """
    lines, points = _all_areas(
        x,
        y,
        areas.nodes,
        areas.ring_start,
        areas.area_start,
        entrance,
        dangling,
        x[dangling],
        exact_up_to,
        stretch,
        max_points,
    )
    return lines[:, 0].copy(), lines[:, 1].copy(), lines[:, 2].copy(), int(points)


@_compiled  # type: ignore[untyped-decorator]
def _inside(px: float, py: float, x: FloatArray, y: FloatArray, starts: IntArray) -> bool:
    """Even-odd rule over all rings."""
    inside = False
    for r in range(len(starts) - 1):
        j = starts[r + 1] - 1
        for i in range(starts[r], starts[r + 1]):
            if (y[i] > py) != (y[j] > py) and px < (x[j] - x[i]) * (py - y[i]) / (y[j] - y[i]) + x[i]:
                inside = not inside
            j = i
    return inside


@_compiled  # type: ignore[untyped-decorator]
def _on_boundary(px: float, py: float, x: FloatArray, y: FloatArray, starts: IntArray) -> bool:
    for r in range(len(starts) - 1):
        j = starts[r + 1] - 1
        for i in range(starts[r], starts[r + 1]):
            dx, dy = x[i] - x[j], y[i] - y[j]
            square = dx * dx + dy * dy
            t = 0.0 if square == 0.0 else min(1.0, max(0.0, ((px - x[j]) * dx + (py - y[j]) * dy) / square))
            if np.hypot(px - x[j] - t * dx, py - y[j] - t * dy) < TOUCH_M:
                return True
            j = i
    return False


@_compiled  # type: ignore[untyped-decorator]
def _sees(
    px: float,
    py: float,
    qx: float,
    qy: float,
    x: FloatArray,
    y: FloatArray,
    starts: IntArray,
    cuts: FloatArray,
) -> bool:
    """Whether the straight line from p to q stays within the area or on its boundary."""
    dx, dy = qx - px, qy - py
    length = np.hypot(dx, dy)
    if length < TOUCH_M:
        return False
    n = 0
    for r in range(len(starts) - 1):
        j = starts[r + 1] - 1
        for i in range(starts[r], starts[r + 1]):
            # distances of the edge's ends from the line, and their places along it
            left_j = (dx * (y[j] - py) - dy * (x[j] - px)) / length
            left_i = (dx * (y[i] - py) - dy * (x[i] - px)) / length
            if (left_j > TOUCH_M and left_i < -TOUCH_M) or (left_j < -TOUCH_M and left_i > TOUCH_M):
                share = left_j / (left_j - left_i)
                along = (
                    dx * (x[j] + share * (x[i] - x[j]) - px) + dy * (y[j] + share * (y[i] - y[j]) - py)
                ) / length
                if TOUCH_M < along < length - TOUCH_M:
                    return False
            if abs(left_i) <= TOUCH_M:
                along = (dx * (x[i] - px) + dy * (y[i] - py)) / length
                if TOUCH_M < along < length - TOUCH_M:
                    k = n  # insertion keeps the few places sorted
                    while k > 0 and cuts[k - 1] > along:
                        cuts[k] = cuts[k - 1]
                        k -= 1
                    cuts[k] = along
                    n += 1
            j = i
    cuts[n] = length
    start = 0.0
    for k in range(n + 1):
        middle = (start + cuts[k]) / 2 / length
        mx, my = px + middle * dx, py + middle * dy
        clear = cuts[k] - start <= 2 * TOUCH_M or _inside(mx, my, x, y, starts)
        if not clear and not _on_boundary(mx, my, x, y, starts):
            return False
        start = cuts[k]
    return True


@_compiled  # type: ignore[untyped-decorator]
def _corners(x: FloatArray, y: FloatArray, starts: IntArray) -> BoolArray:
    """Boundary points where the boundary bends into the area: a shortest way inside bends nowhere else."""
    corner = np.zeros(len(x), np.bool_)
    for r in range(len(starts) - 1):
        first, last = starts[r], starts[r + 1] - 1
        free_on_left = False
        for i in range(first, last):  # a point just left of the middle of an edge
            dx, dy = x[i + 1] - x[i], y[i + 1] - y[i]
            length = np.hypot(dx, dy)
            if length > 10 * TOUCH_M:
                step = 2 * TOUCH_M / length
                free_on_left = _inside(
                    (x[i] + x[i + 1]) / 2 - dy * step, (y[i] + y[i + 1]) / 2 + dx * step, x, y, starts
                )
                break
        for i in range(first, last + 1):
            before = last if i == first else i - 1
            after = first if i == last else i + 1
            turn = (x[i] - x[before]) * (y[after] - y[i]) - (y[i] - y[before]) * (x[after] - x[i])
            corner[i] = turn < 0.0 if free_on_left else turn > 0.0
    return corner


@_compiled  # type: ignore[untyped-decorator]
def _relax(distance: FloatArray, n: int, i: int, j: int, length: float) -> None:
    """Shorten the distances between all points by a line from i to j."""
    for p in range(n):
        over_i, over_j = distance[p, i] + length, distance[p, j] + length
        if over_i < distance[p, j] or over_j < distance[p, i]:
            for q in range(n):
                best = min(distance[p, q], over_i + distance[j, q], over_j + distance[i, q])
                distance[p, q] = best


@_compiled  # type: ignore[untyped-decorator]
def _take_evenly(chosen: IntArray, n: int, most: int) -> int:
    """Keep at most so many of the first n, evenly spread."""
    if n <= most:
        return n
    for k in range(most):
        chosen[k] = chosen[k * n // most]
    return most


@_compiled  # type: ignore[untyped-decorator]
def _first_at_least(values: FloatArray, wanted: float) -> int:
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled  # type: ignore[untyped-decorator]
def _points(
    x: FloatArray,
    y: FloatArray,
    nodes: IntArray,
    starts: IntArray,
    entrance: BoolArray,
    dangling: IntArray,
    dangling_x: FloatArray,
    node_x: FloatArray,
    node_y: FloatArray,
    max_points: int,
) -> Any:
    """Nodes that may see each other, entrances first, with their ring places (-1 inside); number of entrances."""
    m = len(nodes)
    doors, bends = np.empty(m, np.int64), np.empty(m, np.int64)
    n_doors = n_bends = 0
    corner = _corners(x, y, starts)
    west, east, south, north = x[0], x[0], y[0], y[0]
    for i in range(m):
        west, east = min(west, x[i]), max(east, x[i])
        south, north = min(south, y[i]), max(north, y[i])
        if entrance[nodes[i]]:
            doors[n_doors] = i
            n_doors += 1
        elif corner[i]:
            bends[n_bends] = i
            n_bends += 1
    low, high = _first_at_least(dangling_x, west), _first_at_least(dangling_x, east)
    inner = np.empty(high - low, np.int64)
    n_inner = 0
    for k in range(low, high):
        node = dangling[k]
        if south < node_y[node] < north and _inside(node_x[node], node_y[node], x, y, starts):
            inner[n_inner] = node
            n_inner += 1
    n_doors = _take_evenly(doors, n_doors, max_points)
    n_inner = _take_evenly(inner, n_inner, max_points)
    n_bends = _take_evenly(bends, n_bends, max(max_points - n_doors - n_inner, 0))
    ids = np.empty(n_doors + n_inner + n_bends, np.int64)
    places = np.empty(n_doors + n_inner + n_bends, np.int64)
    for k in range(n_doors):
        ids[k], places[k] = nodes[doors[k]], doors[k]
    for k in range(n_inner):
        ids[n_doors + k], places[n_doors + k] = inner[k], -1
    for k in range(n_bends):
        at = n_doors + n_inner + k
        ids[at], places[at] = nodes[bends[k]], bends[k]
    return ids, places, n_doors + n_inner


@_compiled  # type: ignore[untyped-decorator]
def _before(i: int, j: int, length: FloatArray) -> bool:
    return length[i] < length[j] or (length[i] == length[j] and i < j)


@_compiled  # type: ignore[untyped-decorator]
def _sink(heap: IntArray, length: FloatArray, at: int, size: int) -> None:
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _before(heap[child], heap[child + 1], length):
            child += 1
        if not _before(heap[at], heap[child], length):
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child


@_compiled  # type: ignore[untyped-decorator]
def _shortest_first(length: FloatArray) -> IntArray:
    """Positions by length, ties by position (heap sort: numba's own sorts take seconds to compile)."""
    n = len(length)
    heap = np.empty(n, np.int64)
    for at in range(n):
        heap[at] = at
    for at in range(n // 2 - 1, -1, -1):
        _sink(heap, length, at, n)
    for size in range(n - 1, 0, -1):
        heap[0], heap[size] = heap[size], heap[0]
        _sink(heap, length, 0, size)
    return heap


@_compiled  # type: ignore[untyped-decorator]
def _along_boundary(
    distance: FloatArray, places: IntArray, x: FloatArray, y: FloatArray, starts: IntArray
) -> None:
    """Ways along the boundary between consecutive points."""
    point = np.empty(len(x), np.int64)
    for k in range(len(x)):
        point[k] = -1
    for k in range(len(places)):
        if places[k] >= 0:
            point[places[k]] = k
    for r in range(len(starts) - 1):
        size = starts[r + 1] - starts[r]
        first = -1
        for i in range(size):
            if point[starts[r] + i] >= 0:
                first = i
                break
        if first < 0:
            continue
        at, length = point[starts[r] + first], 0.0
        for step in range(1, size + 1):
            i, j = starts[r] + (first + step) % size, starts[r] + (first + step - 1) % size
            length += np.hypot(x[i] - x[j], y[i] - y[j])
            if point[i] >= 0:
                if point[i] != at and length < distance[at, point[i]]:
                    _relax(distance, len(places), at, point[i], length)
                at, length = point[i], 0.0


@_compiled  # type: ignore[untyped-decorator]
def _one_area(
    x: FloatArray,
    y: FloatArray,
    starts: IntArray,
    places: IntArray,
    px: FloatArray,
    py: FloatArray,
    doors: int,
    stretch: float,
) -> Any:
    """Pairs of points worth a line."""
    n = len(px)
    distance = np.empty((n, n))
    for p in range(n):
        for q in range(n):
            distance[p, q] = 0.0 if p == q else np.inf
    _along_boundary(distance, places, x, y, starts)
    pairs = n * (n - 1) // 2
    first, second, length = np.empty(pairs, np.int64), np.empty(pairs, np.int64), np.empty(pairs)
    k = 0
    for p in range(n):
        for q in range(p + 1, n):
            first[k], second[k], length[k] = p, q, np.hypot(px[p] - px[q], py[p] - py[q])
            k += 1
    order = _shortest_first(length)
    cuts = np.empty(len(x) + 1)
    drawn = np.empty(pairs, np.int64)
    n_drawn = 0
    for k in order:
        p, q = first[k], second[k]
        if distance[p, q] > length[k] * stretch * (1.0 + 1e-9) and _sees(
            px[p], py[p], px[q], py[q], x, y, starts, cuts
        ):
            _relax(distance, n, p, q, length[k])
            drawn[n_drawn] = k
            n_drawn += 1
    lines = np.empty((n_drawn, 2), np.int64)
    n_lines = 0
    for d in range(n_drawn):
        k = drawn[d]
        if _between(distance, doors, first[k], second[k], length[k]):
            lines[n_lines, 0], lines[n_lines, 1] = first[k], second[k]
            n_lines += 1
    return lines, n_lines


@_compiled  # type: ignore[untyped-decorator]
def _between(distance: FloatArray, doors: int, i: int, j: int, length: float) -> bool:
    """Whether a shortest way from one entrance to another takes the line."""
    for p in range(doors):
        for q in range(doors):
            if distance[p, i] + length + distance[j, q] <= distance[p, q] * (1.0 + 1e-9):
                return True
    return False


@_compiled  # type: ignore[untyped-decorator]
def _gathered(values: FloatArray, at: IntArray) -> FloatArray:
    """``values[at]``, by a loop: it compiles in a tenth of the time."""
    out = np.empty(len(at))
    for k in range(len(at)):
        out[k] = values[at[k]]
    return out


@_compiled  # type: ignore[untyped-decorator]
def _all_areas(
    node_x: FloatArray,
    node_y: FloatArray,
    nodes: IntArray,
    ring_start: IntArray,
    area_start: IntArray,
    entrance: BoolArray,
    dangling: IntArray,
    dangling_x: FloatArray,
    exact_up_to: int,
    stretch: float,
    max_points: int,
) -> Any:
    n_lines = total = 0
    out = np.empty((1024, 3), np.int64)
    for area in range(len(area_start) - 1):
        begin = ring_start[area_start[area]]
        own = nodes[begin : ring_start[area_start[area + 1]]]
        starts = np.empty(area_start[area + 1] - area_start[area] + 1, np.int64)
        for r in range(len(starts)):
            starts[r] = ring_start[area_start[area] + r] - begin
        x, y = _gathered(node_x, own), _gathered(node_y, own)
        ids, places, n_doors = _points(
            x, y, own, starts, entrance, dangling, dangling_x, node_x, node_y, max_points
        )
        total += n_doors
        if n_doors < 2:
            continue
        factor = 1.0 if len(ids) <= exact_up_to else stretch
        px, py = _gathered(node_x, ids), _gathered(node_y, ids)
        lines, found = _one_area(x, y, starts, places, px, py, n_doors, factor)
        if n_lines + found > len(out):
            more = np.empty((2 * len(out) + found, 3), np.int64)
            for k in range(n_lines):
                more[k, 0], more[k, 1], more[k, 2] = out[k, 0], out[k, 1], out[k, 2]
            out = more
        for k in range(found):
            out[n_lines, 0], out[n_lines, 1], out[n_lines, 2] = ids[lines[k, 0]], ids[lines[k, 1]], area
            n_lines += 1
    return out[:n_lines], total
