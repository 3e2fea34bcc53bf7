"""Bounded searches, one a place: what each place counts for along every street that it is reached from."""

from __future__ import annotations

import numpy as np

from engine.reach.compiled import inner, kernel
from engine.reach.contribution import contribution, meeting
from engine.reach.decay import STEP
from engine.reach.search import FAR, ball


@kernel
def search_places(  # type: ignore[no-untyped-def]
    places,
    capacity,
    category,
    starts,
    into,
    incident,
    ends,
    limit,
    shift,
    points,
    own,
    decays,
    rows,
    pieces,
    scratch,
    sums,
    entries,
):
    """
    Search from each of some places; add what it counts for to `sums`, and list it where `entries` has room.

    Parameters
    ----------
    places
        Places to search from.
    capacity, category
        Of every place.
    starts
        Seeds: (offsets by place, slot, time).
    into, incident, ends, shift
        As in `ReachGraph`; streets by rank.
    limit
        [ms] Greatest limit of the decays.
    points
        Street points: (offsets by street, fraction, place, ahead, behind).
    own
        Streets on which each place lies: (offsets by place, street).
    decays
        One `Decay.row` a measure.
    rows, pieces
        Of `PieceRows`: (rows of each street, walk to each row), and (offsets, table).
    scratch
        A `Scratch`; then (cells touched, their contributions, whether touched, whether a street is the place's own):
        0 and False at rest.
    sums
        Contributions · capacity are added here, shape (cells, categories, measures); no categories to skip that.
    entries
        (cell, contributions, number of entries of each place): filled place by place if the first has any room.
    """
    search, touched, mine = scratch
    time_ms, found = search[0], search[1]
    measures = len(decays)
    filled = np.int64(0)
    for i in range(len(places)):
        place = places[i]
        first, last = starts[0][place], starts[0][place + 1]
        reached = ball(into[0], into[1], starts[1][first:last], starts[2][first:last], limit, shift, search)
        size = np.int64(0)
        for a in range(own[0][place], own[0][place + 1]):
            s = own[1][a]
            mine[s] = True
            at_u, at_v = np.int64(time_ms[ends[s, 0]]), np.int64(time_ms[ends[s, 1]])
            left = 0.0
            while left < 1.0:
                right, rising, falling = stretch(place, points, s, left, at_u, at_v, ends[s, 2], ends[s, 3])
                size = _on(s, rising, falling, ends[s], left, right, decays, rows, pieces, touched, size)
                left = right
        for a in range(reached):
            here = found[a]
            for b in range(incident[0][here], incident[0][here + 1]):
                s = incident[1][b]
                u, v = ends[s, 0], ends[s, 1]
                if mine[s] or rows[0][s] == rows[0][s + 1] or (here == v and u != v and time_ms[u] != FAR):
                    continue  # a street with both ends in reach is taken from u
                rising, falling = lines(np.int64(time_ms[u]), np.int64(time_ms[v]), ends[s, 2], ends[s, 3])
                size = _on(s, rising, falling, ends[s], 0.0, 1.0, decays, rows, pieces, touched, size)
        for a in range(reached):
            time_ms[found[a]] = FAR
        for a in range(own[0][place], own[0][place + 1]):
            mine[own[1][a]] = False
        entries[2][i] = size
        for a in range(size):
            cell = touched[0][a]
            touched[2][cell] = False
            for m in range(measures):
                units = touched[1][cell, m]
                touched[1][cell, m] = 0
                if sums.shape[1] > 0:
                    sums[cell, category[place], m] += np.int64(np.rint(units * capacity[place]))
                if len(entries[0]) > 0:
                    entries[1][filled, m] = units
            if len(entries[0]) > 0:
                entries[0][filled] = cell
                filled += 1


@inner
def lines(at_u, at_v, forward, backward):  # type: ignore[no-untyped-def]
    """Times at fraction 0 of the lines that rise from u and fall towards v; `FAR` where there is none."""
    far = np.int64(FAR)
    rising = at_u if backward >= 0 else far
    falling = at_v + np.int64(forward) if forward >= 0 and at_v < far else far
    return rising, falling


@inner
def stretch(place, points, s, left, at_u, at_v, forward, backward):  # type: ignore[no-untyped-def]
    """Give the end and the lines of the stretch from `left` to the next access point of the place on its street."""
    offsets, fraction, owner, ahead_ms, behind_ms = points
    right = 1.0
    rising, falling = lines(at_u, at_v, forward, backward)
    for p in range(offsets[s], offsets[s + 1]):
        if owner[p] == place and left < fraction[p] < right:
            right = fraction[p]
    for p in range(offsets[s], offsets[s + 1]):
        if owner[p] != place:
            continue
        if backward >= 0 and fraction[p] <= left:
            rising = min(rising, behind_ms[p])
        if forward >= 0 and fraction[p] >= right:
            falling = min(falling, ahead_ms[p])
    return right, rising, falling


@inner
def _on(s, rising, falling, ends, left, right, decays, rows, pieces, touched, size):  # type: ignore[no-untyped-def]
    """Add the contributions of one stretch of a street to what a place touches."""
    if rising >= FAR and falling >= FAR:
        return size
    offsets, table = pieces
    cells, sums, seen = touched
    up, down = np.float64(ends[3]), np.float64(ends[2])
    meet = meeting(rising, falling, up, down)
    entire = left == 0.0 and right == 1.0 and 0.0 <= meet <= 1.0
    for r in range(rows[0][s], rows[0][s + 1]):
        walk = rows[1][r]
        for p in range(offsets[r], offsets[r + 1]):
            cell = np.int64(table[p, 3])
            for m in range(len(decays)):
                if entire and decays[m, 0] == STEP and rising + up * meet + walk <= decays[m, 1]:
                    added = np.int64(table[p, 2])
                else:
                    added = contribution(
                        table[p, 0],
                        table[p, 1],
                        table[p, 2],
                        left,
                        right,
                        rising + walk if rising < FAR else rising,
                        falling + walk if falling < FAR else falling,
                        up,
                        down,
                        meet,
                        decays[m],
                    )
                if added != 0:
                    if not seen[cell]:
                        seen[cell] = True
                        cells[size] = cell
                        size += 1
                    sums[cell, m] += added
    return size
