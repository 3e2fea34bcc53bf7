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
from engine.proposals.compiled import kernel, lean, lean_kernel
from engine.proposals.heap import longer, pop, push
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
    later, street, earlier
        Compressed rows: the streets whose later end each position is, and the position of their earlier end.
    """

    position: _Int32
    slot: _Int32
    indptr: _Int32
    head: _Int32
    parent: _Int32
    end: _Int32
    later: _Int
    street: _Int32
    earlier: _Int32


class KeptHierarchy:
    """
    A hierarchy with the times of two layouts, one edit apart; `step` takes it on.

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
    was, weight
        [ms] Times of the arcs and shortcuts up and down before and after the latest step, shape (2, arcs).
    arcs
        Arcs in which they differ.
    """

    def __init__(self, network: StreetNetwork, layout: Layout) -> None:
        self.n_streets = len(network.streets)
        shape = shape_of(network)
        position = np.empty(network.n_vertices, dtype=np.int32)
        position[layout.slot] = shape.position
        slot = np.empty_like(position)
        slot[position] = np.arange(len(position), dtype=np.int32)
        ends = layout.ends[: self.n_streets]
        ends = np.column_stack([position[ends[:, 0]], position[ends[:, 1]], ends[:, 2:]])
        later, earlier = ends[:, :2].max(axis=1), ends[:, :2].min(axis=1)
        street = np.argsort(later, kind="stable").astype(np.int32)
        self.tree = Tree(
            position, slot, shape.indptr, shape.head, shape.parent, shape.end,
            np.searchsorted(later[street], np.arange(len(slot) + 1)), street, earlier[street],
        )  # fmt: skip
        self._below = _below(shape)
        self._queued = np.zeros(len(shape.head), dtype=np.bool_)
        self.weight = np.stack(weights(shape, np.ascontiguousarray(ends, dtype=np.int32)))
        self.was = self.weight.copy()
        self.arcs = np.empty(0, dtype=np.int32)
        self._layouts = (layout, layout)

    def step(self, before: Layout, now: Layout, streets: _Int32) -> None:
        """Go from a layout to one that differs in the times of some streets."""
        if self._layouts[0].ends is before.ends:
            self.weight[:, self.arcs] = self.was[:, self.arcs]
        else:
            self._settle()
            if self._layouts[1].ends is not before.ends:
                m = self.n_streets
                differ = (self._layouts[1].ends[:m, 2:] != before.ends[:m, 2:]).any(axis=1)
                self._refit(before, np.flatnonzero(differ).astype(np.int32))
                self._settle()
        self._refit(now, streets[streets < self.n_streets])
        self._layouts = (before, now)

    def _settle(self) -> None:
        """Let what was be what is."""
        self.was[:, self.arcs] = self.weight[:, self.arcs]

    def _refit(self, layout: Layout, streets: _Int32) -> None:
        """Bring `weight` up to date with some streets of a layout, and say in `arcs` where it changed."""
        view = (layout.ends, layout.offsets, layout.near, layout.incident, self.n_streets)
        self.arcs = _refit(streets, self.tree, self.weight, self._below, view, self._queued)

    def owners(self) -> _Int:
        """Positions that `arcs` lead up from."""
        return np.searchsorted(self.tree.indptr, self.arcs, side="right") - 1


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
    contracted before both its ends. A time that comes out as it was concerns nobody else, nor does one that no other
    was, or will be, the sum of. `view` is (ends, offsets, near, incident) of a layout and the number of streets that
    are part of the hierarchy; `queued` is False everywhere. Return the arcs that changed.
    """
    indptr, head = tree.indptr, tree.head
    n = len(tree.parent)
    keys, arcs, waiting = np.empty(256, dtype=np.int64), np.empty(256, dtype=np.int32), 0
    moved, size = np.empty(256, dtype=np.int32), 0
    for s in streets:
        u, v = tree.position[view[0][s, 0]], tree.position[view[0][s, 1]]
        if u != v:
            x, y = max(u, v), min(u, v)
            a = _arc(indptr, head, x, y)
            if not queued[a]:
                queued[a] = True
                keys, arcs, waiting = push(keys, arcs, waiting, np.int64(n - x), np.int32(a))
    while waiting > 0:
        key, a, waiting = pop(keys, arcs, waiting)
        queued[a] = False
        x, y = n - key, head[a]
        up, down = _time(x, y, tree, weight, below, view)
        was_up, was_down = weight[0, a], weight[1, a]
        if up == was_up and down == was_down:
            continue
        weight[0, a], weight[1, a] = up, down
        if size == len(moved):
            moved = longer(moved)
        moved[size] = a
        size += 1
        for b in range(indptr[x], indptr[x + 1]):
            if b == a:
                continue
            high, low = max(head[b], y), min(head[b], y)
            c = _arc(indptr, head, high, low)
            away, back = (0, 1) if low == y else (1, 0)  # from head[b] by x to y, and from y by x to head[b]
            to_y, from_y = weight[away, c], weight[back, c]
            b_up, b_down = weight[0, b], weight[1, b]
            matters = b_down + was_up == to_y or b_down + up < to_y
            matters |= was_down + b_up == from_y or down + b_up < from_y
            if matters and not queued[c]:
                queued[c] = True
                keys, arcs, waiting = push(keys, arcs, waiting, np.int64(n - high), np.int32(c))
    return moved[:size]


@lean
def _time(x, y, tree, weight, below, view):  # type: ignore[no-untyped-def]
    """Times x→y and y→x by a street or by what was contracted before both."""
    up, down = _street_times(x, y, tree, view)
    for i in range(below[0][x], below[0][x + 1]):
        z, zx = below[1][i], below[2][i]
        zy = _arc(tree.indptr, tree.head, z, y)
        if zy >= 0:
            up = min(up, weight[1, zx] + weight[0, zy])
            down = min(down, weight[1, zy] + weight[0, zx])
    return up, down


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


@lean_kernel
def flag_above(positions, parent, flag):  # type: ignore[no-untyped-def]
    """Flag positions and all above them; what is flagged has everything above it flagged."""
    for start in positions:
        x = start
        while x >= 0 and not flag[x]:
            flag[x] = True
            x = parent[x]
