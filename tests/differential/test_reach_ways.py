"""Isochrones, ways, coverage and catchments on random networks against networkx and fine steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach import UNREACHABLE, Decay, Destinations, coverage, nearest, two_step_fca
from engine.reach.isochrone import reached_streets
from engine.route import nearest_at, route_to_place
from tests.slow_reach import samples, time_along, times_to_places
from tests.strategies import FRACTIONS, destinations_on, pieces_on, street_networks
from tests.towns import exact_snaps

STEPS = 200
ROUNDED_MS = 1.0
"""Where a point lies within a street, times to its ends are rounded to whole milliseconds."""


@st.composite
def points(draw: st.DrawFn) -> tuple[StreetNetwork, int, float]:
    network = draw(street_networks().filter(lambda n: len(n.streets)))
    return network, draw(st.integers(0, len(network.streets) - 1)), draw(FRACTIONS)


def turned(network: StreetNetwork) -> StreetNetwork:
    """Every street the other way round: ways to a point become ways from it."""
    table = network.streets.assign(forward_ms=network.backward_ms, backward_ms=network.forward_ms)
    return dataclasses.replace(network, streets=table)


def one_place(street: int, fraction: float, walk: int) -> Destinations:
    alone = np.zeros(1, dtype=np.int32)
    return Destinations(exact_snaps([street], [fraction], [walk]), alone, alone, np.ones(1), 1)


@settings(deadline=None, max_examples=150)
@given(points(), st.integers(0, 20) | st.integers(0, 50_000), st.integers(0, 30) | st.integers(0, 2_000_000))
def test_isochrones_are_cut_where_the_time_runs_out(
    point: tuple[StreetNetwork, int, float], walk: int, limit: int
) -> None:
    network, street, fraction = point
    origin = one_place(street, fraction, walk)
    found = reached_streets(network, origin.snaps, limit_ms=limit)
    back = turned(network)
    at_vertex = times_to_places(back, origin)
    assert np.array_equal(found.time_ms, np.where(at_vertex[0] <= limit, at_vertex[0], UNREACHABLE))
    assert (found.stop > found.start).all()
    x = (np.arange(STEPS) + 0.5) / STEPS
    for s in range(len(network.streets)):
        times = time_along(back, origin, at_vertex, 0, s, x)
        inside = np.zeros(STEPS, dtype=int)
        for a, b in zip(found.start[found.street == s], found.stop[found.street == s], strict=True):
            inside += (a <= x) & (x <= b)
        assert inside.max() <= 1  # parts do not overlap
        assert inside[times <= limit - ROUNDED_MS].all()
        assert not inside[times >= limit + ROUNDED_MS].any()


@settings(deadline=None, max_examples=100)
@given(points(), st.data())
def test_ways_take_the_time_of_the_search(
    point: tuple[StreetNetwork, int, float], data: st.DataObject
) -> None:
    network, street, fraction = point
    destinations = data.draw(destinations_on(network))
    at_vertex, x = times_to_places(network, destinations), np.array([fraction])
    truth = {
        p: float(time_along(network, destinations, at_vertex, p, street, x)[0])
        for p in range(destinations.n_places)
    }
    for place, time in truth.items():
        route = route_to_place(network, destinations, street=street, fraction=fraction, place=place)
        assert (route is None) == np.isinf(time)
        if route is not None:
            assert route.time_ms == pytest.approx(time, abs=2 * ROUNDED_MS)
            assert destinations.place[route.access] == place
    field = nearest(network, destinations, k=2)
    for category in range(destinations.n_categories):
        found = nearest_at(network, destinations, field, category=category, street=street, fraction=fraction)
        own = [p for p in truth if destinations.category[p] == category and np.isfinite(truth[p])]
        ranked = sorted(truth[p] for p in own)
        assert [ms for ms, _ in found] == pytest.approx(ranked[:2], abs=2 * ROUNDED_MS)


Case = tuple[StreetNetwork, Destinations, StreetPieces]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    network = draw(street_networks(max_vertices=7, max_streets=10))
    pieces = draw(pieces_on(network))
    assume(all(length == 0 or length > 1e-3 for length in pieces.length_m))  # lengths count in 60 nm
    return network, draw(destinations_on(network, max_places=5)), pieces


def weights_in_cells(case: Case, decay: Decay) -> tuple[np.ndarray, np.ndarray]:
    """Mean weight of each place over each cell, and of weight times time; shape (places, cells)."""
    network, destinations, pieces = case
    at_vertex = times_to_places(network, destinations)
    weight, timed = (np.zeros((destinations.n_places, pieces.n_cells)) for _ in range(2))
    for cell in range(pieces.n_cells):
        along = samples(pieces, cell, STEPS)
        whole = sum(share.sum() for *_, share, _ in along)
        for street, x, share, walk in along if whole > 0 else ():
            for place in range(destinations.n_places):
                times = time_along(network, destinations, at_vertex, place, street, x) + walk
                counted = decay.weight(times) * share / whole
                weight[place, cell] += counted.sum()
                timed[place, cell] += (counted * np.where(counted > 0, times, 0.0)).sum()
    return weight, timed


@settings(deadline=None, max_examples=60)
@given(cases(), st.integers(0, 2_000_000))
def test_coverage_is_the_share_of_the_streets(case: Case, cutoff: int) -> None:
    network, destinations, pieces = case
    found = coverage(network, pieces, destinations, cutoff_ms=cutoff)
    dense = np.zeros((destinations.n_places, pieces.n_cells))
    dense[found.place, found.cell] = found.share
    truth, timed = weights_in_cells(case, Decay.step(cutoff))
    slack = 5 / STEPS  # a sum over steps is wrong by one step wherever the border lies
    assert dense == pytest.approx(truth, abs=slack)
    assert (found.share > 0).all()
    assert (found.share <= 1).all()
    assert (found.time_ms <= cutoff).all()
    large = truth[found.place, found.cell] > 0.5
    expected = timed[found.place, found.cell][large] / truth[found.place, found.cell][large]
    assert found.time_ms[large] == pytest.approx(expected, abs=4 * slack * cutoff + 1)


@settings(deadline=None, max_examples=60)
@given(cases(), st.integers(10_000, 500_000), st.data())
def test_catchments_share_out_the_supply(case: Case, scale: int, data: st.DataObject) -> None:
    network, destinations, pieces = case
    people = np.array([float(data.draw(st.integers(0, 900))) for _ in range(pieces.n_cells)])
    decay = Decay.exponential(scale)
    found = two_step_fca(network, pieces, destinations, people, decay)
    weight, _ = weights_in_cells(case, decay)
    sought = weight @ people
    clear = sought > 1.0  # where hardly anybody comes, steps are too coarse: see the hand-solved towns
    ratio = np.divide(destinations.capacity, sought, out=np.zeros(len(sought)), where=sought > 0)
    for category in range(destinations.n_categories):
        own = destinations.category == category
        if not clear[own].all():
            continue
        truth = (weight * ratio[:, None])[own].sum(axis=0)
        assert np.nan_to_num(found[:, category]) == pytest.approx(
            truth, rel=0.05, abs=0.05 * (1 + truth.max(initial=0))
        )
        given_out = float(np.nan_to_num(found[:, category]) @ people)
        assert given_out == pytest.approx(float(destinations.capacity[own].sum()), rel=1e-6)
