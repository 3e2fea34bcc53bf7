"""Batch files: TOML and CSV, defaults, overrides, grids and named settings; what is wrong is said of its city only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.batch.plan import read_batch
from pipelines.errors import ConfigError


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_table_of_areas(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "cities.csv",
        "name,west,south,east,north,osm,network.walk.speed_kmh,network.bike.enabled\n"
        "Alba,2.1,48.1,2.2,48.2,a.osm.pbf,4.5,false\n"
        "Brâm,2.3,48.1,2.4,48.2,b.osm.pbf,,true\n",
    )
    alba, bram = read_batch([file]).units
    assert (alba.id, bram.city) == ("alba", "Brâm")
    config = alba.config()
    assert config.area.bbox == (2.1, 48.1, 2.2, 48.2)
    assert config.network.walk.speed_kmh == 4.5
    assert config.modes == ("walk", "street30")
    assert bram.config().modes == ("walk", "bike", "street30")


def test_a_box_in_one_column_and_a_semicolon(tmp_path: Path) -> None:
    file = write(tmp_path, "cities.csv", 'name;bbox;osm\nAlba;"2.1,48.1,2.2,48.2";a.osm.pbf\n')
    assert read_batch([file]).units[0].config().area.bbox == (2.1, 48.1, 2.2, 48.2)


GRID = """
[batch]
name = "Two axes"
[defaults]
network.street30.enabled = false
scoring.cutoff_min = 12
[grid]
"network.walk.speed_kmh" = [3.6, 5.0]
area.resolution = [9, 10]
[[settings]]
name = "as is"
[[settings]]
name = "short"
scoring.cutoff_min = 10
[[areas]]
name = "Alba"
osm = "a.osm.pbf"
bbox = [2.1, 48.1, 2.2, 48.2]
[[areas]]
name = "Bram"
osm = "b.osm.pbf"
bbox = [2.3, 48.1, 2.4, 48.2]
scoring.search_limit_min = 60
"""


def test_settings_times_grid_times_areas(tmp_path: Path) -> None:
    plan = read_batch([write(tmp_path, "two.toml", GRID)])
    assert plan.name == "two-axes"
    assert len(plan.units) == 2 * 2 * 4
    assert len({u.id for u in plan.units}) == 16
    assert len({u.config().digest for u in plan.units}) == 16
    assert plan.keys == ["network.walk.speed_kmh", "area.resolution", "scoring.cutoff_min"]
    one = next(u for u in plan.units if u.label == "short, speed_kmh=3.6, resolution=9" and u.city == "Bram")
    config = one.config()
    assert (config.scoring.cutoff_min, config.scoring.search_limit_min) == (10, 60)
    assert (config.network.walk.speed_kmh, config.area.resolution) == (3.6, 9)
    assert config.modes == ("walk", "bike")


def test_one_area_for_each_name_in_a_file_of_polygons(tmp_path: Path) -> None:
    def feature(name: str, west: float) -> dict[str, object]:
        ring = [[west, 48.0], [west + 0.1, 48.0], [west + 0.1, 48.1], [west, 48.0]]
        return {
            "type": "Feature",
            "properties": {"nom": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }

    features = [feature("Vanves", 2.1), feature("Alfortville", 2.3), feature("Vanves", 2.5)]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    write(tmp_path, "communes.geojson", text)
    rows = '[[areas_from]]\nfile = "communes.geojson"\ncolumn = "nom"\nosm = "idf.osm.pbf"\n'
    units = read_batch([write(tmp_path, "idf.toml", rows)]).units
    assert [u.city for u in units] == ["Alfortville", "Vanves"]
    assert len(json.loads(units[1].outline or "")["features"]) == 2
    with pytest.raises(ConfigError, match=r"no column 'name'; it has nom"):
        read_batch([write(tmp_path, "bad.toml", rows.replace('"nom"', '"name"'))])


def test_a_fault_belongs_to_its_city(tmp_path: Path) -> None:
    alba = '[[areas]]\nname = "Alba"\nosm = "a.osm.pbf"\n'
    text = alba + '[[areas]]\nname = "Bram"\nosm = "b.osm.pbf"\nscoring.cutof_min = 3\n'
    first, bram = read_batch([write(tmp_path, "x.toml", text)]).units
    assert first.fault == ""
    assert "cutoff_min" in bram.fault


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.toml", '[[area_s]]\nname = "A"\n', r"unknown key 'area_s'; the nearest known key is 'areas'"),
        ("x.toml", "[[areas]\n", "not valid TOML"),
        ("x.toml", "[defaults]\n", "no area is given"),
        ("x.csv", "city,osm\nA,a.osm\n", "no column 'name'; it has city, osm"),
        (
            "x.toml",
            '[grid]\n"a.b" = 3\n[[areas]]\nname = "A"\nosm = "a"\n',
            "takes a list of values; found 3",
        ),
        ("x.toml", '[areas]\nname = "A"\n', r"write \[\[areas\]\] before each"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_batch([write(tmp_path, name, text)])
