"""Laws of budgets, capacities, concave worth, streams, equity and regret, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.sites.budget import bend, budget_sweep, budgeted_covering
from engine.sites.capacity import capacitated_covering
from engine.sites.concave import concave_covering
from engine.sites.covering import maximal_covering
from engine.sites.joint import KindCurve, split_budget
from engine.sites.objective import by_stream, equity_weight
from engine.sites.regret import CoverScenario, least_regret
from engine.sites.selection import Effort

LIGHT = Effort(restarts=20, bound_steps=80)
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@st.composite
def tables(draw: st.DrawFn, rows: int = 6, columns: int = 7) -> tuple[Bools, Floats]:
    n, m = draw(st.integers(1, rows)), draw(st.integers(1, columns))
    table = np.array(draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m))).reshape(n, m)
    return table, np.array(draw(st.lists(st.floats(0, 1e4), min_size=m, max_size=m)))


def _sets(n: int, most: int) -> list[list[int]]:
    return [list(c) for k in range(min(n, most) + 1) for c in itertools.combinations(range(n), k)]


def _covered(table: Bools, demand: Floats, chosen: list[int]) -> float:
    return float(demand[table[chosen].any(axis=0)].sum())


@given(tables(), st.data())
@settings(deadline=None)
def test_budgets_hold_and_bounds_are_above_the_optimum(
    case: tuple[Bools, Floats], data: st.DataObject
) -> None:
    table, demand = case
    n = len(table)
    cost = np.array(data.draw(st.lists(st.floats(0.5, 9), min_size=n, max_size=n)))
    budget = data.draw(st.floats(0, 20))
    best = max(_covered(table, demand, s) for s in _sets(n, n) if cost[s].sum() <= budget)
    found = budgeted_covering(sp.csr_array(table), demand, cost=cost, budget=budget, effort=LIGHT)
    slack = 1e-9 * (1 + best)
    assert cost[found.chosen].sum() <= budget + 1e-9
    assert found.objective - slack <= best <= found.bound + slack
    assert abs(found.objective - _covered(table, demand, found.chosen.tolist())) <= slack
    # Khuller, Moss & Naor (1999): the better of the two greedy sets has 1 − 1/√e of the optimum, and 0.39 is more.
    assert found.objective >= (1 - 1 / np.sqrt(np.e)) * best - slack


@given(tables(columns=5), st.floats(0, 1e4), st.integers(0, 3), st.booleans())
@settings(deadline=None)
def test_capacities_bound_what_is_served(
    case: tuple[Bools, Floats], capacity: float, count: int, lock: bool
) -> None:
    table, demand = case
    locked = [0] if lock else []
    found = capacitated_covering(
        sp.csr_array(table), demand, capacity=capacity, count=count, locked=locked, effort=LIGHT
    )

    def served(
        sites: list[int],
    ) -> float:  # Hall: the least over sets of sites of their room and the others' demand
        return min(
            capacity * len(part) + _covered(table, demand, [j for j in sites if j not in part])
            for k in range(len(sites) + 1)
            for part in itertools.combinations(sites, k)
        )

    others = [j for j in range(len(table)) if j not in locked]
    best = max(served(locked + [others[j] for j in s]) for s in _sets(len(others), count))
    slack = 1e-6 * (1 + demand.sum())
    assert found.objective - slack <= best <= found.bound + slack
    assert abs(found.objective - served(locked + found.chosen.tolist())) <= slack


@given(tables(), st.integers(0, 4), st.floats(0.2, 5), st.floats(0, 3))
@settings(deadline=None)
def test_concave_worth_is_bounded_and_greedy_keeps_its_promise(
    case: tuple[Bools, Floats], count: int, scale: float, standing: float
) -> None:
    table, worth = case
    found = concave_covering(sp.csr_array(table * 1.5), worth, scale=scale, count=count, standing=standing)

    def value(chosen: list[int]) -> float:
        dose = table[chosen].sum(axis=0) * 1.5
        return float((worth * (np.exp(-standing / scale) - np.exp(-(standing + dose) / scale))).sum())

    best = max(value(s) for s in _sets(len(table), count))
    slack = 1e-9 * (1 + best)
    assert abs(found.objective - value(found.chosen.tolist())) <= slack
    assert found.bound + slack >= best
    assert found.objective >= (1 - 1 / np.e) * best - slack


@given(tables(rows=5), tables(rows=4), st.floats(0, 6), st.integers(0, 3))
@settings(deadline=None)
def test_a_joint_budget_is_bounded(
    first: tuple[Bools, Floats], second: tuple[Bools, Floats], amount: float, count: int
) -> None:
    # stations at 1, trees at 2; the bound must hold whatever number each was solved for
    stations = maximal_covering(sp.csr_array(first[0]), first[1], count=count, effort=LIGHT)
    trees = concave_covering(sp.csr_array(second[0] * 1.0), second[1], scale=2.0, count=3)
    assert stations.envelope is not None
    assert trees.envelope is not None
    kinds = {
        "stations": KindCurve(stations.curve, stations.envelope, 1.0),
        "trees": KindCurve(trees.curve, trees.envelope, 2.0, 0.5),
    }
    found = split_budget(kinds, amount=amount)

    def worth(chosen: list[int]) -> float:
        return float((second[1] * -np.expm1(-second[0][chosen].sum(axis=0) / 2.0)).sum())

    best = max(
        _covered(*first, a) + 0.5 * worth(b)
        for a in _sets(len(first[0]), 6)
        for b in _sets(len(second[0]), 3)
        if len(a) + 2 * len(b) <= amount * (1 + 1e-9)
    )
    slack = 1e-9 * (1 + best) + 2e-6 * first[1].sum()
    spent = found.count["stations"] + 2 * found.count["trees"]
    assert spent == pytest.approx(found.spent)
    assert spent <= amount * (1 + 1e-9)
    built = _covered(*first, stations.chosen[: found.count["stations"]].tolist())
    built += 0.5 * worth(trees.chosen[: found.count["trees"]].tolist())
    assert abs(found.objective - built) <= slack
    assert found.objective <= best + slack
    assert found.bound + slack >= best


@given(tables(rows=5), st.data(), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_no_set_is_regretted_less_than_the_bound(
    case: tuple[Bools, Floats], data: st.DataObject, count: int
) -> None:
    table, demand = case
    other = np.array(data.draw(st.lists(st.floats(0, 1e4), min_size=len(demand), max_size=len(demand))))
    scenarios = [
        CoverScenario(sp.csr_array(table), demand),
        CoverScenario(sp.csr_array(table[:, ::-1]), other),
    ]
    found = least_regret(scenarios, count=count, rounds=5, effort=LIGHT)
    values = [
        [_covered(table, demand, s), _covered(table[:, ::-1], other, s)] for s in _sets(len(table), count)
    ]
    top = np.max(values, axis=0)
    assert (found.best_bound >= top - 1e-6).all()
    least = min(max((t - v) / t if t else 0.0 for v, t in zip(value, top, strict=True)) for value in values)
    assert found.regret_bound <= least + 1e-6
    assert found.worst_regret == found.regret.max()
    assert len(found.chosen) <= count


@given(tables(), st.floats(0, 3))
@settings(deadline=None)
def test_equity_weights_keep_the_population(case: tuple[Bools, Floats], aversion: float) -> None:
    _, people = case
    income = np.linspace(10, 50, len(people))
    weight = equity_weight(income, people, aversion=aversion)
    assert (weight * people).sum() == pytest.approx(people.sum())
    assert (np.diff(weight) <= 1e-12).all()  # the poorer never weigh less


def test_a_station_without_the_stream_is_no_access() -> None:
    # An old glass-only point at row 0 and a new full one at row 1, both within reach of the one cell of 100 people.
    stacked, weight = by_stream(np.ones((2, 1)), [100.0], takes=[[True, False], [True, True]], weight=[1, 3])
    assert stacked.toarray().tolist() == [[1, 0], [1, 1]]
    assert weight.tolist() == [25.0, 75.0]
    with pytest.raises(InputError, match="takes has shape"):
        by_stream(np.ones((2, 1)), [100.0], takes=[[True]], weight=[1])
    with pytest.raises(InputError, match="weight is"):
        by_stream(np.ones((1, 1)), [100.0], takes=[[True]], weight=[0])


def test_the_sweep_finds_where_the_curve_bends() -> None:
    demand = [50.0, 40.0, 5.0, 4.0, 3.0]
    table = budget_sweep(sp.csr_array(np.eye(5)), demand, counts=[5, 0, 1, 2, 3, 4], effort=LIGHT)
    assert table["count"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table["objective"].tolist() == [0, 50, 90, 95, 99, 102]
    assert (table["gap"] < 1e-9).all()
    assert table["share"].tolist() == [x / 102 for x in (0, 50, 90, 95, 99, 102)]
    nobody = budget_sweep(sp.csr_array(np.eye(2)), [0.0, 0.0], counts=[0, 1], effort=LIGHT)
    assert nobody["share"].tolist() == [0, 0]
    assert table.loc[table["bend"], "count"].tolist() == [2]
    assert bend(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == -1
    assert bend(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])) == -1


def test_what_is_wrong_is_said() -> None:
    eye = sp.csr_array(np.eye(2))
    with pytest.raises(InputError, match="cost has shape"):
        budgeted_covering(eye, [1, 1], cost=[1.0], budget=1)
    with pytest.raises(InputError, match="budget is -1"):
        budgeted_covering(eye, [1, 1], cost=[1.0, 1.0], budget=-1)
    with pytest.raises(InputError, match="kinds is empty"):
        split_budget({}, amount=1)
    with pytest.raises(InputError, match="capacity holds"):
        capacitated_covering(eye, [1, 1], capacity=-1.0, count=1)
    with pytest.raises(InputError, match="scenarios is empty"):
        least_regret([], count=1)
    with pytest.raises(InputError, match="expected the same rows"):
        least_regret([CoverScenario(eye, [1, 1]), CoverScenario(sp.csr_array(np.eye(3)), [1, 1, 1])], count=1)
    with pytest.raises(InputError, match="aversion is -1"):
        equity_weight([1.0], [1.0], aversion=-1)
    with pytest.raises(InputError, match="income goes down to 0"):
        equity_weight([0.0], [1.0], aversion=1)
