"""Cells of an area and the street pieces inside them."""

from __future__ import annotations

import dataclasses

import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely

from engine.cells import _clip_to_rings, cell_centres, cell_polygons, cells_in_area, street_pieces
from engine.errors import InputError
from engine.network.build import build_network
from engine.network.profile import ModeProfile
from engine.snapping import local_metres
from tests.osm_town import plain_extract
from tests.towns import Town, town

CENTRE = shapely.box(24.935, 60.165, 24.953, 60.178)


@pytest.fixture
def cross() -> Town:
    return town(
        """
          B
          |
          |
A---------E---------C
          |
          |
          D
        """,
        step_m=50.0,
    )


def area_of(t: Town, *, by: float = 0.004) -> np.ndarray:
    n = t.network
    box = shapely.box(n.lon.min() - by, n.lat.min() - by, n.lon.max() + by, n.lat.max() + by)
    return cells_in_area(box, resolution=10)


def test_cells_are_those_whose_centre_is_inside() -> None:
    cells = cells_in_area(CENTRE, resolution=10)
    assert (np.diff(cells.astype(np.int64)) > 0).all()
    assert shapely.contains_xy(CENTRE, *cell_centres(cells).T).all()
    around = np.unique(np.concatenate([h3.grid_disk(int(c), 1) for c in cells]))
    outside = np.setdiff1d(around, cells)
    assert not shapely.contains_xy(CENTRE, *cell_centres(outside).T).any()


def test_a_tiny_area_has_one_cell() -> None:
    tiny = shapely.box(24.94, 60.17, 24.94001, 60.17001)
    assert cells_in_area(tiny, resolution=10).tolist() == [h3.latlng_to_cell(60.170005, 24.940005, 10)]


def test_a_boundary_without_area_gets_the_cell_of_its_middle() -> None:
    flat = shapely.box(24.94, 60.17, 24.96, 60.17)
    assert cells_in_area(flat, resolution=10).tolist() == [h3.latlng_to_cell(60.17, 24.95, 10)]


def test_parts_and_holes() -> None:
    hole = shapely.box(24.942, 60.170, 24.947, 60.174)
    parts = shapely.MultiPolygon([CENTRE.difference(hole), hole])
    assert cells_in_area(parts, resolution=10).tolist() == cells_in_area(CENTRE, resolution=10).tolist()
    assert len(cells_in_area(CENTRE.difference(hole), resolution=10)) < len(
        cells_in_area(CENTRE, resolution=10)
    )


@pytest.mark.parametrize(
    ("boundary", "said"),
    [
        (shapely.Polygon(), "EMPTY"),
        (shapely.Point(24.9, 60.1), "Point"),
        (shapely.box(385000, 6671000, 386000, 6672000), "degrees"),
    ],
)
def test_unusable_boundaries_are_refused(boundary: shapely.Geometry, said: str) -> None:
    with pytest.raises(InputError, match=said):
        cells_in_area(boundary, resolution=10)


def test_polygons_hold_their_centres_and_touch() -> None:
    cells = cells_in_area(CENTRE, resolution=9)
    polygons = cell_polygons(cells)
    assert shapely.contains_xy(polygons, *cell_centres(cells).T).all()
    assert shapely.area(shapely.union_all(polygons)) == pytest.approx(shapely.area(polygons).sum(), rel=1e-9)
    assert len(cell_polygons(cells[:0])) == 0


def test_a_cell_across_the_date_line_is_not_torn() -> None:
    cell = np.array([h3.latlng_to_cell(-16.5, 180.0, 7)], dtype=np.uint64)
    assert np.ptp(shapely.get_coordinates(cell_polygons(cell))[:, 0]) < 1


def test_pieces_add_up_to_the_streets(cross: Town) -> None:
    pieces = street_pieces(cross.network, area_of(cross))
    for street, length in enumerate(cross.network.length_m):
        mine = (pieces.street == street) & (pieces.length_m > 0)
        assert pieces.length_m[mine].sum() == pytest.approx(length, rel=1e-9)
        order = np.argsort(pieces.start[mine])
        assert pieces.start[mine][order][1:] == pytest.approx(pieces.stop[mine][order][:-1], abs=1e-9)
    assert (np.diff(pieces.cell) >= 0).all()
    assert pieces.offsets[-1] == len(pieces.cell)
    assert pieces.street_length_m.sum() == pytest.approx(cross.network.length_m.sum())


def test_each_piece_lies_in_its_cell(cross: Town) -> None:
    pieces = street_pieces(cross.network, area_of(cross))
    inside = pieces.length_m > 0
    line = cross.network.geometry[pieces.street]
    middle = shapely.line_interpolate_point(line, 0.5 * (pieces.start + pieces.stop), normalized=True)
    home = [h3.latlng_to_cell(p.y, p.x, 10) for p in middle[inside]]
    assert home == pieces.cells[pieces.cell[inside]].tolist()


def test_cells_without_streets_take_the_nearest_or_none(cross: Town) -> None:
    pieces = street_pieces(cross.network, area_of(cross, by=0.01), max_snap_m=250)
    point = pieces.start == pieces.stop
    assert point.any()
    assert pieces.no_network.any()
    assert (pieces.length_m[point] == 0).all()
    assert (pieces.access_ms[point] > 0).all()
    assert (pieces.access_ms[point] <= 250 * 720).all()  # 250 m at 5 km/h, 720 ms a metre
    assert (pieces.access_ms[~point] == 0).all()
    assert sorted({*pieces.cell.tolist(), *np.flatnonzero(pieces.no_network).tolist()}) == list(
        range(pieces.n_cells)
    )


def test_streets_where_no_trip_starts_are_left_out(cross: Town) -> None:
    network = cross.network
    ok = np.arange(len(network.streets)) != cross.street["AE"]
    closed = dataclasses.replace(network, streets=network.streets.assign(origin_ok=ok))
    pieces = street_pieces(closed, area_of(cross))
    assert cross.street["AE"] not in pieces.street
    assert cross.street["EC"] in pieces.street


def test_a_network_without_streets() -> None:
    t = town("A")
    pieces = street_pieces(t.network, area_of(t))
    assert pieces.no_network.all()
    assert len(pieces.cell) == 0


def test_a_cell_at_a_junction_may_leave_by_any_street() -> None:
    t = town("A--<--B>--C", step_m=1.0)  # B is left by both streets and entered by none; A is entered
    pieces = street_pieces(t.network, area_of(t, by=0.002))
    point = pieces.start == pieces.stop
    assert point.sum() > 3
    for street, at in zip(pieces.street[point], pieces.start[point], strict=True):
        if street == t.street["AB"]:
            assert at == 0.0  # described by the end that the street enters


def test_segments_are_clipped_to_rings_of_any_number_of_sides() -> None:
    """Against shapely: a triangle, a pentagon and a hexagon, through, along, into, out of and past them."""
    turns = {n: np.arange(n) * 2 * np.pi / n for n in (3, 5, 6)}
    size = {3: 1.0, 5: 0.4, 6: 0.7}  # no side of the next ring may cut the one before
    shapes = [shapely.Polygon(size[n] * np.column_stack([np.cos(a), np.sin(a)])) for n, a in turns.items()]
    corners = np.concatenate([shapely.get_coordinates(s) for s in shapes])
    owner = np.repeat(np.arange(3), [4, 6, 7])
    rng = np.random.default_rng(4)
    ends = [
        *rng.uniform(-1.6, 1.6, (60, 2, 2)),
        [(-2, 0), (2, 0)],
        [(0, 0), (0.1, 0.1)],
        [(-3, 2), (3, 2)],
        [(0, 0), (5, 0)],
    ]
    begin, end = (np.repeat(np.array([e[i] for e in ends], dtype=float), 3, axis=0) for i in (0, 1))
    cell = np.tile(np.arange(3), len(ends))
    low, high = _clip_to_rings(begin, end, corners, owner, cell)
    inside = 0
    for k in range(len(cell)):
        line = shapely.LineString([begin[k], end[k]])
        part = shapely.intersection(line, shapes[cell[k]])
        assert max(high[k] - low[k], 0.0) * line.length == pytest.approx(part.length, abs=1e-9)
        if part.length > 0:
            inside += 1
            middle = begin[k] + (low[k] + high[k]) / 2 * (end[k] - begin[k])
            assert shapely.distance(part, shapely.Point(middle)) < 1e-9
    assert inside > 60


@pytest.mark.parametrize("seed", range(4))
def test_along_a_bent_street_each_point_has_the_piece_of_its_cell(seed: int) -> None:
    """Straight parts of very different lengths: a fraction of the street is one of its length in metres."""
    rng = np.random.default_rng(seed)
    step = np.exp(rng.uniform(np.log(2), np.log(400), 12))
    turn = np.cumsum(rng.uniform(-1, 1, 12))
    x, y = np.cumsum(step * np.cos(turn)), np.cumsum(step * np.sin(turn))
    nodes = {n + 1: (24.94 + x[n] / 55_300, 60.17 + y[n] / 111_200) for n in range(12)}
    extract = plain_extract(nodes, [(list(nodes), {"highway": "residential"})])
    network = build_network(extract, ModeProfile.default("walk"))
    assert len(network.streets) == 1
    line = shapely.transform(network.geometry[0], local_metres(network).project)
    box = shapely.box(24.92, 60.15, 25.02, 60.2)
    cells = cells_in_area(box, resolution=10)
    pieces = street_pieces(network, cells)
    fraction = np.linspace(0.001, 0.999, 500)
    points = shapely.line_interpolate_point(line, fraction, normalized=True)
    degrees = local_metres(network).unproject(shapely.get_coordinates(points))
    inside = pieces.length_m > 0
    for at, (lon, lat) in zip(fraction, degrees, strict=True):
        mine = inside & (pieces.start <= at) & (at <= pieces.stop)
        near = np.abs(np.concatenate([pieces.start[inside], pieces.stop[inside]]) - at).min() < 1e-4
        if not near:
            assert pieces.cells[pieces.cell[mine]].tolist() == [h3.latlng_to_cell(lat, lon, 10)]
    assert pieces.length_m[inside].sum() == pytest.approx(network.length_m[0])
