"""Who is left behind: inequality measures, each with its formula and reference, weighted by residents."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.errors import InputError

_Floats = npt.NDArray[np.float64]


def gini(value: npt.ArrayLike, weight: npt.ArrayLike) -> float:
    r"""
    Gini coefficient: 0 if all have the same, towards 1 if one has everything.

    Parameters
    ----------
    value
        What a resident of each cell has, at least 0; NaN is left out. Shape (cells,).
    weight
        Residents of each cell.

    Returns
    -------
    float
        In 0…1; NaN where nobody has anything.

    Notes
    -----
    :math:`G = 1 - \sum_i w_i (S_i + S_{i-1}) / S_n` over cells sorted by value, :math:`w` shares of residents,
    :math:`S` the running sum of :math:`w_i y_i`.

    References
    ----------
    Lerman, R. I., Yitzhaki, S. (1989). Improving the accuracy of estimates of Gini coefficients. Journal of
    Econometrics 42, 43-47.

    Examples
    --------
    >>> gini([0.0, 1.0], [1, 1])
    0.5
    """
    y, w = _known(value, weight)
    return concentration_index(y, w, rank=y)


def concentration_index(value: npt.ArrayLike, weight: npt.ArrayLike, *, rank: npt.ArrayLike) -> float:
    r"""
    Concentration index: whether the rich (positive) or the poor (negative) have more of it.

    Parameters
    ----------
    value
        What a resident of each cell has, at least 0; NaN is left out.
    weight
        Residents of each cell.
    rank
        What residents are ranked by, from poor to rich: income. Ties share one rank; NaN is left out.

    Returns
    -------
    float
        In −1…1; 0 if access does not depend on income; NaN where nobody has anything.

    Notes
    -----
    :math:`C = 1 - \sum_g w_g (S_g + S_{g-1}) / S_n`, groups :math:`g` of equal rank from poor to rich: twice
    the area between the concentration curve and the diagonal.

    References
    ----------
    Kakwani, N., Wagstaff, A., van Doorslaer, E. (1997). Socioeconomic inequalities in health. Journal of
    Econometrics 77, 87-103.

    Examples
    --------
    >>> concentration_index([10.0, 30.0], [1, 1], rank=[1000, 2000])
    0.25
    """
    people, held = _curve(value, weight, rank)
    if held[-1] <= 0:
        return float("nan")
    share, curve = np.diff(people / people[-1]), held / held[-1]
    return float(1 - (share * (curve[1:] + curve[:-1])).sum())


def theil(value: npt.ArrayLike, weight: npt.ArrayLike) -> float:
    r"""
    Theil's T: 0 if all have the same, ln N if one of N has everything.

    Parameters
    ----------
    value
        What a resident of each cell has, at least 0; NaN is left out.
    weight
        Residents of each cell.

    Notes
    -----
    :math:`T = \sum_i w_i (y_i / \bar y) \ln(y_i / \bar y)` with shares :math:`w`; a value of 0 contributes 0.

    References
    ----------
    Theil, H. (1967). Economics and Information Theory. North-Holland, ch. 4.

    Examples
    --------
    >>> round(theil([0.0, 1.0], [1, 1]), 6)
    0.693147
    """
    y, w = _known(value, weight)
    mean = _mean(y, w)
    if not mean > 0:
        return float("nan")
    ratio = y / mean
    terms = np.where(ratio > 0, ratio * np.log(np.where(ratio > 0, ratio, 1.0)), 0.0)
    return max(0.0, float((w * terms).sum() / w.sum()))


def palma_ratio(value: npt.ArrayLike, weight: npt.ArrayLike) -> float:
    """
    Palma ratio: what the 10 % with the most hold over what the 40 % with the least hold.

    Parameters
    ----------
    value
        What a resident of each cell has, at least 0; NaN is left out. Of a score the most is the best, of minutes
        the worst.
    weight
        Residents of each cell. A cell that straddles a limit is divided.

    Returns
    -------
    float
        0.25 if all have the same; infinite if the 40 % have nothing; NaN where nobody has anything.

    References
    ----------
    Palma, J. G. (2011). Homogeneous middles vs. heterogeneous tails. Development and Change 42, 87-153;
    Cobham, A., Sumner, A. (2013). Is it all about the tails? The Palma measure of income inequality. CGD WP
    343.

    Examples
    --------
    >>> round(palma_ratio([1.0, 1.0, 1.0, 1.0, 1.0], [1, 1, 1, 1, 1]), 9)
    0.25
    """
    y, w = _known(value, weight)
    top, bottom = _tails(y, w, y)
    return _ratio(top, bottom)


def palma_by_income(value: npt.ArrayLike, weight: npt.ArrayLike, *, income: npt.ArrayLike) -> float:
    """
    Palma ratio of access: mean of the richest 10 % over mean of the poorest 40 %.

    Parameters
    ----------
    value
        What a resident of each cell has, at least 0.
    weight
        Residents of each cell.
    income
        Income of each cell; NaN is left out.

    Returns
    -------
    float
        1 if rich and poor have the same access, above 1 if the rich have more of `value`.

    References
    ----------
    Pereira, R. H. M., Banister, D., Schwanen, T., Wessel, N. (2019). Distributional effects of transport
    policies on inequalities in access to opportunities in Rio de Janeiro. Journal of Transport Land Use 12.

    Examples
    --------
    >>> round(palma_by_income([2.0, 1.0], [1, 9], income=[90, 10]), 9)
    2.0
    """
    top, bottom = _tails(value, weight, income)
    return _ratio(top / 0.1, bottom / 0.4)


def poverty_fgt(minutes: npt.ArrayLike, weight: npt.ArrayLike, *, line_min: float, power: int) -> float:
    r"""
    Foster-Greer-Thorbecke index of being too far away.

    Parameters
    ----------
    minutes
        [min] Time of each cell; NaN or infinity (unreachable) counts as the deepest.
    weight
        Residents of each cell.
    line_min
        [min] Who is farther than this is poor; the line itself is not.
    power
        0: share of the poor; 1: their mean depth over all residents; 2: severity.

    Returns
    -------
    float
        In 0…1; NaN where nobody lives.

    Notes
    -----
    :math:`FGT_a = \sum_i w_i\, d_i^a` where :math:`t_i > z`, with :math:`d_i = \min((t_i - z)/z,\ 1)`:
    depth is the time beyond the line in units of the line, and twice the line is as deep as it gets.

    References
    ----------
    Foster, J., Greer, J., Thorbecke, E. (1984). A class of decomposable poverty measures. Econometrica 52,
    761-766.

    Examples
    --------
    >>> poverty_fgt([15.0, 22.5], [1, 1], line_min=15, power=1)
    0.25
    """
    if not (line_min > 0 and power in (0, 1, 2)):
        msg = f"line_min is {line_min} and power {power}; expected a line > 0 and a power of 0, 1 or 2"
        raise InputError(msg)
    t, w = np.asarray(minutes, dtype=np.float64), _weights(weight)
    if w.sum() <= 0:
        return float("nan")
    depth = np.clip((np.where(np.isfinite(t), t, 2 * line_min) - line_min) / line_min, 0.0, 1.0)
    poor = (depth > 0).astype(np.float64)
    return float((w * (poor if power == 0 else depth**power)).sum() / w.sum())


def worst_decile(value: npt.ArrayLike, weight: npt.ArrayLike, *, more_is_better: bool = True) -> float:
    """
    Mean of the worst-off tenth of the residents.

    Parameters
    ----------
    value
        What a resident of each cell has; NaN is left out.
    weight
        Residents of each cell; the cell at the limit is divided.
    more_is_better
        True for a score (the lowest tenth), False for minutes (the highest tenth).

    Examples
    --------
    >>> worst_decile([10.0, 20.0], [5, 95])
    15.0
    """
    y, w = _known(value, weight)
    if w.sum() <= 0:
        return float("nan")
    order = np.argsort(y if more_is_better else -y, kind="stable")
    room = 0.1 * w.sum()
    before = np.concatenate([[0.0], np.cumsum(w[order])[:-1]])
    part = np.clip(room - before, 0.0, w[order])
    return float((part * y[order]).sum() / part.sum())


def weighted_mean(value: npt.ArrayLike, weight: npt.ArrayLike) -> float:
    """
    Mean over residents; NaN values are left out, NaN if nobody is left.

    Examples
    --------
    >>> weighted_mean([10.0, float("nan"), 20.0], [1, 5, 3])
    17.5
    """
    return _mean(*_known(value, weight))


def weighted_quantile(value: npt.ArrayLike, weight: npt.ArrayLike, q: float) -> float:
    """
    Give the smallest value that at least a share `q` of the residents do not exceed.

    Parameters
    ----------
    value, weight
        Values and residents of the cells; NaN values are left out.
    q
        Share in 0…1.

    Examples
    --------
    >>> weighted_quantile([1.0, 2.0, 3.0], [1, 1, 2], 0.5)
    2.0
    """
    y, w = _known(value, weight)
    if w.sum() <= 0:
        return float("nan")
    order = np.argsort(y, kind="stable")
    running = np.cumsum(w[order])
    return float(y[order][np.searchsorted(running, q * running[-1] * (1 - 1e-12))])


def equity_summary(
    value: npt.ArrayLike,
    weight: npt.ArrayLike,
    *,
    income: npt.ArrayLike | None = None,
    threshold: float | None = None,
    more_is_better: bool = True,
) -> dict[str, float | None]:
    """
    All equity measures of one figure, ready for JSON.

    Parameters
    ----------
    value
        Score or minutes of each cell; NaN is left out.
    weight
        Residents of each cell.
    income
        Income of each cell; without it the two measures by income are left out.
    threshold
        [min] With minutes: the line of the poverty measures.
    more_is_better
        True for a score, False for minutes.

    Returns
    -------
    dict
        ``gini``, ``theil``, ``palma``, ``worst_decile``; with a threshold ``fgt0``, ``fgt1``, ``fgt2``; with
        incomes ``concentration``, ``palma_income``. Null where a measure has no meaning.
    """
    out = {
        "gini": gini(value, weight),
        "theil": theil(value, weight),
        "palma": palma_ratio(value, weight),
        "worst_decile": worst_decile(value, weight, more_is_better=more_is_better),
    }
    if threshold is not None:
        for power in (0, 1, 2):
            out[f"fgt{power}"] = poverty_fgt(value, weight, line_min=threshold, power=power)
    if income is not None:
        out["concentration"] = concentration_index(value, weight, rank=income)
        out["palma_income"] = palma_by_income(value, weight, income=income)
    return {key: (float(x) if np.isfinite(x) else None) for key, x in out.items()}


def _weights(weight: npt.ArrayLike) -> _Floats:
    w = np.asarray(weight, dtype=np.float64)
    if not np.isfinite(w).all() or (w < 0).any():
        msg = f"weights reach from {np.nanmin(w)} to {np.nanmax(w)}; expected finite numbers of at least 0"
        raise InputError(msg)
    return w


def _known(value: npt.ArrayLike, weight: npt.ArrayLike) -> tuple[_Floats, _Floats]:
    """Values and weights of the cells where people live and the value is known."""
    y, w = np.asarray(value, dtype=np.float64), _weights(weight)
    if y.shape != w.shape:
        msg = f"{y.shape} values come with {w.shape} weights; expected one weight a value"
        raise InputError(msg)
    keep = np.isfinite(y) & (w > 0)
    if (y[keep] < 0).any():
        msg = f"values reach down to {y[keep].min()}; inequality is defined for values of at least 0"
        raise InputError(msg)
    return y[keep], w[keep]


def _mean(y: _Floats, w: _Floats) -> float:
    return float((y * w).sum() / w.sum()) if w.sum() > 0 else float("nan")


def _curve(value: npt.ArrayLike, weight: npt.ArrayLike, rank: npt.ArrayLike) -> tuple[_Floats, _Floats]:
    """Running sums of residents and of what they hold, from low rank to high, equal ranks together."""
    r = np.asarray(rank, dtype=np.float64)
    y, w = np.asarray(value, dtype=np.float64), _weights(weight)
    keep = np.isfinite(r)
    y, w, r = y[keep], w[keep], r[keep]
    lives = np.isfinite(y) & (w > 0)
    r = r[lives]
    y, w = _known(y, w)
    _, group = np.unique(r, return_inverse=True)
    n = int(group.max()) + 1 if len(group) else 0
    people = np.bincount(group, weights=w, minlength=n)
    held = np.bincount(group, weights=w * y, minlength=n)
    return np.concatenate([[0.0], np.cumsum(people)]), np.concatenate([[0.0], np.cumsum(held)])


def _tails(value: npt.ArrayLike, weight: npt.ArrayLike, rank: npt.ArrayLike) -> tuple[float, float]:
    """Shares that the top 10 % and the bottom 40 % by rank hold; a cell at a limit is divided."""
    people, held = _curve(value, weight, rank)
    if held[-1] <= 0:
        return float("nan"), float("nan")
    low, high = np.interp([0.4, 0.9], people / people[-1], held / held[-1])
    return float(1 - high), float(low)


def _ratio(top: float, bottom: float) -> float:
    if np.isnan(top) or np.isnan(bottom):
        return float("nan")
    return top / bottom if bottom > 0 else float("inf")
