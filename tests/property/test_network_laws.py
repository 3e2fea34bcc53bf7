"""Laws of the networks: what may never change, whatever the town."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import numpy as np
import osmium
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.network.access import way_access
from engine.network.build import build_network
from engine.network.exchange import from_tables, to_tables
from engine.network.geodesy import great_circle, hilbert_order
from engine.network.profile import ModeProfile
from engine.network.slope import MAX_SLOPE, cycling_factor, slope_profile, tobler_factor
from engine.network.speed import assumed_limits, parse_limit, posted_limits, way_speeds
from engine.network.street_network import StreetNetwork
from engine.network.tags import TagColumns
from engine.osm_extract import OsmExtract
from pipelines.sources.osm_file import read_raw
from tests.osm_town import DEGREE_M, plain_extract

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
MODES = st.sampled_from(["walk", "bike", "street30"])
TAGS = st.fixed_dictionaries(
    {
        "highway": st.sampled_from(
            ["residential", "tertiary", "primary", "footway", "cycleway", "steps", "service", "path"]
        )
    },
    optional={
        "oneway": st.sampled_from(["yes", "-1", "no"]),
        "name": st.sampled_from(["x", "y"]),
        "maxspeed": st.sampled_from(["20", "30", "50", "FR:urban"]),
        "access": st.sampled_from(["private", "yes"]),
        "bridge": st.just("yes"),
        "junction": st.just("roundabout"),
        "cycleway": st.sampled_from(["lane", "opposite", "track"]),
    },
)


@st.composite
def towns(draw: st.DrawFn) -> tuple[dict[int, tuple[float, float]], list[tuple[list[int], dict[str, str]]]]:
    """Up to 12 nodes on a grid of 50 m, up to 9 ways between them."""
    n = draw(st.integers(2, 12))
    spots = draw(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=n, max_size=n, unique=True)
    )
    nodes = {i + 1: (2 + 0.00045 * x, 48 + 0.00045 * y) for i, (x, y) in enumerate(spots)}
    path = st.lists(st.integers(1, n), min_size=2, max_size=6).map(
        lambda refs: [r for i, r in enumerate(refs) if i == 0 or r != refs[i - 1]]
    )
    ways = draw(st.lists(st.tuples(path.filter(lambda refs: len(refs) >= 2), TAGS), min_size=1, max_size=9))
    return nodes, ways


def reference(extract: OsmExtract, profile: ModeProfile) -> nx.MultiDiGraph:
    """The unsimplified graph, one edge a piece of way, in plain Python."""
    tags = TagColumns(extract.ways)
    access = way_access(tags, profile)
    limits = assumed_limits(tags, posted_limits(tags, moment=profile.moment), urban_kmh=profile.urban_kmh)
    major = tags.isin("highway", profile.major.classes)
    forward, backward = way_speeds(tags, access, profile, limits=limits, major=major)
    graph = nx.MultiDiGraph()
    for way in range(len(extract.ways)):
        refs = extract.way_refs[extract.way_offsets[way] : extract.way_offsets[way + 1]]
        for a, b in pairwise(refs):
            length = float(great_circle(extract.lon[a], extract.lat[a], extract.lon[b], extract.lat[b]))
            ends = int(extract.node_id[a]), int(extract.node_id[b])
            if access.forward[way]:
                graph.add_edge(*ends, ms=int(np.rint(length * 3600 / forward[way])))
            if access.backward[way]:
                graph.add_edge(*ends[::-1], ms=int(np.rint(length * 3600 / backward[way])))
    return graph


def times(network: StreetNetwork) -> dict[tuple[int, int], float]:
    """[ms] Between every two vertices, by OSM's ids."""
    table = network.graph.distances(weights="travel_time_ms") if network.n_vertices else []
    ids = network.node_id.tolist()
    return {(u, v): table[i][j] for i, u in enumerate(ids) for j, v in enumerate(ids)}


@SETTINGS
@given(towns(), MODES)
def test_times_between_kept_nodes_survive_simplification(town, mode: str) -> None:
    extract = plain_extract(*town)
    profile = ModeProfile.default(mode)
    network = build_network(extract, profile)
    graph = reference(extract, profile)
    before = dict(nx.all_pairs_dijkstra_path_length(graph, weight="ms"))
    assert all(ms == before[u][v] for (u, v), ms in times(network).items() if u != v)


@SETTINGS
@given(towns(), MODES)
def test_the_kept_component_is_strong_and_largest(town, mode: str) -> None:
    extract = plain_extract(*town)
    profile = ModeProfile.default(mode)
    network = build_network(extract, profile)
    graph = reference(extract, profile)
    assert np.isfinite(list(times(network).values())).all()
    if graph.number_of_edges():
        largest = max(len(c) for c in nx.strongly_connected_components(graph))
        assert network.dropped["components"]["nodes_kept"] == largest


@SETTINGS
@given(towns(), MODES)
def test_tables_there_and_back_change_nothing(town, mode: str) -> None:
    network = build_network(plain_extract(*town), ModeProfile.default(mode))
    again = from_tables(*to_tables(network), mode)
    np.testing.assert_array_equal(network.coords, again.coords)
    pd.testing.assert_frame_equal(network.streets, again.streets)


@SETTINGS
@given(towns(), MODES, st.randoms(use_true_random=False))
def test_new_ids_and_another_order_of_ways_change_no_time(town, mode: str, random) -> None:
    nodes, ways = town
    ids = list(nodes)
    shuffled = ids.copy()
    random.shuffle(shuffled)
    name = dict(zip(ids, shuffled, strict=True))
    other_ways = [([name[r] for r in refs], tags) for refs, tags in ways]
    random.shuffle(other_ways)
    profile = ModeProfile.default(mode)
    one = build_network(plain_extract(nodes, ways), profile)
    two = build_network(plain_extract({name[i]: xy for i, xy in nodes.items()}, other_ways), profile)
    sizes = [network.dropped["components"].get("next_largest_nodes", []) for network in (one, two)]
    assume(
        not sizes[0] or sizes[0][0] < one.dropped["components"]["nodes_kept"]
    )  # a tie goes to the lowest id
    mine, other = times(one), times(two)
    shared = [(u, v) for u, v in mine if (name[u], name[v]) in other]
    assert [mine[p] for p in shared] == [other[name[p[0]], name[p[1]]] for p in shared]
    assert (
        one.length_m.sum() == np.float64(two.length_m.sum())
        or abs(one.length_m.sum() - two.length_m.sum()) < 1e-6
    )


@SETTINGS
@given(towns(), MODES, st.floats(-170, 170))
def test_moving_a_town_along_its_parallel_changes_no_length(town, mode: str, shift: float) -> None:
    nodes, ways = town
    one = build_network(plain_extract(nodes, ways), ModeProfile.default(mode))
    moved = {i: ((x + shift + 180) % 360 - 180, y) for i, (x, y) in nodes.items()}
    two = build_network(plain_extract(moved, ways), ModeProfile.default(mode))
    np.testing.assert_allclose(np.sort(one.length_m), np.sort(two.length_m), rtol=1e-6, atol=1e-6)


@SETTINGS
@given(towns(), MODES, st.data())
def test_one_street_fewer_never_improves(town, mode: str, data) -> None:
    nodes, ways = town
    assume(len(ways) > 1)
    gone = data.draw(st.integers(0, len(ways) - 1))
    profile = ModeProfile.default(mode)
    before = reference(plain_extract(nodes, ways), profile)
    after = times(build_network(plain_extract(nodes, [*ways[:gone], *ways[gone + 1 :]]), profile))
    lengths = dict(nx.all_pairs_dijkstra_path_length(before, weight="ms"))
    assert all(ms >= lengths[u][v] for (u, v), ms in after.items() if u != v)


@SETTINGS
@given(towns())
def test_bolder_cyclists_are_never_slower(town) -> None:
    extract = plain_extract(*town)
    nets = [
        times(build_network(extract, ModeProfile.default("bike", max_lts=level))) for level in (2, 3, 4, None)
    ]
    for calm, bold in pairwise(nets):
        assert all(bold[pair] <= ms for pair, ms in calm.items() if pair in bold)
    assert nets[2] == nets[3]


@SETTINGS
@given(towns(), st.data())
def test_a_turn_restriction_never_improves(town, data) -> None:
    extract = plain_extract(*town)
    profile = ModeProfile.default("street30")
    rows = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["no_left_turn", "only_straight_on"]),
                st.integers(1, len(extract.ways)),
                st.sampled_from(extract.node_id.tolist()),
                st.integers(1, len(extract.ways)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    table = pd.DataFrame(rows, columns=["restriction", "from_way", "via_node", "to_way"]).assign(
        **{"relation_id": 1, "except": "", "via_ways": [()] * len(rows)}
    )
    free = times(build_network(extract, profile))
    bound = build_network(replace(extract, restrictions=table), profile)
    found = times(bound)
    assert all(found[p] >= free[p] for p in found if p in free and min(p) > 0)
    assert np.isfinite(list(found.values())).all()
    assert len(set(bound.node_id.tolist())) == bound.n_vertices


@SETTINGS
@given(st.floats(-0.35, 0.35), st.floats(-0.35, 0.35))
def test_steeper_is_slower_uphill(one: float, two: float) -> None:
    low, high = sorted((abs(one), abs(two)))
    for factor in (tobler_factor, cycling_factor):
        assert factor(np.array([high]))[0] <= factor(np.array([low]))[0] <= 1.0
        assert factor(np.array([0.0]))[0] == 1.0


@SETTINGS
@given(st.text(max_size=30))
def test_any_text_is_a_limit_or_none(text: str) -> None:
    limit = parse_limit(text)
    assert np.isnan(limit) or limit > 0


@SETTINGS
@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=40))
def test_the_hilbert_order_is_a_permutation(points: list[tuple[float, float]]) -> None:
    lon, lat = (np.array([p[i] for p in points]) for i in (0, 1))
    ids = np.arange(len(points))
    order = hilbert_order(lon, lat, ids)
    assert sorted(order.tolist()) == ids.tolist()


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)
OBJECT_TAGS = st.dictionaries(TEXT, TEXT, max_size=4)
COORDINATE = st.tuples(st.integers(-1_800_000_000, 1_800_000_000), st.integers(-900_000_000, 900_000_000))


@settings(SETTINGS, max_examples=40)
@given(
    st.dictionaries(st.integers(1, 2**62), st.tuples(COORDINATE, OBJECT_TAGS), max_size=12),
    st.dictionaries(
        st.integers(1, 2**62), st.tuples(st.lists(st.integers(1, 2**62), max_size=6), OBJECT_TAGS), max_size=6
    ),
    st.booleans(),
)
def test_whatever_libosmium_writes_is_read_back(nodes, ways, dense: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.osm.pbf"
        with osmium.SimpleWriter(
            osmium.io.File(str(path), f"pbf,pbf_dense_nodes={str(dense).lower()}")
        ) as writer:
            for i, ((x, y), tags) in sorted(nodes.items()):
                writer.add_node(
                    osmium.osm.mutable.Node(id=i, location=(x / 1e7, y / 1e7), tags=tags, version=1)
                )
            for i, (refs, tags) in sorted(ways.items()):
                writer.add_way(osmium.osm.mutable.Way(id=i, nodes=refs, tags=tags, version=1))
        raw = read_raw(path)
        expected = [
            (o.id, o.location.x, o.location.y) for o in osmium.FileProcessor(str(path), osmium.osm.NODE)
        ]
    assert list(zip(raw.node_id.tolist(), raw.node_x.tolist(), raw.node_y.tolist(), strict=True)) == expected
    assert raw.node_tags.dicts(np.arange(len(nodes))) == [tags for _, (_, tags) in sorted(nodes.items())]
    assert raw.way_id.tolist() == sorted(ways)
    found = [
        raw.way_refs[a:b].tolist() for a, b in zip(raw.way_offsets[:-1], raw.way_offsets[1:], strict=True)
    ]
    assert found == [refs for _, (refs, _) in sorted(ways.items())]
    assert raw.way_tags.dicts(np.arange(len(ways))) == [tags for _, (_, tags) in sorted(ways.items())]


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(3.0, 130.0), min_size=1, max_size=4), min_size=1, max_size=4),
    st.floats(-0.2, 0.2),
    st.floats(-0.5, 0.5),
)
def test_a_piece_has_the_slope_of_the_thirty_metres_about_its_middle(
    ways: list[list[float]], rise: float, bend: float
) -> None:
    """Ways apart from each other on a terrain that bends: each piece is asked of its own way alone."""
    begin = np.arange(len(ways)) * 2000.0
    stops = [b + np.concatenate([[0.0], np.cumsum(w)]) for b, w in zip(begin, ways, strict=True)]

    def height(m: np.ndarray) -> np.ndarray:
        own = np.floor((m + 500) / 2000)
        here = m - 2000 * own
        return 40 + rise * here + bend * (here / 100) ** 2 + own * 7

    node = np.concatenate(stops)
    a = np.concatenate([np.arange(len(s) - 1) + k for s, k in zip(stops, _starts(stops), strict=True)])
    length = np.concatenate([np.array(w) for w in ways])
    found = slope_profile(
        node / DEGREE_M, np.zeros(len(node)), (a, a + 1), way=np.repeat(np.arange(len(ways)), [len(w) for w in ways]),
        length_m=length, lifted=np.zeros(len(a), bool), elevation=lambda lon, _: height(lon * DEGREE_M),
    )  # fmt: skip
    expected = []
    for own, first in zip(stops, begin, strict=True):
        cut = [np.linspace(p, q, int(np.ceil((q - p) / 30)) + 1) for p, q in pairwise(own)]
        known = np.unique(np.concatenate(cut))
        for marks in cut:
            for middle in (marks[:-1] + marks[1:]) / 2:
                low = min(max(middle - 15, first), max(own[-1] - 30, first))
                high = min(low + 30, own[-1])
                up = np.interp([low, high], known, height(known))
                expected.append((up[1] - up[0]) / 30)
    assert found.slope == pytest.approx(np.clip(expected, -MAX_SLOPE, MAX_SLOPE), abs=1e-6)
    assert found.node_m == pytest.approx(height(node), abs=1e-6)
    assert found.capped == np.count_nonzero(np.abs(np.array(expected)) > MAX_SLOPE)


def _starts(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(p) for p in parts])])[:-1]
