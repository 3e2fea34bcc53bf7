"""Counts brought up to date: what a mode's cells gain and lose between two layouts of its streets and places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.asking import Known, Target
from engine.proposals.ladder import Ladders, Room, Tree
from engine.proposals.layout import Layout, View
from engine.proposals.place_counts import count_places
from engine.proposals.recount import recount
from engine.proposals.scenario import ModeTables
from engine.reach.graph import UNREACHABLE

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]
_MOST_ENDS = 256
"""Beyond so many ends of changed streets, counting all places anew is quicker than asking each what changed."""
_KEPT_LADDERS = 2
"""Ladders that are kept: for the layouts before and after the latest new street."""
_SPARE = 256
"""Room for streets and vertices that edits add before scratch space is made anew."""


class _Scratch(NamedTuple):
    """What searches and counts write on; see `engine.proposals.recount`."""

    search: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]
    known: Known
    street: npt.NDArray[np.uint8]
    slot: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]

    @classmethod
    def of(cls, n_slots: int, n_streets: int, buckets: int) -> _Scratch:
        """Fresh space."""
        search = (
            np.full(n_slots, UNREACHABLE, dtype=np.int32),
            np.empty(n_slots, dtype=np.int32),
            np.full(buckets, -1, dtype=np.int32),
            np.full((n_slots, 2), -2, dtype=np.int32),
        )
        known = Known(np.full(n_slots, -1, np.int32), np.empty(n_slots, np.int32), np.zeros(1, np.int64))
        slot = (np.zeros(n_slots, dtype=np.uint8), np.empty(n_slots, dtype=np.int32))
        return cls(search, known, np.zeros(n_streets, dtype=np.uint8), slot)


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
    room
        Memory for ladders, which modes share: they take turns.
    """

    def __init__(self, tables: ModeTables, shift: int, cutoffs_ms: tuple[int, ...], room: Room) -> None:
        self._tables = tables
        self._shift = shift
        self._cutoffs = np.array(cutoffs_ms, dtype=np.int64)
        self._scratch: _Scratch | None = None
        self._room = room
        self._ladders: list[Ladders] = []

    def difference(self, before: Layout, now: Layout, streets: _Int32, apart: _Int) -> _Int | None:
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
        Shape (cells, categories, cutoffs); None if so many streets differ that counting anew is quicker.
        """
        ends = _ends_of(streets, (before, now))
        if len(ends) > _MOST_ENDS:
            return None
        n_places, n_streets, n_slots = (
            max(a, b) for a, b in (
                (len(before.category), len(now.category)), (before.n_streets, now.n_streets),
                (before.n_slots, now.n_slots),
            )
        )  # fmt: skip
        old, new = (
            one.view(n_places=n_places, n_streets=n_streets, n_slots=n_slots) for one in (before, now)
        )
        of_place = max(now.category, before.category, key=len)
        total = np.zeros(
            (len(now.whole), self._tables.destinations.n_categories, len(self._cutoffs)), np.int64
        )
        scratch = self._space(n_slots, n_streets)
        for view, sign in ((old, -1), (new, 1)):
            room = (scratch.search, scratch.street, scratch.slot)
            count_places(apart, view, sign, self._shift, self._cutoffs, of_place, room, total)
        if len(streets):
            tree = self._ladders_of(before).tree(self._room)
            tree = tree._replace(position=_padded(tree.position, n_slots))
            places = np.setdiff1d(np.arange(n_places), apart)
            places = places[np.argsort(tree.position[_first_slots(old, places)], kind="stable")]
            most = len(before.incident) + len(now.incident) + 4 * n_slots
            heap = (np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int32))
            lists = (np.empty(n_slots, dtype=np.int32), np.empty(n_streets, dtype=np.int32))
            above = _above(ends, tree)
            space = (scratch.known, _target(tree, before), scratch.street, scratch.slot, heap, lists, above)
            recount(places, old, new, tree, self._cutoffs, of_place, streets, ends, space, total)
        return np.cumsum(total, axis=2)

    def _space(self, n_slots: int, n_streets: int) -> _Scratch:
        """Scratch space, which kernels leave as they found it."""
        known = self._scratch
        if known is None or len(known.search[0]) < n_slots or len(known.street) < n_streets:
            buckets = (int(self._cutoffs[-1]) >> self._shift) + 1
            known = self._scratch = _Scratch.of(n_slots + _SPARE, n_streets + _SPARE, buckets)
        return known

    def _ladders_of(self, layout: Layout) -> Ladders:
        """Ladders of a layout: those at hand that fit it, else new ones."""
        fit = next((known for known in self._ladders if known.fits(layout)), None)
        fit = fit or Ladders(layout, self._tables.network)
        self._ladders = [fit, *(known for known in self._ladders if known is not fit)][:_KEPT_LADDERS]
        fit.follow(layout)
        return fit


def _ends_of(streets: _Int32, layouts: tuple[Layout, Layout]) -> _Int32:
    """Slots of the ends of streets, as they were and as they are."""
    each = [one.ends[streets[streets < one.n_streets], :2].ravel() for one in layouts]
    return np.unique(np.concatenate(each)).astype(np.int32)


def _padded(position: npt.NDArray[np.int32], n_slots: int) -> npt.NDArray[np.int32]:
    """Positions of more slots: those that came later have none."""
    return np.concatenate([position, np.full(n_slots - len(position), -1, dtype=np.int32)])


def _first_slots(view: View, places: _Int) -> npt.NDArray[np.int32]:
    """A slot of each place, to visit places neighbour by neighbour."""
    first = np.zeros(len(places), dtype=np.int32)
    some = view.own.offsets[places + 1] > view.own.offsets[places]
    first[some] = view.ends[view.own.street[view.own.offsets[places[some]]], 0]
    return first


def _above(ends: npt.NDArray[np.int32], tree: Tree) -> tuple[_Int, npt.NDArray[np.int32]]:
    """Room for the positions above each of some slots: (first of each, positions)."""
    position = tree.position[ends]
    counts = np.where(position >= 0, tree.depth[position] + 1, 0)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return first, np.empty(first[-1], dtype=np.int32)


def _target(tree: Tree, layout: Layout) -> Target:
    """Room for the rows of any place."""
    rows = max(int(np.diff(layout.own.offsets).max(initial=0)), 1)
    room = int(np.diff(tree.start).max(initial=1))
    low, above, rungs = (np.empty(n, dtype=np.int32) for n in (rows, rows * room, rows * room))
    return Target(np.zeros(1, dtype=np.int64), low, above, rungs)
