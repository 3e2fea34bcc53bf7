"""Where an extract ends: the box that it was cut from, main roads that lead out of it, and cells near both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from engine.cells import cell_centres, cells_in_area
from pipelines.sources.osm_file import read_osm
from pipelines.steps.area import near_edge
from tests.osm_town import DEGREE_M, Way, extract_of

STREET = {"highway": "residential"}
MAIN = {"highway": "secondary"}


def test_a_file_without_a_box_ends_where_every_street_still_has_a_node() -> None:
    """
    Cut at the dots' column 3 to 6 and whole ways kept, A-B sticks out in the west and E-F in the east.

    East of E no street begins, so that is as far as the data surely go; likewise west of B, and C-D says it for the
    south and north: every street has a node at y = 100.
    """
    drawing = """
...C......
A..BD.E..F
...G......
"""
    ways: list[Way] = [("AB", STREET), ("CBG", STREET), ("BDE", STREET), ("EF", STREET)]
    box = extract_of(drawing, ways).info.bbox
    assert np.multiply(box, DEGREE_M) == pytest.approx([300, 100, 600, 100], abs=0.02)


def ends(drawing: str, ways: list[Way], **more: object) -> set[tuple[int, int]]:
    """[m] Ends of main roads in a drawing."""
    found = extract_of(drawing, ways, **more).info.road_ends
    return {(round(lon * DEGREE_M), round(lat * DEGREE_M)) for lon, lat in found}


def test_a_main_road_that_ends_in_nothing_ends_the_data() -> None:
    drawing = "A..B..C"
    assert ends(drawing, [("AB", MAIN), ("BC", MAIN)]) == {(0, 0), (600, 0)}
    assert ends(drawing, [("AB", MAIN), ("BC", STREET)]) == {(0, 0)}
    assert ends(drawing, [("AB", STREET), ("BC", {"highway": "tertiary"})]) == set()


def test_a_road_that_goes_round_or_ends_by_its_tags_does_not_end_the_data() -> None:
    ring = """
C.D
B.E
A..
"""
    assert ends(ring, [("ABCDEB", MAIN)]) == {(0, 0)}
    assert ends(ring, [("BCDEB", MAIN)]) == set()
    marked = {"A": {"highway": "turning_circle"}, "B": {"noexit": "yes"}}
    assert ends("A..B", [("AB", MAIN)], nodes=marked) == set()


def test_a_road_cut_where_the_file_lacks_a_node_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.osm"
    nodes = "".join(f'<node id="{i}" lon="{i * 0.001}" lat="0" version="1"/>' for i in (1, 2))
    refs = "".join(f'<nd ref="{i}"/>' for i in (1, 2, 3))
    way = f'<way id="1" version="1">{refs}<tag k="highway" v="primary"/></way>'
    path.write_text(f'<osm version="0.6">{nodes}{way}</osm>')
    assert read_osm(path).info.road_ends == [(0.001, 0.0), (0.002, 0.0)]


def test_ends_outside_of_the_wanted_box_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "road.osm"
    nodes = "".join(f'<node id="{i}" lon="{i * 0.001}" lat="0" version="1"/>' for i in (1, 2))
    way = '<way id="1" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="trunk"/></way>'
    path.write_text(f'<osm version="0.6">{nodes}{way}</osm>')
    assert read_osm(path, bounds=(0.0015, -0.001, 0.003, 0.001)).info.road_ends == [(0.002, 0.0)]


def test_cells_near_the_sides_and_near_an_end_are_told() -> None:
    """A box of about 4.4 km: within 1 km of a side or of the end in the middle, and no others."""
    box = (2.30, 48.84, 2.36, 48.88)
    middle = (2.33, 48.86)
    cells = cells_in_area(shapely.box(*box), resolution=10)
    near = near_edge(cells, box, [middle], 1000.0)
    lon, lat = cell_centres(cells).T
    east, north = 111_320 * np.cos(np.radians(48.86)), 111_320
    side = np.minimum.reduce(
        [(lon - box[0]) * east, (box[2] - lon) * east, (lat - box[1]) * north, (box[3] - lat) * north]
    )
    end = np.hypot((lon - middle[0]) * east, (lat - middle[1]) * north)
    clear = (np.abs(side - 1000) > 15) & (np.abs(end - 1000) > 15)
    assert (near == ((side < 1000) | (end < 1000)))[clear].all()
    assert 0 < near.sum() < len(near)
    assert not near_edge(cells, box, [], 1000.0)[(side > 1015)].any()


def test_roads_out_of_monaco_end_at_its_border(shared_data: Path) -> None:
    """Cut along the border, while its box reaches 1 km into France: Avenue Camille Blanc ends 1.1 km inside."""
    found = np.array(read_osm(shared_data / "osm" / "monaco_2021.osm.pbf").info.road_ends)
    assert np.abs(found - (7.4251, 43.7415)).max(axis=1).min() < 1e-4


def test_long_roads_out_of_an_extract_do_not_widen_its_box(shared_data: Path) -> None:
    """Porto Alegre was cut at -51.26, -30.11, -51.14, -30.00 and has no box; its roads reach 1 km farther."""
    extract = read_osm(shared_data / "osm" / "porto_alegre_streets_2020.osm.pbf")
    assert extract.info.bbox == pytest.approx((-51.26, -30.11, -51.14, -30.0), abs=2e-4)
    assert extract.lon.min() < -51.265
