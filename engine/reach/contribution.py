"""
Contributions: what one place counts for on one piece of street, as a whole number.

Along a street the time to a place is the lower of two lines, one rising from ``u`` and one falling towards ``v``. The
contribution of a piece is the integral of a decay of that time, exact up to rounding to 60 nm of street. Being whole
numbers, contributions add up to the same sum in any order, and can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.reach.compiled import inner
from engine.reach.decay import STEP, mean_weight
from engine.reach.search import FAR

UNITS_PER_M = 2.0**24
"""Contributions are whole numbers of 2⁻²⁴ m (60 nm) of street."""


@dataclass(frozen=True, eq=False)
class PieceRows:
    """
    Street pieces as compiled code reads them: one *row* for each street and walk to it.

    Streets have *ranks* here, chosen so that streets that a search meets one after the other lie together in memory.

    Attributes
    ----------
    of_street
        Rows of the street of rank ``s`` are ``of_street[s]:of_street[s + 1]``.
    street, access_ms
        Rank of the street of each row, and [ms] the walk from the cell's centre (0 but for cells without streets).
    offsets
        Pieces of row ``r`` are ``offsets[r]:offsets[r + 1]``.
    table
        Start, stop, units and cell of each piece, shape (pieces, 4). Units weigh a piece: its length in `UNITS_PER_M`;
        a cell whose pieces have no length counts each as one metre.
    whole
        Sum of the units of each cell.
    """

    of_street: npt.NDArray[np.int64]
    street: npt.NDArray[np.int32]
    access_ms: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    table: npt.NDArray[np.float64]
    whole: npt.NDArray[np.int64]

    @classmethod
    def of(cls, pieces: StreetPieces, rank: npt.NDArray[np.int32]) -> PieceRows:
        """Group pieces by the rank of their street, shape (streets,), and by walk."""
        units = np.rint(pieces.length_m * UNITS_PER_M).astype(np.int64)
        measured = np.zeros(pieces.n_cells, dtype=np.int64)
        np.add.at(measured, pieces.cell, units)
        units = np.where(measured[pieces.cell] > 0, units, np.int64(UNITS_PER_M))
        whole = np.zeros(pieces.n_cells, dtype=np.int64)
        np.add.at(whole, pieces.cell, units)
        ranks = rank[pieces.street]
        order = np.lexsort((pieces.start, pieces.cell, pieces.access_ms, ranks))
        street, access = ranks[order], pieces.access_ms[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(street) != 0) | (np.diff(access) != 0)
        first = np.flatnonzero(new)
        return cls(
            of_street=np.searchsorted(street[first], np.arange(len(rank) + 1)).astype(np.int64),
            street=street[first].astype(np.int32),
            access_ms=access[first].astype(np.int64),
            offsets=np.append(first, len(order)).astype(np.int64),
            table=np.column_stack([pieces.start, pieces.stop, units, pieces.cell])[order],
            whole=whole,
        )


@inner
def meeting(rising, falling, up, down):  # type: ignore[no-untyped-def]
    """Fraction at which two lines meet, -1 if only the falling one counts and 2 if only the rising one does."""
    if rising >= FAR:
        return -1.0
    if falling >= FAR:
        return 2.0
    if up + down > 0.0:
        return (falling - rising) / (up + down)
    return 2.0 if rising <= falling else -1.0


@inner
def contribution(start, stop, units, left, right, rising, falling, up, down, meet, decay):  # type: ignore[no-untyped-def]
    """
    Integrate a decay over the part of a piece that lies between two fractions of its street.

    `rising` and `falling` are the times of the lines at fraction 0 (`FAR` where there is none), `up` and `down` the
    slopes (negative where that way is closed), `meet` where the lines meet. A point on the border of two stretches,
    where a place lies, belongs to the one whose line leads to the place: the earlier one, unless that way is closed.
    """
    length = stop - start
    low, high = max(start, left), min(stop, right)
    if high < low or (high == low and length > 0.0):
        return np.int64(0)
    if length == 0.0 and ((low == left and left > 0.0) if down >= 0.0 else (low == right and right < 1.0)):
        return np.int64(0)
    if length == 0.0:
        at = rising + up * low if meet >= low else falling - down * low
        return np.int64(np.rint(units * mean_weight(decay, at, at)))
    turn = min(max(meet, low), high)
    share = 0.0
    if decay[0] == STEP:
        # borders are rounded, not lengths: stretches that follow each other add up to the whole piece
        stops, starts = low, high
        if turn > low:
            stops = max(min(until(decay[1] - rising, up), turn), low)
        if high > turn:
            starts = min(max(1.0 - until(decay[1] - falling + down, down), turn), high)
        scale = units / length
        inside = np.rint(scale * (stops - start)) - np.rint(scale * (low - start))
        return np.int64(inside + np.rint(scale * (high - start)) - np.rint(scale * (starts - start)))
    if turn > low:
        share += (turn - low) * mean_weight(decay, rising + up * low, rising + up * turn)
    if high > turn:
        share += (high - turn) * mean_weight(decay, falling - down * high, falling - down * turn)
    return np.int64(np.rint(units * (share / length)))


@inner
def until(spare, slope):  # type: ignore[no-untyped-def]
    """Fraction up to which ``slope · x`` stays within what is to spare: below 0 if nowhere, above 1 if everywhere."""
    if slope > 0.0:
        return spare / slope
    return 2.0 if spare >= 0.0 else -1.0
