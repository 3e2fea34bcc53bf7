"""
Nearest places after a change: labels that hung on it are taken back, what is better now spreads.

A label packs time and place, ``time_ms << 32 | place`` (see `engine.reach.search`); every vertex keeps the k smallest
of distinct places. What has become worse is *repaired*: a label is suspect if it went over a slower arc or a lost
access point, or over a suspect label; suspects are dropped and their vertices filled again from their neighbours.
What has become better is *improved*: it spreads as far as it improves anything. The fixpoint is unique, so it is the
one that a search from the beginning finds.

References
----------
Ramalingam, G., Reps, T. (1996). An incremental algorithm for a generalization of the shortest-path problem. Journal
of Algorithms 21(2), 267–305.
"""

from __future__ import annotations

import numpy as np

from engine.proposals.compiled import inner, kernel
from engine.proposals.heap import longer, pop, push
from engine.reach.search import NONE, PLACE, insert


@kernel
def relabel(labels, limit_ms, category, of_place, changed, old, new, journal):  # type: ignore[no-untyped-def]
    """
    Bring the labels of one category up to date with changed streets.

    Parameters
    ----------
    labels
        Labels of every slot before, shape (slots, k); afterwards those of the new layout.
    limit_ms
        [ms] Farthest time that counts.
    category, of_place
        The category, and the category of every place.
    changed
        Streets with other times or other access points.
    old, new
        (ends, point offsets, point place, ahead, behind) before; the same and (incident offsets, incident street)
        after.
    journal
        (mark, slot, before): ``mark`` is -1 everywhere; afterwards the first rows hold the slots that were touched
        and their labels before.

    Returns
    -------
    Number of slots that were touched.
    """
    heap, touched = (np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int32), np.int64(0)), np.int64(0)
    fresh = np.zeros(labels.shape[1], dtype=np.bool_)
    if _is_worse(category, of_place, changed, old, new):
        heap = _suspects(labels, category, of_place, changed, old, new, heap)
        heap, emptied, touched = _drop(labels, new, journal, heap)
        heap = _refill(labels, limit_ms, category, of_place, emptied, new, fresh, heap)
    heap, touched = _improve(
        labels, limit_ms, category, of_place, changed, new, fresh, journal, touched, heap
    )
    touched = _spread(labels, limit_ms, new, fresh, journal, touched, heap)
    for i in range(touched):
        journal[0][journal[1][i]] = -1
    return touched


@inner
def _suspects(labels, category, of_place, changed, old, new, heap):  # type: ignore[no-untyped-def]
    """Stack the labels that went over what became worse, or over what became faster and may lead there."""
    for i in range(len(changed)):
        s = changed[i]
        if s >= len(old[0]):
            continue
        for back in range(2):
            tail, head = old[0][s, back], old[0][s, 1 - back]
            was, now = old[0][s, 2 + back], new[0][s, 2 + back]
            if 0 <= was != now:
                for r in range(labels.shape[1]):
                    if labels[head, r] != NONE:
                        heap = _suspect(labels, tail, labels[head, r] + (np.int64(was) << 32), heap)
            for p in range(old[1][s], old[1][s + 1]):
                if of_place[old[2][p]] == category:
                    label = _seed(old, s, p, back)
                    if label != NONE and not _seeded(new, s, back, label):
                        heap = _suspect(labels, tail, label, heap)
    return heap


@inner
def _drop(labels, new, journal, heap):  # type: ignore[no-untyped-def]
    """Take suspects off, and what hung on them; return the heap, empty, the slots they stood at and their number."""
    k, touched, size = labels.shape[1], np.int64(0), 0
    emptied = np.empty(1024, dtype=np.int32)
    while heap[2] > 0:
        top = heap[2] - 1
        label, here, heap = heap[0][top], heap[1][top], (heap[0], heap[1], top)
        at = _find(labels[here], label)
        if at < 0:
            continue
        touched = _note(labels, here, journal, touched)
        if size == len(emptied):
            emptied = longer(emptied)
        emptied[size] = here
        size += 1
        for r in range(at, k - 1):
            labels[here, r] = labels[here, r + 1]
        labels[here, k - 1] = NONE
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time >= 0 and new[0][s, 1 - back] == here:
                    heap = _suspect(labels, new[0][s, back], label + (np.int64(time) << 32), heap)
    return heap, emptied[:size], touched


@inner
def _refill(labels, limit_ms, category, of_place, emptied, new, fresh, heap):  # type: ignore[no-untyped-def]
    """Fill emptied slots from their neighbours and their own places; what is filled in is put on the heap."""
    for here in emptied:
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time < 0 or new[0][s, back] != here:
                    continue
                head = new[0][s, 1 - back]
                for r in range(labels.shape[1]):
                    if labels[head, r] != NONE:
                        label = labels[head, r] + (np.int64(time) << 32)
                        heap = _insert(labels, here, label, limit_ms, fresh, heap)
                for p in range(new[1][s], new[1][s + 1]):
                    if of_place[new[2][p]] == category:
                        heap = _insert(labels, here, _seed(new, s, p, back), limit_ms, fresh, heap)
    return heap


@inner
def _insert(labels, slot, label, limit_ms, fresh, heap):  # type: ignore[no-untyped-def]
    """Let a slot whose labels are written down have one more."""
    if label != NONE and label >> 32 <= limit_ms and insert(labels[slot], fresh, label):
        heap = push(heap[0], heap[1], heap[2], label, slot)
    return heap


@inner
def _improve(labels, limit_ms, category, of_place, changed, new, fresh, journal, touched, heap):  # type: ignore[no-untyped-def]
    """Offer the ends of changed streets what they lead to now."""
    for s in changed:
        for back in range(2):
            time = new[0][s, 2 + back]
            if time < 0:
                continue
            tail, head = new[0][s, back], new[0][s, 1 - back]
            for r in range(labels.shape[1]):
                if labels[head, r] != NONE:
                    label = labels[head, r] + (np.int64(time) << 32)
                    heap, touched = _offer(labels, tail, label, limit_ms, fresh, journal, touched, heap)
            for p in range(new[1][s], new[1][s + 1]):
                if of_place[new[2][p]] == category:
                    label = _seed(new, s, p, back)
                    heap, touched = _offer(labels, tail, label, limit_ms, fresh, journal, touched, heap)
    return heap, touched


@inner
def _spread(labels, limit_ms, new, fresh, journal, touched, heap):  # type: ignore[no-untyped-def]
    """Spread the labels on the heap as far as they improve anything; return the number of touched slots."""
    while heap[2] > 0:
        label, here, waiting = pop(heap[0], heap[1], heap[2])
        heap = (heap[0], heap[1], waiting)
        if _find(labels[here], label) < 0:
            continue
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time >= 0 and new[0][s, 1 - back] == here:
                    longer_label = label + (np.int64(time) << 32)
                    heap, touched = _offer(
                        labels, new[0][s, back], longer_label, limit_ms, fresh, journal, touched, heap
                    )
    return touched


@inner
def _is_worse(category, of_place, changed, old, new):  # type: ignore[no-untyped-def]
    """Whether any way or any access point of the category became worse."""
    for i in range(len(changed)):
        s = changed[i]
        if s >= len(old[0]):
            continue
        for back in range(2):
            was, now = old[0][s, 2 + back], new[0][s, 2 + back]
            if was >= 0 and (now < 0 or now > was):
                return True
            for p in range(old[1][s], old[1][s + 1]):
                if of_place[old[2][p]] == category:
                    label = _seed(old, s, p, back)
                    if label != NONE and not _seeded(new, s, back, label):
                        return True
    return False


@inner
def _find(row, label):  # type: ignore[no-untyped-def]
    """Rank of a label, -1 if it is not there."""
    for r in range(len(row)):
        if row[r] == label:
            return r
    return -1


@inner
def _seed(layout, s, p, back):  # type: ignore[no-untyped-def]
    """Label that an access point gives the end of its street: u, or v if `back`; `NONE` where there is no way."""
    time = layout[0][s, 2 + back]
    if time < 0:
        return np.int64(NONE)
    ms = np.int64(time) + layout[4][p] if back else layout[3][p]
    return (ms << 32) | np.int64(layout[2][p])


@inner
def _seeded(layout, s, back, label):  # type: ignore[no-untyped-def]
    """Whether some access point of a street gives its end this label or a better one of the same place."""
    if s + 1 >= len(layout[1]):
        return False
    for p in range(layout[1][s], layout[1][s + 1]):
        if layout[2][p] == label & PLACE and _seed(layout, s, p, back) <= label:
            return True
    return False


@inner
def _note(labels, slot, journal, touched):  # type: ignore[no-untyped-def]
    """Write down the labels of a slot before they change for the first time."""
    mark, slots, before = journal
    if mark[slot] < 0:
        mark[slot] = touched
        slots[touched] = slot
        for r in range(labels.shape[1]):
            before[touched, r] = labels[slot, r]
        touched += 1
    return touched


@inner
def _offer(labels, slot, label, limit_ms, fresh, journal, touched, heap):  # type: ignore[no-untyped-def]
    """Let a slot have a label if that is one of its k best."""
    if label != NONE and label >> 32 <= limit_ms and label < labels[slot, labels.shape[1] - 1]:
        known = touched
        touched = _note(labels, slot, journal, touched)
        if insert(labels[slot], fresh, label):
            heap = push(heap[0], heap[1], heap[2], label, slot)
        elif touched > known:
            journal[0][slot] = -1
            touched = known
    return heap, touched


@inner
def _suspect(labels, slot, label, heap):  # type: ignore[no-untyped-def]
    """Put a label on the stack of suspects if the slot has it."""
    stack, slots, size = heap
    if _find(labels[slot], label) < 0:
        return heap
    if size == len(stack):
        stack, slots = longer(stack), longer(slots)
    stack[size] = label
    slots[size] = slot
    return stack, slots, size + 1
