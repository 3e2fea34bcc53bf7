"""From minutes to scores: declared decays, the 15-minute score, and the figures of a city."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.equity import equity_summary, weighted_mean, weighted_quantile
from engine.errors import InputError, SchemaError

MODES = ("walk", "bike", "street30")
THRESHOLD_MIN = 15.0
LIMIT_MIN = 30.0
_OTHER_TIME = re.compile(r"_(p90|second|mean\d+)_minutes$")
"""Columns of times that are not the nearest time of a category."""
"""[min] An unreachable place counts as this far where a number is needed: where the decay ends."""

DecayKind = Literal["piecewise", "step", "linear", "logistic", "exponential", "gaussian", "power"]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decay:
    """
    What a place is worth at a distance in minutes, from 1 (here) to 0 (too far).

    Attributes
    ----------
    kind
        ``piecewise``: 1 up to `full_min`, straight to ½ at `half_min`, straight to 0 at `zero_min`;
        ``step``: 1 up to `half_min` (inclusive), 0 beyond;
        ``linear``: straight from 1 at 0 to 0 at `zero_min`;
        ``logistic``: 1 / (1 + exp((t − half) / spread)), a soft threshold, scaled to 1 at 0;
        ``exponential``: ½ at `half_min`, ¼ at twice that;
        ``gaussian``: exp(−t² / 2σ²) with ½ at `half_min`;
        ``power``: 1 / (1 + (t / half)^exponent), ½ at `half_min`.
    full_min, half_min, zero_min
        [min] Up to where a place counts in full; where it counts half; from where on it counts nothing.
    spread_min
        [min] Softness of the logistic threshold.
    exponent
        Steepness of the power decay.

    Notes
    -----
    The default, ``piecewise`` 5-15-30, takes its two ends from Walk Score (full within a five-minute walk,
    nothing after thirty: Walk Score Methodology; Carr, Dunsiger, Marcus 2010, Am. J. Prev. Med. 39, 460-463)
    and puts the half where the 15-minute city puts its threshold, so that a score can be checked by hand. The
    others are the impedance functions of Kwan (1998), Geographical Analysis 30, 191-216, and of Bauer and
    Groneberg (2016), PLoS ONE 11, e0159148 (logistic).
    """

    kind: DecayKind = "piecewise"
    full_min: float = 5.0
    half_min: float = 15.0
    zero_min: float = 30.0
    spread_min: float = 3.0
    exponent: float = 2.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(DecayKind):
            msg = f"decay kind is {self.kind!r}; expected one of {', '.join(get_args(DecayKind))}"
            raise InputError(msg)
        if not 0 <= self.full_min <= self.half_min <= self.zero_min < np.inf or self.half_min == 0:
            msg = (
                f"decay has full_min {self.full_min}, half_min {self.half_min}, zero_min {self.zero_min}; "
                "expected 0 ≤ full ≤ half ≤ zero and half > 0"
            )
            raise InputError(msg)
        if not (0 < self.spread_min < np.inf and 0 < self.exponent < np.inf):
            msg = f"decay has spread_min {self.spread_min} and exponent {self.exponent}; expected numbers > 0"
            raise InputError(msg)

    def weight(self, minutes: npt.ArrayLike) -> _Floats:
        """
        What places at these times are worth.

        Parameters
        ----------
        minutes
            [min] Any shape; NaN and infinity mean unreachable.

        Returns
        -------
        ndarray
            In 0…1, never rising with time; 0 where unreachable.

        Examples
        --------
        >>> Decay().weight([0, 5, 10, 15, 30, float("nan")]).tolist()
        [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
        """
        t = np.asarray(minutes, dtype=np.float64)
        if (t < 0).any():
            msg = f"travel times reach down to {np.nanmin(t)} min; expected 0 or more"
            raise InputError(msg)
        reached = np.isfinite(t)
        return np.where(reached, self._of(np.where(reached, t, 0.0)), 0.0)

    def _of(self, t: _Floats) -> _Floats:
        half = self.half_min
        if self.kind == "piecewise":
            return _piecewise(t, self.full_min, half, self.zero_min)
        if self.kind == "step":
            return (t <= half).astype(np.float64)
        if self.kind == "linear":
            return np.clip(1 - t / self.zero_min, 0.0, 1.0)
        if self.kind == "logistic":
            top = 1 + np.exp(-half / self.spread_min)
            return np.asarray(top / (1 + np.exp(np.minimum((t - half) / self.spread_min, 700.0))))
        if self.kind == "exponential":
            return np.asarray(0.5 ** (t / half))
        if self.kind == "gaussian":
            return np.asarray(0.5 ** ((t / half) ** 2))
        return np.asarray(1 / (1 + (t / half) ** self.exponent))


def fifteen_minute_score(
    minutes: npt.ArrayLike, *, weights: npt.ArrayLike | None = None, decay: Decay | None = None
) -> _Floats:
    """
    Score cells from 0 (nothing in reach) to 100 (everything at the door).

    The score is 100 × the weighted mean over categories of the decay of the nearest time.

    Parameters
    ----------
    minutes
        [min] Nearest time of each cell to each category, shape (cells, categories); NaN where unreachable.
    weights
        Weight of each category, shape (categories,); equal by default. Categories of weight 0 do not count.
    decay
        What a place is worth at a distance; `Decay` by default.

    Returns
    -------
    ndarray
        Shape (cells,). An unreachable category contributes 0 and keeps its weight.

    Raises
    ------
    InputError
        If a weight is negative, or all are 0.

    Examples
    --------
    >>> fifteen_minute_score([[5.0, 15.0], [30.0, float("nan")]]).tolist()
    [75.0, 0.0]
    """
    times = np.atleast_2d(np.asarray(minutes, dtype=np.float64))
    w = np.ones(times.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (times.shape[1],) or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        msg = f"weights are {w.tolist()}; expected {times.shape[1]} numbers of at least 0, not all 0"
        raise InputError(msg)
    return np.asarray(100.0 * ((decay or Decay()).weight(times) @ (w / w.sum())))


def categories_within(
    minutes: npt.ArrayLike, *, threshold_min: float = THRESHOLD_MIN
) -> npt.NDArray[np.int64]:
    """
    Count the categories whose nearest place is at most the threshold away (inclusive).

    Parameters
    ----------
    minutes
        [min] Shape (cells, categories); NaN where unreachable, which never counts.
    threshold_min
        [min] The threshold.

    Examples
    --------
    >>> categories_within([[15.0, 15.1, float("nan")]]).tolist()
    [1]
    """
    return np.asarray((np.atleast_2d(np.asarray(minutes, dtype=np.float64)) <= threshold_min).sum(axis=1))


def score_cells(
    cells: pd.DataFrame,
    *,
    weights: Mapping[str, float],
    modes: Sequence[str] | None = None,
    decay: Decay | None = None,
    threshold_min: float = THRESHOLD_MIN,
) -> pd.DataFrame:
    """
    Score every cell in every mode.

    Parameters
    ----------
    cells
        Columns ``M_C_minutes`` for each mode M and each category C of `weights`; ``no_network`` if known.
    weights
        Weight of each category; a category of weight 0 is neither scored nor counted.
    modes
        Modes to score; by default those that have columns.
    decay, threshold_min
        See `fifteen_minute_score`, `categories_within`.

    Returns
    -------
    pandas.DataFrame
        ``M_score`` (0–100) and ``M_within_15`` (Int16) for each mode, index of `cells`; both null in cells
        without streets, where nothing is known.

    Raises
    ------
    SchemaError
        If a column is missing.
    """
    counted = [c for c, w in weights.items() if w > 0]
    out: dict[str, Any] = {}
    unknown = flag_of(cells, "no_network")
    for mode in modes or modes_of(cells):
        times = minutes_of(cells, mode=mode, categories=counted)
        score = fifteen_minute_score(times, weights=[weights[c] for c in counted], decay=decay)
        within = pd.array(categories_within(times, threshold_min=threshold_min), dtype="Int16")
        within[unknown] = pd.NA
        out[f"{mode}_score"] = np.where(unknown, np.nan, score)
        out[f"{mode}_within_15"] = within
    return pd.DataFrame(out, index=cells.index)


def modes_of(cells: pd.DataFrame) -> list[str]:
    """Modes that a table of cells has times for."""
    return [m for m in MODES if any(_is_time(c, m) for c in cells.columns)]


def categories_of(cells: pd.DataFrame, *, mode: str) -> list[str]:
    """Categories that a table of cells has times for, in the order of the columns."""
    return [c.removeprefix(f"{mode}_").removesuffix("_minutes") for c in cells.columns if _is_time(c, mode)]


def minutes_of(cells: pd.DataFrame, *, mode: str, categories: Sequence[str]) -> _Floats:
    """
    Nearest times of the cells.

    Returns
    -------
    ndarray
        [min] Shape (cells, categories); NaN where unreachable.

    Raises
    ------
    SchemaError
        If a column is missing.
    """
    columns = [f"{mode}_{c}_minutes" for c in categories]
    missing = [c for c in columns if c not in cells.columns]
    if missing:
        msg = (
            f"cells lack the columns {missing}; found {[c for c in cells.columns if c.endswith('_minutes')]}"
        )
        raise SchemaError(msg)
    times = [pd.to_numeric(cells[c]).to_numpy(np.float64, na_value=np.nan) for c in columns]
    return np.stack(times, axis=1) if times else np.empty((len(cells), 0))


def residents_of(cells: pd.DataFrame) -> _Floats | None:
    """Residents of each cell; None where the table has none at all."""
    if "population" not in cells.columns:
        return None
    people = np.nan_to_num(pd.to_numeric(cells["population"]).to_numpy(np.float64, na_value=np.nan))
    return people if people.sum() > 0 else None


def weight_of(cells: pd.DataFrame) -> tuple[_Floats, str]:
    """Residents of each cell and ``residents``; where nobody is known, 1 for each cell with streets, and ``cells``."""
    people = residents_of(cells)
    if people is not None:
        return people, "residents"
    return (~flag_of(cells, "no_network")).astype(np.float64), "cells"


def city_summary(
    cells: pd.DataFrame,
    *,
    modes: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    counted: Sequence[str] | None = None,
    threshold_min: float = THRESHOLD_MIN,
    limit_min: float = LIMIT_MIN,
    income: str = "income",
) -> dict[str, Any]:
    """
    Figures of a city: whom each category serves in each mode.

    Shares and means are over residents; without any population they are over cells with streets, and
    ``weighted_by`` says so. Residents of cells without streets are in the denominator and never served.

    Parameters
    ----------
    cells
        The contract's columns; ``M_score``, ``M_within_15`` and an income where known.
    modes, categories
        What to sum up; by default all that have columns.
    counted
        Categories that count in the figures of a mode (``all_share``, means over categories); by default all. The
        others are shown only.
    threshold_min
        [min] Served means a mean nearest time of at most this, inclusive.
    limit_min
        [min] What an unreachable place counts in means of the worst decile and in depths.

    income
        Column with the residents' income, for the measures by income; left out where there is none.

    Returns
    -------
    dict
        Ready for JSON; null where a figure has no meaning. ``mean_minutes`` is over those who reach a place
        at all, ``share_unreachable`` says how many do not. Of a mode, ``all_share`` are those who have every
        category within the threshold, ``mean_within_share`` those whose mean over the categories is.
    """
    people = residents_of(cells)
    streets = ~flag_of(cells, "no_network")
    weight, weighted_by = weight_of(cells)
    summary: dict[str, Any] = {
        "weighted_by": weighted_by,
        "threshold_min": threshold_min,
        "limit_min": limit_min,
        "cells": len(cells),
        "cells_no_network": int((~streets).sum()),
        "cells_edge_affected": int(flag_of(cells, "edge_affected").sum()),
        "population": None if people is None else float(people.sum()),
        "population_no_network": None if people is None else float(people[~streets].sum()),
        "modes": {},
    }
    for mode in modes or modes_of(cells):
        names = list(categories or categories_of(cells, mode=mode))
        summary["modes"][mode] = _mode_summary(
            cells,
            mode,
            names,
            weight,
            counted=names if counted is None else list(counted),
            threshold_min=threshold_min,
            limit_min=limit_min,
            income=income,
        )
    return summary


def _mode_summary(
    cells: pd.DataFrame,
    mode: str,
    names: list[str],
    weight: _Floats,
    *,
    counted: list[str],
    threshold_min: float,
    limit_min: float,
    income: str,
) -> dict[str, Any]:
    times = minutes_of(cells, mode=mode, categories=names)
    times = np.where(flag_of(cells, "no_network")[:, None], np.nan, times)
    earned = _column(cells, income)
    by_category = {
        name: _category_summary(times[:, k], weight, earned, threshold_min, limit_min)
        for k, name in enumerate(names)
    }
    own = times[:, [k for k, name in enumerate(names) if name in counted]]
    mean = own.mean(axis=1) if own.size else np.full(len(cells), np.nan)
    everything = (own <= threshold_min).all(axis=1) if own.size else np.zeros(len(cells), dtype=bool)
    score, within = _column(cells, f"{mode}_score"), _column(cells, f"{mode}_within_15")
    out: dict[str, Any] = {
        "score_mean": None if score is None else _number(weighted_mean(score, weight)),
        "within_15_mean": None if within is None else _number(weighted_mean(within, weight)),
        "all_served": float(weight[everything].sum()),
        "all_share": _share(weight[everything].sum(), weight.sum()),
        "mean_minutes": _number(weighted_mean(mean, weight)),
        "mean_within_share": _share(weight[mean <= threshold_min].sum(), weight.sum()),
        "categories": by_category,
    }
    if score is not None:
        out["equity"] = equity_summary(score, weight, income=earned)
    return out


def _category_summary(
    times: _Floats, weight: _Floats, income: _Floats | None, threshold_min: float, limit_min: float
) -> dict[str, Any]:
    served, reached = times <= threshold_min, np.isfinite(times)
    total = weight.sum()
    capped = np.where(reached, np.minimum(times, limit_min), limit_min)
    return {
        "served": float(weight[served].sum()),
        "share": _share(weight[served].sum(), total),
        "share_5": _share(weight[times <= 5].sum(), total),
        "share_10": _share(weight[times <= 10].sum(), total),
        "share_unreachable": _share(weight[~reached].sum(), total),
        "mean_minutes": _number(weighted_mean(times, weight)),
        "median_minutes": _number(weighted_quantile(capped, weight, 0.5)),
        "p90_minutes": _number(weighted_quantile(capped, weight, 0.9)),
        "equity": equity_summary(
            capped, weight, income=income, threshold=threshold_min, more_is_better=False
        ),
    }


def _piecewise(t: _Floats, full: float, half: float, zero: float) -> _Floats:
    """Straight lines through (full, 1), (half, ½), (zero, 0); at a step the nearer value holds."""
    near = 1 - 0.5 * (t - full) / (half - full) if half > full else np.ones_like(t)
    far = 0.5 * (zero - t) / (zero - half) if zero > half else np.zeros_like(t)
    return np.asarray(np.where(t <= full, 1.0, np.where(t <= half, near, np.maximum(far, 0.0))))


def _is_time(column: str, mode: str) -> bool:
    return (
        column.startswith(f"{mode}_") and column.endswith("_minutes") and _OTHER_TIME.search(column) is None
    )


def flag_of(cells: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    """Give a yes-or-no column of the cells; all False where there is none, False where it is null."""
    if column not in cells.columns:
        return np.zeros(len(cells), dtype=bool)
    return np.asarray(cells[column].fillna(False).to_numpy(dtype=bool))


def _column(cells: pd.DataFrame, column: str) -> _Floats | None:
    if column not in cells.columns:
        return None
    return np.asarray(pd.to_numeric(cells[column]).to_numpy(np.float64, na_value=np.nan))


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
