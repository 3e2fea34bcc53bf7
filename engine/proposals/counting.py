"""Counts brought up to date: what a mode's cells gain and lose between two layouts of its streets and places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.compiled import lean_kernel
from engine.proposals.kept_hierarchy import KeptHierarchy, Tree, flag_above
from engine.proposals.layout import Layout, View
from engine.proposals.place_counts import flag_near
from engine.proposals.scenario import ModeTables
from engine.proposals.twin_sweeps import Change, Space, count_places, twin_sweeps
from engine.reach.graph import UNREACHABLE
from engine.reach.lanes import LANES
from engine.reach.threads import ranges, spread, workers

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]
_SPARE = 256
"""Room for streets and vertices that edits add before scratch space is made anew."""
_FEW_BATCHES = 8
"""Below this, sharing the work between processors costs more than it saves."""


def _space(n_slots: int, n_streets: int, n_positions: int, shape: tuple[int, int, int]) -> tuple[Space, _Int]:
    """What one processor's sweeps write on, and sums of that shape."""
    space = Space(
        before=np.empty((n_slots, LANES), dtype=np.int32),
        now=np.empty((n_slots, LANES), dtype=np.int32),
        bits=np.zeros(n_slots, dtype=np.int64),
        marked=np.zeros(n_positions, dtype=np.bool_),
        climb=np.empty((2, n_positions), dtype=np.int32),
        alone=np.empty(n_slots, dtype=np.int32),
        visited=np.empty(n_positions, dtype=np.int32),
        mine=np.zeros(n_streets, dtype=np.int64),
    )
    return space, np.zeros(shape, dtype=np.int64)


class Gained(NamedTuple):
    """Cells whose counts change, and by how much, shape (cells, categories, cutoffs) in units of street."""

    cells: _Int
    units: _Int


class Counting:
    """
    Differences of counts in one mode.

    Parameters
    ----------
    tables
        What the mode began with.
    layout
        The same as a layout.
    shift
        A bucket of a search spans 2^shift ms.
    cutoffs_ms
        [ms] Increasing.
    """

    def __init__(self, tables: ModeTables, layout: Layout, shift: int, cutoffs_ms: tuple[int, ...]) -> None:
        self._shift = shift
        self._cutoffs = np.array(cutoffs_ms, dtype=np.int64)
        self._shape = (len(layout.whole), tables.destinations.n_categories, len(cutoffs_ms))
        self._kept = KeptHierarchy(tables.network, layout)
        self._search: tuple[_Int32, _Int32, _Int32, _Int32] | None = None
        self._spaces: list[tuple[Space, _Int]] = []

    def difference(self, before: Layout, now: Layout, streets: _Int32, apart: _Int) -> Gained:
        """
        Give what the counts of `now` exceed those of `before` by.

        Parameters
        ----------
        before, now
            Two layouts, one made from the other by operations.
        streets
            Streets in which they differ.
        apart
            Places that are in one of them only.
        """
        n_places, n_streets, n_slots = (
            max(a, b) for a, b in (
                (len(before.category), len(now.category)), (before.n_streets, now.n_streets),
                (before.n_slots, now.n_slots),
            )
        )  # fmt: skip
        views = tuple(
            one.view(n_places=n_places, n_streets=n_streets, n_slots=n_slots) for one in (before, now)
        )
        # what was undone is in neither
        streets, apart = streets[streets < n_streets], apart[apart < n_places]
        of_place = max(now.category, before.category, key=len)
        self._kept.step(before, now, streets)
        change, tree = self._change(streets, views, max(before, now, key=lambda one: one.n_streets).ends)
        weights = tuple((w[0], w[1]) for w in (self._kept.was, self._kept.weight))
        space, total = self._room(n_slots, n_streets, 0)
        space.marked[change.ground] = True
        for view, weight, sign in ((views[0], weights[0], -1), (views[1], weights[1], 1)):
            alone = _alone(apart, view)
            count_places(alone, tree, weight, view, change, sign, self._cutoffs, of_place, space, total)
        space.marked[change.ground] = False
        used = 1
        if len(streets):
            places = np.setdiff1d(self._near(streets, views, n_places), apart)
            groups = _groups(places, views[0], tree)
            parts = ranges(len(groups), workers() if len(groups) > _FEW_BATCHES else 1)
            rooms = [self._room(n_slots, n_streets, i) for i in range(len(parts))]
            used = max(used, len(parts))

            def run(task: tuple[tuple[int, int], tuple[Space, _Int]]) -> None:
                (first, last), (space, sums) = task
                space.marked[change.ground] = True
                twin_sweeps(
                    groups[first:last], tree, weights, views, change, self._cutoffs, of_place, space, sums
                )
                space.marked[change.ground] = False

            spread(run, zip(parts, rooms, strict=True))
        for _, sums in self._spaces[1:used]:
            _move(sums, total)
        cells = np.empty(len(total), dtype=np.int64)
        units = np.empty_like(total)
        n = _gather(total, cells, units)
        return Gained(cells[:n].copy(), units[:n].copy())

    def _near(self, streets: _Int32, views: tuple[View, ...], n_places: int) -> _Int:
        """Places that changed streets may lead to within the greatest cutoff, before or after the change."""
        n_slots = len(views[1].offsets) - 1
        if self._search is None or len(self._search[0]) < n_slots:
            room = n_slots + _SPARE
            self._search = (
                np.full(room, UNREACHABLE, dtype=np.int32),
                np.empty(room, dtype=np.int32),
                np.full((int(self._cutoffs[-1]) >> self._shift) + 1, -1, dtype=np.int32),
                np.full((room, 2), -2, dtype=np.int32),
            )
        ends = np.unique(np.concatenate([view.ends[streets, :2].ravel() for view in views]))
        near = np.zeros(n_places, dtype=np.bool_)
        flag_near(ends, views[1], int(self._cutoffs[-1]), self._shift, self._search, near)
        return np.flatnonzero(near)

    def _change(self, streets: _Int32, views: tuple[View, ...], ends: _Int32) -> tuple[Change, Tree]:
        """Describe the latest step of the hierarchy; `ends` are those of the layout with more streets."""
        kept, tree = self._kept, self._kept.tree
        late = np.arange(len(tree.position), len(views[1].offsets) - 1, dtype=np.int32)
        tree = tree._replace(position=np.concatenate([tree.position, late]))
        added = np.arange(kept.n_streets, len(ends), dtype=np.int32)
        through = _through(added, views, tree.position[ends[:, :2][added]], len(tree.parent))
        starred, refitted = (np.zeros(len(tree.parent), dtype=np.bool_) for _ in range(2))
        flag_above(_ends_of(through, views, tree), tree.parent, starred)
        ground = np.flatnonzero(starred)[::-1].astype(np.int32)
        owner = kept.owners()
        refitted[owner] = True
        flag_above(owner, tree.parent, starred)
        flag_above(_ends_of(streets, views, tree), tree.parent, starred)
        is_changed = np.zeros(len(views[1].ends), dtype=np.bool_)
        is_changed[streets] = True
        change = Change(streets, is_changed, added, through, kept.arcs, owner, starred, refitted, ground)
        return change, tree

    def _room(self, n_slots: int, n_streets: int, number: int) -> tuple[Space, _Int]:
        """Scratch space of a processor, which kernels leave as they found it, and its sums, which are 0."""
        if self._spaces and (
            len(self._spaces[0][0].bits) < n_slots or len(self._spaces[0][0].mine) < n_streets
        ):
            self._spaces.clear()
        while len(self._spaces) <= number:
            positions = len(self._kept.tree.parent)
            self._spaces.append(_space(n_slots + _SPARE, n_streets + _SPARE, positions, self._shape))
        return self._spaces[number]


@lean_kernel
def _move(sums, total):  # type: ignore[no-untyped-def]
    """Add sums to a total and set them to 0."""
    for cell in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            for m in range(sums.shape[2]):
                if sums[cell, c, m] != 0:
                    total[cell, c, m] += sums[cell, c, m]
                    sums[cell, c, m] = 0


@lean_kernel
def _gather(total, cells, units):  # type: ignore[no-untyped-def]
    """List cells whose total by bands is not 0, with what lies within each cutoff, and set it to 0; return how many."""
    n = 0
    for cell in range(total.shape[0]):
        some = False
        for c in range(total.shape[1]):
            within = np.int64(0)
            for m in range(total.shape[2]):
                within += total[cell, c, m]
                units[n, c, m] = within
                some |= within != 0
                total[cell, c, m] = 0
        if some:
            cells[n] = cell
            n += 1
    return n


def _ends_of(streets: _Int32, views: tuple[View, ...], tree: Tree) -> _Int:
    """Positions in the hierarchy of the ends of streets."""
    ends = tree.position[np.concatenate([view.ends[streets, :2].ravel() for view in views])]
    return np.asarray(ends[ends < len(tree.parent)], dtype=np.int64)


def _through(added: _Int32, views: tuple[View, ...], ends: _Int32, n: int) -> _Int32:
    """Added streets that may lead on, as in `Change`; `ends` are their positions, those of their own from `n` on."""
    is_open = np.zeros(len(added), dtype=np.bool_)
    for view in views:
        is_open |= (view.ends[added, 2:] >= 0).any(axis=1)
    uses = np.bincount(ends[is_open].ravel(), minlength=int(ends.max(initial=0)) + 1)
    is_last = ((ends >= n) & (uses[ends] == 1)).any(axis=1)
    return np.asarray(added[is_open & ~is_last], dtype=np.int32)


def _alone(places: _Int, view: View) -> _Int:
    """Places that are in a layout, one a row, as in `count_places`."""
    some = places[view.own.offsets[places + 1] > view.own.offsets[places]]
    groups = np.full((len(some), LANES), -1, dtype=np.int64)
    groups[:, 0] = some
    return groups


def _groups(places: _Int, view: View, tree: Tree) -> _Int:
    """Places by sixteen, neighbour by neighbour, shape (batches, 16); -1 for an idle lane."""
    some = view.own.offsets[places + 1] > view.own.offsets[places]
    places = places[some]
    slot = view.ends[view.own.street[view.own.offsets[places]], 0]
    places = places[np.argsort(tree.position[slot], kind="stable")]
    groups = np.full(-(-len(places) // LANES) * LANES, -1, dtype=np.int64)
    groups[: len(places)] = places
    return groups.reshape(-1, LANES)
