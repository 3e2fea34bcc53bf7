"""Cell times: exact means and quantiles of the travel time along the streets of each cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.compiled import kernel
from engine.reach.destinations import Destinations
from engine.reach.graph import street_points
from engine.reach.nearest import NearestField
from engine.reach.profile import profile, quantile
from engine.reach.threads import ranges, spread


@dataclass(frozen=True, eq=False)
class CellTimes:
    """
    Travel times of cells, each array of shape (cells, categories, k).

    Attributes
    ----------
    mean_ms, p90_ms
        [ms] Mean over the cell's streets, and the time that nine tenths of them do not exceed; NaN where part of
        the streets (for p90: more than a tenth) cannot reach.
    place
        The k-th nearest place at the point of the cell where the time is its median; -1 where half cannot reach.
    street, fraction
        That point, for the route that explains the time; street -1 where there is none.
    """

    mean_ms: npt.NDArray[np.float64]
    p90_ms: npt.NDArray[np.float64]
    place: npt.NDArray[np.int32]
    street: npt.NDArray[np.int32]
    fraction: npt.NDArray[np.float64]


def cell_times(
    network: StreetNetwork,
    pieces: StreetPieces,
    field: NearestField,
    destinations: Destinations,
    *,
    weight: npt.NDArray[np.float64] | None = None,
) -> CellTimes:
    """
    Integrate the times to the nearest places along the streets of each cell.

    Exact: the time is piecewise linear along a street, with a V at a place that lies on it. A cell without
    streets of its own takes the time of the nearest point, plus the walk to it.

    Parameters
    ----------
    network, pieces, field, destinations
        The streets, their pieces in each cell, the labels of `nearest`, and the places that it was given.
    weight
        Weight of each piece (dwellings, residents), shape (pieces,); None for its length. A cell whose pieces
        weigh nothing counts them equally.

    Returns
    -------
    CellTimes
        [ms] One row a cell, in the order of ``pieces.cells``; a cell without network is NaN.

    Raises
    ------
    InputError
        The field belongs to another network, or `weight` has another length than the pieces.

    Notes
    -----
    Cost O(pieces · k² · categories), plus a sort in each cell. The result does not depend on the number of threads.
    """
    weights = pieces.length_m if weight is None else np.asarray(weight, dtype=np.float64)
    _check(network, pieces, field, destinations, weights)
    points = street_points(network, destinations)
    shape = (pieces.n_cells, destinations.n_categories, field.k)
    result = CellTimes(
        mean_ms=np.full(shape, np.nan),
        p90_ms=np.full(shape, np.nan),
        place=np.full(shape, -1, dtype=np.int32),
        street=np.full(shape, -1, dtype=np.int32),
        fraction=np.full(shape, np.nan),
    )
    per_street = np.diff(points.offsets)
    parts = (per_street[pieces.street] + 1) * (field.k**2 + 1)
    capacity = int(np.bincount(pieces.cell, weights=parts, minlength=1).max(initial=1)) if len(parts) else 1
    ends = np.ascontiguousarray(
        np.column_stack([network.u, network.v, network.forward_ms, network.backward_ms]), dtype=np.int32
    )

    k = field.k

    def run(bounds: tuple[int, int]) -> None:
        _integrate(
            bounds[0],
            bounds[1],
            pieces.offsets,
            (pieces.street, pieces.start, pieces.stop, weights, pieces.access_ms),
            ends,
            points.offsets,
            (points.fraction, points.place, points.category, points.ahead_ms, points.behind_ms),
            field.label,
            (np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k, np.bool_), np.empty(k * k + 1)),
            (*(np.empty((k, capacity)) for _ in range(4)), np.empty((k, capacity), dtype=np.int32)),
            (*(np.empty(capacity) for _ in range(3)), np.empty(capacity, dtype=np.int64)),
            (result.mean_ms, result.p90_ms, result.place, result.street, result.fraction),
        )

    spread(run, ranges(pieces.n_cells, 16))
    return result


def _check(
    network: StreetNetwork,
    pieces: StreetPieces,
    field: NearestField,
    destinations: Destinations,
    weights: npt.NDArray[np.float64],
) -> None:
    if field.label.shape[:2] != (destinations.n_categories, network.n_vertices):
        msg = (
            f"the field covers {field.label.shape[0]} categories and {field.label.shape[1]} vertices; expected "
            f"{destinations.n_categories} and {network.n_vertices}: compute it on this network and these places"
        )
        raise InputError(msg)
    if len(weights) != len(pieces.cell):
        msg = f"weight has {len(weights)} entries; expected one for each of the {len(pieces.cell)} pieces"
        raise InputError(msg)


@kernel
def _integrate(first, last, offsets, pieces, ends, point_offsets, points, label, spare, out, parts, result):  # type: ignore[no-untyped-def]
    """Fill the rows `first`:`last` of the result."""
    street, start, stop, weight, access = pieces
    mean, p90, place, at_street, at_fraction = result
    categories, _, k = label.shape
    x0, x1, t0, t1, who = out
    mass, low, high, owner = parts
    for cell in range(first, last):
        total = 0.0
        for p in range(offsets[cell], offsets[cell + 1]):
            total += weight[p]
        for c in range(categories):
            size = np.int64(0)
            for p in range(offsets[cell], offsets[cell + 1]):
                s = street[p]
                before = size
                size = profile(
                    label[c, ends[s, 0]],
                    label[c, ends[s, 1]],
                    ends[s, 2],
                    ends[s, 3],
                    points,
                    point_offsets[s],
                    point_offsets[s + 1],
                    c,
                    start[p],
                    stop[p],
                    spare,
                    out,
                    size,
                )
                span = stop[p] - start[p]
                share = weight[p] if total > 0.0 else 1.0
                for i in range(before, size):
                    owner[i] = p
                    mass[i] = share * (x1[0, i] - x0[0, i]) / span if span > 0.0 else share / (size - before)
                    for r in range(k):
                        t0[r, i] += access[p]
                        t1[r, i] += access[p]
            if size == 0:
                continue
            for r in range(k):
                whole = 0.0
                sum_t = 0.0
                for i in range(size):
                    low[i] = min(t0[r, i], t1[r, i])
                    high[i] = max(t0[r, i], t1[r, i])
                    if mass[i] <= 0.0:
                        continue
                    whole += mass[i]
                    sum_t += mass[i] * 0.5 * (low[i] + high[i])
                if sum_t < np.inf:
                    mean[cell, c, r] = max(sum_t / whole, 0.0)
                tail = quantile(low, high, mass, size, 0.9)
                if tail < np.inf:
                    p90[cell, c, r] = max(tail, 0.0)
                median = quantile(low, high, mass, size, 0.5)
                if median < np.inf:
                    best, off = np.int64(0), np.inf
                    for i in range(size):
                        gap = max(low[i] - median, median - high[i], 0.0)
                        if mass[i] > 0.0 and gap < off:
                            best, off = np.int64(i), gap
                    place[cell, c, r] = who[r, best]
                    at_street[cell, c, r] = street[owner[best]]
                    step = t1[r, best] - t0[r, best]
                    share = min(max((median - t0[r, best]) / step, 0.0), 1.0) if step != 0.0 else 0.5
                    at_fraction[cell, c, r] = x0[r, best] + share * (x1[r, best] - x0[r, best])
