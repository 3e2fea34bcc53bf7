"""A binary heap of (key, slot) in two arrays, for kernels."""

from __future__ import annotations

import numpy as np

from engine.proposals.compiled import inner, lean


@inner
def longer(array):  # type: ignore[no-untyped-def]
    """Give the array twice the room."""
    twice = np.empty(2 * len(array), dtype=array.dtype)
    twice[: len(array)] = array
    return twice


@inner
def push(keys, slots, size, key, slot):  # type: ignore[no-untyped-def]
    """Put an entry in; return the arrays and the new size."""
    if size == len(keys):
        keys, slots = longer(keys), longer(slots)
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if keys[above] <= key:
            break
        keys[at] = keys[above]
        slots[at] = slots[above]
        at = above
    keys[at] = key
    slots[at] = slot
    return keys, slots, size + 1


@lean
def pop(keys, slots, size):  # type: ignore[no-untyped-def]
    """Take the entry with the smallest key out; return it and the new size."""
    key, slot = keys[0], slots[0]
    size -= 1
    last, last_slot = keys[size], slots[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= last:
            break
        keys[at] = keys[below]
        slots[at] = slots[below]
        at = below
    keys[at] = last
    slots[at] = last_slot
    return key, slot, size
