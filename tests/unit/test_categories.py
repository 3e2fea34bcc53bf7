"""Taxonomies: the shipped ones, strictness, and what a reader must keep."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.places.category import features_filter, parse_category, parse_taxonomy

SHIPPED = Path(__file__).resolve().parents[2] / "configs" / "categories"


def shipped(name: str) -> dict:
    return parse_taxonomy(tomllib.loads((SHIPPED / f"{name}.toml").read_text("utf-8")))


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        ("card", "shops schools green sorting"),
        ("moreno", "living working supplying caring learning enjoying"),
        ("proximity9", "outdoor learning supplies eating moving cultural exercise services health"),
    ],
)
def test_shipped_taxonomies(name: str, categories: str) -> None:
    taxonomy = shipped(name)
    assert list(taxonomy) == categories.split()
    assert all(c.weight > 0 and c.osm and c.label_en and c.label_fr for c in taxonomy.values())
    assert [p.stem for p in sorted(SHIPPED.glob("*.toml"))] == ["card", "moreno", "proximity9"]


@pytest.mark.parametrize(
    "shop",
    ["supermarket", "convenience", "greengrocer", "bakery", "pastry", "butcher", "seafood", "deli", "cheese"],
)
def test_card_counts_every_daily_shop(shop: str) -> None:
    assert shipped("card")["shops"].kind({"shop": shop}) == f"shop={shop}"


@pytest.mark.parametrize(
    ("category", "tags", "counts"),
    [
        ("shops", {"amenity": "pharmacy"}, True),
        ("shops", {"amenity": "marketplace"}, True),
        ("shops", {"shop": "clothes"}, False),
        ("schools", {"amenity": "kindergarten"}, True),
        ("schools", {"amenity": "university"}, False),
        ("green", {"leisure": "park"}, True),
        ("green", {"natural": "wood"}, True),
        ("green", {"leisure": "garden", "garden:type": "residential"}, False),
        ("green", {"landuse": "grass"}, False),
        ("sorting", {"amenity": "recycling"}, True),
    ],
)
def test_card_by_example(category: str, tags: dict[str, str], *, counts: bool) -> None:
    assert shipped("card")[category].matches(tags) is counts


def test_green_of_card_is_public_and_at_least_a_tenth_of_a_hectare() -> None:
    green = shipped("card")["green"]
    assert (green.geometry, green.access, green.min_area_ha) == ("green", "public", 0.1)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"osm": {"shop": ["bakery"]}, "min_area": 1}, "min_area_ha"),
        ({"osm": {"shop": 3}}, "osm.shop"),
        ({"osm": "bakery"}, "expected a table"),
        ({"osm": {"shop": []}}, "osm.shop"),
        ({"weight": "heavy"}, "weight"),
        ({"weight": -1}, "at least 0"),
        ({"weight": float("nan")}, "at least 0"),
        ({"geometry": "blob"}, "point, green"),
        ({"access": "everyone"}, "customers"),
        ({"streams": ["uranium"]}, "glass"),
        ({"levels": ["primaire"]}, "unknown school level .primaire.; expected some of kindergarten, primary"),
        ({"streams": "glass"}, "list of words"),
        ({"label_en": " "}, "expected text"),
    ],
)
def test_what_is_wrong_is_named(table: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_taxonomy({"categories": {"shops": table}})


@pytest.mark.parametrize("name", ["Shops", "9lives", "a-b", "score", "x" * 32, ""])
def test_names_become_columns(name: str) -> None:
    with pytest.raises(InputError, match="column name"):
        parse_category(name, {})


def test_a_taxonomy_needs_categories() -> None:
    for wrong in ({}, {"categories": {}}, {"categories": []}):
        with pytest.raises(InputError, match="no categories"):
            parse_taxonomy(wrong)
    with pytest.raises(InputError, match="did you mean 'categories'"):
        parse_taxonomy({"categorys": {}})
    with pytest.raises(InputError, match="expected a table"):
        parse_taxonomy({"categories": {"shops": 3}})


def test_labels_fall_back_on_the_name() -> None:
    category = parse_category("daily_bread", {"osm": {"shop": "bakery"}})
    assert (category.label_en, category.label_fr) == ("Daily bread", "Daily bread")
    assert parse_category("x", {"label_en": "Bread"}).label_fr == "Bread"


def test_the_reader_keeps_what_categories_and_gates_need() -> None:
    wanted = features_filter(shipped("card"))
    assert {"bakery", "supermarket"} <= wanted["shop"]
    assert {"school", "recycling", "pharmacy"} <= wanted["amenity"]
    assert wanted["barrier"] is None
    assert wanted["entrance"] is None
    assert "barrier" not in features_filter({"x": parse_category("x", {"osm": {"shop": True}})})
    assert features_filter({"x": parse_category("x", {"osm": {"shop": True}})})["shop"] is None
