"""
From places to cells: what each place counts for along the streets of each cell.

Every measure that adds up over places (counts, gravity, catchments, coverage) is made of the same contributions: the
integral of a decay of the travel time over the streets of a cell, as whole numbers (see `contribution`). Two engines
find them, a bounded search a place or sweeps of sixteen places over a contraction hierarchy; the integers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.contribution import PieceRows
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.graph import UNREACHABLE, ReachGraph, Seeds, StreetPoints, reach_graph, seeds, street_points
from engine.reach.hierarchy import has_shape, hierarchy
from engine.reach.search import ball
from engine.reach.searches import search_places
from engine.reach.sweeps import sweep_places, sweep_rank
from engine.reach.threads import ranges, spread, workers

Engine = Literal["auto", "searches", "sweeps"]
_ROW_CHUNK = 512
_MOST_ENTRIES = 1 << 23
_LONGEST_SWEEP_MS = 1 << 24
"""Sweeps compare in 32-bit floats, which hold whole milliseconds up to here (4.6 hours)."""
_SAMPLE = 32


@dataclass(frozen=True, eq=False)
class CellUnits:
    """
    Exact sums over places for each cell, in units of street (see `UNITS_PER_M`).

    Sums over disjoint sets of places add up to the sum over their union, and a place can be taken back, bit for bit.

    Attributes
    ----------
    sums
        Integers, shape (cells, categories, decays).
    whole
        Units of street in each cell, 0 for a cell without network, shape (cells,).
    quantum
        What one whole number stands for: 1, or a power of two where capacities are too large to be added otherwise.
    """

    sums: npt.NDArray[np.int64]
    whole: npt.NDArray[np.int64]
    quantum: float = 1.0

    def mean(self) -> npt.NDArray[np.float64]:
        """Mean over the streets of each cell, NaN for a cell without network, shape (cells, categories, decays)."""
        some = self.whole > 0
        whole = np.where(some, self.whole, 1)[:, None, None]
        return np.where(some[:, None, None], self.sums / whole * self.quantum, np.nan)


@dataclass(frozen=True, eq=False)
class PlaceRows:
    """
    What each of some places contributes to each cell that it touches.

    Attributes
    ----------
    places
        The places, shape (rows,).
    offsets
        Entries of row ``i`` are ``offsets[i]:offsets[i + 1]``.
    cell
        Cell of each entry, increasing within a row.
    units
        Contribution of each entry, shape (entries, decays).
    whole
        Units of street in each cell, shape (cells,).
    """

    places: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int32]
    units: npt.NDArray[np.int64]
    whole: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Work:
    """The arrays of one computation, prepared once."""

    graph: ReachGraph
    starts: Seeds
    points: StreetPoints
    own: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]
    decays: npt.NDArray[np.float64]
    rows: PieceRows
    places: npt.NDArray[np.int64]


def cell_units(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    decays: Sequence[Decay],
    *,
    weighted: bool = False,
    places: npt.NDArray[np.int64] | None = None,
    engine: Engine = "auto",
) -> CellUnits:
    """
    Add up over places what each counts for along the streets of each cell.

    Parameters
    ----------
    network, pieces, destinations
        The streets, their pieces in each cell, and the places.
    decays
        What a place counts for by its travel time.
    weighted
        Multiply by the capacity of each place.
    places
        Only these places; None for all.
    engine
        ``searches``, ``sweeps``, or the cheaper of the two; the result is the same.

    Returns
    -------
    CellUnits
        Exact sums; `CellUnits.mean` is the mean over each cell's streets.

    Raises
    ------
    InputError
        No decay is given, or sweeps are asked for what they cannot do (capacities, limits beyond 4.6 hours).

    Notes
    -----
    Cost O(places · streets within the greatest limit), whatever the number of cells; memory O(cells · categories).
    """
    shape = (pieces.n_cells, destinations.n_categories, len(decays))
    starts = seeds(network, destinations)
    wanted = _wanted(destinations, decays, places)
    if _by_sweeps(network, starts, wanted, decays, weighted=weighted, engine=engine):
        tree = hierarchy(network)
        work = _prepare(network, pieces, destinations, decays, wanted, sweep_rank(network, tree))
        sums = sweep_places(
            network,
            tree,
            work.graph,
            work.starts,
            work.points,
            work.own,
            destinations.category,
            work.places,
            work.decays,
            work.rows,
            shape,
        )
        return CellUnits(sums=sums, whole=work.rows.whole)
    work = _prepare(network, pieces, destinations, decays, wanted, reach_graph(network).rank)
    capacity = destinations.capacity if weighted else np.ones(destinations.n_places)
    quantum = _quantum(work.rows.whole, capacity, decays)
    nearby = work.places[np.argsort(_first_slot(work.starts)[work.places], kind="stable")]

    def run(bounds: tuple[int, int]) -> npt.NDArray[np.int64]:
        sums = np.zeros(shape, dtype=np.int64)
        these = nearby[bounds[0] : bounds[1]]
        none = (np.empty(0, np.int32), np.empty((0, 0), np.int64), np.empty(len(these), np.int64))
        _search(work, destinations, these, capacity / quantum, sums, none)
        return sums

    total = np.zeros(shape, dtype=np.int64)
    for part in spread(run, ranges(len(nearby), workers())):
        total += part
    return CellUnits(sums=total, whole=work.rows.whole, quantum=quantum)


def place_rows(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    decays: Sequence[Decay],
    *,
    places: npt.NDArray[np.int64] | None = None,
) -> PlaceRows:
    """
    Give what each place counts for in each cell, row by row: the sparse matrix that `cell_units` adds up.

    Parameters
    ----------
    network, pieces, destinations, decays, places
        As in `cell_units`.

    Notes
    -----
    One bounded search a place; memory O(entries).
    """
    wanted = _wanted(destinations, decays, places)
    work = _prepare(network, pieces, destinations, decays, wanted, reach_graph(network).rank)
    none = np.empty((pieces.n_cells, 0, len(decays)), dtype=np.int64)
    capacity = np.ones(destinations.n_places)

    def run(
        bounds: tuple[int, int],
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        these = work.places[bounds[0] : bounds[1]]
        room = len(these) * pieces.n_cells  # pages that are not written cost nothing
        cell, units = np.empty(room, dtype=np.int32), np.empty((room, len(decays)), dtype=np.int64)
        counts = np.zeros(len(these), dtype=np.int64)
        _search(work, destinations, these, capacity, none, (cell, units, counts))
        return cell[: counts.sum()].copy(), units[: counts.sum()].copy(), counts

    chunk = max(1, min(_ROW_CHUNK, _MOST_ENTRIES // max(pieces.n_cells, 1)))
    chunks = spread(run, ranges(len(work.places), -(-len(work.places) // chunk)))
    counts = np.concatenate([c[2] for c in chunks] or [np.empty(0, dtype=np.int64)])
    cell = np.concatenate([c[0] for c in chunks] or [np.empty(0, dtype=np.int32)])
    units = np.concatenate([c[1] for c in chunks] or [np.empty((0, len(decays)), dtype=np.int64)])
    order = np.lexsort((cell, np.repeat(np.arange(len(counts)), counts)))
    return PlaceRows(
        places=work.places,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        cell=cell[order],
        units=units[order],
        whole=work.rows.whole,
    )


def _wanted(
    destinations: Destinations, decays: Sequence[Decay], places: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    """Check the decays; number the places to search from."""
    if not decays:
        msg = "no decay given; expected at least one, for example Decay.step(900_000)"
        raise InputError(msg)
    return np.arange(destinations.n_places) if places is None else np.asarray(places, dtype=np.int64)


def _prepare(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    decays: Sequence[Decay],
    wanted: npt.NDArray[np.int64],
    rank: npt.NDArray[np.int32],
) -> _Work:
    return _Work(
        graph=reach_graph(network),
        starts=seeds(network, destinations),
        points=street_points(network, destinations, rank),
        own=_own_streets(destinations, rank),
        decays=np.array([d.row for d in decays], dtype=np.float64),
        rows=PieceRows.of(pieces, rank),
        places=wanted,
    )


def _search(
    work: _Work,
    destinations: Destinations,
    places: npt.NDArray[np.int64],
    capacity: npt.NDArray[np.float64],
    sums: npt.NDArray[np.int64],
    entries: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> None:
    """Run the kernel of bounded searches on some places."""
    graph, starts, points = work.graph, work.starts, work.points
    limit, cells, measures = int(work.decays[:, 1].max()), len(work.rows.whole), len(work.decays)
    search_places(
        places,
        capacity,
        destinations.category,
        (starts.offsets, starts.slot, starts.time_ms),
        graph.into,
        graph.touching,
        graph.ends,
        limit,
        graph.shift,
        (points.offsets, points.fraction, points.place, points.ahead_ms, points.behind_ms),
        work.own,
        work.decays,
        (work.rows.of_street, work.rows.access_ms),
        (work.rows.offsets, work.rows.table),
        (
            tuple(graph.scratch(limit)),
            (
                np.empty(cells, dtype=np.int32),
                np.zeros((cells, measures), dtype=np.int64),
                np.zeros(cells, dtype=np.bool_),
            ),
            np.zeros(len(graph.ends), dtype=np.bool_),
        ),
        sums,
        entries,
    )


def _by_sweeps(
    network: StreetNetwork,
    starts: Seeds,
    places: npt.NDArray[np.int64],
    decays: Sequence[Decay],
    *,
    weighted: bool,
    engine: Engine,
) -> bool:
    """
    Choose the engine: the cost rule.

    Measured on a street graph of Paris's size (80,000 vertices, walking and cycling; tests/bench): a bounded search
    with its streets costs 0.25 µs a vertex that it settles, a sweep 0.03 µs; a hierarchy 20 µs a vertex of the network
    to build and 2 µs to customise.
    """
    limit = max(d.limit_ms for d in decays)
    able = not weighted and limit <= _LONGEST_SWEEP_MS
    if engine == "sweeps" and not able:
        msg = "sweeps count places within limits of 4.6 hours, not capacities: use engine='auto'"
        raise InputError(msg)
    if engine != "auto" or not able or len(places) < _SAMPLE:
        return engine == "sweeps"
    settled = _mean_settled(reach_graph(network), starts, places, limit) * len(places)
    prepare = (2 if has_shape(network) else 22) * network.n_vertices
    return bool(0.25 * settled > 0.03 * settled + prepare)


def _mean_settled(graph: ReachGraph, starts: Seeds, places: npt.NDArray[np.int64], limit: int) -> float:
    """Vertices that a search settles, from a sample of places spread over all."""
    total = 0
    with graph.borrow(limit) as scratch:
        for place in places[np.linspace(0, len(places) - 1, _SAMPLE).astype(np.int64)]:
            seed = slice(starts.offsets[place], starts.offsets[place + 1])
            found = ball(
                *graph.into, starts.slot[seed], starts.time_ms[seed], limit, graph.shift, tuple(scratch)
            )
            scratch.time_ms[scratch.found[:found]] = UNREACHABLE
            total += found
    return total / _SAMPLE


def _first_slot(starts: Seeds) -> npt.NDArray[np.int64]:
    """Slot where the search of each place begins, to visit places neighbour by neighbour."""
    first = np.full(len(starts.offsets) - 1, -1, dtype=np.int64)
    some = np.diff(starts.offsets) > 0
    first[some] = starts.slot[starts.offsets[:-1][some]]
    return first


def _quantum(
    whole: npt.NDArray[np.int64], capacity: npt.NDArray[np.float64], decays: Sequence[Decay]
) -> float:
    """Smallest power of two ≥ 1 that keeps every possible sum within 62 bits."""
    heaviest = max(d.limit_ms if d.kind == "time" else 1 for d in decays)
    bound = float(whole.max(initial=0)) * float(np.abs(capacity).sum()) * heaviest
    return float(2.0 ** max(0, int(np.ceil(np.log2(max(bound, 1.0)))) - 62))


def _own_streets(
    destinations: Destinations, rank: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Compressed rows: the ranks of the streets on which each place has access points."""
    point = np.flatnonzero(destinations.snaps.accepted)
    pairs = np.unique(
        np.column_stack([destinations.place[point], rank[destinations.snaps.street[point]]]), axis=0
    )
    counts = np.bincount(pairs[:, 0], minlength=destinations.n_places)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), pairs[:, 1].astype(np.int32)
