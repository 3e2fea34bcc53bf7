"""What counts as a place: filters, life cycle, access, duplicates, sources."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from engine.errors import CRSError, SchemaError
from engine.places.category import Category, parse_taxonomy
from engine.places.extract import Places, find_places, parse_capacity
from engine.places.school import school_levels
from engine.places.sorting import group_containers, osm_streams
from engine.projection import equal_area_around
from pipelines.sources.opendata import read_places

LON, LAT = 2.35, 48.85
METRIC = equal_area_around(west=LON, south=LAT, east=LON, north=LAT)


def at(x: float, y: float = 0.0) -> shapely.Point:
    """A point x metres east and y metres north of the town's middle, in degrees."""
    return gpd.GeoSeries([shapely.Point(x, y)], crs=METRIC).to_crs(4326).iloc[0]


def square(x: float, y: float, side: float) -> shapely.Polygon:
    """A square with its south-west corner at (x, y) metres, in degrees."""
    return gpd.GeoSeries([shapely.box(x, y, x + side, y + side)], crs=METRIC).to_crs(4326).iloc[0]


def features(*rows: tuple[str, dict[str, str], shapely.Geometry]) -> gpd.GeoDataFrame:
    ids, tags, shapes = zip(*rows, strict=True) if rows else ((), (), ())
    return gpd.GeoDataFrame({"id": list(ids), "tags": list(tags)}, geometry=list(shapes), crs=4326)


def category(name: str = "shops", **table: object) -> dict[str, Category]:
    table.setdefault("osm", {"shop": ["bakery", "supermarket"], "amenity": ["pharmacy"]})
    return parse_taxonomy({"categories": {name: table}})


def found(*rows: tuple[str, dict[str, str], shapely.Geometry], **table: object) -> Places:
    return find_places(features(*rows), category(**table))


def test_a_place_keeps_the_tag_by_which_it_counts() -> None:
    places = found(
        ("node/1", {"shop": "bakery", "name": "Chez Paul"}, at(0)), ("node/2", {"shop": "car"}, at(5))
    )
    row = places.table.iloc[0]
    assert places.table["id"].tolist() == ["node/1"]
    assert (row["kind"], row["name"], row["sources"], row["category"]) == (
        "shop=bakery",
        "Chez Paul",
        "node/1",
        "shops",
    )
    assert np.isnan(row["capacity"])


def test_several_values_of_one_tag_all_count() -> None:
    assert found(("node/1", {"shop": "car;bakery"}, at(0))).table["kind"].tolist() == ["shop=bakery"]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"disused:shop": "bakery"}, "disused"),
        ({"shop": "bakery", "disused:shop": "bakery"}, "disused"),
        ({"shop": "bakery", "disused": "yes"}, "disused"),
        ({"shop": "bakery", "abandoned": "yes"}, "disused"),
        ({"shop": "bakery", "opening_hours": "off"}, "closed"),
        ({"shop": "bakery", "opening_hours": 'closed "for good"'}, "closed"),
        ({"shop": "bakery", "opening_hours": "Mo-Su,PH off"}, "closed"),
        ({"shop": "bakery", "access": "private"}, "private"),
        ({"shop": "bakery", "access": "no"}, "private"),
    ],
)
def test_what_is_over_closed_or_private_is_out_and_counted(tags: dict[str, str], reason: str) -> None:
    places = found(("node/1", tags, at(0)))
    assert places.table.empty
    assert places.dropped_counts() == {"shops": {reason: 1}}


@pytest.mark.parametrize(
    "tags",
    [
        {"amenity": "pharmacy", "disused:shop": "bakery"},
        {"amenity": "pharmacy", "disused:amenity": "bar"},
        {"shop": "bakery", "opening_hours": "Mo-Sa 07:00-20:00; Su off"},
        {"shop": "bakery", "access": "customers"},
        {"shop": "bakery", "access": "private", "foot": "yes"},
    ],
)
def test_what_stands_stays(tags: dict[str, str]) -> None:
    assert len(found(("node/1", tags, at(0))).table) == 1


def test_access_rules_differ_by_category() -> None:
    yard = ("way/1", {"amenity": "school", "access": "private"}, square(0, 0, 40))
    school = {"osm": {"amenity": ["school"]}}
    assert len(found(yard, name="schools", access="any", **school).table) == 1
    assert found(yard, name="schools", access="customers", **school).table.empty
    club = ("node/1", {"amenity": "school", "access": "customers"}, at(0))
    assert len(found(club, name="schools", access="customers", **school).table) == 1
    assert found(club, name="schools", access="public", **school).table.empty


def test_require_and_exclude() -> None:
    table = {
        "osm": {"amenity": "recycling"},
        "require": {"recycling_type": "container"},
        "exclude": {"fee": True},
    }
    rows = (
        ("node/1", {"amenity": "recycling", "recycling_type": "container"}, at(0)),
        ("node/2", {"amenity": "recycling", "recycling_type": "centre"}, at(100)),
        ("node/3", {"amenity": "recycling", "recycling_type": "container", "fee": "yes"}, at(200)),
        ("node/4", {"amenity": "recycling", "recycling_type": "container", "fee": "no"}, at(300)),
    )
    assert found(*rows, **table).table["id"].tolist() == ["node/1", "node/4"]


def test_node_and_way_of_one_place_count_once_with_both_sources() -> None:
    """
    The outline of a shop with its node inside::

        +-----+
        |  n  |   n: the node, named; the outline has no name
        +-----+
    """
    places = found(
        ("way/7", {"shop": "supermarket"}, square(0, 0, 30)),
        ("node/3", {"shop": "supermarket", "name": "Franprix", "capacity": "12"}, at(15, 15)),
    )
    row = places.table.iloc[0]
    assert (row["id"], row["name"], row["sources"], row["capacity"]) == (
        "node/3",
        "Franprix",
        "node/3;way/7",
        12,
    )
    assert places.dropped_counts() == {"shops": {"duplicate": 1}}


def test_an_unnamed_node_of_another_trade_inside_an_outline_is_another_place() -> None:
    places = found(
        ("way/7", {"shop": "supermarket"}, square(0, 0, 30)), ("node/3", {"amenity": "pharmacy"}, at(15, 15))
    )
    assert len(places.table) == 2


@pytest.mark.parametrize(("apart_m", "places"), [(29.9, 1), (30.1, 2)])
def test_one_name_within_thirty_metres_is_one_place(apart_m: float, places: int) -> None:
    rows = (
        ("node/1", {"shop": "bakery", "name": "L'Épi d'Or"}, at(0)),
        ("node/2", {"shop": "bakery", "name": "L’EPI D’OR"}, at(apart_m)),
    )
    assert len(found(*rows).table) == places


def test_two_shops_without_a_name_stay_two() -> None:
    assert len(found(("node/1", {"shop": "bakery"}, at(0)), ("node/2", {"shop": "bakery"}, at(3))).table) == 2


def test_containers_side_by_side_are_one_station() -> None:
    table = {"osm": {"amenity": "recycling"}, "merge": "nearby", "dedup_radius_m": 20}
    places = found(
        ("node/1", {"amenity": "recycling", "recycling:glass": "yes"}, at(0)),
        ("node/2", {"amenity": "recycling", "recycling:paper": "yes"}, at(15)),
        ("node/3", {"amenity": "recycling", "recycling:paper": "yes"}, at(60)),
        **table,
    )
    assert places.table["streams"].tolist() == ["glass;paper", "paper"]
    assert places.table["sources"].tolist() == ["node/1;node/2", "node/3"]


def test_a_station_without_the_needed_stream_is_not_access() -> None:
    table = {"osm": {"amenity": "recycling"}, "streams": ["glass"]}
    places = found(
        ("node/1", {"amenity": "recycling", "recycling:glass_bottles": "yes"}, at(0)),
        ("node/2", {"amenity": "recycling", "recycling:paper": "yes"}, at(500)),
        ("node/3", {"amenity": "recycling"}, at(900)),
        **table,
    )
    assert places.table["id"].tolist() == ["node/1"]
    assert places.dropped_counts() == {"shops": {"stream missing": 2}}


def test_an_outline_is_reached_at_its_main_door() -> None:
    outline = square(0, 0, 80)
    corner = shapely.Point(outline.exterior.coords[1])
    places = found(
        ("way/1", {"shop": "supermarket"}, outline),
        ("node/8", {"entrance": "main"}, corner),
        ("node/9", {"entrance": "yes"}, shapely.Point(outline.exterior.coords[2])),
    )
    assert places.table.geometry.iloc[0].equals(corner)


def test_an_outline_without_doors_is_a_point_inside() -> None:
    outline = square(0, 0, 80)
    assert outline.contains(found(("way/1", {"shop": "supermarket"}, outline)).table.geometry.iloc[0])


def test_a_line_is_no_place() -> None:
    line = shapely.LineString([at(0), at(50)])
    assert found(("way/1", {"shop": "bakery"}, line)).dropped_counts() == {
        "shops": {"a line, not a place": 1}
    }


def test_one_object_may_serve_two_categories() -> None:
    taxonomy = parse_taxonomy(
        {"categories": {"food": {"osm": {"shop": ["bakery"]}}, "bread": {"osm": {"shop": ["bakery"]}}}}
    )
    table = find_places(features(("node/1", {"shop": "bakery"}, at(0))), taxonomy).table
    assert table["category"].tolist() == ["food", "bread"]
    assert table["id"].tolist() == ["node/1", "node/1"]


def test_files_join_and_keep_their_sources() -> None:
    extra = gpd.GeoDataFrame(
        {"id": ["a", "b"], "name": ["Franprix", None], "capacity": ["7", None], "kind": ["grocer", "grocer"]},
        geometry=[at(10), at(400)],
        crs=4326,
    ).to_crs(2154)
    osm = features(("node/1", {"shop": "supermarket", "name": "franprix"}, at(0)))
    table = find_places(osm, category(), extra={"shops": extra}).table
    assert table["sources"].tolist() == ["node/1;file:a", "file:b"]
    assert table["capacity"].tolist()[0] == 7
    assert shapely.distance(table.geometry.iloc[1], at(400)) < 1e-9


def test_file_streams_are_read_in_the_words_of_the_city() -> None:
    extra = gpd.GeoDataFrame({"id": ["a"], "streams": ["CB;Glass"]}, geometry=[at(0)], crs=4326)
    table = find_places(
        features(), category(osm={"amenity": "recycling"}, streams=["glass"]), extra={"shops": extra}
    ).table
    assert table["streams"].tolist() == ["cardboard;glass;paper"]


def test_ids_of_the_same_places_do_not_depend_on_the_order_of_the_file() -> None:
    rows = [
        ("node/2", {"shop": "bakery", "name": "A"}, at(0)),
        ("node/10", {"shop": "bakery", "name": "A"}, at(20)),
        ("way/1", {"shop": "bakery"}, square(100, 0, 10)),
        ("node/5", {"amenity": "pharmacy"}, at(60)),
    ]
    forward, backward = found(*rows), found(*rows[::-1])
    pd.testing.assert_frame_equal(forward.table, backward.table)
    assert forward.table["id"].tolist() == ["node/2", "node/5", "way/1"]


def test_nothing_mapped_is_an_empty_table_with_columns() -> None:
    places = found()
    assert places.table.empty
    assert {"id", "category", "capacity", "geometry"} <= set(places.table.columns)
    assert places.table.crs.equals("EPSG:4326")


def test_errors_say_what_was_found() -> None:
    with pytest.raises(CRSError, match="expected EPSG:4326"):
        find_places(features().set_crs(2154, allow_override=True), category())
    with pytest.raises(SchemaError, match="tags"):
        find_places(features().drop(columns="tags"), category())
    with pytest.raises(SchemaError, match="pubs"):
        find_places(features(), category(), extra={"pubs": features()})
    naked = gpd.GeoDataFrame({"id": ["a"]}, geometry=[at(0)])
    with pytest.raises(CRSError, match="no CRS"):
        find_places(features(), category(), extra={"shops": naked})


@pytest.mark.parametrize(
    ("tags", "levels"),
    [
        ({"amenity": "kindergarten"}, ("kindergarten",)),
        ({"amenity": "school", "school:FR": "maternelle;élémentaire"}, ("kindergarten", "primary")),
        ({"amenity": "school", "school:FR": "collège"}, ("lower_secondary",)),
        (
            {"amenity": "school", "isced:level": "0;2-3"},
            ("kindergarten", "lower_secondary", "upper_secondary"),
        ),
        ({"amenity": "school", "isced:level": "nonsense"}, ()),
        ({"amenity": "school", "name": "Collège X"}, ()),
    ],
)
def test_school_levels(tags: dict[str, str], levels: tuple[str, ...]) -> None:
    assert school_levels(tags) == levels


def test_a_school_of_another_level_is_out() -> None:
    table = {"name": "schools", "osm": {"amenity": ["school"]}, "levels": ["primary"]}
    places = found(
        ("node/1", {"amenity": "school", "school:FR": "primaire"}, at(0)),
        ("node/2", {"amenity": "school", "school:FR": "lycée"}, at(100)),
        **table,
    )
    assert places.table["levels"].tolist() == ["kindergarten;primary"]
    assert places.dropped_counts() == {"schools": {"other school level": 1}}


def test_levels_of_a_file_are_read_and_filtered() -> None:
    schools = gpd.GeoDataFrame(
        {"id": ["a", "b", "c"], "levels": ["Collège public", "primary;kindergarten", "?"]},
        geometry=[at(0), at(300), at(600)],
        crs=4326,
    )
    taxonomy = category("schools", osm={"amenity": ["school"]}, levels=["lower_secondary"])
    places = find_places(features(), taxonomy, extra={"schools": schools})
    assert places.table["levels"].tolist() == ["lower_secondary"]
    assert places.dropped_counts() == {"schools": {"other school level": 2}}


def test_points_of_a_file_are_no_parks() -> None:
    table = gpd.GeoDataFrame({"id": ["a", "b"]}, geometry=[at(0), square(100, 0, 50)], crs=4326)
    taxonomy = category(
        "green", osm={"leisure": ["park"]}, geometry="green", access="public", min_area_ha=0.1
    )
    places = find_places(features(), taxonomy, extra={"green": table})
    assert places.table["id"].tolist() == ["file:b"]
    assert places.table["area_ha"].tolist() == pytest.approx([0.25], rel=1e-4)
    assert places.dropped_counts() == {"green": {"no outline mapped": 1}}


@pytest.mark.parametrize(
    ("value", "capacity"),
    [
        ("120", 120.0),
        ("ca. 40", 40.0),
        ("12,5", 12.5),
        ("yes", None),
        (None, None),
        (-3, None),
        (8, 8.0),
        (0, 0.0),
        ("0", 0.0),
        (0.5, 0.5),
        (True, None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_capacity(value: object, capacity: float | None) -> None:
    parsed = parse_capacity(value)
    assert np.isnan(parsed) if capacity is None else parsed == capacity


def test_osm_streams_are_not_guessed() -> None:
    assert osm_streams({"amenity": "recycling"}) == ()
    assert osm_streams({"recycling:cans": "yes", "recycling:glass": "no"}) == ("metal",)


def test_trilib_containers_are_forty_stations(shared_data) -> None:  # type: ignore[no-untyped-def]
    rows = pd.read_csv(shared_data / "paris" / "trilib_2018.csv", sep=";")
    lat, lon = rows["geo"].str.split(",", expand=True).astype(float).to_numpy().T
    containers = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(lon, lat), crs=4326)
    stations = group_containers(
        containers,
        station="localisationfo_name",
        stream="wastetype_designation",
        volume="wastecontainermodelfo_usefulcapacity",
    )
    assert (len(rows), len(stations), int(stations["containers"].sum())) == (124, 40, 124)
    assert stations["capacity"].sum() == rows["wastecontainermodelfo_usefulcapacity"].sum()
    glass = stations["streams"].str.contains("glass")
    assert int(glass.sum()) == 37
    taxonomy = category("sorting", osm={"amenity": "recycling"}, streams=["glass"], merge="nearby")
    places = find_places(features(), taxonomy, extra={"sorting": stations})
    assert len(places.table) == 37
    assert places.dropped_counts() == {"sorting": {"stream missing": 3}}


def test_containers_need_known_streams_and_stations() -> None:
    rows = gpd.GeoDataFrame({"at": ["A"], "takes": ["Uranium"]}, geometry=[at(0)], crs=4326)
    with pytest.raises(SchemaError, match="Uranium"):
        group_containers(rows, station="at", stream="takes")
    with pytest.raises(SchemaError, match="'where'"):
        group_containers(rows, station="where", stream="takes")


def test_a_place_that_takes_nobody_is_no_place() -> None:
    """Capacity 0 of one source does not outweigh a larger one of another; unknown is no reason to leave out."""
    places = found(
        ("node/1", {"shop": "bakery", "capacity": "0"}, at(0)),
        ("node/2", {"shop": "bakery", "name": "Paul", "capacity": "0"}, at(200)),
        ("node/3", {"shop": "bakery", "name": "Paul", "capacity": "5"}, at(210)),
        ("node/4", {"shop": "bakery"}, at(400)),
    )
    assert places.table["id"].tolist() == ["node/2", "node/4"]
    assert places.table["capacity"].iloc[0] == 5
    assert places.dropped_counts()["shops"] == {"capacity of 0": 1, "duplicate": 1}


def test_velib_stations_out_of_use_are_no_stations(shared_data: Path) -> None:
    file = shared_data / "paris" / "velib-emplacement-des-stations_2024.geojson"
    if not file.is_file():
        pytest.skip(f"{file} is not present")
    read = read_places(file).places
    closed = int((read["capacity"] == 0).sum())
    assert closed == 11
    kinds = category("bikes", osm={}, merge="nearby", dedup_radius_m=0.0)
    places = find_places(features(), kinds, extra={"bikes": read})
    assert places.dropped_counts()["bikes"] == {"capacity of 0": closed}
    assert len(places.table) == len(read) - closed
