"""
How good the answers of the siting solvers are on one city, beside those of an exact solver.

400 blocks of 100 m with residents, 60 candidates that serve a circle of 450 m, 8 to choose: heavy overlap, so that
greedy alone is not optimal and a loose bound shows.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from engine.sites.budget import budgeted_covering
from engine.sites.capacity import capacitated_covering, served_by
from engine.sites.concave import concave_covering
from engine.sites.covering import maximal_covering
from engine.sites.median import p_median
from engine.sites.selection import Effort

RNG = np.random.default_rng(11)
X, Y = (a.ravel() for a in np.meshgrid(np.arange(20.0), np.arange(20.0)))
PEOPLE = np.round(RNG.gamma(1.5, 60.0, 400))
SITES = RNG.uniform(0, 19, (60, 2))
AWAY = np.hypot(SITES[:, :1] - X, SITES[:, 1:] - Y)
TABLE = AWAY <= 4.5
COST = np.round(RNG.uniform(1, 5, 60), 1)
FAR = 12.0
WITHOUT_TREE = Effort(restarts=60, bound_steps=600, exact_nodes=0)


def exact(cost: np.ndarray, budget: float) -> float:
    """Most residents served by sites within a budget, by HiGHS."""
    n, m = TABLE.shape
    serve = sp.hstack([sp.csr_array(TABLE.T * -1.0), sp.eye_array(m)])
    spent = LinearConstraint(np.append(cost, np.zeros(m))[None], ub=budget)
    found = milp(
        -np.concatenate([np.zeros(n), PEOPLE]),
        constraints=[LinearConstraint(serve, ub=0.0), spent],
        integrality=np.append(np.ones(n), np.zeros(m)),
        bounds=Bounds(0, 1),
    )
    assert found.success
    return float(-found.fun)


def test_covering_finds_the_optimum_and_bounds_it_closely() -> None:
    best = exact(np.ones(60), 8.0)
    bounded = maximal_covering(sp.csr_array(TABLE), PEOPLE, count=8, effort=WITHOUT_TREE)
    assert bounded.objective == best
    assert best <= bounded.bound <= best * 1.001  # by the priced bound alone


def test_a_budget_is_spent_within_one_per_cent_of_the_optimum() -> None:
    best = exact(COST, 14.0)
    found = budgeted_covering(sp.csr_array(TABLE), PEOPLE, cost=COST, budget=14.0, effort=WITHOUT_TREE)
    assert best * 0.99 <= found.objective <= best
    assert best <= found.bound <= best * 1.005


def relaxed(capacity: float) -> float:
    """Linear relaxation of the stations with room for some, by HiGHS: a station is open in part, and serves so much."""
    (n, m), (site, block) = TABLE.shape, np.nonzero(TABLE)
    k, served = len(site), np.arange(len(site))
    rows = [
        [sp.csr_array((m, n)), sp.csr_array((np.ones(k), (block, served)), shape=(m, k))],
        [-capacity * sp.eye_array(n), sp.csr_array((np.ones(k), (site, served)), shape=(n, k))],
        [sp.csr_array((-PEOPLE[block], (served, site)), shape=(k, n)), sp.eye_array(k)],
        [sp.csr_array(np.ones((1, n))), None],
    ]
    found = linprog(
        np.append(np.zeros(n), -np.ones(k)),
        A_ub=sp.block_array(rows, format="csr"),
        b_ub=np.concatenate([PEOPLE, np.zeros(n + k), [8]]),
        bounds=[(0, 1)] * n + [(0, None)] * k,
    )
    assert found.success
    return float(-found.fun)


@pytest.mark.parametrize("capacity", [3000.0, 4400.0, 5000.0])
def test_no_move_of_one_station_with_room_for_some_serves_more_and_the_bound_is_that_of_the_relaxation(
    capacity: float,
) -> None:
    table = sp.csr_array(TABLE)
    found = capacitated_covering(table, PEOPLE, capacity=capacity, count=8)
    room = np.full(60, capacity)
    assert found.objective == pytest.approx(served_by(table, PEOPLE, room, found.chosen))
    others = np.setdiff1d(np.arange(60), found.chosen)
    for at, new in itertools.product(range(8), others):
        moved = np.append(np.delete(found.chosen, at), new)
        assert served_by(table, PEOPLE, room, moved) <= found.objective * (1 + 1e-6)
    assert found.objective <= relaxed(capacity) * (1 + 1e-6) <= found.bound * (1 + 2e-6)
    assert found.bound <= relaxed(capacity) * 1.002


def test_the_median_is_proven() -> None:
    rows, blocks = np.nonzero(AWAY < FAR)
    away = sp.csr_array((AWAY[rows, blocks], (rows, blocks)), shape=AWAY.shape)
    found = p_median(away, PEOPLE, far=FAR, count=8, effort=WITHOUT_TREE)
    assert found.objective == pytest.approx(found.bound, rel=1e-6)
    by_hand = (np.minimum(AWAY[found.chosen].min(axis=0), FAR) * PEOPLE).sum()
    assert found.objective == pytest.approx(by_hand)


def test_trees_are_within_one_per_cent_of_brute_force() -> None:
    some, lit = TABLE[:14], 1.5 / 2.0

    def worth(sites: tuple[int, ...]) -> float:
        return float((PEOPLE * (1 - np.exp(-lit * some[list(sites)].sum(axis=0)))).sum())

    best = max(worth(sites) for sites in itertools.combinations(range(14), 5))
    found = concave_covering(sp.csr_array(some * 1.5), PEOPLE, scale=2.0, count=5)
    assert best * 0.99 <= found.objective <= best * (1 + 1e-9)
    assert found.bound >= best * (1 - 1e-9)
