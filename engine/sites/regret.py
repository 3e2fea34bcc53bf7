"""Robust siting: one set that is never far from the best, whichever scenario comes true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites.covering import as_coverage, building_order, maximal_covering
from engine.sites.selection import Effort, FloatArray, IntArray

_NOTHING = 1e-100
"""Best known value up to which a scenario has nothing to lose: shares of it would overflow."""


class CoverScenario(NamedTuple):
    """One way the future may be: who is reached, and who needs it."""

    coverage: sp.sparray | sp.spmatrix
    """Shape (candidates, demand); every scenario has the same candidates."""
    demand: npt.ArrayLike
    """Weight of each column."""


@dataclass(frozen=True, eq=False)
class RobustSelection:
    """
    A set of sites and how much it may be regretted.

    Attributes
    ----------
    chosen
        New sites.
    served
        Demand served in each scenario, shape (scenarios,).
    best_bound
        What no set can exceed in each scenario, shape (scenarios,).
    regret
        Share of the best known that each scenario loses with this set, shape (scenarios,).
    worst_regret
        The largest of them.
    regret_bound
        No set has a smaller worst regret against the same best known sets.
    """

    chosen: IntArray
    served: FloatArray
    best_bound: FloatArray
    regret: FloatArray
    worst_regret: float
    regret_bound: float


def least_regret(
    scenarios: Sequence[CoverScenario],
    *,
    count: int,
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    rounds: int = 20,
    effort: Effort | None = None,
) -> RobustSelection:
    """
    Choose sites whose worst regret over the scenarios is small, and bound the least worst regret.

    The regret of a set in a scenario is 1 − served / best known there. Scenarios that suffer gain weight from round
    to round (multiplicative weights), each round solves one covering problem of the weighted sum, and the best set
    met is kept. For any weights α, ``1 − bound of Σ α · served / best`` bounds every set's worst regret from below.

    Parameters
    ----------
    scenarios
        At least one.
    count, locked, conflicts, effort
        As in `engine.sites.covering.maximal_covering`.
    rounds
        Changes of weights.

    Returns
    -------
    RobustSelection
        Deterministic.

    Raises
    ------
    InputError
        If there is no scenario, or the scenarios have different candidates.

    References
    ----------
    Serra & Marianov (1998) The p-median problem in a changing network. Arora, Hazan & Kale (2012) The multiplicative
    weights update method.
    """
    if not scenarios:
        msg = "scenarios is empty: expected at least one"
        raise InputError(msg)
    tables = [as_coverage(s.coverage) for s in scenarios]
    weights = [np.asarray(s.demand, np.float64) for s in scenarios]
    if len({t.shape[0] for t in tables}) > 1:
        msg = f"scenarios have {[t.shape[0] for t in tables]} candidates: expected the same rows in each"
        raise InputError(msg)
    alone = [
        maximal_covering(t, w, count=count, locked=locked, conflicts=conflicts, effort=effort)
        for t, w in zip(tables, weights, strict=True)
    ]
    effort = effort or Effort()
    quick = replace(effort, restarts=effort.restarts // 10, cut_rounds=0)  # many problems, each near the last
    sets = [found.chosen for found in alone]
    fixed = alone[0].locked

    def served(chosen: IntArray) -> FloatArray:
        return np.array(
            [building_order(t, w, fixed, chosen)[1][-1] for t, w in zip(tables, weights, strict=True)]
        )

    values = [served(chosen) for chosen in sets]
    best = np.max(values, axis=0)
    alpha = np.full(len(tables), 1 / len(tables))
    merged = sp.csr_array(sp.hstack(tables, format="csr"))
    bound = 0.0
    for _ in range(rounds if len(tables) > 1 else 0):
        mixed = np.concatenate(
            [w * (a / b if b > _NOTHING else 0.0) for w, a, b in zip(weights, alpha, best, strict=True)]
        )
        found = maximal_covering(merged, mixed, count=count, locked=locked, conflicts=conflicts, effort=quick)
        sets.append(found.chosen)
        values.append(served(found.chosen))
        bound = max(bound, float(alpha[best > _NOTHING].sum()) - found.bound)
        loss = _regret(values[-1], best)
        alpha = alpha * np.exp(5.0 * loss / max(float(loss.max()), 1e-12))
        alpha /= alpha.sum()
    regrets = [_regret(value, best) for value in values]
    pick = int(np.argmin([float(r.max()) for r in regrets]))
    return RobustSelection(
        chosen=sets[pick],
        served=values[pick],
        best_bound=np.array([found.bound for found in alone]),
        regret=regrets[pick],
        worst_regret=float(regrets[pick].max()),
        regret_bound=min(bound, float(regrets[pick].max())),
    )


def _regret(value: FloatArray, best: FloatArray) -> FloatArray:
    """Share lost in each scenario; a value above the best known counts 0."""
    lost = np.divide(best - value, best, out=np.zeros(len(best)), where=best > 0)
    return np.maximum(lost, 0.0)
