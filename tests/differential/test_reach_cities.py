"""
Helsinki, Porto and the tables of Paris: igraph, networkx and both of our engines give the same integers.

Real networks have what drawn ones lack: thousands of loops and parallel streets, one-way streets, streets of no time,
long ones beside short ones. Places and origins lie anywhere on them, some at ends, some with a walk.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import igraph as ig
import numpy as np
import pytest

from engine.network.build import build_network
from engine.network.profile import ModeProfile
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.reach import UNREACHABLE, Decay, Destinations, cumulative, hierarchy, nearest
from engine.reach.cumulative import origin_pieces
from engine.reach.graph import reach_graph, seeds
from engine.reach.isochrone import reached_streets
from engine.reach.places_to_cells import cell_units
from engine.snapping import Snaps
from pipelines.sources.osm_file import read_osm
from pipelines.sources.tables import read_street_tables, street_network
from tests.slow_reach import time_along, times_to_places
from tests.towns import exact_snaps

CITIES = ["helsinki walk", "porto bike", "paris street30"]
CUTOFFS = [300_000, 600_000, 900_000]


@pytest.fixture(scope="module", params=CITIES)
def city(request: pytest.FixtureRequest, shared_data: Path) -> StreetNetwork:
    name, mode = request.param.split()
    if name == "paris":
        folder = shared_data / "paris"
        tables = read_street_tables(folder / "street_nodes.csv", folder / "street_edges.csv")
        return street_network(tables, ModeProfile.default(mode))
    file = {"helsinki": "helsinki_centre_2019.osm.pbf", "porto": "porto_centre_2020.osm.pbf"}[name]
    return build_network(read_osm(shared_data / "osm" / file), ModeProfile.default(mode))


def anywhere(network: StreetNetwork, n: int, seed: int) -> Snaps:
    """Points on streets: at either end, in the middle, some a walk away."""
    random = np.random.default_rng(seed)
    fraction = np.where(random.random(n) < 0.3, random.integers(0, 2, n), random.random(n))
    walk = np.where(random.random(n) < 0.5, 0, random.integers(0, 60_000, n))
    return exact_snaps(random.integers(0, len(network.streets), n).tolist(), fraction.tolist(), walk.tolist())


def places(network: StreetNetwork, n: int, *, seed: int = 1) -> Destinations:
    """As many places in three categories, every fourth with a second entrance."""
    random = np.random.default_rng(seed)
    place = np.append(np.arange(n), np.arange(0, n, 4)).astype(np.int32)
    return Destinations(
        snaps=anywhere(network, len(place), seed + 1),
        place=place,
        category=random.integers(0, 3, n).astype(np.int32),
        capacity=np.ones(n),
        n_categories=3,
    )


def by_igraph(network: StreetNetwork, destinations: Destinations) -> np.ndarray:
    """[ms] Time from every vertex to every place, a virtual source a place: shape (places, vertices)."""
    n, arcs, starts = network.n_vertices, network.arcs, seeds(network, destinations)
    owner = np.repeat(np.arange(destinations.n_places), np.diff(starts.offsets))
    vertex = reach_graph(network).vertex[starts.slot]
    tail, head = np.append(arcs["head"], n + owner), np.append(arcs["tail"], vertex)
    graph = ig.Graph(n=n + destinations.n_places, edges=np.column_stack([tail, head]), directed=True)
    weights = np.append(arcs["travel_time_ms"], starts.time_ms).tolist()
    sources = range(n, n + destinations.n_places)
    return np.array(graph.distances(source=sources, target=range(n), weights=weights))


def test_the_three_nearest(city: StreetNetwork) -> None:
    destinations = places(city, 40)
    times = by_igraph(city, destinations)
    field = nearest(city, destinations, k=3)
    assert np.array_equal(
        nearest(city, destinations).label, nearest(city, destinations, engine="igraph").label
    )
    for category in range(destinations.n_categories):
        own = np.flatnonzero(destinations.category == category)
        order = np.lexsort((np.broadcast_to(own[:, None], times[own].shape), times[own]), axis=0)[:3]
        expected = np.take_along_axis(times[own], order, axis=0).T
        assert np.array_equal(field.time_ms[category], expected.astype(np.int64))
        assert np.array_equal(field.place[category], own[order].T)


def test_networkx_agrees(city: StreetNetwork) -> None:
    destinations = places(city, 4, seed=7)
    assert np.array_equal(times_to_places(city, destinations), by_igraph(city, destinations))


def test_counts_from_points_of_streets(city: StreetNetwork) -> None:
    destinations, origins = places(city, 30), anywhere(city, 100, 5)
    at_vertex = by_igraph(city, destinations)
    expected = np.zeros((len(origins.street), 3, len(CUTOFFS)))
    for row, (street, x, walk) in enumerate(
        zip(origins.street.tolist(), origins.fraction.tolist(), origins.access_ms.tolist(), strict=True)
    ):
        for p in range(destinations.n_places):
            time = time_along(city, destinations, at_vertex, p, street, np.array([x]))[0] + walk
            expected[row, destinations.category[p]] += time <= CUTOFFS
    for engine in ("searches", "sweeps"):
        found = cumulative(city, origins, destinations, CUTOFFS, engine=engine)
        assert np.array_equal(found, expected)
    assert expected[:, :, 0].sum() < expected[:, :, 2].sum()


def test_isochrones(city: StreetNetwork) -> None:
    """Times from a point are times to it when every street is turned round."""
    turned = replace(
        city, streets=city.streets.assign(forward_ms=city.backward_ms, backward_ms=city.forward_ms)
    )
    origins, one = anywhere(city, 6, 11), np.zeros(1, dtype=np.int32)
    for i in range(6):
        street, fraction, walk = origins.street[i], origins.fraction[i], origins.access_ms[i]
        alone = exact_snaps([int(street)], [float(fraction)], [int(walk)])
        found = reached_streets(city, alone, limit_ms=240_000)
        times = by_igraph(turned, Destinations(alone, one, one, np.ones(1), 1))[0]
        assert np.array_equal(found.time_ms, np.where(times <= 240_000, times, UNREACHABLE))


def test_other_speeds_take_the_same_shape(city: StreetNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of speeds, and streets closed and opened, customise the hierarchy; nothing is built again."""
    tree = hierarchy.hierarchy(city)
    random = np.random.default_rng(2)
    slower = {
        column: np.where(
            random.random(len(city.streets)) < 0.05,
            NO_WAY,
            np.abs(getattr(city, column)) * random.integers(1, 4, len(city.streets)),
        ).astype(np.int32)
        for column in ("forward_ms", "backward_ms")
    }
    changed = replace(city, streets=city.streets.assign(**slower))

    def again(network: StreetNetwork) -> hierarchy.Shape:
        raise AssertionError("the hierarchy was built anew")

    monkeypatch.setattr(hierarchy, "build_shape", again)
    assert hierarchy.hierarchy(changed).shape is tree.shape
    destinations, pieces = places(city, 60), origin_pieces(anywhere(city, 300, 3))
    decays = [*(Decay.step(c) for c in CUTOFFS), Decay.exponential(200_000)]
    before, after = (
        [cell_units(n, pieces, destinations, decays, engine=e).sums for e in ("searches", "sweeps")]
        for n in (city, changed)
    )
    assert np.array_equal(*before)
    assert np.array_equal(*after)
    assert not np.array_equal(before[0], after[0])
