"""
Counts after a change: what places count for now minus what they counted for before, street by street.

Counts are sums of whole numbers (see `engine.reach.contribution`), so a change is a difference. Of each place that a
change concerns, one bounded search finds its times before, the change is spread over them as far as it makes a
difference, and only the streets there are counted again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.proposals.compiled import lean, lean_kernel
from engine.proposals.heap import pop, put
from engine.proposals.ladder import climb, shared
from engine.reach.contribution import contribution, meeting
from engine.reach.lanes import BEYOND, least_sum, lower_row_to
from engine.reach.search import FAR
from engine.reach.searches import lines, stretch

EVERYWHERE = np.iinfo(np.int64).max
"""A bound that leaves nothing out."""


@lean_kernel
def count_places(places, view, sign, shift, cutoffs, of_place, scratch, sums):  # type: ignore[no-untyped-def]
    """
    Add to `sums` what some places count for, times a sign.

    Parameters
    ----------
    places
        Places.
    view
        A layout, as `View`.
    sign
        1 to add, -1 to take off.
    shift
        A bucket of a search spans 2^shift ms.
    cutoffs
        [ms] Increasing; a place counts in full up to each.
    of_place
        Category of each place.
    scratch
        As in `recount`.
    sums
        By bands: what lies within a cutoff but not within the one before, shape (cells, categories, cutoffs).
    """
    search, flag, (spoilt, was) = scratch
    time_ms, found = search[0], search[1]
    for i in range(len(places)):
        place = places[i]
        first, last = view.own.offsets[place], view.own.offsets[place + 1]
        n = _search(place, view, cutoffs[-1], shift, (time_ms, EVERYWHERE), search)
        for a in range(first, last):
            if flag[view.own.street[a]] == 0:
                flag[view.own.street[a]] = 2
                _count(
                    place, view.own.street[a], True, view, time_ms, was, spoilt, cutoffs, of_place, sums, sign
                )
        for j in range(n):
            here = found[j]
            for a in range(view.offsets[here], view.offsets[here + 1]):
                s = view.incident[a]
                other = view.near[a, 0]
                if flag[s] != 0 or (other < here and time_ms[other] != FAR):
                    continue  # a street with both ends in reach is taken from the lower slot
                _count(place, s, False, view, time_ms, was, spoilt, cutoffs, of_place, sums, sign)
        for a in range(first, last):
            flag[view.own.street[a]] = 0
        for j in range(n):
            time_ms[found[j]] = FAR


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


@lean_kernel
def recount(places, old, new, tree, cutoffs, of_place, changed, ends, scratch, sums):  # type: ignore[no-untyped-def]
    """
    Add to `sums` what some places count for after a change of streets, and take off what they counted for before.

    Parameters
    ----------
    places
        Places that are there before and after.
    old, new
        The layout before and after, as `View`.
    tree
        The ladders of the layout before, as `Tree`.
    cutoffs, of_place, sums
        As in `count_places`.
    changed
        Streets with other times, places or pieces.
    ends
        Slots of their ends.
    scratch
        (known, target, street flags, touched slots): `Known` without times, a `Target`, 0 for each street, and
        (flags, times before) for each slot, flags 0.
    """
    known, target, flag, (spoilt, was), heap, (touched, listed), from_ends = scratch
    limit = cutoffs[-1]
    _climb_from(ends, tree, from_ends)
    n = len(changed)
    for place in places:
        target.size[0] = -1
        if _comes_near(place, old, ends, from_ends, tree, known, limit) or _moves(place, old, new, changed):
            ask = (known, target, tree, limit, place, old)
            n_touched = _spread(place, old, new, changed, ask, spoilt, was, touched, heap)
            size = 0
            for j in range(n):
                size = _list(changed[j], flag, listed, size)
            for j in range(n_touched):
                slot = touched[j]
                if was[slot] != known.time_ms[slot]:
                    for a in range(new.offsets[slot], new.offsets[slot + 1]):
                        size = _list(new.incident[a], flag, listed, size)
            _mark_own(place, old, flag)
            size = _that_matter(listed, n, size, flag, new, ask, spoilt, was, cutoffs)
            for j in range(size):
                s = listed[j]
                _count(place, s, flag[s] == 2, old, known.time_ms, was, spoilt, cutoffs, of_place, sums, -1)
                flag[s] = 1
            for j in range(n_touched):
                spoilt[touched[j]] = 0
            _mark_own(place, new, flag)
            for j in range(size):
                s = listed[j]
                _count(place, s, flag[s] == 2, new, known.time_ms, was, spoilt, cutoffs, of_place, sums, 1)
                flag[s] = 0
        for j in range(known.size[0]):
            known.time_ms[known.found[j]] = -1
        known.size[0] = 0


@lean
def _climb_from(ends, tree, from_ends):  # type: ignore[no-untyped-def]
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
                ms = np.int32(min(_seed(view, a, back), BEYOND))
                lower_row_to(target.rungs, tree.rungs[1], np.int64(n * room), first, ms, rows)
        _fill(low, tree, target.above, n * room)
        n += 1
    target.size[0] = n


@lean
def _comes_near(place, view, ends, from_ends, tree, known, limit):  # type: ignore[no-untyped-def]
    """Find the times from some slots to a place; tell whether any is within the limit."""
    first, above = from_ends
    for i in range(len(ends)):
        known.time_ms[ends[i]] = BEYOND
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        s = view.own.street[a]
        for back in range(2):
            if view.ends[s, 2 + back] < 0:
                continue
            q, ms = tree.position[view.ends[s, back]], _seed(view, a, back)
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
def _moves(place, old, new, changed):  # type: ignore[no-untyped-def]
    """Tell whether a place lies on a street that changes."""
    for view in (old, new):
        for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
            for s in changed:
                if view.own.street[a] == s:
                    return True
    return False


@lean
def _time(slot, ask):  # type: ignore[no-untyped-def]
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
def _that_matter(listed, first, size, flag, view, ask, spoilt, was, cutoffs):  # type: ignore[no-untyped-def]
    """Keep, after the first few, the listed streets on which a cutoff may have moved; return their number."""
    kept = first
    for j in range(first, size):
        s = listed[j]
        u, v = view.ends[s, 0], view.ends[s, 1]
        at_u, at_v = np.int64(_time(u, ask)), np.int64(_time(v, ask))
        before_u = np.int64(was[u]) if spoilt[u] == 1 else at_u
        before_v = np.int64(was[v]) if spoilt[v] == 1 else at_v
        forward, backward = np.int64(view.ends[s, 2]), np.int64(view.ends[s, 3])
        most = np.int64(FAR)
        if backward >= 0:
            most = max(at_u, before_u) + backward
        if forward >= 0:
            most = min(most, max(at_v, before_v) + forward)
        least = min(at_u, at_v, before_u, before_v)
        matters = flag[s] == 2
        rows = view.rows
        for p in range(rows.offsets[s], rows.offsets[s + 1]):
            for cutoff in cutoffs:
                matters |= least <= cutoff - rows.access_ms[p] <= most
        if matters:
            listed[kept] = s
            kept += 1
        else:
            flag[s] = 0
    return kept


@lean
def _spread(place, old, new, changed, ask, spoilt, was, touched, heap):  # type: ignore[no-untyped-def]
    """
    Turn the times to a place before a change into those after it.

    Slots whose time may have changed are flagged in `spoilt`, their time before is in `was`; they are listed in
    `touched`. Times that went over what became worse are dropped and found anew from their neighbours, then what
    became better spreads (Ramalingam & Reps 1996).
    """
    known, limit_ms = ask[0], ask[3]
    time_ms = known.time_ms
    n = 0
    heap_ms, heap_slot = heap
    waiting = 0
    n = _lost_seeds(place, old, new, ask, spoilt, was, touched, n)
    worse = n > 0
    for s in changed:
        for back in range(2):
            time, now = old.ends[s, 2 + back], new.ends[s, 2 + back]
            worse |= time >= 0 and (now < 0 or now > time)
    for j in range(
        len(changed) if worse else 0
    ):  # a way that became faster may lead to one that became worse
        s = changed[j]
        for back in range(2):
            tail, head = old.ends[s, back], old.ends[s, 1 - back]
            time, now = old.ends[s, 2 + back], new.ends[s, 2 + back]
            if 0 <= time != now and time_ms[head] != FAR and time_ms[tail] == time_ms[head] + time:
                n = _touch(tail, time_ms, spoilt, was, touched, n)
    dropped = n
    j = 0
    while j < dropped:
        here = touched[j]
        for a in range(new.offsets[here], new.offsets[here + 1]):
            tail, time = new.near[a, 0], new.near[a, 1]
            if time >= 0 and spoilt[tail] == 0 and was[here] + np.int64(time) <= limit_ms:
                if _time(tail, ask) == was[here] + time:
                    dropped = _touch(tail, time_ms, spoilt, was, touched, dropped)
        j += 1
    n = dropped
    for j in range(dropped):
        time_ms[touched[j]] = FAR
    for j in range(dropped):
        here = touched[j]
        for a in range(new.offsets[here], new.offsets[here + 1]):
            head, time = new.near[a, 0], new.near[a, 2]
            if time >= 0:
                reached = np.int64(_time(head, ask)) + time
                if reached < min(np.int64(time_ms[here]), limit_ms + 1):
                    time_ms[here] = reached
        if time_ms[here] != FAR:
            waiting = put(heap_ms, heap_slot, waiting, np.int64(time_ms[here]), here)
    for s in changed:
        for back in range(2):
            tail, head, time = new.ends[s, back], new.ends[s, 1 - back], new.ends[s, 2 + back]
            if time < 0:
                continue
            reached = np.int64(_time(head, ask)) + time
            if reached < min(np.int64(_time(tail, ask)), limit_ms + 1):
                n = _touch(tail, time_ms, spoilt, was, touched, n)
                time_ms[tail] = reached
                waiting = put(heap_ms, heap_slot, waiting, reached, tail)
    n = _new_seeds(place, new, ask, spoilt, was, touched, n)
    for a in range(new.own.offsets[place], new.own.offsets[place + 1]):
        for back in range(2):
            slot = new.ends[new.own.street[a], back]
            if spoilt[slot] != 0 and time_ms[slot] != FAR:
                waiting = put(heap_ms, heap_slot, waiting, np.int64(time_ms[slot]), slot)
    while waiting > 0:
        reached, here, waiting = pop(heap_ms, heap_slot, waiting)
        if reached != time_ms[here]:
            continue
        for a in range(new.offsets[here], new.offsets[here + 1]):
            tail, time = new.near[a, 0], new.near[a, 1]
            later = reached + time
            if time >= 0 and later <= limit_ms and later < _time(tail, ask):
                n = _touch(tail, time_ms, spoilt, was, touched, n)
                time_ms[tail] = later
                waiting = put(heap_ms, heap_slot, waiting, later, tail)
    return n


@lean
def _lost_seeds(place, old, new, ask, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
    """Touch slots whose time was that of an access point which is farther now."""
    first, now = old.own.offsets[place], new.own.offsets[place]
    for i in range(old.own.offsets[place + 1] - first):
        a, b = first + i, now + i
        s = old.own.street[a]
        same = b < new.own.offsets[place + 1] and new.own.street[b] == s
        for back in range(2):
            time = old.ends[s, 2 + back]
            if time < 0 or (
                same and new.ends[s, 2 + back] >= 0 and _seed(new, b, back) <= _seed(old, a, back)
            ):
                continue
            slot = old.ends[s, back]
            if _time(slot, ask) == _seed(old, a, back):
                n = _touch(slot, ask[0].time_ms, spoilt, was, touched, n)
    return n


@lean
def _new_seeds(place, view, ask, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
    """Improve slots by the access points of a place."""
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        s = view.own.street[a]
        for back in range(2):
            if view.ends[s, 2 + back] < 0:
                continue
            slot, reached = view.ends[s, back], _seed(view, a, back)
            if reached <= ask[3] and reached < _time(slot, ask):
                n = _touch(slot, ask[0].time_ms, spoilt, was, touched, n)
                ask[0].time_ms[slot] = reached
    return n


@lean
def _seed(view, a, back):  # type: ignore[no-untyped-def]
    """Time to an access point from the end of its street: u, or v if `back`."""
    time = view.ends[view.own.street[a], 2 + back]
    along = np.int64(np.rint(time * view.own.fraction[a]))
    return view.own.access_ms[a] + (time - along if back else along)


@lean
def _touch(slot, time_ms, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
    """List a slot whose time changes, with its time before."""
    if spoilt[slot] != 0:
        return n
    spoilt[slot] = 1
    was[slot] = time_ms[slot]
    touched[n] = slot
    return n + 1


@lean
def _list(street, flag, listed, size):  # type: ignore[no-untyped-def]
    """List a street once."""
    if flag[street] == 0:
        flag[street] = 1
        listed[size] = street
        size += 1
    return size


@lean
def _mark_own(place, view, flag):  # type: ignore[no-untyped-def]
    """Mark the listed streets on which a place lies."""
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        if flag[view.own.street[a]] == 1:
            flag[view.own.street[a]] = 2


@lean
def _count(place, s, own, view, time_ms, was, spoilt, cutoffs, of_place, sums, sign):  # type: ignore[no-untyped-def]
    """Add what a place counts for along a street, or take it off; times of spoilt slots are those before."""
    ends, rows = view.ends, view.rows
    if rows.offsets[s] == rows.offsets[s + 1]:
        return
    u, v = ends[s, 0], ends[s, 1]
    at_u = np.int64(was[u]) if spoilt[u] == 1 else np.int64(time_ms[u])
    at_v = np.int64(was[v]) if spoilt[v] == 1 else np.int64(time_ms[v])
    if not own:
        rising, falling = lines(at_u, at_v, ends[s, 2], ends[s, 3])
        _along(s, rising, falling, ends[s], 0.0, 1.0, cutoffs, rows, of_place[place], sums, sign)
        return
    left = 0.0
    while left < 1.0:
        right, rising, falling = stretch(place, view.points, s, left, at_u, at_v, ends[s, 2], ends[s, 3])
        _along(s, rising, falling, ends[s], left, right, cutoffs, rows, of_place[place], sums, sign)
        left = right


@lean
def _along(s, rising, falling, ends, left, right, cutoffs, rows, category, sums, sign):  # type: ignore[no-untyped-def]
    """Add the contributions of one stretch of a street, piece by piece and cutoff by cutoff."""
    if rising >= FAR and falling >= FAR:
        return
    up, down = np.float64(ends[3]), np.float64(ends[2])
    meet = meeting(rising, falling, up, down)
    entire = left == 0.0 and right == 1.0 and 0.0 <= meet <= 1.0
    most = rising + up * meet if entire else np.inf
    least = min(
        rising + up * left if rising < FAR else np.inf, falling - down * right if falling < FAR else np.inf
    )
    for p in range(rows.offsets[s], rows.offsets[s + 1]):
        walk, cell, counted = rows.access_ms[p], rows.cell[p], np.int64(0)
        for m in range(len(cutoffs)):
            cutoff = cutoffs[m]
            if least + walk > cutoff:
                continue
            if most + walk <= cutoff:
                sums[cell, category, m] += sign * (rows.units[p] - counted)
                break
            units = contribution(
                rows.start[p],
                rows.stop[p],
                rows.units[p],
                left,
                right,
                rising + walk if rising < FAR else rising,
                falling + walk if falling < FAR else falling,
                up,
                down,
                meet,
                (0.0, np.float64(cutoff), 1.0, 0.0),
            )
            sums[cell, category, m] += sign * (units - counted)
            counted = units


@lean
def _search(place, view, limit_ms, shift, bound, scratch):  # type: ignore[no-untyped-def]
    """Find the times to a place within the limit; return how many slots were reached."""
    ends, own = view.ends, view.own
    first, last = own.offsets[place], own.offsets[place + 1]
    n = 0
    time_ms, found, heads, links = scratch
    for a in range(first, last):
        for back in range(2):
            if ends[own.street[a], 2 + back] >= 0:
                slot, ms = ends[own.street[a], back], _seed(view, a, back)
                n = _reach(slot, ms, limit_ms, shift, bound, time_ms, found, heads, links, n)
    return _ball(n, limit_ms, shift, view.offsets, view.near, bound, scratch)


@lean
def _ball(n, limit_ms, shift, offsets, near, bound, scratch):  # type: ignore[no-untyped-def]
    """
    Find every slot within a limit of the seeds; return how many.

    Arcs are followed backwards if `column` is 1 (times to the seeds), forwards if 2 (times from them). `bound` is
    (away, most): slots where away + time exceeds most are left out. `scratch` is (time, found, heads, links): times
    `FAR`, heads -1 and links -2 at rest; the caller sets times back.
    """
    time_ms, found, heads, links = scratch
    for bucket in range((limit_ms >> shift) + 1):
        while heads[bucket] >= 0:
            here = heads[bucket]
            after = links[here, 1]
            heads[bucket] = after
            if after >= 0:
                links[after, 0] = -1
            links[here, 0] = -2
            base = np.int64(time_ms[here])
            for a in range(offsets[here], offsets[here + 1]):
                time = near[a, 1]
                if time >= 0:
                    n = _reach(
                        near[a, 0], base + time, limit_ms, shift, bound, time_ms, found, heads, links, n
                    )
    return n


@lean
def _reach(slot, reached, limit_ms, shift, bound, time_ms, found, heads, links, n):  # type: ignore[no-untyped-def]
    """Let a slot be reached at a time if that is earlier than what is known."""
    known = time_ms[slot]
    if reached >= known or reached > limit_ms:
        return n
    if bound[1] < EVERYWHERE and bound[0][slot] + reached > bound[1]:
        return n
    if known == FAR:
        found[n] = slot
        n += 1
    elif links[slot, 0] != -2:
        before, after = links[slot, 0], links[slot, 1]
        if before >= 0:
            links[before, 1] = after
        else:
            heads[known >> shift] = after
        if after >= 0:
            links[after, 0] = before
    time_ms[slot] = reached
    bucket = reached >> shift
    first = heads[bucket]
    links[slot, 0] = -1
    links[slot, 1] = first
    if first >= 0:
        links[first, 0] = slot
    heads[bucket] = slot
    return n
