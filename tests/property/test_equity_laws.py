"""Laws of inequality: scale, replication, transfers, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.equity import (
    concentration_index,
    gini,
    palma_ratio,
    poverty_fgt,
    theil,
    weighted_quantile,
    worst_decile,
)

values = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=25)
MEASURES = [gini, theil, palma_ratio]


def people(draw_from: list[float], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 9, len(draw_from)).astype(float)


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99), factor=st.floats(0.01, 100))
def test_the_unit_does_not_matter(measure, y, seed, factor) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    assert measure(np.array(y) * factor, w) == pytest.approx(measure(y, w), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99), factor=st.floats(0.1, 100))
def test_the_size_of_the_city_does_not_matter(measure, y, seed, factor) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    assert measure(y, w * factor) == pytest.approx(measure(y, w), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99))
def test_weights_are_residents(measure, y, seed) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    one_by_one = np.repeat(y, w.astype(int))
    assert measure(one_by_one, np.ones(len(one_by_one))) == pytest.approx(measure(y, w), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99))
def test_relabelling_does_not_matter(measure, y, seed) -> None:  # type: ignore[no-untyped-def]
    w, order = people(y, seed), np.random.default_rng(seed + 1).permutation(len(y))
    assert measure(np.array(y)[order], w[order]) == pytest.approx(measure(y, w), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("measure", [gini, theil])
@settings(deadline=None)
@given(y=values, part=st.floats(0.01, 0.5), seed=st.integers(0, 99))
def test_a_gift_from_rich_to_poor_never_makes_it_worse(measure, y, part, seed) -> None:  # type: ignore[no-untyped-def]
    assume(len(y) > 1)
    rng = np.random.default_rng(seed)
    i, j = rng.choice(len(y), 2, replace=False)
    after = np.array(y)
    gift = part * abs(after[i] - after[j])
    rich, poor = (i, j) if after[i] > after[j] else (j, i)
    after[rich] -= gift
    after[poor] += gift
    ones = np.ones(len(y))
    assert measure(after, ones) <= measure(y, ones) + 1e-9


@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99))
def test_bounds(y, seed) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    assert -1e-12 <= gini(y, w) < 1
    assert 0 <= theil(y, w) <= np.log(w.sum()) + 1e-9
    assert palma_ratio(y, w) >= 0.25 - 1e-9
    income = np.random.default_rng(seed).integers(0, 5, len(y))
    index = concentration_index(y, w, rank=income)
    assert abs(index) <= gini(y, w) + 1e-9
    assert concentration_index(y, w, rank=-income) == pytest.approx(-index, abs=1e-9)


@settings(deadline=None)
@given(
    y=st.lists(st.floats(0, 200), min_size=1, max_size=25), seed=st.integers(0, 99), later=st.floats(0, 30)
)
def test_poverty_is_ordered_and_grows_with_time(y, seed, later) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    shares = [poverty_fgt(y, w, line_min=15, power=p) for p in (0, 1, 2)]
    assert 1 >= shares[0] >= shares[1] >= shares[2] >= 0
    for p in (0, 1, 2):
        assert poverty_fgt(np.array(y) + later, w, line_min=15, power=p) >= shares[p] - 1e-12


@settings(deadline=None)
@given(y=values, seed=st.integers(0, 99), q=st.floats(0, 1))
def test_tails_lie_where_they_should(y, seed, q) -> None:  # type: ignore[no-untyped-def]
    w = people(y, seed)
    mean = float((np.array(y) * w).sum() / w.sum())
    low, high = worst_decile(y, w), worst_decile(y, w, more_is_better=False)
    assert min(y) - 1e-9 <= low <= mean * (1 + 1e-9) <= high * (1 + 1e-8)
    assert high <= max(y) * (1 + 1e-9)
    assert weighted_quantile(y, w, q) in y
