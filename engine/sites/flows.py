"""Walking flows: how many people pass along each street on the way to their nearest places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach.destinations import Destinations
from engine.reach.graph import UNREACHABLE
from engine.reach.nearest import nearest
from engine.sites.plan import per_cell
from engine.sites.selection import FloatArray


def walking_flows(
    network: StreetNetwork,
    pieces: StreetPieces,
    population: npt.ArrayLike,
    destinations: Destinations,
    *,
    limit_ms: int = 900_000,
) -> FloatArray:
    """
    Count the residents who pass along each street when everyone walks to the nearest place of every category.

    People of a cell start at the middle of its pieces of street, in proportion to length, and follow one shortest
    path (of equally short ones the first street). This is betweenness restricted to the trips that the
    categories stand for, one trip a resident and category.

    Parameters
    ----------
    network
        Walking network.
    pieces
        The streets inside each cell.
    population
        Residents of each cell, shape (cells,).
    destinations
        Places; all categories count alike.
    limit_ms
        [ms] Nobody walks farther than this.

    Returns
    -------
    numpy.ndarray
        [residents] Passing along each whole street, shape (streets,). The street on which a trip begins counts for the
        part from its piece's middle on; trips that end on the street where they begin count nothing.

    Raises
    ------
    InputError
        If `population` does not have one entry a cell.

    Notes
    -----
    One search a category, and one pass over the vertices from the farthest to the nearest: O(n log n).
    """
    people = per_cell(population, pieces, what="population")
    length = np.maximum(pieces.length_m, 1e-9)
    whole = np.bincount(pieces.cell, weights=length, minlength=pieces.n_cells)
    start = people[pieces.cell] * length / whole[pieces.cell]
    middle = (pieces.start + pieces.stop) / 2
    times = nearest(network, destinations, limit_ms=limit_ms).time_ms[:, :, 0].astype(np.int64)
    out = network.adjacency()
    flow = np.zeros(len(network.streets))
    for label in times:
        load, part = _first_leg(network, pieces, middle, start, label)
        flow += part
        order = np.argsort(-label, kind="stable")
        order = order[label[order] < UNREACHABLE]
        _descend(out.indptr, out.indices, out.weight_ms, out.street, label, order, load, flow)
    return flow


def _first_leg(
    network: StreetNetwork,
    pieces: StreetPieces,
    middle: FloatArray,
    start: FloatArray,
    label: npt.NDArray[np.int64],
) -> tuple[FloatArray, FloatArray]:
    """People arriving at each vertex from the street where they start, and their part of that street."""
    street = pieces.street
    far = np.int64(2**60)
    by_u = np.where(network.backward_ms[street] >= 0, network.backward_ms[street] * middle, np.inf)
    by_v = np.where(network.forward_ms[street] >= 0, network.forward_ms[street] * (1 - middle), np.inf)
    to_u = by_u + np.where(label[network.u[street]] < UNREACHABLE, label[network.u[street]], far)
    to_v = by_v + np.where(label[network.v[street]] < UNREACHABLE, label[network.v[street]], far)
    goes = np.minimum(to_u, to_v) < far
    left = to_u <= to_v
    end = np.where(left, network.u[street], network.v[street])
    walked = start * np.where(left, middle, 1 - middle)
    load = np.bincount(end[goes], weights=start[goes], minlength=network.n_vertices)
    part = np.bincount(street[goes], weights=walked[goes], minlength=len(network.streets))
    return load.astype(np.float64), part.astype(np.float64)


@njit(cache=True)
def _descend(indptr, indices, weight, street, label, order, load, flow):  # type: ignore[no-untyped-def]
    """Send each vertex's people along its first shortest arc, from the farthest vertex to the nearest."""
    for v in order:
        if load[v] <= 0.0:
            continue
        for a in range(indptr[v], indptr[v + 1]):
            w = indices[a]
            if label[w] < label[v] and label[w] + weight[a] == label[v]:
                load[w] += load[v]
                flow[street[a]] += load[v]
                break
