"""
Travel time along one street: the piecewise linear function that every cell measure integrates.

A point at fraction x of a street u→v (forward time F, backward time B) reaches a place by way of u in
``t_u + B·x``, by way of v in ``t_v + F·(1 − x)``, and directly if the place lies on the street: ahead at f ≥ x in
``a + F·f − F·x``, behind at f ≤ x in ``a − B·f + B·x``. Between the places of the street, all lines that rise are
parallel and so are all lines that fall; the k-th nearest place changes only where a rising meets a falling line.
"""

from __future__ import annotations

import numpy as np

from engine.reach.compiled import inner
from engine.reach.search import NONE, PLACE, insert


@inner
def profile(at_u, at_v, forward, backward, points, first, last, category, start, stop, spare, out, size):  # type: ignore[no-untyped-def]
    """
    Append the linear parts of the k nearest times between two fractions of a street.

    `at_u`, `at_v` are the labels of the ends (k each); `points` the street points (fraction, place, category,
    ahead, behind), of which rows `first`:`last` of the category lie on this street. `out` has arrays
    (x0, x1, time at x0, time at x1, place), each of shape (k, capacity); `spare` is scratch space: two arrays of k
    labels, k flags and k² + 1 fractions. Return the new number of parts.
    """
    fraction, place, kind, ahead_ms, behind_ms = points
    k = len(at_u)
    rising, falling, fresh, cuts = spare
    left = start
    while True:
        right = stop
        for p in range(first, last):
            if kind[p] == category and left < fraction[p] < right:
                right = fraction[p]
                break
        for i in range(k):
            rising[i] = NONE
            falling[i] = NONE
        for i in range(k):
            if backward >= 0 and at_u[i] != NONE:
                insert(rising, fresh, at_u[i])
            if forward >= 0 and at_v[i] != NONE:
                insert(falling, fresh, at_v[i] + (np.int64(forward) << 32))
        for p in range(first, last):
            if kind[p] != category:
                continue
            if backward >= 0 and fraction[p] <= left:
                insert(rising, fresh, (behind_ms[p] << 32) | place[p])
            if forward >= 0 and fraction[p] >= right:
                insert(falling, fresh, (ahead_ms[p] << 32) | place[p])
        size = _between(rising, falling, forward, backward, left, right, cuts, out, size)
        if right >= stop:
            return size
        left = right


@inner
def _between(rising, falling, forward, backward, left, right, cuts, out, size):  # type: ignore[no-untyped-def]
    """Append the parts of one run without places inside it."""
    k = len(rising)
    n = 0
    slope = np.float64(max(forward, 0) + max(backward, 0))
    if slope > 0 and right > left:
        for i in range(k):
            for j in range(k):
                if rising[i] == NONE or falling[j] == NONE:
                    continue
                x = np.float64((falling[j] >> 32) - (rising[i] >> 32)) / slope
                if not left < x < right:
                    continue
                at = n
                while at > 0 and cuts[at - 1] > x:
                    cuts[at] = cuts[at - 1]
                    at -= 1
                cuts[at] = x
                n += 1
    cuts[n] = right
    begin = left
    for c in range(n + 1):
        end = cuts[c]
        if end > begin or right == left:
            _merge(rising, falling, forward, backward, begin, end, out, size)
            size += 1
        begin = end
    return size


@inner
def _merge(rising, falling, forward, backward, begin, end, out, size):  # type: ignore[no-untyped-def]
    """Write the k nearest distinct places between two fractions where no lines cross."""
    x0, x1, t0, t1, who = out
    k = len(rising)
    middle = 0.5 * (begin + end)
    i = 0
    j = 0
    rank = 0
    while rank < k:
        up = i < k and rising[i] != NONE
        down = j < k and falling[j] != NONE
        x0[rank, size] = begin
        x1[rank, size] = end
        if not up and not down:
            t0[rank, size] = np.inf
            t1[rank, size] = np.inf
            who[rank, size] = -1
            rank += 1
            continue
        if up and down:
            by_u = np.float64(rising[i] >> 32) + backward * middle
            by_v = np.float64(falling[j] >> 32) - forward * middle
            up = by_u < by_v or (by_u == by_v and (rising[i] & PLACE) <= (falling[j] & PLACE))
        if up:
            label, slope = rising[i], np.float64(backward)
            i += 1
        else:
            label, slope = falling[j], -np.float64(forward)
            j += 1
        place = np.int32(label & PLACE)
        seen = False
        for r in range(rank):
            seen |= who[r, size] == place
        if seen:
            continue
        t0[rank, size] = np.float64(label >> 32) + slope * begin
        t1[rank, size] = np.float64(label >> 32) + slope * end
        who[rank, size] = place
        rank += 1


@inner
def quantile(low, high, mass, n, share):  # type: ignore[no-untyped-def]
    """
    Smallest time that at least a share of the mass does not exceed; each part is spread evenly from low to high.

    Infinite if too little mass is finite. Exact: between two neighbouring ends of parts the mass grows evenly, so a
    bisection over the ends finds the right pair, and a straight line the time between them.
    """
    total, above = 0.0, -np.inf
    for i in range(n):
        total += mass[i]
        if mass[i] > 0.0 and above < high[i] < np.inf:
            above = high[i]
    target = share * total * (1.0 - 1e-12)
    if _at_most(low, high, mass, n, above) < target:
        return np.inf
    below = -np.inf
    while True:
        floor = above
        for i in range(n):
            if mass[i] > 0.0 and low[i] > below:
                floor = min(floor, low[i])
        middle, gap = 0.5 * (floor + above), np.inf
        pivot = above
        for i in range(n):
            for end in (low[i], high[i]):
                if mass[i] > 0.0 and below < end < above and abs(end - middle) < gap:
                    pivot, gap = end, abs(end - middle)
        if pivot == above:
            break
        if _at_most(low, high, mass, n, pivot) >= target:
            above = pivot
        else:
            below = pivot
    if below == -np.inf:
        return above
    rate = 0.0
    for i in range(n):
        if low[i] <= below and above <= high[i] < np.inf:
            rate += mass[i] / (high[i] - low[i])
    if rate <= 0.0:
        return above
    return min(below + (target - _at_most(low, high, mass, n, below)) / rate, above)


@inner
def _at_most(low, high, mass, n, value):  # type: ignore[no-untyped-def]
    """Mass whose time is at most a value."""
    total = 0.0
    for i in range(n):
        if high[i] <= value:
            total += mass[i]
        elif low[i] < value and high[i] < np.inf:
            total += mass[i] * (value - low[i]) / (high[i] - low[i])
    return total
