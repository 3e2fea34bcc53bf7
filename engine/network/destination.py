"""Streets that are open to their own traffic only: trips begin and end there, and none passes through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.network.junction import TURN, Nodes, Streets, connectors, joined
from engine.network.simplify import Index, strong_components

BoolArray = npt.NDArray[np.bool_]


def own_traffic(n: int, streets: Streets, tagged: BoolArray, *, starts: Streets) -> BoolArray:
    """
    Streets that through traffic does not use: those tagged so, and those that are reached by them alone.

    Parameters
    ----------
    n
        Number of nodes.
    streets
        A strongly connected network in the making.
    tagged
        ``destination`` of each street.
    starts
        Streets at whose ends nobody turns back: a street that leads nowhere else is not closed to others by that.

    Returns
    -------
    numpy.ndarray
        Shape (streets,); False everywhere where nothing else would be left.
    """
    free = ~tagged
    if not free.any() or free.all():
        return np.zeros(len(tagged), dtype=bool)
    back = starts.take(~np.isin(starts.chain, streets.chain[tagged]))
    rest = joined([streets.take(free), back])
    label = strong_components(n, rest.u, rest.v, forward=rest.forward_ms >= 0, backward=rest.backward_ms >= 0)
    touched = np.zeros(n, dtype=bool)
    touched[rest.u] = touched[rest.v] = True
    main = np.argmax(np.bincount(label[touched], minlength=n))
    only = tagged | (label[streets.u] != main) | (label[streets.v] != main) | ~touched[streets.u]
    # a copy made for a turn is what its street is, though it may begin where such a street ends
    drawn = ~streets.copied
    of_chain = np.zeros(int(streets.chain.max(initial=-1)) + 1, dtype=bool)
    of_chain[streets.chain[drawn]] = only[drawn]
    return of_chain[streets.chain]


def keep_to_own_traffic(nodes: Nodes, streets: Streets, only: BoolArray) -> tuple[Nodes, Streets, Index]:
    """
    Keep through traffic out of streets, exactly.

    A trip is at first on streets of its start that are open to their own traffic only, then on other streets, then on
    such streets again. The streets stand for the first part: whoever starts on one leaves it by one-way connectors, and
    none leads back. Copies of them stand for the last part: connectors lead into them, and none leads out.

    Parameters
    ----------
    nodes, streets
        A strongly connected network in the making.
    only
        From `own_traffic`.

    Returns
    -------
    tuple of Nodes, Streets and numpy.ndarray
        With the copies, of the kind `TURN`; and the node of each node at which the first part of a trip ends.

    Notes
    -----
    The rule of OpenTripPlanner (no-thru traffic) without its search states, as vertices. O(streets).
    """
    n = len(nodes.node_id)
    leaving, entering = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32)
    if not only.any():
        return nodes, streets, leaving
    own, rest = streets.take(only), streets.take(~only)
    inner, outer = _ends(n, own), _ends(n, rest)
    shared, inside = np.flatnonzero(inner & outer), np.flatnonzero(inner)
    nodes = nodes.with_copies(np.concatenate([shared, inside]))
    leaving[shared] = n + np.arange(len(shared))
    entering[inside] = n + len(shared) + np.arange(len(inside))
    first = own._replace(u=leaving[own.u], v=leaving[own.v])
    last = own._replace(
        u=entering[own.u], v=entering[own.v], kind=np.full(len(own.u), TURN, dtype=own.kind.dtype)
    )
    way, chain = _a_way_at(n, own)
    out, into = (
        connectors(tails, heads, way[shared], chain[shared])
        for tails, heads in ((leaving[shared], shared), (shared, entering[shared]))
    )
    return nodes, joined([rest, first, out, into, last]), leaving


def _ends(n: int, streets: Streets) -> BoolArray:
    found = np.zeros(n, dtype=bool)
    found[streets.u] = found[streets.v] = True
    return found


def _a_way_at(n: int, streets: Streets) -> tuple[Index, Index]:
    """A way row and a run of segments at each node that streets end at."""
    way, chain = np.full(n, -1, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    for end, own in ((streets.v, streets.v_way), (streets.u, streets.u_way)):
        way[end], chain[end] = own, streets.chain
    return way, chain


def without_idle_copies(n: int, streets: Streets) -> Streets:
    """The streets without copies and connectors that begin where nobody arrives or starts."""
    while True:
        forward, backward = streets.forward_ms >= 0, streets.backward_ms >= 0
        come_to = np.zeros(n, dtype=bool)
        come_to[streets.v[forward]] = come_to[streets.u[backward]] = True
        used = (forward & come_to[streets.u]) | (backward & come_to[streets.v])
        kept = ~streets.copied | used
        if kept.all():
            return streets
        streets = streets.take(kept)
