"""
Updates: what one more place changes in a field, found without computing the field anew.

The search from the place stops wherever k others are nearer. The result equals a new computation bit for bit, ties
included. (Places that go, and streets that change, are the matter of `engine.proposals`, which keeps what they need.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.compiled import inner, kernel
from engine.reach.graph import UNREACHABLE, Seeds, reach_graph
from engine.reach.nearest import NearestField
from engine.reach.search import FAR, NONE, OUT, enter, leave

_SAME, _AGAIN, _NEW = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Improvement:
    """
    What one more place changes in a field.

    Attributes
    ----------
    category
        Category of the place.
    vertex
        Vertices whose labels change.
    label
        Their new labels, shape (vertices, k).
    """

    category: int
    vertex: npt.NDArray[np.int32]
    label: npt.NDArray[np.int64]

    def applied(self, field: NearestField) -> NearestField:
        """Give the field with the change."""
        label = field.label.copy()
        label[self.category, self.vertex] = self.label
        return replace(field, label=label)


def improve(
    network: StreetNetwork, field: NearestField, starts: Seeds, *, row: int = 0, place: int, category: int
) -> Improvement:
    """
    Find what a further place improves.

    Parameters
    ----------
    network, field
        The streets and their field so far.
    starts, row
        Seeds of places that are added (`engine.reach.graph.seeds` of their destinations), and which one it is.
    place
        Number that the place gets; greater than all in the field.
    category
        Its category.

    Returns
    -------
    Improvement
        The vertices that now have another label; with it applied, the field of all places.

    Raises
    ------
    InputError
        The field does not have that category.

    Notes
    -----
    O(what improves): a tenth of a millisecond in a city of 80,000 vertices.

    Examples
    --------
    >>> new = seeds(network, added)  # doctest: +SKIP
    >>> field = improve(network, field, new, place=8000, category=0).applied(field)  # doctest: +SKIP
    """
    if not 0 <= category < len(field.label):
        msg = f"category is {category}; the field has 0…{len(field.label) - 1}"
        raise InputError(msg)
    mine = slice(int(starts.offsets[row]), int(starts.offsets[row + 1]))
    slot, time_ms = starts.slot[mine], starts.time_ms[mine]
    graph = reach_graph(network)
    longest = UNREACHABLE - 1 if field.limit_ms is None else field.limit_ms
    known = field.label[category]
    limit = min(longest, _worst(known, longest))
    with graph.borrow(limit) as scratch:
        found = _improving(
            *graph.into, slot, time_ms, limit, graph.shift, graph.vertex, known, place, tuple(scratch)
        )
        slots = scratch.found[:found]
        vertex = graph.vertex[slots]
        own = (scratch.time_ms[slots].astype(np.int64) << 32) | place
        scratch.time_ms[slots] = UNREACHABLE
    label = np.sort(np.column_stack([known[vertex], own]), axis=1)[:, : field.k]
    return Improvement(category=category, vertex=vertex, label=label)


def _worst(known: npt.NDArray[np.int64], longest: int) -> int:
    """[ms] Greatest time that anything in a field may still improve."""
    greatest = int(known[:, -1].max(initial=0))
    return longest if greatest == NONE else greatest >> 32


@kernel
def _improving(indptr, arcs, seed_slot, seed_ms, limit_ms, shift, vertex, known, place, scratch):  # type: ignore[no-untyped-def]
    """As `search.ball`, but only through slots whose last label is worse; return how many are found."""
    time_ms, found, heads, links = scratch
    n, waiting = np.int64(0), np.int64(0)
    for i in range(len(seed_slot)):
        fate = _reach(
            seed_slot[i], np.int64(seed_ms[i]), limit_ms, shift, vertex, known, place, time_ms, heads, links
        )
        if fate == _NEW:
            found[n] = seed_slot[i]
            n += 1
        waiting += fate != _SAME
    bucket = np.int64(0)
    while waiting > 0:
        here = heads[bucket]
        if here < 0:
            bucket += 1
            continue
        leave(heads, links, bucket, here)
        waiting -= 1
        for a in range(indptr[here], indptr[here + 1]):
            there, reached = arcs[a, 0], np.int64(time_ms[here]) + arcs[a, 1]
            fate = _reach(there, reached, limit_ms, shift, vertex, known, place, time_ms, heads, links)
            if fate == _NEW:
                found[n] = there
                n += 1
            waiting += fate != _SAME
    return n


@inner
def _reach(slot, reached, limit_ms, shift, vertex, known, place, time_ms, heads, links):  # type: ignore[no-untyped-def]
    """Let a slot wait if the place is one of its k nearest at this time; tell whether it is new, again, or the same."""
    before = time_ms[slot]
    if reached >= before or reached > limit_ms or (reached << 32) | place >= known[vertex[slot], -1]:
        return _SAME
    fate = _NEW if before == FAR else _AGAIN
    if before != FAR and links[slot, 0] != OUT:
        leave(heads, links, before >> shift, slot)
        fate = _SAME  # it waits already, now elsewhere
    time_ms[slot] = reached
    enter(heads, links, reached >> shift, slot)
    return fate
