"""Exchange: tables and OSMnx graphs there and back, and tables that others made."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmnx as ox
import pandas as pd
import pytest
import shapely

from engine.errors import SchemaError
from engine.network.build import build_network
from engine.network.exchange import from_networkx, from_tables, to_networkx, to_tables
from engine.network.profile import ModeProfile
from engine.network.street_network import StreetNetwork
from pipelines.sources.osm_file import read_osm
from tests.osm_town import DEGREE_M, build, seconds

MODES = ("walk", "bike", "street30")
CORE = ["u", "v", "length_m", "forward_ms", "backward_ms", "osm_way"]


def same(one: StreetNetwork, two: StreetNetwork, *, columns: list[str] | None = None) -> None:
    """Both networks are equal, column by column and byte by byte."""
    assert one.mode == two.mode
    for name in ("node_id", "lon", "lat", "coords", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), name)
    if one.elevation_m is None:
        assert two.elevation_m is None
    else:
        np.testing.assert_array_equal(one.elevation_m, two.elevation_m)
    if columns is None:
        pd.testing.assert_frame_equal(one.streets, two.streets)
    else:
        pd.testing.assert_frame_equal(one.streets[columns], two.streets[columns])


@pytest.fixture(scope="module")
def networks(shared_data: Path) -> dict[str, StreetNetwork]:
    extract = read_osm(shared_data / "osm" / "helsinki_centre_2019.osm.pbf")
    return {
        mode: build_network(
            extract, ModeProfile.default(mode), elevation=lambda lon, lat: 1000 * (lon - 24.9)
        )
        for mode in MODES
    }


@pytest.mark.parametrize("mode", MODES)
def test_tables_there_and_back(networks: dict[str, StreetNetwork], mode: str, tmp_path: Path) -> None:
    nodes, edges = to_tables(networks[mode])
    contract = {"from_node", "to_node", "length_m", "travel_time_ms", "osm_way", "geometry"}
    assert contract <= set(edges.columns) and {"node_id", "elevation_m", "geometry"} == set(nodes.columns)
    assert ("lts" in edges.columns) == (mode == "bike")
    assert len(edges) == len(networks[mode].arcs)
    for name, table in (("nodes", nodes), ("edges", edges)):
        table.to_parquet(tmp_path / f"{name}.parquet")
    nodes, edges = (gpd.read_parquet(tmp_path / f"{name}.parquet") for name in ("nodes", "edges"))
    same(networks[mode], from_tables(nodes, edges, mode))


@pytest.mark.parametrize("mode", MODES)
def test_edges_are_drawn_in_the_direction_of_travel(networks: dict[str, StreetNetwork], mode: str) -> None:
    nodes, edges = to_tables(networks[mode])
    at = nodes.set_index("node_id").geometry
    starts = shapely.get_point(edges.geometry.to_numpy(), 0)
    assert shapely.equals(starts, at.loc[edges["from_node"]].to_numpy()).all()
    stops = shapely.get_point(edges.geometry.to_numpy(), -1)
    assert shapely.equals(stops, at.loc[edges["to_node"]].to_numpy()).all()


@pytest.mark.parametrize("mode", MODES)
def test_both_directions_find_each_other_without_their_number(
    networks: dict[str, StreetNetwork], mode: str
) -> None:
    network = networks[mode]
    nodes, edges = to_tables(network)
    found = from_tables(nodes, edges.drop(columns=["street", "backward"]), mode)
    assert len(found.streets) == len(network.streets)
    np.testing.assert_allclose(distances(found), distances(network))


def distances(network: StreetNetwork) -> np.ndarray:
    some = range(0, network.n_vertices, max(network.n_vertices // 12, 1))
    return np.array(network.graph.distances(some, None, weights="travel_time_ms"))


@pytest.mark.parametrize("mode", MODES)
def test_networkx_there_and_back(networks: dict[str, StreetNetwork], mode: str) -> None:
    graph = to_networkx(networks[mode])
    same(networks[mode], from_networkx(graph, mode), columns=CORE)
    assert graph.number_of_edges() == len(networks[mode].arcs)


def test_osmnx_understands_the_graph(networks: dict[str, StreetNetwork], tmp_path: Path) -> None:
    network = networks["street30"]
    graph = to_networkx(network)
    ox.io.save_graphml(graph, tmp_path / "graph.graphml")
    again = ox.io.load_graphml(tmp_path / "graph.graphml")
    same_graph = from_networkx(again, "street30")
    np.testing.assert_allclose(distances(same_graph), distances(network))
    nodes, edges = ox.convert.graph_to_gdfs(graph)
    assert len(nodes) == network.n_vertices and len(edges) == len(network.arcs)
    route = ox.routing.shortest_path(
        graph, int(network.node_id[0]), int(network.node_id[-1]), weight="travel_time"
    )
    seconds_there = sum(min(d["travel_time"] for d in graph[a][b].values()) for a, b in pairwise(route))
    ms = network.graph.distances(0, network.n_vertices - 1, weights="travel_time_ms")[0][0]
    assert seconds_there == pytest.approx(ms / 1000)


def test_projected_graphs_are_refused(networks: dict[str, StreetNetwork]) -> None:
    graph = to_networkx(networks["walk"])
    graph.graph["crs"] = "EPSG:3879"
    with pytest.raises(SchemaError, match="before projecting"):
        from_networkx(graph, "walk")


def test_graphs_without_times_need_a_speed() -> None:
    import networkx as nx

    graph = nx.MultiDiGraph(crs="EPSG:4326")
    graph.add_node(1, x=0.0, y=0.0)
    graph.add_node(2, x=0.001, y=0.0)
    graph.add_edge(1, 2, length=100.0, osmid=[7, 8])
    with pytest.raises(SchemaError, match="speed_kmh"):
        from_networkx(graph, "walk")
    network = from_networkx(graph, "walk", speed_kmh=5.0)
    assert network.forward_ms.tolist() == [72_000] and network.backward_ms.tolist() == [-1]
    assert network.streets["osm_way"].tolist() == [7]


# --- tables that others made ------------------------------------------------------------------------------

#   1 --- 2      1 ⇄ 2 both ways, 2 → 3 one way
#         |
#         3
NODES = pd.DataFrame(
    {"node_id": [1, 2, 3], "lon": [0.0, 100 / DEGREE_M, 100 / DEGREE_M], "lat": [0.0, 0.0, -100 / DEGREE_M]}
)
EDGES = pd.DataFrame(
    {
        "from_node": [1, 2, 2],
        "to_node": [2, 1, 3],
        "length_m": [100.0, 100.0, 100.0],
        "travel_time_ms": [60_000, 72_000, 50_000],
    }
)


def test_plain_tables_make_a_network() -> None:
    network = from_tables(NODES, EDGES, "walk")
    assert len(network.streets) == 2
    assert network.forward_ms.tolist() == [60_000, 50_000]
    assert network.backward_ms.tolist() == [72_000, -1]
    assert shapely.get_num_coordinates(network.geometry).tolist() == [2, 2]
    assert network.streets["osm_way"].tolist() == [0, 0]  # of no way


def test_nothing_takes_no_time_and_no_length() -> None:
    network = from_tables(NODES, EDGES.assign(length_m=0.0, travel_time_ms=0), "walk")
    assert network.length_m.tolist() == [0, 0]
    assert (network.forward_ms.tolist(), network.backward_ms.tolist()) == ([0, 0], [0, -1])


def test_csv_there_and_back(tmp_path: Path) -> None:
    EDGES.to_csv(tmp_path / "edges.csv", index=False)
    NODES.to_csv(tmp_path / "nodes.csv", index=False)
    to_the_last_digit = dict.fromkeys(("lon", "lat"), float)
    nodes = pd.read_csv(tmp_path / "nodes.csv", converters=to_the_last_digit)
    network = from_tables(nodes, pd.read_csv(tmp_path / "edges.csv"), "walk")
    same(network, from_tables(NODES, EDGES, "walk"))


def test_lengths_follow_from_lines() -> None:
    bent = shapely.LineString([(0, 0), (0, 0.001), (100 / DEGREE_M, 0.0)])
    edges = gpd.GeoDataFrame(EDGES.drop(columns="length_m"), geometry=[bent, bent.reverse(), None], crs=4326)
    network = from_tables(NODES, edges, "walk")
    assert len(network.streets) == 2
    assert network.length_m[1] == pytest.approx(100.0)
    assert network.length_m[0] == pytest.approx(0.001 * DEGREE_M + np.hypot(0.001 * DEGREE_M, 100), rel=1e-6)


def test_parallel_streets_and_loops_stay_apart() -> None:
    edges = pd.DataFrame(
        {
            "from_node": [1, 2, 1, 2, 3, 3],
            "to_node": [2, 1, 2, 1, 3, 3],
            "length_m": [100.0, 100.0, 150.0, 150.0, 80.0, 80.0],
            "travel_time_ms": [1000, 1100, 1500, 1600, 800, 900],
            "osm_way": [1, 1, 2, 2, 3, 3],
        }
    )
    network = from_tables(NODES, edges, "walk")
    found = network.streets[["forward_ms", "backward_ms"]].to_numpy().tolist()
    assert found[:2] == [[1000, 1100], [1500, 1600]]
    assert len(network.arcs) == 6


@pytest.mark.parametrize(
    ("nodes", "edges", "match"),
    [
        (NODES.drop(columns="lat"), EDGES, "positions"),
        (NODES.assign(node_id=[1, 1, 3]), EDGES, "stands twice"),
        (NODES.assign(lon=[0, 500_000, 0]), EDGES, "reproject"),
        (NODES, EDGES.assign(to_node=[2, 1, 9]), "no node carries"),
        (NODES, EDGES.assign(from_node=["a", 2, 2]), "whole number"),
        (NODES, EDGES.drop(columns="travel_time_ms"), "travel_time_ms"),
        (NODES, EDGES.assign(travel_time_ms=[1, -5, 3]), "travel_time_ms of row 1 is -5.*0 or more"),
        (NODES, EDGES.assign(length_m=[1, np.nan, 3]), "length_m of row 1 is nan.*0 or more"),
        (NODES, EDGES.assign(length_m=[1, 2, -3]), "length_m of row 2 is -3"),
        (NODES.drop(columns="node_id"), EDGES, "node_id"),
        (NODES, EDGES.assign(geometry=[shapely.Point(0, 0)] * 3), "row 0 is a Point; expected LineString"),
        (NODES, EDGES.assign(geometry=[None, None, shapely.Point(0, 0)]), "row 2 is a Point"),
    ],
)
def test_tables_that_make_no_network(nodes: pd.DataFrame, edges: pd.DataFrame, match: str) -> None:
    with pytest.raises(SchemaError, match=match):
        from_tables(nodes, edges, "walk")


def test_empty_networks_go_through() -> None:
    empty = build("walk", "AB", [("AB", {"building": "yes"})])
    nodes, edges = to_tables(empty)
    assert len(from_tables(nodes, edges, "walk").streets) == 0
    assert from_networkx(to_networkx(empty), "walk").n_vertices == 0


def test_a_restored_network_routes_the_same() -> None:
    network = build(
        "bike", "AB\nCD", [("AB", {"highway": "cycleway", "oneway": "yes"}), ("ACDB", {"highway": "path"})]
    )
    again = from_tables(*to_tables(network), "bike")
    for pair in ("AB", "BA", "AD"):
        assert seconds(network, *pair) == seconds(again, *pair)
