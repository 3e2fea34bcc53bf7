"""
Compiled searches.

Both searches keep a *bucket queue* (Dial 1969): slots wait in lists by the time at which they were reached, a few
seconds a list, and a slot that is reached earlier moves to an earlier list. A slot may be taken up again within its
bucket, so the times are exact whatever the width.

A *label* packs a time and what is reached into one integer, ``time_ms << 32 | place``: comparing labels compares
times first and place numbers second, so every tie has one answer, whatever the order of work.

References
----------
Dial, R. B. (1969). Algorithm 360: shortest-path forest with topological ordering. CACM 12(11), 632–633.
"""

from __future__ import annotations

import numpy as np

from engine.reach.compiled import inner, kernel

NONE = np.iinfo(np.int64).max
"""Label of what is not reached."""
FAR = np.iinfo(np.int32).max
"""Time of what is not reached."""
PLACE = 0xFFFFFFFF
"""Mask of the place in a label."""
OUT = -2  # a slot that waits in no list
_END = -1  # the end of a list


@inner
def enter(heads, links, bucket, slot):  # type: ignore[no-untyped-def]
    """Put a slot at the front of a bucket's list."""
    first = heads[bucket]
    links[slot, 0] = _END
    links[slot, 1] = first
    if first >= 0:
        links[first, 0] = slot
    heads[bucket] = slot


@inner
def leave(heads, links, bucket, slot):  # type: ignore[no-untyped-def]
    """Take a slot out of a bucket's list."""
    before, after = links[slot, 0], links[slot, 1]
    if before >= 0:
        links[before, 1] = after
    else:
        heads[bucket] = after
    if after >= 0:
        links[after, 0] = before
    links[slot, 0] = OUT


@kernel
def ball(indptr, arcs, seed_slot, seed_ms, limit_ms, shift, scratch):  # type: ignore[no-untyped-def]
    """
    Find every slot within a limit of the seeds; return how many.

    `scratch` is (time_ms, found, heads, links): times must be `FAR` and heads -1 everywhere; afterwards ``found[:n]``
    lists the slots in no particular order, and the caller sets their times back to `FAR`. A bucket spans 2^shift ms.
    """
    time_ms, found, heads, links = scratch
    n = np.int64(0)
    for i in range(len(seed_slot)):
        slot, reached = seed_slot[i], seed_ms[i]
        known = time_ms[slot]
        if reached > limit_ms or reached >= known:
            continue
        if known == FAR:
            found[n] = slot
            n += 1
        else:
            leave(heads, links, known >> shift, slot)
        time_ms[slot] = reached
        enter(heads, links, reached >> shift, slot)
    for bucket in range((limit_ms >> shift) + 1):
        while heads[bucket] >= 0:
            here = heads[bucket]
            leave(heads, links, bucket, here)
            for a in range(indptr[here], indptr[here + 1]):
                there, reached = arcs[a, 0], time_ms[here] + arcs[a, 1]
                known = time_ms[there]
                if reached >= known or reached > limit_ms:
                    continue
                if known == FAR:
                    found[n] = there
                    n += 1
                elif links[there, 0] != OUT:
                    leave(heads, links, known >> shift, there)
                time_ms[there] = reached
                enter(heads, links, reached >> shift, there)
    return n


@inner
def insert(labels, fresh, label):  # type: ignore[no-untyped-def]
    """
    Put a label into the k best of distinct places, sorted, and mark it fresh; return True if it entered.

    A place that is already there keeps its better label.
    """
    k = len(labels)
    if label >= labels[k - 1]:
        return False
    place = label & PLACE
    at = k - 1
    for i in range(k):
        if labels[i] != NONE and labels[i] & PLACE == place:
            if labels[i] <= label:
                return False
            at = i
            break
    while at > 0 and labels[at - 1] > label:
        labels[at] = labels[at - 1]
        fresh[at] = fresh[at - 1]
        at -= 1
    labels[at] = label
    fresh[at] = True
    return True


@kernel
def k_nearest(indptr, arcs, seed_slot, seed_label, limit_ms, shift, labels, heads, scratch):  # type: ignore[no-untyped-def]
    """
    Improve the k smallest labels of every slot by what the seeds reach against the arcs.

    `labels`, shape (slots, k), holds what is known so far (`NONE` at first) and is improved in place. `heads` is a
    ring of buckets, -1 everywhere: its length, a power of two, exceeds any arc and the span of the seeds. `scratch`
    is (fresh, links, home): False everywhere, -2 everywhere, anything.
    """
    k = labels.shape[1]
    ring = len(heads) - 1
    fresh, links, home = scratch
    waiting = np.int64(0)
    bucket = NONE
    for i in range(len(seed_slot)):
        slot, label = seed_slot[i], seed_label[i]
        if label >> 32 <= limit_ms and insert(labels[slot], fresh[slot], label):
            waiting = waiting + _wait(heads, links, home, ring, (label >> 32) >> shift, slot)
            bucket = min(bucket, (label >> 32) >> shift)
    while waiting > 0:
        here = heads[bucket & ring]
        if here < 0:
            bucket += 1
            continue
        leave(heads, links, bucket & ring, here)
        waiting -= 1
        later = NONE
        for i in range(k):
            if not fresh[here, i]:
                continue
            label = labels[here, i]
            if (label >> 32) >> shift > bucket:
                later = min(later, (label >> 32) >> shift)
                continue
            fresh[here, i] = False
            for a in range(indptr[here], indptr[here + 1]):
                there, longer = arcs[a, 0], label + (np.int64(arcs[a, 1]) << 32)
                if longer >> 32 <= limit_ms and insert(labels[there], fresh[there], longer):
                    waiting = waiting + _wait(heads, links, home, ring, (longer >> 32) >> shift, there)
        if later != NONE:
            waiting = waiting + _wait(heads, links, home, ring, later, here)
    return labels


@inner
def _wait(heads, links, home, ring, bucket, slot):  # type: ignore[no-untyped-def]
    """Let a slot wait in a bucket unless it waits in an earlier one; return 1 if it did not wait before."""
    if links[slot, 0] != OUT:
        if home[slot] <= bucket:
            return 0
        leave(heads, links, home[slot] & ring, slot)
        home[slot] = bucket
        enter(heads, links, bucket & ring, slot)
        return 0
    home[slot] = bucket
    enter(heads, links, bucket & ring, slot)
    return 1
