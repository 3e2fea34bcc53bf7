"""Catchments and travel times of candidate sites agree with asking at many points, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.sites.catchment import catchment, served
from engine.sites.travel import travel_minutes
from engine.snapping import Snaps
from tests.strategies import destinations_on, pieces_on, street_networks

Case = tuple[StreetNetwork, Snaps, StreetPieces, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A network, sites on and off it, pieces of streets, and a limit that some trips just keep."""
    network = draw(street_networks(max_vertices=6, max_streets=9))
    sites = draw(destinations_on(network, max_places=3)).snaps
    limit = draw(st.integers(0, 40) | st.integers(0, 2_000_000) | st.sampled_from([1_000_000, 10**8]))
    return network, sites, draw(pieces_on(network)), limit


def times_from(network: StreetNetwork, sites: Snaps, j: int, street: int, x: np.ndarray) -> np.ndarray:
    """[ms] From places along a street to a site: round by either end, or straight along a street they share."""
    s, f = int(sites.street[j]), float(sites.fraction[j])
    ahead, back = network.forward_ms.astype(float), network.backward_ms.astype(float)
    ways = np.full((2, len(x)), np.inf)
    entries = []
    if ahead[s] >= 0:
        entries.append((int(network.u[s]), np.rint(ahead[s] * f)))
    if back[s] >= 0:
        entries.append((int(network.v[s]), back[s] - np.rint(back[s] * f)))
    if entries:
        apart = network.graph.distances(weights="travel_time_ms")
        ends = (int(network.u[street]), int(network.v[street]))
        to_site = [min(apart[end][entry] + t for entry, t in entries) for end in ends]
        if back[street] >= 0:
            ways[0] = back[street] * x + to_site[0]
        if ahead[street] >= 0:
            ways[1] = ahead[street] * (1 - x) + to_site[1]
    found = ways.min(axis=0)
    if street == s:
        if ahead[s] >= 0:
            found = np.where(x <= f, np.minimum(found, ahead[s] * (f - x)), found)
        if back[s] >= 0:
            found = np.where(x >= f, np.minimum(found, back[s] * (x - f)), found)
    return found + float(sites.access_ms[j])


@settings(max_examples=80)
@given(cases())
def test_a_catchment_is_the_share_of_the_points_within_the_cutoff(case: Case) -> None:
    network, sites, pieces, cutoff = case
    share = catchment(network, sites, pieces, cutoff_ms=cutoff).toarray()
    length = np.maximum(pieces.length_m, 1e-9)
    for j in range(len(sites.street)):
        inside, whole = np.zeros((2, pieces.n_cells))
        for p, (street, cell) in enumerate(zip(pieces.street, pieces.cell, strict=True)):
            x = pieces.start[p] + (np.arange(300) + 0.5) / 300 * (pieces.stop[p] - pieces.start[p])
            whole[cell] += length[p]
            if sites.street[j] >= 0:
                trip = times_from(network, sites, j, int(street), x) + pieces.access_ms[p]
                inside[cell] += (trip <= cutoff).mean() * length[p]
        expected = np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0)
        assert share[j] == pytest.approx(expected, abs=0.02)


@settings(max_examples=80)
@given(cases())
def test_a_cell_travels_the_mean_of_its_pieces(case: Case) -> None:
    network, sites, pieces, limit = case
    far = max(limit, 1)
    found = travel_minutes(network, sites, pieces, far_min=far / 60_000)
    length = np.maximum(pieces.length_m, 1e-9)
    for j in range(len(sites.street)):
        total, whole = np.zeros((2, pieces.n_cells))
        for p, (street, cell) in enumerate(zip(pieces.street, pieces.cell, strict=True)):
            trip = np.full(1, np.inf)
            if sites.street[j] >= 0:
                middle = np.array([(pieces.start[p] + pieces.stop[p]) / 2])
                trip = times_from(network, sites, j, int(street), middle) + pieces.access_ms[p]
            total[cell] += min(float(trip[0]), far) * length[p]
            whole[cell] += length[p]
        mean = np.divide(total, whole, out=np.full_like(whole, far), where=whole > 0) / 60_000
        row = found[[j]].tocoo()
        assert np.isclose(row.data, mean[row.coords[1]], rtol=1e-6, atol=1e-9).all()
        missing = np.setdiff1d(np.arange(pieces.n_cells), row.coords[1])
        assert np.isclose(mean[missing], far / 60_000, rtol=1e-6).all()


def test_exactly_half_is_served() -> None:
    from scipy.sparse import csr_array

    share = csr_array(np.array([[0.5, 0.4999, 1.0, 0.0]]))
    assert served(share).toarray().tolist() == [[True, False, True, False]]
    assert served(share, least=1.0).toarray().tolist() == [[False, False, True, False]]
