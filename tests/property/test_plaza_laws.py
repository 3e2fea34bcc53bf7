"""Ways across areas are the shortest inside them, found by asking of every two points whether they see each other."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.network.plaza import Areas
from engine.network.visibility import lines_across

Square = tuple[shapely.Polygon, list[int], list[tuple[float, float]], float]


@st.composite
def squares(draw: st.DrawFn) -> Square:
    """An area with corners in and out, perhaps a hole; points on its boundary and inside it lead into it."""
    if draw(st.booleans()):  # walls of different heights: right angles, points in line
        walls = draw(st.lists(st.integers(2, 5), min_size=2, max_size=4))
        ring = [(0, 0)]
        for i, height in enumerate(walls):
            ring += [(10 * i, 10 * height), (10 * i + 10, 10 * height)]
        ring.append((10 * len(walls), 0))
    else:  # a star
        arms = draw(st.lists(st.integers(8, 40), min_size=3, max_size=9))
        turn = np.linspace(0, 2 * np.pi, len(arms), endpoint=False)
        ring = [(r * np.cos(t), r * np.sin(t)) for r, t in zip(arms, turn, strict=True)]
    ring = list(dict.fromkeys(ring))
    if draw(st.booleans()):
        ring.reverse()
    holes = [shapely.box(2, 3, 4, 5).exterior.coords] if draw(st.booleans()) else []
    area = shapely.Polygon(ring, holes)
    if not area.is_valid or (holes and not shapely.Polygon(ring).contains(shapely.Polygon(holes[0]))):
        area = shapely.Polygon(ring)
    n = len(shapely.get_coordinates(area)) - 1 - len(area.interiors)
    doors = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True))
    spots = st.tuples(st.integers(-30, 40), st.integers(-30, 50))
    stairs = draw(st.lists(spots.map(lambda p: (p[0] + 0.5, p[1] + 0.25)), max_size=2, unique=True))
    stairs = [p for p in stairs if area.contains(shapely.Point(p))]
    return area, doors, stairs, draw(st.sampled_from([0.0, 1000.0, -70.0]))


def crossed(square: Square, *, exact: bool) -> tuple[nx.Graph, nx.Graph, list[int]]:
    """The boundary with the lines drawn across, everything that sees each other, and what leads in."""
    area, doors, stairs, shift = square
    rings = [np.array(r.coords)[:-1] for r in (area.exterior, *area.interiors)]
    points = np.concatenate([*rings, np.array(stairs).reshape(-1, 2)])
    start = np.concatenate([[0], np.cumsum([len(r) for r in rings])]).astype(np.int64)
    size = int(start[-1])
    entrance = np.zeros(len(points), bool)
    entrance[doors] = True
    inside = np.arange(size, len(points))
    inside = inside[np.argsort(points[inside, 0], kind="stable")]
    areas = Areas(np.arange(size), start, np.array([0, len(rings)]), np.array([7]))
    a, b, of, count = lines_across(
        points[:, 0] + shift, points[:, 1] - shift, areas, entrance=entrance, dangling=inside,
        exact_up_to=1000 if exact else 0, stretch=1.05, max_points=240,
    )  # fmt: skip
    assert count == len(doors) + len(inside)
    assert (of == 0).all()
    walls = [(s + k, s + (k + 1) % len(r)) for s, r in zip(start, rings, strict=False) for k in range(len(r))]
    wide = area.buffer(1e-6)
    drawn, seen = nx.Graph(), nx.Graph()
    for graph in (drawn, seen):
        graph.add_nodes_from(range(len(points)))
    for p, q in [*walls, *zip(a.tolist(), b.tolist(), strict=True)]:
        assert wide.covers(shapely.LineString(points[[p, q]]))
        drawn.add_edge(p, q, m=float(np.hypot(*(points[p] - points[q]))))
    for p, q in combinations(range(len(points)), 2):
        if wide.covers(shapely.LineString(points[[p, q]])):
            seen.add_edge(p, q, m=float(np.hypot(*(points[p] - points[q]))))
    return drawn, seen, [*doors, *inside.tolist()]


@settings(max_examples=120)
@given(squares())
def test_lines_make_the_shortest_ways_inside(square: Square) -> None:
    drawn, seen, ways_in = crossed(square, exact=True)
    for p in ways_in:
        ours = nx.single_source_dijkstra_path_length(drawn, p, weight="m")
        best = nx.single_source_dijkstra_path_length(seen, p, weight="m")
        for q in ways_in if len(ways_in) > 1 else []:
            assert ours[q] == pytest.approx(best[q], abs=1e-3)


@settings(max_examples=60)
@given(squares())
def test_fewer_lines_lengthen_no_way_by_more_than_the_stretch(square: Square) -> None:
    drawn, seen, ways_in = crossed(square, exact=False)
    for p in ways_in:
        ours = nx.single_source_dijkstra_path_length(drawn, p, weight="m")
        best = nx.single_source_dijkstra_path_length(seen, p, weight="m")
        for q in ways_in if len(ways_in) > 1 else []:
            assert ours[q] <= best[q] * 1.05 + 1e-3
