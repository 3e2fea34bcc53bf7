"""
Compiled parts of maximal covering: greedy, exchange search and the Lagrangian bound.

Weights are whole numbers held in float64 whose sum stays below 2**52, so that every sum of weights is exact
and no result depends on the order of a summation. A candidate's *gain* is the weight that it would newly
cover.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]


class Cover(NamedTuple):
    """A covering problem in compressed rows (candidates) and columns (demand), with its conflicts."""

    row_ptr: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    col_ptr: npt.NDArray[np.int64]
    col: npt.NDArray[np.int32]
    weight: FloatArray
    hit_ptr: npt.NDArray[np.int64]
    hit: npt.NDArray[np.int32]


SETTLED_EVERY = 1000
"""Rounds of the search after which the whole set is looked at, and not only what is near to a change."""


FAR_IN = 2
"""One round of the search in so many takes a site from elsewhere as well."""


class State(NamedTuple):
    """A set of sites under construction."""

    chosen: npt.NDArray[np.int64]
    inside: npt.NDArray[np.bool_]
    covered: npt.NDArray[np.int32]
    blocked: npt.NDArray[np.int32]
    gain: FloatArray
    total: FloatArray
    """Weight covered, one entry."""


@njit(cache=True)
def empty_state(cover, count):  # type: ignore[no-untyped-def]
    """The state with no site: every gain is the whole weight of a candidate's row."""
    n = len(cover.row_ptr) - 1
    gain = np.zeros(n)
    for j in range(n):
        for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
            gain[j] += cover.weight[cover.row[a]]
    return State(
        np.full(count, -1, np.int64),
        np.zeros(n, np.bool_),
        np.zeros(len(cover.weight), np.int32),
        np.zeros(n, np.int32),
        gain,
        np.zeros(1),
    )


@njit(cache=True)
def add(cover, state, j):  # type: ignore[no-untyped-def]
    """Put candidate `j` into the set: its newly covered weight leaves the gain of every other."""
    state.inside[j] = True
    for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
        i = cover.row[a]
        state.covered[i] += 1
        if state.covered[i] == 1:
            w = cover.weight[i]
            state.total[0] += w
            for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
                state.gain[cover.col[b]] -= w
    for a in range(cover.hit_ptr[j], cover.hit_ptr[j + 1]):
        state.blocked[cover.hit[a]] += 1


@njit(cache=True)
def remove(cover, state, j):  # type: ignore[no-untyped-def]
    """Undo `add`."""
    state.inside[j] = False
    for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
        i = cover.row[a]
        state.covered[i] -= 1
        if state.covered[i] == 0:
            w = cover.weight[i]
            state.total[0] -= w
            for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
                state.gain[cover.col[b]] += w
    for a in range(cover.hit_ptr[j], cover.hit_ptr[j + 1]):
        state.blocked[cover.hit[a]] -= 1


@njit(cache=True)
def best_gain(state, barred):  # type: ignore[no-untyped-def]
    """Free candidate of largest gain, the first of equals; -1 where none is free."""
    best, most = -1, -1.0
    for j in range(len(state.gain)):
        if state.gain[j] > most and not state.inside[j] and state.blocked[j] == 0 and j != barred:
            best, most = j, state.gain[j]
    return best


@njit(cache=True)
def still_best(state, anywhere, worth, barred):  # type: ignore[no-untyped-def]
    """The best candidate of the city: `anywhere` as long as it is free and worth what it was, else looked for anew."""
    if (
        anywhere >= 0
        and not state.inside[anywhere]
        and state.blocked[anywhere] == 0
        and state.gain[anywhere] >= worth
    ):
        return anywhere
    return best_gain(state, barred)


@njit(cache=True)
def fill(cover, state, size, barred):  # type: ignore[no-untyped-def]
    """Add the best candidate until the set is full or nothing more adds weight; returns the new size."""
    while size < len(state.chosen):
        j = best_gain(state, barred)
        if j < 0 or state.gain[j] <= 0.0:
            break
        state.chosen[size] = j
        size += 1
        add(cover, state, j)
    return size


@njit(cache=True)
def best_move(cover, state, old, anywhere):  # type: ignore[no-untyped-def]
    """
    Best place for a site that was just taken from `old`.

    Taking a site away raises the gain of candidates near it alone; of all others the best is still `anywhere`, the
    best candidate of the full set. So the neighbourhood is searched instead of the city.
    """
    best, most = old, state.gain[old]
    if anywhere >= 0 and state.blocked[anywhere] == 0 and state.gain[anywhere] > most:
        best, most = anywhere, state.gain[anywhere]
    for a in range(cover.row_ptr[old], cover.row_ptr[old + 1]):
        i = cover.row[a]
        if state.covered[i] == 0:
            for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
                j = cover.col[b]
                if state.gain[j] > most and not state.inside[j] and state.blocked[j] == 0:
                    best, most = j, state.gain[j]
    for a in range(cover.hit_ptr[old], cover.hit_ptr[old + 1]):
        j = cover.hit[a]
        if state.gain[j] > most and not state.inside[j] and state.blocked[j] == 0:
            best, most = j, state.gain[j]
    return best


@njit(cache=True)
def wake(cover, state, awake, j):  # type: ignore[no-untyped-def]
    """Have the sites that share demand with candidate `j`, or stand too close to it, looked at again."""
    awake[j] = True
    for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
        i = cover.row[a]
        for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
            if state.inside[cover.col[b]]:
                awake[cover.col[b]] = True
    for a in range(cover.hit_ptr[j], cover.hit_ptr[j + 1]):
        for b in range(cover.hit_ptr[cover.hit[a]], cover.hit_ptr[cover.hit[a] + 1]):
            if state.inside[cover.hit[b]]:
                awake[cover.hit[b]] = True


@njit(cache=True)
def exchange(cover, state, size, awake, anywhere):  # type: ignore[no-untyped-def]
    """
    Move one site at a time to its best place, until no site that is awake can be improved by a single move.

    A site falls asleep when it is looked at and wakes when a site near it moves: the others have nothing new to gain,
    except at the one place in the whole city that is best for any of them, `anywhere`, which `settle` tries for all.

    Returns
    -------
    bool
        Whether any site moved.
    """
    moved, busy = False, True
    worth = state.gain[anywhere] if anywhere >= 0 else 0.0
    while busy:
        busy = False
        for k in range(size):
            old = state.chosen[k]
            if not awake[old]:
                continue
            awake[old] = False
            remove(cover, state, old)
            new = best_move(cover, state, old, anywhere)
            state.chosen[k] = new
            add(cover, state, new)
            if new != old:
                moved = busy = True
                wake(cover, state, awake, old)
                wake(cover, state, awake, new)
                anywhere = still_best(state, anywhere, worth, -1)
                worth = state.gain[anywhere] if anywhere >= 0 else 0.0
    return moved


@njit(cache=True)
def settle(cover, state, size, awake):  # type: ignore[no-untyped-def]
    """Exchange until no single move of any site improves the set."""
    while True:
        for k in range(size):
            awake[state.chosen[k]] = True
        if not exchange(cover, state, size, awake, best_gain(state, -1)):
            break


@njit(cache=True)
def draw(seed):  # type: ignore[no-untyped-def]
    """Next number of a 64-bit xorshift generator (Marsaglia 2003); its state is ``seed[0]``."""
    x = seed[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    seed[0] = x
    return x


@njit(cache=True)
def close_by(cover, state, s, shared):  # type: ignore[no-untyped-def]
    """Chosen sites that share demand with site `s`, itself first; ``shared`` holds how much, infinite for itself."""
    beside = [np.int64(s)]
    shared[s] = np.inf
    for a in range(cover.row_ptr[s], cover.row_ptr[s + 1]):
        i = cover.row[a]
        for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
            j = cover.col[b]
            if state.inside[j]:
                if shared[j] == 0.0:
                    beside.append(np.int64(j))
                shared[j] += cover.weight[i]
    return beside


@njit(cache=True)
def take_out(cover, state, size, j, awake, mark, changed):  # type: ignore[no-untyped-def]
    """Remove site `j`, wake those beside, and list the candidates that gain by it; returns the new size."""
    remove(cover, state, j)
    wake(cover, state, awake, j)
    for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
        i = cover.row[a]
        for b in range(cover.col_ptr[i], cover.col_ptr[i + 1]):
            if not mark[cover.col[b]]:
                mark[cover.col[b]] = True
                changed.append(np.int64(cover.col[b]))
    for a in range(cover.hit_ptr[j], cover.hit_ptr[j + 1]):
        if not mark[cover.hit[a]]:
            mark[cover.hit[a]] = True
            changed.append(np.int64(cover.hit[a]))
    for k in range(size):
        if state.chosen[k] == j:
            state.chosen[k] = state.chosen[size - 1]
            state.chosen[size - 1] = -1
            break
    return size - 1


@njit(cache=True)
def open_neighbours(cover, state, size, first, far, opened, awake, shared, mark):  # type: ignore[no-untyped-def]
    """
    Remove the sites `first` and `far`, and those that cover most of the same demand as `first`.

    Parameters
    ----------
    first, far
        Chosen candidates; with `far` a site may move between quarters of the city, the same as `first` leaves it out.
    opened
        Sites to remove around `first`, itself included.
    awake
        Sites to look at again, marked here.
    shared, mark
        Zeros and False, shape (candidates,), as they are again at the end.

    Returns
    -------
    tuple
        The new size, and a list of the candidates whose gain or freedom changed.
    """
    changed = [np.int64(0) for _ in range(0)]
    beside = close_by(cover, state, first, shared)
    for _ in range(min(opened, len(beside))):
        worst = first
        for j in beside:
            if shared[j] > shared[worst]:
                worst = j
        shared[worst] = -1.0
        size = take_out(cover, state, size, worst, awake, mark, changed)
    if state.inside[far]:
        size = take_out(cover, state, size, far, awake, mark, changed)
    for j in beside:
        shared[j] = 0.0
    for j in changed:
        mark[j] = False
    return size, changed


@njit(cache=True)
def refill(cover, state, size, barred, changed, anywhere, awake):  # type: ignore[no-untyped-def]
    """As `fill`, after `open_neighbours`: the best candidate is one that changed, or the best before, `anywhere`."""
    worth = state.gain[anywhere] if anywhere >= 0 else 0.0
    while size < len(state.chosen):
        anywhere = still_best(state, anywhere, worth, barred)
        worth = state.gain[anywhere] if anywhere >= 0 else 0.0
        best, most = -1, 0.0
        if anywhere >= 0 and not state.inside[anywhere] and state.blocked[anywhere] == 0:
            best, most = anywhere, state.gain[anywhere]
        for j in changed:
            free = j != barred and not state.inside[j] and state.blocked[j] == 0
            if free and (state.gain[j] > most or (state.gain[j] == most and 0 <= j < best)):
                best, most = j, state.gain[j]
        if best < 0 or most <= 0.0:
            break
        state.chosen[size] = best
        size += 1
        add(cover, state, best)
        wake(cover, state, awake, best)
    return size


@njit(cache=True)
def restore(cover, state, size, best, keep):  # type: ignore[no-untyped-def]
    """Take the set back to `best`; only sites that differ are touched. `keep` is False, shape (candidates,)."""
    for j in best:
        keep[j] = True
    for t in range(size):
        if not keep[state.chosen[t]]:
            remove(cover, state, state.chosen[t])
    for t in range(len(best)):
        keep[best[t]] = False
        state.chosen[t] = best[t]
        if not state.inside[best[t]]:
            add(cover, state, best[t])
    return len(best)


@njit(cache=True)
def search(cover, start, count, restarts, seed, target):  # type: ignore[no-untyped-def]
    """
    Greedy, exchange search, then rounds that open some neighbouring sites and close them elsewhere.

    Each round removes one site and those that share most demand with it (2 to 6 in all), bars the first from
    coming back before the set is full, refills greedily and exchanges what is near to a local optimum. A worse set
    is taken back. At the end no single move of any site improves the set.

    Parameters
    ----------
    cover
        The problem.
    start
        Candidates to begin with; may be empty.
    count, restarts, seed
        Sites, rounds, seed of the perturbations.
    target
        Stop when this value is reached.

    Returns
    -------
    tuple
        Chosen candidates, value of the greedy set, value of the best set, rounds done.
    """
    n = len(cover.row_ptr) - 1
    state = empty_state(cover, count)
    size = 0
    for j in start:
        if size < count and not state.inside[j] and state.blocked[j] == 0:
            state.chosen[size] = j
            size += 1
            add(cover, state, j)
    size = fill(cover, state, size, -1)
    greedy = state.total[0]
    awake, mark, shared = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n)
    settle(cover, state, size, awake)
    most = state.total[0]
    best = state.chosen[:size].copy()
    anywhere = best_gain(state, -1)
    generator = np.array([seed], np.uint64)
    done = 0
    while done < restarts and size > 1 and most < target:
        done += 1
        first = np.int64(draw(generator) % np.uint64(size))
        opened = min(size, 2 + np.int64(draw(generator) % np.uint64(5)))
        barred = state.chosen[first]
        other = np.int64(draw(generator) % np.uint64(FAR_IN * size))
        far = state.chosen[other] if other < size else barred
        left, changed = open_neighbours(cover, state, size, barred, far, opened, awake, shared, mark)
        size = refill(cover, state, left, barred, changed, anywhere, awake)
        exchange(cover, state, size, awake, best_gain(state, -1))
        if done % SETTLED_EVERY == 0 and state.total[0] >= most:
            settle(cover, state, size, awake)
        if state.total[0] >= most:
            most = state.total[0]
            best = state.chosen[:size].copy()
            anywhere = best_gain(state, -1)
        else:
            size = restore(cover, state, size, best, mark)
            awake[:] = False
    settle(cover, state, size, awake)
    return state.chosen[:size].copy(), greedy, state.total[0], done


@njit(cache=True)
def worths(cover, clique, price):  # type: ignore[no-untyped-def]
    """Weight left unpriced, and the largest sum of prices over a row in each clique, falling."""
    rest = 0.0
    for i in range(len(cover.weight)):
        rest += cover.weight[i] - price[i]
    top = np.zeros(clique.max() + 1 if len(clique) else 0)
    for j in range(len(cover.row_ptr) - 1):
        worth = 0.0
        for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
            worth += price[cover.row[a]]
        top[clique[j]] = max(top[clique[j]], worth)
    return rest, -np.sort(-top)


@njit(cache=True)
def relaxed(cover, clique, count, price):  # type: ignore[no-untyped-def]
    """Value of the relaxed problem at `price`, and the candidates that it opens."""
    n = len(cover.row_ptr) - 1
    total = 0.0
    for i in range(len(cover.weight)):
        total += cover.weight[i] - price[i]
    groups = clique.max() + 1 if n else 0
    top = np.zeros(groups)
    who = np.full(groups, -1, np.int64)
    for j in range(n):
        worth = 0.0
        for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
            worth += price[cover.row[a]]
        if worth > top[clique[j]]:
            top[clique[j]], who[clique[j]] = worth, j
    order = np.argsort(-top)[:count]
    for g in order:
        total += top[g]
    chosen = who[order]
    return total, chosen[chosen >= 0]


@njit(cache=True)
def lagrangian(cover, clique, count, steps, incumbent, gap_target, price):  # type: ignore[no-untyped-def]
    """
    Upper bound by Lagrangian relaxation of "demand is covered only by a chosen site" (Galvão & ReVelle 1996).

    With prices 0 ≤ p ≤ w on the demand, ``Σ (w − p) + the `count` largest Σ p over a row``, at most one
    candidate a clique, bounds every set. Prices follow averaged subgradients (the volume algorithm, Barahona
    & Anbil 2000) with Polyak's step towards the incumbent.

    Parameters
    ----------
    cover, count
        The problem.
    clique
        Group of each candidate, 0 … k − 1: no two of a group may be chosen together.
    steps, incumbent, gap_target
        Steps; value of a known set; stop at ``bound ≤ incumbent · (1 + gap_target)``.
    price
        Prices to start from, shape (demand,).

    Returns
    -------
    tuple
        Bound, prices that gave it, steps done.
    """
    m = len(cover.weight)
    price, best_price = price.copy(), price.copy()
    ascent = np.zeros(m)
    bound, scale, calm, done = np.inf, 0.5, 0, 0
    while done < steps:
        done += 1
        total, open_ = relaxed(cover, clique, count, price)
        calm = 0 if total < bound * (1.0 - 1e-6) or bound == np.inf else calm + 1
        if total < bound:
            bound = total
            best_price[:] = price
        if bound <= incumbent * (1.0 + gap_target):
            break
        if calm >= 40:
            scale, calm = scale * 0.8, 0
            price[:] = best_price
            ascent[:] = 0.0
            if scale < 1e-4:
                break
            continue
        slope = np.ones(m)
        for j in open_:
            for a in range(cover.row_ptr[j], cover.row_ptr[j + 1]):
                slope[cover.row[a]] -= 1.0
        norm = 0.0
        for i in range(m):
            if (price[i] <= 0.0 and slope[i] < 0.0) or (price[i] >= cover.weight[i] and slope[i] > 0.0):
                slope[i] = 0.0
            ascent[i] = 0.1 * slope[i] + 0.9 * ascent[i]
            norm += ascent[i] * ascent[i]
        if norm <= 0.0:
            break
        step = scale * max(total - incumbent, 1e-9 * abs(total)) / norm
        for i in range(m):
            price[i] = min(max(price[i] + step * ascent[i], 0.0), cover.weight[i])
    return bound, best_price, done
