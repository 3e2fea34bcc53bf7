"""
How sure a ranking is: Monte Carlo over what is not known, and over the weights that people may give.

Draws are common to all proposals: what differs between them in a draw differs because of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from engine.proposals.effect import Criteria

_Floats = npt.NDArray[np.float64]
DETOUR = 1.3
"""Smallest ratio of the way along streets to the straight line, for places that are on no map: a round figure between
the 1.2 that Ballou, Rahardja & Sakai (2002), Transportation Research A 36, 843-848, report for roads in the United
States and their higher figures for Europe."""
_NEAR_M = 150.0
"""[m] Nearer than this, a straight line says nothing of the detour: a cell is as large."""


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
        Places that are on no map, as a share of those that are: up to this (uniform).
    spread_m
        [m] They stand where mapped ones of their kind do, give or take this (standard deviation, east and north).
    draws
        Number of draws.
    seed
        Of the draws; the same seed gives the same figures everywhere.
    """

    speed: float = 0.10
    snap_min: float = 0.5
    gone: float = 0.05
    unmapped: float = 0.10
    spread_m: float = 300.0
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
    places_m: _Floats,
    category_of: npt.NDArray[np.int32],
    speed_m_min: Sequence[float],
    criteria: Criteria,
    uncertainty: Uncertainty,
    drawn: Callable[[int], object] = lambda _draws: None,
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
    places_m
        [m] Where the mapped places are, shape (places, 2); places of a higher number are a proposal's own.
    category_of
        Category of each mapped place.
    speed_m_min
        [m/min] Speed of each mode.
    criteria, uncertainty
        What counts; what is not known.
    drawn
        Called before each draw with the number of those that are done. What it raises ends the work there.

    Returns
    -------
    Draws

    Notes
    -----
    A place that is gone leaves the second nearest; if that is gone as well, the way grows once more by the difference.
    A place that is on no map is reached with the detour that the way to the nearest mapped one takes in the same
    state (at least `DETOUR`): it does not lie on the near side of a river whose bridge is closed.
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
    mapped = len(places_m)
    by_category = [places_m[category_of == c] for c in range(len(criteria.categories))]
    pace = [_pace(s, base, rows, xy_m, places_m, np.asarray(speed_m_min, dtype=np.float64)) for s in states]
    weights = np.array([criteria.weights.get(c, 0.0) for c in criteria.categories])
    for d in range(uncertainty.draws):
        drawn(d)
        draw = _draw(rng, uncertainty, len(weight), mapped, len(criteria.modes), by_category)
        if not len(rows):
            continue
        away = _unmapped_m(draw, xy_m[rows])
        minutes = [_perturbed(s, rows, draw, away * p, mapped) for s, p in zip(states, pace, strict=True)]
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
    extra: list[_Floats]


def _draw(
    rng: np.random.Generator,
    uncertainty: Uncertainty,
    n_cells: int,
    mapped: int,
    n_modes: int,
    places_m: Sequence[_Floats],
) -> _Draw:
    """One state of the world; always the same number of draws, whatever the proposals."""
    speed = rng.uniform(1 - uncertainty.speed, 1 + uncertainty.speed, n_modes)
    noise = rng.normal(0.0, uncertainty.snap_min, n_cells)
    gone = rng.random(mapped) < uncertainty.gone
    extra = []
    for places in places_m:
        n = round(rng.uniform(0, uncertainty.unmapped) * len(places))
        like = places[rng.integers(0, max(len(places), 1), n)] if n else np.empty((0, 2))
        extra.append(like + rng.normal(0.0, uncertainty.spread_m, like.shape))
    return _Draw(speed, noise, gone, extra)


def _unmapped_m(drawn: _Draw, xy_m: _Floats) -> _Floats:
    """[m] Straight line from the cells to the nearest place that is on no map, shape (cells, categories)."""
    none = np.full(len(xy_m), np.inf)
    return np.stack([cKDTree(p).query(xy_m)[0] if len(p) else none for p in drawn.extra], axis=1)


def _pace(
    state: Times,
    base: Times,
    rows: npt.NDArray[np.int64],
    xy_m: _Floats,
    where: _Floats,
    speed_m_min: _Floats,
) -> _Floats:
    """[min/m] Time a straight metre towards a place takes, shape (modes, rows, categories); inf where none leads on."""
    own = state.place[:, rows] < len(where)
    minutes = np.where(own, state.nearest[:, rows], base.nearest[:, rows])
    place = np.where(own, state.place[:, rows], base.place[:, rows])
    known = (place >= 0) & np.isfinite(minutes)
    detour = np.full(minutes.shape, DETOUR)
    if len(where):
        straight = np.linalg.norm(where[np.where(known, place, 0)] - xy_m[rows][None, :, None], axis=3)
        found = minutes * speed_m_min[:, None, None] / np.maximum(straight, _NEAR_M)
        detour = np.where(known, np.maximum(found, DETOUR), DETOUR)
    detour[np.isnan(state.nearest[:, rows]) & np.isfinite(base.nearest[:, rows])] = np.inf
    return np.asarray(detour / speed_m_min[:, None, None])


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
