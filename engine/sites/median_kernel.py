"""
Compiled parts of the p-median in terms of savings: what each demand saves by its best site.

A *saving* is how much less a demand pays at a candidate than without any site; demand counts its largest saving among
the chosen sites. Weighted savings are whole numbers in float64 whose sums stay below 2**52, so every sum is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]


class Savings(NamedTuple):
    """Weighted savings in compressed rows (candidates) and columns (demand)."""

    row_ptr: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    row_value: FloatArray
    col_ptr: npt.NDArray[np.int64]
    col: npt.NDArray[np.int32]
    col_value: FloatArray
    hit_ptr: npt.NDArray[np.int64]
    hit: npt.NDArray[np.int32]


class Sites(NamedTuple):
    """A set under construction: ``best`` is what each demand saves now, ``gain`` what each candidate would add."""

    chosen: npt.NDArray[np.int64]
    inside: npt.NDArray[np.bool_]
    blocked: npt.NDArray[np.int32]
    best: FloatArray
    gain: FloatArray


@njit(cache=True)
def _set_best(savings, sites, i, new):  # type: ignore[no-untyped-def]
    """Change what demand `i` saves, and with it the gains of all that could serve it."""
    old = sites.best[i]
    sites.best[i] = new
    for b in range(savings.col_ptr[i], savings.col_ptr[i + 1]):
        s = savings.col_value[b]
        sites.gain[savings.col[b]] += max(0.0, s - new) - max(0.0, s - old)


@njit(cache=True)
def _add(savings, sites, j):  # type: ignore[no-untyped-def]
    sites.inside[j] = True
    for a in range(savings.row_ptr[j], savings.row_ptr[j + 1]):
        if savings.row_value[a] > sites.best[savings.row[a]]:
            _set_best(savings, sites, savings.row[a], savings.row_value[a])
    for a in range(savings.hit_ptr[j], savings.hit_ptr[j + 1]):
        sites.blocked[savings.hit[a]] += 1


@njit(cache=True)
def _remove(savings, sites, j):  # type: ignore[no-untyped-def]
    sites.inside[j] = False
    for a in range(savings.row_ptr[j], savings.row_ptr[j + 1]):
        i = savings.row[a]
        if savings.row_value[a] == sites.best[i]:
            second = 0.0
            for b in range(savings.col_ptr[i], savings.col_ptr[i + 1]):
                if sites.inside[savings.col[b]] and savings.col_value[b] > second:
                    second = savings.col_value[b]
            if second < sites.best[i]:
                _set_best(savings, sites, i, second)
    for a in range(savings.hit_ptr[j], savings.hit_ptr[j + 1]):
        sites.blocked[savings.hit[a]] -= 1


@njit(cache=True)
def _largest(sites):  # type: ignore[no-untyped-def]
    best, most = -1, -1.0
    for j in range(len(sites.gain)):
        if sites.gain[j] > most and not sites.inside[j] and sites.blocked[j] == 0:
            best, most = j, sites.gain[j]
    return best


@njit(cache=True)
def _fill(savings, sites, size):  # type: ignore[no-untyped-def]
    while size < len(sites.chosen):
        j = _largest(sites)
        if j < 0 or sites.gain[j] <= 0.0:
            break
        sites.chosen[size] = j
        size += 1
        _add(savings, sites, j)
    return size


@njit(cache=True)
def _exchange(savings, sites, size):  # type: ignore[no-untyped-def]
    """Move one site at a time to its best place, until no single move improves the set (Teitz & Bart 1968)."""
    calm, k = 0, 0
    while calm < size:
        old = sites.chosen[k]
        _remove(savings, sites, old)
        new = _largest(sites)
        calm += 1
        if sites.gain[new] > sites.gain[old]:
            calm = 0
        else:
            new = old
        sites.chosen[k] = new
        _add(savings, sites, new)
        k = (k + 1) % size


@njit(cache=True)
def search(savings, count, restarts, seed):  # type: ignore[no-untyped-def]
    """
    Greedy, exchange, then rounds that take out a few random sites, refill and exchange; worse sets are taken back.

    Returns
    -------
    tuple
        Chosen candidates, saving of the greedy set, saving of the best set.
    """
    n = len(savings.row_ptr) - 1
    gain = np.zeros(n)
    for j in range(n):
        for a in range(savings.row_ptr[j], savings.row_ptr[j + 1]):
            gain[j] += savings.row_value[a]
    sites = Sites(
        np.full(count, -1, np.int64),
        np.zeros(n, np.bool_),
        np.zeros(n, np.int32),
        np.zeros(len(savings.col_ptr) - 1),
        gain,
    )
    size = _fill(savings, sites, 0)
    greedy = sites.best.sum()
    _exchange(savings, sites, size)
    most = sites.best.sum()
    best = sites.chosen[:size].copy()
    state = np.uint64(seed)
    for _ in range(restarts):
        if size < 2:
            break
        opened = 0
        while opened < min(3, size):
            state ^= state << np.uint64(13)  # xorshift, Marsaglia 2003
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            k = np.int64(state % np.uint64(size))
            _remove(savings, sites, sites.chosen[k])
            size -= 1
            sites.chosen[k] = sites.chosen[size]
            opened += 1
            if size == 0:
                break
        size = _fill(savings, sites, size)
        _exchange(savings, sites, size)
        now = sites.best.sum()
        if now >= most:
            most = now
            best = sites.chosen[:size].copy()
        else:
            for t in range(size):
                _remove(savings, sites, sites.chosen[t])
            size = len(best)
            for t in range(size):
                sites.chosen[t] = best[t]
                _add(savings, sites, best[t])
    return best, greedy, most


@njit(cache=True)
def lagrangian(savings, clique, count, steps, incumbent, gap_target):  # type: ignore[no-untyped-def]
    """
    Upper bound on the savings by relaxing "each demand goes to one site" (Cornuéjols, Fisher & Nemhauser 1977).

    With prices p ≥ 0, ``Σ p + the `count` largest Σ max(0, saving − p) over a row``, at most one candidate a clique,
    bounds every set.

    Returns
    -------
    tuple
        Bound, steps done.
    """
    n, m = len(savings.row_ptr) - 1, len(savings.col_ptr) - 1
    price = np.zeros(m)
    for i in range(m):
        for b in range(savings.col_ptr[i], savings.col_ptr[i + 1]):
            price[i] = max(price[i], savings.col_value[b] / 2)
    best_price = price.copy()
    descent = np.zeros(m)
    groups = clique.max() + 1 if n else 0
    bound, scale, calm, done = np.inf, 0.5, 0, 0
    while done < steps:
        done += 1
        top = np.zeros(groups)
        who = np.full(groups, -1, np.int64)
        for j in range(n):
            worth = 0.0
            for a in range(savings.row_ptr[j], savings.row_ptr[j + 1]):
                worth += max(0.0, savings.row_value[a] - price[savings.row[a]])
            if worth > top[clique[j]]:
                top[clique[j]], who[clique[j]] = worth, j
        order = np.argsort(-top)[:count]
        total = price.sum()
        for g in order:
            total += top[g]
        calm = 0 if total < bound * (1.0 - 1e-6) or bound == np.inf else calm + 1
        if total < bound:
            bound = total
            best_price[:] = price
        if bound <= incumbent * (1.0 + gap_target):
            break
        if calm >= 40:
            scale, calm = scale * 0.8, 0
            price[:] = best_price
            descent[:] = 0.0
            if scale < 1e-4:
                break
            continue
        slope = np.ones(m)
        for g in order:
            if who[g] >= 0:
                for a in range(savings.row_ptr[who[g]], savings.row_ptr[who[g] + 1]):
                    if savings.row_value[a] > price[savings.row[a]]:
                        slope[savings.row[a]] -= 1.0
        norm = 0.0
        for i in range(m):
            if price[i] <= 0.0 and slope[i] > 0.0:
                slope[i] = 0.0
            descent[i] = 0.1 * slope[i] + 0.9 * descent[i]
            norm += descent[i] * descent[i]
        if norm <= 0.0:
            break
        step = scale * max(total - incumbent, 1e-9 * abs(total)) / norm
        for i in range(m):
            price[i] = max(price[i] - step * descent[i], 0.0)
    return bound, done
