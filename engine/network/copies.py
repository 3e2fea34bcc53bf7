"""Copies of streets that rules of turning and passing need: what they copy, and points that lie on all of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
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
    """

    street: Index
    of: dict[int, tuple[int, ...]]
    beside: dict[int, tuple[Spot, ...]]

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
    return Copies(
        street, {row: tuple(rows) for row, rows in of.items()}, _beside(network, np.flatnonzero(copy))
    )


def _beside(network: StreetNetwork, rows: npt.NDArray[np.int64]) -> dict[int, tuple[Spot, ...]]:
    """Spots at the other vertices of each junction that some rows touch; vertices of a junction lie at one point."""
    touched = np.union1d(network.u[rows], network.v[rows])
    near = np.flatnonzero(np.isin(network.lon, network.lon[touched]))
    spots = _spots_at(network, near)
    junctions: dict[tuple[float, float], list[int]] = defaultdict(list)
    for vertex in near.tolist():
        junctions[float(network.lon[vertex]), float(network.lat[vertex])].append(vertex)
    ours = {(float(network.lon[v]), float(network.lat[v])) for v in touched.tolist()}
    return {
        vertex: tuple(spot for other in vertices if other != vertex for spot in spots[other])
        for place, vertices in junctions.items()
        if place in ours and len(vertices) > 1
        for vertex in vertices
    }


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
