"""Proposals are read as they are meant, and each fault is named with what was found and what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError
from engine.proposals.geojson import parse_proposal

POINT = {"type": "Point", "coordinates": [24.94, 60.17]}
LINE = {"type": "LineString", "coordinates": [[24.94, 60.17], [24.95, 60.17]]}
AREA = {"type": "Polygon", "coordinates": [[[24, 60], [25, 60], [25, 61], [24, 60]]]}
BOW = {"type": "Polygon", "coordinates": [[[24, 60], [25, 61], [25, 60], [24, 61], [24, 60]]]}
SHOP = {"edit": "add_amenity", "category": "shops"}
STREET = {"edit": "add_street"}
CHANGE = {"edit": "change_street", "osm_way": 7}


def feature(properties: Any, geometry: Any = None) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def one(properties: dict[str, Any], geometry: Any = None) -> Any:
    (edit,) = parse_proposal(collection(feature(properties, geometry))).edits
    return edit


@pytest.mark.parametrize(
    ("properties", "geometry", "read"),
    [
        ({**SHOP, "capacity": 0.5}, POINT, {"capacity": 0.5}),
        ({**SHOP, "capacity": 1e9}, POINT, {"capacity": 1e9}),
        ({**SHOP, "cost_eur": 0}, POINT, {"cost_eur": 0.0, "phase": 1}),
        ({**SHOP, "phase": 1}, POINT, {"phase": 1}),
        ({**SHOP, "phase": 99}, POINT, {"phase": 99}),
        ({**SHOP, "name": " Kiosk "}, POINT, {"name": "Kiosk", "where": 'feature 1 (" Kiosk ")'}),
        ({**SHOP, "entrances": [[24.5, 60.5], [180, -180, 3]]}, AREA,
         {"entrances": ((24.5, 60.5), (180.0, -180.0))}),
        ({**STREET, "speed_kmh": 0.5, "lts": 4, "oneway": True}, LINE,
         {"speed_kmh": 0.5, "lts": 4, "oneway": True, "modes": ("walk", "bike")}),
        ({**STREET, "speed_kmh": 200, "lts": 1, "connect": "all"}, LINE,
         {"speed_kmh": 200.0, "lts": 1, "connect": "all"}),
        ({**STREET, "modes": ["street30", "walk"]}, LINE, {"modes": ("walk", "street30")}),
        ({**STREET, "modes": "walk"}, LINE, {"modes": ("walk",)}),
        ({**CHANGE, "osm_way": [9, 7, 7], "lts": 2}, None, {"osm_way": (7, 9), "lts": 2}),
        ({**CHANGE, "cycleway": "lane", "width_m": 0.5}, None, {"cycleway": "lane", "width_m": 0.5}),
        ({"edit": "change_street", "direction": "both"}, LINE, {"direction": "both", "osm_way": ()}),
        ({"edit": "remove_amenity", "id": "node/1"}, None, {"place_id": "node/1"}),
        ({"edit": "remove_amenity", "category": "shops"}, AREA, {"category": "shops"}),
        ({"edit": "open_schoolyard"}, POINT, {"school_category": "schools", "category": "green"}),
        ({"edit": "speed_area", "max_speed_kmh": 30, "calms": False, "keep_highway": ["primary"]}, AREA,
         {"max_speed_kmh": 30.0, "calms": False, "keep_highway": ("primary",)}),
        ({**SHOP, "note": None}, {"type": "Point", "coordinates": [180, -90, 12]}, {"note": ""}),
    ],
)  # fmt: skip
def test_what_is_read(properties: dict[str, Any], geometry: Any, read: dict[str, Any]) -> None:
    edit = one(properties, geometry)
    assert {name: getattr(edit, name) for name in read} == read


@pytest.mark.parametrize(
    ("properties", "geometry", "said"),
    [
        ({**SHOP, "capacity": 0}, POINT, "'capacity' is 0; expected a number, more than 0, at most 1e+09"),
        ({**SHOP, "capacity": True}, POINT, "'capacity' is True; expected a number"),
        ({**SHOP, "capacity": "4"}, POINT, "'capacity' is '4'; expected a number"),
        ({**SHOP, "capacity": float("inf")}, POINT, "'capacity' is inf; expected a number"),
        ({**SHOP, "capacity": float("nan")}, POINT, "'capacity' is nan; expected a number"),
        ({**SHOP, "cost_eur": -1}, POINT, "'cost_eur' is -1; expected a number, 0 or more, at most 1e+13"),
        ({**SHOP, "cost_eur": 1.1e13}, POINT, "at most 1e+13"),
        ({**SHOP, "phase": 0}, POINT, "'phase' is 0; expected a whole number from 1 to 99"),
        ({**SHOP, "phase": 100}, POINT, "'phase' is 100; expected a whole number"),
        ({**SHOP, "phase": 1.5}, POINT, "'phase' is 1.5; expected a whole number"),
        ({**SHOP, "phase": True}, POINT, "'phase' is True; expected a whole number"),
        ({**SHOP, "category": " "}, POINT, "'category' is ' '; expected text"),
        ({**SHOP, "category": 4}, POINT, "'category' is 4; expected text"),
        ({**SHOP, "entrances": [[24.9, 60.1]]}, POINT, "a Point is entered where it is"),
        ({**SHOP, "entrances": []}, AREA, "expected a list of [longitude, latitude]"),
        ({**SHOP, "entrances": [[1]]}, AREA, "expected a list of [longitude, latitude]"),
        ({**SHOP, "entrances": [[181, 0]]}, AREA, "expected a list of [longitude, latitude]"),
        ({**SHOP, "entrances": [[True, 0]]}, AREA, "expected a list of [longitude, latitude]"),
        ({"edit": "add_amenity"}, POINT, "'category' is missing; add_amenity needs it: \"schools\", for example"),
        ({**SHOP, "capasity": 4}, POINT, "unknown property 'capasity'; did you mean 'capacity'?"),
        ({**SHOP, "lts": 1}, POINT, "unknown property 'lts'; add_amenity takes category"),
        ({"edit": "add_amenty"}, POINT, "did you mean 'add_amenity'?"),
        ({"edit": 4}, POINT, "property 'edit' is 4; expected one of add_amenity"),
        ({**STREET, "lts": 5}, LINE, "'lts' is 5; expected a whole number from 1 to 4"),
        ({**STREET, "speed_kmh": 0.4}, LINE, "0.5 or more, at most 200"),
        ({**STREET, "speed_kmh": 200.1}, LINE, "0.5 or more, at most 200"),
        ({**STREET, "oneway": 1}, LINE, "'oneway' is 1; expected true or false"),
        ({**STREET, "connect": "some"}, LINE, "expected one of ends, all"),
        ({**STREET, "modes": []}, LINE, "'modes' is []; expected a list of walk"),
        ({**STREET, "modes": ["tram"]}, LINE, "expected a list of walk"),
        (STREET, POINT, "its geometry is a Point; add_street takes a LineString"),
        (STREET, None, "it has no geometry; add_street takes a LineString"),
        (STREET, {"type": "LineString", "coordinates": [[1, 1], [1, 1]]}, "its LineString has no length"),
        (STREET, {"type": "LineString", "coordinates": [[1, 1], [181, 1]]}, "its geometry holds [181.0, 1.0]"),
        (SHOP, {"type": "Point", "coordinates": [60.17, 90.5]}, "longitude first"),
        (SHOP, {"type": "Point", "coordinates": []}, "its Point is empty"),
        (SHOP, {"type": "Point", "coordinates": ["a", 1]}, "its coordinates cannot be read"),
        (SHOP, BOW, "draw it without crossing itself"),
        (SHOP, LINE, "its geometry is a LineString"),
        (CHANGE, None, "nothing changes; give speed_kmh, max_speed_kmh, direction, lts or cycleway"),
        ({**CHANGE, "speed_kmh": 30, "max_speed_kmh": 30}, None, "give speed_kmh or max_speed_kmh, not both"),
        ({**CHANGE, "direction": "forward"}, None, "'direction' is 'forward'; draw a LineString"),
        ({**CHANGE, "direction": "backward"}, POINT, "'direction' is 'backward'; draw a LineString"),
        ({**CHANGE, "cycleway": "track", "width_m": 2}, None, "'width_m' is the width of a cycle lane"),
        ({**CHANGE, "osm_way": [], "lts": 1}, None, "expected the number of an OpenStreetMap way"),
        ({**CHANGE, "osm_way": [1, "2"], "lts": 1}, None, "expected the number of an OpenStreetMap way"),
        ({**CHANGE, "osm_way": True, "lts": 1}, None, "expected the number of an OpenStreetMap way"),
        ({"edit": "change_street", "lts": 1}, None, "say which street: give 'osm_way', or draw"),
        ({"edit": "remove_street"}, None, "say which street: give 'osm_way', or draw"),
        ({"edit": "remove_amenity"}, POINT, "say which place: give 'id'"),
        ({"edit": "remove_amenity", "category": "shops"}, None, "say which place: give 'id'"),
        ({"edit": "resize_amenity", "capacity": 3}, POINT, "say which place: give 'id'"),
        ({"edit": "open_schoolyard"}, None, "say which school: give 'id'"),
        ({"edit": "speed_area", "max_speed_kmh": 30, "keep_highway": [""]}, AREA, "expected a list of texts"),
    ],
)  # fmt: skip
def test_what_is_wrong(properties: dict[str, Any], geometry: Any, said: str) -> None:
    with pytest.raises(InputError) as told:
        one(properties, geometry)
    assert "feature 1: " in str(told.value)
    assert said in str(told.value)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InputError) as told:
        parse_proposal(
            collection(feature(SHOP), feature(SHOP, POINT), 7, feature([], POINT), author=3, cost_eur=-1),
            name="ideas",
        )
    assert str(told.value).split("\n  ") == [
        "ideas: feature 1: it has no geometry; add_amenity takes a Point or Polygon or MultiPolygon",
        "feature 3 is not an object of type 'Feature'",
        "feature 4: property 'edit' is None; expected one of add_amenity, remove_amenity, resize_amenity, "
        "open_schoolyard, add_street, remove_street, change_street, speed_area",
        "author: is 3; expected text",
        "cost_eur: is -1; expected a number, 0 or more, at most 1e+13",
    ]


def test_costs_add_up_unless_the_whole_is_told() -> None:
    dear, free = feature({**SHOP, "cost_eur": 30}, POINT), feature(SHOP, POINT)
    some = parse_proposal(collection(dear, free), name="a file", digest="ab")
    assert (some.cost_eur, some.cost_complete, some.name, some.digest) == (30.0, False, "a file", "ab")
    every = parse_proposal(collection(dear, dear))
    assert (every.cost_eur, every.cost_complete) == (60.0, True)
    told = parse_proposal(collection(dear, free, cost_eur=5, name="Named", phases=["first"]))
    assert (told.cost_eur, told.cost_complete, told.name, told.phases) == (5.0, True, "Named", ("first",))
    none = parse_proposal(collection(free))
    assert (none.cost_eur, none.cost_complete) == (None, False)
    empty = parse_proposal(collection())
    assert (empty.edits, empty.cost_eur, empty.cost_complete) == ((), None, False)


def test_what_nobody_knows_is_left_and_told() -> None:
    found = parse_proposal(collection(feature({**SHOP, "colour": "red"}, POINT)))
    assert found.ignored == ("feature 1: colour",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "found 'list'; a proposal is a GeoJSON object"),
        ({"type": "Feature"}, "found 'Feature'"),
        ({"type": "FeatureCollection"}, "its member 'features' is NoneType; expected a list"),
        (collection(crs={"name": "EPSG:2154"}), "a proposal is in degrees"),
    ],
)
def test_what_is_no_proposal(value: Any, said: str) -> None:
    with pytest.raises(InputError) as told:
        parse_proposal(value)
    assert said in str(told.value)
    assert parse_proposal(collection(crs={"name": "urn:ogc:def:crs:OGC:1.3:CRS84"})).edits == ()
