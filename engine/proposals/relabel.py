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
    k = labels.shape[1]
    heap_label, heap_slot, waiting = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int32), 0
    emptied = np.empty(1024, dtype=np.int32)
    n_emptied = 0
    fresh = np.zeros(k, dtype=np.bool_)
    touched = 0
    # suspects: labels that went over what became worse, or over what became faster and may lead there
    worse = _is_worse(category, of_place, changed, old, new)
    for i in range(len(changed) if worse else 0):
        s = changed[i]
        if s >= len(old[0]):
            continue
        u, v = old[0][s, 0], old[0][s, 1]
        for back in range(2):
            tail, head = (v, u) if back else (u, v)
            was, now = old[0][s, 2 + back], new[0][s, 2 + back]
            if 0 <= was != now:
                for r in range(k):
                    if labels[head, r] != NONE:
                        heap_label, heap_slot, waiting = _suspect(
                            labels,
                            tail,
                            labels[head, r] + (np.int64(was) << 32),
                            heap_label,
                            heap_slot,
                            waiting,
                        )
        for p in range(old[1][s], old[1][s + 1]):
            if of_place[old[2][p]] != category:
                continue
            for back in range(2):
                label = _seed(old, s, p, back)
                if label != NONE and not _seeded(new, s, back, label):
                    heap_label, heap_slot, waiting = _suspect(
                        labels, v if back else u, label, heap_label, heap_slot, waiting
                    )
    while waiting > 0:
        waiting -= 1
        here, label = heap_slot[waiting], heap_label[waiting]
        at = _find(labels[here], label)
        if at < 0:
            continue
        touched = _note(labels, here, journal, touched)
        if n_emptied == len(emptied):
            emptied = longer(emptied)
        emptied[n_emptied] = here
        n_emptied += 1
        for r in range(at, k - 1):
            labels[here, r] = labels[here, r + 1]
        labels[here, k - 1] = NONE
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time >= 0 and new[0][s, 1 - back] == here:
                    tail = new[0][s, back]
                    heap_label, heap_slot, waiting = _suspect(
                        labels, tail, label + (np.int64(time) << 32), heap_label, heap_slot, waiting
                    )
    # fill the emptied vertices from their neighbours and their own places
    for i in range(n_emptied):
        here = emptied[i]
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time < 0 or new[0][s, back] != here:
                    continue
                head = new[0][s, 1 - back]
                for r in range(k):
                    if labels[head, r] == NONE:
                        continue
                    label = labels[head, r] + (np.int64(time) << 32)
                    if label >> 32 <= limit_ms and insert(labels[here], fresh, label):
                        heap_label, heap_slot, waiting = push(heap_label, heap_slot, waiting, label, here)
                for p in range(new[1][s], new[1][s + 1]):
                    if of_place[new[2][p]] != category:
                        continue
                    label = _seed(new, s, p, back)
                    if label != NONE and label >> 32 <= limit_ms and insert(labels[here], fresh, label):
                        heap_label, heap_slot, waiting = push(heap_label, heap_slot, waiting, label, here)
    # what became better
    for i in range(len(changed)):
        s = changed[i]
        for back in range(2):
            time = new[0][s, 2 + back]
            if time < 0:
                continue
            tail, head = new[0][s, back], new[0][s, 1 - back]
            for r in range(k):
                if labels[head, r] == NONE:
                    continue
                label = labels[head, r] + (np.int64(time) << 32)
                touched, heap_label, heap_slot, waiting = _offer(
                    labels, tail, label, limit_ms, fresh, journal, touched, heap_label, heap_slot, waiting
                )
            for p in range(new[1][s], new[1][s + 1]):
                if of_place[new[2][p]] != category:
                    continue
                touched, heap_label, heap_slot, waiting = _offer(
                    labels, tail, _seed(new, s, p, back), limit_ms, fresh, journal, touched, heap_label, heap_slot,
                    waiting,
                )  # fmt: skip
    while waiting > 0:
        label, here, waiting = pop(heap_label, heap_slot, waiting)
        if _find(labels[here], label) < 0:
            continue
        for a in range(new[5][here], new[5][here + 1]):
            s = new[6][a]
            for back in range(2):
                time = new[0][s, 2 + back]
                if time >= 0 and new[0][s, 1 - back] == here:
                    touched, heap_label, heap_slot, waiting = _offer(
                        labels, new[0][s, back], label + (np.int64(time) << 32), limit_ms, fresh, journal, touched,
                        heap_label, heap_slot, waiting,
                    )  # fmt: skip
    for i in range(touched):
        journal[0][journal[1][i]] = -1
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
def _offer(labels, slot, label, limit_ms, fresh, journal, touched, heap_label, heap_slot, waiting):  # type: ignore[no-untyped-def]
    """Let a slot have a label if that is one of its k best."""
    if label != NONE and label >> 32 <= limit_ms and label < labels[slot, labels.shape[1] - 1]:
        known = touched
        touched = _note(labels, slot, journal, touched)
        if insert(labels[slot], fresh, label):
            heap_label, heap_slot, waiting = push(heap_label, heap_slot, waiting, label, slot)
        elif touched > known:
            journal[0][slot] = -1
            touched = known
    return touched, heap_label, heap_slot, waiting


@inner
def _suspect(labels, slot, label, stack_label, stack_slot, size):  # type: ignore[no-untyped-def]
    """Put a label on the stack of suspects if the slot has it."""
    if _find(labels[slot], label) < 0:
        return stack_label, stack_slot, size
    if size == len(stack_label):
        stack_label, stack_slot = longer(stack_label), longer(stack_slot)
    stack_label[size] = label
    stack_slot[size] = slot
    return stack_label, stack_slot, size + 1
