"""Nodes and streets in the making, and the nodes that must be cut before routing: closed barriers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.network.simplify import Index, Segments
from engine.network.street_network import NO_WAY

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Nodes:
    """
    Nodes of a network in the making.

    Attributes
    ----------
    node_id
        OSM's id; copies of a node have negative ids of their own.
    origin
        Row of the node, or of the node it copies, in the extract.
    """

    node_id: IntArray
    origin: IntArray

    def with_copies(self, of: IntArray) -> Nodes:
        """The nodes followed by copies of some of them, numbered downwards below every id in use."""
        low = min(int(self.node_id.min()), 0) if len(self.node_id) else 0
        ids = low - 1 - np.arange(len(of), dtype=np.int64)
        return Nodes(np.concatenate([self.node_id, ids]), np.concatenate([self.origin, self.origin[of]]))


def cut_at(nodes: Nodes, segments: Segments, closed: BoolArray) -> tuple[Nodes, Segments]:
    """
    Separate the segments that meet at closed nodes: each end but the first gets a copy of the node for itself.

    The street up to a closed gate stays, and nobody passes it.

    Parameters
    ----------
    nodes, segments
        The network in the making.
    closed
        Nodes that cannot be passed, shape (nodes,).
    """
    m = len(segments.a)
    ends = np.concatenate([segments.a, segments.b])
    at = np.flatnonzero(closed[ends]) if m else np.empty(0, np.int64)
    order = at[np.lexsort((at, ends[at]))]
    repeated = (
        np.concatenate([[False], ends[order][1:] == ends[order][:-1]]) if len(order) else order.astype(bool)
    )
    again = order[repeated]
    moved = ends.copy()
    moved[again] = len(nodes.node_id) + np.arange(len(again), dtype=np.int32)
    return nodes.with_copies(ends[again]), segments._replace(a=moved[:m], b=moved[m:])


class Streets(NamedTuple):
    """
    Streets in the making.

    ``chain`` is the run of segments that gives a street its geometry, ``u`` and ``v`` are its end nodes,
    ``u_way`` and ``v_way`` the way rows at its ends; times are milliseconds or -1 where closed.
    """

    chain: Index
    kind: npt.NDArray[np.int8]
    u: Index
    v: Index
    u_way: Index
    v_way: Index
    length_m: npt.NDArray[np.float64]
    forward_ms: Index
    backward_ms: Index

    def take(self, rows: npt.NDArray[np.generic]) -> Streets:
        """The streets of some rows."""
        return Streets(*(column[rows] for column in self))

    @property
    def copied(self) -> BoolArray:
        """Copies and connectors that rules of turning and passing need."""
        return np.asarray(self.kind >= TURN)


TURN = 2
"""Kind of the copies and connectors that rules need; 0 and 1 are streets and lines across areas."""

OPEN_TURN = 3
"""Kind of those at copies of nodes from which a street that is not there yet may be entered too."""


def connectors(
    tail: npt.NDArray[np.generic], head: npt.NDArray[np.generic], way: Index, chain: Index
) -> Streets:
    """One-way connectors without length."""
    m = len(way)
    return Streets(
        chain=chain,
        kind=np.full(m, TURN, dtype=np.int8),
        u=tail.astype(np.int32),
        v=head.astype(np.int32),
        u_way=way,
        v_way=way,
        length_m=np.zeros(m),
        forward_ms=np.zeros(m, dtype=np.int32),
        backward_ms=np.full(m, NO_WAY, dtype=np.int32),
    )


def joined(parts: Sequence[Streets]) -> Streets:
    """Streets one after the other."""
    return Streets(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
