"""Counts brought up to date: what a mode's cells gain and lose between two layouts of its streets and places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.kept_hierarchy import KeptHierarchy, Tree
from engine.proposals.layout import Layout, View
from engine.proposals.place_counts import count_places, flag_near
from engine.proposals.scenario import ModeTables
from engine.proposals.twin_sweeps import Change, Space, twin_sweeps
from engine.reach.graph import UNREACHABLE
from engine.reach.lanes import LANES

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]
_SPARE = 256
"""Room for streets and vertices that edits add before scratch space is made anew."""


class _Scratch(NamedTuple):
    """What searches and sweeps write on."""

    search: tuple[_Int32, _Int32, _Int32, _Int32]
    street: npt.NDArray[np.bool_]
    sweep: Space

    @classmethod
    def of(cls, n_slots: int, n_streets: int, n_positions: int, buckets: int) -> _Scratch:
        """Fresh space."""
        search = (
            np.full(n_slots, UNREACHABLE, dtype=np.int32),
            np.empty(n_slots, dtype=np.int32),
            np.full(buckets, -1, dtype=np.int32),
            np.full((n_slots, 2), -2, dtype=np.int32),
        )
        sweep = Space(
            before=np.empty((n_slots, LANES), dtype=np.int32),
            now=np.empty((n_slots, LANES), dtype=np.int32),
            bits=np.zeros(n_slots, dtype=np.int64),
            marked=np.zeros(n_positions, dtype=np.bool_),
            climb=np.empty((2, n_positions), dtype=np.int32),
            visited=np.empty(n_positions, dtype=np.int32),
            mine=np.zeros(n_streets, dtype=np.int64),
        )
        return cls(search, np.zeros(n_streets, dtype=np.bool_), sweep)


class Counting:
    """
    Differences of counts in one mode.

    Parameters
    ----------
    tables
        What the mode began with.
    shift
        A bucket of a search spans 2^shift ms.
    cutoffs_ms
        [ms] Increasing.
    """

    def __init__(self, tables: ModeTables, shift: int, cutoffs_ms: tuple[int, ...]) -> None:
        self._tables = tables
        self._shift = shift
        self._cutoffs = np.array(cutoffs_ms, dtype=np.int64)
        self._scratch: _Scratch | None = None
        self._hierarchy: KeptHierarchy | None = None

    def difference(self, before: Layout, now: Layout, streets: _Int32, apart: _Int) -> _Int:
        """
        Give what the counts of `now` exceed those of `before` by, in units of street.

        Parameters
        ----------
        before, now
            Two layouts, one made from the other by operations.
        streets
            Streets in which they differ.
        apart
            Places that are in one of them only.

        Returns
        -------
        Shape (cells, categories, cutoffs).
        """
        n_places, n_streets, n_slots = (
            max(a, b) for a, b in (
                (len(before.category), len(now.category)), (before.n_streets, now.n_streets),
                (before.n_slots, now.n_slots),
            )
        )  # fmt: skip
        old, new = (
            one.view(n_places=n_places, n_streets=n_streets, n_slots=n_slots) for one in (before, now)
        )
        streets, apart = (
            streets[streets < n_streets],
            apart[apart < n_places],
        )  # what was undone is in neither
        of_place = max(now.category, before.category, key=len)
        total = np.zeros(
            (len(now.whole), self._tables.destinations.n_categories, len(self._cutoffs)), np.int64
        )
        scratch = self._space(n_slots, n_streets)
        for view, sign in ((old, -1), (new, 1)):
            room = (scratch.search, scratch.street)
            count_places(apart, view, sign, self._shift, self._cutoffs, of_place, room, total)
        if len(streets):
            places = np.setdiff1d(self._near(streets, (old, new), n_places, scratch), apart)
            self._sweep(places, (before, now), (old, new), streets, of_place, total)
        return np.cumsum(total, axis=2)

    def _near(self, streets: _Int32, views: tuple[View, View], n_places: int, scratch: _Scratch) -> _Int:
        """Places that changed streets may lead to within the greatest cutoff, before or after the change."""
        ends = np.unique(np.concatenate([view.ends[streets, :2].ravel() for view in views]))
        near = np.zeros(n_places, dtype=np.bool_)
        flag_near(ends, views[1], int(self._cutoffs[-1]), self._shift, scratch.search, near)
        return np.flatnonzero(near)

    def _sweep(
        self,
        places: _Int,
        layouts: tuple[Layout, Layout],
        views: tuple[View, View],
        streets: _Int32,
        of_place: _Int32,
        total: _Int,
    ) -> None:
        """Add what some places count for after a change of streets, and take off what they counted for before."""
        kept = self._hierarchy = self._hierarchy or KeptHierarchy(self._tables.network, layouts[0])
        kept.follow(layouts[0])
        was = kept.weight
        kept.follow(layouts[1])
        arcs = np.flatnonzero((was != kept.weight).any(axis=0))
        added = np.arange(kept.n_streets, len(views[1].ends), dtype=np.int32)
        scratch = self._space(len(views[1].offsets) - 1, len(views[1].ends))
        late = np.arange(len(kept.tree.position), len(scratch.sweep.bits), dtype=np.int32)
        tree = kept.tree._replace(position=np.concatenate([kept.tree.position, late]))
        ground = _above(_ends_of(added, views, tree), tree.parent)
        starred = np.zeros(len(tree.parent), dtype=np.bool_)
        starred[_above(np.concatenate([kept.owners(arcs), _ends_of(streets, views, tree)]), tree.parent)] = (
            True
        )
        starred[ground] = True
        change = Change(streets, scratch.street, added, starred, ground)
        scratch.street[streets] = True
        scratch.sweep.marked[ground] = True
        weights = ((was[0], was[1]), (kept.weight[0], kept.weight[1]))
        twin_sweeps(
            _groups(places, views[0], tree), tree, weights, views, change, self._cutoffs, of_place,
            scratch.sweep, total,
        )  # fmt: skip
        scratch.street[streets] = False
        scratch.sweep.marked[ground] = False

    def _space(self, n_slots: int, n_streets: int) -> _Scratch:
        """Scratch space, which kernels leave as they found it."""
        known = self._scratch
        if known is None or len(known.search[0]) < n_slots or len(known.street) < n_streets:
            buckets = (int(self._cutoffs[-1]) >> self._shift) + 1
            positions = self._tables.network.n_vertices
            known = _Scratch.of(n_slots + _SPARE, n_streets + _SPARE, positions, buckets)
            self._scratch = known
        return known


def _ends_of(streets: _Int32, views: tuple[View, View], tree: Tree) -> _Int:
    """Positions in the hierarchy of the ends of streets."""
    ends = tree.position[np.concatenate([view.ends[streets, :2].ravel() for view in views])]
    return np.asarray(ends[ends < len(tree.parent)], dtype=np.int64)


def _above(positions: _Int, parent: _Int32) -> _Int32:
    """Positions and all above them, each once, decreasing."""
    found = [positions]
    while len(positions):
        positions = np.unique(parent[positions])
        positions = positions[positions >= 0]
        found.append(positions)
    return np.unique(np.concatenate(found))[::-1].astype(np.int32)


def _groups(places: _Int, view: View, tree: Tree) -> _Int:
    """Places by sixteen, neighbour by neighbour, shape (batches, 16); -1 for an idle lane."""
    some = view.own.offsets[places + 1] > view.own.offsets[places]
    places = places[some]
    slot = view.ends[view.own.street[view.own.offsets[places]], 0]
    places = places[np.argsort(tree.position[slot], kind="stable")]
    groups = np.full(-(-len(places) // LANES) * LANES, -1, dtype=np.int64)
    groups[: len(places)] = places
    return groups.reshape(-1, LANES)
