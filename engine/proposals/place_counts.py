"""What a place counts for along a street, band by band, and which places a change of streets may concern."""

from __future__ import annotations

import numpy as np

from engine.proposals.compiled import lean, lean_kernel
from engine.reach.contribution import contribution, meeting
from engine.reach.search import FAR
from engine.reach.searches import lines, stretch


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
    most = np.inf
    if left == 0.0 and right == 1.0:
        most = min(rising + up if rising < FAR else np.inf, falling if falling < FAR else np.inf)
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
                meeting(rising, falling, up, down),
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
    shift
        A bucket of the search spans 2^shift ms.
    scratch
        (time, found, heads, links), as in `_ball`.
    near
        Flag of each place.
    """
    time_ms, found, heads, links = scratch
    n = 0
    for slot in slots:
        n = _reach(slot, 0, limit_ms, shift, time_ms, found, heads, links, n)
    n = _ball(n, limit_ms, shift, view.offsets, view.near, scratch)
    for place in range(len(near)):
        for a in range(view.own.offsets[place], view.own.offsets[place + 1]):
            s = view.own.street[a]
            near[place] |= time_ms[view.ends[s, 0]] != FAR or time_ms[view.ends[s, 1]] != FAR
    for j in range(n):
        time_ms[found[j]] = FAR


@lean
def _ball(n, limit_ms, shift, offsets, near, scratch):  # type: ignore[no-untyped-def]
    """
    Find every slot that the first `n` reach within a limit; return how many.

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
                time = near[a, 2]
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
