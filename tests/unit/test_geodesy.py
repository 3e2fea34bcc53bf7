"""Distances on the sphere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.network.geodesy import EARTH_RADIUS_M, great_circle, hilbert_order
from engine.network.plaza import _metres
from engine.reach import graph


def test_the_other_end_of_the_world_is_half_its_circumference_away() -> None:
    """Antipodes, where the haversine is one: the distance is a number, and the right one."""
    lon, lat = np.meshgrid(np.linspace(-180, 0, 181), np.linspace(-89, 89, 357))
    far = great_circle(lon, lat, lon + 180, -lat)
    assert far == pytest.approx(np.pi * EARTH_RADIUS_M, rel=1e-7)


def test_a_degree_is_longest_along_the_equator() -> None:
    degree = np.pi * EARTH_RADIUS_M / 180
    assert great_circle(10, 0, 11, 0) == pytest.approx(degree)
    assert great_circle(10, 60, 10, 61) == pytest.approx(degree)
    assert great_circle(10, 60, 11, 60) == pytest.approx(degree / 2, rel=1e-4)
    assert great_circle(10, 60, 10, 60) == 0


def test_a_square_on_the_antimeridian_is_as_small_as_anywhere() -> None:
    """Plane coordinates from the first node on, to the short side: 0.2° at 60° north is half of 0.2° at the equator."""
    degree = np.pi * EARTH_RADIUS_M / 180
    for first in (24.9, 179.9, -179.9, -180.0):
        for step in (0.2, -0.2):
            lon = np.array([first, (first + step + 180) % 360 - 180])
            x, y = _metres(lon, np.array([60.0, 60.0]))
            assert x == pytest.approx([0.0, step * degree / 2], abs=1e-3), (first, step)
            assert y == pytest.approx([60 * degree] * 2)
    x, y = _metres(np.array([10.0, 11.0]), np.array([0.0, 120.0]))  # true to scale at the mean latitude
    assert x[1] == pytest.approx(degree / 2)
    assert [len(a) for a in _metres(np.empty(0), np.empty(0))] == [0, 0]


def _hilbert(level: int) -> list[tuple[int, int]]:
    """The curve by Hilbert's own construction: four copies, the first and last of them turned (level 0 is a point)."""
    if level == 0:
        return [(0, 0)]
    n, part = 2 ** (level - 1), _hilbert(level - 1)
    return [
        *((y, x) for x, y in part),
        *((x, y + n) for x, y in part),
        *((x + n, y + n) for x, y in part),
        *((2 * n - 1 - y, n - 1 - x) for x, y in part),
    ]


def test_the_order_is_hilberts_curve() -> None:
    """On a full grid of 16 × 16, in the very order of the construction, up to its symmetry."""
    curve = _hilbert(4)
    spots = [(x, y) for y in range(16) for x in range(16)]
    lon, lat = np.array(spots, dtype=float).T
    found = [spots[i] for i in hilbert_order(lon, lat, np.arange(256))]
    assert all(abs(a - c) + abs(b - d) == 1 for (a, b), (c, d) in pairwise(found))
    assert found in (curve, [(y, x) for x, y in curve])
    for spread in (1e-4, 7.0):  # wherever the points lie, and however far apart
        assert [spots[i] for i in hilbert_order(24.9 + lon * spread, lat * spread, np.arange(256))] == found
    same = np.zeros(3)
    assert hilbert_order(same, same, np.array([7, 3, 5])).tolist() == [1, 2, 0], "of equals the lowest id"
    assert hilbert_order(same[:0], same[:0], np.empty(0, np.int64)).tolist() == []


def test_the_layout_of_searches_follows_the_same_curve() -> None:
    curve = _hilbert(4)
    x, y = np.array([(x, y) for y in range(16) for x in range(16)], dtype=float).T
    for scale, shift in ((1.0, 0.0), (250.0, -4_000.0), (0.01, 1e6)):
        order = graph.hilbert_order(x * scale + shift, y * scale - shift)
        found = list(zip(x[order], y[order], strict=True))
        assert found in (curve, [(b, a) for a, b in curve])
    assert graph.hilbert_order(np.full(3, 7.0), np.full(3, 8.0)).tolist() == [0, 1, 2]
    assert graph.hilbert_order(np.empty(0), np.empty(0)).tolist() == []
