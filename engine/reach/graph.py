"""The arrays that compiled searches run on: adjacency in an order that keeps neighbours close in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.destinations import Destinations

UNREACHABLE = np.iinfo(np.int32).max
"""[ms] Travel time of what cannot be reached."""

_HILBERT_BITS = 16
_MAX_BUCKETS = 1 << 16


class Scratch(NamedTuple):
    """What a bounded search writes on: see `engine.reach.search.ball`."""

    time_ms: npt.NDArray[np.int32]
    found: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int32]
    links: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ReachGraph:
    """
    A network laid out for compiled searches.

    A *slot* is the place of a vertex along a Hilbert curve: vertices that lie close have slots that lie close,
    which keeps a search inside the processor's cache.

    Attributes
    ----------
    slot, vertex
        Slot of each vertex and vertex of each slot.
    into, out_of
        Compressed rows of the arcs that end in, and start from, each slot: (indptr, arcs), where ``arcs``
        has the slot at the other end and the time [ms], shape (arcs, 2).
    incident
        Compressed rows of the streets that touch each slot: (indptr, street number).
    rank
        Rank of each street: streets sorted by the slots of their ends.
    touching
        As `incident`, with ranks in place of numbers.
    ends
        Slots of ``u`` and ``v``, time [ms] u→v and v→u (-1: no way) of each street by rank, shape (streets, 4).
    shift
        A bucket of a search spans 2^shift ms, about a quarter of the mean arc.
    longest_ms
        Time of the longest arc.
    """

    slot: npt.NDArray[np.int32]
    vertex: npt.NDArray[np.int32]
    into: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    out_of: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    incident: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    rank: npt.NDArray[np.int32]
    touching: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    ends: npt.NDArray[np.int32]
    shift: int
    longest_ms: int
    _idle: list[Scratch] = field(default_factory=list, repr=False)

    @property
    def n(self) -> int:
        """Number of vertices."""
        return len(self.slot)

    def scratch(self, limit_ms: int) -> Scratch:
        """Give fresh scratch space for searches within a limit."""
        return Scratch(
            time_ms=np.full(self.n, UNREACHABLE, dtype=np.int32),
            found=np.empty(self.n, dtype=np.int32),
            heads=np.full((limit_ms >> self.shift) + 1, -1, dtype=np.int32),
            links=np.full((self.n, 2), -2, dtype=np.int32),
        )

    @contextmanager
    def borrow(self, limit_ms: int) -> Iterator[Scratch]:
        """Lend scratch space for one search, which must leave it as it found it; kept for the next one."""
        lent = self._idle.pop() if self._idle else self.scratch(limit_ms)  # pop and append are atomic
        buckets = (limit_ms >> self.shift) + 1
        if len(lent.heads) < buckets:
            lent = lent._replace(heads=np.full(buckets, -1, dtype=np.int32))
        yield lent
        self._idle.append(lent)  # not after an error: then it may be dirty

    def ring(self, seed_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Give an empty ring of buckets long enough for every arc and for the span of the seeds."""
        span = int(np.ptp(seed_ms)) if len(seed_ms) else 0
        buckets = (max(span, self.longest_ms) >> self.shift) + 2
        return np.full(1 << (buckets - 1).bit_length(), -1, dtype=np.int32)


_GRAPHS: WeakKeyDictionary[StreetNetwork, ReachGraph] = WeakKeyDictionary()


def reach_graph(network: StreetNetwork) -> ReachGraph:
    """Lay a network out for searches; kept as long as the network lives."""
    graph = _GRAPHS.get(network)
    if graph is None:
        graph = _GRAPHS[network] = _lay_out(network)
    return graph


def _lay_out(network: StreetNetwork) -> ReachGraph:
    vertex = hilbert_order(network.lon, network.lat).astype(np.int32)
    slot = np.empty_like(vertex)
    slot[vertex] = np.arange(len(vertex), dtype=np.int32)
    u, v, forward, backward = slot[network.u], slot[network.v], network.forward_ms, network.backward_ms
    goes, returns = np.flatnonzero(forward >= 0), np.flatnonzero(backward >= 0)
    tail = np.concatenate([u[goes], v[returns]])
    head = np.concatenate([v[goes], u[returns]])
    time = np.concatenate([forward[goes], backward[returns]])
    n, by_rank = len(vertex), np.lexsort((np.maximum(u, v), np.minimum(u, v)))
    rank = np.empty(len(u), dtype=np.int32)
    rank[by_rank] = np.arange(len(u), dtype=np.int32)
    touched = np.concatenate([u, v[u != v]])
    number = np.arange(len(u), dtype=np.int32)
    streets = np.concatenate([number, number[u != v]])
    indptr, order = _rows(touched, rank[streets], n)
    longest = int(time.max(initial=0))
    quarter = int(time.mean()) >> 2 if len(time) else 0
    return ReachGraph(
        slot=slot,
        vertex=vertex,
        into=_arcs(head, tail, time, n),
        out_of=_arcs(tail, head, time, n),
        incident=(indptr, streets[order]),
        touching=(indptr, rank[streets[order]]),
        rank=rank,
        ends=np.ascontiguousarray(np.column_stack([u, v, forward, backward])[by_rank], dtype=np.int32),
        shift=max(quarter.bit_length(), (longest // _MAX_BUCKETS).bit_length(), 8),
        longest_ms=longest,
    )


def _rows(
    row: npt.NDArray[np.int32], column: npt.NDArray[np.int32], n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Pointers of compressed rows, and the order that sorts entries into them."""
    order = np.lexsort((column, row))
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int32), order


def _arcs(
    row: npt.NDArray[np.int32], column: npt.NDArray[np.int32], time: npt.NDArray[np.int32], n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    indptr, order = _rows(row, column, n)
    return indptr, np.ascontiguousarray(np.column_stack([column[order], time[order]]), dtype=np.int32)


def hilbert_order(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """
    Order points along a Hilbert curve over their bounding box; equal keys keep their order.

    References
    ----------
    Hilbert, D. (1891). Über die stetige Abbildung einer Linie auf ein Flächenstück. Math. Annalen 38, 459–460.
    """
    side = 1 << _HILBERT_BITS
    px, py = _to_grid(x, side), _to_grid(y, side)
    key = np.zeros(len(px), dtype=np.int64)
    half = side >> 1
    while half:
        right, upper = (px & half) > 0, (py & half) > 0
        key += half * half * ((3 * right) ^ upper)
        flip = right & ~upper
        px, py = np.where(flip, side - 1 - px, px), np.where(flip, side - 1 - py, py)
        px, py = np.where(upper, px, py), np.where(upper, py, px)
        half >>= 1
    order: npt.NDArray[np.int64] = np.argsort(key, kind="stable")
    return order


def _to_grid(value: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.int64]:
    if not len(value):
        return np.empty(0, dtype=np.int64)
    low, high = value.min(), value.max()
    share: npt.NDArray[np.float64] = (value - low) / max(high - low, 1e-12)
    return (share * (side - 1)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Seeds:
    """
    Where searches towards places begin: the ends of the streets on which they lie.

    Attributes
    ----------
    offsets
        Seeds of place ``p`` are ``offsets[p]:offsets[p + 1]``.
    slot
        Slot of each seed.
    time_ms
        Time from there to the place, access leg included.
    """

    offsets: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class StreetPoints:
    """
    Access points on each street, sorted by street, fraction and place; streets by number or by rank.

    Attributes
    ----------
    offsets
        Points of street ``s`` are ``offsets[s]:offsets[s + 1]``.
    fraction, place, category
        Position, place and category of each point.
    ahead_ms
        Time from ``u`` to the place along the street (forward), if the street may be travelled forward.
    behind_ms
        Time from ``u`` subtracted from the way back: a point at x reaches the place behind it in
        ``backward_ms · x + behind_ms``.
    """

    offsets: npt.NDArray[np.int64]
    fraction: npt.NDArray[np.float64]
    place: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    ahead_ms: npt.NDArray[np.int64]
    behind_ms: npt.NDArray[np.int64]


def seeds(network: StreetNetwork, destinations: Destinations) -> Seeds:
    """Give the street ends from which each place is reached, sorted by place."""
    check_snaps(network, destinations)
    graph, snaps = reach_graph(network), destinations.snaps
    point = np.flatnonzero(snaps.accepted)
    street, fraction = snaps.street[point], snaps.fraction[point]
    access, place = snaps.access_ms[point], destinations.place[point]
    forward = network.forward_ms[street].astype(np.int64)
    backward = network.backward_ms[street].astype(np.int64)
    from_u = access + np.rint(forward * fraction).astype(np.int64)
    from_v = access + backward - np.rint(backward * fraction).astype(np.int64)
    goes, returns = forward >= 0, backward >= 0
    slot = np.concatenate([graph.slot[network.u[street]][goes], graph.slot[network.v[street]][returns]])
    time = np.concatenate([from_u[goes], from_v[returns]])
    owner = np.concatenate([place[goes], place[returns]])
    order = np.lexsort((time, slot, owner))
    counts = np.bincount(owner, minlength=destinations.n_places)
    return Seeds(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        slot=slot[order].astype(np.int32),
        time_ms=time[order].astype(np.int32),
    )


def street_points(
    network: StreetNetwork, destinations: Destinations, rank: npt.NDArray[np.int32] | None = None
) -> StreetPoints:
    """Sort the access points by the street on which they lie, or by its rank where ranks are given."""
    snaps = destinations.snaps
    key = np.arange(len(network.streets)) if rank is None else rank
    point = np.flatnonzero(snaps.accepted)
    point = point[np.lexsort((destinations.place[point], snaps.fraction[point], key[snaps.street[point]]))]
    street, fraction, access = snaps.street[point], snaps.fraction[point], snaps.access_ms[point]
    place = destinations.place[point]
    counts = np.bincount(key[street], minlength=len(network.streets))
    return StreetPoints(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        fraction=fraction,
        place=place.astype(np.int32),
        category=destinations.category[place].astype(np.int32),
        ahead_ms=access + np.rint(network.forward_ms[street] * fraction).astype(np.int64),
        behind_ms=access - np.rint(network.backward_ms[street] * fraction).astype(np.int64),
    )


def check_snaps(network: StreetNetwork, destinations: Destinations) -> None:
    """Raise if access points name streets that the network does not have."""
    street = destinations.snaps.street
    if len(street) and street.max() >= len(network.streets):
        msg = (
            f"an access point lies on street {street.max()}, but the {network.mode} network has "
            f"{len(network.streets)} streets: snap the places to this network"
        )
        raise InputError(msg)
