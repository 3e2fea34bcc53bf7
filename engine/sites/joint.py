"""One sum of money for several kinds of site: how many of each, and what no division of it can exceed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.errors import InputError
from engine.sites.selection import FloatArray, relative_gap


class KindCurve(NamedTuple):
    """What a kind of site is worth by number, and what a site of it costs."""

    curve: FloatArray
    """[the kind's unit] Value of the best set known of 0, 1, 2 … new sites in building order."""
    envelope: FloatArray
    """[the same] What no set of 0, 1, 2 … new sites can exceed, concave."""
    cost: float
    """[any unit of money] Of one site."""
    weight: float = 1.0
    """What a unit of this kind counts beside the other kinds': a choice to be declared."""


@dataclass(frozen=True)
class Split:
    """
    A division of the sum.

    Attributes
    ----------
    count
        New sites of each kind.
    spent
        What they cost.
    objective
        Σ weight × value.
    bound
        No division of the sum and no sets can be worth more.
    """

    count: dict[str, int]
    spent: float
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """Proven gap, as a share of the objective."""
        return relative_gap(self.objective, self.bound)


def split_budget(kinds: Mapping[str, KindCurve], *, amount: float) -> Split:
    """
    Divide a sum between kinds of site, the next site always where it adds most for its cost.

    Kinds do not share demand, so the value is a sum of one curve a kind; the bound fills the concave envelopes in
    order of slope, sites in part allowed (Dantzig 1957).

    Parameters
    ----------
    kinds
        The kinds; of equally good next sites the first kind's comes first.
    amount
        [the unit of the costs] What all new sites may cost together.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there is no kind, or a cost, weight or the amount is out of range.

    Notes
    -----
    O(sites · log sites).

    References
    ----------
    Dantzig (1957) Discrete-variable extremum problems. Operations Research 5, 266–277.

    Examples
    --------
    >>> import numpy as np
    >>> chargers = KindCurve(np.array([0.0, 9, 12]), np.array([0.0, 9, 12]), cost=3.0)
    >>> trees = KindCurve(np.array([0.0, 2, 4, 6]), np.array([0.0, 2, 4, 6]), cost=1.0)
    >>> found = split_budget({"chargers": chargers, "trees": trees}, amount=5.0)
    >>> found.count, found.objective, round(found.bound, 6)
    ({'chargers': 1, 'trees': 2}, 13.0, 13.0)
    """
    _check(kinds, amount)
    count = dict.fromkeys(kinds, 0)
    left = amount
    for _, name, step in _steps({n: (k.curve, k) for n, k in kinds.items()}):
        if step == count[name] and kinds[name].cost <= left * (1 + 1e-12):
            count[name] += 1
            left -= kinds[name].cost
    objective = sum(k.weight * float(k.curve[count[n]]) for n, k in kinds.items())
    bound = sum(k.weight * float(k.envelope[0]) for k in kinds.values())
    rest = amount
    for ratio, name, _ in _steps({n: (k.envelope, k) for n, k in kinds.items()}):
        part = min(kinds[name].cost, rest)
        bound += ratio * part
        rest -= part
    return Split(count, amount - left, objective, max(objective, bound * (1 + 1e-12)))


def _steps(curves: Mapping[str, tuple[FloatArray, KindCurve]]) -> list[tuple[float, str, int]]:
    """Gain for its cost of every further site of every kind, best first; a kind's own sites stay in order."""
    found = []
    for place, (name, (curve, kind)) in enumerate(curves.items()):
        gains = np.minimum.accumulate(np.maximum(np.diff(curve), 0.0))
        ratio = kind.weight * gains / kind.cost
        found += [(-float(r), place, step, name) for step, r in enumerate(ratio)]
    return [(-r, name, step) for r, _, step, name in sorted(found)]


def _check(kinds: Mapping[str, KindCurve], amount: float) -> None:
    if not kinds:
        msg = "kinds is empty: expected at least one kind of site"
        raise InputError(msg)
    if not (np.isfinite(amount) and amount >= 0):
        msg = f"amount is {amount}: expected 0 or more"
        raise InputError(msg)
    for name, kind in kinds.items():
        if not (np.isfinite(kind.cost) and kind.cost > 0 and np.isfinite(kind.weight) and kind.weight >= 0):
            msg = f"{name} has the cost {kind.cost} and the weight {kind.weight}: expected more than 0, and 0 or more"
            raise InputError(msg)
