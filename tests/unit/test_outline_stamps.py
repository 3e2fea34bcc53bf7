"""Distances of pixels to what is left of streets beside their reached parts, against shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.ops import substring

from engine.reach import outline

PIXEL, RADIUS, SIDE = 5.0, 30.0, 24
WINDOW = (0.0, 0.0, SIDE * PIXEL, SIDE * PIXEL, PIXEL, RADIUS)
CENTRES = (np.arange(SIDE) + 0.5) * PIXEL
PIXELS = shapely.points(*np.meshgrid(CENTRES, CENTRES))


def expected(lines: list[shapely.LineString]) -> np.ndarray:
    """Squared distances, those beyond the radius as the radius."""
    away = [shapely.distance(PIXELS, line) for line in lines]
    return np.minimum(np.min([np.full(PIXELS.shape, RADIUS), *away], axis=0), RADIUS) ** 2


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_left_of_streets(seed: int, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python as well as compiled: there no index beyond an array goes unnoticed."""
    for name in () if compiled else ("_stamp_part", "_stamp", "length_of"):
        monkeypatch.setattr(outline, name, getattr(outline, name).py_func)
    rng = np.random.default_rng(seed)
    lines = [shapely.LineString(rng.uniform(0, SIDE * PIXEL, (n, 2))) for n in (2, 3, 4, 2, 3, 2)]
    crossing = np.array([False, False, True, False, False, False])
    parts = [(0, 0.2, 0.5), (0, 0.7, 1.0), (2, 0.0, 0.4), (3, 0.0, 1.0), (5, 0.1, 0.6), (5, 0.6, 0.9)]
    left = {0: [(0, 0.2), (0.5, 0.7)], 1: [(0, 1)], 2: [], 3: [], 4: [(0, 1)], 5: [(0, 0.1), (0.9, 1)]}
    metres = np.concatenate([shapely.get_coordinates(line) for line in lines])
    offsets = np.concatenate([[0], np.cumsum([len(line.coords) for line in lines])]).astype(np.int64)
    box = np.array([line.bounds for line in lines], np.float32)
    street, start, stop = (np.array(column) for column in zip(*parts, strict=True))
    field = np.full((SIDE, SIDE), RADIUS**2, np.float32)
    stamp = outline._stamp_others if compiled else outline._stamp_others.py_func
    stamp(metres, offsets, box, crossing, (street.astype(np.int32), start, stop), WINDOW, field)
    rest = [substring(lines[s], a, b, normalized=True) for s, some in left.items() for a, b in some]
    assert np.minimum(field, RADIUS**2) == pytest.approx(expected(rest), abs=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_straight_pieces(seed: int) -> None:
    segments = np.random.default_rng(seed).uniform(-20, 140, (5, 4))
    segments[0, 2:] = segments[0, :2]  # of no length
    field = np.full((SIDE, SIDE), RADIUS**2, np.float32)
    outline._stamp_reached(segments, WINDOW, field)
    lines = [shapely.LineString([s[:2], s[2:]]) for s in segments]
    assert np.minimum(field, RADIUS**2) == pytest.approx(expected(lines), abs=0.1)
