"""Parks: outlines that touch, the size test, and where they are entered. Towns are drawn in metres."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.places.category import parse_taxonomy
from engine.places.entrance import STEP_M
from engine.places.extract import find_places
from engine.places.green import GREEN_LADDER, ladder_steps, merge_parks, park_entrances, streets_inside
from engine.projection import equal_area_around

LON, LAT = -70.65, -33.45  # Santiago: the southern and western hemisphere
METRIC = equal_area_around(west=LON, south=LAT, east=LON, north=LAT)
PARK = [(0, 0), (100, 0), (100, 100), (0, 100)]
NEAR = 1e-5
"""The towns are drawn to a millimetre."""
Line = list[tuple[float, float]]


def degrees(*shapes: shapely.Geometry) -> list[shapely.Geometry]:
    return list(gpd.GeoSeries(list(shapes), crs=METRIC).to_crs(4326))


def network(*lines: Line, bridge: tuple[int, ...] = (), tunnel: tuple[int, ...] = ()) -> StreetNetwork:
    """Streets that meet where their ends are drawn at the same metres."""
    ends = sorted({p for line in lines for p in (line[0], line[-1])})
    vertex = {p: i for i, p in enumerate(ends)}
    where = degrees(*(shapely.Point(p) for p in ends))
    drawn = degrees(*(shapely.LineString(line) for line in lines))
    coords = [shapely.get_coordinates(d) for d in drawn]
    numbers = range(len(lines))
    lengths = [shapely.LineString(line).length for line in lines]
    time = [round(length * 720) for length in lengths]
    streets = pd.DataFrame(
        {
            "u": [vertex[line[0]] for line in lines],
            "v": [vertex[line[-1]] for line in lines],
            "length_m": lengths,
            "forward_ms": time,
            "backward_ms": time,
            "osm_way": list(numbers),
            "bridge": [i in bridge for i in numbers],
            "tunnel": [i in tunnel for i in numbers],
        }
    )
    return StreetNetwork(
        "walk",
        np.arange(len(ends), dtype=np.int64),
        np.array([p.x for p in where]),
        np.array([p.y for p in where]),
        streets,
        np.concatenate(coords),
        np.concatenate([[0], np.cumsum([len(c) for c in coords])]).astype(np.int64),
    )


def parks(*outlines: Line | shapely.Geometry) -> gpd.GeoDataFrame:
    shapes = [o if isinstance(o, shapely.Geometry) else shapely.Polygon(o) for o in outlines]
    n = len(shapes)
    return gpd.GeoDataFrame(
        {"id": [f"way/{i}" for i in range(n)], "name": [""] * n, "sources": [f"way/{i}" for i in range(n)]},
        geometry=degrees(*shapes),
        crs=4326,
    )


def mapped(*rows: tuple[dict[str, str], shapely.Geometry]) -> gpd.GeoDataFrame:
    """OSM features: tags and a shape in metres."""
    return gpd.GeoDataFrame(
        {"id": [f"node/{i}" for i in range(len(rows))], "tags": [t for t, _ in rows]},
        geometry=degrees(*(s for _, s in rows)) if rows else [],
        crs=4326,
    )


def fence(*line: tuple[float, float], kind: str = "fence") -> tuple[dict[str, str], shapely.Geometry]:
    return {"barrier": kind}, shapely.LineString(line)


def gate(x: float, y: float, **tags: str) -> tuple[dict[str, str], shapely.Geometry]:
    return {"barrier": "gate", **tags}, shapely.Point(x, y)


AROUND = fence(*PARK, PARK[0])


def entered(
    park: Line | shapely.Geometry, streets: StreetNetwork, *features: tuple[dict[str, str], shapely.Geometry]
) -> tuple[set[str], list[tuple[int, int]]]:
    """Kinds of the entrances of one park, and where they are in whole metres."""
    table = park_entrances(parks(park), streets, mapped(*features))
    assert (table["park"] == 0).all()
    known = table[table["kind"] != "flagged"]
    if known.empty:
        return set(table["kind"]), []
    points = gpd.GeoSeries(gpd.points_from_xy(known["lon"], known["lat"]), crs=4326).to_crs(METRIC)
    return set(table["kind"]), sorted((round(p.x), round(p.y)) for p in points)


def test_a_fenced_park_with_one_gate_is_entered_there_only() -> None:
    """
    A path through the gate g, another that the fence cuts::

        #####g#####
        #         #
        #         |----
        ###########
    """
    streets = network([(50, 140), (50, 100)], [(50, 100), (50, 60)], [(100, 30), (140, 30)])
    assert entered(PARK, streets, AROUND, gate(50, 100)) == ({"gate"}, [(50, 100)])


def test_a_gate_beside_the_outline_is_the_parks_and_one_farther_off_is_not() -> None:
    streets = network([(50, 140), (50, 60)])
    assert entered(PARK, streets, gate(50, 104))[0] == {"gate"}
    assert entered(PARK, streets, gate(50, 106))[0] == {"crossing"}


@pytest.mark.parametrize(
    "tags",
    [
        {"access": "private"},
        {"access": "customers"},
        {"locked": "yes"},
        {"foot": "no"},
    ],
)
def test_a_gate_that_is_closed_to_the_public_is_no_entrance(tags: dict[str, str]) -> None:
    streets = network([(0, 140), (100, 140)])
    table = park_entrances(parks(PARK), streets, mapped(AROUND, gate(50, 100, **tags)))
    assert table["kind"].tolist() == ["flagged"]


def test_a_door_of_a_house_on_the_edge_is_no_gate_of_the_park() -> None:
    streets = network([(50, 140), (50, 60)])
    door = ({"entrance": "yes"}, shapely.Point(0, 50))
    assert entered(PARK, streets, door)[0] == {"gate"}
    house = ({"building": "yes"}, shapely.box(-10, 40, 0, 60))
    assert entered(PARK, streets, door, house)[0] == {"crossing"}
    flat = ({"entrance": "yes", "addr:unit": "C"}, shapely.Point(0, 50))
    assert entered(PARK, streets, flat)[0] == {"crossing"}


def test_paths_cross_the_edge_but_bridges_and_tunnels_do_not() -> None:
    """
    Four ways lead over the edge; one is a bridge, one a tunnel::

              p     b
        +-----|-----=----+
        |     |     =    |
        t::::::::::::::::t
        +----------------+
    """
    path, bridge, tunnel = (
        [(20, 140), (20, 50)],
        [(60, 140), (60, -40)],
        [(-40, 30), (140, 30)],
    )
    streets = network(path, bridge, tunnel, bridge=(1,), tunnel=(2,))
    assert entered(PARK, streets) == ({"crossing"}, [(20, 100)])
    assert entered(PARK, network(path, bridge, tunnel))[1] == [
        (0, 30),
        (20, 100),
        (60, 0),
        (60, 100),
        (100, 30),
    ]


def test_a_bridge_over_a_fenced_park_is_no_way_in() -> None:
    streets = network([(60, 140), (60, -40)], bridge=(0,))
    assert entered(PARK, streets, AROUND)[0] == {"flagged"}


def test_a_street_along_the_fence_is_no_entrance_but_a_dead_end_at_the_edge_is_one() -> None:
    along = [(0, 100), (100, 100)]
    assert entered(PARK, network([(-40, 100), (0, 100)], along, [(100, 100), (140, 100)]), AROUND)[0] == {
        "flagged"
    }
    assert entered(PARK, network([(50, 140), (50, 100)]), AROUND) == ({"crossing"}, [(50, 100)])


def test_an_open_park_is_entered_along_its_edge_within_thirty_metres() -> None:
    """
    A street 30 m north of the park, none elsewhere::

        -----------------
              (30 m)
        +---------------+
    """
    north = network([(0, 130), (100, 130)])
    kinds, points = entered(PARK, north)
    assert kinds == {"open boundary"}
    assert {y for _, y in points} == {100}
    assert min(x for x, _ in points) <= STEP_M / 2
    assert max(x for x, _ in points) >= 100 - STEP_M / 2
    table = park_entrances(parks(PARK), network([(0, 131), (100, 131)]), mapped())
    assert table[["kind", "reason"]].to_numpy().tolist() == [["flagged", "no street within 30 m"]]


def test_a_short_contact_between_two_sample_points_still_gives_an_entrance() -> None:
    """A dead end that comes within 5 m of the edge at x = 53 only."""
    kinds, points = entered(PARK, network([(53, 160), (53, 105)]))
    assert kinds == {"open boundary"}
    assert (53, 100) in points


def test_a_park_open_on_one_side_is_entered_on_that_side_only() -> None:
    """
    Streets all round, the fence leaves the south open::

        ############
        #          #
        +----------+
    """
    ring = [(-10, -10), (110, -10), (110, 110), (-10, 110), (-10, -10)]
    kinds, points = entered(PARK, network(ring), fence((0, 0), (0, 100), (100, 100), (100, 0)))
    assert kinds == {"open boundary"}
    assert all(y == 0 for _, y in points)
    assert len(points) > 3


def test_a_hedge_between_the_street_and_the_park_blocks_even_off_the_edge() -> None:
    hedge = fence((-20, 110), (120, 110), kind="hedge")
    assert entered(PARK, network([(0, 120), (100, 120)]), hedge)[0] == {"flagged"}


def test_a_fenced_park_without_a_gate_is_flagged_not_guessed() -> None:
    table = park_entrances(parks(PARK), network([(0, 110), (100, 110)]), mapped(AROUND))
    assert table["kind"].tolist() == ["flagged"]
    assert table["reason"].tolist() == ["fenced, no gate mapped"]
    assert np.isnan(table["lon"]).all()


def test_every_park_is_listed() -> None:
    far = [(1000, 0), (1100, 0), (1100, 100), (1000, 100)]
    table = park_entrances(parks(PARK, far), network([(50, 140), (50, 60)]), mapped())
    assert table.groupby("park")["kind"].first().tolist() == ["crossing", "flagged"]


def test_a_terrace_gate_does_not_close_an_open_park() -> None:
    """One gate, and four paths that cross the open edge elsewhere."""
    paths = [[(x, 140), (x, 60)] for x in (20, 40, 60, 80)]
    assert entered(PARK, network(*paths), gate(0, 50))[0] == {"gate", "crossing"}
    assert entered(PARK, network(*paths[:3]), gate(0, 50)) == ({"gate"}, [(0, 50)])
    literal = park_entrances(parks(PARK), network(*paths), mapped(gate(0, 50)), open_ratio=np.inf)
    assert literal["kind"].tolist() == ["gate"]


def test_paths_inside_are_in_the_park() -> None:
    """A street that is 40 m outside and 60 m inside, and a bridge."""
    streets = network([(50, 140), (50, 40)], [(20, 140), (20, -40)], bridge=(1,))
    inside = streets_inside(parks(PARK), streets)
    assert inside[["park", "street"]].to_numpy().tolist() == [[0, 0]]
    assert inside[["start", "stop"]].to_numpy()[0] == pytest.approx([0.4, 1.0], abs=1e-6)


def test_a_street_through_a_horseshoe_is_inside_twice() -> None:
    """
    A park open to the south::

        ##########
        ##      ##
      --##------##--
    """
    horseshoe = [(0, 0), (30, 0), (30, 60), (70, 60), (70, 0), (100, 0), (100, 100), (0, 100)]
    inside = streets_inside(parks(horseshoe), network([(-20, 20), (120, 20)]))
    spans = inside[["start", "stop"]].to_numpy() * 140 - 20
    assert spans == pytest.approx(np.array([[0, 30], [70, 100]]), abs=1e-3)


def test_paths_inside_do_not_open_a_park_that_is_entered_by_gates() -> None:
    """The path crosses the edge where there is no gate: time 0 on it would let people in there."""
    streets = network([(50, 140), (50, 40)], [(0, 50), (50, 40)])
    area = parks(PARK)
    entrances = park_entrances(area, streets, mapped(gate(0, 50)))
    assert entrances["kind"].tolist() == ["gate"]
    assert streets_inside(area, streets, entrances=entrances).empty
    both = park_entrances(area, streets, mapped(gate(0, 50), gate(50, 100)))
    assert streets_inside(area, streets, entrances=both)["street"].tolist() == [0, 1]


def test_no_parks_and_no_streets() -> None:
    streets = network([(0, 0), (10, 0)])
    assert park_entrances(parks(), streets, mapped()).empty
    assert streets_inside(parks(), streets).empty


def test_touching_polygons_are_one_park_before_the_size_test() -> None:
    """
    Two parts of 0.063 and 0.057 ha: too small alone, large enough together; the third is across a street::

        +----+----+        +----+
        | a  | b  |  10 m  | c  |
        +----+----+        +----+
    """
    a, b, c = (shapely.box(left, 0, right, 30) for left, right in ((0, 21), (21, 40), (50, 70)))
    merged, dropped = merge_parks(parks(a, b, c), min_area_ha=0.1)
    assert merged["id"].tolist() == ["way/0"], "the larger one"
    assert merged["sources"].tolist() == ["way/0;way/1"]
    assert merged["area_ha"].tolist() == pytest.approx([0.12], rel=NEAR)
    assert dropped == [("way/1", "merged"), ("way/2", "too small")]


@pytest.mark.parametrize(("gap_m", "count"), [(0.4, 1), (0.7, 2)])
def test_a_gap_within_the_precision_of_mapping_does_not_split(gap_m: float, count: int) -> None:
    merged, _ = merge_parks(parks(shapely.box(0, 0, 50, 50), shapely.box(50 + gap_m, 0, 100, 50)))
    assert len(merged) == count


def test_the_size_test_is_inclusive() -> None:
    exact, _ = merge_parks(parks(shapely.box(0, 0, 50, 20)), min_area_ha=0.0999)
    assert exact["area_ha"].tolist() == pytest.approx([0.1], rel=1e-4)
    assert merge_parks(parks(shapely.box(0, 0, 50, 20)), min_area_ha=0.1001)[0].empty
    at_limit = float(exact["area_ha"].iloc[0])
    assert len(merge_parks(parks(shapely.box(0, 0, 50, 20)), min_area_ha=at_limit)[0]) == 1


def test_a_garden_inside_a_park_does_not_count_twice_and_the_name_survives() -> None:
    table = parks(shapely.box(0, 0, 100, 100), shapely.box(10, 10, 30, 30))
    table["name"] = ["", "Jardin des Roses"]
    merged, _ = merge_parks(table)
    assert merged["area_ha"].tolist() == pytest.approx([1.0], rel=NEAR)
    assert merged["name"].tolist() == ["Jardin des Roses"]


def test_an_invalid_outline_is_repaired() -> None:
    bow_tie = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    merged, _ = merge_parks(parks(bow_tie))
    assert merged["area_ha"].tolist() == pytest.approx([0.5], rel=NEAR)
    assert merged.geometry.is_valid.all()


def test_negative_limits_are_refused() -> None:
    with pytest.raises(InputError, match="at least 0"):
        merge_parks(parks(PARK), min_area_ha=-1)


def test_private_parks_are_out_before_parks_are_merged() -> None:
    taxonomy = parse_taxonomy(
        {
            "categories": {
                "green": {
                    "geometry": "green",
                    "access": "public",
                    "min_area_ha": 0.1,
                    "osm": {"leisure": "park"},
                }
            }
        }
    )
    table = gpd.GeoDataFrame(
        {
            "id": ["way/1", "relation/2", "node/3"],
            "tags": [{"leisure": "park"}, {"leisure": "park", "access": "private"}, {"leisure": "park"}],
        },
        geometry=degrees(shapely.box(0, 0, 20, 30), shapely.box(20, 0, 60, 30), shapely.Point(0, 0)),
        crs=4326,
    )
    places = find_places(table, taxonomy)
    assert places.table.empty
    assert places.dropped_counts() == {"green": {"no outline mapped": 1, "private": 1, "too small": 1}}


def test_a_multipolygon_with_a_hole_counts_its_land() -> None:
    ring = shapely.box(0, 0, 100, 100).difference(shapely.box(25, 25, 75, 75))
    merged, _ = merge_parks(parks(shapely.MultiPolygon([ring, shapely.box(200, 0, 250, 50)])))
    assert merged["area_ha"].tolist() == pytest.approx([1.0], rel=NEAR)


def test_a_gate_on_an_inner_ring_is_not_where_the_park_is_entered() -> None:
    ring = shapely.box(0, 0, 100, 100).difference(shapely.box(40, 40, 60, 60))
    assert entered(ring, network([(50, 140), (50, 80)]), gate(50, 60)) == ({"crossing"}, [(50, 100)])


def test_the_ladder() -> None:
    assert [(s.min_area_ha, s.distance_m) for s in GREEN_LADDER] == [
        (0.1, 300),
        (0.5, 300),
        (1, 300),
        (1.5, 500),
    ]
    assert ladder_steps([0.09, 0.5, 1.5]).tolist() == [
        [False, False, False, False],
        [True, True, False, False],
        [True, True, True, True],
    ]
