"""
A tighter bound for maximal covering: prices on demand, and on threes of demands that need two sites.

The linear relaxation covers three demands with one site and a half where each two of them share a candidate and the
three share none: half of each. Whole sites need two. Summing the three conditions "demand is covered only by a
chosen site", halving and rounding up (Chvátal 1973) says so: with c = 1 for a candidate that covers one or two of the
three and c = 2 for one that covers all, Σ c x ≥ z₁ + z₂ + z₃ − 1. These are the inequalities of Balas & Ng with
right-hand side 2, for partial covering. HiGHS finds the prices, and any prices give a bound: the proof does not rest
on its tolerances.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit
from scipy.optimize import linprog

from engine.sites.cover_kernel import Cover
from engine.sites.selection import FloatArray, IntArray

MAX_ENTRIES = 400_000
"""Stored entries beyond which it does not pay: where catchments are that large, HiGHS takes minutes a relaxation."""
PROGRESS = 2e-4
"""Share by which a round must lower the bound for another to follow."""
MAX_PAIRS = 60_000_000
"""Pairs of candidates, once for each demand that they share, beyond which they are not compared: their table would not
fit in memory."""
MAX_STEPS = 500
"""Steps of the interior point method at most, some five times what a city takes: a count of work, and never seconds."""
FAINT = 1e-6
"""Share up to which a candidate counts as closed."""
VIOLATED = 0.02
"""Sites that a cut asks for beyond those of the relaxation, at least, to be taken up."""
PER_DEMAND = 3
"""Cuts that one demand may begin in a round."""
NEAR = 160
"""Demands near another that are looked at, the heaviest: where catchments are large, all would be too many."""


class Cuts(NamedTuple):
    """Threes of demands, and what each candidate counts in them."""

    three: IntArray
    """Demands, rising, shape (cuts, 3)."""
    factor: sp.csr_array
    """1 where a candidate covers one or two of the three, 2 where all; shape (candidates, cuts)."""


class Prices(NamedTuple):
    """What the bound pays, in weight."""

    demand: FloatArray
    """For each demand that a candidate covers, shape (demand,)."""
    cut: FloatArray
    """For each three, shape (cuts,)."""


class Relaxed(NamedTuple):
    """A linear relaxation: what it proves, and where it would build."""

    bound: float
    """[weight] Never below the optimum, but for rounding of sums."""
    share: FloatArray
    """Share of each candidate that is opened, shape (candidates,)."""
    cuts: int
    """Cuts that it holds."""


def relaxations(cover: Cover, count: int, *, most: int) -> Iterator[Relaxed]:
    """
    Solve the linear relaxation of maximal covering, then again and again with cuts of three demands.

    Cuts that a solution breaks join, those without a price leave. Conflicts between candidates are left out, and with
    them candidates that cover no more than another does: what the problem without them cannot exceed, the problem with
    them cannot either.

    Parameters
    ----------
    cover
        The problem.
    count
        Sites at most.
    most
        Relaxations at most; the first has no cuts.

    Yields
    ------
    Relaxed
        Nothing where the problem is too large to pay (`MAX_PAIRS`, `MAX_ENTRIES`). The last is the one that no cut is
        broken by, or that lowered the bound by less than `PROGRESS`; HiGHS giving up ends it as well.

    Notes
    -----
    A relaxation costs one linear program, and a separation of at most `NEAR` squared a demand; it is solved when it is
    asked for.

    References
    ----------
    Chvátal (1973) Edmonds polytopes and a hierarchy of combinatorial problems. Balas & Ng (1989) On the set covering
    polytope: I. All the facets with coefficients in {0, 1, 2}. Mathematical Programming 43, 57–69.
    """
    pairs = int((np.diff(cover.col_ptr) ** 2).sum())
    if not pairs or pairs > MAX_PAIRS or not count or not most:
        return
    rows = widest(cover)
    table = _rows(cover, rows)
    if table.nnz > MAX_ENTRIES:
        return
    columns = sp.csc_array(table)
    columns.sort_indices()
    by_site, by_demand = (table.indptr, table.indices), (columns.indptr, columns.indices)
    lowest, three = np.inf, np.empty((0, 3), np.int64)
    for _ in range(most):
        cuts = cuts_of(table, three)
        solved = _relaxation(table, cuts, cover.weight, count)
        if solved is None:
            return
        prices, open_ = solved
        bound = priced(table, cuts, cover.weight, count, prices)
        share = np.zeros(len(cover.row_ptr) - 1)
        share[rows] = open_
        yield Relaxed(bound, share, len(three))
        if bound >= lowest * (1 - PROGRESS):
            return
        lowest = bound
        known = three[prices.cut > 0]
        fresh = _fresh(known, violated(by_site, by_demand, cover.weight, open_))
        if not len(fresh):
            return
        three = np.concatenate([known, fresh])


def priced(table: sp.csr_array, cuts: Cuts, weight: FloatArray, count: int, prices: Prices) -> float:
    """
    Bound at any prices: Σ max(0, w − p − t) + Σ t + the `count` largest Σ p + Σ c t over a candidate.

    Parameters
    ----------
    table
        What each candidate covers, shape (candidates, demand).
    cuts, weight, count
        The cuts, the weight of each demand, and sites at most.
    prices
        Not negative; ``t`` above is the price of a cut, for a demand the sum over the cuts that it is in.
    """
    in_cuts = np.bincount(cuts.three.ravel(), weights=np.repeat(prices.cut, 3), minlength=len(weight))
    worth = table @ prices.demand + cuts.factor @ prices.cut
    left = np.maximum(weight - prices.demand - in_cuts, 0.0)
    return float(left.sum() + prices.cut.sum() + np.sort(worth)[::-1][:count].sum())


def _relaxation(
    table: sp.csr_array, cuts: Cuts, weight: FloatArray, count: int
) -> tuple[Prices, FloatArray] | None:
    """Prices of the linear relaxation with cuts, and the share of each candidate that it opens."""
    (n, m), k = table.shape, len(cuts.three)
    unit = float(weight.mean()) or 1.0
    claims = sp.csr_array((np.ones(3 * k), cuts.three.ravel(), np.arange(0, 3 * k + 1, 3)), shape=(k, m))
    rows = sp.block_array(
        [[-table.T, sp.eye_array(m)], [-cuts.factor.T, claims], [sp.csr_array(np.ones((1, n))), None]],
        format="csc",
    )
    found = linprog(
        np.concatenate([np.zeros(n), -weight / unit]),
        A_ub=rows,
        b_ub=np.concatenate([np.zeros(m), np.ones(k), [count]]),
        bounds=np.column_stack([np.zeros(n + m), np.repeat([np.inf, 1.0], [n, m])]),
        method="highs-ipm",
        options={"maxiter": MAX_STEPS},
    )
    if found.status != 0:
        return None
    price = np.maximum(-found.ineqlin.marginals, 0.0) * unit
    return Prices(price[:m], price[m : m + k]), np.asarray(found.x[:n], np.float64)


def widest(cover: Cover) -> IntArray:
    """Candidates that cover more than, or something else than, any other; of equal ones the first."""
    table = _rows(cover, np.arange(len(cover.row_ptr) - 1))
    shared = sp.coo_array(table @ table.T)
    size = np.diff(cover.row_ptr)
    small, large = shared.row, shared.col
    inside = (shared.data == size[small]) & (small != large)
    inside &= (size[large] > size[small]) | (large < small)
    keep = np.ones(len(size), np.bool_)
    keep[small[inside]] = False
    return np.flatnonzero(keep)


def _rows(cover: Cover, candidates: IntArray) -> sp.csr_array:
    """What some candidates cover, 1.0 where they do, shape (candidates, demand)."""
    shape = (len(cover.row_ptr) - 1, len(cover.weight))
    table = sp.csr_array((np.ones(len(cover.row)), cover.row, cover.row_ptr), shape=shape)
    result = sp.csr_array(table[candidates])
    result.sort_indices()
    return result


def cuts_of(table: sp.csr_array, three: IntArray) -> Cuts:
    """Cuts of threes of demands, rising, shape (cuts, 3)."""
    k = len(three)
    members = sp.csr_array(
        (np.ones(3 * k), three.ravel(), np.arange(0, 3 * k + 1, 3)), shape=(k, table.shape[1])
    )
    factor = sp.csr_array(table @ members.T)
    factor.data = np.where(factor.data == 3, 2.0, 1.0)
    return Cuts(three, factor)


def _fresh(known: IntArray, found: IntArray) -> IntArray:
    """Threes that are not known yet, each once, sorted."""
    seen = {tuple(t) for t in known.tolist()}
    return np.array(sorted({tuple(t) for t in found.tolist()} - seen), np.int64).reshape(-1, 3)


@njit(cache=True)
def _around(by_site, by_demand, weight, open_, i, place):  # type: ignore[no-untyped-def]
    """Demands after `i` that share an open candidate with it, the heaviest `NEAR`; ``place`` takes their positions."""
    near = [np.int64(0) for _ in range(0)]
    for b in range(by_demand[0][i], by_demand[0][i + 1]):
        j = by_demand[1][b]
        if open_[j] > FAINT:
            for a in range(by_site[0][j], by_site[0][j + 1]):
                k = by_site[1][a]
                if k > i and place[k] < 0:
                    place[k] = 0
                    near.append(np.int64(k))
    for k in near:
        place[k] = -1
    found = np.array(near, np.int64)
    if len(found) > NEAR:
        found = np.sort(found[np.argsort(-weight[found], kind="mergesort")[:NEAR]])
    for q in range(len(found)):
        place[found[q]] = q
    return found


@njit(cache=True)
def _shared(by_site, by_demand, open_, i, near, place):  # type: ignore[no-untyped-def]
    """Open candidates that cover both of two near demands, and those among them that cover `i` as well."""
    both = np.zeros((len(near), len(near)))
    all_ = np.zeros((len(near), len(near)))
    here = np.zeros(len(open_), np.bool_)
    for b in range(by_demand[0][i], by_demand[0][i + 1]):
        here[by_demand[1][b]] = True
    for q in range(len(near)):
        for b in range(by_demand[0][near[q]], by_demand[0][near[q] + 1]):
            j = by_demand[1][b]
            if open_[j] > FAINT:
                for a in range(by_site[0][j], by_site[0][j + 1]):
                    r = place[by_site[1][a]]
                    if r >= 0:
                        both[q, r] += open_[j]
                        if here[j]:
                            all_[q, r] += open_[j]
    return both, all_


@njit(cache=True)
def violated(by_site, by_demand, weight, open_):  # type: ignore[no-untyped-def]
    """
    Cuts that a relaxed solution breaks by more than `VIOLATED`, at most `PER_DEMAND` that begin with each demand.

    Parameters
    ----------
    open_
        Share of each candidate that is opened, shape (candidates,); a demand is covered as far as they reach, to 1.

    Returns
    -------
    numpy.ndarray
        Threes of demands, rising, shape (cuts, 3).
    """
    m = len(weight)
    reach = np.zeros(m)
    for i in range(m):
        for b in range(by_demand[0][i], by_demand[0][i + 1]):
            reach[i] += open_[by_demand[1][b]]
    beyond = np.maximum(reach, 1.0)  # z − Σ x is 1 − this
    place = np.full(m, -1, np.int64)
    found = np.empty((PER_DEMAND * m, 3), np.int64)
    size = 0
    for i in range(m):
        near = _around(by_site, by_demand, weight, open_, i, place)
        both, all_ = _shared(by_site, by_demand, open_, i, near, place)
        most = np.full(len(near), VIOLATED)
        other = np.full(len(near), -1, np.int64)
        for q in range(len(near)):
            for r in range(q + 1, len(near)):
                # candidates that cover two of the three or all, less what covers the three beyond once
                over = all_[q, q] + all_[r, r] + both[q, r] - 2.0 * all_[q, r]
                over += 2.0 - beyond[i] - beyond[near[q]] - beyond[near[r]]
                if over > most[q]:
                    most[q], other[q] = over, r
        for q in np.argsort(-most, kind="mergesort")[:PER_DEMAND]:
            if other[q] >= 0:
                found[size, 0], found[size, 1], found[size, 2] = i, near[q], near[other[q]]
                found[size] = np.sort(found[size])
                size += 1
        for k in near:
            place[k] = -1
    return found[:size]
