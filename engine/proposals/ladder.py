"""
Ladders: travel times between any two vertices in a few nanoseconds, kept up to date street by street.

In a contraction hierarchy (`engine.reach.hierarchy`) a shortest path climbs from its start, comes down to its end,
and turns at a vertex above both. The *ladder* of a vertex has the times to all vertices above it, and those from
them; the time between two vertices is the least sum over what their ladders share, which vector instructions find at
once. Ladders are made when they are first asked for: a change of a street asks for few.

References
----------
Ouyang, D., Qin, L., Chang, L., Lin, X., Zhang, Y., Zhu, Q. (2018). When hierarchy meets 2-hop-labeling: efficient
shortest distance queries on road networks. SIGMOD '18, 709–724. Dibbelt, J., Strasser, B., Wagner, D. (2016).
Customizable contraction hierarchies. ACM J. Experimental Algorithmics 21, 1.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.network.street_network import StreetNetwork
from engine.proposals.compiled import kernel, lean
from engine.proposals.heap import pop, push
from engine.proposals.layout import Layout
from engine.reach.hierarchy import Shape, contracted, shape_of, weights
from engine.reach.lanes import BEYOND, LANES, lower_row

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]


class Tree(NamedTuple):
    """
    A hierarchy and its ladders, as kernels take them.

    Attributes
    ----------
    position
        Position of each slot, -1 for slots that came later.
    indptr, head, parent, end
        As in `engine.reach.hierarchy.Shape`.
    depth
        Number of positions above each.
    start
        Where the ladder of each position begins.
    weight
        [ms] Times of the arcs and shortcuts up and down, shape (2, arcs).
    rungs
        [ms] Ladders up and down.
    made
        Whether each ladder is made, shape (2, positions).
    stack
        Room for a climb.
    """

    position: _Int32
    indptr: _Int32
    head: _Int32
    parent: _Int32
    end: _Int32
    depth: _Int32
    start: _Int
    weight: _Int32
    rungs: tuple[_Int32, _Int32]
    made: npt.NDArray[np.bool_]
    stack: _Int32


class Room:
    """Memory that the ladders of one mode after another are made in: only the largest needs its own."""

    def __init__(self) -> None:
        self._rungs = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))

    def rungs(self, size: int) -> tuple[_Int32, _Int32]:
        """Room for so many rungs up and down, with anything in it."""
        if len(self._rungs[0]) < size:
            self._rungs = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))  # the old goes first
            self._rungs = (np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32))
        up, down = self._rungs
        return up[:size], down[:size]


class Ladders:
    """
    The ladders of one layout; `follow` takes them to another.

    Parameters
    ----------
    layout
        The layout.
    network
        The network that it began with: its order of contraction is kept, vertices that came later go first.
    """

    def __init__(self, layout: Layout, network: StreetNetwork) -> None:
        self.layout = layout
        shape = shape_of(network)
        position = np.empty(network.n_vertices, dtype=np.int32)
        position[layout.slot] = shape.position
        if (layout.n_slots, layout.n_streets) != (network.n_vertices, len(network.streets)):
            late = np.arange(network.n_vertices, layout.n_slots, dtype=np.int32)
            order = np.concatenate([late, np.argsort(-position).astype(np.int32)])
            shape = contracted(order, layout.ends[:, 0], layout.ends[:, 1])
            position = shape.position
        self.below = _below(shape)
        depth = np.zeros(len(position), dtype=np.int32)
        _measure(shape.parent, depth)
        room = (depth.astype(np.int64) // LANES + 1) * LANES
        start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        ends = np.column_stack([position[layout.ends[:, 0]], position[layout.ends[:, 1]], layout.ends[:, 2:]])
        nothing = np.empty(0, dtype=np.int32)
        self._bare = Tree(
            position, shape.indptr, shape.head, shape.parent, shape.end, depth, start,
            np.stack(weights(shape, np.ascontiguousarray(ends, dtype=np.int32))), (nothing, nothing),
            np.zeros((2, 0), dtype=np.bool_), np.empty(len(position) + 1, dtype=np.int32),
        )  # fmt: skip

    def tree(self, room: Room) -> Tree:
        """The hierarchy with ladders in a room, none made yet."""
        made = np.zeros((2, len(self._bare.depth)), dtype=np.bool_)
        return self._bare._replace(rungs=room.rungs(int(self._bare.start[-1])), made=made)

    def fits(self, layout: Layout) -> bool:
        """Whether a layout has the same streets, with whatever times."""
        mine = self.layout
        same_ends = layout.incident is mine.incident or np.array_equal(layout.ends[:, :2], mine.ends[:, :2])
        return layout.n_slots == mine.n_slots and same_ends

    def follow(self, layout: Layout) -> None:
        """Bring the times up to date with those of a layout that fits."""
        differ = (layout.ends[:, 2:] != self.layout.ends[:, 2:]).any(axis=1)
        streets = np.flatnonzero(differ).astype(np.int32)
        self.layout = layout
        if not len(streets):
            return
        slot = np.empty(layout.n_slots, dtype=np.int32)
        slot[self._bare.position] = np.arange(layout.n_slots, dtype=np.int32)
        view = (layout.ends, layout.offsets, layout.near)
        _refit(streets, self._bare, self.below, slot, view, np.zeros(len(self._bare.head), dtype=np.bool_))


def _below(shape: Shape) -> tuple[_Int, _Int32, _Int32]:
    """Compressed rows: the higher positions that are joined to each position, and the arcs that join them."""
    arc = np.argsort(shape.head, kind="stable").astype(np.int32)
    owner = np.repeat(np.arange(len(shape.parent), dtype=np.int32), np.diff(shape.indptr))
    counts = np.bincount(shape.head, minlength=len(shape.parent))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), owner[arc], arc


@kernel
def _measure(parent, depth):  # type: ignore[no-untyped-def]
    """Count the positions above each; parents come first."""
    for p in range(len(parent)):
        if parent[p] >= 0:
            depth[p] = depth[parent[p]] + 1


@kernel
def _refit(streets, tree, below, slot, view, queued):  # type: ignore[no-untyped-def]
    """
    Bring the times of arcs and shortcuts up to date with some streets.

    What lies lowest is found first: an arc's time is that of its streets, or of the way through a vertex that was
    contracted before both its ends. A time that comes out as it was concerns nobody else.
    """
    indptr, head, weight = tree.indptr, tree.head, tree.weight
    n = len(tree.parent)
    keys, arcs, waiting = np.empty(256, dtype=np.int64), np.empty(256, dtype=np.int32), 0
    owners = np.empty(len(head), dtype=np.int32)
    for s in streets:
        u, v = tree.position[view[0][s, 0]], tree.position[view[0][s, 1]]
        if u != v:
            x, y = max(u, v), min(u, v)
            a = _arc(indptr, head, x, y)
            if not queued[a]:
                queued[a], owners[a] = True, x
                keys, arcs, waiting = push(keys, arcs, waiting, np.int64(n - x), np.int32(a))
    while waiting > 0:
        _, a, waiting = pop(keys, arcs, waiting)
        queued[a] = False
        x, y = owners[a], head[a]
        up, down = _street_times(x, y, tree.position, slot, view)
        for i in range(below[0][x], below[0][x + 1]):
            z, zx = below[1][i], below[2][i]
            zy = _arc(indptr, head, z, y)
            if zy >= 0:
                up = min(up, weight[1, zx] + weight[0, zy])
                down = min(down, weight[1, zy] + weight[0, zx])
        if up == weight[0, a] and down == weight[1, a]:
            continue
        weight[0, a], weight[1, a] = up, down
        for b in range(indptr[x], indptr[x + 1]):
            if b != a:
                high, low = max(head[b], y), min(head[b], y)
                c = _arc(indptr, head, high, low)
                if not queued[c]:
                    queued[c], owners[c] = True, high
                    keys, arcs, waiting = push(keys, arcs, waiting, np.int64(n - high), np.int32(c))


@lean
def _street_times(x, y, position, slot, view):  # type: ignore[no-untyped-def]
    """Times x→y and y→x of the quickest street between two positions."""
    up, down = np.int32(BEYOND), np.int32(BEYOND)
    here = slot[x]
    for i in range(view[1][here], view[1][here + 1]):
        if position[view[2][i, 0]] == y:
            if view[2][i, 2] >= 0:
                up = min(up, view[2][i, 2])
            if view[2][i, 1] >= 0:
                down = min(down, view[2][i, 1])
    return up, down


@lean
def _arc(indptr, head, x, y):  # type: ignore[no-untyped-def]
    """Arc from a position to a lower one, -1 if there is none."""
    low, high = indptr[x], indptr[x + 1]
    while low < high:
        middle = (low + high) >> 1
        if head[middle] < y:
            low = middle + 1
        else:
            high = middle
    return low if low < indptr[x + 1] and head[low] == y else np.int32(-1)


@lean
def climb(p, tree, way):  # type: ignore[no-untyped-def]
    """Make the ladder of a position, and those of all above it: up (`way` 0) or down (1)."""
    made, stack, rungs, weight = tree.made[way], tree.stack, tree.rungs[way], tree.weight[way]
    waiting = 0
    while p >= 0 and not made[p]:
        stack[waiting] = p
        waiting += 1
        p = tree.parent[p]
    while waiting > 0:
        waiting -= 1
        x = stack[waiting]
        first = tree.start[x]
        for i in range(first, tree.start[x + 1]):
            rungs[i] = BEYOND
        for a in range(tree.indptr[x], tree.indptr[x + 1]):
            if weight[a] < BEYOND:
                h = tree.head[a]
                lower_row(rungs, first, tree.start[h], weight[a], np.int64(tree.depth[h]) + 1)
        rungs[first + tree.depth[x]] = 0
        made[x] = True


@lean
def shared(x, above, first, depth, end):  # type: ignore[no-untyped-def]
    """Count the positions at or above both x and another, of some depth, which `above` lists from `first`."""
    if x < above[first] or x >= end[above[first]]:
        return 0
    low, high = 0, depth
    while low < high:
        middle = (low + high + 1) >> 1
        p = above[first + middle]
        if p <= x < end[p]:
            low = middle
        else:
            high = middle - 1
    return low + 1
