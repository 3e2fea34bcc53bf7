"""Nearest places: the travel time from every vertex to its nearest, second … k-th nearest place of each category."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import igraph as ig
import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach import search
from engine.reach.destinations import Destinations
from engine.reach.graph import UNREACHABLE, ReachGraph, Seeds, reach_graph, seeds
from engine.reach.threads import spread


@dataclass(frozen=True, eq=False)
class NearestField:
    """
    Labels of every vertex: which places are nearest, and how far.

    Attributes
    ----------
    label
        ``time_ms << 32 | place``, sorted from the nearest, shape (categories, vertices, k); the greatest int64
        where there is no further place. Distinct places only; of equal times the lowest place comes first.
    limit_ms
        [ms] Places farther than this were not looked for; None for no limit.
    """

    label: npt.NDArray[np.int64]
    limit_ms: int | None = None

    @property
    def k(self) -> int:
        """Number of ranks."""
        return int(self.label.shape[2])

    @cached_property
    def time_ms(self) -> npt.NDArray[np.int32]:
        """[ms] Travel time, `UNREACHABLE` where there is none, shape (categories, vertices, k)."""
        return np.where(self.label == search.NONE, UNREACHABLE, self.label >> 32).astype(np.int32)

    @cached_property
    def place(self) -> npt.NDArray[np.int32]:
        """Place of each rank, -1 where there is none, shape (categories, vertices, k)."""
        return np.where(self.label == search.NONE, -1, self.label & 0xFFFFFFFF).astype(np.int32)


def nearest(
    network: StreetNetwork,
    destinations: Destinations,
    *,
    k: int = 1,
    limit_ms: int | None = None,
    engine: Literal["compiled", "igraph"] = "compiled",
) -> NearestField:
    """
    Find the k nearest places of every category from every vertex.

    The time runs from the vertex TO the place, with the access leg of the place. Ties are broken by the lowest
    place number; a place with several access points counts once, by its best one.

    Parameters
    ----------
    network
        Streets of one mode.
    destinations
        Places on that network.
    k
        Number of distinct places to find.
    limit_ms
        [ms] Farthest time that counts (inclusive); None for no limit.
    engine
        ``compiled`` searches with the kernel, ``igraph`` with igraph (k = 1 only); the integers are the same.

    Returns
    -------
    NearestField
        Labels in the order of the network's vertices.

    Raises
    ------
    InputError
        `k` < 1, `k` > 1 with igraph, or a snap to a street that the network does not have.

    Notes
    -----
    One search a category on the reversed graph from all its places: O(k · (arcs log arcs)).

    Examples
    --------
    >>> field = nearest(network, destinations, k=2)  # doctest: +SKIP
    >>> field.time_ms[0, :, 1]  # second nearest shop of each vertex  # doctest: +SKIP
    """
    if k < 1:
        msg = f"k is {k}; expected at least 1"
        raise InputError(msg)
    starts = seeds(network, destinations)
    limit = int(UNREACHABLE) - 1 if limit_ms is None else int(limit_ms)
    if engine == "igraph":
        if k > 1:
            msg = f"igraph finds one nearest place, not {k}: use engine='compiled'"
            raise InputError(msg)
        label = _with_igraph(network, destinations, starts, limit)
    else:
        label = _compiled(network, destinations, starts, k, limit)
    return NearestField(label=label, limit_ms=limit_ms)


def seed_labels(
    starts: Seeds, places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Slots and labels of the seeds of some places."""
    counts = np.diff(starts.offsets)[places]
    first = np.repeat(starts.offsets[places] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    row = first + np.arange(int(counts.sum())) if len(places) else np.empty(0, dtype=np.int64)
    return starts.slot[row], (starts.time_ms[row].astype(np.int64) << 32) | np.repeat(places, counts)


def improve_labels(
    graph: ReachGraph,
    slot: npt.NDArray[np.int32],
    label: npt.NDArray[np.int64],
    limit: int,
    known: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Improve known labels, shape (slots, k), in place by what some seeds reach; return them."""
    scratch = (
        np.zeros(known.shape, dtype=np.bool_),
        np.full((graph.n, 2), -2, dtype=np.int32),
        np.empty(graph.n, dtype=np.int64),
    )
    ring = graph.ring(label >> 32)
    search.k_nearest(*graph.into, slot, label, limit, graph.shift, known, ring, scratch)
    return known


def _compiled(
    network: StreetNetwork, destinations: Destinations, starts: Seeds, k: int, limit: int
) -> npt.NDArray[np.int64]:
    graph = reach_graph(network)

    def one(category: int) -> npt.NDArray[np.int64]:
        slot, label = seed_labels(starts, np.flatnonzero(destinations.category == category))
        known = np.full((graph.n, k), search.NONE, dtype=np.int64)
        return improve_labels(graph, slot, label, limit, known)[graph.slot]

    fields = spread(one, range(destinations.n_categories))
    return np.stack(fields) if fields else np.empty((0, graph.n, k), dtype=np.int64)


def _with_igraph(
    network: StreetNetwork, destinations: Destinations, starts: Seeds, limit: int
) -> npt.NDArray[np.int64]:
    """One call of igraph: a virtual source a category on the reversed graph; then who is nearest, by its tight arcs."""
    n, c = network.n_vertices, destinations.n_categories
    if not c:
        return np.empty((0, n, 1), dtype=np.int64)
    arcs = network.arcs
    tail, head = arcs["head"].to_numpy(np.int64), arcs["tail"].to_numpy(np.int64)  # reversed
    time = arcs["travel_time_ms"].to_numpy(np.int64)
    place = np.repeat(np.arange(destinations.n_places), np.diff(starts.offsets))
    vertex = reach_graph(network).vertex[starts.slot]
    edges = np.column_stack([np.append(tail, n + destinations.category[place]), np.append(head, vertex)])
    graph = ig.Graph(n=n + c, edges=edges, directed=True)
    weights = np.append(time, starts.time_ms).tolist()
    found = np.asarray(
        graph.distances(source=range(n, n + c), target=range(n), weights=weights), dtype=np.float64
    )
    label = np.full((c, n, 1), search.NONE, dtype=np.int64)
    for category in range(c):
        own = np.flatnonzero(destinations.category[place] == category)
        at = found[category]
        at = np.where(at <= limit, at, np.inf)
        owner = _owners(at, tail, head, time, vertex[own], starts.time_ms[own], place[own])
        ok = np.isfinite(at)
        label[category, ok, 0] = (at[ok].astype(np.int64) << 32) | owner[ok]
    return label


def _owners(
    at: npt.NDArray[np.float64],
    tail: npt.NDArray[np.int64],
    head: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    seed_vertex: npt.NDArray[np.int32],
    seed_ms: npt.NDArray[np.int32],
    seed_place: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Lowest place whose shortest path explains each time: spread along tight arcs until nothing changes."""
    owner = np.full(len(at), search.NONE, dtype=np.int64)
    tight_seed = at[seed_vertex] == seed_ms
    np.minimum.at(owner, seed_vertex[tight_seed], seed_place[tight_seed])
    tight = np.isfinite(at[tail]) & (at[tail] + time == at[head])
    tail, head = tail[tight], head[tight]
    while len(tail):
        before = owner.copy()
        np.minimum.at(owner, head, owner[tail])
        if np.array_equal(before, owner):
            break
    return owner
