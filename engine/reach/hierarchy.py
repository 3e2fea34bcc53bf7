"""
Contraction hierarchy: shortcuts that let a search climb and come down instead of spreading.

The hierarchy is customisable: its shape follows from the streets alone, its weights from the times. A change of speed
customises it anew in a tenth of the time that building takes.

References
----------
Dibbelt, J., Strasser, B., Wagner, D. (2016). Customizable contraction hierarchies. ACM J. Experimental Algorithmics
21, 1.5. Delling, D., Goldberg, A., Nowatzyk, A., Werneck, R. (2013). PHAST: hardware-accelerated shortest path
trees. J. Parallel and Distributed Computing 73(7), 940–952.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine.network.street_network import StreetNetwork
from engine.reach.compiled import inner, kernel
from engine.reach.dissection import dissection_order
from engine.reach.lanes import BEYOND
from engine.snapping import local_metres

_KEPT_SHAPES = 8


@dataclass(frozen=True, eq=False)
class Shape:
    """
    What a hierarchy owes to the streets alone.

    Vertices have *positions*: a vertex comes before everything that was contracted before it within its branch, so
    that climbing leads to lower positions and a branch is one run of positions.

    Attributes
    ----------
    position
        Position of each vertex.
    indptr, head
        Compressed rows: the lower positions that each position is joined to, increasing.
    parent
        The last of them, -1 at a root.
    end
        The branch of position ``p`` is ``p:end[p]``.
    """

    position: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int32]
    head: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """
    A shape with the times of one network.

    Attributes
    ----------
    shape
        The shape.
    up, down
        Compressed rows (indptr, head, time [ms]) of the arcs and shortcuts from each position to lower ones, and
        from lower ones to it; those that no shortest path needs are left out.
    """

    shape: Shape
    up: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]
    down: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]


_HIERARCHIES: WeakKeyDictionary[StreetNetwork, Hierarchy] = WeakKeyDictionary()
_SHAPES: OrderedDict[bytes, Shape] = OrderedDict()


def hierarchy(network: StreetNetwork) -> Hierarchy:
    """Build the hierarchy of a network, or customise a known shape to its times; kept as long as it lives."""
    known = _HIERARCHIES.get(network)
    if known is None:
        known = _HIERARCHIES[network] = customise(shape_of(network), network)
    return known


def shape_of(network: StreetNetwork) -> Shape:
    """Build the shape of a network's hierarchy, or find it among the latest ones."""
    key = _key(network)
    shape = _SHAPES.get(key) or build_shape(network)
    _SHAPES[key] = shape
    _SHAPES.move_to_end(key)
    while len(_SHAPES) > _KEPT_SHAPES:
        _SHAPES.popitem(last=False)
    return shape


def has_shape(network: StreetNetwork) -> bool:
    """Tell whether the hierarchy, or at least its shape, is at hand."""
    return network in _HIERARCHIES or _key(network) in _SHAPES


def _key(network: StreetNetwork) -> bytes:
    """Digest of what a shape depends on."""
    digest = sha256(np.int64(network.n_vertices).tobytes())
    for array in (network.u, network.v, network.lon, network.lat):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def build_shape(network: StreetNetwork) -> Shape:
    """
    Contract the vertices of a network in nested-dissection order.

    Notes
    -----
    About 20 µs a vertex, most of it for the order; four to eight joined positions a vertex in cities.
    """
    plane = local_metres(network)
    xy = (
        plane.project(np.column_stack([network.lon, network.lat])) if network.n_vertices else np.empty((0, 2))
    )
    order = dissection_order(network.u, network.v, xy)
    return contracted(order, network.u, network.v)


def contracted(order: npt.NDArray[np.int32], u: npt.NDArray[np.int32], v: npt.NDArray[np.int32]) -> Shape:
    """Contract the vertices of the streets ``u[i]``–``v[i]`` in an order."""
    pairs = np.unique(np.sort(np.column_stack([u, v]), axis=1), axis=0)
    tail, head = np.concatenate([pairs, pairs[:, ::-1]]).T
    rows = np.lexsort((head, tail))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=len(order)))]).astype(np.int32)
    return _filled(order, indptr, head[rows].astype(np.int32))


def weights(shape: Shape, ends: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """
    Give the times [ms] of all arcs and shortcuts of a shape, from each position to lower ones and back.

    `ends` has the positions of u and v and the times u→v and v→u (-1: no way) of each street, shape (streets, 4).
    """
    up, down = (np.full(len(shape.head), BEYOND, dtype=np.int32) for _ in range(2))
    _lower(shape.indptr, shape.head, ends, up, down)
    return up, down


def customise(shape: Shape, network: StreetNetwork) -> Hierarchy:
    """
    Give a shape the times of a network with the same streets.

    Notes
    -----
    O(triangles of the shape): about 2 µs a vertex in cities.
    """
    u, v = shape.position[network.u], shape.position[network.v]
    ends = np.column_stack([u, v, network.forward_ms, network.backward_ms]).astype(np.int32)
    up, down = weights(shape, ends)
    least_up, least_down = up.copy(), down.copy()
    _compare(shape.indptr, shape.head, least_up, least_down)
    up[least_up < up] = BEYOND
    down[least_down < down] = BEYOND
    return Hierarchy(shape=shape, up=_kept(shape, up), down=_kept(shape, down))


def _kept(
    shape: Shape, time: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    needed = time < BEYOND
    before = np.concatenate([[0], np.cumsum(needed)]).astype(np.int32)
    return before[shape.indptr], shape.head[needed], time[needed]


def _filled(
    order: npt.NDArray[np.int32], indptr: npt.NDArray[np.int32], head: npt.NDArray[np.int32]
) -> Shape:
    """Contract vertices in an order, and number them by position."""
    n = len(order)
    rank = np.empty(n, dtype=np.int32)
    rank[order] = np.arange(n, dtype=np.int32)
    begin, room = np.zeros(n + 1, dtype=np.int64), 8 * n + 16
    while True:
        above = np.empty(room, dtype=np.int32)
        parent, child, sibling, seen = (np.full(n, -1, dtype=np.int32) for _ in range(4))
        if _contract(order, rank, indptr, head, begin, above, parent, child, sibling, seen):
            break
        room *= 2
    at, end, free = (np.empty(n, dtype=np.int32) for _ in range(3))
    _number(parent, np.ones(n, dtype=np.int32), free, at, end)
    row, column = np.repeat(at, np.diff(begin)), at[above[: begin[-1]]]
    parent_at = np.full(n, -1, dtype=np.int32)
    parent_at[at[parent >= 0]] = at[parent[parent >= 0]]
    return Shape(
        position=at[rank],
        indptr=np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int32),
        head=column[np.lexsort((column, row))],
        parent=parent_at,
        end=end,
    )


@kernel
def _contract(order, rank, indptr, head, begin, above, parent, child, sibling, seen):  # type: ignore[no-untyped-def]
    """Fill in what contraction joins, by rank; return False if `above` is too small."""
    n = len(order)
    size = np.int64(0)
    for x in range(n):
        if size + n > len(above):
            return False
        seen[x] = x
        for a in range(indptr[order[x]], indptr[order[x] + 1]):
            size = _join(rank[head[a]], x, seen, above, size)
        below = child[x]
        while below >= 0:
            for a in range(begin[below], begin[below + 1]):
                size = _join(above[a], x, seen, above, size)
            below = sibling[below]
        begin[x + 1] = size
        if size > begin[x]:
            lowest = above[begin[x]]
            for a in range(begin[x], size):
                lowest = min(lowest, above[a])
            parent[x] = lowest
            sibling[x] = child[lowest]
            child[lowest] = x
    return True


@inner
def _join(y, x, seen, above, size):  # type: ignore[no-untyped-def]
    """Note a later neighbour once."""
    if y > x and seen[y] != x:
        seen[y] = x
        above[size] = y
        return size + 1
    return size


@kernel
def _number(parent, branch, free, at, end):  # type: ignore[no-untyped-def]
    """Give every rank a position, so that parents come first and branches are runs; `branch` is 1 everywhere."""
    n = len(parent)
    for x in range(n):
        if parent[x] >= 0:
            branch[parent[x]] += branch[x]
    top = 0
    for x in range(n - 1, -1, -1):
        if parent[x] < 0:
            at[x] = top
            top += branch[x]
        else:
            at[x] = free[parent[x]]
            free[parent[x]] += branch[x]
        free[x] = at[x] + 1
        end[at[x]] = at[x] + branch[x]


@kernel
def _lower(indptr, head, ends, up, down):  # type: ignore[no-untyped-def]
    """Time of every arc, and of every shortcut through the vertices contracted before both its ends."""
    for s in range(len(ends)):
        u, v = ends[s, 0], ends[s, 1]
        if u == v:
            continue
        x, y = max(u, v), min(u, v)
        a = indptr[x]
        while head[a] != y:
            a += 1
        goes, returns = (ends[s, 2], ends[s, 3]) if x == u else (ends[s, 3], ends[s, 2])
        if goes >= 0:
            up[a] = min(up[a], goes)
        if returns >= 0:
            down[a] = min(down[a], returns)
    for x in range(len(indptr) - 2, -1, -1):
        for i in range(indptr[x], indptr[x + 1]):
            j, b, last = indptr[x], indptr[head[i]], indptr[head[i] + 1]
            while b < last and j < i:
                if head[j] < head[b]:
                    j += 1
                elif head[j] > head[b]:
                    b += 1
                else:
                    up[b] = min(up[b], down[i] + up[j])
                    down[b] = min(down[b], down[j] + up[i])
                    j += 1
                    b += 1


@kernel
def _compare(indptr, head, up, down):  # type: ignore[no-untyped-def]
    """Lower every time to the way through vertices contracted later: what that beats, no shortest path needs."""
    for x in range(len(indptr) - 1):
        for i in range(indptr[x], indptr[x + 1]):
            j, b, last = indptr[x], indptr[head[i]], indptr[head[i] + 1]
            while b < last and j < i:
                if head[j] < head[b]:
                    j += 1
                elif head[j] > head[b]:
                    b += 1
                else:
                    up[j] = min(up[j], up[i] + up[b])
                    up[i] = min(up[i], up[j] + down[b])
                    down[j] = min(down[j], down[b] + down[i])
                    down[i] = min(down[i], up[b] + down[j])
                    j += 1
                    b += 1
