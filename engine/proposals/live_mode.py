"""One mode of a city under edits: labels, counts and cells, brought up to date operation by operation, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.counting import Counting
from engine.proposals.layout import Layout, after
from engine.proposals.operation import Operation, PlaceAdded, PlaceRemoved, PlaceResized
from engine.proposals.recell import integrated, touched_cells
from engine.proposals.relabel import relabel
from engine.proposals.scenario import ModeTables, with_operations
from engine.reach.cell_counts import count_units
from engine.reach.cell_times import cell_times
from engine.reach.graph import reach_graph
from engine.reach.nearest import nearest
from engine.reach.search import NONE

RANKS = 2
"""Nearest and second nearest."""
MANY_STREETS = 1000
"""Where more streets change, counts are computed anew: their places are nearly all of the mode's."""
_Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cutoffs:
    """What `Live` measures: how far it searches [ms], the cutoffs of the counts [ms], and decimals of minutes."""

    limit_ms: int
    counts_ms: tuple[int, ...]
    decimals: int = 6


class Before(NamedTuple):
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
    counting: Counting
    operations: list[Operation] = field(default_factory=list)
    stale_streets: set[int] = field(default_factory=set)
    stale_places: set[int] = field(default_factory=set)
    _journal: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], _Int] | None = None

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
            counting=Counting(tables, layout, graph.shift, cutoffs.counts_ms),
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

    def do(self, operation: Operation) -> Before:
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
            return Before(before, changed.streets, [], none, self.times[none], self.nearest[none], place)
        labels = [self._relabel(before, changed.streets, c) for c in categories]
        touched = [slots for _, slots, _ in labels]
        cells = touched_cells(self.layout, np.concatenate(touched), changed.streets)
        cells = np.union1d(cells, changed.cells)
        old_times, old_nearest = self.times[cells], self.nearest[cells]
        self._recell(cells, categories)
        self._mark_stale(changed.streets, place)
        return Before(before, changed.streets, labels, cells, old_times, old_nearest, place)

    def undo(self, before: Before) -> None:
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
        places = np.array(sorted(self.stale_places), dtype=np.int64)
        if len(streets) > MANY_STREETS:
            now = self._sums_anew()
            cells = np.flatnonzero((now != self.sums).reshape(len(now), -1).any(axis=1))
            counted = Counted(cells, self.sums[cells])
            self.sums = now
        else:
            cells, gained = self.counting.difference(self.counted, self.layout, streets, places)
            counted = Counted(cells, self.sums[cells])
            self.sums[cells] += gained
        self.counted = self.layout
        self.stale_streets.clear()
        self.stale_places.clear()
        return counted

    def _sums_anew(self) -> _Int:
        """Counts of the layout as it stands, from its tables."""
        tables = with_operations(self.tables, self.operations)
        cutoffs = list(self.cutoffs.counts_ms)
        return count_units(tables.network, tables.pieces, tables.destinations, cutoffs).sums

    def take_back(self, counted: Counted) -> None:
        """Take counts back to what they were before the latest operation, which was undone."""
        self.sums[counted.cells] = counted.sums
        self.counted = self.layout
        self.stale_streets.clear()
        self.stale_places.clear()
