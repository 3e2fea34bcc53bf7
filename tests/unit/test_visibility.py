"""The geometry of sight lines: on the boundary, inside, in view, each against shapely and at its tolerance."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from engine.network import visibility
from engine.network.plaza import open_areas
from engine.network.visibility import TOUCH_M
from tests.osm_town import plain_extract

#  4 +-----+     +-----+     a U of two towers on a base, with a pond in the base
#    |     |     |     |
#  2 |     +-----+     |
#    |       [ ]       |
#  0 +-----------------+
#    0     2     4     6
OUTER = [(0, 0), (6, 0), (6, 4), (4, 4), (4, 2), (2, 2), (2, 4), (0, 4)]
POND = [(2.5, 0.5), (2.5, 1.5), (3.5, 1.5), (3.5, 0.5)]
PLAZA = shapely.Polygon(OUTER, [POND])
STARTS = np.array([0, 8, 12])
SPOTS = [*product((0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0), (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0))]


def rings(shift: float = 0.0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    x, y = np.array([*OUTER, *POND], dtype=float).T
    return x + shift, y - shift


def sees(p: tuple[float, float], q: tuple[float, float], shift: float = 0.0) -> bool:
    x, y = rings(shift)
    cuts = np.empty(len(x) + 1)
    return bool(visibility._sees(p[0] + shift, p[1] - shift, q[0] + shift, q[1] - shift, x, y, STARTS, cuts))


@pytest.mark.parametrize("shift", [0.0, 500.0, -300.0])
def test_points_see_each_other_where_the_line_stays_inside(shift: float) -> None:
    inside = [s for s in SPOTS if PLAZA.covers(shapely.Point(s))]
    assert len(inside) > 40
    for n, p in enumerate(inside):
        for q in inside[n + 1 :]:
            expected = PLAZA.covers(shapely.LineString([p, q]))
            assert sees(p, q, shift) == expected, (p, q)
            assert sees(q, p, shift) == expected, (q, p)


def test_a_point_does_not_see_itself() -> None:
    assert not sees((1, 1), (1, 1))
    assert not sees((1, 1), (1, 1 + TOUCH_M / 2))
    assert sees((1, 1), (1, 1 + TOUCH_M * 2))


def test_a_line_that_grazes_a_corner_by_less_than_the_tolerance_is_free() -> None:
    """From one tower to the other past the corner (2, 2) of the gap."""
    for off, free in ((-2.0, True), (-0.5, True), (0.5, True), (2.0, False)):
        rise = off * TOUCH_M
        assert sees((0, 2 + rise), (6, 2 + rise)) is free, off


def test_a_wall_that_ends_on_the_line_blocks_only_if_it_leads_on() -> None:
    assert sees((1, 4), (1, 0))
    assert not sees((0, 1), (6, 1)), "the pond"
    assert sees((0, 0.5), (6, 0.5)), "along its edge"
    assert not sees((0, 0.5), (6, 0.6))
    assert not sees((2, 4), (4, 4)), "across the gap, from corner to corner"


@pytest.mark.parametrize("shift", [0.0, 500.0])
def test_even_odd_rule(shift: float) -> None:
    x, y = rings(shift)
    grid = product(np.arange(-0.75, 7, 0.5), np.arange(-0.75, 5, 0.5))
    for px, py in grid:
        expected = PLAZA.contains(shapely.Point(px, py))
        assert visibility._inside(px + shift, py - shift, x, y, STARTS) == expected, (px, py)


@pytest.mark.parametrize("shift", [0.0, 500.0])
def test_the_boundary_is_as_wide_as_its_tolerance(shift: float) -> None:
    x, y = rings(shift)
    corners = [(cx, cy) for cx, cy in (*OUTER, *POND)]
    middles = [((ax + bx) / 2, (ay + by) / 2) for (ax, ay), (bx, by) in pairwise(OUTER)]
    nine = [
        (0.0, 0.0),
        *((r * np.cos(a), r * np.sin(a)) for r in (0.6, 1.4) for a in np.arange(8) * np.pi / 4),
    ]
    lines = PLAZA.boundary
    hits = 0
    for (cx, cy), (dx, dy) in product([*corners, *middles, (1.0, 1.0), (3.0, 3.0)], nine):
        px, py = cx + dx * TOUCH_M, cy + dy * TOUCH_M
        expected = lines.distance(shapely.Point(px, py)) < TOUCH_M
        hits += expected
        assert visibility._on_boundary(px + shift, py - shift, x, y, STARTS) == expected, (px, py)
    assert 200 < hits < 18 * 17 + 17


def test_the_boundary_ends_where_its_edges_end() -> None:
    """Beside the line through an edge, but beyond its ends; and an edge of no length is a point."""
    x, y, starts = np.array([0.0, 10.0, 10.0, 10.0]), np.array([0.0, 0.0, 0.0, 5.0]), np.array([0, 4])
    for point, expected in {(5, 0): True, (12, 0): False, (-2, 0): False, (10, 0): True, (10, 5): True,
                            (5, 2.5): True, (5, 1): False, (10, -1): False}.items():  # fmt: skip
        assert visibility._on_boundary(*map(float, point), x, y, starts) == expected, point


@pytest.mark.parametrize("turn", [1, -1])
def test_ways_bend_where_the_boundary_bends_in(turn: int) -> None:
    """At the two inner corners of the gap and at all four of the pond, whichever way round the rings run."""
    outer, pond = OUTER[::turn], POND[::turn]
    x, y = np.array([*outer, *pond], dtype=float).T
    found = visibility._corners(x, y, STARTS)
    assert {(a, b) for a, b, bends in zip(x, y, found, strict=True) if bends} == {(4, 2), (2, 2), *POND}


def test_places_are_thinned_evenly() -> None:
    chosen = np.arange(10, 20)
    assert visibility._take_evenly(chosen.copy(), 10, 10) == 10
    kept = chosen.copy()
    assert visibility._take_evenly(kept, 10, 4) == 4
    assert kept[:4].tolist() == [10, 12, 15, 17]
    kept = chosen.copy()
    assert (visibility._take_evenly(kept, 3, 4), kept.tolist()) == (3, chosen.tolist())


def test_the_first_place_at_least_so_far() -> None:
    values = np.array([1.0, 2.0, 2.0, 5.0])
    wanted = {0.0: 0, 1.0: 0, 1.5: 1, 2.0: 1, 2.5: 3, 5.0: 3, 6.0: 4}
    assert {w: visibility._first_at_least(values, w) for w in wanted} == wanted
    assert visibility._first_at_least(values[:0], 1.0) == 0


def test_a_line_shortens_every_distance_that_it_can() -> None:
    """Floyd and Warshall's closure, kept up to date edge by edge, on a ring of six with two chords."""
    n = 6
    distance = np.full((n, n), np.inf)
    np.fill_diagonal(distance, 0)
    lines = {
        (0, 1): 3.0,
        (1, 2): 4.0,
        (3, 4): 2.0,
        (4, 5): 1.0,
        (2, 3): 5.0,
        (5, 0): 9.0,
        (0, 3): 2.0,
        (1, 5): 2.5,
    }
    for (i, j), length in lines.items():
        visibility._relax(distance, n, i, j, length)
    expected = np.full((n, n), np.inf)
    np.fill_diagonal(expected, 0)
    for (i, j), length in lines.items():
        expected[i, j] = expected[j, i] = length
    for k in range(n):
        expected = np.minimum(expected, expected[:, [k]] + expected[[k]])
    assert distance == pytest.approx(expected)


def test_ways_along_the_boundary_go_both_ways_round() -> None:
    """The outer ring, of 6 + 4 + 2 + 2 + 2 + 2 + 2 + 4 m, with points at corners 0, 2 and 6, one inside."""
    x, y = rings()
    places = np.array([6, -1, 0, 2, 9])  # (2, 4), inside, (0, 0), (6, 4), a corner of the pond
    distance = np.full((5, 5), np.inf)
    np.fill_diagonal(distance, 0)
    visibility._along_boundary(distance, places, x, y, STARTS)
    expected = np.full((5, 5), np.inf)
    np.fill_diagonal(expected, 0)
    expected[2, 3] = expected[3, 2] = 6 + 4
    expected[0, 2] = expected[2, 0] = 2 + 4
    expected[0, 3] = expected[3, 0] = 2 + 2 + 2 + 2
    assert distance == pytest.approx(expected), (
        "alone on its ring, the corner of the pond has no way to itself"
    )
    two = np.where(np.eye(2), 0.0, np.inf)
    visibility._along_boundary(two, np.array([8, 10]), x, y, STARTS)
    assert two[0, 1] == two[1, 0] == pytest.approx(2.0), "round the pond"
    short = np.where(np.eye(2), 0.0, 1.5)
    visibility._along_boundary(short, np.array([8, 10]), x, y, STARTS)
    assert short[0, 1] == 1.5, "a shorter way stays"


def test_rings_of_one_relation_are_one_area_and_closed_ways_are_each_their_own() -> None:
    """Ways 1 and 5 are plain squares; 2 and 4 are rings of relation 9, 3 and 6 of relation 7; 7 is not closed."""
    nodes = {n: (n / 1000, n % 3 / 1000) for n in range(1, 30)}
    of = [0, 9, 7, 9, 0, 7, 0]
    ways = [([4 * k + 1, 4 * k + 2, 4 * k + 3, 4 * k + 1], {"highway": "pedestrian"}) for k in range(6)]
    ways.append(([25, 26, 27, 28], {"highway": "pedestrian"}))
    extract = plain_extract(nodes, ways)
    extract = replace(extract, ways=extract.ways.assign(area_of=np.array(of, np.int64)))
    areas = open_areas(extract, np.ones(7, dtype=bool))
    assert areas.way.tolist() == [0, 4, 2, 1]
    assert areas.area_start.tolist() == [0, 1, 2, 4, 6]
    assert np.diff(areas.ring_start).tolist() == [3] * 6
    rows = np.array([0, 4, 2, 5, 1, 3])
    assert extract.node_id[areas.nodes].reshape(6, 3).tolist() == [
        [4 * k + 1, 4 * k + 2, 4 * k + 3] for k in rows
    ]
    some = open_areas(extract, np.arange(7) != 1)
    assert some.way.tolist() == [0, 4, 2, 3]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 17, 40])
def test_the_shortest_comes_first_and_of_equals_the_first(n: int) -> None:
    for seed in range(20):
        length = np.random.default_rng(seed).integers(0, max(n // 2, 1), n).astype(float)
        found = visibility._shortest_first(length)
        assert found.tolist() == np.lexsort((np.arange(n), length)).tolist()
