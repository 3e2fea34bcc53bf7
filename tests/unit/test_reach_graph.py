"""The layout that searches run on: every list in it names what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach import nearest
from engine.reach.graph import hilbert_order, reach_graph
from engine.reach.isochrone import reached_streets
from tests.strategies import street_networks
from tests.towns import exact_snaps, town


@settings(deadline=None)
@given(street_networks())
def test_incident_names_street_numbers(network: StreetNetwork) -> None:
    graph = reach_graph(network)
    for vertex in range(network.n_vertices):
        slot = graph.slot[vertex]
        truth = np.flatnonzero((network.u == vertex) | (network.v == vertex))
        for (indptr, listed), names in ((graph.incident, truth), (graph.touching, graph.rank[truth])):
            assert sorted(listed[indptr[slot] : indptr[slot + 1]].tolist()) == sorted(names.tolist())
    assert np.array_equal(graph.vertex[graph.slot], np.arange(network.n_vertices))
    assert np.array_equal(graph.ends[graph.rank, 2], network.forward_ms)


def test_isochrones_touch_the_streets_of_what_they_reach(scattered: StreetNetwork) -> None:
    found = reached_streets(scattered, exact_snaps([7], [0.5]), limit_ms=40_000)
    reached = found.time_ms <= 40_000
    touched = np.flatnonzero(reached[scattered.u] | reached[scattered.v])
    assert len(touched) > 20
    inside = np.flatnonzero(found.time_ms < 40_000)
    must = np.flatnonzero(np.isin(scattered.u, inside) | np.isin(scattered.v, inside))
    assert np.isin(must, found.street).all()
    assert np.isin(found.street, touched).all()


@pytest.fixture
def scattered() -> StreetNetwork:
    """A grid whose streets are numbered at random, as ways of a file are."""
    letters = "ABCDEFGHIJKLMNOPQRSTUWXYZ"
    rows = ["-".join(letters[i : i + 5]) for i in range(0, 25, 5)]
    t = town(("\n" + "| " * 4 + "|\n").join(rows), step_ms=4_000)
    order = np.random.default_rng(3).permutation(len(t.network.streets))
    runs = np.concatenate([np.arange(2 * s, 2 * s + 2) for s in order])
    n = t.network
    return StreetNetwork(
        mode=n.mode,
        node_id=n.node_id,
        lon=n.lon,
        lat=n.lat,
        streets=n.streets.iloc[order].reset_index(drop=True),
        coords=n.coords[runs],
        offsets=n.offsets,
    )


def test_hilbert_order_visits_neighbours() -> None:
    x, y = (a.ravel().astype(float) for a in np.meshgrid(np.arange(16), np.arange(16)))
    order = hilbert_order(x, y)
    assert np.abs(np.diff(x[order])).max() <= 1
    assert np.abs(np.diff(y[order])).max() <= 1


def test_places_of_another_network_are_refused() -> None:
    large, small = town("A--s--B--C--s-D"), town("A--s--B")
    with pytest.raises(InputError, match="snap the places to this network"):
        nearest(small.network, large.destinations("s"))
