"""Confidence: every component by hand, and the weakest one is named."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from engine.confidence import Rules, cell_confidence, completeness
from engine.errors import InputError, SchemaError
from engine.projection import equal_area_around

METRIC = equal_area_around(west=2.35, south=48.85, east=2.35, north=48.85)
NAN = float("nan")


def cells(**columns: list[object]) -> gpd.GeoDataFrame:
    """Three square cells in a row, 100 m wide."""
    frame = gpd.GeoDataFrame(
        {"h3_cell": ["a", "b", "c"], **columns},
        geometry=[shapely.box(i * 100, 0, i * 100 + 100, 100) for i in range(3)],
        crs=METRIC,
    )
    return frame.to_crs(4326)


def places(*x: float, **columns: list[object]) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(
        {"category": ["shops"] * len(x), **columns}, geometry=[shapely.Point(p, 50) for p in x], crs=METRIC
    )
    return frame.to_crs(4326)


TIMES = {"walk_shops_minutes": [5.0, 10.0, 20.0]}


def test_all_is_well() -> None:
    table = cell_confidence(cells(**TIMES), places(50), mode="walk")
    assert table["confidence"].tolist() == [1, 1, 1]
    assert table["because"].tolist() == ["", "", ""]
    assert table["completeness"].isna().all()
    assert table[["h3_cell", "category"]].to_numpy().tolist() == [
        ["a", "shops"],
        ["b", "shops"],
        ["c", "shops"],
    ]


def test_a_long_snap_lowers_confidence_near_it() -> None:
    """Places at 50 and 250 m, 20 m and 60 m from a street: one neighbour counts for each cell."""
    table = cell_confidence(
        cells(**TIMES), places(50, 250, snap_m=[20.0, 60.0]), mode="walk", rules=Rules(neighbours=1)
    )
    assert table["snap"].tolist() == [1, 1, 0.5]
    assert table["because"].tolist() == ["", "", "snap"]
    both = cell_confidence(cells(**TIMES), places(50, 250, snap_m=[20.0, NAN]), mode="walk")
    assert both["snap"].tolist() == [1, 1, 1]


def test_old_edits_say_less() -> None:
    table = cell_confidence(cells(**TIMES), places(50, age_years=[6.0]), mode="walk")
    assert table["age"].tolist() == [0.5] * 3


def test_the_edge_matters_only_where_it_could_change_the_verdict() -> None:
    table = cell_confidence(cells(**TIMES, edge_affected=[True] * 3), places(50), mode="walk")
    assert table["edge"].tolist() == [1, 1, 0.5]
    own = cell_confidence(
        cells(**TIMES, edge_affected=[True] * 3, walk_edge_affected=[False] * 3), places(50), mode="walk"
    )
    assert own["edge"].tolist() == [1, 1, 1]


def test_one_place_alone_is_thin_support() -> None:
    table = cell_confidence(
        cells(**TIMES, walk_shops_second_minutes=[12.0, 16.0, 25.0]), places(50), mode="walk"
    )
    assert table["support"].tolist() == [1, 0.7, 1]
    assert table["because"].tolist() == ["", "support", ""]


def test_the_threshold_itself_is_within_it() -> None:
    """15 minutes: the nearest or the second at 15 are near, a little beyond are not."""
    near, second = [15.0, 15.0, 15.01], [15.0, 15.01, 20.0]
    table = cell_confidence(
        cells(walk_shops_minutes=near, walk_shops_second_minutes=second), places(50), mode="walk"
    )
    assert table["support"].tolist() == [1, 0.7, 1]
    edges = cells(walk_shops_minutes=near, walk_edge_affected=[True] * 3)
    assert cell_confidence(edges, places(50), mode="walk")["edge"].tolist() == [1, 1, 0.5]


def test_a_category_without_any_place_in_the_data_has_no_support() -> None:
    table = cell_confidence(cells(**TIMES), places(50).iloc[:0], mode="walk")
    assert table["confidence"].tolist() == [0, 0, 0]
    assert table["because"].tolist() == ["support"] * 3


def test_nothing_is_known_without_streets() -> None:
    table = cell_confidence(cells(**TIMES, no_network=[False, True, False]), places(50), mode="walk")
    assert table["confidence"].tolist() == [1, 0, 1]
    assert table["because"].tolist() == ["", "no_network", ""]


def test_completeness_against_known_counts() -> None:
    """Zone west holds two of four known shops, zone east three of two; pubs are known, but none is mapped."""
    zones = gpd.GeoDataFrame(
        {"zone": ["west", "east"]},
        geometry=[shapely.box(0, 0, 150, 100), shapely.box(150, 0, 300, 100)],
        crs=METRIC,
    )
    known = pd.DataFrame(
        {"category": ["shops", "shops", "pubs"], "zone": ["west", "east", "west"], "known": [4, 2, 3]}
    )
    shops = places(10, 60, 160, 200, 290)
    table = completeness(shops, known, zones=zones.to_crs(2154))
    assert table[["mapped", "ratio"]].to_numpy().tolist() == [[2, 0.5], [3, 1.5], [0, 0]]
    told = cell_confidence(cells(**TIMES), shops, mode="walk", ratios=table, zones=zones)
    assert told["completeness"].tolist()[::2] == [0.5, 1]
    assert told["because"].tolist()[0] == "completeness"


def test_one_count_for_the_whole_area() -> None:
    table = completeness(places(10, 60), pd.DataFrame({"category": ["shops"], "known": [8]}))
    assert table[["zone", "ratio"]].to_numpy().tolist() == [["everywhere", 0.25]]
    told = cell_confidence(cells(**TIMES), places(10, 60), mode="walk", ratios=table)
    assert told["completeness"].tolist() == [0.25] * 3
    assert completeness(places(), pd.DataFrame({"category": ["shops"], "known": [0]}))["ratio"].isna().all()
    assert completeness(places(10), pd.DataFrame({"category": ["shops"], "known": [1]}))[
        "ratio"
    ].tolist() == [1]
    assert completeness(places(), pd.DataFrame({"category": ["shops"], "known": [1]}))["ratio"].tolist() == [
        0
    ]


def test_errors() -> None:
    with pytest.raises(SchemaError, match="north"):
        completeness(places(), pd.DataFrame({"category": ["shops"], "known": [1], "zone": ["north"]}))
    with pytest.raises(SchemaError, match="at least 0"):
        completeness(places(), pd.DataFrame({"category": ["shops"], "known": [-1]}))
    for number in (NAN, float("inf")):  # one among good ones
        with pytest.raises(SchemaError, match="finite"):
            completeness(places(), pd.DataFrame({"category": ["shops", "pubs"], "known": [3.0, number]}))
    with pytest.raises(SchemaError, match="'known'"):
        completeness(places(), pd.DataFrame({"category": ["shops"]}))
    with pytest.raises(InputError, match="neighbour"):
        cell_confidence(cells(**TIMES), places(), mode="walk", rules=Rules(neighbours=0))


def test_a_category_without_places_is_not_an_error() -> None:
    table = cell_confidence(cells(**TIMES), places(), mode="walk")
    assert table["snap"].isna().all()
