"""Limits, widths, speeds and stress levels."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import shapely

from engine.errors import InputError
from engine.network.profile import MajorRoads, ModeProfile
from engine.network.speed import parse_count, parse_duration, parse_limit, parse_width
from engine.network.stress import _lanes_a_direction
from engine.network.tags import TagColumns
from tests.osm_town import build, milliseconds, seconds

MPH = 1.609344


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50", 50.0),
        ("50 km/h", 50.0),
        ("30 mph", 30 * MPH),
        ("30mph", 30 * MPH),
        ("40 kmh", 40.0),
        ("40 kph", 40.0),
        ("FR:walk", 7.0),
        ("FR:living_street", 20.0),
        ("6 knots", 6 * 1.852),
        ("walk", 7.0),
        ("none", math.inf),
        ("FR:urban", 50.0),
        ("FR:rural", 80.0),
        ("FR:zone30", 30.0),
        ("FR:30", 30.0),
        ("DE:zone:30", 30.0),
        ("DE:zone30", 30.0),
        ("BE-VLG:zone30", 30.0),
        ("zone:20", 20.0),
        ("DE:rural", 100.0),
        ("GB:nsl_single", 60 * MPH),
        ("RO:urban", 50.0),
        ("DE:living_street", 7.0),
        ("50;30", 30.0),
        ("50|30", 30.0),
        ("signals", math.nan),
        ("variable", math.nan),
        ("0", math.nan),
        ("-30", math.nan),
        ("1e3", math.nan),
        ("", math.nan),
        ("fast", math.nan),
    ],
)
def test_limits(text: str, expected: float) -> None:
    assert parse_limit(text) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        ("3.5 m", 3.5),
        ("3,5", 3.5),
        ("250 cm", 2.5),
        ("12'", 3.6576),
        ("6'6\"", 1.9812),
        ("wide", math.nan),
    ],
)
def test_widths(text: str, expected: float) -> None:
    assert parse_width(text) == pytest.approx(expected, nan_ok=True)


def test_counts_and_durations() -> None:
    assert parse_count("2") == 2.0
    assert parse_count("2;3") == 2.0
    assert math.isnan(parse_count("many"))
    assert parse_duration("01:30") == 1.5
    assert parse_duration("00:00:36") == pytest.approx(0.01)
    assert math.isnan(parse_duration("soon"))


#   A---B---E     A–B under test, B–E a plain street so that the network never is empty
LINE = "ABE"


def direct(mode: str, tags: dict[str, str], *, profile: dict[str, object] | None = None) -> float:
    """[km/h] Speed from A to B."""
    network = build(mode, LINE, [("AB", tags), ("BE", {"highway": "unclassified"})], profile=profile)
    return round(360_000 / milliseconds(network, "A", "B"), 1)


@pytest.mark.parametrize(
    ("mode", "tags", "kmh"),
    [
        ("walk", {"highway": "footway"}, 5.0),
        ("walk", {"highway": "steps"}, 2.0),
        ("walk", {"highway": "footway", "conveying": "yes"}, 2.3),
        ("bike", {"highway": "cycleway"}, 15.0),
        ("bike", {"highway": "footway"}, 5.0),
        ("bike", {"highway": "residential", "surface": "sett"}, 12.0),
        ("bike", {"highway": "residential", "surface": "sand"}, 7.5),
        ("bike", {"highway": "residential", "smoothness": "very_bad"}, 9.0),
        ("bike", {"highway": "steps", "ramp:bicycle": "yes"}, 2.0),
        ("street30", {"highway": "residential"}, 30.0),
        ("street30", {"highway": "residential", "maxspeed": "20"}, 20.0),
        ("street30", {"highway": "residential", "maxspeed": "50"}, 30.0),
        ("street30", {"highway": "tertiary", "maxspeed": "none"}, 30.0),
        ("street30", {"highway": "primary"}, 50.0),
        ("street30", {"highway": "primary", "maxspeed": "70"}, 70.0),
        ("street30", {"highway": "trunk", "maxspeed": "FR:urban"}, 50.0),
        ("street30", {"highway": "motorway", "oneway": "no", "maxspeed": "30 mph"}, 48.3),
        ("street30", {"highway": "residential", "maxspeed": "FR:zone30"}, 30.0),
        ("street30", {"highway": "primary", "maxspeed": "FR:zone30"}, 30.0),
        ("street30", {"highway": "residential", "maxspeed": "walk"}, 7.0),
        ("street30", {"highway": "primary", "zone:maxspeed": "FR:30"}, 30.0),
        ("street30", {"highway": "primary", "source:maxspeed": "FR:zone30"}, 30.0),
        ("street30", {"highway": "primary", "maxspeed:type": "FR:urban"}, 50.0),
        ("street30", {"highway": "primary", "maxspeed": "20 knots"}, 37.0),
        ("street30", {"highway": "residential", "maxspeed": "10 mph"}, 16.1),
        ("street30", {"highway": "living_street"}, 20.0),
        ("street30", {"highway": "service"}, 20.0),
    ],
)
def test_default_speeds(mode: str, tags: dict[str, str], kmh: float) -> None:
    assert direct(mode, tags) == kmh


def test_profiles_change_speeds() -> None:
    assert direct("walk", {"highway": "footway"}, profile={"speed_kmh": 3.6}) == 3.6
    assert direct("bike", {"highway": "cycleway"}, profile={"speed_kmh": 20.0}) == 20.0
    assert direct("street30", {"highway": "residential"}, profile={"congestion_factor": 2.0}) == 15.0
    assert direct("street30", {"highway": "primary"}, profile={"urban_kmh": 40.0}) == 40.0
    assert direct("street30", {"highway": "residential"}, profile={"speed_kmh": 20.0}) == 20.0


def test_limits_differ_by_direction() -> None:
    tags = {"highway": "primary", "maxspeed": "50", "maxspeed:backward": "30"}
    network = build("street30", LINE, [("AB", tags), ("BE", {"highway": "residential"})])
    assert seconds(network, "A", "B") == 7.2
    assert seconds(network, "B", "A") == 12.0


def test_major_roads_by_class_name_number_relation_and_polygon() -> None:
    def speed(major: MajorRoads) -> float:
        tags = {"highway": "secondary", "maxspeed": "50", "name": "Boulevard Périphérique", "ref": "D 1;D 2"}
        ring = ({"type": "route", "route": "road"}, [("way", 1, "")])
        network = build(
            "street30",
            LINE,
            [("AB", tags), ("BE", {"highway": "residential"})],
            relations=[ring],
            profile={"major": major},
        )
        assert network.streets["major"].sum() == (seconds(network, "A", "B") < 8)
        return round(360 / seconds(network, "A", "B"))

    none = MajorRoads(classes=())
    assert speed(none) == 30
    assert speed(MajorRoads(classes=("secondary",))) == 50
    assert speed(MajorRoads(classes=(), names=("Boulevard Périphérique",))) == 50
    assert speed(MajorRoads(classes=(), names=("Boulevard",))) == 30
    assert speed(MajorRoads(classes=(), refs=("D 2",))) == 50
    assert speed(MajorRoads(classes=(), relations=(101,))) == 50
    assert speed(MajorRoads(classes=(), relations=(102,))) == 30
    assert speed(MajorRoads(classes=(), polygon=shapely.box(-0.1, -0.1, 0.0015, 0.1))) == 50
    assert speed(MajorRoads(classes=(), polygon=shapely.box(-0.1, -0.1, 0.0005, 0.1))) == 30


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"speed_kmh": 0.0}, "speed_kmh"),
        ({"speed_kmh": float("nan")}, "speed_kmh"),
        ({"max_lts": 5}, "max_lts"),
        ({"signal_delay_s": -1.0}, "signal_delay_s"),
        ({"congestion_factor": -2.0}, "congestion_factor"),
    ],
)
def test_senseless_profiles_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        ModeProfile.default("bike", **changes)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match="walk, bike, street30"):
        ModeProfile.default("car")


def stress(tags: dict[str, str], **profile: object) -> tuple[int, str]:
    network = build("bike", "AB\nCD", [("AB", tags), ("ACDB", {"highway": "path"})], profile=profile)
    row = network.streets[network.streets["osm_way"] == 1].iloc[0]
    return int(row["lts"]), str(row["lts_rule"])


@pytest.mark.parametrize(
    ("tags", "lts", "rule"),
    [
        ({"highway": "cycleway"}, 1, "way without motor traffic"),
        ({"highway": "footway"}, 1, "pushed on a foot way"),
        ({"highway": "primary", "cycleway": "track"}, 1, "separate track along the road"),
        ({"highway": "residential", "maxspeed": "30"}, 1, "mixed traffic, unlaned, to 750 vehicles a day"),
        ({"highway": "residential", "maxspeed": "50"}, 2, "mixed traffic, unlaned, to 750 vehicles a day"),
        ({"highway": "residential"}, 2, "mixed traffic, unlaned, to 750 vehicles a day"),
        (
            {"highway": "tertiary", "maxspeed": "50"},
            3,
            "mixed traffic, 1 lane a direction, to 3000 vehicles a day",
        ),
        (
            {"highway": "tertiary", "maxspeed": "30"},
            2,
            "mixed traffic, 1 lane a direction, to 3000 vehicles a day",
        ),
        (
            {"highway": "secondary", "maxspeed": "50", "lanes": "4"},
            4,
            "mixed traffic, 2 lanes a direction, over 3000 vehicles a day",
        ),
        (
            {"highway": "secondary", "maxspeed": "30", "lanes": "4"},
            3,
            "mixed traffic, 2 lanes a direction, over 3000 vehicles a day",
        ),
        (
            {"highway": "secondary", "maxspeed": "50", "lanes": "6"},
            4,
            "mixed traffic, 3 lanes or more, over 3000 vehicles a day",
        ),
        ({"highway": "secondary", "maxspeed": "50", "cycleway": "lane"}, 2, "bike lane, 1 lane a direction"),
        ({"highway": "secondary", "maxspeed": "30", "cycleway": "lane"}, 1, "bike lane, 1 lane a direction"),
        (
            {"highway": "secondary", "maxspeed": "50", "cycleway": "lane", "cycleway:width": "1.2"},
            2,
            "narrow bike lane, 1 lane a direction",
        ),
        (
            {"highway": "secondary", "maxspeed": "60", "cycleway:right": "lane", "parking:right": "lane"},
            3,
            "bike lane beside parking, 1 lane a direction",
        ),
        ({"highway": "residential", "motor_vehicle": "no"}, 1, "way without motor traffic"),
        (
            {"highway": "secondary", "oneway": "yes", "lanes": "2"},
            4,
            "mixed traffic, 2 lanes a direction, over 3000 vehicles a day",
        ),
        (
            {"highway": "unclassified", "maxspeed": "80", "lane_markings": "no"},
            4,
            "mixed traffic, unlaned, to 1500 vehicles a day",
        ),
    ],
)
def test_level_of_traffic_stress(tags: dict[str, str], lts: int, rule: str) -> None:
    assert stress(tags) == (lts, rule)


def test_every_table_of_stress_is_reached_and_never_falls_with_the_limit() -> None:
    kinds = {"": {}, "lane": {"cycleway": "lane"}, "narrow": {"cycleway": "lane", "cycleway:width": "1.2"},
             "parked": {"cycleway": "lane", "parking:right": "lane"}}  # fmt: skip
    ways, rules = [], set()
    for highway in ("residential", "unclassified", "tertiary", "secondary", "primary"):
        for more in kinds.values():
            for lanes in ("1", "2", "4", "6"):
                ways += [
                    ("AB", {"highway": highway, "maxspeed": limit, "lanes": lanes, **more})
                    for limit in ("20", "30", "40", "50", "60", "70", "80")
                ]
    network = build("bike", LINE, [*ways, ("BE", {"highway": "unclassified"})])
    level = network.streets.set_index("osm_way")["lts"]
    rules = set(network.streets["lts_rule"])
    for first in range(1, len(ways) + 1, 7):
        rising = level.loc[first : first + 6].tolist()
        assert len(rising) == 7 and rising == sorted(rising), ways[first - 1]
        assert rising[0] >= 1 and rising[-1] <= 4
    one, two, three = "1 lane a direction", "2 lanes a direction", "3 lanes or more"
    for name in (one, two, three):
        for kind in ("bike lane, ", "narrow bike lane, ", "bike lane beside parking, "):
            assert kind + name in rules
    for name in ("unlaned", one, two, three):
        assert any(rule.startswith(f"mixed traffic, {name}, ") for rule in rules)


def test_thirty_lowers_stress_except_on_major_roads() -> None:
    tertiary = {"highway": "tertiary", "maxspeed": "50"}
    assert stress(tertiary)[0] == 3
    assert stress(tertiary, limit_30=True)[0] == 2
    primary = {"highway": "primary", "maxspeed": "50"}
    assert stress(primary)[0] == stress(primary, limit_30=True)[0] == 4


def test_max_lts_restricts_routing() -> None:
    #   A---B     A–B is a fast main road
    #   C---D
    ways = [
        ("AB", {"highway": "primary", "maxspeed": "50"}),
        ("ACDB", {"highway": "residential", "maxspeed": "30"}),
    ]
    times = {}
    for level in (None, 4, 3, 1):
        network = build("bike", "AB\nCD", ways, profile={"max_lts": level})
        times[level] = seconds(network, "A", "B")
        assert level is None or network.streets["lts"].max() <= level
    assert times == {None: 24.0, 4: 24.0, 3: 72.0, 1: 72.0}
    assert network.dropped["ways"]["above_max_lts"] == 1


@pytest.mark.parametrize("key", ["parking:left", "parking:lane:left"])
def test_parking_that_is_mapped_apart_is_there(key: str) -> None:
    network = build("walk", LINE, [("AB", {"highway": "residential", key: "separate"})])
    assert network.streets["parking"].tolist() == ["left"]
    bike = {"highway": "secondary", "maxspeed": "60", "cycleway:right": "lane"}
    beside = [stress(bike | {"parking:right": value}) for value in ("lane", "separate")]
    assert beside[0] == beside[1]


def test_attributes_ride_along() -> None:
    tags = {
        "highway": "residential",
        "name": "Rue Férou",
        "width": "6,5 m",
        "lanes": "2",
        "maxspeed": "30",
        "surface": "asphalt",
        "sidewalk:both": "yes",
        "parking:left": "lane",
        "parking:right": "no",
        "oneway": "yes",
    }
    network = build("walk", LINE, [("AB", tags), ("BE", {"highway": "steps", "tunnel": "yes"})])
    street, steps = (network.streets[network.streets["osm_way"] == way].iloc[0] for way in (1, 2))
    assert (street["highway"], street["name"], street["surface"]) == ("residential", "Rue Férou", "asphalt")
    assert (street["width_m"], street["lanes"], street["maxspeed_kmh"], street["speed_kmh"]) == (
        6.5,
        2.0,
        30.0,
        5.0,
    )
    assert (street["sidewalk"], street["parking"]) == ("both", "left")
    assert bool(street["oneway"]) and bool(street["origin_ok"]) and not street["is_steps"]
    assert bool(steps["is_steps"]) and bool(steps["tunnel"]) and not steps["origin_ok"]
    assert pd.isna(steps["name"]) and np.isnan(steps["width_m"])


@pytest.mark.parametrize(
    ("tags", "lanes"),
    [
        ({"highway": "residential"}, 0),
        ({"highway": "residential", "lanes": "1"}, 0),
        ({"highway": "residential", "lanes": "2"}, 0),  # quiet streets have no marked lanes up to two
        ({"highway": "residential", "lanes": "3"}, 2),
        ({"highway": "secondary"}, 1),
        ({"highway": "tertiary_link"}, 1),
        ({"highway": "trunk_link"}, 1),
        ({"highway": "primary"}, 2),
        ({"highway": "motorway"}, 2),
        ({"highway": "secondary", "lanes": "1"}, 1),  # half a lane is one
        ({"highway": "secondary", "lanes": "2"}, 1),
        ({"highway": "secondary", "lanes": "2", "oneway": "yes"}, 2),
        ({"highway": "secondary", "lanes": "2", "oneway": "-1"}, 2),
        ({"highway": "secondary", "lanes": "2", "junction": "roundabout"}, 2),
        ({"highway": "secondary", "lanes": "1", "oneway": "yes"}, 1),
        ({"highway": "secondary", "lanes": "3"}, 2),
        ({"highway": "primary", "lanes": "6"}, 3),
        ({"highway": "primary", "lanes": "9"}, 3),
        ({"highway": "primary", "lanes": "4", "lane_markings": "no"}, 0),
        ({"highway": "primary", "lanes": "many"}, 2),
    ],
)
def test_lanes_a_direction(tags: dict[str, str], lanes: int) -> None:
    assert _lanes_a_direction(TagColumns(pd.DataFrame([tags, {"highway": "path"}]))).tolist() == [lanes, 0]
