"""How much a result depends on what was chosen: the size of the cells, the weights, the speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.errors import InputError
from engine.scoring import (
    LIMIT_MIN,
    THRESHOLD_MIN,
    Decay,
    city_summary,
    fifteen_minute_score,
    flag_of,
    minutes_of,
    residents_of,
)

_Floats = npt.NDArray[np.float64]

PANEL_FIGURES = ("score_mean", "within_15_mean", "all_share")
_EXACT = 1 << 22
"""Ranks are whole or half: up to here single precision holds them exactly."""
_BLOCK = 4096
"""Units whose ranks under all variants are sorted at once."""
CATEGORY_FIGURES = ("share", "mean_minutes", "p90_minutes")


def resolution_panel(
    cells: Mapping[int, pd.DataFrame],
    *,
    modes: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    counted: Sequence[str] | None = None,
    threshold_min: float = THRESHOLD_MIN,
    limit_min: float = LIMIT_MIN,
) -> pd.DataFrame:
    """
    Show how the figures of a city move with the size of the cells (the modifiable areal unit problem).

    Parameters
    ----------
    cells
        Scored cells at each H3 resolution, all of one area and one network.
    modes
        Modes to show; by default all.
    categories, counted, threshold_min, limit_min
        See `engine.scoring.city_summary`.

    Returns
    -------
    pandas.DataFrame
        One row a figure: ``mode``, ``category`` (empty for figures of the mode), ``figure``, a column
        ``r<number>`` for each resolution, and ``spread`` (largest minus smallest). Figures that are null at
        every resolution are left out.

    Raises
    ------
    InputError
        If there are fewer than two resolutions.

    References
    ----------
    Openshaw, S. (1984). The modifiable areal unit problem. CATMOG 38. Geo Books, Norwich.
    """
    if len(cells) < 2:
        msg = f"found cells at the resolutions {sorted(cells)}; expected at least two to compare"
        raise InputError(msg)
    figures = {
        r: _figures(
            city_summary(
                cells[r],
                modes=modes,
                categories=categories,
                counted=counted,
                threshold_min=threshold_min,
                limit_min=limit_min,
            )
        )
        for r in sorted(cells)
    }
    keys = list(dict.fromkeys(key for one in figures.values() for key in one))
    table = pd.DataFrame(keys, columns=["mode", "category", "figure"])
    for r, one in figures.items():
        table[f"r{r}"] = [np.nan if one.get(key) is None else one[key] for key in keys]
    values = table[[f"r{r}" for r in figures]].to_numpy(np.float64)
    known = np.isfinite(values).any(axis=1)
    filled = np.where(np.isfinite(values), values, np.nan)[known]
    table = table[known].reset_index(drop=True)
    table["spread"] = np.nanmax(filled, axis=1) - np.nanmin(filled, axis=1) if len(table) else np.empty(0)
    return table


def _figures(summary: Mapping[str, Any]) -> dict[tuple[str, str, str], float | None]:
    out: dict[tuple[str, str, str], float | None] = {}
    for mode, block in summary["modes"].items():
        for name in PANEL_FIGURES:
            out[mode, "", name] = block[name]
        for category, figures in block["categories"].items():
            for name in CATEGORY_FIGURES:
                out[mode, category, name] = figures[name]
    return out


@dataclass(frozen=True, eq=False)
class RankingSensitivity:
    """
    How firm a ranking by the 15-minute score is.

    Attributes
    ----------
    table
        One row a unit (cell or neighbourhood): ``unit``, ``score``, ``rank`` (1 is the best), ``rank_low``
        and ``rank_high`` (5th and 95th percentile over all variants), ``worst_decile_share`` (share of the
        variants in which it is among the worst tenth).
    variants
        One row a variant: ``kind`` (``speed``, ``weights``, ``without``), ``variant``, ``spearman`` (rank
        correlation with the ranking shown), ``score_mean``.
    """

    table: pd.DataFrame
    variants: pd.DataFrame


def ranking_sensitivity(
    cells: pd.DataFrame,
    *,
    mode: str,
    weights: Mapping[str, float],
    decay: Decay | None = None,
    speed_factors: Sequence[float] = (0.72, 0.8, 0.9, 1.1, 1.2),
    draws: int = 200,
    seed: int = 0,
    group: str | None = None,
) -> RankingSensitivity:
    """
    Rank cells or neighbourhoods again under other speeds and other weights.

    Speeds: all times are divided by the factor (0.72 and 0.8 are a child's 3.6 km/h and an older person's 4
    km/h against 5 km/h). Weights: `draws` sets at random, each category's weight multiplied by a number
    between ½ and 2 (log-uniform), and each category left out once.

    Parameters
    ----------
    cells
        Columns ``M_C_minutes``; ``no_network`` cells are left out.
    mode
        Mode to rank by.
    weights
        Weight of each category.
    decay
        See `engine.scoring.fifteen_minute_score`.
    speed_factors
        Speeds to try, as shares of the speed of the run.
    draws, seed
        Number of random sets of weights, and where the random numbers begin: same seed, same result.
    group
        Column to rank by (``neighbourhood``): the mean over its residents; None ranks cells (``h3_cell``).

    Returns
    -------
    RankingSensitivity

    Raises
    ------
    InputError
        If a factor is not positive, there are no draws, or no category has a weight.

    References
    ----------
    Saisana, M., Saltelli, A., Tarantola, S. (2005). Uncertainty and sensitivity analysis techniques as tools
    for the quality assessment of composite indicators. Journal of the Royal Statistical Society A 168,
    307-323.
    """
    names = [c for c, w in weights.items() if w > 0]
    if not names or draws < 1 or not all(f > 0 for f in speed_factors):
        msg = f"found weights {dict(weights)}, draws {draws}, speeds {list(speed_factors)}; expected all positive"
        raise InputError(msg)
    known = cells[~flag_of(cells, "no_network")]
    times = minutes_of(known, mode=mode, categories=names)
    unit, label, people = _units(known, group)
    base = np.array([weights[c] for c in names])

    def scores(t: _Floats, w: _Floats) -> _Floats:
        return _unit_mean(fifteen_minute_score(t, weights=w, decay=decay), unit, people, len(label))

    shown = scores(times, base)
    rank = _ranks(shown)
    variants = _variants(names, base, speed_factors, draws, seed)
    ranks = np.empty((len(variants), len(label)), np.float32 if len(label) < _EXACT else np.float64)
    rows = []
    for k, (kind, variant, factor, w) in enumerate(variants):
        score = scores(times / factor, w)
        own = _ranks(score)
        ranks[k] = own
        rows.append((kind, variant, _correlation(rank, own), float(score.mean())))
    told = pd.DataFrame(rows, columns=["kind", "variant", "spearman", "score_mean"])
    return RankingSensitivity(_table(label, shown, rank, ranks), told)


def sensitivity_summary(found: RankingSensitivity) -> dict[str, Any]:
    """
    Sum up how firm a ranking is.

    Returns
    -------
    dict
        Ready for JSON: ``units``; the lowest and the median rank correlation under other ``speed`` and ``weights``
        (1: the same ranking; null where a ranking has no order); the correlation ``without`` each category;
        ``worst_tenth`` (units in it) and ``worst_tenth_firm`` (those in it in at least 95 % of the variants).
    """
    variants, table = found.variants, found.table
    out: dict[str, Any] = {"units": len(table)}
    for kind in ("speed", "weights"):
        own = variants.loc[variants["kind"] == kind, "spearman"].dropna()
        out[kind] = {
            "spearman_lowest": float(own.min()) if len(own) else None,
            "spearman_median": float(own.median()) if len(own) else None,
        }
    without = variants[variants["kind"] == "without"]
    out["without"] = {
        str(n): float(s) if np.isfinite(s) else None
        for n, s in zip(without["variant"], without["spearman"], strict=True)
    }
    out["worst_tenth"] = int((table["rank"] > 0.9 * len(table)).sum())
    out["worst_tenth_firm"] = int((table["worst_decile_share"] >= 0.95).sum())
    return out


_Variant = tuple[str, str, float, _Floats]


def _variants(
    names: list[str], base: _Floats, speed_factors: Sequence[float], draws: int, seed: int
) -> list[_Variant]:
    """Every variant: kind, name, speed factor, weights."""
    out: list[_Variant] = [("speed", f"×{f:g}", f, base) for f in speed_factors]
    factors = 2.0 ** np.random.default_rng(seed).uniform(-1.0, 1.0, (draws, len(base)))
    out += [("weights", str(k), 1.0, base * row) for k, row in enumerate(factors)]
    if len(names) > 1:
        out += [
            ("without", n, 1.0, np.where(np.arange(len(base)) == k, 0.0, base)) for k, n in enumerate(names)
        ]
    return out


def _units(cells: pd.DataFrame, group: str | None) -> tuple[npt.NDArray[np.int64], list[str], _Floats]:
    """Unit of each cell, names of the units, residents of each cell (1 each where none are known)."""
    column = "h3_cell" if group is None else group
    names = cells[column].astype(object).where(cells[column].notna(), "").astype(str)
    label, unit = np.unique(names.to_numpy(), return_inverse=True)
    people = residents_of(cells)
    return unit, [str(x) for x in label], np.ones(len(cells)) if people is None else people


def _unit_mean(score: _Floats, unit: npt.NDArray[np.int64], people: _Floats, n: int) -> _Floats:
    """Mean over residents; over cells in a unit without any."""
    total = np.bincount(unit, weights=people, minlength=n)
    weight = np.where(total[unit] > 0, people, 1.0)
    return np.asarray(
        np.bincount(unit, weights=weight * score, minlength=n)
        / np.bincount(unit, weights=weight, minlength=n)
    )


def _ranks(score: _Floats) -> _Floats:
    """Rank 1 for the best; equal scores share the mean of their ranks."""
    return np.asarray(pd.Series(-np.round(score, 9)).rank(method="average").to_numpy(np.float64))


def _table(
    label: list[str], shown: _Floats, rank: _Floats, ranks: npt.NDArray[np.floating[Any]]
) -> pd.DataFrame:
    """The table of `RankingSensitivity`; `ranks` has a row a variant and is read a block of units at a time."""
    worst, low, high = np.empty(len(label)), np.empty(len(label)), np.empty(len(label))
    for first in range(0, len(label), _BLOCK):
        own = slice(first, first + _BLOCK)
        block = ranks[:, own].astype(np.float64)
        worst[own] = (block > 0.9 * len(label)).mean(axis=0)
        low[own], high[own] = np.quantile(block, [0.05, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "unit": label,
            "score": shown,
            "rank": rank,
            "rank_low": low,
            "rank_high": high,
            "worst_decile_share": worst,
        }
    )
    order = np.lexsort((table["unit"], table["rank"]))
    return table.iloc[order].reset_index(drop=True)


def _correlation(a: _Floats, b: _Floats) -> float:
    """Correlation of two rankings; 1 if both rank all alike, NaN if only one does."""
    x, y = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    if norm == 0:
        return 1.0 if x @ x == y @ y else float("nan")
    return float(x @ y) / norm
