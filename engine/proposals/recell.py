"""Cells after a change: those that a change touches, integrated anew by the reach core itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.compiled import kernel
from engine.proposals.layout import Layout
from engine.reach.cell_times import _integrate
from engine.reach.threads import ranges, spread, workers

_FEW_CELLS = 64
"""Below this, sharing the work between processors costs more than it saves."""


def touched_cells(
    layout: Layout, slots: npt.NDArray[np.int32], streets: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Cells with origins on streets that meet some slots, or on some streets."""
    flag = np.zeros(len(layout.whole), dtype=np.bool_)
    seen = np.zeros(layout.n_streets, dtype=np.bool_)
    _flag(slots, streets, layout.offsets, layout.incident, layout.rows.offsets, layout.rows.cell, seen, flag)
    return np.flatnonzero(flag)


@kernel
def _flag(slots, streets, incident_offsets, incident, row_offsets, row_cell, seen, flag):  # type: ignore[no-untyped-def]
    """Flag the cells of streets."""
    for s in streets:
        seen[s] = True
        for p in range(row_offsets[s], row_offsets[s + 1]):
            flag[row_cell[p]] = True
    for slot in slots:
        for a in range(incident_offsets[slot], incident_offsets[slot + 1]):
            s = incident[a]
            if not seen[s]:
                seen[s] = True
                for p in range(row_offsets[s], row_offsets[s + 1]):
                    flag[row_cell[p]] = True


class CellMinutes(NamedTuple):
    """Mean and 90th percentile [ms] and places of some cells, as in `engine.reach.cell_times.CellTimes`."""

    mean_ms: npt.NDArray[np.float64]
    p90_ms: npt.NDArray[np.float64]
    place: npt.NDArray[np.int32]


def integrated(
    layout: Layout, labels: npt.NDArray[np.int64], cells: npt.NDArray[np.int64], categories: Sequence[int]
) -> CellMinutes:
    """
    Times of some cells, by the kernel of `engine.reach.cell_times` on their streets alone.

    Parameters
    ----------
    layout
        Streets, places and pieces.
    labels
        Labels of all categories by slot, shape (categories, slots, k).
    cells
        Cells wanted, increasing.
    categories
        Categories wanted.

    Returns
    -------
    CellMinutes
        Of shape (cells wanted, categories wanted, k); the very floats that the whole city's computation gives.
    """
    pieces, points, k = layout.pieces, layout.points, labels.shape[2]
    counts = np.diff(pieces.offsets)[cells]
    at = _ranges(pieces.offsets[cells], counts)
    street = pieces.street[at]
    per_piece = points.offsets[street + 1] - points.offsets[street]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    parts = np.add.reduceat((per_piece + 1) * (k**2 + 1), offsets[:-1][counts > 0]) if len(at) else np.ones(1)
    kind = np.full(len(labels), -1, dtype=np.int32)
    kind[np.asarray(categories)] = np.arange(len(categories), dtype=np.int32)
    shape = (len(cells), len(categories), k)
    mean, p90, fraction = (np.full(shape, np.nan) for _ in range(3))
    place, on = (np.full(shape, -1, dtype=np.int32) for _ in range(2))
    some = labels if len(categories) == len(labels) else labels[np.asarray(categories)]
    arrays = (street, pieces.start[at], pieces.stop[at], pieces.length_m[at], pieces.access_ms[at])
    everywhere = (
        points.fraction,
        points.place,
        kind[layout.category[points.place]],
        points.ahead_ms,
        points.behind_ms,
    )

    def run(bounds: tuple[int, int]) -> None:
        capacity = int(parts.max())
        _integrate(
            bounds[0],
            bounds[1],
            offsets,
            arrays,
            layout.ends,
            points.offsets,
            everywhere,
            some,
            (np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k, np.bool_), np.empty(k * k + 1)),
            (*(np.empty((k, capacity)) for _ in range(4)), np.empty((k, capacity), dtype=np.int32)),
            (*(np.empty(capacity) for _ in range(3)), np.empty(capacity, dtype=np.int64)),
            (mean, p90, place, on, fraction),
        )

    spread(run, ranges(len(cells), workers() if len(cells) > _FEW_CELLS else 1))
    return CellMinutes(mean, p90, place)


def _ranges(first: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Concatenate ``first[i] … first[i] + counts[i] − 1``."""
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else np.empty(0, dtype=np.int64)
    return np.asarray(np.repeat(first - before, counts) + np.arange(int(counts.sum())))
