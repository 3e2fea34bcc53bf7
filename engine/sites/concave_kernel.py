"""
Compiled parts of concave covering: each audience is worth ``w · (1 − exp(−z / k))`` for the dose ``z`` it receives.

The worth of a set is the sum over audiences: monotone and submodular, because each is concave in its dose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]


class Doses(NamedTuple):
    """What each candidate gives to which audience, in compressed rows, and the audiences."""

    row_ptr: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    dose: FloatArray
    worth: FloatArray
    scale: FloatArray
    standing: FloatArray
    """Dose that each audience has already."""


@njit(cache=True)
def marginal(doses, left, j):  # type: ignore[no-untyped-def]
    """What candidate `j` adds; ``left[i]`` is the worth that audience i has still to gain."""
    total = 0.0
    for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
        i = doses.row[a]
        total += left[i] * -np.expm1(-doses.dose[a] / doses.scale[i])
    return total


@njit(cache=True)
def remaining(doses):  # type: ignore[no-untyped-def]
    """Worth that each audience has still to gain, given what stands already."""
    return doses.worth * np.exp(-doses.standing / doses.scale)


@njit(cache=True)
def _sift(keys, items, size, at):  # type: ignore[no-untyped-def]
    """Move an entry of a binary heap down; the largest key is first, of equals the lowest item."""
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and (
            keys[child + 1] > keys[child]
            or (keys[child + 1] == keys[child] and items[child + 1] < items[child])
        ):
            child += 1
        if keys[child] > keys[at] or (keys[child] == keys[at] and items[child] < items[at]):
            keys[child], keys[at] = keys[at], keys[child]
            items[child], items[at] = items[at], items[child]
            at = child
        else:
            break


@njit(cache=True)
def lazy_greedy(doses, count):  # type: ignore[no-untyped-def]
    """
    Add the best candidate `count` times; stale gains only overstate, so most are never computed again (Minoux 1978).

    Returns
    -------
    tuple
        Chosen candidates in order, and the gain of each.
    """
    n = len(doses.row_ptr) - 1
    left = remaining(doses)
    keys = np.empty(n)
    items = np.arange(n)
    fresh = np.zeros(n, np.int64)
    for j in range(n):
        keys[j] = marginal(doses, left, j)
    for at in range(n // 2 - 1, -1, -1):
        _sift(keys, items, n, at)
    chosen = np.full(min(count, n), -1, np.int64)
    gains = np.zeros(len(chosen))
    size, done = n, 0
    while done < len(chosen) and size > 0 and keys[0] > 0.0:
        j = items[0]
        if fresh[j] < done:
            keys[0] = marginal(doses, left, j)
            fresh[j] = done
        else:
            chosen[done], gains[done] = j, keys[0]
            done += 1
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                i = doses.row[a]
                left[i] *= np.exp(-doses.dose[a] / doses.scale[i])
            size -= 1
            keys[0], items[0] = keys[size], items[size]
        _sift(keys, items, size, 0)
    return chosen[:done], gains[:done]


@njit(cache=True)
def frank_wolfe(doses, chosen, count, steps, incumbent, gap_target):  # type: ignore[no-untyped-def]
    """
    Upper bound by the concave relaxation that lets a candidate be chosen in part.

    At any fractional x, ``worth(x) + gradient · (v − x)`` with v the `count` candidates of largest gradient bounds
    every set, because the worth is concave in the doses (Frank & Wolfe 1956). x starts at the chosen set.

    Returns
    -------
    tuple
        Least bound met, steps done, and where it was met the worth at nothing chosen and the gradient.
    """
    n, m = len(doses.row_ptr) - 1, len(doses.worth)
    x = np.zeros(n)
    for j in chosen:
        x[j] = 1.0
    gradient, slopes = np.zeros(n), np.zeros(n)
    bound, base, done = np.inf, 0.0, 0
    before = remaining(doses)
    while done < steps:
        done += 1
        left = before.copy()
        received = np.zeros(m)
        for j in range(n):
            if x[j] > 0.0:
                for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                    received[doses.row[a]] += doses.dose[a] * x[j]
        now = 0.0
        for i in range(m):
            left[i] *= np.exp(-received[i] / doses.scale[i])
            now += before[i] - left[i]
        at_nothing = now
        for j in range(n):
            g = 0.0
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                g += left[doses.row[a]] / doses.scale[doses.row[a]] * doses.dose[a]
            gradient[j] = g
            at_nothing -= g * x[j]
        order = np.argsort(-gradient)[:count]
        slack = at_nothing - now
        for j in order:
            slack += gradient[j]
        if now + slack < bound:
            bound, base = now + slack, at_nothing
            slopes[:] = gradient
        if bound <= incumbent * (1.0 + gap_target) or slack <= 1e-12 * now:
            break
        toward = np.zeros(m)
        for j in range(n):
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                toward[doses.row[a]] -= doses.dose[a] * x[j]
        for j in order:
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                toward[doses.row[a]] += doses.dose[a]
        low, high = 0.0, 1.0
        for _ in range(30):  # the best step: where the slope along the line is nought
            middle = (low + high) / 2
            slope = 0.0
            for i in range(m):
                slope += left[i] * np.exp(-toward[i] * middle / doses.scale[i]) * toward[i] / doses.scale[i]
            if slope > 0.0:
                low = middle
            else:
                high = middle
        step = low
        x *= 1.0 - step
        for j in order:
            x[j] += step
    return bound, done, base, slopes
