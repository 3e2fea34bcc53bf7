"""Crossings counted without building a network: by hand on a drawn town, and near what networks come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SourceError
from pipelines.sources.osm_count import BITS, count_crossings
from tests.osm_town import osm_xml

TOWN = """
A B C D
. . E .
F G H .
"""
WAYS = [
    ("ABCD", {"highway": "residential"}),  # B is a bend, C a crossing
    ("CEH", {"highway": "footway"}),
    ("FGH", {"highway": "steps"}),
    ("GB", {"highway": "construction"}),  # nobody's
    ("DH", {"building": "yes"}),
]


@pytest.fixture
def town(tmp_path: Path) -> Path:
    file = tmp_path / "town.osm"
    file.write_text(osm_xml(TOWN, WAYS, cell_m=100.0), encoding="utf-8")
    return file


def test_ends_and_crossings_count_and_bends_do_not(town: Path) -> None:
    found = count_crossings(town)
    assert found.count(["walk"]) == 4  # A, C, D, F: at H one path goes on as another
    assert found.count(["bike"]) == 4  # A, C, D, H: nobody rides the steps
    assert found.count(["street30"]) == 2  # A, D
    assert found.count(BITS) == 10


def test_only_what_lies_in_the_box_counts(town: Path) -> None:
    found = count_crossings(town)
    west, south, east, north = found.extent or (0, 0, 0, 0)
    assert found.count(BITS, (west, south, east, north)) == 10
    assert found.count(BITS, (west, (south + north) / 2, east, north)) == 8
    assert found.count(BITS, (10.0, 0.0, 10.1, 0.1)) == 0


def test_a_file_without_streets_has_no_crossings(tmp_path: Path) -> None:
    file = tmp_path / "bare.osm"
    file.write_text(osm_xml("A B", [("AB", {"building": "yes"})], cell_m=100.0), encoding="utf-8")
    found = count_crossings(file)
    assert found.count(BITS) == 0
    assert found.extent is not None  # of the two nodes


@pytest.mark.parametrize(
    ("file", "vertices"),
    [
        ("paris_bss.osm.pbf", 2_533),
        ("monaco_2021.osm.pbf", 5_956),
        ("krems_2013.osm.gz", 2_831),
        ("helsinki_centre_2019.osm.pbf", 6_742),
        ("paris_eiffel_walk_20231004.osm.pbf", 21_113),
        ("porto_centre_2020.osm.pbf", 15_175),
        ("porto_alegre_streets_2020.osm.pbf", 48_788),
    ],
)
def test_the_count_is_near_the_vertices_of_the_networks(shared_data: Path, file: str, vertices: int) -> None:
    """Vertices of all three networks, as `tests/bench/costs.py measure` prints them."""
    assert count_crossings(shared_data / "osm" / file).count(BITS) == pytest.approx(vertices, rel=0.25)


def test_a_damaged_file_is_named(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "osm" / "paris_bss.osm.pbf").read_bytes()
    file = tmp_path / "cut.osm.pbf"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"cut\.osm\.pbf.*cut short"):
        count_crossings(file)
