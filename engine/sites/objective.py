"""What a site is asked to serve: several waste streams, and people weighted by need."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites.selection import FloatArray


def by_stream(
    coverage: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    takes: npt.ArrayLike,
    weight: npt.ArrayLike,
) -> tuple[sp.csr_array, FloatArray]:
    """
    Divide a covering problem by waste stream: a station without the stream is not access to it.

    Parameters
    ----------
    coverage
        Shape (candidates, demand).
    demand
        Weight of each column, shape (demand,).
    takes
        True where a candidate takes a stream, shape (candidates, streams); existing ones as they are, new ones as
        they would be built.
    weight
        What a resident with access to each stream counts, shape (streams,); they are scaled to add up to 1.

    Returns
    -------
    tuple
        Coverage, shape (candidates, streams × demand), and its weights: a resident with every stream counts 1.

    Raises
    ------
    InputError
        Where shapes disagree or the weights are negative or add up to nothing.
    """
    matrix = sp.csr_array(coverage)
    streams = np.asarray(takes, bool)
    share = np.asarray(weight, np.float64)
    people = np.asarray(demand, np.float64)
    if streams.shape != (matrix.shape[0], len(share)) or people.shape != (matrix.shape[1],):
        msg = (
            f"takes has shape {streams.shape}, weight {share.shape}, demand {people.shape}, coverage "
            f"{matrix.shape}: expected (candidates, streams), (streams,), (demand,) and (candidates, demand)"
        )
        raise InputError(msg)
    if (share < 0).any() or not share.sum() > 0:
        msg = f"weight is {share.tolist()}: expected numbers of 0 or more with a positive sum"
        raise InputError(msg)
    share = share / share.sum()
    blocks = [sp.diags_array(streams[:, s].astype(np.float64)) @ matrix for s in range(len(share))]
    stacked = sp.csr_array(sp.hstack(blocks, format="csr"))
    stacked.eliminate_zeros()
    return stacked, np.concatenate([people * part for part in share])


def equity_weight(income: npt.ArrayLike, population: npt.ArrayLike, *, aversion: float) -> FloatArray:
    """
    Weigh people by need: (mean income / income) to the power of the aversion to inequality.

    Parameters
    ----------
    income
        [any unit] Income of each cell, positive, NaN where not known (counted at the mean); shape (cells,).
    population
        Residents of each cell, shape (cells,).
    aversion
        0 counts everyone alike; 1.3 is the value of the UK Treasury's appraisal guide.

    Returns
    -------
    numpy.ndarray
        Weight of a resident of each cell, shape (cells,), scaled so that the population keeps its total.

    Raises
    ------
    InputError
        If an income is not positive, shapes disagree or the aversion is negative.

    References
    ----------
    Atkinson (1970) On the measurement of inequality. HM Treasury (2022) The Green Book, annex A3.

    Examples
    --------
    >>> equity_weight([10.0, 40.0], [50, 50], aversion=1.0).round(2).tolist()
    [1.6, 0.4]
    """
    money = np.asarray(income, np.float64)
    people = np.asarray(population, np.float64)
    if money.shape != people.shape:
        msg = f"income has shape {money.shape}, population {people.shape}: expected one number a cell in both"
        raise InputError(msg)
    if (money <= 0).any() or np.isinf(money).any():
        msg = f"income goes down to {np.nanmin(money)}: expected positive finite numbers, NaN where not known"
        raise InputError(msg)
    if aversion < 0:
        msg = f"aversion is {aversion}: expected 0 or more"
        raise InputError(msg)
    known = np.isfinite(money) & (people > 0)
    if not known.any():
        return np.ones(len(people))
    mean = float((money[known] * people[known]).sum() / people[known].sum())
    weight = (mean / np.where(np.isfinite(money), money, mean)) ** aversion
    return np.asarray(weight * people.sum() / (weight * people).sum(), np.float64)
