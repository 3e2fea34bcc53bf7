"""Covering under a budget: sites of different cost, and how many are worth it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites import budget_kernel as kernel
from engine.sites.covering import (
    WHOLE,
    as_coverage,
    building_order,
    check_demand,
    check_locked,
    covered_demand,
    make_cover,
    maximal_covering,
    symmetric,
)
from engine.sites.selection import Effort, FloatArray, SiteSelection


def budgeted_covering(
    coverage: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    cost: npt.ArrayLike,
    budget: float,
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    effort: Effort | None = None,
) -> SiteSelection:
    """
    Choose sites that cover as much demand as a budget allows, and bound what any set could cover.

    Parameters
    ----------
    coverage, demand, locked, conflicts, effort
        As in `engine.sites.covering.maximal_covering`.
    cost
        [any unit: €, ha] Cost of each candidate, positive, shape (candidates,); locked sites cost nothing.
    budget
        [same unit] What the new sites may cost together.

    Returns
    -------
    SiteSelection
        ``figures["cost"]`` says what is spent.

    Raises
    ------
    InputError
        Where shapes disagree or a number is out of range.

    References
    ----------
    Khuller, Moss & Naor (1999) The budgeted maximum coverage problem. Dantzig (1957) for the knapsack in part.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> best = budgeted_covering(sp.csr_array(np.eye(3)), [10, 6, 6], cost=[2.0, 1.0, 1.0], budget=2.0)
    >>> best.chosen.tolist(), best.objective
    ([1, 2], 12.0)
    """
    effort = effort or Effort()
    matrix = as_coverage(coverage)
    weight = check_demand(demand, matrix.shape, 0)
    fixed = check_locked(locked, matrix.shape[0])
    price = np.asarray(cost, np.float64)
    if price.shape != (matrix.shape[0],) or not ((price > 0) & np.isfinite(price)).all():
        msg = f"cost has shape {price.shape} for {matrix.shape[0]} candidates: expected one positive number each"
        raise InputError(msg)
    if not (np.isfinite(budget) and budget >= 0):
        msg = f"budget is {budget}: expected 0 or more"
        raise InputError(msg)
    hits = symmetric(conflicts, matrix.shape[0])
    covered = covered_demand(matrix, fixed)
    free = np.ones(matrix.shape[0], bool)
    free[fixed] = False
    for j in fixed:
        free[hits.indices[hits.indptr[j] : hits.indptr[j + 1]]] = False
    candidate = np.flatnonzero(free)
    open_ = np.where(covered, 0.0, weight)
    unit = float(open_.sum()) / WHOLE or 1.0
    cover = make_cover(
        sp.csr_array(matrix[candidate]), np.round(open_ / unit), sp.csr_array(hits[candidate][:, candidate])
    )
    found, greedy = kernel.search(cover, price[candidate], float(budget))
    chosen, curve = building_order(matrix, weight, fixed, candidate[found])
    gain = (curve[-1] - curve[0]) / unit
    bound, steps = 0.0, 0
    if len(candidate) and budget > 0:
        top, steps = kernel.lagrangian(
            cover, price[candidate], float(budget), effort.bound_steps, gain, effort.gap_target
        )
        bound = min(top + 1e-12 * WHOLE + len(weight), WHOLE) * unit
    return SiteSelection(
        chosen=chosen,
        locked=fixed,
        objective=float(curve[-1]),
        baseline=float(curve[0]),
        bound=max(float(curve[-1]), float(curve[0]) + bound),
        curve=curve,
        method="two greedy sets with exchange; Lagrangian bound with a knapsack",
        figures={
            "candidates": int(matrix.shape[0]),
            "greedy": float(curve[0]) + greedy * unit,
            "cost": float(price[chosen].sum()),
            "bound_steps": int(steps),
        },
    )


def budget_sweep(
    coverage: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    counts: Sequence[int],
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    effort: Effort | None = None,
) -> pd.DataFrame:
    """
    Cover with every number of sites asked for: each row is its own best set with its own proof.

    Parameters
    ----------
    coverage, demand, locked, conflicts, effort
        As in `engine.sites.covering.maximal_covering`.
    counts
        Numbers of new sites.

    Returns
    -------
    pandas.DataFrame
        ``count``, ``objective``, ``share`` (of all demand), ``bound``, ``gap`` and ``bend`` (True at the one number
        after which more sites pay least extra, see `bend`), by rising count.
    """
    total = float(np.asarray(demand, np.float64).sum())
    rows = []
    for count in sorted(set(counts)):
        found = maximal_covering(
            coverage, demand, count=count, locked=locked, conflicts=conflicts, effort=effort
        )
        rows.append(
            (count, found.objective, found.objective / total if total else 0.0, found.bound, found.gap)
        )
    table = pd.DataFrame(rows, columns=["count", "objective", "share", "bound", "gap"])
    at = bend(table["count"].to_numpy(np.float64), table["objective"].to_numpy(np.float64))
    return table.assign(bend=np.arange(len(table)) == at)


def bend(x: FloatArray, y: FloatArray) -> int:
    """
    Where a rising curve bends: the point farthest above the line from its first to its last point.

    Returns
    -------
    int
        Position, the first of equals; -1 with fewer than three points or where no point lies above the line.

    References
    ----------
    Satopää, Albrecht, Irwin & Raghavan (2011) Finding a "kneedle" in a haystack.

    Examples
    --------
    >>> bend(np.array([0.0, 1, 2, 3, 4]), np.array([0.0, 5, 8, 9, 9.5]))
    2
    """
    if len(x) < 3 or x[-1] <= x[0] or y[-1] <= y[0]:
        return -1
    above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    at = int(np.argmax(above))
    return at if above[at] > 1e-12 else -1
