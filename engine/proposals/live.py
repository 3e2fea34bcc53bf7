"""
A city that answers at once: labels, counts and cells of every mode, brought up to date edit by edit, and back.

What `Live` holds after any sequence of operations equals a full recomputation of the edited tables
(`engine.proposals.scenario`), bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.proposals.layout import Layout, View, after
from engine.proposals.operation import Operation, PlaceAdded, PlaceRemoved, PlaceResized
from engine.proposals.recell import integrated, touched_cells
from engine.proposals.ladder import Ladders, Tree
from engine.proposals.recount import Known, Target, count_places, recount
from engine.proposals.relabel import relabel
from engine.proposals.scenario import ModeTables, with_operations
from engine.reach.cell_counts import count_units
from engine.reach.cell_times import cell_times
from engine.reach.graph import UNREACHABLE, reach_graph
from engine.reach.nearest import nearest
from engine.reach.search import NONE

RANKS = 2
"""Nearest and second nearest."""
_MOST_ENDS = 256
"""Beyond so many ends of changed streets, counting all places anew is quicker than asking each what changed."""
_Int = npt.NDArray[np.int64]
_KEPT_LADDERS = 2
"""Ladders that are kept for the layouts before and after the latest new street."""
_SPARE = 256
"""Room for streets and vertices that edits add before scratch space is made anew."""


@dataclass(frozen=True)
class Cutoffs:
    """What `Live` measures: how far it searches [ms], the cutoffs of the counts [ms], and decimals of minutes."""

    limit_ms: int
    counts_ms: tuple[int, ...]
    decimals: int = 6


class _Before(NamedTuple):
    """What one operation changed in a mode, to take it back."""

    layout: Layout
    streets: npt.NDArray[np.int32]
    labels: list[tuple[int, npt.NDArray[np.int32], _Int]]
    cells: _Int
    times: npt.NDArray[np.float64]
    nearest: npt.NDArray[np.int32]
    place: int
    """Place that was added or removed, -1 where streets changed."""


class CellChange(NamedTuple):
    """Cells that an operation touched, and their mean times [min] before and after, shape (cells, categories)."""

    cells: _Int
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]


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


class Counted(NamedTuple):
    """Counts that an operation changed: cells and what they had."""

    cells: _Int
    sums: _Int


@dataclass(eq=False)
class LiveMode:
    """
    One mode, brought up to date operation by operation.

    Attributes
    ----------
    tables, operations
        What it began with, and what was done since.
    layout
        Streets, places and pieces as they stand.
    labels
        Nearest places, shape (categories, slots, 2).
    times
        [min] Mean, 90th percentile and second nearest of each cell, shape (cells, categories, 3).
    nearest
        Nearest and second nearest place of each cell (where its time is the median), shape (cells, categories, 2).
    sums
        Exact counts of each cell in units of street, shape (cells, categories, cutoffs); those of `counted`.
    """

    mode: str
    cutoffs: Cutoffs
    tables: ModeTables
    layout: Layout
    labels: _Int
    times: npt.NDArray[np.float64]
    nearest: npt.NDArray[np.int32]
    sums: _Int
    counted: Layout
    shift: int
    operations: list[Operation] = field(default_factory=list)
    stale_streets: set[int] = field(default_factory=set)
    stale_places: set[int] = field(default_factory=set)
    _journal: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], _Int] | None = None
    _scratch: list[_Scratch] = field(default_factory=list)
    _ladders: list[Ladders] = field(default_factory=list)

    @classmethod
    def of(cls, tables: ModeTables, cutoffs: Cutoffs, *, mode: str) -> LiveMode:
        """Compute a mode once, by the reach core."""
        network, pieces, destinations = tables.network, tables.pieces, tables.destinations
        nearest_field = nearest(network, destinations, k=RANKS, limit_ms=cutoffs.limit_ms)
        times = cell_times(network, pieces, nearest_field, destinations)
        graph = reach_graph(network)
        layout = Layout.of(tables)
        live = cls(
            mode=mode,
            cutoffs=cutoffs,
            tables=tables,
            layout=layout,
            labels=np.ascontiguousarray(nearest_field.label[:, graph.vertex]),
            times=np.empty((pieces.n_cells, destinations.n_categories, 3)),
            nearest=times.place,
            sums=count_units(network, pieces, destinations, list(cutoffs.counts_ms)).sums,
            counted=layout,
            shift=graph.shift,
        )
        live.times[...] = live._minutes(times.mean_ms, times.p90_ms)
        return live

    @property
    def n_categories(self) -> int:
        """Number of categories."""
        return int(self.labels.shape[0])

    @property
    def is_counted(self) -> bool:
        """Whether the counts are those of the layout as it stands."""
        return self.counted is self.layout

    def counts(self) -> npt.NDArray[np.float64]:
        """Mean number of places within each cutoff, shape (cells, categories, cutoffs), rounded as published."""
        whole = self.counted.whole
        some = whole > 0
        mean = self.sums / np.where(some, whole, 1)[:, None, None] * 1.0
        published = np.round(np.where(some[:, None, None], mean, np.nan), self.cutoffs.decimals)
        return np.asarray(published, dtype=np.float64)

    def do(self, operation: Operation) -> _Before:
        """
        Do one operation; counts stay as they are until `count`.

        Returns
        -------
        What `undo` needs.
        """
        before = self.layout
        changed = after(before, operation)
        place = -1
        categories: Sequence[int] = range(self.n_categories)
        if isinstance(operation, PlaceAdded):
            place, categories = len(before.category), [operation.category]
        elif isinstance(operation, PlaceRemoved):
            place, categories = operation.place, [int(before.category[operation.place])]
        elif isinstance(operation, PlaceResized):
            categories = []
        self.layout = changed.layout
        self.operations.append(operation)
        self._grow(changed.layout.n_slots)
        if changed.layout is before:
            none = np.empty(0, dtype=np.int64)
            return _Before(before, changed.streets, [], none, self.times[none], self.nearest[none], place)
        labels = [self._relabel(before, changed.streets, c) for c in categories]
        touched = [slots for _, slots, _ in labels]
        cells = touched_cells(self.layout, np.concatenate(touched), changed.streets)
        cells = np.union1d(cells, changed.cells)
        old_times, old_nearest = self.times[cells], self.nearest[cells]
        self._recell(cells, categories)
        self._mark_stale(changed.streets, place)
        return _Before(before, changed.streets, labels, cells, old_times, old_nearest, place)

    def undo(self, before: _Before) -> None:
        """Take the latest operation back."""
        self.operations.pop()
        for category, slots, labels in before.labels:
            self.labels[category][slots] = labels
        self.labels = self.labels[:, : before.layout.n_slots]
        self.times[before.cells] = before.times
        self.nearest[before.cells] = before.nearest
        if before.layout is self.layout:
            return
        self.layout = before.layout
        self._mark_stale(before.streets, before.place)

    def _mark_stale(self, streets: npt.NDArray[np.int32], place: int) -> None:
        if self.is_counted:
            self.stale_streets.clear()
            self.stale_places.clear()
        elif place >= 0:
            self.stale_places.add(place)
        else:
            self.stale_streets.update(streets.tolist())

    def _grow(self, n_slots: int) -> None:
        missing = n_slots - self.labels.shape[1]
        if missing > 0:
            c, _, k = self.labels.shape
            self.labels = np.concatenate([self.labels, np.full((c, missing, k), NONE)], axis=1)

    def _relabel(
        self, before: Layout, streets: npt.NDArray[np.int32], category: int
    ) -> tuple[int, npt.NDArray[np.int32], _Int]:
        """Bring the labels of a category up to date; give the slots that changed and their labels before."""
        n, k = self.labels.shape[1:]
        if self._journal is None or len(self._journal[0]) < n:
            self._journal = (np.full(n, -1, np.int32), np.empty(n, np.int32), np.empty((n, k), np.int64))
        old, new = before, self.layout
        of_place = new.category if len(new.category) >= len(old.category) else old.category
        size = relabel(
            self.labels[category],
            self.cutoffs.limit_ms,
            category,
            of_place,
            streets,
            (old.ends, old.points.offsets, old.points.place, old.points.ahead_ms, old.points.behind_ms),
            (
                new.ends,
                new.points.offsets,
                new.points.place,
                new.points.ahead_ms,
                new.points.behind_ms,
                new.offsets,
                new.incident,
            ),
            self._journal,
        )
        slots, labels = self._journal[1][:size], self._journal[2][:size]
        differ = (self.labels[category][slots] != labels).any(axis=1)
        return category, slots[differ], labels[differ]

    def _recell(self, cells: _Int, categories: Sequence[int]) -> None:
        if not len(cells) or not len(categories):
            return
        found = integrated(self.layout, self.labels, cells, categories)
        where = np.ix_(cells, np.asarray(categories))
        self.times[where] = self._minutes(found.mean_ms, found.p90_ms)
        self.nearest[where] = found.place

    def _minutes(
        self, mean_ms: npt.NDArray[np.float64], p90_ms: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        three = np.stack([mean_ms[:, :, 0], p90_ms[:, :, 0], mean_ms[:, :, 1]], axis=2)
        return np.asarray(np.round(three / 60_000, self.cutoffs.decimals), dtype=np.float64)

    def count(self) -> Counted:
        """
        Bring the counts up to date with the layout.

        Returns
        -------
        The cells that changed and their sums before.
        """
        none = Counted(np.empty(0, dtype=np.int64), np.empty((0, *self.sums.shape[1:]), dtype=np.int64))
        if self.is_counted:
            return none
        streets = np.array(sorted(self.stale_streets), dtype=np.int32)
        difference = self._difference(streets)
        cells = np.flatnonzero(difference.reshape(len(difference), -1).any(axis=1))
        counted = Counted(cells, self.sums[cells])
        self.sums[cells] += difference[cells]
        self.counted = self.layout
        self.stale_streets.clear()
        self.stale_places.clear()
        return counted

    def take_back(self, counted: Counted) -> None:
        """Take counts back to what they were before the latest operation, which was undone."""
        self.sums[counted.cells] = counted.sums
        self.counted = self.layout
        self.stale_streets.clear()
        self.stale_places.clear()

    def _difference(self, streets: npt.NDArray[np.int32]) -> _Int:
        """What the counts differ by between `counted` and the layout as it stands."""
        n_places = max(len(self.layout.category), len(self.counted.category))
        n_streets = max(self.layout.n_streets, self.counted.n_streets)
        n_slots = max(self.layout.n_slots, self.counted.n_slots)
        old, new = (
            layout.view(n_places=n_places, n_streets=n_streets, n_slots=n_slots)
            for layout in (self.counted, self.layout)
        )
        of_place = max(self.layout.category, self.counted.category, key=len)
        cutoffs = np.array(self.cutoffs.counts_ms, dtype=np.int64)
        total = np.zeros_like(self.sums)
        apart = np.array(sorted(self.stale_places), dtype=np.int64)
        with self._borrow() as scratch:
            for view, sign in ((old, -1), (new, 1)):
                count_places(
                    apart, view, sign, self.shift, cutoffs, of_place, scratch[:1] + scratch[2:], total
                )
        if not len(streets):
            return np.cumsum(total, axis=2)
        ends = self._ends_of(streets)
        if len(ends) > _MOST_ENDS:
            return self._counted_anew() - self.sums
        tree = self._ladders_of(self.counted).tree
        tree = tree._replace(position=_padded(tree.position, n_slots))
        places = np.setdiff1d(np.arange(n_places), apart)
        places = places[np.argsort(tree.position[_first_slots(old, places)], kind="stable")]
        with self._borrow() as scratch:
            most = (len(self.counted.incident) + len(self.layout.incident)) + 4 * n_slots
            heap = (np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int32))
            lists = (np.empty(n_slots, dtype=np.int32), np.empty(n_streets, dtype=np.int32))
            space = (
                scratch.known,
                _target(tree, self.counted),
                scratch.street,
                scratch.slot,
                heap,
                lists,
                _above(ends, tree),
            )
            recount(places, old, new, tree, cutoffs, of_place, streets, ends, space, total)
        return np.cumsum(total, axis=2)

    def _ends_of(self, streets: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Slots of the ends of changed streets, as they were and as they are."""
        each = [l.ends[streets[streets < l.n_streets], :2].ravel() for l in (self.counted, self.layout)]
        return np.unique(np.concatenate(each)).astype(np.int32)

    def _ladders_of(self, layout: Layout) -> Ladders:
        """Ladders of a layout: those at hand that fit it, else new ones."""
        fit = next((known for known in self._ladders if known.fits(layout)), None)
        fit = fit or Ladders(layout, self.tables.network)
        self._ladders = [fit, *(known for known in self._ladders if known is not fit)][:_KEPT_LADDERS]
        fit.follow(layout)
        return fit

    def _counted_anew(self) -> _Int:
        """All counts, by the reach core."""
        now = with_operations(self.tables, self.operations)
        return count_units(now.network, now.pieces, now.destinations, list(self.cutoffs.counts_ms)).sums

    @contextmanager
    def _borrow(self) -> Iterator[_Scratch]:
        """Lend scratch space, which must be left as it was found."""
        n = max(self.layout.n_slots, self.counted.n_slots)
        m = max(self.layout.n_streets, self.counted.n_streets)
        lent = self._scratch.pop() if self._scratch else None
        if lent is None or len(lent.search[0]) < n or len(lent.street) < m:
            lent = _Scratch.of(n + _SPARE, m + _SPARE, (2 * max(self.cutoffs.counts_ms) >> self.shift) + 1)
        yield lent
        self._scratch.append(lent)  # not after an error: then it may be dirty


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
    of = Target(*(np.empty(n, dtype=np.int32) for n in (0, rows, rows * room, rows * room)))
    return of._replace(size=np.zeros(1, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class _Done:
    """One step, to take it back."""

    modes: Mapping[str, _Before]
    counts: dict[str, Counted]


class Live:
    """
    A city under edits, every mode brought up to date at once.

    Parameters
    ----------
    tables
        Tables of each mode.
    cutoffs
        What is measured.

    Notes
    -----
    Making one costs as much as the base run's reach; it is not shared between threads.

    Examples
    --------
    >>> live = Live(base.tables, cutoffs)  # doctest: +SKIP
    >>> live.do(step.operations)  # doctest: +SKIP
    >>> live.modes["walk"].times[:, 0, 0]  # minutes to the nearest place of category 0  # doctest: +SKIP
    >>> live.undo()  # doctest: +SKIP
    """

    def __init__(self, tables: Mapping[str, ModeTables], cutoffs: Cutoffs) -> None:
        self.modes = {mode: LiveMode.of(t, cutoffs, mode=mode) for mode, t in tables.items()}
        self._done: list[_Done] = []

    def do(self, operations: Mapping[str, Operation], *, counts: bool = True) -> None:
        """
        Do one operation in each of some modes.

        Parameters
        ----------
        operations
            By mode.
        counts
            Bring the counts up to date as well; else they wait for `settle`.
        """
        before = {mode: self.modes[mode].do(operation) for mode, operation in operations.items()}
        done = _Done(before, {})
        self._done.append(done)
        if counts:
            for mode in self.modes:
                was_behind = mode in operations and self.modes[mode].counted is not before[mode].layout
                counted = self.modes[mode].count()
                if mode in operations and not was_behind:
                    done.counts[mode] = counted

    def undo(self) -> None:
        """
        Take the latest operation back.

        Raises
        ------
        InputError
            Nothing was done.
        """
        if not self._done:
            msg = "there is nothing to undo"
            raise InputError(msg)
        done = self._done.pop()
        for mode, before in done.modes.items():
            live = self.modes[mode]
            in_step = live.is_counted
            live.undo(before)
            if in_step and mode in done.counts:
                live.take_back(done.counts[mode])
            elif in_step:  # counted together with others: numbers of streets may be given anew from here on
                live.count()

    def settle(self) -> None:
        """Bring every count up to date."""
        for live in self.modes.values():
            live.count()

    def latest(self) -> dict[str, CellChange]:
        """What the latest operation changed in each mode that it was done in."""
        return {
            mode: CellChange(b.cells, b.times[:, :, 0], self.modes[mode].times[b.cells][:, :, 0])
            for mode, b in self._done[-1].modes.items()
        }

    @property
    def depth(self) -> int:
        """Number of operations done and not taken back."""
        return len(self._done)
