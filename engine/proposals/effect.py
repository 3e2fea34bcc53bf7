"""What a proposal does to residents: who gains and who loses, by mode, category and neighbourhood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.equity import gini, weighted_mean, weighted_quantile, worst_decile
from engine.scoring import LIMIT_MIN, Decay, minutes_of, weight_of

_Floats = npt.NDArray[np.float64]
MATERIAL_MIN = 0.1
"""[min] A change of less than six seconds is none that a resident would call a gain or a loss."""
MATERIAL_SCORE = 0.1
"""[points] Nor is one of less than a tenth of a point of the score."""


@dataclass(frozen=True)
class Criteria:
    """
    How proposals are judged.

    Attributes
    ----------
    modes
        Modes that count, each as much as the others.
    categories
        Categories of the run; those of weight 0 are shown and do not count.
    weights
        Weight of each category in the score.
    decay
        What a place is worth at a distance.
    threshold_min
        [min] Within reach.
    limit_min
        [min] An unreachable place counts as this far in means.
    """

    modes: tuple[str, ...]
    categories: tuple[str, ...]
    weights: Mapping[str, float]
    decay: Decay = field(default_factory=Decay)
    threshold_min: float = 15.0
    limit_min: float = LIMIT_MIN


def effect(before: pd.DataFrame, after: pd.DataFrame, criteria: Criteria) -> dict[str, Any]:
    """
    Sum up what changes between two states of the same cells.

    Parameters
    ----------
    before, after
        Cells in the contract's columns, row by row the same.
    criteria
        What counts.

    Returns
    -------
    dict
        Ready for JSON. ``gain`` [points]: change of the residents' mean score, averaged over modes.
        ``newly_within``: residents who come within the threshold of some category in some mode, ``no_longer_within``
        those who fall out; ``winners`` and ``losers``: residents of cells whose score in some mode rises or falls by
        0.1 points or more. ``modes``: the same by mode and category.

    Notes
    -----
    Means and percentiles count an unreachable place as `Criteria.limit_min` away.
    """
    weight, _ = weight_of(before)
    by_mode = {mode: _mode(before, after, mode, weight, criteria) for mode in criteria.modes}
    entered, left, up, down = (np.zeros(len(before), dtype=bool) for _ in range(4))
    for mode in criteria.modes:
        old, new = (minutes_of(t, mode=mode, categories=list(criteria.categories)) for t in (before, after))
        was, now = old <= criteria.threshold_min, new <= criteria.threshold_min
        entered |= (now & ~was).any(axis=1)
        left |= (was & ~now).any(axis=1)
        change = _scores(after, mode) - _scores(before, mode)
        up |= change >= MATERIAL_SCORE
        down |= change <= -MATERIAL_SCORE
    return {
        "gain": float(np.mean([m["score_gain"] for m in by_mode.values()])) if by_mode else 0.0,
        "newly_within": float(weight[entered].sum()),
        "no_longer_within": float(weight[left].sum()),
        "winners": float(weight[up].sum()),
        "losers": float(weight[down].sum()),
        "person_minutes": float(sum(m["person_minutes"] for m in by_mode.values())),
        "worst_decile_gain": float(np.mean([m["worst_decile_gain"] for m in by_mode.values()]))
        if by_mode
        else 0.0,
        "gini_change": float(np.mean([m["gini_change"] for m in by_mode.values()])) if by_mode else 0.0,
        "modes": by_mode,
    }


def _scores(cells: pd.DataFrame, mode: str) -> _Floats:
    return np.asarray(np.nan_to_num(cells[f"{mode}_score"].to_numpy(np.float64)))


def _mode(
    before: pd.DataFrame, after: pd.DataFrame, mode: str, weight: _Floats, criteria: Criteria
) -> dict[str, Any]:
    names = list(criteria.categories)
    old, new = (minutes_of(t, mode=mode, categories=names) for t in (before, after))
    counted = [i for i, c in enumerate(names) if criteria.weights.get(c, 0) > 0]
    was = (old[:, counted] <= criteria.threshold_min).all(axis=1)
    now = (new[:, counted] <= criteria.threshold_min).all(axis=1)
    score_old, score_new = _scores(before, mode), _scores(after, mode)
    change = score_new - score_old
    by_category = {c: _category(old[:, i], new[:, i], weight, criteria) for i, c in enumerate(names)}
    ginis = [_number(gini(s, weight)) for s in (score_old, score_new)]
    worst = [_number(worst_decile(s, weight)) for s in (score_old, score_new)]
    return {
        "score_before": _number(weighted_mean(score_old, weight)),
        "score_after": _number(weighted_mean(score_new, weight)),
        "score_gain": _share((weight * change).sum(), weight.sum()),
        "gini_before": ginis[0],
        "gini_after": ginis[1],
        "gini_change": (ginis[1] or 0.0) - (ginis[0] or 0.0),
        "worst_decile_before": worst[0],
        "worst_decile_after": worst[1],
        "worst_decile_gain": (worst[1] or 0.0) - (worst[0] or 0.0),
        "newly_all": float(weight[now & ~was].sum()),
        "no_longer_all": float(weight[was & ~now].sum()),
        "winners": float(weight[change >= MATERIAL_SCORE].sum()),
        "losers": float(weight[change <= -MATERIAL_SCORE].sum()),
        "person_minutes": float(sum(c["person_minutes"] for c in by_category.values())),
        "categories": by_category,
    }


def _category(old: _Floats, new: _Floats, weight: _Floats, criteria: Criteria) -> dict[str, Any]:
    limit, threshold = criteria.limit_min, criteria.threshold_min
    capped = [np.where(np.isfinite(t), np.minimum(t, limit), limit) for t in (old, new)]
    saved = capped[0] - capped[1]
    was, now = old <= threshold, new <= threshold
    lost = np.isfinite(old) & ~np.isfinite(new)
    out: dict[str, Any] = {
        "newly_within": float(weight[now & ~was].sum()),
        "no_longer_within": float(weight[was & ~now].sum()),
        "cut_off": float(weight[lost].sum()),
        "winners": float(weight[saved >= MATERIAL_MIN].sum()),
        "losers": float(weight[saved <= -MATERIAL_MIN].sum()),
        "person_minutes": float((weight * saved).sum()),
    }
    for when, t in zip(("before", "after"), capped, strict=True):
        out[f"within_{when}"] = float(weight[(old if when == "before" else new) <= threshold].sum())
        out[f"mean_minutes_{when}"] = _number(weighted_mean(t, weight))
        out[f"p90_minutes_{when}"] = _number(weighted_quantile(t, weight, 0.9))
        out[f"worst_decile_{when}"] = _number(worst_decile(t, weight, more_is_better=False))
        out[f"gini_{when}"] = _number(gini(t, weight))
    return out


def by_group(
    before: pd.DataFrame, after: pd.DataFrame, group: Sequence[str | None], criteria: Criteria
) -> pd.DataFrame:
    """
    Gains and losses of each neighbourhood.

    Parameters
    ----------
    group
        Name of the neighbourhood of each cell, None where there is none.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``weight`` (residents), ``gain`` [points], ``newly_within``, ``winners``, ``losers``,
        ``person_minutes``; from the greatest gain to the greatest loss, then by name.
    """
    weight, _ = weight_of(before)
    names = np.array([n if isinstance(n, str) else "" for n in group], dtype=object)
    rows = []
    for name in sorted(set(names.tolist()) - {""}):
        here = np.flatnonzero(names == name)
        part = effect(before.iloc[here], after.iloc[here].reset_index(drop=True), criteria)
        if weight[here].sum() > 0:
            keys = ("gain", "newly_within", "winners", "losers", "person_minutes")
            rows.append({"group": name, "weight": float(weight[here].sum()), **{k: part[k] for k in keys}})
    columns = ["group", "weight", "gain", "newly_within", "winners", "losers", "person_minutes"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["gain", "group"], ascending=[False, True], ignore_index=True)


def decay_gains(before: pd.DataFrame, after: pd.DataFrame, criteria: Criteria) -> _Floats:
    """
    Gain of each mode and category [points]: what the score gains if nothing else counted, shape (modes, categories).

    The gain of any choice of weights is their weighted mean.
    """
    weight, _ = weight_of(before)
    total = weight.sum()
    gains = np.zeros((len(criteria.modes), len(criteria.categories)))
    for i, mode in enumerate(criteria.modes):
        worth = [
            criteria.decay.weight(minutes_of(t, mode=mode, categories=list(criteria.categories)))
            for t in (before, after)
        ]
        gains[i] = 100.0 * (weight[:, None] * (worth[1] - worth[0])).sum(axis=0) / total if total > 0 else 0.0
    return gains


def dominated(figures: Sequence[Mapping[str, float | None]]) -> list[list[int]]:
    """
    For each proposal, the rivals that are at least as good in everything and better in something.

    Parameters
    ----------
    figures
        Of each proposal: figures of which more is better; None where unknown. A figure that nobody knows is left out;
        where only one of two knows it, neither can be said to be as good in everything.

    Examples
    --------
    >>> dominated([{"gain": 1.0, "thrift": -5.0}, {"gain": 2.0, "thrift": -5.0}])
    [[1], []]
    """
    out: list[list[int]] = []
    for i, mine in enumerate(figures):
        better = []
        for j, theirs in enumerate(figures):
            pairs = [(theirs.get(k), v) for k, v in mine.items() if (theirs.get(k), v) != (None, None)]
            known = [(a, b) for a, b in pairs if a is not None and b is not None]
            as_good = len(known) == len(pairs) and all(a >= b for a, b in known)
            if i != j and as_good and any(a > b for a, b in known):
                better.append(j)
        out.append(better)
    return out


SECTORS = ("NW", "N", "NE", "W", "C", "E", "SW", "S", "SE")
"""Nine parts of a city: rows from north to south, columns from west to east."""


def sectors(xy_m: _Floats) -> list[str | None]:
    """
    Part of the city that each point lies in, for cities whose neighbourhoods are not known.

    Parameters
    ----------
    xy_m
        [m] East and north of each point, shape (points, 2). The box around them is cut into three by three.

    Examples
    --------
    >>> sectors(np.array([[0.0, 0.0], [3.0, 3.0], [1.5, 1.5]]))
    ['SW', 'NE', 'C']
    """
    if not len(xy_m):
        return []
    low, high = xy_m.min(axis=0), xy_m.max(axis=0)
    share = (xy_m - low) / np.where(high > low, high - low, 1.0)
    column, row = np.minimum((share * 3).astype(np.int64), 2).T
    return [SECTORS[3 * (2 - r) + c] for r, c in zip(row, column, strict=True)]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
