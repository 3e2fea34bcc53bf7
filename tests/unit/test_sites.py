"""Siting on hand-solved towns: candidates at the kerb, catchments, sites and their reasons."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import shapely
from pandas.testing import assert_frame_equal

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.sites.ask import StationAsk
from engine.sites.candidates import KerbRule, street_side_candidates
from engine.sites.carriageway import walkways
from engine.sites.catchment import catchment, served
from engine.sites.concave import concave_covering
from engine.sites.covering import maximal_covering, spacing_conflicts
from engine.sites.flows import walking_flows
from engine.sites.green import green_candidates, site_green
from engine.sites.kerb import kerbs
from engine.sites.plan import SitePlan
from engine.sites.rules import CHARGERS, TREES
from engine.sites.selection import Effort
from engine.sites.stations import site_stations
from engine.sites.travel import travel_minutes
from engine.sites.trees import site_trees
from engine.snapping import local_metres
from tests.towns import Town, exact_snaps, town

CROSS = """
     A
     |
     |
     |
     |
B----C----D
     |
     |
     |
     |
     E
"""


def _with(drawn: Town, **columns: object) -> Town:
    network = drawn.network
    return replace(drawn, network=replace(network, streets=network.streets.assign(**columns)))


def _pieces(drawn: Town, *cells: list[tuple[str, float, float]]) -> StreetPieces:
    rows = [(c, drawn.street[s], a, b) for c, parts in enumerate(cells) for s, a, b in parts]
    cell, street, start, stop = (np.array(x) for x in zip(*rows, strict=True))
    return StreetPieces(
        cells=np.arange(len(cells), dtype=np.uint64),
        cell=cell.astype(np.int32),
        street=street.astype(np.int32),
        start=start.astype(float),
        stop=stop.astype(float),
        length_m=(stop - start) * drawn.network.length_m[street],
        access_ms=np.zeros(len(rows), np.int64),
        no_network=np.zeros(len(cells), bool),
    )


class TestCandidates:
    def test_positions_sides_and_junctions(self) -> None:
        # Four arms of 50 m: at 10 m spacing five places a side, at 5, 15 … 45 m; those at 5 m from C are too near.
        drawn = town(CROSS)
        rule = KerbRule(spacing_m=10, junction_clearance_m=10, offset_m=0.5)
        found = street_side_candidates(drawn.network, rule)
        assert found.rejected == {"near_junction": 8}
        assert len(found.points) == 32
        arm = found.points[found.points["street"] == drawn.street["BC"]]
        assert sorted(set(arm["fraction"].round(9))) == [0.1, 0.3, 0.5, 0.7]
        plane = local_metres(drawn.network)
        xy = plane.project(arm[["lon", "lat"]].to_numpy())
        b, c = (
            plane.project(
                np.array([[drawn.network.lon[drawn.vertex[n]], drawn.network.lat[drawn.vertex[n]]]])
            )[0]
            for n in "BC"
        )
        along = (c - b) / np.hypot(*(c - b))
        across = (xy - b) @ np.array([-along[1], along[0]])
        assert np.allclose(
            np.abs(across), 8 / 2 + 0.5, atol=0.03
        )  # 8 m wide by default, half a metre off the kerb
        assert ((across > 0) == (arm["side"] == "left").to_numpy()).all()

    @pytest.mark.parametrize("arm", ["AC", "BC", "CD", "CE"])
    def test_places_stand_across_the_street_whichever_way_it_runs(self, arm: str) -> None:
        drawn = town(CROSS)
        rule = KerbRule(spacing_m=10, junction_clearance_m=10, offset_m=0.5)
        points = street_side_candidates(drawn.network, rule).points
        points = points[points["street"] == drawn.street[arm]]
        plane = local_metres(drawn.network)
        n, (u, v) = drawn.network, (drawn.vertex[x] for x in arm)
        ends = plane.project(np.column_stack([n.lon[[u, v]], n.lat[[u, v]]]))
        along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
        offset = plane.project(points[["lon", "lat"]].to_numpy()) - ends[0]
        across, ahead = offset @ np.array([-along[1], along[0]]), offset @ along
        side = np.where(points["side"] == "left", 4.5, -4.5)
        assert across == pytest.approx(side, abs=0.03)
        assert ahead == pytest.approx(
            points["fraction"].to_numpy() * np.hypot(*(ends[1] - ends[0])), abs=0.03
        )

    def test_a_place_at_just_the_clearance_stays(self) -> None:
        """Arms of 50 m with places at 12.5 and 37.5 m from their beginning: a clearance of 12.5 m takes none."""
        drawn = town(CROSS)
        for clearance, gone in ((12.4, 0), (12.6, 8)):
            rule = KerbRule(spacing_m=25, junction_clearance_m=clearance, offset_m=0.0)
            found = street_side_candidates(drawn.network, rule)
            assert (len(found.points), found.rejected.get("near_junction", 0)) == (16 - gone, gone)

    def test_dead_ends_and_bends_are_no_junctions(self) -> None:
        drawn = town("A----B\n     |\n     |\n     C")
        found = street_side_candidates(
            drawn.network, KerbRule(spacing_m=10, junction_clearance_m=10, offset_m=1)
        )
        assert found.rejected == {}
        assert len(found.points) == 2 * (5 + 3)

    def test_each_rejection_is_counted_by_its_first_reason(self) -> None:
        drawn = town("A--B  C--D  E--F  G--H  I--J")
        tags = {
            "highway": ["residential", "motorway", "residential", "residential", "residential"],
            "bridge": ["", "yes", "yes", "no", ""],
            "width_m": [9.0, 20.0, 9.0, 3.0, np.nan],
            "parking:left": [None, None, None, None, "no"],
            "parking:right": ["lane", None, None, None, "no"],
        }
        rule = KerbRule(
            spacing_m=30,
            junction_clearance_m=0,
            offset_m=-1,
            classes=frozenset({"residential"}),
            min_width_m=5,
            needs_parking=True,
        )
        found = street_side_candidates(_with(drawn, **tags).network, rule)
        assert found.rejected == {"class": 2, "bridge_or_tunnel": 2, "too_narrow": 2, "no_parking": 2}
        assert found.points["side"].tolist() == ["left", "right"]
        assert found.points["parking"].tolist() == ["unknown", "yes"]

    def test_obstacles_keep_their_distance(self) -> None:
        drawn = town("A" + "-" * 19 + "B")  # 200 m
        rule = KerbRule(
            spacing_m=20, junction_clearance_m=0, offset_m=1, clearance_m={"tree": 6.0, "building": 3.0}
        )
        free = street_side_candidates(drawn.network, rule)
        first = free.points.geometry.iloc[0]
        tree = gpd.GeoSeries([first, None, shapely.Point()], crs=4326)
        wall = gpd.GeoSeries([free.points.geometry.iloc[2].buffer(1e-5)], crs=4326)
        found = street_side_candidates(
            drawn.network, rule, obstacles={"tree": tree, "building": wall, "moon": tree}
        )
        assert found.rejected == {"near_tree": 1, "near_building": 1}
        plane = local_metres(drawn.network)
        xy = plane.project(found.points[["lon", "lat"]].to_numpy())
        assert np.hypot(*(xy - plane.project(np.array([[first.x, first.y]]))).T).min() >= 6.0
        projected = street_side_candidates(
            drawn.network, rule, obstacles={"tree": tree.to_crs(32635), "building": wall}
        )
        assert projected.points["fraction"].equals(found.points["fraction"])

    def test_no_place_on_the_carriageway_of_another_street(self) -> None:
        drawn = town("A-----B\nC-----D")  # 10 m apart; 14 m wide streets overlap
        found = street_side_candidates(
            _with(drawn, width_m=[14.0, 14.0]).network,
            KerbRule(spacing_m=30, junction_clearance_m=0, offset_m=1),
        )
        assert found.rejected == {"on_another_street": 4}
        assert set(zip(found.points["street"], found.points["side"], strict=True)) == {
            (0, "left"),
            (1, "right"),
        }

    def test_no_station_faces_the_other_carriageway_of_its_own_street(self) -> None:
        # Two one-way carriageways 20 m apart, driven opposite ways as in right-hand traffic: AB goes west.
        drawn = _with(town("A--<--B\n\nC-->--D"), width_m=[6.0, 6.0], name=["Avenida", "Avenida"])
        rule = KerbRule(spacing_m=60, junction_clearance_m=0, offset_m=-1, avoid_median=True)
        found = street_side_candidates(drawn.network, rule)
        assert found.rejected == {"faces_median": 2}
        assert set(zip(found.points["street"], found.points["side"], strict=True)) == {
            (0, "left"),
            (1, "right"),
        }
        apart = _with(drawn, name=["Avenida", "Rua"])
        assert street_side_candidates(apart.network, rule).rejected == {}
        same_way = _with(town("A-->--B\n\nC-->--D"), width_m=[6.0, 6.0], name=["Avenida", "Avenida"])
        assert street_side_candidates(same_way.network, rule).rejected == {}

    def test_nothing_stands_on_a_footway_mapped_apart(self) -> None:
        drawn = town("A" + "-" * 9 + "B\n" + "C" + "-" * 9 + "D", step_m=5.0)
        tags = _with(drawn, highway=["residential", "footway"], width_m=[8.0, 0.2]).network
        assert len(walkways(tags)) == 1
        assert len(walkways(replace(tags, streets=tags.streets.assign(area_crossing=[False, True])))) == 0
        rule = KerbRule(
            spacing_m=50,
            junction_clearance_m=0,
            offset_m=0.8,
            classes=frozenset({"residential"}),
            clearance_m={"walkway": 1.0},
        )
        found = street_side_candidates(tags, rule, obstacles={"walkway": walkways(tags)})
        assert found.rejected == {"class": 2, "near_walkway": 1}
        assert found.points["side"].tolist() == ["left"]

    def test_nothing_stands_outside_the_area(self) -> None:
        drawn = town("A" + "-" * 19 + "B\n" + "\n" * 20 + "C" + "-" * 19 + "D")  # 200 m each, 210 m apart
        rule = KerbRule(spacing_m=20, junction_clearance_m=0, offset_m=1)
        net = drawn.network
        a, b = net.lon[drawn.vertex["A"]], net.lon[drawn.vertex["B"]]
        west = shapely.box(a - 1e-4, net.lat.max() - 2e-4, (a + b) / 2, net.lat.max() + 2e-4)
        found = street_side_candidates(net, rule, within=west)
        assert found.rejected == {"outside_area": 10}  # CD does not touch the box: not even looked at
        assert len(found.points) == 10
        assert found.points["lon"].max() <= (a + b) / 2

    def test_nothing_stands_on_a_roundabout_or_a_turning_loop(self) -> None:
        drawn = town("A-----B  C-----D")
        rule = KerbRule(spacing_m=30, junction_clearance_m=0, offset_m=1)
        found = street_side_candidates(_with(drawn, roundabout=[True, False]).network, rule)
        assert found.rejected == {"roundabout": 4}
        net = drawn.network
        streets = net.streets.assign(v=net.streets["u"])
        assert street_side_candidates(replace(net, streets=streets), rule).rejected == {"roundabout": 8}

    def test_a_junction_beside_the_street_keeps_its_distance_too(self) -> None:
        # EF has no junction of its own, but passes 10 m below the crossroads C.
        drawn = town("     A\n     |\nB----C----D\nE---------F")
        rule = KerbRule(spacing_m=10, junction_clearance_m=14, offset_m=0.1)
        found = street_side_candidates(_with(drawn, width_m=[0.5] * 4).network, rule)
        own = found.points[found.points["street"] == drawn.street["EF"]]
        plane = local_metres(drawn.network)
        at = drawn.vertex["C"]
        centre = plane.project(np.array([[drawn.network.lon[at], drawn.network.lat[at]]]))
        away = np.hypot(*(plane.project(own[["lon", "lat"]].to_numpy()) - centre).T)
        assert 0 < len(own) < 20
        assert away.min() >= 14

    def test_a_street_of_unknown_class_may_take_a_site(self) -> None:
        drawn = town("A-----B  C-----D")
        rule = KerbRule(spacing_m=30, junction_clearance_m=0, offset_m=1, classes=frozenset({"residential"}))
        assert street_side_candidates(drawn.network, rule).rejected == {}
        found = street_side_candidates(_with(drawn, highway=["", "footway"]).network, rule)
        assert found.rejected == {"class": 4}

    def test_a_tree_needs_room_to_the_other_kerb(self) -> None:
        drawn = town("A-----B\n\nC-----D")  # 20 m apart: 14 m wide streets leave a strip of 6 m
        wide = _with(drawn, width_m=[14.0, 14.0]).network
        rule = KerbRule(spacing_m=30, junction_clearance_m=0, offset_m=1, other_street_m=1.5)
        assert street_side_candidates(wide, rule).rejected == {}
        tight = replace(rule, other_street_m=5.5)
        assert street_side_candidates(wide, tight).rejected == {"on_another_street": 4}

    def test_candidates_of_parallel_kerbs_are_thinned(self) -> None:
        drawn = town("A-----B")
        rule = KerbRule(spacing_m=60, junction_clearance_m=0, offset_m=1, apart_m=15)
        found = street_side_candidates(drawn.network, rule)
        assert found.points["side"].tolist() == ["left"]
        assert found.rejected == {"near_another_candidate": 1}

    def test_copies_made_for_turns_are_no_streets(self) -> None:
        drawn = town("A-----B  C-----D")
        rule = KerbRule(spacing_m=30, junction_clearance_m=0, offset_m=1)
        copied = _with(drawn, copy=[False, True]).network
        found = street_side_candidates(copied, rule)
        assert found.rejected == {}
        assert set(found.points["street"]) == {0}
        assert len(street_side_candidates(drawn.network, rule).points) == 2 * len(found.points)

    @pytest.mark.parametrize("at_once", [1, 7, 60])
    def test_tiles_with_their_halo_change_nothing(self, at_once: int) -> None:
        # Streets in every portion feel what lies in another: the next kerb, the other carriageway, a wall, a tree.
        drawn = town("A--<--B----C\n|     |    |\nD-->--E----F\n|     |    |\nG-----H----I", step_m=12.0)
        m = len(drawn.network.streets)
        named = ["Avenida" if s in (drawn.street["AB"], drawn.street["DE"]) else f"{s}" for s in range(m)]
        net = _with(
            drawn, width_m=[5.0, 8.0, 11.0] * (m // 3), name=named, highway=["residential"] * m
        ).network
        rule = KerbRule(
            spacing_m=6,
            junction_clearance_m=4,
            offset_m=0.5,
            clearance_m={"tree": 3.0, "wall": 2.0},
            avoid_median=True,
            apart_m=5.0,
            other_street_m=3.0,
        )
        free = street_side_candidates(net, rule).points.geometry
        trees = gpd.GeoSeries([*free.iloc[::9], free.iloc[4].buffer(1e-5)], crs=4326)
        wall = gpd.GeoSeries([shapely.LineString([free.iloc[0], free.iloc[-1]])], crs=4326)
        asked = {"obstacles": {"tree": trees, "wall": wall}}
        whole = street_side_candidates(net, rule, **asked)
        tiled = street_side_candidates(net, rule, **asked, at_once=at_once)
        assert {
            "near_tree",
            "near_wall",
            "on_another_street",
            "near_another_candidate",
        } <= whole.rejected.keys()
        assert tiled.rejected == whole.rejected
        assert_frame_equal(pd.DataFrame(tiled.points), pd.DataFrame(whole.points), check_exact=True)

    def test_no_street_no_candidate(self) -> None:
        drawn = town("A--B")
        empty = replace(
            drawn.network,
            streets=drawn.network.streets.iloc[:0],
            coords=np.empty((0, 2)),
            offsets=np.zeros(1, np.int64),
        )
        found = street_side_candidates(empty, CHARGERS, obstacles={"tree": gpd.GeoSeries([], crs=4326)})
        assert len(found.points) == 0
        assert found.points.crs == 4326

    def test_width_comes_from_tags_then_lanes_then_class(self) -> None:
        drawn = town("A--B  C--D  E--F  G->H")
        tagged = _with(
            drawn,
            highway=["residential", "secondary", "residential", "residential"],
            width_m=[7.5, np.nan, np.nan, np.nan],
            lanes=[None, "2", None, None],
            **{"parking:both": [None, "lane", None, None]},
        )
        sides = kerbs(tagged.network.streets)
        assert sides.width_m.tolist() == pytest.approx([7.5, 2 * 3 + 2 * 2, 8.0, 8 * 0.7])
        assert sides.width_known.tolist() == [True, False, False, False]
        assert sides.parking_left.tolist() == [-1, 1, -1, -1]

    def test_what_is_mapped_apart_is_there(self) -> None:
        tags = {"parking:left": ["separate"], "parking:right": ["no"], "sidewalk": ["separate"]}
        sides = kerbs(_with(town("A--B"), highway=["residential"], **tags).network.streets)
        assert (sides.parking_left.tolist(), sides.parking_right.tolist()) == ([1], [0])
        assert (sides.pavement_left.tolist(), sides.pavement_right.tolist()) == ([1], [1])

    def test_a_rule_without_spacing_is_refused(self) -> None:
        with pytest.raises(InputError, match="spacing_m is 0"):
            KerbRule(spacing_m=0, junction_clearance_m=0, offset_m=0)


class TestCatchment:
    def test_by_hand_to_the_metre(self) -> None:
        # A to B is 100 m and 100 s, the site 30 m from A; within 40 s it is reached from 0…70 m.
        drawn = town("A---------B")
        pieces = _pieces(drawn, [("AB", 0.0, 0.5)], [("AB", 0.5, 1.0)])
        share = catchment(drawn.network, exact_snaps([0], [0.3]), pieces, cutoff_ms=40_000)
        assert share.toarray().tolist() == [[pytest.approx(1.0), pytest.approx(0.4)]]
        assert served(share).toarray().tolist() == [[True, False]]

    def test_one_way_streets_count_from_the_cell_to_the_site(self) -> None:
        # AB may only be driven from A to B: the site in the middle is reached from the left half alone.
        drawn = town("A---->----B")
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)])
        share = catchment(drawn.network, exact_snaps([0], [0.5]), pieces, cutoff_ms=1_000_000)
        assert share.toarray()[0, 0] == pytest.approx(0.5)

    def test_round_a_corner_and_past_the_other_end(self) -> None:
        #  A----B    each side 50 s; the site is at A. Within 70 s: 70 m either way round the loop of 200 m.
        #  |    |
        drawn = town("A----B\n|    |\n|    |\n|    |\n|    |\nC----D")
        pieces = _pieces(
            drawn, [("AB", 0.0, 1.0)], [("BD", 0.0, 1.0)], [("CD", 0.0, 1.0)], [("AC", 0.2, 0.8)]
        )
        share = catchment(drawn.network, exact_snaps([drawn.street["AB"]], [0.0]), pieces, cutoff_ms=70_000)
        assert share.toarray()[0].tolist() == pytest.approx([1.0, 0.4, 0.4, 1.0])

    def test_off_network_legs_and_rejected_sites(self) -> None:
        drawn = town("A---------B")
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)])
        snaps = exact_snaps([0, -1, 0], [0.0, 0.0, 0.0], [30_000, 0, 50_000])
        share = catchment(drawn.network, snaps, pieces, cutoff_ms=40_000)
        assert share.toarray().ravel().tolist() == [pytest.approx(0.1), 0.0, 0.0]
        with pytest.raises(InputError, match="cutoff_ms is -1"):
            catchment(drawn.network, snaps, pieces, cutoff_ms=-1)


class TestTravel:
    def test_by_hand_to_the_second(self) -> None:
        # A to B is 100 m and 100 s, the site 30 m from A; the pieces' middles are at 25 and 75 m.
        drawn = town("A---------B")
        pieces = _pieces(drawn, [("AB", 0.0, 0.5)], [("AB", 0.5, 1.0)], [("AB", 0.0, 1.0)])
        minutes = travel_minutes(drawn.network, exact_snaps([0], [0.3]), pieces, far_min=1.0)
        assert (minutes.toarray()[0] * 60).tolist() == pytest.approx([5.0, 45.0, 20.0])
        near = travel_minutes(drawn.network, exact_snaps([0], [0.3]), pieces, far_min=0.5)
        assert near.indices.tolist() == [0, 2]  # 45 s is beyond half a minute
        with pytest.raises(InputError, match="far_min is 0"):
            travel_minutes(drawn.network, exact_snaps([0], [0.3]), pieces, far_min=0)

    def test_one_way_round_the_block_and_pieces_that_come_late(self) -> None:
        # AB is driven from A to B alone: from the far half nobody gets back to the site at 0.3.
        drawn = town("A---->----B")
        pieces = _pieces(drawn, [("AB", 0.0, 0.2), ("AB", 0.8, 1.0)])
        minutes = travel_minutes(drawn.network, exact_snaps([0], [0.3]), pieces, far_min=2.0)
        seconds = [20.0, 120.0]  # 0.1 to 0.3; never, which counts the two minutes
        assert minutes.toarray()[0, 0] * 60 == pytest.approx(np.mean(seconds))


class TestQuestions:
    def test_what_does_not_go_together_is_said(self) -> None:
        for asked, said in (
            ({"objective": "p_median", "capacity": 3.0}, "p_median and capacity"),
            ({"sweep": (1,), "capacity": 3.0}, "capacity and sweep"),
            ({"capacity": 3.0, "takes": [[True]]}, "capacity does not go with waste streams"),
        ):
            with pytest.raises(InputError, match=said):
                StationAsk("chargers", 1, **asked)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="kind is 'moon'"):
            StationAsk("moon", 1)

    def test_need_moves_the_station_and_the_figures_stay_people(self) -> None:
        drawn = town("A" + "-" * 199 + "B", step_ms=7_200)
        tagged = _with(drawn, highway=["residential"]).network
        pieces = _pieces(drawn, [("AB", 0.0, 0.2)], [("AB", 0.8, 1.0)])
        ask = StationAsk("chargers", 1)
        rich = site_stations(tagged, tagged, pieces, [100.0, 60.0], ask)
        poor = site_stations(tagged, tagged, pieces, [100.0, 60.0], replace(ask, need=[0.5, 2.0]))
        assert rich.sites["newly_served"].tolist() == [100.0]
        assert poor.sites["newly_served"].tolist() == [60.0]
        assert poor.selection.objective == 120.0
        assert poor.figures["residents_served_after"] == 60.0


class TestCovering:
    def test_greedy_alone_would_be_wrong(self) -> None:
        # Greedy takes the middle (40) and then 10 + 0: 50; the two sides give 60.
        coverage = sp.csr_array(np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]))
        best = maximal_covering(coverage, [10, 20, 20, 10], count=2)
        assert best.figures is not None
        assert best.figures["greedy"] == pytest.approx(50.0)
        assert sorted(best.chosen.tolist()) == [0, 2]
        assert best.objective == 60.0
        assert best.is_optimal

    def test_a_site_made_idle_moves_to_the_far_end_of_town(self) -> None:
        # Greedy takes M (b, c: 40), then L and R (15 each): M serves nobody alone any more; F (12) is far off.
        #                    a  b  c  d  e
        coverage = np.array([[0, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
        best = maximal_covering(
            sp.csr_array(coverage), [15, 20, 20, 15, 12], count=3, effort=Effort(restarts=0)
        )
        assert best.figures is not None
        assert best.figures["greedy"] == pytest.approx(70.0)
        assert sorted(best.chosen.tolist()) == [1, 2, 3]
        assert best.objective == 82.0

    def test_locked_sites_stay_and_cost_nothing(self) -> None:
        coverage = sp.csr_array(np.eye(4))
        best = maximal_covering(coverage, [1, 2, 3, 4], count=2, locked=[0])
        assert best.locked.tolist() == [0]
        assert best.chosen.tolist() == [3, 2]
        assert best.curve.tolist() == [1.0, 5.0, 8.0]
        assert (best.baseline, best.objective, best.bound) == (1.0, 8.0, pytest.approx(8.0))

    def test_conflicts_and_spacing(self) -> None:
        close = spacing_conflicts(np.array([0.0, 10.0, 30.0]), np.zeros(3), min_spacing_m=20.0)
        assert close.toarray().tolist() == [[False, True, False], [True, False, False], [False, False, False]]
        best = maximal_covering(sp.csr_array(np.eye(3)), [5, 4, 1], count=3, conflicts=close)
        assert best.chosen.tolist() == [0, 2]
        assert best.objective == 6.0
        assert maximal_covering(
            sp.csr_array(np.eye(3)), [5, 4, 1], count=3, conflicts=close, locked=[1]
        ).chosen.tolist() == [2]

    def test_nothing_to_cover(self) -> None:
        for demand, count in (([0, 0], 2), ([1, 1], 0)):
            best = maximal_covering(sp.csr_array(np.eye(2)), demand, count=count)
            assert (best.objective, best.bound if count else 0, len(best.chosen)) == (0, 0, 0)
        assert maximal_covering(sp.csr_array((0, 3)), [1, 1, 1], count=2).objective == 0

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"demand": [1.0]}, "demand has shape"),
            ({"demand": [1.0, -1.0]}, "1 negative"),
            ({"demand": [1.0, np.nan]}, "1 negative or non-finite"),
            ({"count": -1}, "count is -1"),
            ({"locked": [2]}, "locked names rows"),
            ({"conflicts": np.eye(3)}, "conflicts has shape"),
        ],
    )
    def test_what_is_wrong_is_said(self, kwargs: dict[str, object], message: str) -> None:
        given = {"demand": [1.0, 1.0], "count": 1, **kwargs}
        with pytest.raises(InputError, match=message):
            maximal_covering(sp.csr_array(np.eye(2)), **given)  # type: ignore[arg-type]


class TestKinds:
    def test_chargers_go_where_nobody_is_served_and_say_why(self) -> None:
        # One street of 1 km; a station at its west end serves the west cell within 5 min on foot (417 m).
        drawn = town("A" + "-" * 99 + "B", step_ms=7_200)
        tagged = _with(drawn, highway=["residential"], name=["Rue Monge"]).network
        pieces = _pieces(drawn, [("AB", 0.0, 0.3)], [("AB", 0.3, 0.6)], [("AB", 0.6, 1.0)])
        today = gpd.GeoDataFrame(geometry=[shapely.Point(tagged.lon[0], tagged.lat[0])], crs=4326)
        plan = site_stations(
            tagged, tagged, pieces, [100.0, 50.0, 400.0], StationAsk("chargers", 1), existing=today
        )
        assert plan.sites["rank"].tolist() == [0, 1]
        assert plan.sites["locked"].tolist() == [True, False]
        assert plan.selection.baseline == 100.0
        assert plan.selection.objective == 550.0
        new = plan.sites.iloc[1]
        assert new["newly_served"] == 450.0
        assert new["why"].startswith(
            "Charging station at Rue Monge, left side: 450 residents newly within a 5 min walk; "
            "the nearest today is "
        )
        assert new["why"].endswith(
            "Replaces about three parking places. Rests on population by cell; street width assumed from its class; "
            "parking not tagged, to be checked on the spot."
        )
        assert plan.figures["residents_served_before"] == 100.0

    def test_without_existing_or_candidates_the_table_keeps_its_types(self) -> None:
        drawn = town("A" + "-" * 99 + "B", step_ms=7_200)
        tagged = _with(drawn, highway=["residential"]).network
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)])
        some = site_stations(tagged, tagged, pieces, [10.0], StationAsk("sorting", 1, cutoff_min=10))
        none = site_stations(
            tagged, _with(drawn, highway=["motorway"]).network, pieces, [10.0], StationAsk("sorting", 1)
        )
        assert len(some.sites) == 1
        assert len(none.sites) == 0
        assert none.sites.dtypes.equals(some.sites.dtypes)
        assert none.rejected == {"class": 50}
        assert "none exists in the area today" in some.sites["why"].iloc[0]

    def test_trees_stand_clear_of_trees_and_spread_over_streets(self) -> None:
        drawn = town("A" + "-" * 19 + "B\n" * 1 + "\n" * 20 + "C" + "-" * 19 + "D")
        tagged = _with(drawn, highway=["residential", "residential"], name=["Rue A", "Rue C"]).network
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)], [("CD", 0.0, 1.0)])
        plan = site_trees(tagged, tagged, pieces, [100.0, 90.0], count=6, within_m=105)
        assert plan.sites["name"].value_counts().to_dict() == {"Rue A": 3, "Rue C": 3}
        assert plan.figures["ran_without"] == ["canopy", "heat", "walkers"]
        stand = plan.sites.geometry.iloc[:1]
        again = site_trees(
            tagged,
            tagged,
            pieces,
            [100.0, 90.0],
            count=40,
            within_m=105,
            existing=gpd.GeoDataFrame(geometry=stand, crs=4326),
            canopy=[0.0, 0.3],
            heat=[1.0, 1.0],
        )
        assert again.rejected["near_tree"] >= 1
        assert again.sites["nearest_existing_m"].min() >= TREES.clearance_m["tree"]
        assert again.figures["ran_without"] == ["walkers"]
        assert "the street has 1 today" in again.sites["why"].iloc[0]

    def test_arrays_must_fit_the_cells(self) -> None:
        drawn = town("A--B")
        with pytest.raises(InputError, match="demand has shape"):
            site_stations(
                drawn.network,
                drawn.network,
                _pieces(drawn, [("AB", 0, 1)]),
                [1.0, 2.0],
                StationAsk("chargers", 1),
            )


class TestConcave:
    def test_half_a_tree_counts_as_nothing_in_the_bound(self) -> None:
        # two trees for four homes: half a tree at each would be worth 4 · (1 − e^−½) = 1.57, whole ones are 1.26
        best = concave_covering(sp.csr_array(np.eye(4)), np.ones(4), scale=1.0, count=2, gap_target=0.0)
        assert best.objective == pytest.approx(2 * (1 - np.exp(-1)))
        assert best.gap <= 1e-4

    def test_by_hand(self) -> None:
        # Two audiences of 10; one dose of one scale is worth 10 (1 − 1/e) = 6.32, the second 2.33 more.
        dose = sp.csr_array(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        best = concave_covering(dose, [10.0, 10.0], scale=1.0, count=3)
        assert best.curve.tolist() == pytest.approx([0.0, 6.3212, 12.6424, 14.9679], abs=1e-4)
        assert best.chosen.tolist()[1:] == [2, 1]
        assert best.bound == pytest.approx(best.objective)
        assert concave_covering(dose, [10, 10], scale=1.0, count=1, standing=[1.0, 0.0]).chosen.tolist() == [
            2
        ]

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"scale": 0.0}, "scale goes down to 0"),
            ({"scale": [1.0]}, "scale has shape"),
            ({"standing": [-1.0, 0.0]}, "standing goes down to -1"),
            ({"standing": np.nan}, "standing holds non-finite"),
            ({"dose": sp.csr_array(np.array([[-1.0, 0.0]]))}, "dose holds negative"),
        ],
    )
    def test_what_is_wrong_is_said(self, kwargs: dict[str, object], message: str) -> None:
        given = {"dose": sp.csr_array(np.eye(2)), "worth": [1.0, 1.0], "scale": 1.0, "count": 1, **kwargs}
        with pytest.raises(InputError, match=message):
            concave_covering(**given)  # type: ignore[arg-type]


class TestFlows:
    def test_everyone_walks_the_shortest_way(self) -> None:
        # 40 people live on AB, 60 on CD; the shop is in the middle of BD.
        drawn = town("A----B\n     |\n     s\n     |\nC----D")
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)], [("CD", 0.0, 1.0)])
        flow = walking_flows(drawn.network, pieces, [40.0, 60.0], drawn.destinations("s"))
        by_street = {name: flow[number] for name, number in drawn.street.items()}
        assert by_street == {"AB": 20.0, "CD": 30.0, "BD": 0.0}  # the last street is the shop's own

    def test_people_add_up_along_the_way(self) -> None:
        drawn = town("A----B----C--s-D")
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)], [("BC", 0.0, 1.0)])
        flow = walking_flows(drawn.network, pieces, [40.0, 60.0], drawn.destinations("s"))
        assert flow[drawn.street["BC"]] == 40.0 + 30.0
        near = walking_flows(drawn.network, pieces, [40.0, 60.0], drawn.destinations("s"), limit_ms=1)
        assert near.sum() == 0.0

    def test_trees_go_where_people_walk(self) -> None:
        drawn = town("A" + "-" * 19 + "B\n" * 1 + "\n" * 20 + "C" + "-" * 19 + "D")
        tagged = _with(drawn, highway=["residential", "residential"], name=["Rue A", "Rue C"]).network
        pieces = _pieces(drawn, [("AB", 0.0, 1.0)], [("CD", 0.0, 1.0)])
        plan = site_trees(tagged, tagged, pieces, [100.0, 90.0], count=1, walkers=[0.0, 5000.0])
        assert plan.sites["name"].tolist() == ["Rue C"]
        assert plan.figures["ran_without"] == ["canopy", "heat"]
        with pytest.raises(InputError, match="walkers has shape"):
            site_trees(tagged, tagged, pieces, [1.0, 1.0], count=1, walkers=[1.0])


class TestStreamsAndCapacities:
    def _street(self) -> tuple[Town, StreetPieces]:
        drawn = town("A" + "-" * 99 + "B", step_ms=7_200)
        drawn = _with(drawn, highway=["residential"], name=["Rue Monge"])
        return drawn, _pieces(drawn, [("AB", 0.0, 0.3)], [("AB", 0.3, 0.6)], [("AB", 0.6, 1.0)])

    def _sorting(
        self,
        drawn: Town,
        pieces: StreetPieces,
        people: list[float],
        today: gpd.GeoDataFrame,
        takes: list[list[bool]],
    ) -> SitePlan:
        ask = StationAsk("sorting", 1, cutoff_min=3, takes=takes)
        return site_stations(drawn.network, drawn.network, pieces, people, ask, existing=today)

    def test_a_glass_bank_is_not_access_to_paper(self) -> None:
        drawn, pieces = self._street()
        net = drawn.network
        today = gpd.GeoDataFrame(geometry=[shapely.Point(net.lon[0], net.lat[0])], crs=4326)
        people = [400.0, 0.0, 250.0]
        both = self._sorting(drawn, pieces, people, today, [[True, True]])
        glass = self._sorting(drawn, pieces, people, today, [[True, False]])
        assert both.selection.baseline == 400.0
        assert glass.selection.baseline == 200.0
        assert both.selection.objective == 650.0
        assert (
            glass.selection.objective == 650.0 - 200.0
        )  # the east end, worth 250, before paper for the west, 200
        with pytest.raises(InputError, match="takes has shape"):
            self._sorting(drawn, pieces, people, today, [[True], [True]])

    def test_a_full_station_needs_a_second_one(self) -> None:
        drawn, pieces = self._street()
        net = drawn.network
        plan = site_stations(
            net, net, pieces, [90.0, 0.0, 0.0], StationAsk("chargers", 3, capacity=40.0, min_spacing_m=20)
        )
        assert plan.selection.curve.tolist() == pytest.approx([0, 40, 80, 90], rel=1e-6)
        assert plan.selection.gap < 1e-6
        assert (
            site_stations(net, net, pieces, [90.0, 0, 0], StationAsk("chargers", 3)).selection.objective
            == 90.0
        )


class TestGreen:
    def test_most_people_for_two_hectares(self) -> None:
        drawn = town("A" + "-" * 99 + "B", step_ms=7_200)
        pieces = _pieces(drawn, [("AB", 0.0, 0.3)], [("AB", 0.3, 0.6)], [("AB", 0.6, 1.0)])
        lon, lat = drawn.network.lon, drawn.network.lat
        side = 100 / 111_195

        def square(at: float, size: float = 1.0) -> shapely.Polygon:
            x = lon[0] + at * (lon[1] - lon[0])
            return shapely.box(
                x, lat[0] + 1e-5, x + size * side / np.cos(np.radians(lat[0])), lat[0] + 1e-5 + side
            )

        shapes = [
            square(0.02),
            square(0.85),
            square(0.5, 0.1),
            square(0.9),
            shapely.Point(lon[0], lat[0]),
            square(0.4),
        ]
        parcels = gpd.GeoDataFrame(
            {
                "kind": ["schoolyard", "parcel", "parcel", "roof", "parcel", "car park"],
                "name": ["École", None, "", "", "", ""],
            },
            geometry=shapes,
            crs=4326,
        )
        ground = green_candidates(parcels, min_ha={"schoolyard": 0.5, "parcel": 0.5, "roof": 0.2})
        assert ground.rejected == {"no_area": 1, "too_small": 1, "kind_not_asked_for": 1}
        assert ground.parcels["area_ha"].tolist() == pytest.approx([1.0] * 3, rel=0.01)
        plan = site_green(
            drawn.network, pieces, [300.0, 200.0, 100.0], ground, budget_ha=1.1, already=[False, True, False]
        )
        assert plan.sites["name"].tolist() == ["École"]
        assert plan.sites["ground"].tolist() == ["schoolyard"]
        assert plan.sites["street"].tolist() == [-1], "ground lies on no street"
        assert plan.sites["rank"].tolist() == [1]
        assert plan.sites["gain"].tolist() == [300.0]
        assert plan.selection.objective == 300.0
        assert plan.figures["residents_served_before"] == 200.0
        assert plan.figures["residents_served_after"] == 500.0
        assert (
            plan.sites["why"]
            .iloc[0]
            .startswith("Schoolyard École (1.01 ha): 300 residents newly within a 5 min walk")
        )
        more = site_green(
            drawn.network, pieces, [300.0, 200.0, 100.0], ground, budget_ha=2.1, already=[0, 1, 0]
        )
        assert more.selection.objective == 400.0
        weighed = site_green(
            drawn.network,
            pieces,
            [300.0, 200.0, 100.0],
            ground,
            budget_ha=1.1,
            already=[0, 1, 0],
            need=[1, 1, 9],
        )
        assert weighed.selection.objective == 900.0
        assert weighed.sites["newly_served"].tolist() == [100.0]
        assert weighed.figures["residents_served_after"] == 300.0

    def test_nothing_to_choose_from(self) -> None:
        drawn = town("A--B")
        empty = gpd.GeoDataFrame({"kind": []}, geometry=[], crs=4326)
        ground = green_candidates(empty, min_ha={"parcel": 1.0})
        plan = site_green(
            drawn.network, _pieces(drawn, [("AB", 0.0, 1.0)]), [5.0], ground, budget_ha=30, already=[False]
        )
        assert len(plan.sites) == 0
        assert plan.selection.objective == 0.0
        with pytest.raises(InputError, match="expected 'kind'"):
            green_candidates(gpd.GeoDataFrame(geometry=[], crs=4326), min_ha={})
