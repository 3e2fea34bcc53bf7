"""
What edits mean on a town small enough to solve by hand.

One character is 10 m; 72 s to 100 m on foot, as fast as the default. The car goes 30 km/h, 12 s to 100 m::

    A---------B---------C       AB, BC 100 m; AD, BE, CF 40 m
    |         |         |       DE one way from D to E, EF both ways
    |         |         |
    |         |         |
    D---->----E---------F
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon

from engine.cells import street_pieces
from engine.errors import InputError
from engine.network.street_network import NO_WAY
from engine.proposals.edit import (
    AddAmenity,
    AddStreet,
    ChangeStreet,
    Edit,
    RemoveAmenity,
    RemoveStreet,
    ResizeAmenity,
    SpeedArea,
)
from engine.proposals.operation import Build, PlaceRemoved, PlaceResized, Retime
from engine.proposals.resolve import CALM, PUSH_KMH, calm_ms, resolve
from engine.proposals.scenario import ModeTables, with_operations
from engine.proposals.standing import PlaceView, Standing, StreetView, Travel
from engine.proposals.streets_laid import close_streets
from engine.reach import Destinations
from tests.towns import Town, exact_snaps, town

DRAWING = """
A---------B---------C
|         |         |
|         |         |
|         |         |
D---->----E---------F
"""
PER_LAT = 10 / 111_195.0
PER_LON = PER_LAT / np.cos(np.radians(60.17))


def at(column: float, row: float) -> tuple[float, float]:
    """[deg] A place of the drawing."""
    return 24.94 + column * PER_LON, 60.17 - row * PER_LAT


def line(*points: tuple[float, float]) -> LineString:
    return LineString([at(*p) for p in points])


def city(**more: Any) -> tuple[Standing, Town]:
    """On foot and by car, two shops and a park."""
    foot, car = town(DRAWING, step_ms=7200), town(DRAWING, step_ms=1200, mode="street30")
    spots = [at(1, 0), at(19, 0), at(10, 2)]
    shapes = np.array([*map(Point, spots)], dtype=object)
    places = PlaceView(
        place_id=("node/1", "node/2", "way/3"),
        name=("Paul", "", "Park"),
        category=np.array([0, 0, 1], np.int32),
        geometry=shapes,
        access=tuple(np.array([p]) for p in spots),
        capacity=np.ones(3),
        there=np.ones(3, bool),
    )
    nobody = (np.empty(0, np.int64), np.empty((0, 2)))
    standing = Standing(
        categories=("shops", "green"),
        travel={"walk": Travel(5.0), "street30": Travel(30.0)},
        streets={"walk": StreetView.of(foot.network), "street30": StreetView.of(car.network)},
        places=places,
        unserved={"walk": nobody, "street30": nobody},
    )
    return replace(standing, **more), foot


def seconds(view: StreetView, start: int, stop: int) -> float:
    """[s] Shortest time between two vertices."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(view.n_vertices))
    for u, v, there, back in zip(view.u, view.v, view.forward_ms, view.backward_ms, strict=True):
        for a, b, time in ((int(u), int(v), int(there)), (int(v), int(u), int(back))):
            if time >= 0:
                known = graph.get_edge_data(a, b, {"ms": np.inf})["ms"]
                graph.add_edge(a, b, ms=min(time, known))
    return float(nx.single_source_dijkstra_path_length(graph, start, weight="ms").get(stop, np.inf)) / 1000


class TestClosing:
    def test_who_is_on_a_closed_street_leaves_by_either_end_and_nobody_passes(self) -> None:
        standing, t = city()
        view, ab = standing.streets["walk"], t.street["AB"]
        closed = close_streets(view, [ab])
        assert (closed.forward_ms.tolist(), closed.backward_ms.tolist()) == ([36_000] * 2, [36_000] * 2)
        assert closed.length_m.tolist() == [50.0, 50.0]
        assert closed.parent.tolist() == [ab, ab]
        assert [(s.start, s.stop) for s in closed.replaced[ab]] == [(0.0, 0.5), (0.5, 1.0)]
        near, far = closed.coords
        assert near[-1] == pytest.approx(at(5, 0)) and far[0] == pytest.approx(at(5, 0))
        after = view.after(closed)
        a, b = t.vertex["A"], t.vertex["B"]
        assert (seconds(view, a, b), seconds(after, a, b)) == (72.0, 129.6)  # round by D and E
        middle = view.n_vertices
        assert after.n_vertices == middle + 2
        assert (seconds(after, middle, a), seconds(after, middle + 1, b)) == (36.0, 36.0)
        assert seconds(after, middle, middle + 1) == 201.6

    def test_half_of_an_odd_time_is_rounded_up(self) -> None:
        t = town("A--B", times={"AB": (7, 9)})
        closed = close_streets(StreetView.of(t.network), [0])
        assert (closed.forward_ms.tolist(), closed.backward_ms.tolist()) == ([4, 4], [5, 5])

    @pytest.mark.parametrize(("drawing", "ends"), [("A->-B", (2, 1)), ("A-<-B", (0, 2))])
    def test_a_one_way_street_is_closed_at_its_entry(self, drawing: str, ends: tuple[int, int]) -> None:
        t = town(drawing)
        closed = close_streets(StreetView.of(t.network), [0])
        times = (int(t.network.forward_ms[0]), int(t.network.backward_ms[0]))
        assert (int(closed.u[0]), int(closed.v[0])) == ends  # 2: a dead end where one drove in
        assert (int(closed.forward_ms[0]), int(closed.backward_ms[0])) == times
        assert closed.length_m.tolist() == t.network.length_m.tolist()
        assert [(s.start, s.stop) for s in closed.replaced[0]] == [(0.0, 1.0)]
        entry = t.network.coords[0 if drawing == "A->-B" else -1]
        assert (closed.lon[0], closed.lat[0]) == pytest.approx(tuple(entry))

    def test_a_free_street_can_be_closed_and_a_closed_one_cannot(self) -> None:
        for times, parts in (((0, 0), 2), ((0, NO_WAY), 1), ((NO_WAY, 0), 1), ((5, 0), 2)):
            closed = close_streets(StreetView.of(town("A--B", times={"AB": times}).network), [0])
            assert len(closed.u) == parts, "open both ways: a dead end from either side"
        with pytest.raises(InputError, match="street 0 of the walk network is closed already"):
            close_streets(StreetView.of(town("A--B", times={"AB": (NO_WAY, NO_WAY)}).network), [0])

    def test_a_closed_street_is_not_meant_again_but_its_stubs_are(self) -> None:
        standing, t = city()
        at_ab = RemoveStreet("feature 1", Point(at(2, 0)), modes=("walk",))
        first, second = resolve(standing, [at_ab, at_ab]).operations("walk")
        assert isinstance(first, Build) and isinstance(second, Build)
        assert set(first.replaced) == {t.street["AB"]}
        assert set(second.replaced) == {len(t.network.streets)}  # the half beside A

    def test_streets_are_meant_by_way_by_line_by_point_and_by_area(self) -> None:
        standing, t = city()

        def closed(**edit: Any) -> set[int]:
            found = resolve(standing, [RemoveStreet("feature 1", **edit)]).operations("walk")
            assert isinstance(found[0], Build)
            return set(found[0].replaced)

        ab, bc, be = (t.street[s] for s in ("AB", "BC", "BE"))
        assert closed(geometry=None, osm_way=(ab + 1, bc + 1)) == {ab, bc}
        assert closed(geometry=line((0, 0.9), (20, 0.9)), modes=("walk",)) == {ab, bc}
        assert closed(geometry=line((0, 0.9), (16.2, 0.9))) == {ab, bc}  # 62 % of BC and a little
        assert closed(geometry=line((0, 0.9), (14, 0.9))) == {ab}  # 40 %, and the 15 m beside its end
        assert closed(geometry=Point(at(9, 1.5))) == {be}
        assert closed(geometry=Polygon([at(8, -1), at(16, -1), at(16, 3), at(8, 3)])) == {bc, be}
        with pytest.raises(InputError, match="no street of the run is meant"):
            closed(geometry=Point(at(5, 10)))
        with pytest.raises(InputError, match="names tram; the run has walk, street30"):
            closed(geometry=None, osm_way=(1,), modes=("tram",))
        both = resolve(standing, [RemoveStreet("feature 1", None, osm_way=(ab + 1,))])
        assert [len(both.operations(m)) for m in ("walk", "street30")] == [1, 1]
        assert both.steps[0].says == "streets closed: walk 1, street30 1"


class TestLaying:
    def lay(self, *points: tuple[float, float], standing: Standing | None = None, **more: Any) -> Build:
        edit = AddStreet("feature 1", line(*points), modes=("walk",), **more)
        (found,) = resolve(standing or city()[0], [edit]).operations("walk")
        assert isinstance(found, Build)
        return found

    def test_a_street_between_two_middles_cuts_both(self) -> None:
        _, t = city()
        built = self.lay((2.5, 0.5), (2.5, 3.5))
        ab, de = t.street["AB"], t.street["DE"]
        assert set(built.replaced) == {ab, de}
        assert [s.stop for s in built.replaced[ab]] == pytest.approx([0.25, 1.0], abs=1e-5)
        assert built.parent.tolist() == [ab, ab, de, de, -1]
        assert built.forward_ms.tolist() == pytest.approx([18_000, 54_000, 18_000, 54_000, 28_800], abs=30)
        assert built.backward_ms.tolist()[2:4] == [NO_WAY, NO_WAY]
        assert built.length_m == pytest.approx([25, 75, 25, 75, 40], abs=0.05)
        assert built.coords[-1][0] == pytest.approx(at(2.5, 0)) and built.coords[-1][-1] == pytest.approx(
            at(2.5, 4)
        )
        view = city()[0].streets["walk"].after(built)
        assert seconds(view, view.n_vertices - 2, t.vertex["A"]) == pytest.approx(18.0, abs=0.03)

    def test_a_new_street_has_its_name_and_its_stress(self) -> None:
        ends = ((2.5, 0.5), (2.5, 3.5))
        assert self.lay(*ends, name="Quay link", lts=3).attributes == {
            "highway": "proposed", "name": "Quay link", "lts": 3,
        }  # fmt: skip
        assert self.lay(*ends).attributes["name"] == "proposed"

    def test_a_part_takes_no_more_than_its_share(self) -> None:
        _, t = city()
        built = self.lay((3.3333, 0.2), (3.3333, 3.8))
        for street in (t.street["AB"], t.street["DE"]):
            parts = built.forward_ms[built.parent == street]
            assert 71_998 <= parts.sum() <= 72_000
            for part, time in zip(built.replaced[street], parts.tolist(), strict=True):
                assert time == np.floor(72_000 * (part.stop - part.start))

    @pytest.mark.parametrize(("column", "cut"), [(0.49, False), (0.51, True), (9.51, False), (9.49, True)])
    def test_a_joint_within_five_metres_of_a_junction_is_the_junction(self, column: float, cut: bool) -> None:
        _, t = city()
        built = self.lay((column, -0.1), (15, -3), (15, 0.1))
        assert (t.street["AB"] in built.replaced) == cut
        if not cut:
            assert int(built.u[-1]) == t.vertex["A" if column < 5 else "B"]

    @pytest.mark.parametrize(("away_m", "joins"), [(24.5, True), (25.5, False)])
    def test_an_end_joins_a_street_within_25_m(self, away_m: float, joins: bool) -> None:
        def lay() -> Build:
            return self.lay((5, -away_m / 10), (15, -6), (15, -0.5))

        if joins:
            assert len(lay().replaced) == 2
        else:
            with pytest.raises(InputError, match="its ends join no two points of the networks of walk"):
                lay()

    def test_one_way_speed_and_crossings(self) -> None:
        _, t = city()
        built = self.lay((3, -0.5), (3, 4.5), speed_kmh=10.0)
        assert built.forward_ms[-1] == pytest.approx(14_400, abs=20)
        assert set(built.replaced) == {t.street["AB"], t.street["DE"]}
        across = self.lay((5, 1.5), (5, -1), (15, -1), (15, 5), connect="all")
        assert set(across.replaced) == {t.street[s] for s in ("AB", "BC", "EF")}
        ends = self.lay((5, 1.5), (5, -1), (15, -1), (15, 5))
        assert set(ends.replaced) == {t.street[s] for s in ("AB", "EF")}
        standing, _ = city()
        edit = AddStreet("feature 1", line((3, 0), (3, 4)), modes=("walk", "street30"), oneway=True)
        found = resolve(standing, [edit])
        assert found.operations("walk")[0].backward_ms[-1] > 0  # type: ignore[union-attr]
        assert found.operations("street30")[0].backward_ms[-1] == NO_WAY  # type: ignore[union-attr]

    def test_cells_without_streets_start_from_the_new_one(self) -> None:
        cells = np.array([4, 9])
        centres = np.array([at(10, -6), at(10, -40)])
        nobody = (np.empty(0, np.int64), np.empty((0, 2)))
        standing, _ = city(unserved={"walk": (cells, centres), "street30": nobody})
        built = self.lay((5, -0.1), (5, -5), (15, -5), (15, -0.1), standing=standing)
        (origin,) = built.origins  # the other is 350 m away
        assert (origin.cell, origin.new) == (4, len(built.u) - 1)
        assert origin.fraction == pytest.approx(0.5, abs=0.01)
        assert origin.access_ms == pytest.approx(7200, abs=20)
        after = standing.after({"walk": built}, standing.places)
        assert after.unserved["walk"][0].tolist() == [9]


class TestChanging:
    def change(self, **edit: Any) -> dict[str, Retime]:
        standing, _ = city()
        found = resolve(standing, [ChangeStreet("feature 1", **edit)])
        return {m: found.operations(m)[0] for m in standing.modes if found.operations(m)}  # type: ignore[misc]

    def test_a_speed_is_for_cars_unless_modes_are_named(self) -> None:
        _, t = city()
        ab = t.street["AB"]
        found = self.change(geometry=None, osm_way=(ab + 1,), speed_kmh=15.0)
        assert set(found) == {"street30"}
        assert (found["street30"].forward_ms.tolist(), found["street30"].street.tolist()) == ([24_000], [ab])
        on_foot = self.change(geometry=None, osm_way=(ab + 1,), speed_kmh=10.0, modes=("walk",))
        assert set(on_foot) == {"walk"} and on_foot["walk"].backward_ms.tolist() == [36_000]

    def test_a_limit_never_makes_faster_and_what_stays_is_no_change(self) -> None:
        _, t = city()
        ab, de = t.street["AB"], t.street["DE"]
        slow = self.change(geometry=None, osm_way=(ab + 1, de + 1), max_speed_kmh=20.0)["street30"]
        assert slow.forward_ms.tolist() == [18_000, 18_000]
        assert slow.backward_ms.tolist() == [18_000, NO_WAY]
        assert self.change(geometry=None, osm_way=(ab + 1,), max_speed_kmh=50.0) == {}
        assert self.change(geometry=None, osm_way=(ab + 1,), speed_kmh=30.0) == {}

    @pytest.mark.parametrize(
        ("direction", "drawn", "forward", "backward"),
        [
            ("forward", ((0, 0), (10, 0)), 12_000, NO_WAY),
            ("backward", ((0, 0), (10, 0)), NO_WAY, 12_000),
            ("forward", ((10, 0), (0, 0)), NO_WAY, 12_000),
            ("backward", ((10, 0), (0, 0)), 12_000, NO_WAY),
        ],
    )
    def test_a_direction_is_that_of_the_drawn_line(
        self, direction: str, drawn: tuple[Any, ...], forward: int, backward: int
    ) -> None:
        found = self.change(geometry=line(*drawn), direction=direction)
        assert set(found) == {"street30"}  # nobody walks one way
        one = found["street30"]
        assert (one.forward_ms.tolist(), one.backward_ms.tolist()) == ([forward], [backward])

    def test_both_ways_opens_a_one_way_street(self) -> None:
        _, t = city()
        found = self.change(geometry=None, osm_way=(t.street["DE"] + 1,), direction="both")
        assert found["street30"].backward_ms.tolist() == [12_000]

    def test_an_area_slows_the_streets_whose_middle_is_in_it(self) -> None:
        standing, t = city()
        west = Polygon([at(-1, -1), at(6, -1), at(6, 5), at(-1, 5)])
        found = resolve(standing, [SpeedArea("feature 1", west, max_speed_kmh=10.0)]).operations("street30")
        assert isinstance(found[0], Retime)
        assert set(found[0].street.tolist()) == {t.street[s] for s in ("AB", "AD", "DE")}
        times = dict(zip(found[0].street.tolist(), found[0].forward_ms.tolist(), strict=True))
        assert times[t.street["AB"]] == 36_000
        fast = SpeedArea("feature 1", west, max_speed_kmh=60.0)
        assert not resolve(standing, [fast]).operations("street30")

    def test_streets_of_stress_above_two_are_walked_along(self) -> None:
        time = np.array([10_000, 100_000, 10_000, NO_WAY], np.int32)
        found = calm_ms(time, np.full(4, 50.0), np.array([3, 3, 2, 4], np.int8))
        assert found.tolist() == [36_000, 100_000, 10_000, NO_WAY]


class TestWhatAStreetChanges:
    """
    By bicycle at 15 km/h, 24 s to 100 m, and calm, pushing at 5 km/h, 72 s to 100 m, where stress exceeds 2.

    A quay of 240 m from F round below to D: today F–E–B–A–D, 280 m, for D to E is one way.
    """

    QUAY = ((20, 4), (20, 6), (0, 6), (0, 4))

    def bikes(self, **attributes: Any) -> tuple[Standing, Town]:
        """The town by bicycle, as it is and calm, with attributes of its streets."""
        standing, t = city()
        ride = town(DRAWING, step_ms=2400, mode="bike").network
        ride = replace(ride, streets=ride.streets.assign(**attributes))
        lts = ride.streets["lts"].to_numpy(np.int8)
        calm = {
            f"{w}_ms": calm_ms(getattr(ride, f"{w}_ms"), ride.length_m, lts) for w in ("forward", "backward")
        }
        pushed = replace(ride, mode=CALM, streets=ride.streets.drop(columns="lts").assign(**calm))
        nobody = (np.empty(0, np.int64), np.empty((0, 2)))
        made = replace(
            standing,
            travel={m: Travel(15.0) for m in ("bike", CALM)},
            streets={"bike": StreetView.of(ride), CALM: StreetView.of(pushed)},
            unserved={"bike": nobody, CALM: nobody},
        )
        return made, t

    def after(self, standing: Standing, edit: Edit) -> dict[str, StreetView]:
        found = resolve(standing, [edit])
        assert set(found.steps[0].operations) == set(standing.streets)
        return dict(found.standing.streets)

    @pytest.mark.parametrize(
        ("drawn", "oneway", "there", "back"),
        [
            (QUAY, False, 57.6, 48.0),
            (QUAY, True, 57.6, 48.0),
            (QUAY[::-1], True, 67.2, 48.0),  # against the traveller: he goes round as before
        ],
    )
    def test_one_way_it_serves_those_who_go_its_way(
        self, drawn: tuple[Any, ...], oneway: bool, there: float, back: float
    ) -> None:
        standing, t = self.bikes(lts=np.int8(1))
        edit = AddStreet("a quay", line(*drawn), modes=("bike",), oneway=oneway)
        d, f = t.vertex["D"], t.vertex["F"]
        assert seconds(standing.streets["bike"], f, d) == 67.2
        for view in self.after(standing, edit).values():
            assert seconds(view, f, d) == pytest.approx(there, abs=0.05)
            assert seconds(view, d, f) == pytest.approx(back, abs=0.05)

    def test_one_way_back_opens_nothing_where_the_other_way_was_shut(self) -> None:
        standing, t = self.bikes(lts=np.int8(1))
        closed = ChangeStreet(
            "DE", None, osm_way=(t.street["DE"] + 1,), direction="backward", modes=("bike",)
        )
        view = self.after(standing, closed)["bike"]
        d, f = t.vertex["D"], t.vertex["F"]
        assert seconds(view, f, d) == 48.0  # F–E–D at last
        assert seconds(view, d, f) == 67.2  # D–A–B–E–F, 280 m

    @pytest.mark.parametrize(("lts", "calm"), [(1, 57.6), (2, 57.6), (3, 67.2), (4, 67.2)])
    def test_stress_above_two_is_pushed_along_and_serves_only_those_who_ride_it(
        self, lts: int, calm: float
    ) -> None:
        standing, t = self.bikes(lts=np.int8(1))
        views = self.after(standing, AddStreet("a quay", line(*self.QUAY), modes=("bike",), lts=lts))
        d, f = t.vertex["D"], t.vertex["F"]
        assert seconds(views["bike"], f, d) == pytest.approx(57.6, abs=0.05)
        assert seconds(views[CALM], f, d) == pytest.approx(calm, abs=0.05)

    def test_who_pushes_along_a_new_street_walks_all_of_it(self) -> None:
        standing, t = self.bikes(lts=np.int8(4))  # 280 m pushed, 201.6 s; 240 m pushed, 172.8 s
        d, f = t.vertex["D"], t.vertex["F"]
        assert seconds(standing.streets[CALM], f, d) == 201.6
        views = self.after(standing, AddStreet("a quay", line(*self.QUAY), modes=("bike",), lts=3))
        assert seconds(views[CALM], f, d) == pytest.approx(172.8, abs=0.1)

    @pytest.mark.parametrize(
        ("limit", "cycleway", "width", "seconds_ab"),
        [
            (60.0, "lane", 1.8, 24.0),  # Furth, table 2, 60 km/h: wide 2, narrow 3
            (60.0, "lane", 1.79, 72.0),
            (60.0, "lane", None, 24.0),
            (50.0, "lane", 1.5, 24.0),  # 50 km/h: 2 either way
            (70.0, "lane", 2.5, 72.0),  # 70 km/h: 3 either way
            (70.0, "track", None, 24.0),
            (70.0, "street", None, 24.0),
            (None, "lane", 1.5, 24.0),  # no limit known: as 50
        ],
    )
    def test_a_lane_calms_as_its_width_and_the_limit_beside_it_allow(
        self, limit: float | None, cycleway: str, width: float | None, seconds_ab: float
    ) -> None:
        standing, t = self.bikes(lts=np.int8(4), maxspeed_kmh=limit if limit else np.nan)
        a, b = t.vertex["A"], t.vertex["B"]
        assert seconds(standing.streets[CALM], a, b) == 72.0
        edit = ChangeStreet("AB", None, osm_way=(t.street["AB"] + 1,), cycleway=cycleway, width_m=width)
        found = resolve(standing, [edit])
        views = dict(found.standing.streets)
        assert seconds(views[CALM], a, b) == seconds(views[CALM], b, a) == seconds_ab
        assert seconds(views["bike"], a, b) == 24.0  # who rides anything rides as before

    def test_a_lane_never_makes_a_street_worse(self) -> None:
        standing, t = self.bikes(lts=np.int8(2), maxspeed_kmh=70.0)
        edit = ChangeStreet("AB", None, osm_way=(t.street["AB"] + 1,), cycleway="lane", width_m=1.0)
        assert resolve(standing, [edit]).standing.streets["bike"].lts.tolist() == [2] * 7


@pytest.mark.parametrize("edit", ["a speed", "a bridge"])
def test_an_edited_network_is_measured_in_the_plane_it_was_measured_in(edit: str) -> None:
    t = town(DRAWING)
    part = replace(t.network, centre=(2.35, 48.86))
    done: Any = (
        Retime(np.array([0]), np.array([1], np.int32), np.array([1], np.int32))
        if edit == "a speed"
        else close_streets(StreetView.of(part), [0])
    )
    none = Destinations(exact_snaps([], []), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), 1)
    tables = ModeTables(part, street_pieces(part, np.empty(0, np.uint64)), none)
    assert with_operations(tables, [done]).network.centre == (2.35, 48.86)


class TestPlaces:
    def test_the_nearest_of_its_category_is_meant(self) -> None:
        standing, _ = city()

        def removed(**edit: Any) -> list[int]:
            found = resolve(standing, [RemoveAmenity("feature 1", **edit)]).operations("walk")
            return [o.place for o in found if isinstance(o, PlaceRemoved)]

        assert removed(geometry=None, place_id="node/2") == [1]
        assert removed(geometry=Point(at(3, 0)), category="shops") == [0]
        assert removed(geometry=Point(at(5.9, 0)), category="shops") == [0]  # 49 m
        with pytest.raises(InputError, match="no place of shops within 50 m; the nearest is 52 m away"):
            removed(geometry=Point(at(6.2, 0)), category="shops")
        with pytest.raises(InputError, match="which no place of green of the run has"):
            removed(geometry=None, place_id="node/2", category="green")
        with pytest.raises(InputError, match="the run has shops, green"):
            removed(geometry=Point(at(3, 0)), category="pubs")
        everything = shapely.box(*at(-1, 6), *at(30, -6))
        assert removed(geometry=everything, category="shops") == [0, 1]
        with pytest.raises(InputError, match="no place of green lies in the polygon"):
            removed(geometry=shapely.box(*at(-1, 1), *at(30, -6)), category="green")

    def test_a_place_that_was_removed_is_not_there_any_more(self) -> None:
        standing, _ = city()
        gone = RemoveAmenity("feature 1", None, place_id="node/1")
        with pytest.raises(InputError, match="or it was removed"):
            resolve(standing, [gone, ResizeAmenity("feature 2", None, place_id="node/1", capacity=4.0)])
        after = resolve(standing, [gone, ResizeAmenity("feature 2", None, place_id="node/2", capacity=4.0)])
        assert after.steps[0].says == "Paul removed" and after.steps[1].says == "node/2 resized"
        assert isinstance(after.operations("walk")[1], PlaceResized)
        assert after.standing.places.there.tolist() == [False, True, True]
        assert after.standing.places.capacity.tolist() == [1.0, 4.0, 1.0]

    def test_a_new_place_counts_once_unless_its_capacity_is_given(self) -> None:
        standing, _ = city()
        for capacity, counts in ((None, 1.0), (4.0, 4.0)):
            edit = AddAmenity("feature 1", Point(at(5, 0)), category="shops", capacity=capacity)
            after = resolve(standing, [edit])
            for mode in ("walk", "street30"):
                (added,) = after.operations(mode)
                assert (added.category, added.capacity) == (0, counts)
            assert after.standing.places.capacity.tolist() == [1.0, 1.0, 1.0, counts]

    def test_stress_changes_only_where_it_is_known_and_given(self) -> None:
        view = StreetView.of(town(DRAWING).network)
        m, one = len(view.forward_ms), np.array([2])
        times = (np.array([5], np.int32), np.array([NO_WAY], np.int32))
        given = Retime(one, *times, lts=np.array([4], np.int8))
        for lts, operation, expected in (
            (np.empty(0, np.int8), given, []),
            (np.ones(m, np.int8), Retime(one, *times), [1] * m),
            (np.ones(m, np.int8), given, [1, 1, 4] + [1] * (m - 3)),
        ):
            before = replace(view, lts=lts)
            after = before.after(operation)
            assert after.lts.tolist() == expected
            assert (after.forward_ms[2], after.backward_ms[2]) == (5, NO_WAY)
            assert set(before.lts.tolist()) <= {1}, "the streets before stay as they were"


def test_who_rides_calmly_pushes_where_it_is_stressful() -> None:
    """Stress 1 and 2 are ridden, 3 is pushed unless riding is slower; free stays free, closed stays closed."""
    length, lts = np.array([36.0] * 6), np.array([1, 2, 3, 3, 2, 4], np.int8)
    times = np.array([7_000, 7_000, 7_000, 90_000, 0, NO_WAY], np.int32)
    pushed = round(36.0 * 3600 / PUSH_KMH)
    assert calm_ms(times, length, lts).tolist() == [7_000, 7_000, pushed, 90_000, 0, NO_WAY]
