"""Equity measures, each solved by hand and against the textbook's definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.equity import (
    concentration_index,
    equity_summary,
    gini,
    palma_by_income,
    palma_ratio,
    poverty_fgt,
    theil,
    weighted_mean,
    weighted_quantile,
    worst_decile,
)
from engine.errors import InputError

NAN = float("nan")


def test_gini_by_hand() -> None:
    """
    1, 2, 3, 4 with one resident each: mean absolute difference 20/16 = 1.25, twice the mean 5.

    Sum over ordered pairs |yi − yj| = 2·(1+2+3+1+2+1) = 20; 20 / (2 · 16 · 2.5) = 0.25.
    """
    assert gini([1, 2, 3, 4], [1, 1, 1, 1]) == pytest.approx(0.25)
    assert gini([4, 1, 3, 2], [1, 1, 1, 1]) == pytest.approx(0.25)
    assert gini([1, 3], [3, 1]) == pytest.approx(gini([1, 1, 1, 3], [1, 1, 1, 1]))
    assert gini([7, 7, 7], [1, 5, 2]) == pytest.approx(0, abs=1e-15)


def test_gini_is_the_mean_difference() -> None:
    rng = np.random.default_rng(5)
    y, w = rng.gamma(2, 10, 40), rng.integers(0, 9, 40).astype(float)
    pairs = np.abs(y[:, None] - y[None, :]) * w[:, None] * w[None, :]
    mean = (y * w).sum() / w.sum()
    assert gini(y, w) == pytest.approx(pairs.sum() / (2 * w.sum() ** 2 * mean), rel=1e-12)


def test_theil_by_hand() -> None:
    """Values 1 and 3, mean 2: ½·(½ ln ½ + 1½ ln 1½)."""
    expected = 0.5 * (0.5 * math.log(0.5) + 1.5 * math.log(1.5))
    assert theil([1, 3], [1, 1]) == pytest.approx(expected)
    assert theil([1, 3, 99], [2, 2, 0]) == pytest.approx(expected)
    assert theil([0, 0, 0, 8], [1, 1, 1, 1]) == pytest.approx(math.log(4))
    assert theil([5, 5], [1, 2]) == pytest.approx(0, abs=1e-15)


def test_palma_by_hand() -> None:
    """Ten residents with 1…10: the top one holds 10, the bottom four hold 10."""
    assert palma_ratio(np.arange(1, 11), np.ones(10)) == pytest.approx(1.0)
    assert palma_ratio([1, 1], [3, 8]) == pytest.approx(0.25)


def test_palma_divides_the_cell_at_the_limit() -> None:
    """Two cells: 95 residents with 1, 5 with 20. Top 10 % = 5·20 + 5·1 = 105; bottom 40 % = 40."""
    assert palma_ratio([1, 20], [95, 5]) == pytest.approx(105 / 40)
    assert palma_ratio([0, 1], [50, 50]) == math.inf


def test_palma_by_income_compares_means() -> None:
    """The richest tenth has 30 on average, the poorest four tenths (10·4 + 20·0) 10."""
    income = np.arange(10)
    value = np.array([10, 10, 10, 10, 20, 20, 20, 20, 20, 30])
    assert palma_by_income(value, np.ones(10), income=income) == pytest.approx(3.0)


def test_concentration_by_hand() -> None:
    """Two equal groups; the poor have 10, the rich 30: the curve passes (½, ¼), the area between is ⅛."""
    assert concentration_index([10, 30], [1, 1], rank=[1, 2]) == pytest.approx(0.25)
    assert concentration_index([30, 10], [1, 1], rank=[1, 2]) == pytest.approx(-0.25)
    assert concentration_index([10, 30], [1, 1], rank=[5, 5]) == pytest.approx(0, abs=1e-15)


def test_concentration_is_twice_the_covariance_with_the_rank() -> None:
    rng = np.random.default_rng(3)
    y, w, income = rng.gamma(2, 5, 60), rng.integers(1, 9, 60).astype(float), rng.integers(0, 12, 60)
    share = w / w.sum()
    rank = np.array([share[income < i].sum() + 0.5 * share[income == i].sum() for i in income])
    mean = (share * y).sum()
    covariance = (share * (y - mean) * (rank - 0.5)).sum()
    assert concentration_index(y, w, rank=income) == pytest.approx(2 * covariance / mean, rel=1e-10)


def test_unknown_incomes_are_left_out() -> None:
    with_unknown = concentration_index([10, 30, 99], [1, 1, 7], rank=[1, 2, NAN])
    assert with_unknown == pytest.approx(0.25)


def test_fgt_by_hand() -> None:
    """
    Four residents at 10, 15, 18 and 30 minutes, line 15: two are poor, depths 3/15 and 15/15.

    FGT0 = 2/4; FGT1 = (0.2 + 1)/4; FGT2 = (0.04 + 1)/4.
    """
    t, w = [10, 15, 18, 30], [1, 1, 1, 1]
    assert [poverty_fgt(t, w, line_min=15, power=p) for p in (0, 1, 2)] == pytest.approx([0.5, 0.3, 0.26])
    assert poverty_fgt([10, 15, 18, NAN], w, line_min=15, power=1) == pytest.approx(0.3)
    assert poverty_fgt([10, 15, 18, math.inf], w, line_min=15, power=1) == pytest.approx(0.3)
    assert poverty_fgt([500], [1], line_min=15, power=2) == 1


def test_worst_decile_by_hand() -> None:
    """100 residents: 4 have 0, 90 have 50, 6 have 100. The worst ten: 4·0 + 6·50 = 300."""
    assert worst_decile([0, 50, 100], [4, 90, 6]) == pytest.approx(30)
    assert worst_decile([0, 50, 100], [4, 90, 6], more_is_better=False) == pytest.approx(
        (6 * 100 + 4 * 50) / 10
    )
    assert worst_decile([NAN, 7], [50, 50]) == 7


def test_mean_and_quantile() -> None:
    assert weighted_mean([1, NAN, 4], [3, 9, 1]) == pytest.approx(1.75)
    assert weighted_quantile([30, 10, 20], [1, 2, 1], 0.5) == 10
    assert weighted_quantile([30, 10, 20], [1, 2, 1], 0.51) == 20
    assert weighted_quantile([30, 10, 20], [1, 2, 1], 1.0) == 30


@pytest.mark.parametrize("measure", [gini, theil, palma_ratio])
def test_nothing_to_share_has_no_inequality(measure) -> None:  # type: ignore[no-untyped-def]
    assert math.isnan(measure([], []))
    assert math.isnan(measure([0, 0], [1, 1]))
    assert math.isnan(measure([3, 4], [0, 0]))
    assert math.isnan(measure([NAN], [1]))


def test_nobody_at_all() -> None:
    assert math.isnan(poverty_fgt([], [], line_min=15, power=1))
    assert math.isnan(worst_decile([3], [0]))
    assert math.isnan(weighted_quantile([], [], 0.5))
    assert math.isnan(palma_by_income([], [], income=[]))


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(InputError, match="at least 0"):
        gini([-1, 2], [1, 1])
    with pytest.raises(InputError, match="weights reach from -1"):
        gini([1, 2], [-1, 1])
    with pytest.raises(InputError, match="one weight a value"):
        weighted_mean([1, 2], [1])
    with pytest.raises(InputError, match="power of 0, 1 or 2"):
        poverty_fgt([1], [1], line_min=15, power=3)
    with pytest.raises(InputError, match="line > 0"):
        poverty_fgt([1], [1], line_min=0, power=1)


def test_the_summary_is_ready_for_json() -> None:
    summary = equity_summary([10.0, 20.0], [1, 1], income=[1, 2], threshold=15, more_is_better=False)
    assert set(summary) == {
        *("gini", "theil", "palma", "worst_decile", "fgt0", "fgt1", "fgt2", "concentration", "palma_income")
    }
    assert summary["fgt0"] == 0.5
    assert summary["worst_decile"] == 20
    assert equity_summary([NAN], [1])["gini"] is None
    assert equity_summary([0.0, 1.0], [1, 1])["palma"] is None
