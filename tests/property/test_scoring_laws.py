"""Laws of the score: nearer is never worse, another place never harms, bounds hold."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.scoring import Decay, DecayKind, categories_within, fifteen_minute_score

KINDS = get_args(DecayKind)
minutes = st.one_of(st.floats(0, 240), st.just(float("nan")))


@st.composite
def decays(draw: st.DrawFn) -> Decay:
    full, half, zero = sorted(draw(st.lists(st.floats(0.5, 60), min_size=3, max_size=3)))
    return Decay(draw(st.sampled_from(KINDS)), full_min=full, half_min=half, zero_min=zero)


@settings(deadline=None)
@given(decays(), st.floats(0, 240), st.floats(0, 240))
def test_farther_is_never_worth_more(decay: Decay, a: float, b: float) -> None:
    near, far = sorted((a, b))
    assert decay.weight(near) >= decay.weight(far) - 1e-12
    assert 0 <= decay.weight(far) <= 1 + 1e-12
    assert decay.weight(0) == pytest.approx(1)


times = arrays(np.float64, (4, 3), elements=minutes)
weights = arrays(np.float64, (3,), elements=st.floats(0.1, 10))


@settings(deadline=None)
@given(times, weights, decays())
def test_scores_stay_between_0_and_100(t: np.ndarray, w: np.ndarray, decay: Decay) -> None:
    score = fifteen_minute_score(t, weights=w, decay=decay)
    assert ((score >= -1e-9) & (score <= 100 + 1e-9)).all()


@settings(deadline=None)
@given(times, weights, decays(), st.floats(0, 60))
def test_one_more_place_never_harms(t: np.ndarray, w: np.ndarray, decay: Decay, new: float) -> None:
    better = t.copy()
    better[:, 0] = np.fmin(t[:, 0], new)
    before, after = (fifteen_minute_score(x, weights=w, decay=decay) for x in (t, better))
    assert (after >= before - 1e-9).all()
    assert (categories_within(better) >= categories_within(t)).all()


@settings(deadline=None)
@given(times, weights, st.floats(0.1, 100))
def test_only_the_ratio_of_weights_matters(t: np.ndarray, w: np.ndarray, factor: float) -> None:
    np.testing.assert_allclose(
        fifteen_minute_score(t, weights=w * factor), fifteen_minute_score(t, weights=w), atol=1e-9
    )


@settings(deadline=None)
@given(times, st.floats(0, 60), st.floats(0, 60))
def test_counts_grow_with_the_threshold(t: np.ndarray, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert (categories_within(t, threshold_min=low) <= categories_within(t, threshold_min=high)).all()
