"""
The compiled upper bounds on sites against one dense NumPy version of the same method, step by step.

All five relax a constraint, put a price on each demand, and let the prices follow averaged subgradients with Polyak's
step (the volume algorithm, Barahona & Anbil 2000). Here the method is written once, for any function and its slope;
each problem adds that function from the definition of its relaxation. Equal bounds after one, two and many steps mean
that the kernel computes the relaxation, its slope and the course of the prices as they are defined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from numba import njit

from engine.sites import budget_kernel, capacity, concave_kernel, cover_kernel, median_kernel
from engine.sites.covering import make_cover

FloatArray = npt.NDArray[np.float64]
Relaxed = Callable[[FloatArray], tuple[float, FloatArray]]
STEPS = (1, 2, 3, 5, 12, 45, 60, 200)


@dataclass(frozen=True)
class Course:
    """How prices move: weight of the newest slope, steps without gain before the step shrinks, by what, and the end."""

    newest: float = 0.1
    patience: int = 40
    shrink: float = 0.8
    least: float = 1e-4


def lowest(
    relaxed: Relaxed, start: FloatArray, high: FloatArray, *, steps: int, incumbent: float, target: float = 0.0,
    course: Course = Course(), size: FloatArray | None = None,
) -> tuple[float, int, FloatArray]:  # fmt: skip
    """Least value met between prices of 0 and `high`, the steps done, and the prices that gave it."""
    unit = np.ones(len(start)) if size is None else size
    price, best, mean = start.copy(), start.copy(), np.zeros(len(start))
    bound, scale, calm = np.inf, 0.5, 0
    for done in range(1, steps + 1):
        value, slope = relaxed(price)
        calm = 0 if np.isinf(bound) or value < bound * (1 - 1e-6) else calm + 1
        if value < bound:
            bound, best = value, price.copy()
        if bound <= incumbent * (1 + target):
            return bound, done, best
        if calm == course.patience:
            price, mean, scale, calm = best.copy(), np.zeros(len(start)), scale * course.shrink, 0
            if scale < course.least:
                return bound, done, best
            continue
        slope = np.where(((price <= 0) & (slope > 0)) | ((price >= high) & (slope < 0)), 0.0, slope)
        mean = course.newest * slope + (1 - course.newest) * mean
        norm = (unit * mean**2).sum()
        if norm == 0:
            return bound, done, best
        price = np.clip(
            price - scale * max(value - incumbent, 1e-9 * abs(value)) / norm * unit * mean, 0, high
        )
    return bound, steps, best


@dataclass(frozen=True)
class Drawn:
    """A problem of 12 candidates and 30 demands."""

    table: npt.NDArray[np.bool_]
    weight: FloatArray
    rng: np.random.Generator

    @property
    def cover(self) -> Any:
        return make_cover(sp.csr_array(self.table), self.weight, sp.csr_array((len(self.table),) * 2))


@pytest.fixture(params=range(3))
def drawn(request: pytest.FixtureRequest) -> Drawn:
    rng = np.random.default_rng(request.param)
    return Drawn(rng.random((12, 30)) < 0.25, rng.uniform(1, 9, 30), rng)


@njit
def by_price(price: FloatArray) -> npt.NDArray[np.int64]:
    """Equal prices in the order in which compiled code puts them: to begin with, all are equal."""
    return np.argsort(price)


def dearest(worth: FloatArray, count: int) -> npt.NDArray[np.int64]:
    return np.argsort(-worth, kind="stable")[:count]


@pytest.mark.parametrize("steps", STEPS)
def test_covering(drawn: Drawn, steps: int) -> None:
    groups = np.array([0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 8])
    table = drawn.table.astype(float)

    def relaxed(price: FloatArray) -> tuple[float, FloatArray]:
        worth = table @ price
        best = [max(np.flatnonzero(groups == g), key=lambda j: worth[j]) for g in range(9)]
        open_ = [best[g] for g in dearest(worth[best], 3)]
        return (drawn.weight - price).sum() + worth[open_].sum(), table[open_].sum(axis=0) - 1

    incumbent = drawn.weight[drawn.table[:2].any(axis=0)].sum()
    start = drawn.weight / 3
    expected = lowest(relaxed, start, drawn.weight, steps=steps, incumbent=incumbent, target=0.01)
    bound, price, done = cover_kernel.lagrangian(drawn.cover, groups, 3, steps, incumbent, 0.01, start)
    assert (bound, done) == (pytest.approx(expected[0], rel=1e-9), expected[1])
    assert price == pytest.approx(expected[2], rel=1e-6, abs=1e-9)
    assert relaxed(price)[0] == pytest.approx(bound), "the prices are those that gave the bound"


@pytest.mark.parametrize("steps", STEPS)
def test_covering_under_a_budget(drawn: Drawn, steps: int) -> None:
    table, cost, budget = drawn.table.astype(float), drawn.rng.uniform(1, 5, 12), 4.5
    assert (cost > budget).any()

    def relaxed(price: FloatArray) -> tuple[float, FloatArray]:
        worth = np.where(cost <= budget, table @ price, 0.0)
        part, money = np.zeros(12), budget
        for j in dearest(worth / cost, 12):
            part[j] = min(1.0, money / cost[j]) if worth[j] > 0 else 0.0
            money -= part[j] * cost[j]
        return (drawn.weight - price).sum() + part @ worth, part @ table - 1

    incumbent = drawn.weight[drawn.table[0]].sum()
    expected = lowest(relaxed, drawn.weight / 2, drawn.weight, steps=steps, incumbent=incumbent)
    found = budget_kernel.lagrangian(drawn.cover, cost, budget, steps, incumbent, 0.0)
    assert found == (pytest.approx(expected[0], rel=1e-9), expected[1])


@pytest.mark.parametrize("steps", STEPS)
def test_savings(drawn: Drawn, steps: int) -> None:
    groups = np.array([0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    saving = np.where(drawn.table, drawn.rng.uniform(1, 20, drawn.table.shape), 0.0)
    rows, columns = sp.csr_array(saving), sp.csc_array(saving)
    none = np.zeros(0, np.int32)
    problem = median_kernel.Savings(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data,
        columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data,
        np.zeros(13, np.int64), none,
    )  # fmt: skip

    def relaxed(price: FloatArray) -> tuple[float, FloatArray]:
        worth = np.maximum(saving - price, 0).sum(axis=1)
        best = [max(np.flatnonzero(groups == g), key=lambda j: worth[j]) for g in range(10)]
        open_ = [best[g] for g in dearest(worth[best], 3)]
        return price.sum() + worth[open_].sum(), 1.0 - (saving[open_] > price).sum(axis=0)

    incumbent = saving[:3].max(axis=0).sum()
    start, free = saving.max(axis=0) / 2, np.full(30, np.inf)
    expected = lowest(relaxed, start, free, steps=steps, incumbent=incumbent, target=0.001)
    found = median_kernel.lagrangian(problem, groups, 3, steps, incumbent, 0.001)
    assert found == (pytest.approx(expected[0], rel=1e-9), expected[1])


@pytest.mark.parametrize("steps", STEPS)
def test_capacities(drawn: Drawn, steps: int) -> None:
    room = drawn.rng.uniform(5, 30, 12)
    locked = np.array([4, 9])

    def relaxed(price: FloatArray) -> tuple[float, FloatArray]:
        served = np.zeros((12, 30))
        for j, left in enumerate(room):
            for i in by_price(price):
                if drawn.table[j, i] and price[i] < 1:
                    served[j, i] = min(left, drawn.weight[i])
                    left -= served[j, i]  # noqa: PLW2901
        worth = (served * (1 - price)).sum(axis=1)
        free = np.where(np.isin(np.arange(12), locked), -1.0, worth)
        open_ = [*locked, *(j for j in dearest(free, 2) if free[j] > 0)]
        return price @ drawn.weight + worth[open_].sum(), drawn.weight - served[open_].sum(axis=0)

    rows = sp.csr_array(drawn.table)
    incumbent = room[locked].sum()
    course = Course(newest=0.2, patience=30, least=1e-3)
    expected = lowest(relaxed, np.full(30, 0.5), np.ones(30), steps=steps, incumbent=incumbent, course=course)
    bound = getattr(capacity, "_bound")  # noqa: B009
    found = bound(rows.indptr, rows.indices, drawn.weight, room, locked, 2, steps, incumbent)
    assert found == (pytest.approx(expected[0], rel=1e-9), expected[1])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("alike", [True, False], ids=["doses of one size", "doses of any size"])
def test_concave_worths(drawn: Drawn, steps: int, alike: bool) -> None:
    dose = np.where(drawn.table, 1.5 if alike else drawn.rng.uniform(0.5, 3, drawn.table.shape), 0.0)
    scale, standing = drawn.rng.uniform(1, 4, 30), drawn.rng.uniform(0, 2, 30)
    left = drawn.weight * np.exp(-standing / scale)
    rows = sp.csr_array(dose)
    doses = concave_kernel.Doses(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data, drawn.weight, scale, standing
    )
    every, largest = dose.sum(axis=0), dose.max(axis=0)
    whole = np.where(dose > 0, dose, np.inf).min(axis=0) == largest  # of one size, or a single one

    def taken(price: FloatArray) -> FloatArray:
        """The dose between none and all that is worth most beyond its price: whole doses where all are alike."""
        any_ = np.clip(scale * np.log(left / (scale * np.maximum(price, 1e-300))), 0, every)
        options = np.minimum(largest * np.arange(13)[:, None], every)
        best = np.argmax(left * -np.expm1(-options / scale) - price * options, axis=0)
        return np.where(whole, options[best, np.arange(30)], any_)

    def relaxed(price: FloatArray) -> tuple[float, FloatArray]:
        z, earned = taken(price), dose @ price
        open_ = dearest(earned, 3)
        rest = (left * -np.expm1(-z / scale) - price * z).sum()
        return rest + earned[open_].sum(), dose[open_].sum(axis=0) - z

    chosen = np.array([0, 5, 7])
    given = dose[chosen].sum(axis=0)
    incumbent = (left * -np.expm1(-given / scale)).sum() * 0.9
    start = left * np.exp(-given / scale) / scale
    course = Course(patience=20, shrink=0.7)
    expected = lowest(
        relaxed, start, np.full(30, np.inf), steps=steps, incumbent=incumbent, course=course,
        size=start / start.max(),
    )  # fmt: skip
    bound, done, base, slopes = concave_kernel.lagrangian(doses, chosen, 3, steps, incumbent, 0.0)
    assert (bound, done) == (pytest.approx(expected[0], rel=1e-9), expected[1])
    assert slopes == pytest.approx(dose @ expected[2], rel=1e-6)
    assert base + np.sort(slopes)[-3:].sum() == pytest.approx(bound)
