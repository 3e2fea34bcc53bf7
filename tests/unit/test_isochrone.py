"""Isochrones of drawn towns, by hand, and on the demonstration."""

from __future__ import annotations

import json

import geopandas as gpd
import igraph as ig
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from engine.errors import InputError
from engine.reach.graph import UNREACHABLE
from engine.reach.isochrone import reached_lines, reached_streets
from engine.reach.outline import isochrone_outline
from engine.snapping import snap
from pipelines.cli import cli
from pipelines.isochrone import isochrone_geojson
from tests.towns import exact_snaps, town

S = 1000


def parts(reached) -> list[tuple[int, float, float]]:
    return [
        (int(s), float(a), float(b))
        for s, a, b in zip(reached.street, reached.start, reached.stop, strict=True)
    ]


def test_a_street_is_cut_where_the_time_runs_out() -> None:
    t = town("""
A----------B----------C
    """)
    length = t.network.forward_ms[t.street["AB"]]
    reached = reached_streets(t.network, exact_snaps([t.street["AB"]], [0.5]), limit_ms=int(length))
    assert parts(reached) == [(t.street["AB"], 0.0, 1.0), (t.street["BC"], 0.0, pytest.approx(0.5))]
    assert reached.time_ms[t.vertex["B"]] == length / 2
    assert reached.time_ms[t.vertex["C"]] == UNREACHABLE


def test_both_ends_of_a_far_street_are_entered() -> None:
    t = town("""
A-----B
|     |
|     |
C-----D
    """)
    ab, cd = t.street["AB"], t.street["CD"]
    limit = int(
        t.network.forward_ms[ab] // 2 + t.network.forward_ms[t.street["AC"]] + t.network.forward_ms[cd] // 4
    )
    reached = reached_streets(t.network, exact_snaps([ab], [0.5]), limit_ms=limit)
    assert [p for p in parts(reached) if p[0] == cd] == [
        (cd, 0.0, pytest.approx(0.25)),
        (cd, pytest.approx(0.75), 1.0),
    ]


def test_a_one_way_street_is_not_gone_against() -> None:
    t = town("""
A-->--B
|     |
C-----D
    """)
    ab = t.street["AB"]
    takes = int(t.network.forward_ms[ab])
    reached = reached_streets(t.network, exact_snaps([ab], [0.5]), limit_ms=takes // 4)
    assert parts(reached) == [(ab, 0.5, pytest.approx(0.75))]


def test_the_walk_to_the_street_counts() -> None:
    t = town("""
A----------B
    """)
    ab = t.street["AB"]
    reached = reached_streets(t.network, exact_snaps([ab], [0.0], access_ms=30 * S), limit_ms=40 * S)
    assert parts(reached) == [(ab, 0.0, pytest.approx(10 * S / t.network.forward_ms[ab]))]
    none = reached_streets(t.network, exact_snaps([ab], [0.0], access_ms=30 * S), limit_ms=20 * S)
    assert parts(none) == []
    assert isochrone_outline(t.network, none).is_empty


def test_a_point_off_the_network_is_an_error() -> None:
    t = town("""
A-----B
    """)
    far = snap(t.network, np.array([[50.0, 50.0]]), max_snap_m=100)
    with pytest.raises(InputError, match="farther than 100 m"):
        reached_streets(t.network, far, limit_ms=1000)


@pytest.fixture(scope="module")
def streets(demo_run):
    return demo_run.network("walk")


@pytest.mark.parametrize(("minutes", "least"), [(1, 0.75), (5, 0.97), (12, 0.97)])
def test_on_real_streets_igraph_agrees_and_the_outline_keeps_to_what_is_reached(
    streets, minutes: int, least: float
) -> None:
    limit = minutes * 60 * S
    origin = snap(streets, np.array([[24.9445, 60.1710]]), max_snap_m=250)
    reached = reached_streets(streets, origin, limit_ms=limit)
    graph = ig.Graph(n=streets.n_vertices + 1, directed=True)
    arcs, s, f = streets.arcs, int(origin.street[0]), float(origin.fraction[0])
    seeds = [(streets.n_vertices, int(streets.v[s])), (streets.n_vertices, int(streets.u[s]))]
    forward, backward = int(streets.forward_ms[s]), int(streets.backward_ms[s])
    graph.add_edges([*zip(arcs["tail"], arcs["head"], strict=True), *seeds])
    weights = [*arcs["travel_time_ms"], forward - round(forward * f), round(backward * f)]
    times = np.array(graph.distances(streets.n_vertices, weights=weights)[0][:-1]) + int(origin.access_ms[0])
    expected = np.where(times <= limit, times, UNREACHABLE)
    assert np.array_equal(reached.time_ms, expected.astype(np.int64))

    outline = isochrone_outline(streets, reached)
    assert outline.is_valid
    plane = gpd.GeoSeries(list(reached_lines(streets, reached)), crs=4326).to_crs(3067)
    ground = gpd.GeoSeries([outline], crs=4326).to_crs(3067).iloc[0]
    covered = shapely.length(shapely.intersection(plane.to_numpy(), ground)).sum() / plane.length.sum()
    assert covered > least  # the rest lies beside streets that are nearer and not reached
    away = gpd.GeoSeries(shapely.points(streets.lon, streets.lat), crs=4326).to_crs(3067).to_numpy()
    unreached = away[(expected == UNREACHABLE)]
    clear = (
        shapely.distance(unreached, shapely.union_all(plane.to_numpy())) > 30
    )  # two pixels and a cut corner
    assert not shapely.contains(ground, unreached[clear]).any()


@pytest.mark.parametrize("shape", ["outline", "buffer"])
def test_the_demonstration_keeps_out_of_the_bay(demo_run, streets, shape: str) -> None:
    """Ten metres off the coast there is ground beside bridges only, and every part has streets."""
    found = isochrone_geojson(
        demo_run, lon_lat=(24.9445, 60.1745), mode="walk", minutes=[10], shape=shape, network=streets
    )
    ground = gpd.GeoSeries.from_wkt([shapely.geometry.shape(found["features"][0]["geometry"]).wkt], crs=4326)
    ground = ground.to_crs(3067).iloc[0]
    features = gpd.read_parquet(demo_run.path / "features.parquet").to_crs(3067)
    coast = features[[json.loads(t).get("natural") == "coastline" for t in features["tags"]]].geometry
    lines = shapely.segmentize(coast[coast.geom_type == "LineString"].to_numpy(), 5.0)
    off = np.concatenate([shapely.get_coordinates(shapely.offset_curve(line, -10.0)) for line in lines])
    reached = reached_streets(
        streets, snap(streets, np.array([[24.9445, 60.1745]]), max_snap_m=250), limit_ms=600_000
    )
    walked = gpd.GeoSeries(list(reached_lines(streets, reached)), crs=4326).to_crs(3067).union_all()
    at_sea = shapely.points(off)
    near = shapely.dwithin(at_sea, walked, 40.0)
    away = near & ~shapely.dwithin(at_sea, walked, 9.0)
    assert away.sum() > 20  # without the cut most of these would lie inside
    assert shapely.contains(ground, at_sea[away]).mean() < 0.02
    assert all(shapely.intersects(part, walked) for part in shapely.get_parts(ground))


def test_the_command_gives_nested_polygons(demo_run) -> None:
    for shape in ("outline", "buffer", "cells", "streets"):
        args = [
            "isochrone",
            str(demo_run.path),
            "--at",
            "24.9445,60.1710",
            "--minutes",
            "3,6,9",
            "--shape",
            shape,
        ]
        result = CliRunner().invoke(cli, args)
        assert result.exit_code == 0, result.stderr
        features = json.loads(result.stdout)["features"]
        assert [f["properties"]["minutes"] for f in features] == [9, 6, 3]
        size = [shapely.from_geojson(json.dumps(f["geometry"])) for f in features]
        assert size[0].length > size[1].length > size[2].length
        kilometres = [f["properties"]["street_km"] for f in features]
        assert kilometres == sorted(kilometres, reverse=True)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--at", "2.35,48.85"], "no isochrone from"),
        (["--at", "60.17,124.94"], "LON,LAT"),
        (["--at", "24.94,60.17", "--minutes", "0"], "positive"),
        (["--at", "24.94,60.17", "--minutes", "a"], "numbers"),
        (["--at", "24.94,60.17", "--mode", "boat"], "boat"),
    ],
)
def test_a_wrong_call_is_a_sentence(demo_run, args: list[str], words: str) -> None:
    result = CliRunner().invoke(cli, ["isochrone", str(demo_run.path), *args])
    assert result.exit_code in (2, 3)
    assert words in result.stderr
