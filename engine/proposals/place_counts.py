"""What one place counts for: a bounded search from it, and the streets that it reaches, band by band."""

from __future__ import annotations

import numpy as np

from engine.proposals.compiled import lean, lean_kernel
from engine.reach.contribution import contribution, meeting
from engine.reach.search import FAR
from engine.reach.searches import lines, stretch


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
        (search, street flags): what `_ball` writes on, and 0 for each street.
    sums
        By bands: what lies within a cutoff but not within the one before, shape (cells, categories, cutoffs).
    """
    search, flag = scratch
    time_ms, found = search[0], search[1]
    for i in range(len(places)):
        place = places[i]
        first, last = view.own.offsets[place], view.own.offsets[place + 1]
        n = _search(place, view, cutoffs[-1], shift, search)
        for a in range(first, last):
            s = view.own.street[a]
            if flag[s] == 0:
                flag[s] = 1
                _count(place, s, True, view, time_ms, cutoffs, of_place, sums, sign)
        for j in range(n):
            here = found[j]
            for a in range(view.offsets[here], view.offsets[here + 1]):
                s = view.incident[a]
                other = view.near[a, 0]
                if flag[s] != 0 or (other < here and time_ms[other] != FAR):
                    continue  # a street with both ends in reach is taken from the lower slot
                _count(place, s, False, view, time_ms, cutoffs, of_place, sums, sign)
        for a in range(first, last):
            flag[view.own.street[a]] = 0
        for j in range(n):
            time_ms[found[j]] = FAR


@lean
def _count(place, s, own, view, time_ms, cutoffs, of_place, sums, sign):  # type: ignore[no-untyped-def]
    """Count a street by the times that a search found."""
    at_u, at_v = np.int64(time_ms[view.ends[s, 0]]), np.int64(time_ms[view.ends[s, 1]])
    count_street(place, s, own, view, at_u, at_v, cutoffs, of_place, sums, sign)


@lean
def count_street(place, s, own, view, at_u, at_v, cutoffs, of_place, sums, sign):  # type: ignore[no-untyped-def]
    """Add what a place counts for along a street with given times at its ends, or take it off."""
    ends, rows = view.ends, view.rows
    if rows.offsets[s] == rows.offsets[s + 1]:
        return
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
def seed_ms(view, a, back):  # type: ignore[no-untyped-def]
    """Time to an access point from the end of its street: u, or v if `back`."""
    time = view.ends[view.own.street[a], 2 + back]
    along = np.int64(np.rint(time * view.own.fraction[a]))
    return view.own.access_ms[a] + (time - along if back else along)


@lean
def _search(place, view, limit_ms, shift, scratch):  # type: ignore[no-untyped-def]
    """Find the times to a place within the limit; return how many slots were reached."""
    ends, own = view.ends, view.own
    first, last = own.offsets[place], own.offsets[place + 1]
    n = 0
    time_ms, found, heads, links = scratch
    for a in range(first, last):
        for back in range(2):
            if ends[own.street[a], 2 + back] >= 0:
                slot, ms = ends[own.street[a], back], seed_ms(view, a, back)
                n = _reach(slot, ms, limit_ms, shift, time_ms, found, heads, links, n)
    return _ball(n, limit_ms, shift, view.offsets, view.near, 1, scratch)


@lean_kernel
def flag_near(slots, view, limit_ms, shift, scratch, near):  # type: ignore[no-untyped-def]
    """
    Flag the places that some slots reach within a limit.

    Parameters
    ----------
    slots
        Distinct slots.
    view
        A layout, as `View`.
    limit_ms
        [ms] The limit; the last part of the way, along the street of a place, does not count.
    shift, scratch
        As in `count_places`, the search alone.
    near
        Flag of each place.
    """
    time_ms, found, heads, links = scratch
    n = 0
    for slot in slots:
        n = _reach(slot, 0, limit_ms, shift, time_ms, found, heads, links, n)
    n = _ball(n, limit_ms, shift, view.offsets, view.near, 2, scratch)
    for place in range(len(near)):
        for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
            s = view.own.street[a]
            near[place] |= time_ms[view.ends[s, 0]] != FAR or time_ms[view.ends[s, 1]] != FAR
    for j in range(n):
        time_ms[found[j]] = FAR


@lean
def _ball(n, limit_ms, shift, offsets, near, way, scratch):  # type: ignore[no-untyped-def]
    """
    Find every slot within a limit of the first `n`; return how many.

    `way` is the column of `near` to go by: 1 for the times to those slots, 2 for the times from them.
    `scratch` is (time, found, heads, links): times `FAR`, heads -1 and links -2 at rest; the caller sets times back.
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
                time = near[a, way]
                if time >= 0:
                    n = _reach(near[a, 0], base + time, limit_ms, shift, time_ms, found, heads, links, n)
    return n


@lean
def _reach(slot, reached, limit_ms, shift, time_ms, found, heads, links, n):  # type: ignore[no-untyped-def]
    """Let a slot be reached at a time if that is earlier than what is known."""
    known = time_ms[slot]
    if reached >= known or reached > limit_ms:
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
