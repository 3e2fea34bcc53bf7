"""Own tables of nodes and edges, on towns drawn by hand and on the whole of Paris."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.network.profile import ModeProfile
from engine.network.slope import tobler_factor
from engine.network.street_network import NO_WAY, StreetNetwork
from pipelines.errors import ConfigError, SourceError
from pipelines.sources.tables import read_street_tables, street_network

# The one-way square, about 100 m a side (0.0009° of latitude = 100.08 m on the ellipsoid near the equator is
# not needed: lengths are given). Traffic runs 1 → 2 → 3 → 4 → 1; the bicycle may go against 1 → 2.
#
#     4 ←── 3          9 ── 8   (an island: no street reaches it)
#     ↓     ↑
#     1 ──→ 2 ── 5     (2 – 5 goes both ways; the limit there is 50 and it is a major road)
NODES = (
    "node_id,lat,lon\n1,0,0\n2,0,0.001\n3,0.001,0.001\n4,0.001,0\n5,0,0.002\n8,0.001,0.004\n9,0.001,0.003\n"
)
EDGES = """from,to,oneway,length_m,drive_time_s,limit_kmh,major,contraflow
1,2,1,120,6,,0,1
2,3,1,120,20,,0,0
3,4,1,120,,30,0,0
4,1,1,120,,20,0,0
2,5,0,125,,50,1,0
9,8,0,125,,30,0,0
"""


@pytest.fixture
def town(tmp_path: Path) -> tuple[Path, Path]:
    nodes, edges = tmp_path / "nodes.csv", tmp_path / "edges.csv"
    nodes.write_text(NODES)
    edges.write_text(EDGES)
    return nodes, edges


def times(town: tuple[Path, Path], mode: str, **options: float) -> dict[tuple[int, int], int]:
    """Travel time in ms by (node, node)."""
    network = street_network(read_street_tables(*town), ModeProfile.default(mode, **options))
    arcs = network.arcs
    pairs = zip(network.node_id[arcs["tail"]], network.node_id[arcs["head"]], strict=True)
    return dict(zip([(int(a), int(b)) for a, b in pairs], arcs["travel_time_ms"].tolist(), strict=True))


def test_walking_goes_both_ways_at_five_kilometres_an_hour(town: tuple[Path, Path]) -> None:
    walk = times(town, "walk")
    # 120 m / (5/3.6 m/s) = 86.4 s; 125 m = 90 s; the island {8, 9} is not in the main part
    side, spur = 86_400, 90_000
    around = [(1, 2), (2, 3), (3, 4), (4, 1)]
    back = [(b, a) for a, b in around]
    expected = dict.fromkeys(around + back, side) | dict.fromkeys([(2, 5), (5, 2)], spur)
    assert walk == expected


def test_cycling_obeys_one_ways_save_contraflow(town: tuple[Path, Path]) -> None:
    bike = times(town, "bike")
    # 120 m / (15/3.6) = 28.8 s; 125 m = 30 s; against the traffic only from 2 to 1
    assert bike == {
        (1, 2): 28_800,
        (2, 1): 28_800,
        (2, 3): 28_800,
        (3, 4): 28_800,
        (4, 1): 28_800,
        (2, 5): 30_000,
        (5, 2): 30_000,
    }


def test_street30_is_never_faster_than_thirty_save_on_major_roads(town: tuple[Path, Path]) -> None:
    drive = times(town, "street30")
    assert drive == {
        (1, 2): 14_400,  # 6 s is 72 km/h: 120 m at 30 km/h = 14.4 s
        (2, 3): 20_000,  # the table's own 20 s is slower than 30 km/h: kept
        (3, 4): 14_400,  # limit 30
        (4, 1): 21_600,  # limit 20: 120 m / (20/3.6)
        (2, 5): 9_000,  # major: 125 m at its limit of 50
        (5, 2): 9_000,
    }


def test_a_lower_ceiling_slows_only_what_was_faster(town: tuple[Path, Path]) -> None:
    at30, at20 = times(town, "street30"), times(town, "street30", speed_kmh=20)
    assert at20[1, 2] == 21_600
    assert {k for k in at30 if at20[k] != at30[k]} == {(1, 2), (2, 3), (3, 4)}


def test_what_is_dropped_is_counted(town: tuple[Path, Path]) -> None:
    network = street_network(read_street_tables(*town), ModeProfile.default("walk"))
    assert network.node_id.tolist() == [1, 2, 3, 4, 5]
    assert network.dropped["edges_outside_main_component"] == 1
    assert network.dropped["length_outside_main_component_m"] == 125.0
    assert network.dropped["nodes_outside_main_component"] == 2


def test_a_dead_end_of_one_way_streets_is_not_in_the_strong_part(town: tuple[Path, Path]) -> None:
    nodes, edges = town
    edges.write_text(EDGES.replace("2,5,0", "2,5,1"))
    network = street_network(read_street_tables(nodes, edges), ModeProfile.default("street30"))
    assert network.node_id.tolist() == [1, 2, 3, 4]
    assert street_network(read_street_tables(nodes, edges), ModeProfile.default("walk")).n_vertices == 5


def test_minus_one_is_one_way_against_the_row(town: tuple[Path, Path]) -> None:
    nodes, edges = town
    edges.write_text(EDGES.replace("1,2,1,120", "2,1,-1,120"))
    drive = street_network(read_street_tables(nodes, edges), ModeProfile.default("street30")).streets
    assert drive.loc[0, ["forward_ms", "backward_ms"]].tolist() == [NO_WAY, 14_400]


def test_contraflow_opens_whichever_direction_is_closed(town: tuple[Path, Path]) -> None:
    nodes, edges = town
    edges.write_text(EDGES.replace("1,2,1,120", "2,1,-1,120"))
    bike = times((nodes, edges), "bike")
    assert bike[1, 2] == bike[2, 1] == 28_800


def test_geometry_is_drawn_from_u_to_v_and_gives_the_length(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("id;x;y\n7;10;50\n8;10.01;50\n")
    line = "LINESTRING (10.01 50, 10.005 50.002, 10 50)"  # drawn from 8 to 7
    (tmp_path / "e.csv").write_text(f"u;v;geometry\n7;8;{line}\n")
    network = street_network(
        read_street_tables(tmp_path / "n.csv", tmp_path / "e.csv"), ModeProfile.default("walk")
    )
    assert shapely.get_coordinates(network.geometry[0]).tolist() == [
        [10, 50],
        [10.005, 50.002],
        [10.01, 50],
    ]
    assert network.length_m[0] == pytest.approx(2 * np.hypot(358.4, 222.5), rel=2e-3)


def test_parquet_and_other_column_names_give_the_same_network(
    town: tuple[Path, Path], tmp_path: Path
) -> None:
    nodes, edges = (pd.read_csv(p) for p in town)
    nodes.rename(columns={"node_id": "knoten", "lon": "laenge", "lat": "breite"}).to_parquet(
        tmp_path / "n.parquet"
    )
    edges.rename(columns={"from": "a", "to": "b"}).to_parquet(tmp_path / "e.parquet")
    names = {"node_id": "knoten", "lon": "laenge", "lat": "breite", "from_node": "a", "to_node": "b"}
    renamed = street_network(
        read_street_tables(tmp_path / "n.parquet", tmp_path / "e.parquet", columns=names),
        ModeProfile.default("bike"),
    )
    plain = street_network(read_street_tables(*town), ModeProfile.default("bike"))
    pd.testing.assert_frame_equal(renamed.streets, plain.streets)
    assert np.array_equal(renamed.coords, plain.coords)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5,0,0.002", "5,0,", r"'lon': 1 of 7 rows are wrong \(row 5: “nan”\); expected a number"),
        ("5,0,0.002", "5,0,nan", r"'lon'.*row 5: “nan”"),
        ("5,0,0.002", "5,0,inf", r"'lon'.*row 5: “inf”.*finite"),
        ("5,0,0.002", "5,0,192", r"'lon'.*row 5: “192”.*-180 to 180"),
        ("5,0,0.002", "5,91,0.002", r"swapped|beyond 90"),
        ("5,0,0.002", "4,0,0.002", r"'node_id'.*row 5: “4”.*each node once"),
        ("5,0,0.002", "5.5,0,0.002", r"'node_id'.*row 5: “5.5”.*whole number"),
        ("5,0,0.002", "five,0,0.002", r"'node_id'.*row 5: “five”.*whole number"),
        ("5,0,0.002", "99999999999999999999,0,0.002", r"'node_id'.*whole number"),
        ("node_id,lat,lon", "node_id,lat,where", r"no column lon or long.*Name yours as source.columns.lon"),
    ],
)
def test_wrong_nodes_are_named(town: tuple[Path, Path], old: str, new: str, message: str) -> None:
    nodes, edges = town
    nodes.write_text(NODES.replace(old, new))
    with pytest.raises(SourceError, match=message):
        read_street_tables(nodes, edges)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2,5,0,125", "2,6,0,125", r"'to': 1 of 6 rows are wrong \(row 5: “6”\); expected the id of a node"),
        ("2,5,0,125", "2,5,0,-1", r"'length_m'.*row 5: “-1”.*0 to 1,000,000 m"),
        ("2,5,0,125", "2,5,0,1e7", r"'length_m'.*row 5: “1e7”"),
        ("2,5,0,125", "2,5,perhaps,125", r"'oneway'.*row 5: “perhaps”.*yes or no"),
        ("2,3,1,120,20", "2,3,1,120,0", r"'drive_time_s'.*row 2: “0”.*above 0"),
        ("2,3,1,120,20", "2,3,1,120,soon", r"'drive_time_s'.*row 2: “soon”"),
        (
            ",120,",
            ",0.120,",
            r"'length_m': half of the lengths are under 0.00109 times the straight line.*metres",
        ),
    ],
)
def test_wrong_edges_are_named(town: tuple[Path, Path], old: str, new: str, message: str) -> None:
    nodes, edges = town
    edges.write_text(EDGES.replace(old, new))
    with pytest.raises(SourceError, match=message):
        read_street_tables(nodes, edges)


def test_swapped_columns_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("node_id,lat,lon\n1,151.2,-33.8\n2,151.3,-33.9\n")
    (tmp_path / "e.csv").write_text("from,to\n1,2\n")
    with pytest.raises(SourceError, match=r"look swapped\. Exchange source.columns.lon and"):
        read_street_tables(tmp_path / "n.csv", tmp_path / "e.csv")


def test_loops_and_repeated_rows_are_left_out_and_counted(town: tuple[Path, Path]) -> None:
    nodes, edges = town
    edges.write_text(EDGES + "5,5,0,10,,30,0,0\n" + EDGES.splitlines()[1] + "\n")
    tables = read_street_tables(nodes, edges)
    assert tables.report["edges_that_are_undrawn_loops"] == 1
    assert tables.report["edges_repeated"] == 1
    assert len(tables.edges) == 6


def test_an_unknown_or_absent_column_name_is_refused(town: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="'node_idd'; did you mean 'node_id'"):
        read_street_tables(*town, columns={"node_idd": "x"})
    with pytest.raises(ConfigError, match=r"source\.columns\.lon names 'x', which"):
        read_street_tables(*town, columns={"lon": "x"})


def test_no_street_for_a_mode_is_an_error(town: tuple[Path, Path]) -> None:
    nodes, edges = town
    frame = pd.read_csv(edges).assign(bike=0)
    frame.to_csv(edges, index=False)
    with pytest.raises(SourceError, match="no edge of the tables may be used by bike"):
        street_network(read_street_tables(nodes, edges), ModeProfile.default("bike"))


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_rows_changes_no_time(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("town")
    header, *rows = EDGES.splitlines()
    (folder / "n.csv").write_text(NODES)
    (folder / "e.csv").write_text(EDGES)
    (folder / "shuffled.csv").write_text("\n".join([header, *(rows[i] for i in order)]))
    plain, shuffled = (folder / "n.csv", folder / "e.csv"), (folder / "n.csv", folder / "shuffled.csv")
    for mode in ("walk", "bike", "street30"):
        assert times(plain, mode) == times(shuffled, mode)


def test_the_whole_of_paris(shared_data: Path) -> None:
    folder = shared_data / "paris"
    tables = read_street_tables(folder / "street_nodes.csv", folder / "street_edges.csv")
    assert tables.report["nodes_read"] == 11_348
    assert tables.report["edges_read"] == 17_958
    for mode in ("walk", "bike", "street30"):
        network = street_network(tables, ModeProfile.default(mode))
        assert network.n_vertices == 11_348
        assert network.length_m.sum() == pytest.approx(1_967_000, rel=1e-3)
    one_way = pd.read_csv(folder / "street_edges.csv")["oneway"].sum()
    assert (network.backward_ms == NO_WAY).sum() == one_way
    slowest = network.length_m / (network.forward_ms / 1000) * 3.6
    assert slowest.max() <= 30.01


# --- slope ------------------------------------------------------------------------------------------------


def hill(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """[m] A plane that rises 10 m on every 100 m towards the east."""
    return lon * np.pi * 6_371_009 / 180 * 0.1


def arc_ms(network: StreetNetwork) -> dict[tuple[int, int], int]:
    arcs = network.arcs
    pairs = zip(network.node_id[arcs["tail"]], network.node_id[arcs["head"]], strict=True)
    return dict(zip([(int(a), int(b)) for a, b in pairs], arcs["travel_time_ms"].tolist(), strict=True))


def test_a_terrain_model_slows_those_who_climb(town: tuple[Path, Path]) -> None:
    tables = read_street_tables(*town)
    flat = arc_ms(street_network(tables, ModeProfile.default("walk")))
    network = street_network(tables, ModeProfile.default("walk"), elevation=hill)
    steep = arc_ms(network)
    up, down = tobler_factor(np.array([0.1, -0.1]))
    assert steep[1, 2] == pytest.approx(flat[1, 2] / up, abs=2)
    assert steep[2, 1] == pytest.approx(flat[2, 1] / down, abs=2)
    assert steep[2, 3] == flat[2, 3]  # level
    assert network.elevation_m is not None
    assert network.elevation_m[network.node_id == 5] == pytest.approx(22.24, abs=0.01)
    assert network.dropped["elevation"] == {"nodes_without_height": 0, "slopes_capped": 0}
    bike, level = (
        arc_ms(street_network(tables, ModeProfile.default("bike", slope=slope), elevation=hill))
        for slope in (True, False)
    )
    assert bike[1, 2] > 1.5 * level[1, 2] and bike[2, 5] > level[2, 5] > bike[5, 2]
    assert level == arc_ms(street_network(tables, ModeProfile.default("bike")))
    drive = [
        arc_ms(street_network(tables, ModeProfile.default("street30"), elevation=e)) for e in (None, hill)
    ]
    assert drive[0] == drive[1]


def test_heights_of_the_nodes_do_without_a_terrain_model(town: tuple[Path, Path]) -> None:
    nodes = pd.read_csv(town[0])
    nodes["elevation_m"] = [0.0, 12.0, 12.0, 0.0, np.nan, 0.0, 0.0]
    nodes.to_csv(town[0], index=False)
    flat = dict.fromkeys(((1, 2), (2, 3)), 86400)
    found = arc_ms(street_network(read_street_tables(*town), ModeProfile.default("walk")))
    assert found[1, 2] == pytest.approx(flat[1, 2] / tobler_factor(np.array([0.1]))[0], abs=1)
    assert found[2, 3] == flat[2, 3]
    assert found[2, 5] == found[5, 2] == 90_000  # a height is unknown: level


def test_the_congestion_factor_slows_traffic(town: tuple[Path, Path]) -> None:
    tables = read_street_tables(*town)
    free, slow = (
        arc_ms(street_network(tables, ModeProfile.default("street30", congestion_factor=factor)))
        for factor in (1.0, 2.0)
    )
    assert slow == {pair: 2 * ms for pair, ms in free.items()}
