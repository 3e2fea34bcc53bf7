"""
Counts after a change: what places count for now minus what they counted for before, street by street.

Counts are sums of whole numbers (see `engine.reach.contribution`), so a change is a difference. Of each place that a
change concerns, times before are asked for where the change spreads (`engine.proposals.ladder`), and only the streets
there on which a cutoff may have moved are counted again.
"""

from __future__ import annotations

import numpy as np

from engine.proposals.asking import climb_from, comes_near, seed_ms, time_of
from engine.proposals.compiled import lean, lean_kernel
from engine.proposals.heap import pop, put
from engine.proposals.place_counts import count_street
from engine.reach.search import FAR


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
    climb_from(ends, tree, from_ends)
    n = len(changed)
    for place in places:
        target.size[0] = -1
        if comes_near(place, old, ends, from_ends, tree, known, limit) or _moves(place, old, new, changed):
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
                count_street(
                    place, s, flag[s] == 2, old, known.time_ms, was, spoilt, cutoffs, of_place, sums, -1
                )
                flag[s] = 1
            for j in range(n_touched):
                spoilt[touched[j]] = 0
            _mark_own(place, new, flag)
            for j in range(size):
                s = listed[j]
                count_street(
                    place, s, flag[s] == 2, new, known.time_ms, was, spoilt, cutoffs, of_place, sums, 1
                )
                flag[s] = 0
        for j in range(known.size[0]):
            known.time_ms[known.found[j]] = -1
        known.size[0] = 0


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
def _that_matter(listed, first, size, flag, view, ask, spoilt, was, cutoffs):  # type: ignore[no-untyped-def]
    """Keep, after the first few, the listed streets on which a cutoff may have moved; return their number."""
    kept = first
    for j in range(first, size):
        s = listed[j]
        u, v = view.ends[s, 0], view.ends[s, 1]
        at_u, at_v = np.int64(time_of(u, ask)), np.int64(time_of(v, ask))
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
            if time < 0 or spoilt[tail] != 0 or was[here] + np.int64(time) > limit_ms:
                continue
            if time_of(tail, ask) == was[here] + time:
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
                reached = np.int64(time_of(head, ask)) + time
                if reached < min(np.int64(time_ms[here]), limit_ms + 1):
                    time_ms[here] = reached
        if time_ms[here] != FAR:
            waiting = put(heap_ms, heap_slot, waiting, np.int64(time_ms[here]), here)
    for s in changed:
        for back in range(2):
            tail, head, time = new.ends[s, back], new.ends[s, 1 - back], new.ends[s, 2 + back]
            if time < 0:
                continue
            reached = np.int64(time_of(head, ask)) + time
            if reached < min(np.int64(time_of(tail, ask)), limit_ms + 1):
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
            if time >= 0 and later <= limit_ms and later < time_of(tail, ask):
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
                same and new.ends[s, 2 + back] >= 0 and seed_ms(new, b, back) <= seed_ms(old, a, back)
            ):
                continue
            slot = old.ends[s, back]
            if time_of(slot, ask) == seed_ms(old, a, back):
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
            slot, reached = view.ends[s, back], seed_ms(view, a, back)
            if reached <= ask[3] and reached < time_of(slot, ask):
                n = _touch(slot, ask[0].time_ms, spoilt, was, touched, n)
                ask[0].time_ms[slot] = reached
    return n


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
