"""Covering with capacities: a station serves only so many, and demand may be shared between stations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from numba import njit
from scipy.sparse.csgraph import maximum_flow

from engine.errors import InputError
from engine.sites.covering import as_coverage, check_demand, check_locked, symmetric
from engine.sites.selection import Effort, FloatArray, IntArray, SiteSelection

_WHOLE = 2**30
"""Flows are whole numbers of 32 bits: demand is counted in this many parts of the total."""
ROUNDS_A_FLOW = 100
"""A set is valued by one maximum flow, which takes as long as so many rounds of the plain covering's search."""
TRIED = 8
"""Places that a site is moved to on trial."""


def capacitated_covering(
    coverage: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    capacity: npt.ArrayLike,
    count: int,
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    effort: Effort | None = None,
) -> SiteSelection:
    """
    Choose sites that serve as much demand as their capacities allow.

    Demand may be divided between sites; what a set serves is the largest flow from demand to sites, exactly.

    Parameters
    ----------
    coverage, demand, count, locked, conflicts, effort
        As in `engine.sites.covering.maximal_covering`; the exchange values one set for every `ROUNDS_A_FLOW` of
        ``effort.restarts``.
    capacity
        [demand] What each site can serve, one number or one a candidate; not negative.

    Returns
    -------
    SiteSelection
        ``curve`` holds what is served after each pick.

    Raises
    ------
    InputError
        Where shapes disagree or a number is out of range.

    References
    ----------
    Current & Storbeck (1988) Capacitated covering models. Pirkul & Schilling (1991) for the Lagrangian relaxation.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> best = capacitated_covering(sp.csr_array(np.ones((3, 1))), [100.0], capacity=40.0, count=2)
    >>> round(best.objective, 3), round(best.bound, 3)
    (80.0, 80.0)
    """
    effort = effort or Effort()
    matrix = as_coverage(coverage)
    weight = check_demand(demand, matrix.shape, count)
    fixed = check_locked(locked, matrix.shape[0])
    room = np.ascontiguousarray(np.broadcast_to(np.asarray(capacity, np.float64), matrix.shape[0]))
    if not (np.isfinite(room) & (room >= 0)).all():
        msg = "capacity holds negative or non-finite values: clean them first"
        raise InputError(msg)
    hits = symmetric(conflicts, matrix.shape[0])
    city = _City(matrix, weight, room, fixed, hits)
    every = np.ones(matrix.shape[0], bool)
    start = _greedy(city, count, every)
    chosen, flows = _exchange(city, start, effort.restarts // ROUNDS_A_FLOW)
    if flows:
        chosen = _in_order(city, chosen)
    curve = [served_by(matrix, weight, room, fixed)]
    curve += [served_by(matrix, weight, room, np.append(fixed, chosen[: k + 1])) for k in range(len(chosen))]
    rows = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64))
    bound, steps = float(weight.sum()), 0
    if count and len(weight):
        top, steps = _bound(*rows, weight, room, fixed, count, effort.bound_steps, curve[-1])
        bound = min(bound, top)
    return SiteSelection(
        chosen=chosen,
        locked=fixed,
        objective=curve[-1],
        baseline=curve[0],
        bound=max(curve[-1], bound * (1 + 1e-9)) if count else curve[-1],
        curve=np.maximum.accumulate(curve),
        method="greedy on what is left and exchange, valued by maximum flow; Lagrangian bound with a knapsack a site",
        figures={"candidates": int(matrix.shape[0]), "flows": flows, "bound_steps": int(steps)},
    )


def served_by(coverage: sp.csr_array, demand: FloatArray, capacity: FloatArray, sites: IntArray) -> float:
    """
    [demand] What a set of sites serves at most: the maximum flow from demand to sites.

    Notes
    -----
    Flows are whole numbers, in parts of 2**-30 of the total demand, rounded down.
    """
    return _flow(coverage, demand, capacity, sites)[0]


def _flow(
    coverage: sp.csr_array, demand: FloatArray, capacity: FloatArray, sites: IntArray
) -> tuple[float, FloatArray]:
    """[demand] What a set serves at most, and what it leaves of each column then."""
    part = sp.csr_array(coverage[sites])
    k, m = part.shape
    total = float(demand.sum())
    if not k or not total:
        return 0.0, demand.copy()
    unit = total / _WHOLE
    supply = np.floor(demand / unit).astype(np.int32)
    room = np.floor(np.minimum(capacity[sites], total) / unit).astype(np.int32)
    site, cell = np.repeat(np.arange(k), np.diff(part.indptr)), part.indices
    tail = np.concatenate([np.zeros(m, np.int64), 1 + cell, 1 + m + np.arange(k)])
    head = np.concatenate([1 + np.arange(m), 1 + m + site, np.full(k, 1 + m + k)])
    limit = np.concatenate([supply, supply[cell], room])
    graph = sp.csr_array((limit, (tail, head)), shape=(m + k + 2, m + k + 2), dtype=np.int32)
    found = maximum_flow(graph, 0, m + k + 1)
    taken = sp.csr_array(found.flow)[[0]].toarray().ravel()[1 : m + 1]
    return float(found.flow_value) * unit, np.maximum(demand - taken * unit, 0.0)


class _City(NamedTuple):
    """A capacitated problem."""

    coverage: sp.csr_array
    demand: FloatArray
    capacity: FloatArray
    locked: IntArray
    hits: sp.csr_array

    def barred(self, sites: IntArray) -> npt.NDArray[np.bool_]:
        """True for sites of the set, locked ones, and those too near to either."""
        out = np.zeros(self.coverage.shape[0], bool)
        for j in np.concatenate([self.locked, sites]):
            out[j] = True
            out[self.hits.indices[self.hits.indptr[j] : self.hits.indptr[j + 1]]] = True
        return out

    def flow(self, sites: IntArray) -> tuple[float, FloatArray]:
        """`_flow` of the locked sites and some new ones."""
        return _flow(self.coverage, self.demand, self.capacity, np.concatenate([self.locked, sites]))


def _greedy(city: _City, count: int, among: npt.NDArray[np.bool_]) -> IntArray:
    """Add the site `among` some that serves most of what is left unserved; it serves each cell in equal part."""
    coverage, left = city.coverage, city.demand.copy()
    chosen: list[int] = []

    def open_site(j: int) -> None:
        cells = coverage.indices[coverage.indptr[j] : coverage.indptr[j + 1]]
        wanted = float(left[cells].sum())
        if wanted > 0:
            left[cells] *= 1 - min(1.0, city.capacity[j] / wanted)

    for j in city.locked:
        open_site(int(j))
    while len(chosen) < count:
        out = city.barred(np.asarray(chosen, np.int64)) | ~among
        gain = np.where(out, -1.0, np.minimum(coverage @ left, city.capacity))
        if not len(gain) or gain.max() <= 1e-12 * city.demand.sum():
            break
        chosen.append(int(np.argmax(gain)))
        open_site(chosen[-1])
    return np.asarray(chosen, np.int64)


def _exchange(city: _City, chosen: IntArray, most: int) -> tuple[IntArray, int]:
    """
    Move one site at a time to one of the `TRIED` places that would serve most of what is left without it.

    Parameters
    ----------
    city
        The problem.
    chosen
        Set to begin with.
    most
        Flows at most.

    Returns
    -------
    tuple
        The set, and the flows computed; it ends when no site found a better place, or at `most`.
    """
    if not most or not len(chosen):
        return chosen, 0
    best, flows, idle, at = city.flow(chosen)[0], 1, 0, 0
    while idle < len(chosen) and flows + TRIED + 1 <= most:
        rest = np.delete(chosen, at)
        _, left = city.flow(rest)
        gain = np.where(city.barred(rest), -1.0, np.minimum(city.coverage @ left, city.capacity))
        gain[chosen[at]] = -1.0
        tried = [int(j) for j in np.argsort(-gain, kind="stable")[:TRIED] if gain[j] > 0]
        sets = [np.insert(rest, at, j) for j in tried]
        values = [city.flow(each)[0] for each in sets]
        flows += 1 + len(sets)
        idle += 1
        if values and max(values) > best * (1 + 1e-9):
            best, idle = max(values), 0
            chosen = sets[int(np.argmax(values))]
        at = (at + 1) % len(chosen)
    return chosen, flows


def _in_order(city: _City, chosen: IntArray) -> IntArray:
    """The set as greedy would build it, and at the end what it would not."""
    among = np.zeros(city.coverage.shape[0], bool)
    among[chosen] = True
    order = _greedy(city, len(chosen), among)
    return np.concatenate([order, np.setdiff1d(chosen, order)])


@njit(cache=True)
def _bound(indptr, indices, demand, capacity, locked, count, steps, incumbent):  # type: ignore[no-untyped-def]
    """
    Upper bound: with a price 0 ≤ p ≤ 1 on being served, ``Σ p · demand`` and the best sites each fill a knapsack.

    A site serves its cells in order of 1 − p until it is full; locked sites are all open, new ones the best `count`.
    """
    n, m = len(indptr) - 1, len(demand)
    price = np.full(m, 0.5)
    best_price = price.copy()
    fixed = np.zeros(n, np.bool_)
    for j in locked:
        fixed[j] = True
    bound, scale, calm, done = np.inf, 0.5, 0, 0
    descent = np.zeros(m)
    while done < steps:
        done += 1
        order = np.argsort(price)
        rank = np.empty(m, np.int64)
        for r in range(m):
            rank[order[r]] = r
        worth = np.zeros(n)
        for j in range(n):
            worth[j] = _knapsack(indptr, indices, demand, capacity, price, rank, j, descent, 0.0)
        total = (price * demand).sum()
        slope = demand.copy()
        for j in range(n):
            if fixed[j]:
                total += worth[j]
                _knapsack(indptr, indices, demand, capacity, price, rank, j, slope, 1.0)
                worth[j] = 0.0
        for j in np.argsort(-worth)[:count]:
            if worth[j] > 0.0:
                total += worth[j]
                _knapsack(indptr, indices, demand, capacity, price, rank, j, slope, 1.0)
        calm = 0 if total < bound * (1.0 - 1e-6) or bound == np.inf else calm + 1
        if total < bound:
            bound = total
            best_price[:] = price
        if bound <= incumbent:
            break
        if calm >= 30:
            scale, calm = scale * 0.8, 0
            price[:] = best_price
            descent[:] = 0.0
            if scale < 1e-3:
                break
            continue
        norm = 0.0
        for i in range(m):
            if (price[i] <= 0.0 and slope[i] > 0.0) or (price[i] >= 1.0 and slope[i] < 0.0):
                slope[i] = 0.0
            descent[i] = 0.2 * slope[i] + 0.8 * descent[i]
            norm += descent[i] * descent[i]
        if norm <= 0.0:
            break
        step = scale * max(total - incumbent, 1e-9 * total) / norm
        for i in range(m):
            price[i] = min(max(price[i] - step * descent[i], 0.0), 1.0)
    return bound, done


@njit(cache=True)
def _knapsack(indptr, indices, demand, capacity, price, rank, j, slope, sign):  # type: ignore[no-untyped-def]
    """Worth of site `j`: its cells by rising price until it is full; takes what it serves from `slope`."""
    cells = indices[indptr[j] : indptr[j + 1]]
    keys = np.empty(len(cells), np.int64)
    for a in range(len(cells)):
        keys[a] = rank[cells[a]]
    total, room = 0.0, capacity[j]
    for a in np.argsort(keys):
        i = cells[a]
        if room <= 0.0 or price[i] >= 1.0:
            break
        take = min(room, demand[i])
        total += take * (1.0 - price[i])
        room -= take
        slope[i] -= sign * take
    return total
