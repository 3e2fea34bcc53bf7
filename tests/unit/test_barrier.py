"""Isochrones keep to their side of the water and of the railway, on towns drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from engine.reach.barrier import Barriers, on_this_side
from engine.reach.isochrone import isochrone_buffer, reached_streets
from engine.reach.outline import isochrone_outline
from tests.towns import Town, exact_snaps, town

BANK = """
A-----------B-----------C
"""
"""240 m of street; whatever lies 20 m north or south of it has no street of its own."""
BRIDGE = """
A-----------B-----------C
            |
            |
            |
            |
D-----------E-----------F
"""
"""Two banks 50 m apart, joined by the bridge BE."""
STEP_DEG = 10.0 / 111_195.0


def beside(t: Town, north_m: float, *, width_m: float = 0.0) -> shapely.Geometry:
    """A line along the town, so far north of its first street, drawn from west to east; or an area around it."""
    y = t.network.lat.max() + north_m * STEP_DEG / 10.0
    west, east = t.network.lon.min() - 0.003, t.network.lon.max() + 0.003
    if width_m:
        half = width_m / 2 * STEP_DEG / 10.0
        return shapely.box(west, y - half, east, y + half)
    return shapely.linestrings([[west, y], [east, y]])


def shapes(t: Town, feature: dict[str, str], geometry: shapely.Geometry, *, seconds: int = 300) -> list:
    """Outline and buffer of everything near A, cut at one feature."""
    start = exact_snaps([t.street["AB"]], [0.0])
    reached = reached_streets(t.network, start, limit_ms=seconds * 1000)
    barriers = Barriers.of([feature], np.array([geometry], dtype=object))
    drawn = [isochrone_outline(t.network, reached), isochrone_buffer(t.network, reached)]
    return [on_this_side(shape, t.network, reached, barriers) for shape in drawn]


def north_of(t: Town, shape: shapely.Geometry) -> float:
    """[m] How far a shape reaches north of the first street."""
    return (shapely.bounds(shape)[3] - t.network.lat.max()) / STEP_DEG * 10.0


@pytest.mark.parametrize(
    "feature",
    [
        {"waterway": "river"},
        {"waterway": "canal", "layer": "-1"},
        {"railway": "rail"},
        {"railway": "rail", "tunnel": "no"},
    ],
)
def test_ground_ends_at_a_line_that_no_street_crosses(feature: dict[str, str]) -> None:
    t = town(BANK)
    for shape in shapes(t, feature, beside(t, 15)):
        assert not shape.is_empty
        assert 10 < north_of(t, shape) <= 15


@pytest.mark.parametrize(
    "feature",
    [
        {"waterway": "river", "tunnel": "culvert"},
        {"railway": "rail", "tunnel": "yes"},
        {"railway": "rail", "bridge": "viaduct"},
        {"railway": "subway"},
        {"waterway": "stream"},
    ],
)
def test_what_is_passed_under_or_over_is_no_barrier(feature: dict[str, str]) -> None:
    t = town(BANK)
    for shape in shapes(t, feature, beside(t, 15)):
        assert north_of(t, shape) > 20


def test_water_is_left_out() -> None:
    t = town(BANK)
    for shape in shapes(t, {"natural": "water"}, beside(t, 17, width_m=6)):
        assert 10 < north_of(t, shape) <= 14.01
    basin = shapely.buffer(shapely.points(t.network.lon[0], t.network.lat.max()), 4 * STEP_DEG / 10)
    for shape in shapes(t, {"natural": "water"}, basin):  # a fountain
        assert shape.covers(shapely.centroid(basin))


def test_land_is_on_the_left_of_a_coast_wherever_it_ends() -> None:
    t = town(BANK)
    coast = shapely.reverse(beside(t, 15))  # from east to west: land in the south
    short = shapely.linestrings(shapely.get_coordinates(coast) + np.array([[-0.004, 0], [0.004, 0]]))
    for line in (coast, short):
        for shape in shapes(t, {"natural": "coastline"}, line):
            assert 10 < north_of(t, shape) <= 15


def test_a_river_is_crossed_on_the_bridge_and_nowhere_else() -> None:
    t = town(BRIDGE)
    river = beside(t, -25, width_m=30)
    middle = beside(t, -25)
    for shape in shapes(t, {"natural": "water"}, river):
        crossed = shapely.intersection(shape, middle)
        metres = shapely.length(crossed) / STEP_DEG * 10.0 * np.cos(np.radians(60.17))
        assert 10 < metres <= 16.5
        far = shapely.points(t.network.lon[t.vertex["F"]], t.network.lat[t.vertex["F"]] - 0.5 * STEP_DEG)
        assert shape.covers(far)
    for shape in shapes(t, {"natural": "water"}, river, seconds=100):  # the bridge begins after 120 s
        assert shapely.bounds(shape)[1] > t.network.lat.max() - 1.01 * STEP_DEG


def test_without_barriers_nothing_is_cut() -> None:
    t = town(BANK)
    reached = reached_streets(t.network, exact_snaps([0], [0.5]), limit_ms=60_000)
    shape = isochrone_outline(t.network, reached)
    assert on_this_side(shape, t.network, reached, Barriers.none()) is shape
    assert on_this_side(shapely.MultiPolygon(), t.network, reached, Barriers.none()).is_empty
