"""What one edit more is worth: by residents, given what was done before; ideas near each other taken as one."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from engine.proposals.effect import Criteria
from engine.proposals.live import CellChange

_Floats = npt.NDArray[np.float64]
_Int = npt.NDArray[np.int64]


class Worth(NamedTuple):
    """Change of the mean score [points], residents newly within and no longer within reach, person-minutes saved."""

    gain: float
    newly_within: float
    no_longer_within: float
    person_minutes: float


def worth_of(changes: Mapping[str, CellChange], weight: _Floats, criteria: Criteria) -> Worth:
    """
    What a change of cell times is worth, by the definitions of `engine.proposals.effect.effect`.

    Parameters
    ----------
    changes
        By mode: the cells that changed and their times before and after.
    weight
        Residents of each cell of the city.
    criteria
        What counts; times beyond ``criteria.limit_min`` count as that in person-minutes.

    Notes
    -----
    O(cells that changed · categories): cells that stay cost nothing.
    """
    weights = np.array([criteria.weights.get(c, 0.0) for c in criteria.categories])
    entered, left = (np.zeros(len(weight), dtype=bool) for _ in range(2))
    gain = minutes = 0.0
    for change in changes.values():
        people = weight[change.cells]
        worth = [criteria.decay.weight(t) @ (weights / weights.sum()) for t in (change.before, change.after)]
        gain += float((people * (worth[1] - worth[0])).sum())
        capped = [np.fmin(t, criteria.limit_min) for t in (change.before, change.after)]
        minutes += float((people[:, None] * (capped[0] - capped[1])).sum())
        was, now = change.before <= criteria.threshold_min, change.after <= criteria.threshold_min
        entered[change.cells] |= (now & ~was).any(axis=1)
        left[change.cells] |= (was & ~now).any(axis=1)
    total = float(weight.sum()) * max(len(criteria.modes), 1)
    return Worth(
        100.0 * gain / total if total > 0 else 0.0,
        float(weight[entered].sum()),
        float(weight[left].sum()),
        minutes,
    )


def clusters(xy_m: _Floats, kind: Sequence[object], *, within_m: float) -> _Int:
    """
    Gather points of one kind into groups no wider than a distance.

    Parameters
    ----------
    xy_m
        [m] Shape (points, 2).
    kind
        Only points of the same kind are gathered.
    within_m
        [m] No two points of a group are farther apart (complete linkage); 0 gathers only points at one place.

    Returns
    -------
    numpy.ndarray
        Group of each point, numbered by first appearance.

    Notes
    -----
    O(points²) in time and memory.

    Examples
    --------
    >>> clusters(np.array([[0.0, 0.0], [500.0, 0.0], [20.0, 0.0]]), "aaa", within_m=100).tolist()
    [0, 1, 0]
    """
    group = np.zeros(len(xy_m), dtype=np.int64)
    top = 0
    for one in sorted({str(k) for k in kind}):
        rows = np.array([i for i, k in enumerate(kind) if str(k) == one], dtype=np.int64)
        if len(rows) > 1:
            tree = linkage(xy_m[rows], "complete")
            found = fcluster(tree, within_m, "distance")
        else:
            found = np.ones(len(rows), dtype=np.int64)
        group[rows] = top + found
        top += int(found.max(initial=0))
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.asarray(order[number])


class Pick(NamedTuple):
    """One choice: what was chosen, and what it adds to those before."""

    item: int
    value: float


def lazy_greedy(
    alone: Sequence[float],
    value_now: Callable[[int], float],
    take: Callable[[int], None],
    *,
    most: int | None = None,
    cost: Sequence[float] | None = None,
    budget: float = np.inf,
) -> list[Pick]:
    """
    Choose one after the other what adds most to what was chosen before.

    A value is computed anew only when it would be the next choice by its last known value: values that shrink as
    others are taken (as gains from more places do) need few evaluations. Ties go to the lower number.

    Parameters
    ----------
    alone
        Value of each item on its own.
    value_now
        Gives the value of an item on top of what was taken.
    take
        Takes an item for good.
    most
        Number of choices at most.
    cost, budget
        Cost of each item and what there is to spend: choices are by value per cost then, an item that no longer
        fits is passed over, and none without value is taken.

    Returns
    -------
    list of Pick

    References
    ----------
    Minoux (1978), Accelerated greedy algorithms for maximizing submodular set functions.
    """
    price = np.ones(len(alone)) if cost is None else np.asarray(cost, dtype=np.float64)
    heap = [(-a / p, i, 0) for i, (a, p) in enumerate(zip(alone, price, strict=True))]
    heapq.heapify(heap)
    picks: list[Pick] = []
    spent = 0.0
    while heap and (most is None or len(picks) < most):
        rate, item, round_ = heapq.heappop(heap)
        if spent + price[item] > budget or (cost is not None and rate >= 0):
            continue
        if round_ < len(picks):
            heapq.heappush(heap, (-value_now(item) / price[item], item, len(picks)))
            continue
        take(item)
        spent += price[item] if cost is not None else 0.0
        picks.append(Pick(item, -rate * price[item]))
    return picks
