"""Means, quantiles and counts of cells against sums over fine steps; both engines against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cells import StreetPieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.reach import Destinations, cell_times, hierarchy, nearest
from engine.reach.decay import Decay
from engine.reach.places_to_cells import cell_units
from tests.slow_reach import mean_over_cells, ranked_times, samples, times_to_places
from tests.strategies import Street, destinations_on, network_of, pieces_on, street_networks
from tests.towns import exact_snaps

STEPS = 200
Case = tuple[StreetNetwork, Destinations, StreetPieces]
DECAYS = st.one_of(
    st.builds(Decay.step, st.integers(0, 2_000_000)),
    st.builds(Decay.linear, st.integers(1_000, 2_000_000)),
    st.builds(Decay.logistic, st.integers(0, 900_000), st.integers(10_000, 200_000)),
    st.builds(Decay.exponential, st.integers(10_000, 500_000)),
    st.builds(Decay.gaussian, st.integers(10_000, 500_000)),
    st.builds(
        lambda b, limit: Decay.power(b, limit_ms=limit),
        st.sampled_from([0.5, 1.0, 2.0]),
        st.integers(0, 2_000_000),
    ),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    network = draw(street_networks(max_vertices=7, max_streets=10))
    return network, draw(destinations_on(network, max_places=5)), draw(pieces_on(network))


@settings(deadline=None, max_examples=40)
@given(cases(), st.integers(1, 3))
def test_means_and_quantiles(case: Case, k: int) -> None:
    network, destinations, pieces = case
    found = cell_times(network, pieces, nearest(network, destinations, k=k), destinations)
    at_vertex = times_to_places(network, destinations)
    for cell in range(pieces.n_cells):
        along = samples(pieces, cell, STEPS)
        for category in range(destinations.n_categories):
            for rank in range(k):
                times = [
                    ranked_times(network, destinations, at_vertex, category, rank, street, x) + walk
                    for street, x, _, walk in along
                ]
                check_one(found, (cell, category, rank), times, [weight for _, _, weight, _ in along])


def check_one(found, at, times: list[np.ndarray], weights: list[np.ndarray]) -> None:
    t, w = (np.concatenate(a) if a else np.empty(0) for a in (times, weights))
    mean, p90 = found.mean_ms[at], found.p90_ms[at]
    counted = w > 0
    if not counted.any() or not np.isfinite(t[counted]).all():
        assert np.isnan(mean)
        assert counted.any() or found.place[at] == -1
        return
    t, w = t[counted], w[counted]
    step = max((np.ptp(one[np.isfinite(one)]) if np.isfinite(one).any() else 0.0) for one in times) / STEPS
    assert mean == pytest.approx(np.average(t, weights=w), abs=2 * step + 1.0)
    order = np.argsort(t)
    share = np.cumsum(w[order]) / w.sum()
    low = t[order][np.searchsorted(share, 0.9 - 2 / STEPS)]
    high = t[order][min(np.searchsorted(share, 0.9 + 2 / STEPS), len(t) - 1)]
    assert low - 2 * step - 1.0 <= p90 <= high + 2 * step + 1.0


@settings(deadline=None, max_examples=40)
@given(cases(), DECAYS, st.booleans())
def test_sums_over_places(case: Case, decay: Decay, weighted: bool) -> None:
    network, destinations, pieces = case
    found = cell_units(network, pieces, destinations, [decay], weighted=weighted).mean()[:, :, 0]
    truth = mean_over_cells(network, destinations, pieces, decay.weight, steps=STEPS, weighted=weighted)
    assert np.array_equal(np.isnan(found), np.isnan(truth))
    # a sum over steps is wrong by one step wherever the weight jumps: at most thrice a place and street
    capacity = destinations.capacity.sum() if weighted else len(destinations.category)
    slack = 4 * capacity / STEPS + 1e-6
    assert np.nan_to_num(found) == pytest.approx(np.nan_to_num(truth), abs=slack)


def assert_same(case: Case, decays: list[Decay]) -> None:
    network, destinations, pieces = case
    one = cell_units(network, pieces, destinations, decays, engine="searches")
    other = cell_units(network, pieces, destinations, decays, engine="sweeps")
    assert np.array_equal(one.sums, other.sums)
    assert np.array_equal(one.whole, other.whole)


@settings(deadline=None, max_examples=100)
@given(cases(), st.lists(DECAYS, min_size=1, max_size=3))
def test_sweeps_equal_searches_on_oddities(case: Case, decays: list[Decay]) -> None:
    assert_same(case, decays)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 7),
    st.lists(st.integers(0, 90_000), min_size=1, max_size=3, unique=True),
)
def test_sweeps_equal_searches_in_towns(seed: int, side: int, cutoffs: list[int]) -> None:
    """Connected grids with many places, where most streets lie within or beyond a cutoff as a whole."""
    random = np.random.default_rng(seed)
    case = town_case(random, grid_town(random, side))
    decays = [Decay.step(c) for c in sorted(cutoffs)]
    assert_same(case, [*decays, Decay.linear(60_000)])
    network, destinations, pieces = case
    counts = cell_units(network, pieces, destinations, decays, engine="sweeps").mean()
    assert counts.max(initial=0.0) <= np.bincount(destinations.category).max()


def test_other_times_customise_the_hierarchy_and_build_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streets that are slowed down, closed and opened keep the shape, and the figures are those of searches."""
    random = np.random.default_rng(8)
    network = grid_town(random, 7)
    built = hierarchy.hierarchy(network)
    times = {
        column: random.choice([NO_WAY, 700, 5_000, 30_000], len(network.streets)).astype(np.int32)
        for column in ("forward_ms", "backward_ms")
    }
    changed = replace(network, streets=network.streets.assign(**times))

    def again(network: StreetNetwork) -> hierarchy.Shape:
        raise AssertionError("the hierarchy was built anew")

    monkeypatch.setattr(hierarchy, "build_shape", again)
    assert hierarchy.hierarchy(changed).shape is built.shape
    case = town_case(random, changed)
    assert_same(case, [Decay.step(60_000), Decay.gaussian(30_000)])
    before, after = (cell_units(n, case[2], case[1], [Decay.step(60_000)]).sums for n in (network, changed))
    assert not np.array_equal(before, after)


def town_case(random: np.random.Generator, network: StreetNetwork) -> Case:
    """Places anywhere on a network, some with several entrances, and every street as a cell."""
    m, places = len(network.streets), int(random.integers(1, 40))
    points = int(random.integers(places, 2 * places + 1))
    destinations = Destinations(
        snaps=exact_snaps(
            random.integers(0, m, points).tolist(),
            random.choice([0.0, 0.3, 0.5, 1.0], points).tolist(),
            random.integers(0, 5_000, points).tolist(),
        ),
        place=np.append(np.arange(places), random.integers(0, places, points - places)).astype(np.int32),
        category=random.integers(0, 2, places).astype(np.int32),
        capacity=np.ones(places),
        n_categories=2,
    )
    pieces = StreetPieces(
        cells=np.arange(1, m + 1, dtype=np.uint64),
        cell=np.arange(m, dtype=np.int32),
        street=np.arange(m, dtype=np.int32),
        start=np.zeros(m),
        stop=np.ones(m),
        length_m=network.length_m,
        access_ms=np.zeros(m, dtype=np.int64),
        no_network=np.zeros(m, dtype=bool),
    )
    return network, destinations, pieces


def grid_town(random: np.random.Generator, side: int) -> StreetNetwork:
    """A grid of streets, some of them one-way, with times that differ by direction."""
    row, column = (a.ravel() for a in np.mgrid[0:side, 0:side])
    at = row * side + column
    pairs = [(at[column < side - 1], 1), (at[row < side - 1], side)]
    ends = np.concatenate([np.column_stack([a, a + step]) for a, step in pairs])
    streets = [
        Street(
            int(u), int(v), *(int(t) for t in random.integers(1_000, 20_000, 2)), float(random.uniform(5, 90))
        )
        for u, v in ends
    ]
    closed = random.choice(list("fbx     "), len(streets)).tolist()
    lon, lat = 24.9 + 0.002 * column, 60.1 + 0.001 * row
    return network_of(streets, closed, symmetric=False, lon=lon, lat=lat)
