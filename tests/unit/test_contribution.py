"""What a place counts for on a piece of street: against numerical integration, and each point of a street once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numba import njit

from engine.reach.contribution import contribution, meeting
from engine.reach.decay import Decay
from engine.reach.search import FAR

UNITS = 2.0**30
DECAYS = {
    "step": Decay.step(600),
    "linear": Decay.linear(700),
    "exponential": Decay.exponential(250.0, limit_ms=900),
    "gaussian": Decay.gaussian(300.0, limit_ms=800),
    "power": Decay.power(1.7, limit_ms=900, full_ms=60.0),
}
LINES = {
    "both ways": (100.0, 380.0, 400.0, 250.0),
    "forward only": (100.0, float(FAR), 400.0, -1.0),
    "backward only": (float(FAR), 380.0, -1.0, 250.0),
    "beyond the limit in the middle": (450.0, 950.0, 800.0, 900.0),
    "no time at all": (120.0, 120.0, 0.0, 0.0),
}
"""Time at fraction 0 of what rises and what falls, and what the street takes either way [ms]."""


@njit
def counted(start, stop, left, right, lines, decay):
    rising, falling, up, down = lines
    meet = meeting(rising, falling, up, down)
    return contribution(start, stop, UNITS, left, right, rising, falling, up, down, meet, decay)


def time_at(x: np.ndarray, lines: tuple[float, ...]) -> np.ndarray:
    """The lower of two lines, each only where its way is open."""
    rising, falling, up, down = lines
    ahead = rising + up * x if rising < FAR else np.full(len(x), np.inf)
    return np.minimum(ahead, falling - down * x if falling < FAR else np.inf)


@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize("ways", LINES)
def test_a_piece_counts_what_the_decay_makes_of_it(kind: str, ways: str) -> None:
    for start, stop, left, right in (
        (0.0, 1.0, 0.0, 1.0), (0.2, 0.9, 0.0, 1.0), (0.0, 1.0, 0.3, 0.8), (0.1, 0.5, 0.4, 0.9), (0.6, 0.7, 0.0, 0.65),
    ):  # fmt: skip
        low, high = max(start, left), min(stop, right)
        x = low + (high - low) * (np.arange(200_000) + 0.5) / 200_000
        share = DECAYS[kind].weight(time_at(x, LINES[ways])).mean() * (high - low) / (stop - start)
        found = counted(start, stop, left, right, LINES[ways], DECAYS[kind].row)
        assert found / UNITS == pytest.approx(share, abs=2e-5), (start, stop, left, right)


@pytest.mark.parametrize("ways", LINES)
def test_stretches_that_follow_each_other_count_the_whole(ways: str) -> None:
    lines, borders = LINES[ways], [0.0, 0.17, 0.31, 0.311, 0.9, 1.0]
    parts = [counted(0.05, 0.95, a, b, lines, DECAYS["step"].row) for a, b in pairwise(borders)]
    assert sum(parts) == counted(0.05, 0.95, 0.0, 1.0, lines, DECAYS["step"].row)
    assert counted(0.05, 0.95, 0.95, 1.0, lines, DECAYS["step"].row) == 0, "they touch, and share nothing"
    assert counted(0.5, 0.6, 0.7, 0.9, lines, DECAYS["step"].row) == 0


@pytest.mark.parametrize("ways", ["both ways", "forward only", "backward only", "no time at all"])
@pytest.mark.parametrize("point", [0.0, 0.1, 0.25, 0.7, 0.99, 1.0])
def test_a_point_counts_once_also_where_two_stretches_meet(ways: str, point: float) -> None:
    """On a border it belongs to the stretch before it, unless the way back is closed: then to the one behind it."""
    stretches = list(pairwise([0.0, 0.25, 0.7, 1.0]))
    decay = DECAYS["linear"]
    parts = [counted(point, point, a, b, LINES[ways], decay.row) for a, b in stretches]
    there = [n for n, (a, b) in enumerate(stretches) if a <= point <= b]
    owner = there[-1] if LINES[ways][3] < 0 else there[0]
    expected = UNITS * decay.weight(time_at(np.array([point]), LINES[ways]))[0]
    assert parts == [pytest.approx(expected if n == owner else 0.0, rel=1e-6) for n in range(3)]
