"""Distances on the sphere."""

from __future__ import annotations

import numpy as np
import pytest

from engine.network.geodesy import EARTH_RADIUS_M, great_circle


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
