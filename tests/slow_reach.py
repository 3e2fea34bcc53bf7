"""
The reach core written the slow and obvious way, as an oracle: networkx searches and sums over fine steps.

Nothing here shares code with the engine beyond its data types.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import networkx as nx
import numpy as np

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach import Destinations

INF = float("inf")


def times_to_places(network: StreetNetwork, destinations: Destinations) -> np.ndarray:
    """[ms] Time from each vertex to each place by networkx, inf where there is none; shape (places, vertices)."""
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(network.n_vertices))
    for u, v, forward, backward in zip(
        network.u.tolist(),
        network.v.tolist(),
        network.forward_ms.tolist(),
        network.backward_ms.tolist(),
        strict=True,
    ):
        if forward >= 0:
            graph.add_edge(v, u, w=forward)  # reversed: searches run from the places
        if backward >= 0:
            graph.add_edge(u, v, w=backward)
    found = np.full((len(destinations.category), network.n_vertices), INF)
    snaps = destinations.snaps
    for place in range(len(destinations.category)):
        source = ("place", place)
        graph.add_node(source)
        for i in np.flatnonzero((destinations.place == place) & (snaps.street >= 0)):
            s, f, access = int(snaps.street[i]), float(snaps.fraction[i]), int(snaps.access_ms[i])
            forward, backward = int(network.forward_ms[s]), int(network.backward_ms[s])
            if forward >= 0:
                graph.add_edge(source, int(network.u[s]), w=access + round(forward * f))
            if backward >= 0:
                graph.add_edge(source, int(network.v[s]), w=access + backward - round(backward * f))
        for vertex, time in nx.single_source_dijkstra_path_length(graph, source, weight="w").items():
            if isinstance(vertex, int):
                found[place, vertex] = time
    return found


def time_along(
    network: StreetNetwork,
    destinations: Destinations,
    at_vertex: np.ndarray,
    place: int,
    street: int,
    x: np.ndarray,
) -> np.ndarray:
    """[ms] Time to one place from points of a street."""
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    best = np.full(len(x), INF)
    if backward >= 0:
        best = np.minimum(best, at_vertex[place, network.u[street]] + backward * x)
    if forward >= 0:
        best = np.minimum(best, at_vertex[place, network.v[street]] + forward * (1 - x))
    snaps = destinations.snaps
    for i in np.flatnonzero((destinations.place == place) & (snaps.street == street)):
        f, access = float(snaps.fraction[i]), int(snaps.access_ms[i])
        if forward >= 0:
            best = np.where(x <= f, np.minimum(best, access + round(forward * f) - forward * x), best)
        if backward >= 0:
            best = np.where(x >= f, np.minimum(best, access - round(backward * f) + backward * x), best)
    return best


def samples(pieces: StreetPieces, cell: int, steps: int) -> list[tuple[int, np.ndarray, np.ndarray, int]]:
    """(street, fractions, weights, walk) of the midpoints of fine steps along the pieces of a cell."""
    rows = np.flatnonzero(pieces.cell == cell)
    total = pieces.length_m[rows].sum()
    middle = (np.arange(steps) + 0.5) / steps
    found = []
    for p in rows:
        weight = pieces.length_m[p] if total > 0 else 1.0
        x = pieces.start[p] + middle * (pieces.stop[p] - pieces.start[p])
        found.append((int(pieces.street[p]), x, np.full(steps, weight / steps), int(pieces.access_ms[p])))
    return found


def ranked_times(
    network: StreetNetwork,
    destinations: Destinations,
    at_vertex: np.ndarray,
    category: int,
    rank: int,
    street: int,
    x: np.ndarray,
) -> np.ndarray:
    """[ms] Time to the rank-th nearest place of a category from points of a street."""
    places = np.flatnonzero(destinations.category == category)
    if rank >= len(places):
        return np.full(len(x), INF)
    all_times = np.stack([time_along(network, destinations, at_vertex, int(p), street, x) for p in places])
    return np.sort(all_times, axis=0)[rank]


def mean_over_cells(
    network: StreetNetwork,
    destinations: Destinations,
    pieces: StreetPieces,
    weigh: Callable[[np.ndarray], np.ndarray],
    *,
    steps: int = 400,
    weighted: bool = False,
) -> np.ndarray:
    """Sum over places of a weight of the time, averaged along each cell's streets; shape (cells, categories)."""
    at_vertex = times_to_places(network, destinations)
    result = np.full((len(pieces.cells), destinations.n_categories), np.nan)
    for cell, category in product(range(len(pieces.cells)), range(destinations.n_categories)):
        total = whole = 0.0
        for street, x, weight, walk in samples(pieces, cell, steps):
            whole += weight.sum()
            for p in np.flatnonzero(destinations.category == category):
                times = time_along(network, destinations, at_vertex, int(p), street, x) + walk
                capacity = destinations.capacity[p] if weighted else 1.0
                total += capacity * float((weigh(times) * weight).sum())
        if whole > 0:
            result[cell, category] = total / whole
    return result
