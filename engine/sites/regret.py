"""Robust siting: one set that is never far from the best, whichever scenario comes true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites import cover_kernel as kernel
from engine.sites.covering import (
    FIRST,
    WHOLE,
    as_coverage,
    covered_demand,
    maximal_covering,
    reduce_problem,
    symmetric,
)
from engine.sites.selection import Effort, FloatArray, IntArray

_NOTHING = 1e-100
"""Best known value up to which a scenario has nothing to lose: shares of it would overflow."""

STEP = 1.0
"""The scenario that suffers most gains weight by this power of e at first, less with the root of the round."""
LATER = 5
"""After the first mixture of scenarios, each of the others takes this part of its rounds and steps."""


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
    rounds: int = 30,
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
    fixed = alone[0].locked
    sets = [found.chosen for found in alone]
    values = [_served(tables, weights, np.append(fixed, chosen)) for chosen in sets]
    best = np.max(values, axis=0)
    bound = 0.0
    if len(tables) > 1:
        mixtures = _Mixtures(tables, weights, best, fixed, conflicts, count, effort or Effort())
        alpha = np.full(len(tables), 1 / len(tables))
        for turn in range(rounds):
            chosen, top = mixtures.solve(alpha)
            sets.append(chosen)
            values.append(_served(tables, weights, np.append(fixed, chosen)))
            bound = max(bound, float(alpha[best > _NOTHING].sum()) - top)
            loss = _regret(values[-1], best)
            alpha = alpha * np.exp(STEP / np.sqrt(turn + 1) * loss / max(float(loss.max()), 1e-12))
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


class _Mixtures:
    """
    Covering problems of weighted sums of scenarios, solved one after another, each from the last set and prices.

    Only the weights of the demand change from one to the next, and little: the problem is reduced once, and a few
    rounds of search and steps of the bound follow the change.
    """

    def __init__(
        self,
        tables: Sequence[sp.csr_array],
        weights: Sequence[FloatArray],
        best: FloatArray,
        locked: IntArray,
        conflicts: sp.sparray | sp.spmatrix | None,
        count: int,
        effort: Effort,
    ) -> None:
        shares = [w / b if b > _NOTHING else np.zeros(len(w)) for w, b in zip(weights, best, strict=True)]
        merged = as_coverage(sp.hstack(tables, format="csr"))
        hits = symmetric(conflicts, merged.shape[0])
        self._reduced = reduce_problem(merged, np.concatenate(shares), locked, hits)
        n, ends = len(self._reduced.cover.weight), np.cumsum([len(w) for w in weights])[:-1]
        columns = np.split(self._reduced.column, ends)
        self._weight = np.array(
            [
                np.bincount(c[c >= 0], weights=s[c >= 0], minlength=n)
                for c, s in zip(columns, shares, strict=True)
            ]
        ).reshape(len(weights), n)
        before = _served(tables, weights, locked)
        self._baseline = np.divide(before, best, out=np.zeros(len(best)), where=best > _NOTHING)
        self._count, self._effort, self._turn = count, effort, 0
        self._found = np.empty(0, np.int64)
        self._price_share = np.full(n, 0.5)

    def solve(self, alpha: FloatArray) -> tuple[IntArray, float]:
        """Rows of a good set for the weights ``alpha`` of the scenarios, and what no set's weighted sum exceeds."""
        mixed, n = alpha @ self._weight, self._weight.shape[1]
        if not self._count or not n:
            return self._found, float(alpha @ self._baseline)
        unit = float(mixed.sum()) / WHOLE or 1.0
        cover = self._reduced.cover._replace(weight=np.round(mixed / unit))
        seed, part = np.uint64(self._effort.seed + self._turn), LATER if self._turn else 1
        turns, steps = self._effort.restarts // FIRST // part, self._effort.bound_steps // part
        self._found, _, value, _ = kernel.search(cover, self._found, self._count, turns, seed, np.inf)
        lowest, price, _ = kernel.lagrangian(
            cover,
            self._reduced.clique,
            self._count,
            max(steps, 1),
            value,
            0.0,
            self._price_share * cover.weight,
        )
        self._price_share = np.divide(price, cover.weight, out=np.full(n, 0.5), where=cover.weight > 0)
        self._turn += 1
        top = min(lowest + 1e-12 * WHOLE + 0.5 * n, float(cover.weight.sum()) + 0.5 * n) * unit
        return self._reduced.candidate[self._found], float(alpha @ self._baseline) + top


def _served(tables: Sequence[sp.csr_array], weights: Sequence[FloatArray], sites: IntArray) -> FloatArray:
    """[demand] Served in each scenario by some sites, shape (scenarios,)."""
    return np.array([w[covered_demand(t, sites)].sum() for t, w in zip(tables, weights, strict=True)])


def _regret(value: FloatArray, best: FloatArray) -> FloatArray:
    """Share lost in each scenario; a value above the best known counts 0."""
    lost = np.divide(best - value, best, out=np.zeros(len(best)), where=best > 0)
    return np.maximum(lost, 0.0)
