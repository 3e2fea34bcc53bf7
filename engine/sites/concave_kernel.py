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
def one_size(doses):  # type: ignore[no-untyped-def]
    """Dose of each audience where all its doses are alike, else 0, and the sum of its doses."""
    m = len(doses.worth)
    low, high, total = np.full(m, np.inf), np.zeros(m), np.zeros(m)
    for a in range(len(doses.row)):
        i = doses.row[a]
        low[i], high[i] = min(low[i], doses.dose[a]), max(high[i], doses.dose[a])
        total[i] += doses.dose[a]
    return np.where(low == high, high, 0.0), total


@njit(cache=True)
def conjugate(left, scale, unit, total, price):  # type: ignore[no-untyped-def]
    """
    Most that an audience is worth beyond what it pays for its dose, and the dose it takes.

    Where all doses are of one size `unit`, it takes a whole number of them: what nobody can give in part counts as
    nothing in part, which is what the smooth relaxation gives away.
    """
    if left <= 0.0:
        return 0.0, 0.0
    taken = total if price <= 0.0 else min(max(scale * np.log(left / (scale * price)), 0.0), total)
    worth = left * -np.expm1(-taken / scale) - price * taken
    if unit > 0.0:
        fewer = np.floor(taken / unit + 1e-9) * unit
        more = min(fewer + unit, max(total, fewer))
        taken, worth = fewer, left * -np.expm1(-fewer / scale) - price * fewer
        extra = left * -np.expm1(-more / scale) - price * more
        if extra > worth:
            taken, worth = more, extra
    return worth, taken


@njit(cache=True)
def lagrangian(doses, chosen, count, steps, incumbent, gap_target):  # type: ignore[no-untyped-def]
    """
    Upper bound by Lagrangian relaxation of "an audience receives what the chosen candidates give".

    With a price a dose on every audience, what the audiences gain beyond their price plus the `count` candidates that
    earn most at these prices bounds every set. Prices follow averaged subgradients (the volume algorithm, Barahona &
    Anbil 2000) with Polyak's step towards the incumbent, from the slopes of the worth at the chosen set.

    Returns
    -------
    tuple
        Least bound met, steps done, and where it was met the part of the audiences and the earnings of the candidates.
    """
    n, m = len(doses.row_ptr) - 1, len(doses.worth)
    unit, total = one_size(doses)
    before = remaining(doses)
    received, taken = np.zeros(m), np.zeros(m)
    for j in chosen:
        for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
            received[doses.row[a]] += doses.dose[a]
    price = before * np.exp(-received / doses.scale) / doses.scale
    size = price / max(price.max(), 1e-300)  # dear audiences move in larger steps
    best_price, ascent = price.copy(), np.zeros(m)
    earned, slopes = np.zeros(n), np.zeros(n)
    bound, base, scale, calm, done = np.inf, 0.0, 0.5, 0, 0
    while done < steps:
        done += 1
        rest = 0.0
        for i in range(m):
            worth, taken[i] = conjugate(before[i], doses.scale[i], unit[i], total[i], price[i])
            rest += worth
        for j in range(n):
            earned[j] = 0.0
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                earned[j] += price[doses.row[a]] * doses.dose[a]
        order = np.argsort(-earned)[:count]
        value = rest + earned[order].sum()
        calm = 0 if value < bound * (1.0 - 1e-6) else calm + 1
        if value < bound:
            bound, base = value, rest
            slopes[:] = earned
            best_price[:] = price
        if bound <= incumbent * (1.0 + gap_target):
            break
        if calm >= 20:
            scale, calm = scale * 0.7, 0
            price[:] = best_price
            ascent[:] = 0.0
            if scale < 1e-4:
                break
            continue
        slope = taken.copy()
        for j in order:
            for a in range(doses.row_ptr[j], doses.row_ptr[j + 1]):
                slope[doses.row[a]] -= doses.dose[a]
        norm = 0.0
        for i in range(m):
            if price[i] <= 0.0 and slope[i] < 0.0:
                slope[i] = 0.0
            ascent[i] = 0.1 * slope[i] + 0.9 * ascent[i]
            norm += ascent[i] * ascent[i] * size[i]
        if norm <= 0.0:
            break
        step = scale * (value - incumbent) / norm
        for i in range(m):
            price[i] = max(price[i] + step * size[i] * ascent[i], 0.0)
    return bound, done, base, slopes
