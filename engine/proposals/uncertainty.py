"""
How sure a ranking is: Monte Carlo over what is not known, and over the weights that people may give.

Draws are common to all proposals: what differs between them in a draw differs because of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.proposals.effect import Criteria

_Floats = npt.NDArray[np.float64]
DETOUR = 1.3
"""Assumed ratio of the way along streets to the straight line, for places that are on no map: a round figure between
the 1.2 that Ballou, Rahardja & Sakai (2002), Transportation Research A 36, 843-848, report for roads in the United
States and their higher figures for Europe."""


@dataclass(frozen=True)
class Uncertainty:
    """
    What is not known, declared.

    Attributes
    ----------
    speed
        Speeds of a mode may be wrong by this share, up or down, all at once (uniform).
    snap_min
        [min] Standard deviation of a cell's own error: where within it people live, how they leave the house.
    gone
        Probability that a mapped place is not there any more.
    unmapped
        Places that are on no map, as a share of those that are: up to this (uniform), anywhere.
    draws
        Number of draws.
    seed
        Of the draws; the same seed gives the same figures everywhere.
    """

    speed: float = 0.10
    snap_min: float = 0.5
    gone: float = 0.05
    unmapped: float = 0.10
    draws: int = 1000
    seed: int = 15


@dataclass(frozen=True, eq=False)
class Times:
    """
    Times of the cells of one state: base or a proposal.

    Attributes
    ----------
    nearest, second
        [min] Shape (modes, cells, categories); NaN where unreachable.
    place, runner_up
        The places that these times lead to; -1 where there is none.
    """

    nearest: _Floats
    second: _Floats
    place: npt.NDArray[np.int32]
    runner_up: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Draws:
    """
    Figures of every draw.

    Attributes
    ----------
    gain
        [points] Shape (draws, proposals).
    newly_within
        Residents, shape (draws, proposals).
    """

    gain: _Floats
    newly_within: _Floats

    def rank_probability(self, cost: Sequence[float | None] | None = None) -> _Floats:
        """Probability of each rank of each proposal by gain (per euro, where costs are given); ties share it."""
        value = self.gain
        if cost is not None:
            value = value / np.array([np.nan if c is None or c <= 0 else c for c in cost])
            value = np.where(np.isnan(value), -np.inf, value)
        n = value.shape[1]
        out = np.zeros((n, n))
        for row in value:
            for i in range(n):
                above, equal = int((row > row[i]).sum()), int((row == row[i]).sum())
                out[i, above : above + equal] += 1.0 / equal
        return out / max(len(value), 1)

    def interval(self, name: str, share: float = 0.9) -> list[tuple[float, float]]:
        """Interval that holds a share of the draws of each proposal."""
        value: _Floats = getattr(self, name)
        tail = (1 - share) / 2
        low, high = np.quantile(value, [tail, 1 - tail], axis=0)
        return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def simulate(
    base: Times,
    proposals: Sequence[Times],
    *,
    weight: _Floats,
    xy_m: _Floats,
    n_places: Sequence[int],
    speed_m_min: Sequence[float],
    criteria: Criteria,
    uncertainty: Uncertainty,
) -> Draws:
    """
    Draw what is not known and measure every proposal in every draw.

    Parameters
    ----------
    base, proposals
        Times without and with each proposal, of the same cells.
    weight
        Residents of each cell, shape (cells,).
    xy_m
        [m] Where the cells are, shape (cells, 2).
    n_places
        Mapped places of each category; places of a higher number than all of them are a proposal's own.
    speed_m_min
        [m/min] Speed of each mode.
    criteria, uncertainty
        What counts; what is not known.

    Returns
    -------
    Draws

    Notes
    -----
    A place that is gone leaves the second nearest; if that is gone as well, the way grows once more by the difference.
    O(draws · cells that differ · modes · categories · proposals): cells that no proposal changes cancel out.
    """
    states = [base, *proposals]
    differ = np.zeros(len(weight), dtype=bool)
    for state in proposals:
        same = (state.nearest == base.nearest) | (np.isnan(state.nearest) & np.isnan(base.nearest))
        differ |= ~same.all(axis=(0, 2))
    rows = np.flatnonzero(differ)
    rng = np.random.default_rng(uncertainty.seed)
    gain, newly = (np.zeros((uncertainty.draws, len(proposals))) for _ in range(2))
    mapped = int(sum(n_places))
    weights = np.array([criteria.weights.get(c, 0.0) for c in criteria.categories])
    for d in range(uncertainty.draws):
        drawn = _draw(rng, uncertainty, len(weight), mapped, criteria, n_places)
        if not len(rows):
            continue
        extra = _unmapped_min(drawn, rows, xy_m, speed_m_min, len(criteria.categories))
        minutes = [_perturbed(s, rows, drawn, extra, mapped) for s in states]
        worth = [criteria.decay.weight(m) @ weights / weights.sum() for m in minutes]  # (modes, rows)
        within = [m <= criteria.threshold_min for m in minutes]
        for p in range(len(proposals)):
            change = (worth[p + 1] - worth[0]).mean(axis=0)
            gain[d, p] = 100.0 * float((weight[rows] * change).sum() / weight.sum())
            entered = (within[p + 1] & ~within[0]).any(axis=(0, 2))
            newly[d, p] = float(weight[rows][entered].sum())
    return Draws(gain, newly)


@dataclass(frozen=True, eq=False)
class _Draw:
    speed: _Floats
    noise: _Floats
    gone: npt.NDArray[np.bool_]
    extra: list[npt.NDArray[np.int64]]


def _draw(
    rng: np.random.Generator,
    uncertainty: Uncertainty,
    n_cells: int,
    mapped: int,
    criteria: Criteria,
    n_places: Sequence[int],
) -> _Draw:
    """One state of the world; always the same number of draws, whatever the proposals."""
    speed = rng.uniform(1 - uncertainty.speed, 1 + uncertainty.speed, len(criteria.modes))
    noise = rng.normal(0.0, uncertainty.snap_min, n_cells)
    gone = rng.random(mapped) < uncertainty.gone
    extra = [rng.integers(0, n_cells, round(rng.uniform(0, uncertainty.unmapped) * n)) for n in n_places]
    return _Draw(speed, noise, gone, extra)


def _unmapped_min(
    drawn: _Draw, rows: npt.NDArray[np.int64], xy_m: _Floats, speed_m_min: Sequence[float], n_categories: int
) -> _Floats:
    """[min] Time of the cells to the nearest place that is on no map, shape (modes, rows, categories)."""
    out = np.full((len(speed_m_min), len(rows), n_categories), np.inf)
    for c, cells in enumerate(drawn.extra):
        if not len(cells):
            continue
        away = np.hypot(*(xy_m[rows][:, None, :] - xy_m[cells][None, :, :]).transpose(2, 0, 1)).min(axis=1)
        for i, speed in enumerate(speed_m_min):
            out[i, :, c] = DETOUR * away / speed
    return out


def _perturbed(
    state: Times, rows: npt.NDArray[np.int64], drawn: _Draw, extra: _Floats, mapped: int
) -> _Floats:
    """[min] Times of one state in one draw, shape (modes, rows, categories)."""
    near, second = state.nearest[:, rows], state.second[:, rows]
    first_gone, second_gone = (
        (p >= 0) & (p < mapped) & drawn.gone[np.clip(p, 0, max(mapped - 1, 0))]
        if mapped
        else np.zeros(p.shape, dtype=bool)
        for p in (state.place[:, rows], state.runner_up[:, rows])
    )
    minutes = np.where(first_gone, np.where(second_gone, 2 * second - near, second), near)
    minutes = np.fmin(np.where(np.isnan(minutes), np.inf, minutes), extra)
    minutes = np.maximum(minutes + drawn.noise[rows][None, :, None], 0.0) / drawn.speed[:, None, None]
    return np.where(np.isinf(minutes), np.nan, minutes)


def weight_sensitivity(gains: _Floats, *, draws: int = 2000, seed: int = 15) -> dict[str, Any]:
    """
    Whether the ranking rests on the weights.

    Parameters
    ----------
    gains
        [points] Gain of each proposal in each mode and category, shape (proposals, modes, categories).
    draws, seed
        Number of weightings, drawn evenly from all that are possible (flat Dirichlet), and their seed.

    Returns
    -------
    dict
        ``first``: share of weightings in which each proposal is first; ``rank``: mean rank; ``alone``: proposal that
        is first if a mode or a category counted alone, by position; -1 where none gains.
    """
    n, modes, categories = gains.shape
    rng = np.random.default_rng(seed)
    by_mode = rng.dirichlet(np.ones(modes), draws)
    by_category = rng.dirichlet(np.ones(categories), draws)
    value = np.einsum("pmc,dm,dc->dp", gains, by_mode, by_category)
    rank = (value[:, None, :] > value[:, :, None]).sum(axis=2) + 1
    best = rank == 1
    return {
        "first": (best / best.sum(axis=1, keepdims=True)).mean(axis=0).tolist() if n else [],
        "rank": rank.mean(axis=0).tolist() if n else [],
        "alone_mode": [_best(gains[:, m].mean(axis=1)) for m in range(modes)],
        "alone_category": [_best(gains[:, :, c].mean(axis=1)) for c in range(categories)],
    }


def _best(value: _Floats) -> int:
    return int(np.argmax(value)) if len(value) and value.max() > 0 else -1
