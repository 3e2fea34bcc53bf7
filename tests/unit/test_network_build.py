"""Simplification, components, order, plazas, turn restrictions and quality, on hand-drawn towns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import shapely

from engine.network.build import build_network
from engine.network.geodesy import great_circle, hilbert_order
from engine.network.profile import ModeProfile
from engine.network.quality import quality_report
from engine.network.street_network import StreetNetwork
from engine.osm_extract import OsmExtract
from tests.osm_town import DEGREE_M, build, extract_of, plain_extract, seconds, streets

STREET = {"highway": "residential"}
PLAZA = {"highway": "pedestrian", "area": "yes"}


def test_nodes_without_decision_disappear_and_keep_their_bends() -> None:
    #   A-x
    #     |
    #     y---B---E     x, y: bends; B: junction of three streets
    #         D
    drawing = """
AX...
.Y.BE
...D.
"""
    network = build("walk", drawing, [("AXYB", STREET), ("BE", STREET), ("BD", STREET)])
    assert streets(network) == {"AB", "BE", "BD"}
    assert seconds(network, "A", "B") == 72.0 * 4
    street = network.streets.index[network.streets["osm_way"] == 1][0]
    assert shapely.get_num_coordinates(network.geometry[street]) == 4
    assert network.length_m[street] == pytest.approx(400.0, abs=0.1)


def test_times_between_kept_nodes_are_sums_over_the_nodes_between() -> None:
    drawing = "A1234567B\nC.......D"
    path = "A1234567B"
    network = build(
        "walk", drawing, [(path, STREET), ("BD", STREET), ("DC", STREET), ("CA", STREET)], cell_m=7.3
    )
    assert len(network.streets) == 1  # a ring of four ways without a junction
    ring = network.streets.iloc[0]
    assert ring["u"] == ring["v"]
    single = build("walk", drawing, [(path, STREET)], cell_m=7.3).streets
    by_hand = np.rint(great_circle(*_pairs(path, drawing)) * 720).sum()
    assert single["forward_ms"].tolist() == single["backward_ms"].tolist() == [int(by_hand)]


def _pairs(path: str, drawing: str) -> tuple[np.ndarray, ...]:
    extract = extract_of(drawing, [(path, STREET)], cell_m=7.3)
    at = np.searchsorted(extract.node_id, [ord(sign) for sign in path])
    lon, lat = extract.lon[at], extract.lat[at]
    return lon[:-1], lat[:-1], lon[1:], lat[1:]


@pytest.mark.parametrize(
    ("second", "merged"),
    [
        (STREET, True),
        ({"highway": "residential", "lit": "yes"}, True),
        ({"highway": "residential", "name": "Elsewhere"}, False),
        ({"highway": "residential", "bridge": "yes"}, False),
        ({"highway": "tertiary"}, False),
        ({"highway": "residential", "surface": "sett"}, False),
    ],
)
def test_a_change_of_attributes_keeps_the_node(second: dict[str, str], merged: bool) -> None:
    network = build("walk", "ABE", [("AB", STREET), ("BE", second)])
    assert streets(network) == ({"AE"} if merged else {"AB", "BE"})


def test_ways_drawn_against_each_other_stay_apart() -> None:
    # left and right of a street mean something: parking, sidewalk
    assert streets(build("walk", "ABE", [("AB", STREET), ("EB", STREET)])) == {"AB", "BE"}


def test_only_the_largest_strong_component_stays() -> None:
    #   A---B    C    A–B–E–F a ring, C–D an island, G behind a street that leads out only
    #   E---F-G  D
    drawing = "AB.C\nEFGD"
    ways = [("ABFEA", STREET), ("CD", STREET), ("FG", {"highway": "residential", "oneway": "yes"})]
    network = build("street30", drawing, ways)
    assert {chr(i) for i in network.node_id} <= set("ABEF")
    dropped = network.dropped["components"]
    assert (dropped["number"], dropped["nodes_kept"], dropped["nodes_dropped"]) == (3, 4, 3)
    assert (dropped["km_kept"], dropped["km_dropped"]) == (0.4, 0.2)
    on_foot = build("walk", drawing, ways)
    assert on_foot.dropped["components"]["nodes_dropped"] == 2
    metres = build("street30", drawing, ways, cell_m=33.337).dropped["components"]
    assert (metres["km_kept"], metres["km_dropped"]) == (0.133, 0.067)  # told to the metre
    assert dropped["next_largest_nodes"] == [2, 1]


def test_a_wait_where_two_nodes_lie_in_one_place_leaves_both_directions_open() -> None:
    at = {1: (0.0, 0.0), 2: (100 / DEGREE_M, 0.0), 3: (100 / DEGREE_M, 0.0), 4: (200 / DEGREE_M, 0.0)}
    extract = plain_extract(at, [([1, 2], STREET), ([2, 3], {**STREET, "name": "x"}), ([3, 4], STREET)])
    network = build_network(extract, ModeProfile.default("walk", signal_delay_s=10.0))
    assert len(network.node_id) == 4
    assert network.forward_ms.tolist() == network.backward_ms.tolist() == [72_000, 0, 72_000]


def test_an_extract_without_streets_gives_an_empty_network() -> None:
    extract = extract_of("AB", [("AB", {"building": "yes"})])
    for mode in ("walk", "bike", "street30"):
        network = build_network(extract, ModeProfile.default(mode))
        assert network.n_vertices == 0 and len(network.streets) == 0
        assert network.graph.vcount() == 0
        assert quality_report(extract, network)["suspicious_gaps"]["number"] == 0


def test_vertices_follow_a_hilbert_curve() -> None:
    x, y = np.meshgrid(np.arange(16.0), np.arange(16.0))
    order = hilbert_order(x.ravel(), y.ravel(), np.arange(256))
    steps = np.abs(np.diff(x.ravel()[order])) + np.abs(np.diff(y.ravel()[order]))
    assert sorted(order) == list(range(256))
    assert set(steps) == {1.0}  # the curve of a 16 × 16 grid never jumps


def test_streets_are_ordered_and_independent_of_the_order_of_ways() -> None:
    drawing = "AB\nCD"
    ways = [
        ("AB", STREET),
        ("BD", {"highway": "tertiary"}),
        ("DC", {"highway": "service"}),
        ("CA", {"highway": "path"}),
    ]
    one = build("walk", drawing, ways)
    assert (np.diff(one.u) >= 0).all()
    again = build("walk", drawing, ways)
    pd.testing.assert_frame_equal(one.streets, again.streets)
    np.testing.assert_array_equal(one.coords, again.coords)


# --- plazas -----------------------------------------------------------------------------------------------


def test_a_plaza_is_crossed_in_a_straight_line() -> None:
    #   A-B---C      B–C–E–D is a square plaza of 300 m; streets reach it at B and E
    #     |   |
    #     D---E-F
    drawing = """
AB..C.
......
......
.D..EF
"""
    ways = [("AB", STREET), ("EF", STREET), ("BCEDB", PLAZA)]
    network = build("walk", drawing, ways)
    assert seconds(network, "B", "E") == pytest.approx(np.hypot(300, 300) * 0.72, abs=0.1)
    crossing = network.streets[network.streets["area_crossing"]]
    assert len(crossing) == 1 and crossing["highway"].tolist() == ["pedestrian"]
    assert network.dropped["areas"] == {"crossed": 1, "entrances": 2, "lines": 1}
    round_it = build("walk", drawing, [*ways[:2], ("BCEDB", {"highway": "pedestrian"})])
    assert seconds(round_it, "B", "E") == 432.0
    by_car = build("street30", drawing, [*ways, ("BDE", {"highway": "tertiary"})])
    assert seconds(by_car, "B", "E") == 72.0  # round it, not across


def test_a_corner_bends_the_way_across() -> None:
    #   B---C        an L-shaped plaza: the straight line B–F runs outside, the way bends at the corner E
    #   |   E---F
    #   D-------G
    drawing = """
ABC...
......
..E.FH
.D..G.
"""
    ways = [("AB", STREET), ("FH", STREET), ("BCEFGDB", PLAZA)]
    network = build("walk", drawing, ways)
    by_hand = (np.hypot(100, 200) + 200) * 0.72
    assert seconds(network, "B", "F") == pytest.approx(by_hand, abs=0.2)


def test_a_hole_is_walked_round() -> None:
    #   B-------C     a plaza with a fountain in the middle (inner ring), as a multipolygon
    #   |  1-2  |
    #   |  3-4  |
    #   D-------E
    drawing = """
AB.....C.
.........
...1.2...
...3.4...
.........
.D.....EF
"""
    ways = [("AB", STREET), ("EF", STREET), ("BCED", {}), ("DB", {}), ("12431", {})]
    plaza = (
        {"type": "multipolygon", "highway": "pedestrian"},
        [("way", 3, "outer"), ("way", 4, "outer"), ("way", 5, "inner")],
    )
    network = build("walk", drawing, ways, relations=[plaza])
    legs = np.hypot(400, 200) + np.hypot(200, 300)  # over the corner 2 of the fountain, or over 3
    assert seconds(network, "B", "E") == pytest.approx(legs * 0.72, abs=0.2)
    assert seconds(network, "E", "B") == pytest.approx(legs * 0.72, abs=0.2)


def test_a_stair_that_ends_inside_a_plaza_is_joined_to_its_entrances() -> None:
    #   B-------C      the steps x–F come up from a station in the middle of the plaza
    #   |   X-F |
    #   D-------E
    drawing = """
AB...C
......
..XF..
......
.D...E
"""
    ways = [("AB", STREET), ("BCEDB", PLAZA)]
    network = build("walk", drawing, [*ways, ("XF", {"highway": "steps"})])
    assert seconds(network, "B", "X") == pytest.approx(np.hypot(100, 200) * 0.72, abs=0.1)
    for stair in ("FYX", "XYF"):  # whichever end comes up, and not a bend on the way
        bent = build("walk", drawing.replace("D...E", "DY..E"), [*ways, (stair, {"highway": "steps"})])
        assert seconds(bent, "B", "X") == pytest.approx(np.hypot(100, 200) * 0.72, abs=0.1)


def test_a_path_that_ends_inside_a_plaza_where_only_stairs_go_on_is_joined_for_cyclists() -> None:
    # F–X is pushed as far as X, in the middle of the plaza; the stairs X–Y are none of a cyclist's
    drawing = """
AB...C
......
..XF..
..Y...
.D...E
"""
    ways = [("AB", STREET), ("BCEDB", PLAZA), ("XF", {"highway": "footway"}), ("XY", {"highway": "steps"})]
    network = build("bike", drawing, ways)
    assert seconds(network, "B", "X") == pytest.approx(np.hypot(100, 200) * 0.72, abs=0.1)


def test_plazas_with_many_entrances_stay_sparse() -> None:
    sides = 60
    angle = 2 * np.pi * np.arange(sides) / sides
    spots = [(500 * np.cos(t), 500 * np.sin(t)) for t in angle]
    extract = _round_plaza(spots)
    network = build_network(extract, ModeProfile.default("walk"))
    lines = int(network.streets["area_crossing"].sum())
    assert lines < sides * 10  # all pairs would be 1,710
    at = {int(i): k for k, i in enumerate(network.node_id)}
    times = np.array(
        network.graph.distances(
            [at[i + 1] for i in range(sides)], [at[i + 1] for i in range(sides)], weights="travel_time_ms"
        )
    )
    xy = np.array(spots)
    straight = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) * 720
    far = straight > 0
    assert (times[far] / straight[far]).max() <= 1.051
    assert (times[far] / straight[far]).min() >= 0.999


def _round_plaza(spots: list[tuple[float, float]]) -> OsmExtract:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from pipelines.sources.osm_file import read_osm

    n = len(spots)
    rows = ['<osm version="0.6">']
    for i, (x, y) in enumerate(spots, start=1):
        rows.append(f'<node id="{i}" version="1" lon="{x / DEGREE_M:.7f}" lat="{y / DEGREE_M:.7f}"/>')
        rows.append(
            f'<node id="{i + n}" version="1" lon="{1.1 * x / DEGREE_M:.7f}" lat="{1.1 * y / DEGREE_M:.7f}"/>'
        )
    rows.sort(key=lambda row: int(row.split('"')[1]) if row.startswith("<node") else -1)
    ring = "".join(f'<nd ref="{i}"/>' for i in [*range(1, n + 1), 1])
    rows.append(
        f'<way id="1" version="1">{ring}<tag k="highway" v="pedestrian"/><tag k="area" v="yes"/></way>'
    )
    rows += [
        f'<way id="{i + 1}" version="1"><nd ref="{i}"/><nd ref="{i + n}"/><tag k="highway" v="footway"/></way>'
        for i in range(1, n + 1)
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "round.osm"
        path.write_text("\n".join([*rows, "</osm>"]), "utf-8")
        return read_osm(path)


# --- turn restrictions ------------------------------------------------------------------------------------

#       N
#       |
#   W---X---E      four streets meet at X; a ring W–N–E–S outside
#       |
#       S
CROSS = """
..N..
.....
W.X.E
.....
..S..
"""
ARMS = [("WX", STREET), ("XE", STREET), ("NX", STREET), ("XS", STREET)]
RING = [("WN", STREET), ("NE", STREET), ("ES", STREET), ("SW", STREET)]


def turn(
    kind: str, from_way: int, to_way: int, **tags: str
) -> tuple[dict[str, str], list[tuple[str, int | str, str]]]:
    return {"type": "restriction", "restriction": kind, **tags}, [
        ("way", from_way, "from"),
        ("node", "X", "via"),
        ("way", to_way, "to"),
    ]


DIRECT = 400 * 0.12
AROUND_S = round(2 * np.hypot(200, 200) * 0.12, 1)


def cross(*relations: object, mode: str = "street30", **profile: object) -> StreetNetwork:
    return build(mode, CROSS, [*ARMS, *RING], relations=relations, profile=profile)


def test_without_restrictions_every_turn_is_free() -> None:
    network = cross()
    assert seconds(network, "W", "E") == pytest.approx(DIRECT, abs=0.2)
    assert network.dropped["turn_restrictions"] == {}


def test_a_forbidden_turn_goes_round_and_the_others_stay() -> None:
    plain, network = cross(), cross(turn("no_straight_on", 1, 2))
    assert seconds(network, "W", "E") == pytest.approx(AROUND_S, abs=0.2)
    assert seconds(plain, "W", "E") == pytest.approx(DIRECT, abs=0.2)
    for start, stop in ("EW", "NS", "SN", "WS", "NE"):
        assert seconds(network, start, stop) == seconds(plain, start, stop)
    assert network.dropped["turn_restrictions"] == {"applied_no": 1}
    assert (network.node_id < 0).sum() == 1 and (network.node_id == ord("X")).sum() == 1
    copies = network.streets["copy"]
    assert copies.sum() == 3 and not network.streets["origin_ok"][copies].any()  # to N, to S, and into W
    assert network.length_m[~copies].sum() == pytest.approx(plain.length_m.sum())


def test_an_obliged_turn_forbids_the_others() -> None:
    network = cross(turn("only_straight_on", 1, 2))
    # from W one may only go on to E; X–S and X–N are reached by the ring
    assert seconds(network, "W", "E") == pytest.approx(DIRECT, abs=0.2)
    assert seconds(network, "W", "S") == pytest.approx(np.hypot(200, 200) * 0.12, abs=0.2)
    assert seconds(network, "S", "N") == pytest.approx(DIRECT, abs=0.2)
    assert network.dropped["turn_restrictions"] == {"applied_only": 1}


@pytest.mark.parametrize(
    ("relation", "counted"),
    [
        (turn("no_straight_on", 1, 2, **{"except": "bicycle;motorcar"}), "except_cars"),
        (turn("no_u_turn", 1, 1), "u_turn_without_effect"),
        (turn("no_straight_on", 1, 99), "incomplete"),
        (turn("give_way", 1, 2), "not_in_force_or_unknown"),
        (
            (
                {"type": "restriction", "restriction": "no_straight_on"},
                [("way", 1, "from"), ("way", 3, "via"), ("way", 2, "to")],
            ),
            "incomplete",  # the via way NX does not lead from W to E
        ),
        (
            (
                {"type": "restriction", "restriction:conditional": "no_straight_on @ (18:00-20:00)"},
                turn("", 1, 2)[1],
            ),
            "not_in_force_or_unknown",
        ),
    ],
)
def test_restrictions_that_do_not_apply_are_counted(relation: object, counted: str) -> None:
    network = cross(relation)
    assert seconds(network, "W", "E") == pytest.approx(DIRECT, abs=0.2)
    assert network.dropped["turn_restrictions"] == {counted: 1}


def test_conditional_restrictions_hold_at_their_time() -> None:
    relation = (
        {"type": "restriction", "restriction:conditional": "no_straight_on @ (18:00-20:00)"},
        turn("", 1, 2)[1],
    )
    assert seconds(cross(relation, moment="Tu 19:00"), "W", "E") == pytest.approx(AROUND_S, abs=0.2)


#   A---B---C---D      B–C is one side of a block: a short piece of street between two junctions
#       |   |
#       E---F
BLOCK = """
A.B.C.D
.......
..E.F..
"""
SIDES = [("AB", STREET), ("BC", STREET), ("CD", STREET), ("BE", STREET), ("CF", STREET)]
SLOW = ("EF", {"highway": "residential", "maxspeed": "15"})


def block(*relations: object, ways: Sequence[tuple[str, dict[str, str]]] = (*SIDES, SLOW)) -> StreetNetwork:
    return build("street30", BLOCK, ways, relations=relations)


def along(kind: str, from_way: int, via: Sequence[int], to_way: int) -> object:
    members = [("way", from_way, "from"), *(("way", way, "via") for way in via), ("way", to_way, "to")]
    return {"type": "restriction", "restriction": kind}, members


def test_a_turn_forbidden_along_a_via_way_binds_those_who_come_from_its_beginning() -> None:
    plain, network = block(), block(along("no_right_turn", 1, [2], 5))
    assert seconds(plain, "A", "F") == pytest.approx(72.0, abs=0.1)
    assert seconds(network, "A", "F") == pytest.approx(96.0, abs=0.1)  # by E, at 15 km/h
    for start, stop in ("AD", "EF", "ED", "DF", "BF", "FA", "CF", "FD", "DA"):
        assert seconds(network, start, stop) == seconds(plain, start, stop)
    assert network.dropped["turn_restrictions"] == {"applied_no_via_way": 1}


def test_an_obliged_way_along_a_via_way_forbids_the_others_at_its_end() -> None:
    network = block(along("only_straight_on", 1, [2], 3))
    assert seconds(network, "A", "D") == pytest.approx(72.0, abs=0.1)
    assert seconds(network, "A", "F") == pytest.approx(96.0, abs=0.1)
    assert seconds(network, "A", "E") == pytest.approx(48.0, abs=0.1)  # at B other turns stay free
    assert network.dropped["turn_restrictions"] == {"applied_only_via_way": 1}


def test_several_via_ways_are_put_end_to_end_in_any_order() -> None:
    # B–C in two pieces drawn against each other, with a side street between them that may be taken
    drawing = BLOCK.replace("B.C", "BXC").replace("E.F", "EYF")
    ways = [("AB", STREET), ("BX", STREET), ("CX", STREET), ("CD", STREET), ("CF", STREET), ("BE", STREET)]
    ways += [("XY", STREET), ("EYF", {"highway": "residential", "maxspeed": "15"})]
    plain = build("street30", drawing, ways)
    network = build("street30", drawing, ways, relations=[along("no_right_turn", 1, [3, 2], 5)])
    assert network.dropped["turn_restrictions"] == {"applied_no_via_way": 1}
    assert seconds(network, "A", "F") == pytest.approx(
        72.0 + 12.0, abs=0.1
    )  # by X and Y: 500 m, 100 of them slow
    for start, stop in ("AD", "AY", "AE", "XF", "EF", "DF"):
        assert seconds(network, start, stop) == seconds(plain, start, stop)


def test_a_u_turn_over_a_short_link_is_forbidden() -> None:
    #   A<--B<--C     two carriageways joined by the link B–E: no_u_turn from D–E over E–B back along B–A
    #       |
    #   D-->E-->F
    drawing = """
A.B.C
.....
D.E.F
"""
    oneway = {"highway": "secondary", "oneway": "yes"}
    ways = [("CB", oneway), ("BA", oneway), ("DE", oneway), ("EF", oneway), ("EB", STREET), ("FC", STREET)]
    ways += [("AD", {"highway": "residential", "maxspeed": "5", "oneway": "yes"})]
    plain = build("street30", drawing, ways)
    network = build("street30", drawing, ways, relations=[along("no_u_turn", 3, [5], 2)])
    assert seconds(plain, "D", "A") == pytest.approx(72.0, abs=0.1)
    assert seconds(network, "D", "A") == pytest.approx(120.0, abs=0.2)  # on to F, back by C
    assert seconds(network, "E", "A") == seconds(plain, "E", "A")


def test_a_via_way_merged_with_its_neighbours_is_still_found() -> None:
    # without side streets at C nothing is decided there: the junction stays for the restriction's sake
    ways = [("AB", STREET), ("BC", STREET), ("CD", STREET), ("BE", STREET), ("DFE", STREET)]
    network = block(along("no_straight_on", 4, [2], 3), ways=ways)
    assert network.dropped["turn_restrictions"] == {"applied_no_via_way": 1}
    assert ord("C") in network.node_id
    assert seconds(block(ways=ways), "A", "E") == seconds(network, "A", "E") == pytest.approx(48.0, abs=0.1)


def test_restrictions_bind_cars_only() -> None:
    assert seconds(cross(turn("no_straight_on", 1, 2), mode="walk"), "W", "E") == pytest.approx(
        400 * 0.72, abs=0.2
    )


# --- quality ----------------------------------------------------------------------------------------------


def test_a_gap_of_two_metres_is_found() -> None:
    #   A-------B       C ends 2 m before A–B: most likely a missing junction
    #      C
    #      |
    #   D--E----F
    drawing = """
A.........B
...........
....C......
...........
...........
...........
D...E.....F
"""
    ways = [("AB", STREET), ("CE", STREET), ("DEF", STREET), ("AD", STREET), ("BF", STREET)]
    extract = extract_of(drawing, ways, cell_m=1.0)
    report = quality_report(extract, build_network(extract, ModeProfile.default("walk")))
    assert report["suspicious_gaps"]["number"] == 1
    assert report["suspicious_gaps"]["nearest"][0]["node_id"] == ord("C")
    assert report["suspicious_gaps"]["nearest"][0]["gap_m"] == pytest.approx(2.0, abs=0.05)
    known = extract_of(drawing, ways, cell_m=1.0, nodes={"C": {"noexit": "yes", "highway": "turning_circle"}})
    assert (
        quality_report(known, build_network(known, ModeProfile.default("walk")))["suspicious_gaps"]["number"]
        == 0
    )


def test_kilometres_by_class_and_missing_attributes() -> None:
    ways = [("AB", {"highway": "residential", "name": "x"}), ("BE", {"highway": "primary", "maxspeed": "50"})]
    extract = extract_of("ABE", [*ways, ("EA", {"highway": "road"})])
    report = quality_report(extract, build_network(extract, ModeProfile.default("street30")))
    assert report["km_by_class"] == pytest.approx({"primary": 0.1, "residential": 0.1, "road": 0.2}, abs=1e-4)
    assert report["missing_share"]["name"] == pytest.approx(0.75)
    assert report["missing_share"]["maxspeed_kmh"] == pytest.approx(0.75)
    assert (report["km_major"], report["km_limited"]) == (0.1, 0.3)
    assert report["ways_without_class"] == 1
    odd = extract_of("ABE", [*ways, ("EA", {"highway": "road"})], cell_m=123.4567)
    network = build_network(odd, ModeProfile.default("street30"))
    report = quality_report(odd, network)
    km = network.streets["length_m"] / 1000
    major = network.streets["major"].to_numpy(bool)
    assert (report["km_major"], report["km_limited"]) == (
        round(km[major].sum(), 3),
        round(km[~major].sum(), 3),
    )
    assert report["km_by_class"]["road"] == round(km[network.streets["highway"] == "road"].sum(), 3)
    assert report["missing_share"]["name"] == round(km[network.streets["name"].isna()].sum() / km.sum(), 4)


def test_kilometres_of_streets_are_told_from_the_outlines_of_squares() -> None:
    drawing = """
AB..C.
......
......
.D..EF
"""
    extract = extract_of(drawing, [("AB", STREET), ("EF", STREET), ("BCEDB", PLAZA)])
    report = quality_report(extract, build_network(extract, ModeProfile.default("walk")))
    assert report["km_by_class"] == pytest.approx({"residential": 0.2}, abs=1e-4)
    assert report["km_outlines_of_areas"] == pytest.approx(1.2, abs=1e-3)
    assert report["km_lines_across_areas"] == pytest.approx(np.hypot(0.3, 0.3), abs=1e-3)
