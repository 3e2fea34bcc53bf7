"""The steps from reached streets to an outline, each against asking of every pixel."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.reach import outline
from engine.reach.outline import _NOBODY, _OTHERS, _REACHED

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))
OWNERS = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)),
                elements=st.sampled_from([_NOBODY, _NOBODY, _REACHED, _OTHERS]))  # fmt: skip
SPOT = st.tuples(st.integers(-40, 140), st.integers(-40, 140))


@given(MASKS)
def test_rings_go_round_the_pixels(mask: np.ndarray) -> None:
    label, count = scipy.ndimage.label(mask)
    padded = np.pad(label, 1).astype(np.int32)
    corners = np.empty((4 * int(mask.sum()) + 4, 2), dtype=np.int32)
    rings = np.empty((len(corners) // 4 + 1, 2), dtype=np.int32)
    n = outline._trace(padded, np.zeros(padded.shape, dtype=np.bool_), corners, rings)
    shapes = outline._polygons(corners, rings[: n + 1], np.array([100.0, 200.0]), 10.0)
    assert len(shapes) == count
    for k, found in enumerate(shapes, start=1):
        rows, columns = np.nonzero(label == k)
        x, y = 100 + 10 * columns, 200 + 10 * rows
        pixels = shapely.union_all(shapely.box(x, y, x + 10, y + 10))
        assert found.is_valid or shapely.make_valid(found).area == pixels.area
        assert found.symmetric_difference(pixels).area == 0 if found.is_valid else True
        for ring in (found.exterior, *found.interiors):  # no corner without a turn
            step = np.diff(np.array(ring.coords), axis=0)
            assert (np.count_nonzero(step, axis=1) == 1).all()
            assert (step * np.roll(step, 1, axis=0) == 0).all()


@given(OWNERS, st.sampled_from([1.0, 20.0, 30.0, 100.0]))
def test_courtyards_are_filled_and_what_lies_open_is_not(owner: np.ndarray, pixel: float) -> None:
    found = outline._filled(owner, pixel)
    label, n = scipy.ndimage.label(owner == _NOBODY)
    expected = owner == _REACHED
    for k in range(1, n + 1):
        yard = label == k
        beside = scipy.ndimage.binary_dilation(yard) & ~yard
        rim = yard[[0, -1]].any() or yard[:, [0, -1]].any()
        if not rim and not (owner[beside] == _OTHERS).any() and yard.sum() * pixel**2 <= outline._FILLED_M2:
            expected = expected | yard
    np.testing.assert_array_equal(found, expected)


@given(st.lists(st.tuples(SPOT, SPOT), min_size=1, max_size=3), st.sampled_from([4.0, 7.0]))
def test_pixels_near_a_piece_have_its_distance(pieces: list, pixel: float) -> None:
    rows, columns, radius = 12, 17, 25.0
    west, south = -5.0, 3.0
    window = (west, south, west + columns * pixel, south + rows * pixel, pixel, radius)
    field = np.full((rows, columns), np.inf, dtype=np.float32)
    outline._stamp_reached(np.array([[*a, *b] for a, b in pieces], float), window, field)
    x, y = np.meshgrid(west + (np.arange(columns) + 0.5) * pixel, south + (np.arange(rows) + 0.5) * pixel)
    shapes = [shapely.LineString([a, b]) if a != b else shapely.Point(a) for a, b in pieces]
    away = np.min([shapely.distance(shapely.points(x, y), one) for one in shapes], axis=0)
    near = away <= radius
    assert np.sqrt(field[near]) == pytest.approx(away[near], abs=1e-2)
    assert (np.sqrt(field[~near]) >= away[~near] - 1e-2).all()


@settings(max_examples=60)
@given(
    st.lists(SPOT, min_size=2, max_size=4, unique=True),
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), max_size=4, unique=True).map(sorted),
    st.booleans(),
)
def test_the_rest_of_a_street_is_what_no_part_reaches(points: list, cuts: list[float], square: bool) -> None:
    """Two streets; of the second, parts between pairs of cuts are reached, and the rest is not."""
    cuts = cuts[: len(cuts) // 2 * 2]
    metres = np.array([(-300.0, 0.0), (-300.0, 50.0), *points])
    offsets = np.array([0, 2, len(metres)])
    box = np.array([[*metres[a:b].min(axis=0), *metres[a:b].max(axis=0)] for a, b in ((0, 2), (2, len(metres)))],
                   dtype=np.float32)  # fmt: skip
    parts = (np.full(len(cuts) // 2, 1), np.array(cuts[::2]), np.array(cuts[1::2]))
    pixel, radius = 5.0, 20.0
    window = (-60.0, -60.0, 160.0, 160.0, pixel, radius)
    field = np.full((44, 44), np.inf, dtype=np.float32)
    outline._stamp_others(metres, offsets, box, np.array([False, square]), parts, window, field)
    street = shapely.linestrings(points)
    bounds = [0.0, *cuts, 1.0]
    from shapely.ops import substring

    rest = [
        substring(street, a, b, normalized=True)
        for a, b in zip(bounds[::2], bounds[1::2], strict=True)
        if b > a
    ]
    x, y = np.meshgrid(-60 + (np.arange(44) + 0.5) * pixel, -60 + (np.arange(44) + 0.5) * pixel)
    away = np.full(x.shape, np.inf)
    for piece in rest if not square else []:
        away = np.minimum(away, shapely.distance(shapely.points(x, y), piece))
    near = away <= radius - 0.1
    assert np.sqrt(field[near]) == pytest.approx(away[near], abs=1e-2)
    assert (np.sqrt(field[~near]) >= radius - 0.2).all()


def test_a_pixel_belongs_to_what_is_nearest() -> None:
    """The rim is left to the others: reached streets count as nearer by it; beyond 10 m there is nobody."""
    pixel, radius = 2.0, 10.0
    rim = outline._RIM * pixel
    inside = np.array([[0.0, 25.0, (5 + rim) ** 2 - 0.1, (5 + rim) ** 2 + 0.1, np.inf, np.inf, (9.9 + rim) ** 2,
                        (10.1 + rim) ** 2]], dtype=np.float32)  # fmt: skip
    outside = np.array([[0.0, np.inf, 25.0, 25.0, 99.0, 101.0, np.inf, np.inf]], dtype=np.float32)
    owner = np.zeros(inside.shape, dtype=np.uint8)
    outline._settle(inside, outside, pixel, radius, owner)
    assert owner[0].tolist() == [_OTHERS, _REACHED, _REACHED, _OTHERS, _OTHERS, _NOBODY, _REACHED, _NOBODY]


def test_corners_are_cut_at_a_quarter_of_their_sides() -> None:
    square = np.array([[0, 0], [4, 0], [4, 8], [0, 8], [0, 0.0]])
    cut, offsets = outline._cut_corners(np.vstack([square, square + 100]), np.array([0, 5, 10]))
    assert offsets.tolist() == [0, 9, 18]
    eight = [[1, 0], [3, 0], [4, 2], [4, 6], [3, 8], [1, 8], [0, 6], [0, 2], [1, 0]]
    assert cut[:9].tolist() == eight
    assert cut[9:].tolist() == (np.array(eight) + 100).tolist()
