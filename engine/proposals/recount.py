"""
Counts after a change: what places count for now minus what they counted for before, street by street.

Counts are sums of whole numbers (see `engine.reach.contribution`), so a change is a difference. Of each place that a
change concerns, one bounded search finds its times before, the change is spread over them as far as it makes a
difference, and only the streets there are counted again.
"""

from __future__ import annotations

import numpy as np

from engine.proposals.compiled import inner, kernel
from engine.proposals.heap import longer, pop, push
from engine.reach.contribution import contribution, meeting
from engine.reach.search import FAR
from engine.reach.searches import lines, stretch

EVERYWHERE = np.iinfo(np.int64).max
"""A bound that leaves nothing out."""


@kernel
def times_from(slots, limit_ms, shift, view, scratch, out):  # type: ignore[no-untyped-def]
    """
    Fill `out` with the time from the nearest of some slots to every slot within a limit, or the other way round.

    `view` is (offsets, near, column: 2 for times from the slots, 1 for times to them), `scratch` as in `_ball`.
    """
    ms = np.zeros(len(slots), dtype=np.int64)
    n = _ball(
        slots, ms, len(slots), limit_ms, shift, view[0], view[1], view[2], (scratch[0], EVERYWHERE), scratch
    )
    for i in range(n):
        slot = scratch[1][i]
        out[slot] = scratch[0][slot]
        scratch[0][slot] = FAR
    return n


@kernel
def farthest_around(slots, views, away, out):  # type: ignore[no-untyped-def]
    """Fill `out` with the greatest `away` of each slot and of those that a way leads to from there, in two views."""
    for i in range(len(slots)):
        here = slots[i]
        greatest = np.int64(away[here])
        for view in views:
            for a in range(view.offsets[here], view.offsets[here + 1]):
                if view.near[a, 2] >= 0:
                    greatest = max(greatest, np.int64(away[view.near[a, 0]]))
        out[i] = greatest


@kernel
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


@kernel
def recount(places, old, new, shift, cutoffs, of_place, changed, away, most, scratch, sums):  # type: ignore[no-untyped-def]
    """
    Add to `sums` what some places count for after a change of streets, and take off what they counted for before.

    Parameters
    ----------
    places
        Places that the change may concern.
    old, new
        The layout before and after, as `View`.
    changed
        Streets with other times, places or pieces.
    away
        [ms] Time from the nearest end of a changed street to each slot.
    most
        [ms] For each place: a slot matters only if its `away` plus its time to the place is at most this.
    scratch
        (search, street flags, touched slots): a scratch of `_ball`, 0 for each street, and (flags, times before)
        for each slot, flags 0.
    shift, cutoffs, of_place, sums
        As in `count_places`.
    """
    search, flag, (spoilt, was) = scratch
    time_ms, found = search[0], search[1]
    limit = cutoffs[-1]
    listed = np.empty(256, dtype=np.int32)
    touched = np.empty(256, dtype=np.int32)
    for i in range(len(places)):
        place = places[i]
        n = _search(place, old, limit, shift, (away, most[i]), search)
        n_touched, touched = _spread(
            place, old, new, limit, changed, away, most[i], time_ms, spoilt, was, touched
        )
        size = 0
        for j in range(len(changed)):
            size, listed = _list(changed[j], flag, listed, size)
        for j in range(n_touched):
            slot = touched[j]
            if was[slot] != time_ms[slot]:
                for a in range(new.offsets[slot], new.offsets[slot + 1]):
                    size, listed = _list(new.incident[a], flag, listed, size)
        _mark_own(place, old, flag)
        for j in range(size):
            s = listed[j]
            _count(place, s, flag[s] == 2, old, time_ms, was, spoilt, cutoffs, of_place, sums, -1)
            flag[s] = 1
        for j in range(n_touched):
            spoilt[touched[j]] = 0
        _mark_own(place, new, flag)
        for j in range(size):
            s = listed[j]
            _count(place, s, flag[s] == 2, new, time_ms, was, spoilt, cutoffs, of_place, sums, 1)
            flag[s] = 0
        for j in range(n):
            time_ms[found[j]] = FAR
        for j in range(n_touched):
            time_ms[touched[j]] = FAR


@kernel
def recount_streets(places, at, old, new, cutoffs, of_place, changed, scratch, sums):  # type: ignore[no-untyped-def]
    """
    Do as `recount` does for places whose times differ nowhere but along changed streets.

    `at` is (row of each slot in `time`, -1 for slots that are no end of a changed street; time [ms] from there to
    each of the places, shape (rows, places)).
    """
    row, time = at
    search, _, (spoilt, was) = scratch
    time_ms = search[0]
    for i in range(len(places)):
        for side in range(2):
            view = old if side == 0 else new
            for j in range(len(changed)):
                s = changed[j]
                u, v = view.ends[s, 0], view.ends[s, 1]
                time_ms[u], time_ms[v] = time[row[u], i], time[row[v], i]
                own = False
                for a in range(view.own.offsets[places[i]], view.own.offsets[places[i] + 1]):
                    own |= view.own.street[a] == s
                _count(places[i], s, own, view, time_ms, was, spoilt, cutoffs, of_place, sums, 2 * side - 1)
                time_ms[u] = FAR
                time_ms[v] = FAR


@inner
def _spread(place, old, new, limit_ms, changed, away, most, time_ms, spoilt, was, touched):  # type: ignore[no-untyped-def]
    """
    Turn the times to a place before a change into those after it.

    Slots whose time may have changed are flagged in `spoilt`, their time before is in `was`; they are listed in
    `touched`. Times that went over what became worse are dropped and found anew from their neighbours, then what
    became better spreads (Ramalingam & Reps 1996). Slots that do not matter (`away` + time > `most`) stay out.
    """
    n = 0
    heap_ms, heap_slot, waiting = np.empty(256, dtype=np.int64), np.empty(256, dtype=np.int32), 0
    n, touched = _lost_seeds(place, old, new, time_ms, spoilt, was, touched, n)
    worse = n > 0
    for j in range(len(changed)):
        s = changed[j]
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
                n, touched = _touch(tail, time_ms, spoilt, was, touched, n)
    dropped = n
    j = 0
    while j < dropped:
        here = touched[j]
        for a in range(new.offsets[here], new.offsets[here + 1]):
            tail, time = new.near[a, 0], new.near[a, 1]
            if time >= 0 and spoilt[tail] == 0 and time_ms[tail] != FAR and time_ms[tail] == was[here] + time:
                dropped, touched = _touch(tail, time_ms, spoilt, was, touched, dropped)
        j += 1
    n = dropped
    for j in range(dropped):
        time_ms[touched[j]] = FAR
    for j in range(dropped):
        here = touched[j]
        for a in range(new.offsets[here], new.offsets[here + 1]):
            head, time = new.near[a, 0], new.near[a, 2]
            if time >= 0 and time_ms[head] + np.int64(time) < min(np.int64(time_ms[here]), limit_ms + 1):
                time_ms[here] = time_ms[head] + time
        if time_ms[here] != FAR:
            heap_ms, heap_slot, waiting = push(heap_ms, heap_slot, waiting, np.int64(time_ms[here]), here)
    for j in range(len(changed)):
        s = changed[j]
        for back in range(2):
            tail, head, time = new.ends[s, back], new.ends[s, 1 - back], new.ends[s, 2 + back]
            reached = time_ms[head] + np.int64(time)
            if (
                time >= 0
                and reached < min(np.int64(time_ms[tail]), limit_ms + 1)
                and away[tail] + reached <= most
            ):
                n, touched = _touch(tail, time_ms, spoilt, was, touched, n)
                time_ms[tail] = time_ms[head] + time
                heap_ms, heap_slot, waiting = push(heap_ms, heap_slot, waiting, np.int64(time_ms[tail]), tail)
    n, touched = _new_seeds(place, new, limit_ms, away, most, time_ms, spoilt, was, touched, n)
    for a in range(new.own.offsets[place], new.own.offsets[place + 1]):
        for back in range(2):
            slot = new.ends[new.own.street[a], back]
            if spoilt[slot] != 0 and time_ms[slot] != FAR:
                heap_ms, heap_slot, waiting = push(heap_ms, heap_slot, waiting, np.int64(time_ms[slot]), slot)
    while waiting > 0:
        reached, here, waiting = pop(heap_ms, heap_slot, waiting)
        if reached != time_ms[here]:
            continue
        for a in range(new.offsets[here], new.offsets[here + 1]):
            tail, time = new.near[a, 0], new.near[a, 1]
            later = reached + time
            if (
                time >= 0
                and later < min(np.int64(time_ms[tail]), limit_ms + 1)
                and away[tail] + later <= most
            ):
                n, touched = _touch(tail, time_ms, spoilt, was, touched, n)
                time_ms[tail] = reached + time
                heap_ms, heap_slot, waiting = push(heap_ms, heap_slot, waiting, reached + time, tail)
    return n, touched


@inner
def _lost_seeds(place, old, new, time_ms, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
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
            if time_ms[slot] == _seed(old, a, back):
                n, touched = _touch(slot, time_ms, spoilt, was, touched, n)
    return n, touched


@inner
def _new_seeds(place, view, limit_ms, away, most, time_ms, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
    """Improve slots by the access points of a place."""
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        s = view.own.street[a]
        for back in range(2):
            if view.ends[s, 2 + back] < 0:
                continue
            slot, reached = view.ends[s, back], _seed(view, a, back)
            if reached < time_ms[slot] and reached <= limit_ms and away[slot] + reached <= most:
                n, touched = _touch(slot, time_ms, spoilt, was, touched, n)
                time_ms[slot] = reached
    return n, touched


@inner
def _seed(view, a, back):  # type: ignore[no-untyped-def]
    """Time to an access point from the end of its street: u, or v if `back`."""
    time = view.ends[view.own.street[a], 2 + back]
    along = np.int64(np.rint(time * view.own.fraction[a]))
    return view.own.access_ms[a] + (time - along if back else along)


@inner
def _touch(slot, time_ms, spoilt, was, touched, n):  # type: ignore[no-untyped-def]
    """List a slot whose time changes, with its time before."""
    if spoilt[slot] != 0:
        return n, touched
    spoilt[slot] = 1
    was[slot] = time_ms[slot]
    if n == len(touched):
        touched = longer(touched)
    touched[n] = slot
    return n + 1, touched


@inner
def _list(street, flag, listed, size):  # type: ignore[no-untyped-def]
    """List a street once."""
    if flag[street] == 0:
        flag[street] = 1
        if size == len(listed):
            listed = longer(listed)
        listed[size] = street
        size += 1
    return size, listed


@inner
def _mark_own(place, view, flag):  # type: ignore[no-untyped-def]
    """Mark the listed streets on which a place lies."""
    for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
        if flag[view.own.street[a]] == 1:
            flag[view.own.street[a]] = 2


@inner
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


@inner
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


@inner
def _search(place, view, limit_ms, shift, bound, scratch):  # type: ignore[no-untyped-def]
    """Find the times to a place within the limit; return how many slots were reached."""
    ends, own = view.ends, view.own
    first, last = own.offsets[place], own.offsets[place + 1]
    slots = np.empty(2 * (last - first), dtype=np.int32)
    ms = np.empty(2 * (last - first), dtype=np.int64)
    n = 0
    for a in range(first, last):
        s, x, walk = own.street[a], own.fraction[a], own.access_ms[a]
        if ends[s, 2] >= 0:
            slots[n] = ends[s, 0]
            ms[n] = walk + np.int64(np.rint(ends[s, 2] * x))
            n += 1
        if ends[s, 3] >= 0:
            slots[n] = ends[s, 1]
            ms[n] = walk + ends[s, 3] - np.int64(np.rint(ends[s, 3] * x))
            n += 1
    return _ball(slots, ms, n, limit_ms, shift, view.offsets, view.near, 1, bound, scratch)


@inner
def _ball(slots, ms, n_seeds, limit_ms, shift, offsets, near, column, bound, scratch):  # type: ignore[no-untyped-def]
    """
    Find every slot within a limit of the seeds; return how many.

    Arcs are followed backwards if `column` is 1 (times to the seeds), forwards if 2 (times from them). `bound` is
    (away, most): slots where away + time exceeds most are left out. `scratch` is (time, found, heads, links): times
    `FAR`, heads -1 and links -2 at rest; the caller sets times back.
    """
    time_ms, found, heads, links = scratch
    n = 0
    for i in range(n_seeds):
        n = _reach(slots[i], ms[i], limit_ms, shift, bound, time_ms, found, heads, links, n)
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
                time = near[a, column]
                if time >= 0:
                    n = _reach(
                        near[a, 0], base + time, limit_ms, shift, bound, time_ms, found, heads, links, n
                    )
    return n


@inner
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
