"""Maximal covering: the sites that put most demand within reach of one, with a proven bound."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.spatial import cKDTree

from engine.errors import InputError
from engine.sites import cover_kernel as kernel
from engine.sites.cover_cuts import relaxations
from engine.sites.exact import TOLERANCE, branch
from engine.sites.selection import Effort, FloatArray, IntArray, SiteSelection

WHOLE = float(2**51)
"""Sum of the whole weights: exact in float64, with a bit to spare."""


LIGHT_TOUCH = 1000.0
"""Entries that a site touches when it comes or goes, up to which all rounds are searched."""
LIKELY = 0.4
"""Share of a site that a linear relaxation opens, above which the search begins with it."""
FIRST, THEN = 30, 3
"""The rounds of the search are divided by this before the first bound, and after each linear relaxation."""
CLOSE_GAP = 0.005
"""Where the proven gap stays above this share after the plain relaxation, one with cuts follows."""
HARD_GAP = 0.01
"""Where it stays above this, further cuts follow, or without relaxations three times as many rounds of search."""


class Reduced(NamedTuple):
    """The part of a covering problem that is still to be decided."""

    cover: kernel.Cover
    candidate: IntArray
    """Original row of each candidate left."""
    clique: IntArray
    """Group of each candidate; no two of a group may be chosen together."""
    unit: float
    """[demand] Value of one whole weight."""
    baseline: float
    """[demand] Covered by the locked sites."""
    column: IntArray
    """Column of `cover` that each original demand went into, -1 where it is decided."""


def maximal_covering(
    coverage: sp.sparray | sp.spmatrix,
    demand: npt.ArrayLike,
    *,
    count: int,
    locked: npt.ArrayLike = (),
    conflicts: sp.sparray | sp.spmatrix | None = None,
    effort: Effort | None = None,
) -> SiteSelection:
    """
    Choose sites that cover as much demand as possible, and prove how far from the best they can be.

    Demand counts once, however many sites cover it (Church & ReVelle 1974). Greedy at once, then exchange
    search with perturbations, a Lagrangian bound, and linear relaxations that begin the search anew. Fewer than
    `count` sites come back where nothing more would be covered.

    Parameters
    ----------
    coverage
        Shape (candidates, demand); a stored non-zero entry means that the site serves the demand.
    demand
        [residents, or any unit] Weight of each column, shape (demand,); finite and not negative.
    count
        New sites at most, on top of `locked`.
    locked
        Rows that are there already: they stay, cost nothing and cannot be chosen again.
    conflicts
        Shape (candidates, candidates); a stored entry forbids choosing both (see `spacing_conflicts`). A
        candidate in conflict with a locked one is out.
    effort
        How hard to work; the default suits a city.

    Returns
    -------
    SiteSelection
        ``bound`` is never below the optimum.

    Raises
    ------
    InputError
        Where shapes disagree, a demand is negative or not finite, or `locked` names no row.

    Notes
    -----
    One round of the search costs O(sites · row · column) at worst, one step of the bound O(stored entries).

    References
    ----------
    Church & ReVelle (1974) The maximal covering location problem. Nemhauser, Wolsey & Fisher (1978) for
    greedy.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> serves = sp.csr_array(np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]))
    >>> best = maximal_covering(serves, [10, 20, 20, 10], count=2)
    >>> sorted(best.chosen.tolist()), best.objective, best.gap
    ([0, 2], 60.0, 0.0)
    """
    effort = effort or Effort()
    matrix = as_coverage(coverage)
    weight = check_demand(demand, matrix.shape, count)
    fixed = check_locked(locked, matrix.shape[0])
    forbidden = symmetric(conflicts, matrix.shape[0])
    reduced = reduce_problem(matrix, weight, fixed, forbidden)
    found, greedy, rounds, bound, steps, envelope, relaxations_, cuts = _searched(reduced, count, effort)
    method = "greedy, exchange search with perturbations; Lagrangian bound"
    if relaxations_:
        method += "; linear relaxation" + (" with cuts of three demands" if cuts else "") + " (HiGHS)"
    value = _value(reduced, found) * reduced.unit
    if effort.exact_nodes and bound > value * (1 + max(effort.gap_target, TOLERANCE)):
        exact = branch(reduced.cover, count, nodes=effort.exact_nodes)
        if exact is not None:
            bound = min(bound, exact.bound * reduced.unit)
            found = exact.chosen if _value(reduced, exact.chosen) * reduced.unit > value else found
            method += "; branch and bound (HiGHS)"
    chosen, curve = building_order(matrix, weight, fixed, reduced.candidate[found])
    objective = float(curve[-1])
    bound = reduced.baseline + bound
    if weight.sum() < WHOLE and (weight == np.rint(weight)).all():
        bound = float(np.floor(bound + 1e-6))  # no set is worth a part of one
    return SiteSelection(
        chosen=chosen,
        locked=fixed,
        objective=objective,
        baseline=float(curve[0]),
        bound=max(objective, bound),
        curve=curve,
        method=method,
        figures={
            "candidates": int(matrix.shape[0]),
            "candidates_left": len(reduced.candidate),
            "demand_left": len(reduced.cover.weight),
            "greedy": reduced.baseline + greedy * reduced.unit,
            "rounds": int(rounds),
            "bound_steps": steps,
            "relaxations": relaxations_,
            "cuts": cuts,
        },
        envelope=envelope,
    )


def spacing_conflicts(x_m: FloatArray, y_m: FloatArray, *, min_spacing_m: float) -> sp.csr_array:
    """
    Pairs of candidates that stand too close to each other.

    Parameters
    ----------
    x_m, y_m
        [m] Positions in a plane, shape (candidates,).
    min_spacing_m
        [m] Pairs strictly closer than this are in conflict; 0 means none.

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, shape (candidates, candidates), True where two may not both be chosen; empty diagonal.
    """
    n = len(x_m)
    pairs = np.empty((0, 2), np.int64)
    if min_spacing_m > 0 and n:
        points = np.column_stack([x_m, y_m])
        pairs = cKDTree(points).query_pairs(min_spacing_m, output_type="ndarray")
        apart = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
        pairs = pairs[apart < min_spacing_m]
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]])
    cols = np.concatenate([pairs[:, 1], pairs[:, 0]])
    result = sp.csr_array((np.ones(len(rows), np.bool_), (rows, cols)), shape=(n, n))
    result.sort_indices()
    return result


def building_order(
    coverage: sp.csr_array, demand: FloatArray, locked: IntArray, chosen: IntArray
) -> tuple[IntArray, FloatArray]:
    """
    Order a set so that each site is the best next one of the set, and value it after each.

    Returns
    -------
    tuple
        The set in order, and the covered demand before the first and after each, shape (len(chosen) + 1,).
    """
    covered = covered_demand(coverage, locked)
    curve = [float(demand[covered].sum())]
    left, order = sorted(int(j) for j in chosen), []
    gains = dict.fromkeys(left, np.inf)
    while left:
        left.sort(key=lambda j: (-gains[j], j))
        while True:  # lazy: a stale gain only overstates (Minoux 1978)
            top = left[0]
            row = _row(coverage, top)
            gains[top] = float(demand[row[~covered[row]]].sum())
            if len(left) == 1 or (-gains[top], top) <= (-gains[left[1]], left[1]):
                break
            left.sort(key=lambda j: (-gains[j], j))
        left.pop(0)
        covered[_row(coverage, top)] = True
        order.append(top)
        curve.append(float(demand[covered].sum()))
    return np.asarray(order, np.int64), np.asarray(curve)


def reduce_problem(
    coverage: sp.csr_array, demand: FloatArray, locked: IntArray, conflicts: sp.csr_array
) -> Reduced:
    """
    Leave only what is still open: demand that no locked site serves, candidates that could still serve some.

    Demand served by exactly the same candidates becomes one column, and of candidates without conflicts that
    serve exactly the same demand only the first stays. No solution is lost in value.
    """
    covered = covered_demand(coverage, locked)
    free = np.ones(coverage.shape[0], bool)
    free[locked] = False
    for j in locked:
        free[_row(conflicts, j)] = False
    live = np.flatnonzero(~covered & (demand > 0))
    part = sp.csr_array(coverage[np.flatnonzero(free)][:, live])
    candidate = np.flatnonzero(free)
    useful = np.diff(part.indptr) > 0
    part, candidate = sp.csr_array(part[np.flatnonzero(useful)]), candidate[useful]
    hits = sp.csr_array(conflicts[candidate][:, candidate])
    keep = _first_of_equal_rows(part, lonely=np.diff(hits.indptr) == 0)
    part, candidate = sp.csr_array(part[keep]), candidate[keep]
    hits = sp.csr_array(hits[keep][:, keep])
    group = _equal_columns(part)
    merged = np.bincount(group[group >= 0], weights=demand[live][group >= 0])
    first = np.unique(group[group >= 0], return_index=True)[1]
    part = sp.csr_array(part[:, np.flatnonzero(group >= 0)[first]])
    unit = float(merged.sum()) / WHOLE or 1.0
    column = np.full(coverage.shape[1], -1, np.int64)
    column[live] = group
    return Reduced(
        make_cover(part, np.round(merged / unit), hits),
        candidate.astype(np.int64),
        conflict_cliques(hits),
        unit,
        float(demand[covered].sum()),
        column,
    )


def covered_demand(coverage: sp.csr_array, sites: IntArray) -> npt.NDArray[np.bool_]:
    """True for each demand that one of the sites serves."""
    covered = np.zeros(coverage.shape[1], bool)
    for j in sites:
        covered[_row(coverage, int(j))] = True
    return covered


def served_in_order(coverage: sp.csr_array, people: FloatArray, selection: SiteSelection) -> FloatArray:
    """People covered before the first new site and after each, in building order, whatever the selection weighed."""
    covered = covered_demand(coverage, selection.locked)
    total = [float(people[covered].sum())]
    for j in selection.chosen.tolist():
        covered[_row(coverage, j)] = True
        total.append(float(people[covered].sum()))
    return np.asarray(total)


def make_cover(coverage: sp.csr_array, weight: FloatArray, conflicts: sp.csr_array) -> kernel.Cover:
    """Arrays for the compiled kernel; indices sorted."""
    coverage.sort_indices()
    columns = coverage.tocsc()
    columns.sort_indices()
    return kernel.Cover(
        coverage.indptr.astype(np.int64),
        coverage.indices.astype(np.int32),
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        np.ascontiguousarray(weight, np.float64),
        conflicts.indptr.astype(np.int64),
        conflicts.indices.astype(np.int32),
    )


def conflict_cliques(conflicts: sp.csr_array) -> IntArray:
    """
    Group candidates so that all of a group are in conflict with each other (greedy, in order of row).

    Returns
    -------
    numpy.ndarray
        Group of each candidate, 0 … k − 1; a candidate without conflicts is alone.
    """
    n = conflicts.shape[0]
    group = np.full(n, -1, np.int64)
    members: list[set[int]] = []
    for j in range(n):
        near = {int(k) for k in _row(conflicts, j)}
        for g in sorted({int(group[k]) for k in near if group[k] >= 0}):
            if members[g] <= near:
                group[j] = g
                members[g].add(j)
                break
        else:
            group[j] = len(members)
            members.append({j})
    return group


class _Searched(NamedTuple):
    """What the search and the bound came to."""

    found: IntArray
    greedy: float
    rounds: int
    bound: float
    """[demand] What new sites can add at most."""
    steps: int
    envelope: FloatArray
    """[demand] Bound on the value of 0, 1, 2 … new sites."""
    relaxations: int
    """Linear relaxations solved."""
    cuts: int
    """Cuts in the last of them; 0 where none were needed."""


def _searched(reduced: Reduced, count: int, effort: Effort) -> _Searched:
    """
    Search and bound by turns.

    A thirtieth of the rounds and the Lagrangian bound; where that is not proven, linear relaxations, each of which
    gives a start to the search, and cuts: once above `CLOSE_GAP`, again as long as the gap is more than `HARD_GAP`.
    Where relaxations do not pay, all of the rounds, and three times as many where the gap is still more than that.
    """
    cover, total, base = reduced.cover, float(reduced.cover.weight.sum()), reduced.baseline / reduced.unit
    if count == 0 or not len(cover.weight):
        whole = np.full(count + 1, reduced.baseline + total * reduced.unit)
        return _Searched(np.empty(0, np.int64), 0.0, 0, 0.0, 0, whole, 0, 0)
    slack = 1e-12 * WHOLE + 0.5 * len(cover.weight)  # rounding of weights to whole ones and of sums of prices
    most, relaxed, cuts = _rounds(cover, effort), 0, 0
    first, seed = min(effort.restarts // FIRST, most), itertools.count(effort.seed)

    def search(start: IntArray, rounds: int, enough: float) -> tuple[IntArray, float, float, int]:
        return kernel.search(cover, start, count, rounds, np.uint64(next(seed)), enough)  # type: ignore[no-any-return]

    def priced(start: FloatArray, value: float) -> tuple[float, FloatArray, int]:
        steps, target = effort.bound_steps, effort.gap_target
        lowest, price, took = kernel.lagrangian(cover, reduced.clique, count, steps, value, target, start)
        return lowest + slack, price, int(took)

    def proven(share: float) -> bool:
        return bool(bound + base <= (value + base) * (1 + max(effort.gap_target, share) + 1e-12))

    found, greedy, value, done = search(np.empty(0, np.int64), first, total)
    bound, price, steps = priced(cover.weight / 2, value)
    rest, tops = kernel.worths(cover, reduced.clique, price)
    envelope = np.minimum(rest + slack + np.concatenate([[0.0], np.cumsum(tops)]), total)
    bound = min(bound, total)
    for relaxation in relaxations(cover, count, most=0 if proven(0.0) else effort.cut_rounds):
        relaxed, cuts, bound = relaxed + 1, relaxation.cuts, min(bound, relaxation.bound + slack)
        tried, _, reached, turns = search(likely(relaxation.share), most // THEN, bound)
        found, value, done = (
            (tried, reached, done + turns) if reached > value else (found, value, done + turns)
        )
        if proven(CLOSE_GAP if relaxed == 1 else HARD_GAP):
            break
    for rounds, enough in ((most, 0.0), (3 * most, HARD_GAP)):
        if relaxed or proven(enough):
            break
        found, _, value, turns = search(found, rounds, bound)
        lower, price, took = priced(price, value)
        bound, done, steps = min(bound, lower), done + turns, steps + took
    base_envelope = reduced.baseline + envelope * reduced.unit
    return _Searched(found, greedy, int(done), bound * reduced.unit, steps, base_envelope, relaxed, cuts)


def likely(share: FloatArray) -> IntArray:
    """
    Candidates that a relaxation opens by more than `LIKELY`, the widest open first.

    Examples
    --------
    >>> likely(np.array([0.5, 0.0, 1.0, 0.4])).tolist()
    [2, 0]
    """
    start = np.flatnonzero(share > LIKELY)
    return start[np.argsort(-share[start], kind="stable")]


def _rounds(cover: kernel.Cover, effort: Effort) -> int:
    """Rounds of the search: fewer where each touches more, for where catchments overlap much a round costs much."""
    per_column = np.diff(cover.col_ptr).astype(np.float64)
    touched = float((per_column**2).sum()) / max(len(cover.row_ptr) - 1, 1)
    # a site that touches more has more neighbours as well, which are looked at again
    return int(effort.restarts * min(1.0, (LIGHT_TOUCH / max(touched, 1.0)) ** 1.25))


def _value(reduced: Reduced, sites: IntArray) -> float:
    """Whole weight that some sites of the reduced problem cover."""
    covered = np.zeros(len(reduced.cover.weight), bool)
    for j in sites:
        covered[reduced.cover.row[reduced.cover.row_ptr[j] : reduced.cover.row_ptr[j + 1]]] = True
    return float(reduced.cover.weight[covered].sum())


def _row(matrix: sp.csr_array, j: int) -> npt.NDArray[np.int32]:
    return matrix.indices[matrix.indptr[j] : matrix.indptr[j + 1]]  # type: ignore[no-any-return]


def _first_of_equal_rows(matrix: sp.csr_array, *, lonely: npt.NDArray[np.bool_]) -> IntArray:
    """Rows to keep: of equal rows that are `lonely` (in no conflict) the first."""
    matrix.sort_indices()
    seen: set[bytes] = set()
    keep = []
    for j in range(matrix.shape[0]):
        key = _row(matrix, j).tobytes()
        if lonely[j] and key in seen:
            continue
        if lonely[j]:
            seen.add(key)
        keep.append(j)
    return np.asarray(keep, np.int64)


def _equal_columns(matrix: sp.csr_array) -> IntArray:
    """Number of each column among the distinct ones, -1 for an empty column."""
    columns = matrix.tocsc()
    columns.sort_indices()
    seen: dict[bytes, int] = {}
    group = np.full(matrix.shape[1], -1, np.int64)
    for i in range(matrix.shape[1]):
        rows = columns.indices[columns.indptr[i] : columns.indptr[i + 1]]
        if len(rows):
            group[i] = seen.setdefault(rows.tobytes(), len(seen))
    return group


def check_demand(demand: npt.ArrayLike, shape: tuple[int, int], count: int) -> FloatArray:
    """Weights as an array, or an error that says what is wrong with them or with `count`."""
    weight = np.asarray(demand, np.float64)
    if weight.shape != (shape[1],):
        msg = f"demand has shape {weight.shape}, the candidates' table {shape}: expected one weight a column"
        raise InputError(msg)
    if not np.isfinite(weight).all() or (weight < 0).any():
        bad = int((~(weight >= 0) | np.isinf(weight)).sum())
        msg = f"demand holds {bad} negative or non-finite weights: clean them first"
        raise InputError(msg)
    if count < 0:
        msg = f"count is {count}: expected 0 or more new sites"
        raise InputError(msg)
    return weight


def check_locked(locked: npt.ArrayLike, n: int) -> IntArray:
    """Rows of the sites that are there already, sorted, each once."""
    fixed = np.unique(np.asarray(locked, np.int64))
    if len(fixed) and (fixed[0] < 0 or fixed[-1] >= n):
        msg = f"locked names rows {fixed[0]}…{fixed[-1]}, but there are {n} candidates"
        raise InputError(msg)
    return fixed


def symmetric(conflicts: sp.sparray | sp.spmatrix | None, n: int) -> sp.csr_array:
    """Conflicts both ways, without a diagonal; none where none are given."""
    if conflicts is None:
        return sp.csr_array((n, n), dtype=np.bool_)
    result = sp.csr_array(conflicts)
    if result.shape != (n, n):
        msg = f"conflicts has shape {result.shape}: expected ({n}, {n}), one row and column a candidate"
        raise InputError(msg)
    result = sp.csr_array(result.astype(np.bool_) + result.T.astype(np.bool_))
    result.setdiag(False)
    result.eliminate_zeros()
    result.sort_indices()
    return result


def as_coverage(coverage: sp.sparray | sp.spmatrix) -> sp.csr_array:
    """Coverage in compressed rows: sorted, without stored zeros."""
    matrix = sp.csr_array(coverage, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
