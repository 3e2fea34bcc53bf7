"""What a stretch of street counts for: the mean weight between two times, against numerical integration."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from scipy.integrate import quad

from engine.reach.decay import Decay, mean_weight

DECAYS = {
    "step": Decay.step(600),
    "linear": Decay.linear(700),
    "linear cut short": Decay("linear", 500, 700.0),
    "logistic": Decay.logistic(400, 90.0, limit_ms=650),
    "exponential": Decay.exponential(250.0, limit_ms=900),
    "gaussian": Decay.gaussian(300.0, limit_ms=800),
    "inverse": Decay.power(1.0, limit_ms=900, full_ms=60.0),
    "power": Decay.power(1.7, limit_ms=900, full_ms=60.0),
    "time": Decay("time", 640),
}
STRETCHES = [
    (0, 40),
    (0, 500),
    (30, 90),
    (100, 450),
    (390, 410),
    (450, 1200),
    (0, 2000),
    (880, 899),
    (899, 901),
]


@njit
def averaged(decay, low, high):
    return mean_weight(decay, low, high)


def by_definition(decay: Decay, t: float) -> float:
    s, m = decay.scale_ms, decay.shape
    if t > decay.limit_ms:
        return 0.0
    return {
        "step": lambda: 1.0,
        "linear": lambda: max(1 - t / s, 0.0),
        "logistic": lambda: 1 / (1 + np.exp((t - m) / s)),
        "exponential": lambda: np.exp(-t / s),
        "gaussian": lambda: np.exp(-(t**2) / (2 * s**2)),
        "power": lambda: 1.0 if t <= s else (t / s) ** -m,
        "time": lambda: t,
    }[decay.kind]()


@pytest.mark.parametrize("name", DECAYS)
def test_the_mean_of_a_stretch_is_the_integral_over_its_length(name: str) -> None:
    decay = DECAYS[name]
    for low, high in STRETCHES:
        ends = sorted({low, high, *(e for e in (60, 400, 700, decay.limit_ms) if low < e < high)})
        area = sum(
            quad(lambda t: by_definition(decay, t), a, b)[0] for a, b in pairwise(ends) if a < decay.limit_ms
        )
        found = averaged(decay.row, float(low), float(high))
        assert found == pytest.approx(area / (high - low), rel=1e-7, abs=1e-12), (low, high)


@pytest.mark.parametrize("name", DECAYS)
def test_where_all_is_equally_far_the_mean_is_the_weight(name: str) -> None:
    """The limit itself still counts, and nothing beyond it; a stretch of no length is a point."""
    decay = DECAYS[name]
    for t in (0.0, 30.0, 60.0, 61.0, 399.0, 500.0, float(decay.limit_ms)):
        expected = by_definition(decay, t)
        assert averaged(decay.row, t, t) == pytest.approx(expected, rel=1e-12, abs=1e-15), t
        assert decay.weight(t) == pytest.approx(expected, rel=1e-12, abs=1e-15), t
        if t < decay.limit_ms:
            assert averaged(decay.row, t, t + 0.0005) == pytest.approx(expected, rel=1e-5, abs=1e-3)
            assert averaged(decay.row, t, t + 0.01) == pytest.approx(expected, rel=1e-3, abs=0.01)
    beyond = decay.limit_ms + 1.0
    assert averaged(decay.row, beyond, beyond) == averaged(decay.row, beyond, beyond + 9) == 0.0
    assert averaged(decay.row, decay.limit_ms + 0.0001, decay.limit_ms + 0.0002) == 0.0
    assert averaged(decay.row, decay.limit_ms - 0.0001, decay.limit_ms + 0.0003) == 0.0, (
        "its middle is beyond"
    )


def test_the_far_end_of_a_logistic_does_not_overflow() -> None:
    decay = Decay.logistic(400, 0.5, limit_ms=2_000_000)
    assert averaged(decay.row, 0.0, 800.0) == pytest.approx(0.5)
    assert averaged(decay.row, 1_000_000.0, 1_999_999.0) == pytest.approx(0.0, abs=1e-12)
