"""The p-median: choose sites so that people travel as little as possible on average, with a proven bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites import median_kernel as kernel
from engine.sites.covering import check_demand, check_locked, conflict_cliques, symmetric
from engine.sites.selection import Effort, FloatArray, IntArray, SiteSelection

_WHOLE = float(2**51)


def p_median(
    cost: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    far: float,
    count: int,
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    effort: Effort | None = None,
) -> SiteSelection:
    """
    Choose sites so that the demand's total cost to its nearest site is least (Hakimi 1964), and bound the least.

    Parameters
    ----------
    cost
        [min, m …] Cost from each demand to each candidate, shape (candidates, demand); a pair that is not stored
        costs `far`, and so does a dearer one. A stored 0 costs nothing.
    demand
        [residents, or any unit] Weight of each column, shape (demand,); finite and not negative.
    far
        Cost of demand without a site in reach; positive and finite.
    count
        New sites at most, on top of `locked`.
    locked
        Rows that are there already.
    conflicts
        Shape (candidates, candidates); a stored entry forbids choosing both.
    effort
        How hard to work.

    Returns
    -------
    SiteSelection
        ``sense`` is ``min``: objective, baseline, curve and bound are demand × cost, and ``bound`` is never above
        the optimum.

    Raises
    ------
    InputError
        Where shapes disagree or a number is out of range.

    Notes
    -----
    Worked on as savings against `far`, rounded so that their sums are exact: one part in 2**51 of the total.

    References
    ----------
    Hakimi (1964) Optimum locations of switching centers. Teitz & Bart (1968) for exchange. Cornuéjols, Fisher &
    Nemhauser (1977) Location of bank accounts to optimize float, for the bound.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> minutes = sp.csr_array(np.array([[1.0, 2.0, 9.0], [9.0, 2.0, 1.0]]))
    >>> best = p_median(minutes, [10, 10, 30], far=15.0, count=1)
    >>> best.chosen.tolist(), best.objective, best.is_optimal
    ([1], 140.0, True)
    """
    effort = effort or Effort()
    matrix = sp.csr_array(cost, copy=True).astype(np.float64)
    weight = check_demand(demand, matrix.shape, count)
    fixed = check_locked(locked, matrix.shape[0])
    if not (np.isfinite(far) and far > 0):
        msg = f"far is {far}: expected a positive finite cost"
        raise InputError(msg)
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        msg = "cost holds negative or non-finite values: leave out pairs that cannot be travelled"
        raise InputError(msg)
    hits = symmetric(conflicts, matrix.shape[0])
    saved = _savings(matrix, weight, far)
    before = _best(saved, fixed)
    free = np.ones(matrix.shape[0], bool)
    free[fixed] = False
    for j in fixed:
        free[hits.indices[hits.indptr[j] : hits.indptr[j + 1]]] = False
    candidate = np.flatnonzero(free)
    problem, unit = _problem(saved, before, candidate, hits)
    found, greedy, most = kernel.search(problem, count, effort.restarts // 300, np.uint64(effort.seed))
    steps, bound = 0, 0.0
    if count and len(problem.row):
        clique = conflict_cliques(sp.csr_array(hits[candidate][:, candidate]))
        top, steps = kernel.lagrangian(problem, clique, count, effort.bound_steps, most, effort.gap_target)
        bound = (top + 1e-12 * _WHOLE + len(problem.row)) * unit
    whole = float(weight.sum()) * far
    order, curve = _building_order(saved, before, candidate[found])
    costs = whole - curve
    return SiteSelection(
        chosen=order,
        locked=fixed,
        objective=float(costs[-1]),
        baseline=float(costs[0]),
        bound=min(float(costs[-1]), max(0.0, float(costs[0]) - bound)),
        curve=costs,
        method="greedy, exchange search with perturbations; Lagrangian bound",
        sense="min",
        figures={
            "candidates": int(matrix.shape[0]),
            "greedy": float(costs[0]) - greedy * unit,
            "bound_steps": int(steps),
        },
    )


def _savings(cost: sp.csr_array, weight: FloatArray, far: float) -> sp.csr_array:
    """Weighted saving of each stored pair that saves anything."""
    saved = cost.copy()
    saved.data = weight[cost.indices] * np.maximum(far - cost.data, 0.0)
    saved.eliminate_zeros()
    saved.sort_indices()
    return saved


def _row(matrix: sp.csr_array, j: int) -> tuple[npt.NDArray[np.int32], FloatArray]:
    part = slice(matrix.indptr[j], matrix.indptr[j + 1])
    return matrix.indices[part], matrix.data[part]


def _best(saved: sp.csr_array, sites: IntArray) -> FloatArray:
    """Largest saving of each demand among sites."""
    best = np.zeros(saved.shape[1])
    for j in sites:
        i, value = _row(saved, int(j))
        best[i] = np.maximum(best[i], value)
    return best


def _problem(
    saved: sp.csr_array, before: FloatArray, candidate: IntArray, hits: sp.csr_array
) -> tuple[kernel.Savings, float]:
    """What is left to save beyond the locked sites, in whole units."""
    part = sp.csr_array(saved[candidate])
    part.data = np.maximum(part.data - before[part.indices], 0.0)
    part.eliminate_zeros()
    most = sp.csc_array(part).max(axis=0).toarray().sum() if part.nnz else 0.0
    unit = float(most) / _WHOLE or 1.0
    part.data = np.round(part.data / unit)
    part.sort_indices()
    columns = part.tocsc()
    columns.sort_indices()
    near = sp.csr_array(hits[candidate][:, candidate])
    near.sort_indices()
    problem = kernel.Savings(
        part.indptr.astype(np.int64),
        part.indices.astype(np.int32),
        part.data,
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        columns.data,
        near.indptr.astype(np.int64),
        near.indices.astype(np.int32),
    )
    return problem, unit


def _building_order(saved: sp.csr_array, before: FloatArray, chosen: IntArray) -> tuple[IntArray, FloatArray]:
    """The set so that each site is the best next one of it, and the saving before the first and after each."""
    best, left, order, curve = before.copy(), sorted(int(j) for j in chosen), [], [float(before.sum())]
    while left:
        gains = []
        for j in left:
            i, value = _row(saved, j)
            gains.append(float(np.maximum(value - best[i], 0.0).sum()))
        j = left.pop(int(np.argmax(gains)))
        i, value = _row(saved, j)
        best[i] = np.maximum(best[i], value)
        order.append(j)
        curve.append(float(best.sum()))
    return np.asarray(order, np.int64), np.asarray(curve)
