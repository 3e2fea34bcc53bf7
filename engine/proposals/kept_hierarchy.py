"""
The hierarchy of a mode's first streets, kept up to date with their times edit by edit.

Streets that edits add are no part of it: `engine.proposals.twin_sweeps` goes over them one by one.

References
----------
Dibbelt, J., Strasser, B., Wagner, D. (2016). Customizable contraction hierarchies. ACM J. Experimental Algorithmics
21, 1.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.network.street_network import StreetNetwork
from engine.proposals.compiled import kernel, lean
from engine.proposals.heap import pop, push
from engine.proposals.layout import Layout
from engine.reach.hierarchy import Shape, shape_of, weights
from engine.reach.lanes import BEYOND

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]


class Tree(NamedTuple):
    """
    The shape of a hierarchy, as kernels take it.

    Attributes
    ----------
    position
        Position of each slot.
    slot
        Slot at each position.
    indptr, head, parent, end
        As in `engine.reach.hierarchy.Shape`.
    """

    position: _Int32
    slot: _Int32
    indptr: _Int32
    head: _Int32
    parent: _Int32
    end: _Int32


class KeptHierarchy:
    """
    A hierarchy with the times of one layout; `follow` takes it to another.

    Parameters
    ----------
    network
        The network that edits began with.
    layout
        A layout of it, with whatever streets were added since.

    Attributes
    ----------
    tree
        The shape.
    weight
        [ms] Times of the arcs and shortcuts up and down, shape (2, arcs).
    """

    def __init__(self, network: StreetNetwork, layout: Layout) -> None:
        self._layout = layout
        self.n_streets = len(network.streets)
        shape = shape_of(network)
        position = np.empty(network.n_vertices, dtype=np.int32)
        position[layout.slot] = shape.position
        slot = np.empty_like(position)
        slot[position] = np.arange(len(position), dtype=np.int32)
        self.tree = Tree(position, slot, shape.indptr, shape.head, shape.parent, shape.end)
        self._below = _below(shape)
        ends = layout.ends[: self.n_streets]
        ends = np.column_stack([position[ends[:, 0]], position[ends[:, 1]], ends[:, 2:]])
        self.weight = np.stack(weights(shape, np.ascontiguousarray(ends, dtype=np.int32)))

    def follow(self, layout: Layout) -> None:
        """Bring the times up to date with those of a layout; what `weight` was stays as it is."""
        m = self.n_streets
        differ = (layout.ends[:m, 2:] != self._layout.ends[:m, 2:]).any(axis=1)
        streets = np.flatnonzero(differ).astype(np.int32)
        self._layout = layout
        if not len(streets):
            return
        self.weight = self.weight.copy()
        queued = np.zeros(len(self.tree.head), dtype=np.bool_)
        view = (layout.ends, layout.offsets, layout.near, layout.incident, m)
        _refit(streets, self.tree, self.weight, self._below, view, queued)

    def owners(self, arcs: _Int) -> _Int:
        """Positions that arcs lead up from."""
        return np.searchsorted(self.tree.indptr, arcs, side="right") - 1


def _below(shape: Shape) -> tuple[_Int, _Int32, _Int32]:
    """Compressed rows: the higher positions that are joined to each position, and the arcs that join them."""
    arc = np.argsort(shape.head, kind="stable").astype(np.int32)
    owner = np.repeat(np.arange(len(shape.parent), dtype=np.int32), np.diff(shape.indptr))
    counts = np.bincount(shape.head, minlength=len(shape.parent))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), owner[arc], arc


@kernel
def _refit(streets, tree, weight, below, view, queued):  # type: ignore[no-untyped-def]
    """
    Bring the times of arcs and shortcuts up to date with some streets.

    What lies lowest is found first: an arc's time is that of its streets, or of the way through a vertex that was
    contracted before both its ends. A time that comes out as it was concerns nobody else. `view` is (ends, offsets,
    near, incident) of a layout and the number of streets that are part of the hierarchy.
    """
    indptr, head = tree.indptr, tree.head
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
        up, down = _street_times(x, y, tree, view)
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
def _street_times(x, y, tree, view):  # type: ignore[no-untyped-def]
    """Times x→y and y→x of the quickest of the first streets between two positions."""
    up, down = np.int32(BEYOND), np.int32(BEYOND)
    here = tree.slot[x]
    for i in range(view[1][here], view[1][here + 1]):
        if view[3][i] < view[4] and tree.position[view[2][i, 0]] == y:
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
