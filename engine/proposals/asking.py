"""Times to one place at a time, asked for slot by slot: the city before a change, as `recount` sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.compiled import lean
from engine.proposals.ladder import climb, shared
from engine.reach.lanes import BEYOND, least_sum, lower_row_to
from engine.reach.search import FAR


class Known(NamedTuple):
    """Times to the place at hand, as far as they were asked for: time (-1: not asked), those asked, how many."""

    time_ms: npt.NDArray[np.int32]
    found: npt.NDArray[np.int32]
    size: npt.NDArray[np.int64]


class Target(NamedTuple):
    """
    The place at hand in the hierarchy, one row for each street on which it lies.

    Attributes
    ----------
    size
        Number of rows; -1 if they are not there yet.
    low
        Lowest position of each row.
    above
        Positions above it from the top, each row as long as the longest ladder.
    rungs
        [ms] Times from these to the place.
    """

    size: npt.NDArray[np.int64]
    low: npt.NDArray[np.int32]
    above: npt.NDArray[np.int32]
    rungs: npt.NDArray[np.int32]


@lean
def climb_from(ends, tree, from_ends):  # type: ignore[no-untyped-def]
    """Make the ladders of some slots and list the positions above each: `from_ends` is (first of each, positions)."""
    for i in range(len(ends)):
        p = tree.position[ends[i]]
        if p >= 0:
            climb(p, tree, 0)
            _fill(p, tree, from_ends[1], from_ends[0][i])


@lean
def _fill(p, tree, above, first):  # type: ignore[no-untyped-def]
    """List a position and those above it, from the top."""
    at = first + tree.depth[p]
    while p >= 0:
        above[at] = p
        at -= 1
        p = tree.parent[p]


@lean
def _aim(place, view, tree, target):  # type: ignore[no-untyped-def]
    """Find the times to a place from all positions above it."""
    room = len(target.rungs) // len(target.low)
    n = 0
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        s = view.own.street[a]
        p, q = tree.position[view.ends[s, 0]], tree.position[view.ends[s, 1]]
        low = p if tree.depth[p] >= tree.depth[q] else q
        if view.ends[s, 2] < 0 and view.ends[s, 3] < 0:
            continue
        target.low[n] = low
        for i in range(n * room, n * room + tree.start[low + 1] - tree.start[low]):
            target.rungs[i] = BEYOND
        for back in range(2):
            if view.ends[s, 2 + back] >= 0:
                end = q if back else p
                climb(end, tree, 1)
                rows, first = np.int64(tree.depth[end]) + 1, tree.start[end]
                ms = np.int32(min(seed_ms(view, a, back), BEYOND))
                lower_row_to(target.rungs, tree.rungs[1], np.int64(n * room), first, ms, rows)
        _fill(low, tree, target.above, n * room)
        n += 1
    target.size[0] = n


@lean
def comes_near(place, view, ends, from_ends, tree, known, limit):  # type: ignore[no-untyped-def]
    """Find the times from some slots to a place; tell whether any is within the limit."""
    first, above = from_ends
    for i in range(len(ends)):
        known.time_ms[ends[i]] = BEYOND
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        s = view.own.street[a]
        for back in range(2):
            if view.ends[s, 2 + back] < 0:
                continue
            q, ms = tree.position[view.ends[s, back]], seed_ms(view, a, back)
            climb(q, tree, 1)
            for i in range(len(ends)):
                p = tree.position[ends[i]]
                if p >= 0:
                    n = shared(q, above, first[i], tree.depth[p], tree.end)
                    time = ms + least_sum(tree.rungs[0], tree.start[p], tree.rungs[1], tree.start[q], n)
                    known.time_ms[ends[i]] = min(np.int64(known.time_ms[ends[i]]), time)
    near = False
    for i in range(len(ends)):
        near |= known.time_ms[ends[i]] <= limit
        _know(ends[i], known.time_ms[ends[i]], known, limit)
    return near


@lean
def _know(slot, time, known, limit):  # type: ignore[no-untyped-def]
    """Note a time; beyond the limit it is `FAR`."""
    known.time_ms[slot] = time if time <= limit else FAR
    known.found[known.size[0]] = slot
    known.size[0] += 1


@lean
def time_of(slot, ask):  # type: ignore[no-untyped-def]
    """Time from a slot to the place at hand: what is known, else that before the change."""
    known, target, tree, limit, place, old = ask
    if known.time_ms[slot] >= 0:
        return known.time_ms[slot]
    p = tree.position[slot]
    time = np.int32(BEYOND)
    if p >= 0:
        room = len(target.rungs) // len(target.low)
        if target.size[0] < 0:
            _aim(place, old, tree, target)
        climb(p, tree, 0)
        for g in range(target.size[0]):
            n = shared(p, target.above, g * room, tree.depth[target.low[g]], tree.end)
            time = min(time, least_sum(tree.rungs[0], tree.start[p], target.rungs, g * room, n))
    _know(slot, time, known, limit)
    return known.time_ms[slot]


@lean
def seed_ms(view, a, back):  # type: ignore[no-untyped-def]
    """Time to an access point from the end of its street: u, or v if `back`."""
    time = view.ends[view.own.street[a], 2 + back]
    along = np.int64(np.rint(time * view.own.fraction[a]))
    return view.own.access_ms[a] + (time - along if back else along)
