"""
Our simplified graph against OSMnx's on the same ways.

OSMnx merges through every node where two streets meet; we keep a node, too, where an attribute changes or where
two ways are drawn against each other (left and right of a street mean something). So OSMnx's junctions are a
subset of our vertices (the start of a ring without a junction aside, which is a convention), every further vertex
is explained, and our streets, followed through those, are OSMnx's: the same ends, the same lengths to 1e-6.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import osmium
import osmnx as ox
import pytest

from engine.network.access import HIERARCHY, way_access
from engine.network.build import build_network
from engine.network.plaza import is_area_way
from engine.network.profile import ModeProfile
from engine.network.street_network import StreetNetwork
from engine.network.tags import TagColumns
from pipelines.sources.osm_file import read_osm

CASES = [
    ("paris_eiffel_walk_20231004.osm.pbf", "walk"),
    ("monaco_2021.osm.pbf", "walk"),
    ("monaco_2021.osm.pbf", "street30"),
    ("porto_alegre_streets_2020.osm.pbf", "walk"),
    ("krems_2013.osm.gz", "street30"),
    ("porto_centre_2020.osm.pbf", "street30"),
]


def only_open_ways(path: Path, mode: str, target: Path) -> Path:
    """The ways that the mode may use (areas aside), and their nodes, as an XML file."""
    extract = read_osm(path)
    tags = TagColumns(extract.ways)
    access = way_access(tags, ModeProfile.default(mode))
    # an escalator leads one way, which OSMnx does not know
    chosen = (
        (access.forward | access.backward)
        & ~tags.has("conveying")
        & ~is_area_way(tags)
        & (extract.ways["area_of"] == 0)
    )
    ids = set(extract.ways["way_id"][chosen].tolist())
    quiet = set(extract.ways["way_id"][chosen & access.destination].tolist()) if mode == "street30" else set()
    keys = HIERARCHY[mode]
    writer = osmium.BackReferenceWriter(str(target), ref_src=str(path), overwrite=True)
    with writer:
        for way in osmium.FileProcessor(str(path), osmium.osm.WAY):
            if way.id in quiet:  # OSMnx lets everybody pass through streets for their own traffic
                plain = {t.k: t.v for t in way.tags if t.k.split(":")[0] not in keys}
                writer.add(way.replace(tags=plain | {keys[-1]: "yes"}))
            elif way.id in ids:
                writer.add(way)
    return target


def osmnx_graph(path: Path, *, both_ways: bool) -> nx.MultiDiGraph:
    """OSMnx's reading of the file, unsimplified, in its largest strong component."""
    graph = ox.graph_from_xml(path, bidirectional=both_ways, simplify=False, retain_all=True)
    return ox.truncate.largest_component(graph, strongly=True)


def links(graph: nx.MultiDiGraph, nodes: set[int]) -> list[tuple[int, int, float]]:
    """Streets between some nodes, a row a direction: ends and length."""
    rows = [(u, v, float(d["length"])) for u, v, d in graph.edges(data=True)]
    return sorted(row for row in rows if {row[0], row[1]} <= nodes)


def merged_links(network: StreetNetwork, nodes: set[int]) -> list[tuple[int, int, float]]:
    """Our streets followed through our further vertices until the next of the nodes."""
    ends: dict[int, list[int]] = defaultdict(list)
    for street, (u, v) in enumerate(zip(network.u.tolist(), network.v.tolist(), strict=True)):
        ends[u].append(street)
        ends[v].append(street)
    open_ = {(a.tail, a.street, a.backward): a.head for a in network.arcs.itertuples()}
    rows = []
    for (tail, first, backward), head in open_.items():
        start, street, at, length = int(network.node_id[tail]), first, head, float(network.length_m[first])
        if start not in nodes:
            continue
        while int(network.node_id[at]) not in nodes and len(ends[at]) == 2 and ends[at] != [street, street]:
            street = next(s for s in ends[at] if s != street)
            at = int(network.v[street] if network.u[street] == at else network.u[street])
            length += float(network.length_m[street])
        if int(network.node_id[at]) in nodes:
            rows.append((start, int(network.node_id[at]), length))
        assert isinstance(backward, bool)
    return sorted(rows)


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_same_junctions_same_streets_same_lengths(
    shared_data: Path, tmp_path: Path, name: str, mode: str
) -> None:
    path = only_open_ways(shared_data / "osm" / name, mode, tmp_path / "open.osm")
    extract = read_osm(path)
    plain = replace(extract, node_tags=extract.node_tags.iloc[:0], restrictions=extract.restrictions.iloc[:0])
    network = build_network(plain, ModeProfile.default(mode))
    raw = osmnx_graph(path, both_ways=mode == "walk")
    theirs = ox.simplify_graph(raw)

    junctions = set(theirs.nodes)
    ours = set(network.node_id.tolist())
    rings = lone_rings(theirs)
    assert junctions - ours <= rings, "a junction of OSMnx's is missing"
    further = differences(network, ours - junctions)
    print(
        f"\n{name}, {mode}: {len(junctions)} junctions of OSMnx's, {len(ours)} vertices; further ones: {dict(further)}"
    )
    assert not further["unexplained"]
    assert sum(further.values()) == len(ours - junctions)

    shared = junctions & ours
    mine, other = merged_links(network, shared), links(theirs, shared)
    assert [row[:2] for row in mine] == [row[:2] for row in other]
    np.testing.assert_allclose([row[2] for row in mine], [row[2] for row in other], rtol=1e-6)

    total = sum(d["length"] for *_, d in raw.edges(data=True))
    assert float(network.length_m[network.arcs["street"].to_numpy()].sum()) == pytest.approx(total, rel=1e-6)


def lone_rings(graph: nx.MultiDiGraph) -> set[int]:
    """Nodes at which a loop hangs: where a ring begins is a convention, and the two differ in it."""
    return {u for u, v in graph.edges() if u == v}


def differences(network: StreetNetwork, nodes: set[int]) -> Counter[str]:
    """Why we keep vertices that OSMnx merges away: how many for each reason; "unexplained" must not occur."""
    own = ("u", "v", "length_m", "forward_ms", "backward_ms", "osm_way")
    carried = network.streets.drop(columns=list(own))
    same = carried.groupby(list(carried.columns), dropna=False, sort=False).ngroup().to_numpy()
    open_ = (network.forward_ms >= 0) * 2 + (network.backward_ms >= 0)
    pace = np.stack([network.forward_ms, network.backward_ms]) / network.length_m
    starts: dict[int, list[int]] = defaultdict(list)
    stops: dict[int, list[int]] = defaultdict(list)
    for street, (u, v) in enumerate(zip(network.u.tolist(), network.v.tolist(), strict=True)):
        starts[u].append(street)
        stops[v].append(street)
    found: Counter[str] = Counter()
    for vertex, node in enumerate(network.node_id.tolist()):
        if node not in nodes:
            continue
        at_u, at_v = starts[vertex], stops[vertex]
        if set(at_u) & set(at_v):
            found["a ring begins"] += 1
        elif len(at_u) + len(at_v) != 2:
            found["unexplained"] += 1
        elif len(at_u) != 1:
            found["drawn head to head"] += 1
        elif open_[at_u[0]] != open_[at_v[0]]:
            found["a oneway begins"] += 1
        elif same[at_u[0]] != same[at_v[0]] or not np.allclose(pace[:, at_u[0]], pace[:, at_v[0]], rtol=0.05):
            found["an attribute changes"] += 1
        else:
            found["unexplained"] += 1
    return found


def test_lengths_are_osmnx_lengths() -> None:
    from engine.network.geodesy import great_circle

    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, (2, 1000)), rng.uniform(-90, 90, (2, 1000))
    np.testing.assert_allclose(
        great_circle(lon[0], lat[0], lon[1], lat[1]),
        ox.distance.great_circle(lat[0], lon[0], lat[1], lon[1]),
        rtol=1e-12,
    )
