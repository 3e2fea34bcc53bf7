"""Concave covering: many small sites, each worth less the more its audience has already, with a proven bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.errors import InputError
from engine.sites import concave_kernel as kernel
from engine.sites.covering import check_demand
from engine.sites.selection import FloatArray, SiteSelection


def concave_covering(
    dose: sp.sparray | sp.spmatrix,
    worth: npt.ArrayLike,
    *,
    scale: npt.ArrayLike,
    count: int,
    standing: npt.ArrayLike | None = None,
    bound_steps: int = 600,
    gap_target: float = 0.001,
) -> SiteSelection:
    """
    Choose sites whose doses to their audiences are worth most, when each further dose is worth less.

    An audience that has received the dose z is worth ``worth · (1 − exp(−z / scale))``: at one `scale` 63 % of it.
    The set is found by greedy, which reaches at least 1 − 1/e of the optimum (Nemhauser, Wolsey & Fisher 1978), and
    bounded by a Lagrangian relaxation: a price a dose on every audience, which takes whole doses where all its
    doses are alike.

    Parameters
    ----------
    dose
        Shape (candidates, audiences); stored values are finite and not negative.
    worth
        [any unit] Worth of each audience once it has all it can use, shape (audiences,).
    scale
        Dose at which an audience has 1 − 1/e of its worth, one number or one an audience; positive.
    count
        Sites at most.
    standing
        Dose that each audience has already (existing trees); None means none.
    bound_steps
        Steps of the bound at most.
    gap_target
        Stop the bound when the proven gap is at most this.

    Returns
    -------
    SiteSelection
        The objective counts what the new sites add.

    Raises
    ------
    InputError
        Where shapes disagree or a number is out of range.

    Notes
    -----
    O(stored entries) a step of the bound; greedy computes a gain again only when it may be the next best.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> best = concave_covering(sp.csr_array(np.eye(3)), [5.0, 9.0, 1.0], scale=1.0, count=2)
    >>> best.chosen.tolist(), round(best.objective, 3), best.gap < 0.001
    ([1, 0], 8.85, True)
    """
    matrix = sp.csr_array(dose, copy=True).astype(np.float64)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        msg = "dose holds negative or non-finite values: clean them first"
        raise InputError(msg)
    weight = check_demand(worth, matrix.shape, count)
    per_audience = _each(scale, len(weight), "scale")
    if not (per_audience > 0).all():
        msg = f"scale goes down to {per_audience.min(initial=0.0)}: expected positive doses"
        raise InputError(msg)
    already = _each(0.0 if standing is None else standing, len(weight), "standing")
    if not (already >= 0).all():
        msg = f"standing goes down to {already.min(initial=0.0)}: expected doses of 0 or more"
        raise InputError(msg)
    doses = kernel.Doses(
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data,
        weight,
        per_audience,
        already,
    )
    chosen, gains = kernel.lazy_greedy(doses, count)
    curve = np.concatenate([[0.0], np.cumsum(gains)])
    bound, steps = float(curve[-1]), 0
    envelope = np.array([float((weight * np.exp(-already / per_audience)).sum())])
    if len(chosen):
        bound, steps, base, slopes = kernel.lagrangian(
            doses, chosen, count, bound_steps, curve[-1], gap_target
        )
        envelope = base + np.concatenate([[0.0], np.cumsum(-np.sort(-slopes))])
    return SiteSelection(
        chosen=chosen,
        locked=np.empty(0, np.int64),
        objective=float(curve[-1]),
        baseline=0.0,
        bound=max(float(curve[-1]), float(bound) * (1 + 1e-12)),
        curve=curve,
        method="lazy greedy; Lagrangian bound with a price a dose",
        figures={"candidates": int(matrix.shape[0]), "audiences": len(weight), "bound_steps": int(steps)},
        envelope=envelope * (1 + 1e-12),
    )


def _each(values: npt.ArrayLike, n: int, what: str) -> FloatArray:
    """One finite number an audience."""
    result = np.asarray(values, np.float64)
    if result.ndim and result.shape != (n,):
        msg = f"{what} has shape {result.shape}: expected one number, or one for each of {n} audiences"
        raise InputError(msg)
    if not np.isfinite(result).all():
        msg = f"{what} holds non-finite values: clean them first"
        raise InputError(msg)
    return np.ascontiguousarray(np.broadcast_to(result, n))
