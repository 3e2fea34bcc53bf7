"""The bound with cuts of three demands: never below brute force, whatever the prices, and tight on a triangle."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sites.cover_cuts import Prices, cuts_of, priced, relaxations, violated, widest
from engine.sites.cover_kernel import Cover
from engine.sites.covering import make_cover, maximal_covering
from engine.sites.selection import Effort

Table = npt.NDArray[np.int64]
TRIANGLE = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
"""Three demands, three candidates, each pair of demands on one of them; no candidate covers all."""


def cover(table: Table, weight: npt.NDArray[np.float64]) -> Cover:
    return make_cover(sp.csr_array(table), weight, sp.csr_array((len(table), len(table)), dtype=np.bool_))


def brute_force(table: Table, weight: npt.NDArray[np.float64], count: int) -> float:
    sets = itertools.combinations(range(len(table)), min(count, len(table)))
    return max(float(weight[table[list(chosen)].any(axis=0)].sum()) for chosen in sets)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, npt.NDArray[np.float64], int]:
    n, m = draw(st.integers(1, 8)), draw(st.integers(3, 9))
    cells = draw(st.lists(st.integers(0, 1), min_size=n * m, max_size=n * m))
    weight = np.array(draw(st.lists(st.integers(0, 10**6), min_size=m, max_size=m)), np.float64)
    return np.array(cells).reshape(n, m), weight, draw(st.integers(1, 5))


@given(tables())
@settings(deadline=None)
def test_the_bound_is_never_below_brute_force(case: tuple[Table, npt.NDArray[np.float64], int]) -> None:
    table, weight, count = case
    best = brute_force(table, weight, count)
    for relaxed in relaxations(cover(table, weight), count, most=6):
        assert relaxed.bound >= best - 1e-6
        assert relaxed.share.shape == (len(table),)
        assert relaxed.share.sum() <= count + 1e-6


@given(tables(), st.data())
@settings(deadline=None)
def test_any_prices_bound(case: tuple[Table, npt.NDArray[np.float64], int], data: st.DataObject) -> None:
    table, weight, count = case
    m = len(weight)
    every = list(itertools.combinations(range(m), 3))
    three = np.array(data.draw(st.lists(st.sampled_from(every), unique=True, max_size=12)), np.int64).reshape(
        -1, 3
    )
    price = st.floats(0, 1e6)
    prices = Prices(
        np.array(data.draw(st.lists(price, min_size=m, max_size=m))),
        np.array(data.draw(st.lists(price, min_size=len(three), max_size=len(three)))),
    )
    matrix = sp.csr_array(table.astype(np.float64))
    assert (
        priced(matrix, cuts_of(matrix, three), weight, count, prices)
        >= brute_force(table, weight, count) - 1e-6
    )


def test_two_triangles_need_two_sites_each() -> None:
    # Three sites: one and a half a triangle cover all 6 in the relaxation. Whole: 3 in one triangle, 2 in the other.
    # With the cuts a triangle with x sites is worth at most min(2 x, x + 1, 3), so 2.5 each at the best.
    twice = np.kron(np.eye(2, dtype=np.int64), TRIANGLE)
    problem = cover(twice, np.ones(6))
    plain, *_, tight = relaxations(problem, 3, most=6)
    assert (plain.bound, plain.cuts) == (pytest.approx(6.0), 0)
    assert (tight.bound, tight.cuts) == (pytest.approx(5.0), 2)
    assert len(list(relaxations(problem, 3, most=1))) == 1
    assert brute_force(twice, np.ones(6), 3) == 5.0


def test_the_broken_cut_is_found_and_a_candidate_on_all_three_counts_twice() -> None:
    table = sp.csr_array(TRIANGLE.astype(np.float64))
    columns = sp.csc_array(table)
    sides = ((table.indptr, table.indices), (columns.indptr, columns.indices))
    assert violated(*sides, np.ones(3), np.full(3, 0.5)).tolist() == [[0, 1, 2]]
    assert violated(*sides, np.ones(3), np.full(3, 2 / 3)).tolist() == []  # 2 sites in all: nothing is broken
    wide = sp.csr_array(np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]]))
    assert cuts_of(wide, np.array([[0, 1, 2]])).factor.toarray().tolist() == [[2.0], [1.0]]


def test_nothing_to_cover_is_bounded_by_nothing() -> None:
    assert [r.bound for r in relaxations(cover(np.array([[0, 0, 1]]), np.zeros(3)), 1, most=6)] == [0.0]


def test_candidates_within_another_are_left_out_and_of_equal_ones_the_first_stays() -> None:
    table = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1]])
    assert widest(cover(table, np.ones(3))).tolist() == [0, 3]


def test_covering_takes_the_cuts_where_the_gap_stays() -> None:
    # 12 triangles and 18 sites: 36 in the relaxation, 6 × 3 + 6 × 2 = 30 at the best.
    table = sp.csr_array(np.kron(np.eye(12), TRIANGLE))
    with_cuts = maximal_covering(table, np.ones(36), count=18, effort=Effort(exact_nodes=0))
    without = maximal_covering(table, np.ones(36), count=18, effort=Effort(exact_nodes=0, cut_rounds=0))
    assert (with_cuts.objective, with_cuts.bound) == (30.0, 30.0)
    assert (without.objective, without.bound) == (30.0, 36.0)
    assert "cuts" in with_cuts.method
    assert "cuts" not in without.method
