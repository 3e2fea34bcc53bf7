"""Compiled parts of covering under a budget: sites cost different amounts."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.sites.cover_kernel import add, empty_state, remove


@njit(cache=True)
def _best_buy(state, cost, money, by_ratio):  # type: ignore[no-untyped-def]
    """Free candidate within the money of largest gain, a unit of cost or in all; -1 where none gains."""
    best, most = -1, 0.0
    for j in range(len(cost)):
        if state.gain[j] > 0.0 and cost[j] <= money and not state.inside[j] and state.blocked[j] == 0:
            worth = state.gain[j] / cost[j] if by_ratio else state.gain[j]
            if worth > most:
                best, most = j, worth
    return best


@njit(cache=True)
def _fill(cover, state, cost, money, size, by_ratio):  # type: ignore[no-untyped-def]
    while True:
        j = _best_buy(state, cost, money, by_ratio)
        if j < 0:
            return size, money
        state.chosen[size] = j
        size += 1
        money -= cost[j]
        add(cover, state, j)


@njit(cache=True)
def _exchange(cover, state, cost, money, size):  # type: ignore[no-untyped-def]
    """Replace one site by the best that its money buys, and spend what is over, until nothing improves."""
    calm, k = 0, 0
    while calm < size:
        old = state.chosen[k]
        remove(cover, state, old)
        new = _best_buy(state, cost, money + cost[old], False)
        calm += 1
        if new >= 0 and state.gain[new] > state.gain[old]:
            calm = 0
            money += cost[old] - cost[new]
        else:
            new = old
        state.chosen[k] = new
        add(cover, state, new)
        if calm == 0:
            size, money = _fill(cover, state, cost, money, size, True)
        k = (k + 1) % size
    return size, money


@njit(cache=True)
def search(cover, cost, budget):  # type: ignore[no-untyped-def]
    """
    Better of two greedy sets (gain a unit of cost; gain alone), each improved by exchange.

    Returns
    -------
    tuple
        Chosen candidates, and the better greedy value.
    """
    n = len(cost)
    best, most, greedy = np.empty(0, np.int64), -1.0, 0.0
    for by_ratio in (True, False):
        state = empty_state(cover, n)
        size, money = _fill(cover, state, cost, budget, 0, by_ratio)
        greedy = max(greedy, state.total[0])
        size, money = _exchange(cover, state, cost, money, size)
        now = state.total[0]
        if now > most:
            best, most = state.chosen[:size].copy(), now
    return best, greedy


@njit(cache=True)
def lagrangian(cover, cost, budget, steps, incumbent, gap_target):  # type: ignore[no-untyped-def]
    """
    Upper bound: demand is priced as in `cover_kernel.lagrangian`, and the sites fill a knapsack in part (Dantzig 1957).

    Returns
    -------
    tuple
        Bound, steps done.
    """
    n, m = len(cost), len(cover.weight)
    price = cover.weight / 2
    best_price = price.copy()
    descent = np.zeros(m)
    worth = np.zeros(n)
    ratio = np.zeros(n)
    bound, scale, calm, done = np.inf, 0.5, 0, 0
    while done < steps:
        done += 1
        total = 0.0
        for i in range(m):
            total += cover.weight[i] - price[i]
        for j in range(n):
            w = 0.0
            for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
                w += price[cover.row[a]]
            worth[j] = w if cost[j] <= budget else 0.0
            ratio[j] = worth[j] / cost[j]
        slope = np.ones(m)
        money = budget
        for j in np.argsort(-ratio):
            if money <= 0.0 or worth[j] <= 0.0:
                break
            part = min(1.0, money / cost[j])
            total += part * worth[j]
            money -= part * cost[j]
            for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
                slope[cover.row[a]] -= part
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
        norm = 0.0
        for i in range(m):
            if (price[i] <= 0.0 and slope[i] < 0.0) or (price[i] >= cover.weight[i] and slope[i] > 0.0):
                slope[i] = 0.0
            descent[i] = 0.1 * slope[i] + 0.9 * descent[i]
            norm += descent[i] * descent[i]
        if norm <= 0.0:
            break
        step = scale * max(total - incumbent, 1e-9 * abs(total)) / norm
        for i in range(m):
            price[i] = min(max(price[i] + step * descent[i], 0.0), cover.weight[i])
    return bound, done
