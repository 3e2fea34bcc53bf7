"""Nearest fields: the kernel, igraph and networkx give the same integers and the same places."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.network.street_network import StreetNetwork
from engine.reach import UNREACHABLE, Destinations, nearest
from tests.slow_reach import times_to_places
from tests.strategies import destinations_on, street_networks

LIMITS = st.none() | st.integers(0, 30) | st.integers(0, 2_000_000)


@st.composite
def cases(draw: st.DrawFn) -> tuple[StreetNetwork, Destinations, int, int | None]:
    network = draw(street_networks())
    return network, draw(destinations_on(network)), draw(st.integers(1, 4)), draw(LIMITS)


@settings(deadline=None)
@given(cases())
def test_kernel_equals_networkx(case: tuple[StreetNetwork, Destinations, int, int | None]) -> None:
    network, destinations, k, limit = case
    field = nearest(network, destinations, k=k, limit_ms=limit)
    truth = times_to_places(network, destinations)
    for category in range(destinations.n_categories):
        places = np.flatnonzero(destinations.category == category)
        for vertex in range(network.n_vertices):
            ranked = sorted((truth[p, vertex], p) for p in places if truth[p, vertex] <= (limit or np.inf))
            if limit == 0:
                ranked = [pair for pair in ranked if pair[0] == 0]
            ranked = [pair for pair in ranked if np.isfinite(pair[0])][:k]
            missing = k - len(ranked)
            assert (
                field.time_ms[category, vertex].tolist() == [t for t, _ in ranked] + [UNREACHABLE] * missing
            )
            assert field.place[category, vertex].tolist() == [p for _, p in ranked] + [-1] * missing


@settings(deadline=None)
@given(cases())
def test_igraph_equals_kernel(case: tuple[StreetNetwork, Destinations, int, int | None]) -> None:
    network, destinations, _, limit = case
    one = nearest(network, destinations, limit_ms=limit)
    other = nearest(network, destinations, limit_ms=limit, engine="igraph")
    assert np.array_equal(one.label, other.label)
