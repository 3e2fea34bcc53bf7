"""Who may use which way, on hand-drawn towns."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.network.conditional import conditional_value, parse_moment
from tests.osm_town import build, seconds

# a ring that every mode may use, so that the tested way A–B always hangs on one component:
#
#   A---B          A–B is the way under test (100 m)
#   |   |          A–C–D–B is a residential street (300 m)
#   C---D
TOWN = """
AB
CD
"""
AROUND = ("ACDB", {"highway": "residential"})
DETOUR_S = {"walk": 216.0, "bike": 72.0, "street30": 36.0}
DIRECT_S = {"walk": 72.0, "bike": 24.0, "street30": 12.0}


def crossing(mode: str, tags: dict[str, str], *, profile: dict[str, object] | None = None) -> tuple[str, str]:
    """How one gets from A to B and back: ``direct``, ``slow`` (direct, not at full speed) or ``round``."""
    slower = {"dismount_kmh": 7.5} if mode == "bike" else {}  # pushing would take as long as riding round
    network = build(mode, TOWN, [("AB", tags), AROUND], profile={**slower, **(profile or {})})
    found = []
    for start, stop in ("AB", "BA"):
        time = seconds(network, start, stop)
        found.append(
            "round"
            if abs(time - DETOUR_S[mode]) < 0.2
            else "direct"
            if abs(time - DIRECT_S[mode]) < 0.2
            else "slow"
        )
    return found[0], found[1]


@pytest.mark.parametrize(
    ("mode", "tags", "there", "back"),
    [
        ("walk", {"highway": "footway"}, "direct", "direct"),
        ("walk", {"highway": "motorway"}, "round", "round"),
        ("walk", {"highway": "trunk"}, "direct", "direct"),
        ("walk", {"highway": "trunk", "motorroad": "yes"}, "round", "round"),
        ("walk", {"highway": "primary", "foot": "no"}, "round", "round"),
        ("walk", {"highway": "primary", "foot": "use_sidepath"}, "round", "round"),
        ("walk", {"highway": "service", "access": "private"}, "round", "round"),
        ("walk", {"highway": "service", "access": "customers"}, "round", "round"),
        ("walk", {"highway": "service", "access": "private", "foot": "yes"}, "direct", "direct"),
        ("walk", {"highway": "service", "access": "no", "foot": "permissive"}, "direct", "direct"),
        ("walk", {"highway": "residential", "vehicle": "no"}, "direct", "direct"),
        ("walk", {"highway": "residential", "oneway": "yes"}, "direct", "direct"),
        ("walk", {"highway": "cycleway"}, "round", "round"),
        ("walk", {"highway": "cycleway", "foot": "designated"}, "direct", "direct"),
        ("walk", {"highway": "cycleway", "segregated": "no"}, "direct", "direct"),
        ("walk", {"highway": "construction"}, "round", "round"),
        ("walk", {"highway": "proposed", "foot": "yes"}, "round", "round"),
        ("walk", {"highway": "corridor", "indoor": "yes"}, "direct", "direct"),
        ("walk", {"highway": "steps"}, "slow", "slow"),
        ("walk", {"highway": "footway", "oneway:foot": "yes"}, "direct", "round"),
        ("walk", {"highway": "steps", "conveying": "forward"}, "slow", "round"),
        ("walk", {"highway": "steps", "conveying": "backward"}, "round", "slow"),
        ("walk", {"highway": "steps", "conveying": "yes", "oneway": "-1"}, "round", "slow"),
        ("walk", {"railway": "platform"}, "direct", "direct"),
        ("walk", {"man_made": "pier"}, "direct", "direct"),
        ("walk", {"highway": "residential", "access": "unknown"}, "direct", "direct"),
        ("walk", {"highway": "footway", "foot": "yes;no"}, "direct", "direct"),
        ("walk", {"highway": "residential", "junction": "roundabout"}, "direct", "direct"),
        ("walk", {"highway": "footway", "indoor": "yes", "level": "1"}, "direct", "direct"),
        ("walk", {"highway": "corridor", "access": "private"}, "round", "round"),
        ("walk", {"highway": "footway", "conveying": "reversible"}, "slow", "slow"),
        ("walk", {"highway": "footway", "access": "destination"}, "direct", "direct"),
        ("walk", {"highway": "residential", "motor_vehicle": "private"}, "direct", "direct"),
        ("bike", {"highway": "cycleway"}, "direct", "direct"),
        ("bike", {"highway": "footway"}, "slow", "slow"),
        ("bike", {"highway": "footway", "bicycle": "yes"}, "direct", "direct"),
        ("bike", {"highway": "footway", "bicycle": "no"}, "round", "round"),
        ("bike", {"highway": "residential", "bicycle": "dismount"}, "slow", "slow"),
        ("bike", {"highway": "steps"}, "round", "round"),
        ("bike", {"highway": "motorway"}, "round", "round"),
        ("bike", {"highway": "primary", "bicycle": "use_sidepath"}, "round", "round"),
        ("bike", {"highway": "residential", "vehicle": "no"}, "round", "round"),
        ("bike", {"highway": "residential", "vehicle": "no", "bicycle": "yes"}, "direct", "direct"),
        ("bike", {"highway": "residential", "access": "no", "vehicle": "yes"}, "direct", "direct"),
        ("bike", {"highway": "residential", "oneway": "yes"}, "direct", "round"),
        ("bike", {"highway": "residential", "oneway": "-1"}, "round", "direct"),
        ("bike", {"highway": "residential", "oneway": "yes", "oneway:bicycle": "no"}, "direct", "direct"),
        ("bike", {"highway": "residential", "oneway": "yes", "cycleway": "opposite"}, "direct", "direct"),
        (
            "bike",
            {"highway": "residential", "oneway": "yes", "cycleway": "opposite_lane"},
            "direct",
            "direct",
        ),
        (
            "bike",
            {"highway": "residential", "oneway": "yes", "cycleway:left": "opposite_track"},
            "direct",
            "direct",
        ),
        (
            "bike",
            {
                "highway": "residential",
                "oneway": "yes",
                "cycleway:left": "lane",
                "cycleway:left:oneway": "-1",
            },
            "direct",
            "direct",
        ),
        ("bike", {"highway": "residential", "oneway": "yes", "cycleway": "lane"}, "direct", "round"),
        (
            "bike",
            {"highway": "residential", "oneway": "yes", "cycleway": "opposite", "oneway:bicycle": "yes"},
            "direct",
            "round",
        ),
        ("bike", {"highway": "residential", "junction": "roundabout"}, "direct", "round"),
        ("bike", {"highway": "busway"}, "round", "round"),
        ("bike", {"highway": "busway", "bicycle": "yes"}, "direct", "direct"),
        ("bike", {"highway": "busway", "cycleway": "share_busway"}, "direct", "direct"),
        (
            "bike",
            {"highway": "residential", "oneway": "yes", "cycleway:left": "opposite_share_busway"},
            "direct",
            "direct",
        ),
        (
            "bike",
            {"highway": "residential", "oneway": "yes", "cycleway:both": "opposite_lane"},
            "direct",
            "direct",
        ),
        (
            "bike",
            {
                "highway": "residential",
                "oneway": "yes",
                "cycleway:left": "track",
                "cycleway:left:oneway": "no",
            },
            "direct",
            "direct",
        ),
        ("bike", {"highway": "residential", "oneway": "yes", "cycleway:left": "track"}, "direct", "round"),
        ("bike", {"highway": "residential", "oneway:bicycle": "-1"}, "round", "direct"),
        ("bike", {"highway": "residential", "oneway": "yes", "oneway:bus": "no"}, "direct", "round"),
        ("bike", {"highway": "residential", "oneway": "yes", "busway": "opposite_lane"}, "direct", "round"),
        (
            "bike",
            {"highway": "residential", "junction": "roundabout", "oneway:bicycle": "no"},
            "direct",
            "direct",
        ),
        ("bike", {"highway": "service", "access": "no", "psv": "yes", "bicycle": "yes"}, "direct", "direct"),
        ("bike", {"highway": "service", "access": "no", "psv": "yes"}, "round", "round"),
        ("bike", {"highway": "path", "foot": "designated"}, "slow", "slow"),
        ("bike", {"highway": "path", "foot": "designated", "bicycle": "designated"}, "direct", "direct"),
        ("bike", {"highway": "residential", "access": "destination"}, "direct", "direct"),
        ("bike", {"highway": "pedestrian", "foot": "no"}, "round", "round"),
        ("bike", {"highway": "bridleway"}, "round", "round"),
        ("bike", {"highway": "pedestrian"}, "slow", "slow"),
        ("street30", {"highway": "residential"}, "direct", "direct"),
        ("street30", {"highway": "residential", "oneway": "yes"}, "direct", "round"),
        ("street30", {"highway": "residential", "oneway": "reverse"}, "round", "direct"),
        ("street30", {"highway": "residential", "junction": "roundabout"}, "direct", "round"),
        ("street30", {"highway": "residential", "junction": "circular", "oneway": "no"}, "direct", "direct"),
        ("street30", {"highway": "residential", "motor_vehicle": "no"}, "round", "round"),
        ("street30", {"highway": "residential", "motor_vehicle": "destination"}, "round", "round"),
        ("street30", {"highway": "residential", "motor_vehicle": "private"}, "round", "round"),
        ("street30", {"highway": "residential", "access": "no", "motorcar": "yes"}, "direct", "direct"),
        ("street30", {"highway": "residential", "vehicle": "no", "motor_vehicle": "yes"}, "direct", "direct"),
        ("street30", {"highway": "residential", "motor_vehicle": "yes", "motorcar": "no"}, "round", "round"),
        ("street30", {"highway": "residential", "foot": "no", "bicycle": "no"}, "direct", "direct"),
        (
            "street30",
            {"highway": "residential", "oneway": "yes", "oneway:bicycle": "no"},
            "direct",
            "round",
        ),
        (
            "street30",
            {"highway": "residential", "oneway": "yes", "oneway:motor_vehicle": "no"},
            "direct",
            "direct",
        ),
        ("street30", {"highway": "residential", "junction": "circular"}, "direct", "round"),
        ("street30", {"highway": "pedestrian"}, "round", "round"),
        ("street30", {"highway": "pedestrian", "access": "yes"}, "round", "round"),
        ("street30", {"highway": "footway", "motor_vehicle": "yes"}, "round", "round"),
        ("street30", {"highway": "busway"}, "round", "round"),
        ("street30", {"highway": "living_street", "maxspeed": "20"}, "slow", "slow"),
        ("street30", {"highway": "service", "service": "emergency_access"}, "round", "round"),
    ],
)
def test_access_and_direction(mode: str, tags: dict[str, str], there: str, back: str) -> None:
    assert crossing(mode, tags) == (there, back)


@pytest.mark.parametrize("mode", ["walk", "bike", "street30"])
@pytest.mark.parametrize(
    "value",
    [
        *("no", "private", "customers", "delivery", "agricultural", "forestry", "military", "residents"),
        *("permit", "emergency", "employees", "permit;private", "psv", "restricted"),
    ],
)
def test_who_needs_leave_or_an_errand_is_not_everybody(mode: str, value: str) -> None:
    assert crossing(mode, {"highway": "residential", "access": value}) == ("round", "round")
    key = {"walk": "foot", "bike": "bicycle", "street30": "motor_vehicle"}[mode]
    assert crossing(mode, {"highway": "residential", "access": value, key: "yes"}) == ("direct", "direct")
    assert crossing(mode, {"highway": "residential", "access": "yes", key: value}) == ("round", "round")


@pytest.mark.parametrize(
    ("mode", "key"), [("walk", "foot"), ("walk", "access"), ("bike", "bicycle"), ("bike", "vehicle")]
)
def test_conditional_access_binds_each_mode_by_its_own_keys(mode: str, key: str) -> None:
    tags = {"highway": "residential", f"{key}:conditional": "no @ (Mo-Fr 09:00-12:00)"}
    assert crossing(mode, tags) == ("round", "round")
    assert crossing(mode, tags, profile={"moment": "Sa 10:00"}) == ("direct", "direct")


@pytest.mark.parametrize(
    ("condition", "moment", "expected"),
    [
        ("no @ (Mo-Fr 07:00-19:00)", "Tu 10:00", "round"),
        ("no @ (Mo-Fr 07:00-19:00)", "Tu 19:00", "direct"),
        ("no @ (Mo-Fr 07:00-19:00)", "Su 10:00", "direct"),
        ("no @ (22:00-06:00)", "Tu 23:30", "round"),
        ("no @ (22:00-06:00)", "Tu 05:59", "round"),
        ("no @ (22:00-06:00)", "Tu 06:00", "direct"),
        ("no @ (weight>3.5)", "Tu 10:00", "direct"),
        ("no @ (Sa,Su); yes @ (Su 10:00-12:00)", "Su 11:00", "direct"),
        ("no @ (Sa,Su); yes @ (Su 10:00-12:00)", "Su 13:00", "round"),
        ("no @ (winter)", "Tu 10:00", "direct"),
    ],
)
def test_conditional_access_is_read_at_the_moment(condition: str, moment: str, expected: str) -> None:
    tags = {"highway": "residential", "motor_vehicle:conditional": condition}
    assert crossing("street30", tags, profile={"moment": moment})[0] == expected


def test_conditional_access_of_a_closed_street_opens_it() -> None:
    tags = {
        "highway": "residential",
        "motor_vehicle": "no",
        "motor_vehicle:conditional": "yes @ (10:00-11:00)",
    }
    assert crossing("street30", tags) == ("direct", "direct")


def test_conditional_oneway_and_limit() -> None:
    oneway = {"highway": "residential", "oneway": "yes", "oneway:conditional": "no @ (09:00-12:00)"}
    assert crossing("street30", oneway) == ("direct", "direct")
    limit = {"highway": "residential", "maxspeed": "50", "maxspeed:conditional": "20 @ (09:00-12:00)"}
    assert crossing("street30", limit) == ("slow", "slow")


@pytest.mark.parametrize("text", ["Tue 10:00", "Tu 10", "Xx 10:00", "", "Tu 10:61"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="weekday and a time"):
        parse_moment(text)


def test_clauses_apply_in_order() -> None:
    when = parse_moment("We 08:00")
    assert conditional_value("a @ (Mo-Fr); b @ (08:00-09:00)", when) == "b"
    assert conditional_value("b @ (08:00-09:00); a @ (Mo-Fr)", when) == "a"
    assert conditional_value("no @ (Mo-Fr 07:00-09:00 AND length>12)", when) == ""
    assert conditional_value("no @ (Fr-Mo)", when) == ""
    assert conditional_value("nonsense", when) == ""


#   A-x-B     x is a node in the middle of A–B
#   |   |
#   C---D
GATED = """
AXB
C.D
"""


@pytest.mark.parametrize(
    ("mode", "node", "passes"),
    [
        ("walk", {"barrier": "bollard"}, True),
        ("walk", {"barrier": "gate"}, True),
        ("walk", {"barrier": "gate", "access": "private"}, False),
        ("walk", {"barrier": "gate", "access": "private", "foot": "yes"}, True),
        ("walk", {"barrier": "gate", "locked": "yes"}, False),
        ("walk", {"barrier": "gate", "locked": "yes", "foot": "yes"}, True),
        ("walk", {"barrier": "wall"}, False),
        ("walk", {"barrier": "kissing_gate"}, True),
        ("walk", {"highway": "crossing", "foot": "no"}, True),
        ("bike", {"barrier": "bollard"}, True),
        ("bike", {"barrier": "kissing_gate"}, False),
        ("bike", {"barrier": "gate", "vehicle": "no"}, False),
        ("bike", {"barrier": "gate", "vehicle": "no", "bicycle": "yes"}, True),
        ("street30", {"barrier": "bollard"}, False),
        ("street30", {"barrier": "bollard", "motor_vehicle": "yes"}, True),
        ("street30", {"barrier": "lift_gate"}, True),
        ("street30", {"barrier": "lift_gate", "access": "private"}, False),
        ("street30", {"barrier": "toll_booth"}, True),
        ("street30", {"barrier": "gate", "motor_vehicle:conditional": "no @ (Mo-Fr)"}, False),
    ],
)
def test_barriers(mode: str, node: dict[str, str], passes: bool) -> None:
    network = build(
        mode,
        GATED,
        [("AXB", {"highway": "residential"}), ("ACDB", {"highway": "residential"})],
        nodes={"X": node},
    )
    direct, detour = 2 * DIRECT_S[mode], 4 * DIRECT_S[mode]
    assert seconds(network, "A", "B") == pytest.approx(direct if passes else detour, abs=0.2)
    if not passes:  # both stubs stay: a house before the gate can be reached
        assert network.length_m.sum() == pytest.approx(600, abs=0.2)
        assert network.dropped["barriers"] == {"closed_nodes": 1}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"highway": "steps"}, "round"),
        ({"highway": "steps", "ramp:wheelchair": "yes"}, "slow"),
        ({"highway": "footway", "surface": "sand"}, "round"),
        ({"highway": "footway", "wheelchair": "no"}, "round"),
        ({"highway": "footway", "surface": "gravel", "wheelchair": "yes"}, "direct"),
        ({"highway": "footway", "smoothness": "very_bad"}, "round"),
        ({"highway": "footway", "conveying": "reversible"}, "round"),
        ({"highway": "footway", "conveying": "no"}, "direct"),
    ],
)
def test_wheelchairs(tags: dict[str, str], expected: str) -> None:
    assert crossing("walk", tags, profile={"wheelchair": True})[0] == expected
    assert crossing("walk", tags)[0] != "round"


def test_a_raised_kerb_stops_wheelchairs_only() -> None:
    ways = [("AXB", {"highway": "footway"}), ("ACDB", {"highway": "footway"})]
    kerb = {"X": {"barrier": "kerb", "kerb": "raised"}}
    assert seconds(build("walk", GATED, ways, nodes=kerb), "A", "B") == 144.0
    assert seconds(build("walk", GATED, ways, nodes=kerb, profile={"wheelchair": True}), "A", "B") == 288.0


def test_ferries_wait_once_and_only_where_asked() -> None:
    #   A==F==B     ferry in two pieces, 30 min for the first
    #   |     |
    #   C-----D
    ways = [
        ("AX", {"route": "ferry", "duration": "00:01"}),
        ("XB", {"route": "ferry", "duration": "00:01"}),
        ("ACDB", {"highway": "residential"}),
    ]
    network = build("walk", GATED, ways)
    assert seconds(network, "A", "B") == 288.0
    assert network.dropped["ways"]["ferry"] == 2
    network = build("walk", GATED, ways, profile={"ferries": True, "ferry_wait_s": 60.0})
    assert network.dropped["ways"]["ferry"] == 0
    assert seconds(network, "A", "B") == pytest.approx(180.0)
    assert seconds(network, "B", "A") == pytest.approx(180.0)


def test_a_lift_takes_its_ride_whether_drawn_as_a_way_or_as_a_node() -> None:
    """100 m on foot are 72 s, the ride is 30 s; a bicycle is not taken up, and the street leads round in 216 s."""
    way = [("AB", {"highway": "elevator"}), AROUND]
    assert seconds(build("walk", TOWN, way), "A", "B") == pytest.approx(72.0 + 30.0)
    assert seconds(build("walk", TOWN, way, profile={"elevator_s": 90.0}), "B", "A") == pytest.approx(
        72.0 + 90.0
    )
    assert crossing("bike", {"highway": "elevator"}) == ("round", "round")
    footways = [
        ("AX", {"highway": "footway"}),
        ("XB", {"highway": "footway"}),
        ("ACDB", {"highway": "residential"}),
    ]
    node = build("walk", GATED, footways, nodes={"X": {"highway": "elevator"}})
    assert seconds(node, "A", "B") == pytest.approx(144.0 + 30.0)


def test_signals_delay_arrivals() -> None:
    ways = [("AXB", {"highway": "residential"}), ("ACDB", {"highway": "residential"})]
    signal = {"X": {"highway": "traffic_signals"}}
    for delay in (0.0, 20.0):
        network = build("walk", GATED, ways, nodes=signal, profile={"signal_delay_s": delay})
        assert seconds(network, "A", "B") == pytest.approx(144.0 + delay)
        assert seconds(network, "B", "A") == pytest.approx(144.0 + delay)
    crossing_node = {"X": {"highway": "crossing", "crossing": "traffic_signals"}}
    by_car = build("street30", GATED, ways, nodes=crossing_node, profile={"signal_delay_s": 20.0})
    assert seconds(by_car, "A", "B") == pytest.approx(24.0)
