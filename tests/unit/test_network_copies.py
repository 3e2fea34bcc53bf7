"""Streets that a network holds more than once: behind restricted turns, and for their own traffic only."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from engine.cells import street_pieces
from engine.network.copies import copies_of
from engine.network.street_network import StreetNetwork
from engine.proposals.edit import AddAmenity, AddStreet, ChangeStreet, Edit, RemoveStreet
from engine.proposals.resolve import resolve
from engine.proposals.scenario import ModeTables, with_operations
from engine.proposals.standing import PlaceView, Standing, StreetView, Travel
from engine.reach import Destinations, nearest
from engine.route import nearest_at
from engine.snapping import Snaps, on_copies, snap
from tests.osm_town import DEGREE_M, build, seconds
from tests.towns import exact_snaps

#       N
#       |
#   W---X---E      from W nobody may go straight on to E
#       |
#       S          200 m an arm, 24 s at 30 km/h; a ring W–N–E–S outside
CROSS = """
..N..
.....
W.X.E
.....
..S..
"""
STREET = {"highway": "residential"}
WAYS = [(ends, STREET) for ends in ("WX", "XE", "NX", "XS", "WN", "NE", "ES", "SW")]
AHEAD = (
    {"type": "restriction", "restriction": "no_straight_on"},
    [("way", 1, "from"), ("node", "X", "via"), ("way", 2, "to")],
)


@pytest.fixture
def town() -> StreetNetwork:
    return build("street30", CROSS, WAYS, relations=[AHEAD])


def at(x: float, y: float) -> tuple[float, float]:
    """[deg] A point of the drawing, metres east and north of its lower left corner."""
    return round(x / DEGREE_M, 7), round(y / DEGREE_M, 7)


def drawn(network: StreetNetwork, way: int) -> int:
    """Row of the street of a way."""
    table = network.streets
    return int(np.flatnonzero((table["osm_way"] == way) & ~table["copy"])[0])


def joined(one: Snaps, two: Snaps) -> Snaps:
    names = ("street", "fraction", "access_m", "access_ms", "reason")
    return Snaps(*(np.concatenate([getattr(one, n), getattr(two, n)]) for n in names))


def place(network: StreetNetwork, x: float, y: float) -> Destinations:
    """One place, on every copy of its street."""
    own = snap(network, np.array([at(x, y)]), max_snap_m=50.0)
    _, more = on_copies(network, own)
    both = joined(own, more)
    return Destinations(both, np.zeros(len(both.street), np.int32), np.zeros(1, np.int32), np.ones(1), 1)


def seconds_to(network: StreetNetwork, places: Destinations, way: int, fraction: float) -> float:
    """[s] From a point of a way's street to the last place."""
    return seconds_from(network, places, drawn(network, way), fraction)


def seconds_from(network: StreetNetwork, places: Destinations, row: int, fraction: float) -> float:
    """[s] From a point of a row to the last place."""
    field = nearest(network, places)
    found = nearest_at(network, places, field, category=0, street=row, fraction=fraction)
    return found[0][0] / 1000 if found else np.inf


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (
            200,
            100,
            100 + 100,
        ),  # in the middle of X–S, which may be entered from W: a hundred metres to X, then down
        (200, 300, 100 + 100),  # in the middle of X–N
        (200, 200, 100),  # at X itself, on whichever street it lies
        (300, 200, 100 + 200 + 200 + 100),  # on X–E: up to N, where turning round is not forbidden, and back
    ],
)
def test_a_place_right_behind_a_restricted_junction_is_reached_by_the_turns_that_are_allowed(
    town: StreetNetwork, x: float, y: float, expected: float
) -> None:
    assert seconds_to(town, place(town, x, y), 1, 0.5) == pytest.approx(expected * 0.12, abs=0.01)


def no_u_turn(way: int, at: str) -> tuple[dict[str, str], list[tuple[str, int | str, str]]]:
    """A relation: nobody turns back into a way at one of its ends."""
    members: list[tuple[str, int | str, str]] = [
        ("way", way, "from"),
        ("node", at, "via"),
        ("way", way, "to"),
    ]
    return {"type": "restriction", "restriction": "no_u_turn"}, members


@pytest.mark.parametrize(
    ("signs", "metres"),
    [
        ([], 100 + 200 + 200 + 100),  # on to N or S, back to X, and there the turn into X–E is free
        ([no_u_turn(3, "N")], 100 + 200 + 200 + 100),  # then by S
        ([no_u_turn(3, "N"), no_u_turn(4, "S")], 100 + 200 + 200 * 2**0.5 + 100),  # round by the ring to E
    ],
)
def test_turning_back_behind_a_restricted_junction_is_forbidden_where_a_sign_says_so(signs, metres) -> None:
    network = build("street30", CROSS, WAYS, relations=[AHEAD, *signs])
    turns = {"applied_no": 1, **({"applied_no_u_turn": len(signs)} if signs else {})}
    assert network.dropped["turn_restrictions"] == turns
    assert seconds_to(network, place(network, 300, 200), 1, 0.5) == pytest.approx(metres * 0.12, abs=0.02)
    assert seconds_to(network, place(network, 200, 300), 1, 0.5) == pytest.approx(24.0, abs=0.01)  # on N–X
    for way in (3, 4):  # trips that begin on the street leave it at either end
        assert seconds_to(network, place(network, 300, 200), way, 0.5) == pytest.approx(24.0, abs=0.01)
        assert seconds_to(network, place(network, 200, 300 if way == 3 else 100), way, 0.75) < 24.0
        ring = place(network, 300, 300) if way == 3 else place(network, 300, 100)  # the middle of N–E, E–S
        out = (100 + 100 * 2**0.5) * 0.12
        assert seconds_to(network, ring, way, 0.5) == pytest.approx(out, abs=0.02)
    drawn_m = network.length_m[~network.streets["copy"]].sum()
    assert drawn_m == pytest.approx(800 + 4 * 200 * 2**0.5, abs=0.1)


def test_turning_back_at_the_end_of_a_street_changes_nothing_where_no_turn_is_restricted() -> None:
    signs = [no_u_turn(3, "N"), no_u_turn(4, "S"), no_u_turn(1, "X")]
    network = build("street30", CROSS, WAYS, relations=signs)
    assert (
        network.dropped["turn_restrictions"] == {"u_turn_without_effect": 3}
        and not network.streets["copy"].any()
    )


def test_each_copy_knows_its_street(town: StreetNetwork) -> None:
    known = copies_of(town)
    copies = np.flatnonzero(town.streets["copy"])
    ways = town.streets["osm_way"].to_numpy()
    assert sorted(ways[copies[known.street[copies] >= 0]].tolist()) == [3, 4]
    assert ways[copies[known.street[copies] < 0]].tolist() == [1]  # the connector into W–X
    assert {ways[s] for s in known.of} == {3, 4}


# --- edits ------------------------------------------------------------------------------------------------


def after(network: StreetNetwork, *edits: Edit) -> ModeTables:
    """The town with a place at the middle of X–S, edited."""
    standing = Standing(
        categories=("shops",),
        travel={"street30": Travel(30.0)},
        streets={"street30": StreetView.of(network)},
        places=PlaceView(
            (), (), np.empty(0, np.int32), np.empty(0, object), (), np.empty(0), np.empty(0, bool)
        ),
        unserved={"street30": (np.empty(0, np.int64), np.empty((0, 2)))},
    )
    none = Destinations(
        exact_snaps([], []), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), n_categories=1
    )
    tables = ModeTables(network, street_pieces(network, np.empty(0, np.uint64)), none)
    steps = resolve(standing, edits).steps
    return with_operations(tables, [step.operations["street30"] for step in steps])


def shop(x: float, y: float) -> AddAmenity:
    return AddAmenity("a shop", shapely.Point(at(x, y)), category="shops")


def test_a_new_place_lies_on_the_copies_as_well(town: StreetNetwork) -> None:
    done = after(town, shop(200, 100))
    assert seconds_to(done.network, done.destinations, 1, 0.5) == pytest.approx(24.0, abs=0.01)
    assert len(done.destinations.snaps.street) == 2


@pytest.mark.parametrize(
    "edit",
    [
        RemoveStreet("closed", shapely.Point(at(200, 60))),
        RemoveStreet("closed", None, osm_way=(4,)),
        RemoveStreet("closed", shapely.LineString([at(200, 200), at(200, 0)])),
    ],
)
def test_a_closed_street_is_closed_to_those_who_come_from_a_restricted_turn(
    town: StreetNetwork, edit: RemoveStreet
) -> None:
    above, below = after(town, edit, shop(200, 150)), after(town, edit, shop(200, 50))
    assert seconds_to(above.network, above.destinations, 1, 0.5) == pytest.approx(150 * 0.12, abs=0.01)
    by_the_ring = 100 + 200 * 2**0.5 + 50
    assert seconds_to(below.network, below.destinations, 1, 0.5) == pytest.approx(
        by_the_ring * 0.12, abs=0.01
    )


def test_another_speed_and_direction_hold_for_the_copies(town: StreetNetwork) -> None:
    slow = after(town, ChangeStreet("slow", None, osm_way=(1, 4), speed_kmh=15.0), shop(200, 100))
    assert seconds_to(slow.network, slow.destinations, 1, 0.5) == pytest.approx(48.0, abs=0.01)
    up = ChangeStreet("up", shapely.LineString([at(200, 0), at(200, 200)]), osm_way=(4,), direction="forward")
    north = after(town, up, shop(200, 100))
    around = 100 + 200 * 2**0.5 + 100
    assert seconds_to(north.network, north.destinations, 1, 0.5) == pytest.approx(around * 0.12, abs=0.01)


def test_a_new_street_is_entered_from_the_copies_too(town: StreetNetwork) -> None:
    lane = AddStreet(
        "lane", shapely.LineString([at(200, 100), at(300, 100), at(300, 200)]), modes=("street30",)
    )
    done = after(town, lane, shop(260, 100))
    assert seconds_to(done.network, done.destinations, 1, 0.5) == pytest.approx(260 * 0.12, abs=0.05)


LANE = AddStreet("lane", shapely.LineString([at(200, 200), at(300, 300)]), modes=("street30",))
"""From X to the middle of N–E."""
HALF = 50 * 2**0.5


@pytest.mark.parametrize(
    ("sign", "from_w"),
    [
        ("no_straight_on", 100 + HALF),  # the sign says nothing about the lane
        ("only_straight_on", 100 + 200 + 100 * 2**0.5 + HALF),  # on to E, and the lane from its other end
    ],
)
def test_a_new_street_at_a_restricted_junction_is_entered_unless_the_sign_names_another(sign, from_w) -> None:
    network = build("street30", CROSS, WAYS, relations=[({**AHEAD[0], "restriction": sign}, AHEAD[1])])
    done = after(network, LANE, shop(250, 250))
    for way, metres in ((1, from_w), (2, 100 + HALF), (3, 100 + HALF), (4, 100 + HALF)):
        found = seconds_to(done.network, done.destinations, way, 0.5)
        assert found == pytest.approx(metres * 0.12, abs=0.05), way
    for x, y in ((100, 200), (300, 200), (200, 300), (200, 100)):  # and whoever leaves the lane turns freely
        out = after(network, LANE, shop(x, y))
        lane = int(np.flatnonzero(out.network.streets["osm_way"] == 0)[0])
        found = seconds_from(out.network, out.destinations, lane, 0.5)
        assert found == pytest.approx((100 + HALF) * 0.12, abs=0.05), (x, y)
    new = out.network.streets["osm_way"] == 0
    assert new.sum() == 1 + (sign == "no_straight_on")
    assert out.network.streets["copy"][new].sum() == new.sum() - 1


def test_a_new_street_towards_a_restricted_junction_is_not_entered_there(town: StreetNetwork) -> None:
    line = shapely.LineString([at(300, 300), at(200, 200)])
    done = after(town, AddStreet("lane", line, modes=("street30",), oneway=True), shop(250, 250))
    by_n = 100 + 200 + 100 * 2**0.5 + HALF
    assert seconds_to(done.network, done.destinations, 1, 0.5) == pytest.approx(by_n * 0.12, abs=0.05)


def test_a_street_cut_or_closed_takes_its_new_neighbours_copies_along(town: StreetNetwork) -> None:
    second = AddStreet("second", shapely.LineString([at(250, 250), at(300, 200)]), modes=("street30",))
    done = after(town, LANE, second, shop(275, 225))
    assert seconds_to(done.network, done.destinations, 1, 0.5) == pytest.approx(
        (100 + HALF * 1.5) * 0.12, abs=0.05
    )


@pytest.fixture
def no_return() -> StreetNetwork:
    """The cross in which nobody turns back at N or S either: N–X and X–S stand there once for each direction."""
    return build("street30", CROSS, WAYS, relations=[AHEAD, no_u_turn(3, "N"), no_u_turn(4, "S")])


def test_a_street_on_which_nobody_turns_back_is_closed_as_others_are(no_return: StreetNetwork) -> None:
    closed = RemoveStreet("closed", None, osm_way=(3,))  # at the middle of N–X
    ring = 200 * 2**0.5
    for spot, way, fraction, metres in (
        ((200, 250), 1, 0.5, 100 + 50),
        ((200, 350), 1, 0.5, 100 + ring + 50),
        ((300, 200), 4, 0.5, 100 + 100),
    ):
        done = after(no_return, closed, shop(*spot))
        found = seconds_to(done.network, done.destinations, way, fraction)
        assert found == pytest.approx(metres * 0.12, abs=0.02), spot
    done = after(no_return, closed, shop(300, 200))
    table = done.network.streets
    upper = np.flatnonzero((table["osm_way"] == 3) & ~table["copy"] & (table["length_m"] < 150))[0]
    out = seconds_from(done.network, done.destinations, int(upper), 0.5)
    assert out == pytest.approx((50 + ring + 100) * 0.12, abs=0.02)  # by N, not down to X


def test_a_street_on_which_nobody_turns_back_is_slowed_and_joined_as_others_are(
    no_return: StreetNetwork,
) -> None:
    slow = after(no_return, ChangeStreet("slow", None, osm_way=(3,), speed_kmh=15.0), shop(200, 300))
    assert seconds_to(slow.network, slow.destinations, 1, 0.5) == pytest.approx(12.0 + 24.0, abs=0.02)
    lane = AddStreet("lane", shapely.LineString([at(200, 300), at(300, 300)]), modes=("street30",))
    joined_ = after(no_return, lane, shop(250, 300))
    assert seconds_to(joined_.network, joined_.destinations, 1, 0.5) == pytest.approx(250 * 0.12, abs=0.05)
    back = after(no_return, lane, shop(200, 250))
    table = back.network.streets
    new = int(np.flatnonzero(table["osm_way"] == 0)[0])
    found = seconds_from(back.network, back.destinations, new, 0.5)
    assert found == pytest.approx(100 * 0.12, abs=0.05)


# --- streets open to their own traffic only ---------------------------------------------------------------

OWN = STREET | {"motor_vehicle": "destination"}


def quiet(mode: str = "street30", tags: dict[str, str] = OWN) -> StreetNetwork:
    """The cross without its restriction, W–X–E tagged."""
    return build(mode, CROSS, [(ends, tags if ends in ("WX", "XE") else STREET) for ends, _ in WAYS])


def test_through_traffic_goes_round_and_who_lives_or_trades_there_passes() -> None:
    network = quiet()
    ring = 200 * 2**0.5
    assert seconds(network, "W", "E") == pytest.approx(2 * ring * 0.12, abs=0.1)  # not 400 m by X
    assert seconds(network, "W", "N") == pytest.approx(ring * 0.12, abs=0.1)
    assert seconds(network, "N", "S") == pytest.approx(
        400 * 0.12, abs=0.1
    )  # across, on streets that are free
    on_xe = place(network, 300, 200)
    assert seconds_to(network, on_xe, 8, 0.0) == pytest.approx(300 * 0.12, abs=0.02)  # from S, in at X
    assert seconds_to(network, on_xe, 1, 0.5) == pytest.approx(200 * 0.12, abs=0.02)  # a trip within
    assert seconds_to(network, place(network, 200, 100), 1, 0.5) == pytest.approx(200 * 0.12, abs=0.02)  # out
    assert seconds_to(network, on_xe, 4, 0.5) == pytest.approx(200 * 0.12, abs=0.02)  # in, at X
    assert network.dropped["own_traffic_only"] == {
        "km_tagged": pytest.approx(0.4, abs=0.001),
        "km_behind": 0.0,
    }
    assert not network.streets["origin_ok"][network.streets["copy"]].any()
    assert network.length_m[~network.streets["copy"]].sum() == pytest.approx((800 + 4 * ring), abs=0.1)


def test_a_street_of_its_own_traffic_is_entered_for_a_place_and_not_left_for_another() -> None:
    network = quiet()
    far = place(network, 200, 100)  # in the middle of X–S; from W by X it is 300 m, round by S 382.8 m
    assert seconds_to(network, far, 5, 0.0) == pytest.approx((200 * 2**0.5 + 100) * 0.12, abs=0.02)


def test_a_turn_forbidden_at_the_end_of_such_a_street_does_not_open_the_others_there() -> None:
    ways = [(ends, OWN if ends == "WX" else STREET) for ends, _ in WAYS]
    network = build("street30", CROSS, ways, relations=[AHEAD])
    far = place(network, 200, 100)  # in the middle of X–S, into which one may turn from W–X
    assert seconds_to(network, far, 5, 0.0) == pytest.approx((200 * 2**0.5 + 100) * 0.12, abs=0.02)
    assert seconds_to(network, far, 1, 0.5) == pytest.approx(200 * 0.12, abs=0.02)  # who lives there turns
    assert network.dropped["own_traffic_only"]["km_behind"] == 0.0


def test_who_lives_on_such_a_street_leaves_it_though_nobody_may_turn_back_there() -> None:
    ways = [("XW", OWN) if ends == "WX" else (ends, STREET) for ends, _ in WAYS]
    network = build("street30", CROSS, ways, relations=[AHEAD, no_u_turn(1, "W")])
    assert network.dropped["turn_restrictions"] == {"applied_no": 1, "applied_no_u_turn": 1}
    assert seconds_to(network, place(network, 200, 100), 1, 0.5) == pytest.approx(200 * 0.12, abs=0.02)
    by_w = (100 + 100 * 2**0.5) * 0.12  # to the middle of W–N
    assert seconds_to(network, place(network, 100, 300), 1, 0.5) == pytest.approx(by_w, abs=0.02)


#   A---B---C---D      B–C is open to its own traffic only; C–D lies behind it
#   |   |
#   F---G
BEHIND = """
A.B.C.D
.......
F.G....
"""


def test_what_lies_behind_such_a_street_is_reached_by_it_and_passed_by_nobody() -> None:
    ways = [("AB", STREET), ("BC", OWN), ("CD", STREET), ("AF", STREET), ("FG", STREET), ("BG", STREET)]
    network = build("street30", BEHIND, ways)
    assert network.dropped["own_traffic_only"] == {
        "km_tagged": pytest.approx(0.2, abs=0.001),
        "km_behind": pytest.approx(0.2, abs=0.001),
    }
    end = place(network, 600, 200)
    assert seconds_to(network, end, 1, 0.0) == pytest.approx(600 * 0.12, abs=0.05)
    assert seconds_to(network, place(network, 0, 200), 3, 0.5) == pytest.approx(500 * 0.12, abs=0.05)


@pytest.mark.parametrize("mode", ["walk", "bike"])
def test_on_foot_and_by_bicycle_such_streets_are_open(mode: str) -> None:
    speed = {"walk": 5, "bike": 15}[mode]
    network = quiet(mode, STREET | {"access": "destination"})
    assert seconds(network, "W", "E") == pytest.approx(400 * 3.6 / speed, abs=0.1)
    assert not network.streets["copy"].any()
    assert seconds(quiet(mode), "W", "E") == pytest.approx(400 * 3.6 / speed, abs=0.1)


@pytest.mark.parametrize("value", ["customers", "delivery", "residents", "private"])
def test_streets_for_some_people_only_are_left_out(value: str) -> None:
    network = quiet(tags=STREET | {"motor_vehicle": value})
    assert not np.isin([1, 2], network.streets["osm_way"]).any()
