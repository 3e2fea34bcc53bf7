"""From which part of a piece of street a site is reached: against points set close together."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine.sites.catchment import _around, _inside

POINTS = (np.arange(20_000) + 0.5) / 20_000


@pytest.mark.parametrize("seed", range(60))
def test_parts_of_a_piece_are_those_of_its_points(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        low, high = sorted(draw.uniform(0, 1) for _ in range(2))
        x = low + (high - low) * POINTS
        first, last = draw.choice([-1.0, draw.uniform(0, 1.4)]), draw.choice([2.0, draw.uniform(-0.4, 1)])
        round_ends = (x <= first) | (x >= last)
        assert _inside(low, high, min(first, 1.0), max(last, 0.0)) == pytest.approx(
            round_ends.mean(), abs=2e-4
        )
        f, left = draw.uniform(0, 1), draw.uniform(0, 300)
        forward, backward = (draw.choice([-1.0, 0.0, draw.uniform(1, 900)]) for _ in range(2))
        ahead = (x <= f) & (forward >= 0) & ((f - x) * max(forward, 0.0) <= left)
        behind = (x >= f) & (backward >= 0) & ((x - f) * max(backward, 0.0) <= left)
        found = _around(low, high, f, left, forward, backward, first, last)
        assert found == pytest.approx((ahead | behind | round_ends).mean(), abs=2e-4)


@pytest.mark.parametrize(
    ("place", "reached"),
    [(0.1, True), (0.2, True), (0.3, False), (0.4, True), (0.6, True), (0.61, False), (0.9, True)],
)
def test_a_point_is_reached_or_not(place: float, reached: bool) -> None:
    """Site at 0.5, reached directly from 0.4 to 0.6, round the ends up to 0.2 and from 0.8 on."""
    assert _around(place, place, 0.5, 100.0, 1000.0, 1000.0, 0.2, 0.8) == float(reached)
