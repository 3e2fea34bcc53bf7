"""Copies of streets that rules of turning and passing need: what they copy, and points that lie on all of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine.network.street_network import StreetNetwork

Index = npt.NDArray[np.int32]


class Spot(NamedTuple):
    """A point of a street: its row, and the fraction from ``u`` to ``v``."""

    street: int
    fraction: float


@dataclass(frozen=True, eq=False)
class Copies:
    """
    Which rows of a network are one street on the ground.

    Attributes
    ----------
    street
        Street that each row is or copies, -1 for a connector without length, shape (streets,).
    of
        Copies of each street that has any.
    beside
        For each vertex of a junction that has copies: spots at the others.
    junction
        For each such vertex: the vertex of the junction to which streets lead that no rule concerns.
    open_turns
        For each of the latter: the others from which a street that is not there yet may be entered.
    """

    street: Index
    of: dict[int, tuple[int, ...]]
    beside: dict[int, tuple[Spot, ...]]
    junction: dict[int, int] = field(default_factory=dict)
    open_turns: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def spots(self, network: StreetNetwork, street: int, fraction: float) -> list[Spot]:
        """Where else in the network a point of a street lies."""
        if fraction in (0.0, 1.0):
            vertex = network.u if fraction == 0.0 else network.v
            return list(self.beside.get(int(vertex[street]), ()))
        return [Spot(copy, fraction) for copy in self.of.get(street, ())]


_COPIES: WeakKeyDictionary[StreetNetwork, Copies] = WeakKeyDictionary()


def copies_of(network: StreetNetwork) -> Copies:
    """
    Find the copies in a network by their way and line; kept as long as the network lives.

    Notes
    -----
    O(streets), and nothing for a network without copies.
    """
    known = _COPIES.get(network)
    if known is None:
        known = _COPIES[network] = _found(network)
    return known


def _found(network: StreetNetwork) -> Copies:
    street = np.arange(len(network.streets), dtype=np.int32)
    if "copy" not in network.streets.columns or not network.streets["copy"].any():
        return Copies(street, {}, {})
    copy = network.streets["copy"].to_numpy(bool)
    way = network.streets["osm_way"].to_numpy()

    def line(row: int) -> tuple[int, bytes]:
        return int(way[row]), network.coords[network.offsets[row] : network.offsets[row + 1]].tobytes()

    street[copy] = -1
    copied = np.flatnonzero(copy & (network.length_m > 0))
    drawn = {line(row): row for row in np.flatnonzero(~copy & np.isin(way, way[copied]))[::-1].tolist()}
    of: dict[int, list[int]] = defaultdict(list)
    for row in copied.tolist():
        street[row] = drawn.get(line(row), row)
        of[int(street[row])].append(row)
    junctions = _junctions(network, np.flatnonzero(copy))
    spots = _spots_at(network, np.array([v for vertices in junctions for v in vertices], dtype=np.int64))
    # copies have ids below all others
    first = {v: max(vertices, key=lambda w: network.node_id[w]) for vertices in junctions for v in vertices}
    turned = _open_turns(network)
    return Copies(
        street=street,
        of={row: tuple(rows) for row, rows in of.items()},
        beside={
            vertex: tuple(spot for other in vertices if other != vertex for spot in spots[other])
            for vertices in junctions
            for vertex in vertices
        },
        junction=first,
        open_turns={
            first[vertices[0]]: tuple(v for v in vertices if v in turned and v != first[v])
            for vertices in junctions
        },
    )


def _open_turns(network: StreetNetwork) -> frozenset[int]:
    """Vertices that copies lead away from, or connectors to, beside which other streets may be taken."""
    if "open_turn" not in network.streets.columns:
        return frozenset()
    rows = np.flatnonzero(network.streets["open_turn"])
    tail = np.where(network.forward_ms >= 0, network.u, network.v)
    at = np.where(network.length_m > 0, tail, network.v)
    return frozenset(at[rows].tolist())


def _junctions(network: StreetNetwork, rows: npt.NDArray[np.int64]) -> list[list[int]]:
    """Vertices of each junction that some rows touch, if there are several; those of a junction lie at one point."""
    touched = np.union1d(network.u[rows], network.v[rows])
    near = np.flatnonzero(np.isin(network.lon, network.lon[touched]))
    junctions: dict[tuple[float, float], list[int]] = defaultdict(list)
    for vertex in near.tolist():
        junctions[float(network.lon[vertex]), float(network.lat[vertex])].append(vertex)
    ours = {(float(network.lon[v]), float(network.lat[v])) for v in touched.tolist()}
    return [vertices for place, vertices in junctions.items() if place in ours and len(vertices) > 1]


def _spots_at(network: StreetNetwork, vertices: npt.NDArray[np.int64]) -> dict[int, list[Spot]]:
    """Spots from which a search towards each vertex begins: on one street that leaves it, else on all that enter it."""
    wanted = np.zeros(network.n_vertices, dtype=bool)
    wanted[vertices] = True
    leaving: dict[int, list[Spot]] = {}
    entering: dict[int, list[Spot]] = defaultdict(list)
    ahead, back = network.forward_ms >= 0, network.backward_ms >= 0
    long = network.length_m > 0
    for ends, open_, fraction in ((network.u, ahead, 0.0), (network.v, back, 1.0)):
        for row in np.flatnonzero(wanted[ends] & open_).tolist():
            leaving.setdefault(int(ends[row]), [Spot(row, fraction)])
    for ends, open_, fraction in ((network.v, ahead, 1.0), (network.u, back, 0.0)):
        for row in np.flatnonzero(wanted[ends] & open_ & long).tolist():
            entering[int(ends[row])].append(Spot(row, fraction))
    return {vertex: leaving.get(vertex, entering[vertex]) for vertex in vertices.tolist()}
