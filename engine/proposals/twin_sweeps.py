"""
Two sweeps in step: the city before a change of streets and after it, visited only where they differ.

Sixteen places at a time, as in `engine.reach.sweeps`. In a contraction hierarchy the times of a branch follow from
those of the positions above that it is joined to. Where these are the same before and after, no time within the branch
has changed and nothing in it is starred, the branch is left out in one step. *Starred* are the ends of what may
differ: of arcs with other times, of streets that changed, and of streets that edits added. The latter are no part of
the hierarchy: sweeps climb, go over them, and climb again until nothing gets nearer. The halves of a closed street
lead nowhere, so nobody goes over them.

A place that is in one layout only has one sweep of its own, `count_places`, which carries one time a position.

Counts are sums of whole numbers (see `engine.reach.contribution`), so a change is a difference, and only streets that a
cutoff falls on before or after are counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.compiled import lean, lean_kernel
from engine.proposals.place_counts import count_street, seed_ms
from engine.reach.lanes import BEYOND, LANES, differ, first_one, mark, pull, push_up, straddles
from engine.reach.search import FAR


class Space(NamedTuple):
    """
    What sweeps write on.

    Attributes
    ----------
    before, now
        [ms] Times of the two sweeps, shape (positions and added vertices, 16).
    bits
        Lanes in which they differ; 0 at rest.
    marked
        Whether a position is above a place or an added street; as `ground` says at rest.
    climb
        Marked positions, decreasing, in the first row; room in the second.
    alone
        [ms] Times of the sweep of one place, shape (positions and added vertices,).
    visited
        Positions that were visited.
    mine
        Lanes whose place lies on each street; 0 at rest.
    """

    before: npt.NDArray[np.int32]
    now: npt.NDArray[np.int32]
    bits: npt.NDArray[np.int64]
    marked: npt.NDArray[np.bool_]
    climb: npt.NDArray[np.int32]
    alone: npt.NDArray[np.int32]
    visited: npt.NDArray[np.int32]
    mine: npt.NDArray[np.int64]


class Change(NamedTuple):
    """
    What differs between two layouts of streets.

    Attributes
    ----------
    streets
        Streets with other times, places or pieces.
    is_changed
        The same as a flag of every street.
    added
        Streets that are no part of the hierarchy.
    through
        Those of them that may lead on: not the halves of a closed street, whose other ends nobody comes by.
    arcs
        Arcs whose times changed.
    owner
        Positions that they lead up from.
    starred
        Whether a position is, or is above, an end of what may differ.
    refitted
        Whether arcs from a position changed.
    ground
        Positions at or above the ends of `through`, decreasing.
    """

    streets: npt.NDArray[np.int32]
    is_changed: npt.NDArray[np.bool_]
    added: npt.NDArray[np.int32]
    through: npt.NDArray[np.int32]
    arcs: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int64]
    starred: npt.NDArray[np.bool_]
    refitted: npt.NDArray[np.bool_]
    ground: npt.NDArray[np.int32]


@lean_kernel
def twin_sweeps(groups, tree, weights, views, change, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """
    Add to `sums` what some places count for after a change of streets, and take off what they counted for before.

    Parameters
    ----------
    groups
        Places that are there before and after, shape (batches, 16); -1 for an idle lane.
    tree
        The hierarchy, as `Tree`; its `position` has the slots of added vertices as well, which are their own.
    weights
        [ms] Times of its arcs before and after, each (up, down).
    views
        The layout before and after, as `View`.
    change
        As `Change`.
    cutoffs
        [ms] Increasing.
    of_place
        Category of each place.
    space
        As `Space`.
    sums
        By bands: what lies within a cutoff but not within the one before, shape (cells, categories, cutoffs).
    """
    for b in range(len(groups)):
        group = groups[b]
        count = _climb_from(group, tree, weights, views, change, space)
        seen = _come_down(group, tree, weights, views, change, cutoffs, of_place, space, sums)
        _count_apart(group, tree, views, change, cutoffs, of_place, space, sums)
        for i in range(seen):
            space.bits[space.visited[i]] = 0
        for i in range(count):
            space.marked[space.climb[0, i]] = False
        for x in change.ground:
            space.marked[x] = True


@lean
def _climb_from(group, tree, weights, views, change, space):  # type: ignore[no-untyped-def]
    """Climb from sixteen places before and after; return the number of marked positions."""
    count = _start(tree, change.ground, space)
    count = _seed(group, tree, views[0], space.before, space, count)
    count = _seed(group, tree, views[1], space.now, space, count)
    _settle(space.before, count, tree, weights[0], views[0].ends, change.through, space.climb)
    if _is_alike(group, weights, views, tree, change, space):
        for i in range(count):
            _copy(space.climb[0, i], space)
    else:
        _settle(space.now, count, tree, weights[1], views[1].ends, change.through, space.climb)
    return count


@lean
def _start(tree, ground, space):  # type: ignore[no-untyped-def]
    """Empty what sweeps begin with: the ground and the added vertices; return the number of marked positions."""
    for i in range(len(ground)):
        space.climb[0, i] = ground[i]
        _empty(ground[i], space)
    for x in range(len(tree.indptr) - 1, len(space.before)):
        _empty(x, space)
    return len(ground)


@lean
def _is_alike(group, weights, views, tree, change, space):  # type: ignore[no-untyped-def]
    """Tell whether climbing now gives the times that it gave before, without climbing: no arc matters that changed."""
    if len(change.through) > 0:
        return False
    for lane in range(LANES):
        place = group[lane]
        if place >= 0:
            own = views[1].own
            for a in range(own.offsets[place], own.offsets[place + 1]):
                if change.is_changed[own.street[a]]:
                    return False
    for i in range(len(change.arcs)):
        a, x = change.arcs[i], change.owner[i]
        if not space.marked[x]:
            continue
        y = tree.head[a]
        least = min(weights[0][1][a], weights[1][1][a] + 1)  # by the arc it was as near, or it gets nearer
        for lane in range(LANES):
            if space.before[x, lane] + least <= space.before[y, lane]:
                return False
    return True


@lean
def _copy(x, space):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        space.now[x, lane] = space.before[x, lane]


@lean
def _empty(x, space):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        space.before[x, lane] = BEYOND
        space.now[x, lane] = BEYOND


@lean
def _seed(group, tree, view, times, space, count):  # type: ignore[no-untyped-def]
    """Set the times to the places at the ends of their streets; return the number of marked positions."""
    n = len(tree.indptr) - 1
    for lane in range(LANES):
        place = group[lane]
        if place < 0:
            continue
        for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
            s = view.own.street[a]
            space.mine[s] |= np.int64(1) << lane
            for back in range(2):
                if view.ends[s, 2 + back] < 0:
                    continue
                x = tree.position[view.ends[s, back]]
                if x < n:
                    count = mark(x, tree.parent, space.marked, (space.before, space.now), space.climb, count)
                times[x, lane] = min(np.int64(times[x, lane]), seed_ms(view, a, back))
    return count


@lean
def _settle(times, count, tree, weight, ends, added, climb):  # type: ignore[no-untyped-def]
    """Climb, and go over added streets and climb again until nothing gets nearer."""
    lowered = True
    while lowered:
        for i in range(count):
            x = climb[0, i]
            push_up(times, x, tree.head, weight[1], tree.indptr[x], tree.indptr[x + 1])
        if len(added) == 0:
            return
        for i in range(count - 1, -1, -1):
            x = climb[0, i]
            pull(times, x, tree.head, weight[0], tree.indptr[x], tree.indptr[x + 1], True)
        lowered = _go_over(times, tree, ends, added)


@lean
def _go_over(times, tree, ends, added):  # type: ignore[no-untyped-def]
    """Go over added streets as long as anything gets nearer; tell whether a position of the hierarchy did."""
    n = len(tree.indptr) - 1
    lowered, again = False, True
    while again:
        again = False
        for s in added:
            for back in range(2):
                if ends[s, 2 + back] < 0:
                    continue
                tail, head = tree.position[ends[s, back]], tree.position[ends[s, 1 - back]]
                for lane in range(LANES):
                    time = times[head, lane] + ends[s, 2 + back]
                    if time < times[tail, lane]:
                        times[tail, lane] = time
                        again = True
                        lowered |= tail < n
    return lowered


@lean
def _come_down(group, tree, weights, views, change, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """Come down where the sweeps differ and count the streets there; return the number of positions visited."""
    n, limit = len(tree.indptr) - 1, np.int32(cutoffs[-1])
    bits, seen = space.bits, 0
    for x in range(n, len(space.before)):
        bits[x] = differ(space.before, space.now, x, limit)
    p = np.int64(0)
    while p < n:
        first, last = tree.indptr[p], tree.indptr[p + 1]
        hit, a = False, first
        while not hit and a < last:
            hit = bits[tree.head[a]] != 0
            a += 1
        if not hit and not change.starred[p]:
            p = np.int64(tree.end[p])
            continue
        marked = space.marked[p]
        hit = hit or change.refitted[p] or (marked and differ(space.before, space.now, p, limit) != 0)
        pull(space.before, p, tree.head, weights[0][0], first, last, marked)
        if hit:
            pull(space.now, p, tree.head, weights[1][0], first, last, marked)
            bits[p] = differ(space.before, space.now, p, limit)
        else:
            _copy(p, space)
        space.visited[seen] = p
        seen += 1
        for i in range(tree.later[p], tree.later[p + 1]):
            s, q = tree.street[i], tree.earlier[i]
            lanes = (bits[p] | bits[q]) & ~space.mine[s]
            if lanes != 0 and not change.is_changed[s]:
                _count_lanes(s, lanes, group, tree, views, cutoffs, of_place, space, sums)
        p += 1
    return seen


@lean
def _count_lanes(s, lanes, group, tree, views, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """Count a street that is there before and after in those of some lanes in which a cutoff falls on it."""
    old, new = views
    u, v = np.int64(tree.position[new.ends[s, 0]]), np.int64(tree.position[new.ends[s, 1]])
    moved, access = np.int64(0), np.int64(-1)
    for p in range(new.rows.offsets[s], new.rows.offsets[s + 1]):
        if new.rows.access_ms[p] == access:
            continue
        access = np.int64(new.rows.access_ms[p])
        for cutoff in cutoffs:
            left = np.int32(cutoff - access)
            was = straddles(space.before, u, v, _way(old.ends[s, 2]), _way(old.ends[s, 3]), left)
            now = straddles(space.now, u, v, _way(new.ends[s, 2]), _way(new.ends[s, 3]), left)
            within, reached = was & now, (was | now) >> LANES
            moved |= reached & ~within
    moved &= lanes
    while moved != 0:
        lane = first_one(moved)
        moved &= moved - 1
        _count_twice(group[lane], lane, s, False, tree, views, cutoffs, of_place, space, sums)


@lean
def _way(time):  # type: ignore[no-untyped-def]
    """Time of a way; `BEYOND` where there is none."""
    return np.int32(time if time >= 0 else BEYOND)


@lean
def _count_twice(place, lane, s, own, tree, views, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """Take off what a place counted for along a street, and add what it counts for now."""
    limit = cutoffs[-1]
    for side in range(2):
        view = views[1] if side else views[0]
        times = space.now if side else space.before
        u, v = tree.position[view.ends[s, 0]], tree.position[view.ends[s, 1]]
        at_u, at_v = np.int64(times[u, lane]), np.int64(times[v, lane])
        at_u, at_v = at_u if at_u <= limit else np.int64(FAR), at_v if at_v <= limit else np.int64(FAR)
        count_street(place, s, own, view, at_u, at_v, cutoffs, of_place, sums, 2 * side - 1)


@lean
def _count_apart(group, tree, views, change, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """Count the streets that changed, those that were added before, and those on which places lie."""
    old, new = views
    busy = np.int64(0)
    for lane in range(LANES):
        if group[lane] >= 0:
            busy |= np.int64(1) << lane
    for s in change.added:
        if not change.is_changed[s]:
            lanes = _differing(s, new, tree, space) & busy & ~space.mine[s]
            _count_lanes(s, lanes, group, tree, views, cutoffs, of_place, space, sums)
    for s in change.streets:
        lanes = busy & ~space.mine[s]
        stays = (
            old.rows.offsets[s] < old.rows.offsets[s + 1] and new.rows.offsets[s] < new.rows.offsets[s + 1]
        )
        if stays:
            _count_lanes(s, lanes, group, tree, views, cutoffs, of_place, space, sums)
            continue
        while lanes != 0:
            lane = first_one(lanes)
            lanes &= lanes - 1
            _count_twice(group[lane], lane, s, False, tree, views, cutoffs, of_place, space, sums)
    for lane in range(LANES):
        place = group[lane]
        if place < 0:
            continue
        for view in views:
            for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
                s, bit = view.own.street[a], np.int64(1) << lane
                if space.mine[s] & bit != 0 and (
                    change.is_changed[s] or _differing(s, new, tree, space) & bit
                ):
                    _count_twice(place, lane, s, True, tree, views, cutoffs, of_place, space, sums)
                space.mine[s] &= ~bit


@lean
def _differing(s, view, tree, space):  # type: ignore[no-untyped-def]
    """Lanes in which the times at an end of a street differ."""
    return space.bits[tree.position[view.ends[s, 0]]] | space.bits[tree.position[view.ends[s, 1]]]


@lean_kernel
def count_places(groups, tree, weight, view, change, sign, cutoffs, of_place, space, sums):  # type: ignore[no-untyped-def]
    """
    Add to `sums` what some places count for in one layout, times a sign; the rest as in `twin_sweeps`.

    `groups` has one place a row, in its first lane.
    """
    n, limit = len(tree.indptr) - 1, cutoffs[-1]
    for b in range(len(groups)):
        place = groups[b, 0]
        count = _start(tree, change.ground, space)
        count = _seed(groups[b], tree, view, space.before, space, count)
        _settle(space.before, count, tree, weight, view.ends, change.through, space.climb)
        p = np.int64(0)
        while p < n:
            p = _reach_alone(p, tree, weight[0], limit, space)
            if p < n:
                for i in range(tree.later[p], tree.later[p + 1]):
                    s = tree.street[i]
                    if space.mine[s] == 0:
                        _count_alone(place, s, False, tree, view, cutoffs, of_place, space, sums, sign)
                p += 1
        for x in range(n, len(space.before)):
            space.alone[x] = space.before[x, 0]
        for s in change.added:
            if space.mine[s] == 0:
                _count_alone(place, s, False, tree, view, cutoffs, of_place, space, sums, sign)
        for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
            s = view.own.street[a]
            if space.mine[s] != 0:
                space.mine[s] = 0
                _count_alone(place, s, True, tree, view, cutoffs, of_place, space, sums, sign)
        for i in range(count):
            space.marked[space.climb[0, i]] = False
        for x in change.ground:
            space.marked[x] = True


@lean
def _reach_alone(p, tree, up, limit, space):  # type: ignore[no-untyped-def]
    """Give the next position from `p` on that the place is near to, or that lies above it, and set its time."""
    n = len(tree.indptr) - 1
    while p < n:
        best = space.before[p, 0] if space.marked[p] else np.int32(BEYOND)
        nearest = best
        for a in range(tree.indptr[p], tree.indptr[p + 1]):
            time = space.alone[tree.head[a]]
            nearest = min(nearest, time)
            best = min(best, time + up[a])
        if nearest <= limit or space.marked[p]:
            space.alone[p] = best
            return p
        for x in range(p, tree.end[p]):
            space.alone[x] = BEYOND
        p = np.int64(tree.end[p])
    return p


@lean
def _count_alone(place, s, own, tree, view, cutoffs, of_place, space, sums, sign):  # type: ignore[no-untyped-def]
    """Count a street by the times of a place's own sweep."""
    at_u = np.int64(space.alone[tree.position[view.ends[s, 0]]])
    at_v = np.int64(space.alone[tree.position[view.ends[s, 1]]])
    limit = cutoffs[-1]
    if own or at_u <= limit or at_v <= limit:
        at_u, at_v = at_u if at_u <= limit else np.int64(FAR), at_v if at_v <= limit else np.int64(FAR)
        count_street(place, s, own, view, at_u, at_v, cutoffs, of_place, sums, sign)
