"""Laws of siting: bounds against brute force, greedy's promise, locked sites stay, no single move improves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sites.covering import conflict_cliques, maximal_covering
from engine.sites.median import p_median
from engine.sites.selection import Effort, SiteSelection

LIGHT = Effort(restarts=30, bound_steps=100, exact_nodes=0)
FAR = 12.0


class Instance(NamedTuple):
    table: npt.NDArray[np.int64]
    demand: npt.NDArray[np.float64]
    count: int
    locked: list[int]
    conflicts: npt.NDArray[np.bool_]

    def sets(self) -> Iterator[list[int]]:
        """Every admissible set of new sites."""
        free = [
            j
            for j in range(len(self.table))
            if j not in self.locked and not self.conflicts[j, self.locked].any()
        ]
        for k in range(min(self.count, len(free)) + 1):
            for chosen in itertools.combinations(free, k):
                if not self.conflicts[np.ix_(chosen, chosen)].any():
                    yield list(chosen)

    def covered(self, chosen: list[int]) -> float:
        return float(self.demand[(self.table[[*chosen, *self.locked]] < 5).any(axis=0)].sum())

    def cost(self, chosen: list[int]) -> float:
        nearest = np.minimum(self.table[[*chosen, *self.locked]].min(axis=0, initial=1000), FAR)
        return float((self.demand * nearest).sum())

    def coverage(self) -> sp.csr_array:
        return sp.csr_array((self.table < 5).astype(int))

    def costs(self) -> sp.csr_array:
        rows, cols = np.nonzero(self.table < 15)
        return sp.csr_array((self.table[rows, cols].astype(float), (rows, cols)), shape=self.table.shape)


@st.composite
def instances(draw: st.DrawFn, *, conflicts: bool = True) -> Instance:
    n, m = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    table = np.array(draw(st.lists(st.integers(0, 16), min_size=n * m, max_size=n * m))).reshape(n, m)
    demand = np.array(draw(st.lists(st.floats(0, 1e6), min_size=m, max_size=m)))
    locked = draw(st.lists(st.integers(0, n - 1), max_size=2, unique=True))
    pairs = (
        draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=4))
        if conflicts
        else []
    )
    against = np.zeros((n, n), bool)
    for a, b in pairs:
        if a != b:
            against[a, b] = against[b, a] = True
    return Instance(table, demand, draw(st.integers(0, 4)), sorted(locked), against)


def _cover(case: Instance, effort: Effort = LIGHT) -> SiteSelection:
    return maximal_covering(
        case.coverage(),
        case.demand,
        count=case.count,
        locked=case.locked,
        conflicts=sp.csr_array(case.conflicts),
        effort=effort,
    )


def _median(case: Instance, effort: Effort = LIGHT) -> SiteSelection:
    return p_median(
        case.costs(),
        case.demand,
        far=FAR,
        count=case.count,
        locked=case.locked,
        conflicts=sp.csr_array(case.conflicts),
        effort=effort,
    )


def _slack(value: float) -> float:
    return 1e-9 * (1.0 + abs(value))


@given(instances())
@settings(deadline=None)
def test_covering_is_feasible_and_its_bound_is_above_the_optimum(case: Instance) -> None:
    best = max(case.covered(chosen) for chosen in case.sets())
    found = _cover(case)
    chosen = found.chosen.tolist()
    assert found.locked.tolist() == case.locked
    assert not set(chosen) & set(case.locked)
    assert len(chosen) == len(set(chosen)) <= case.count
    everyone = [*chosen, *case.locked]
    assert not case.conflicts[np.ix_(chosen, everyone)].any()
    assert abs(found.objective - case.covered(chosen)) <= _slack(best)
    assert found.objective - _slack(best) <= best <= found.bound + _slack(best)
    assert found.baseline - _slack(best) <= case.covered([]) <= found.baseline + _slack(best)
    if found.is_optimal:
        assert found.objective >= best - 2e-9 * (1 + best)


@given(instances())
@settings(deadline=None, max_examples=60)
def test_small_instances_equal_brute_force(case: Instance) -> None:
    best = max(case.covered(chosen) for chosen in case.sets())
    found = _cover(case, Effort(restarts=30, bound_steps=100))
    assert abs(found.objective - best) <= 2e-6 * (1 + best)
    assert best - _slack(best) <= found.bound <= best + 3e-6 * (1 + case.demand.sum())


@given(instances(conflicts=False))
@settings(deadline=None)
def test_greedy_reaches_its_share_of_the_optimum(case: Instance) -> None:
    # Nemhauser, Wolsey & Fisher (1978): at least 1 − 1/e of what the best set adds, without conflicts.
    best = max(case.covered(chosen) for chosen in case.sets()) - case.covered([])
    figures = _cover(case, Effort(restarts=0, bound_steps=1)).figures or {}
    assert figures["greedy"] - case.covered([]) >= (1 - 1 / np.e) * best - _slack(best)


@given(instances())
@settings(deadline=None)
def test_no_single_move_improves_the_covering(case: Instance) -> None:
    found = _cover(
        case, Effort(restarts=0, bound_steps=1)
    )  # the exchange alone, no perturbation to hide behind
    chosen = found.chosen.tolist()
    admissible = {tuple(sorted(s)) for s in case.sets()}
    for old in chosen:
        for new in range(len(case.table)):
            moved = tuple(sorted([*(j for j in chosen if j != old), new]))
            if moved in admissible:
                assert case.covered(list(moved)) <= found.objective + _slack(found.objective)


@given(instances())
@settings(deadline=None)
def test_the_building_order_has_falling_gains(case: Instance) -> None:
    found = _cover(case)
    assert len(found.curve) == len(found.chosen) + 1
    gains = np.diff(found.curve)
    assert (gains >= -_slack(found.objective)).all()
    assert (np.diff(gains) <= _slack(found.objective)).all()


@given(instances(), st.integers(1, 2**31))
@settings(deadline=None)
def test_one_more_site_never_covers_less_and_one_more_locked_never_lowers_the_bound(
    case: Instance, seed: int
) -> None:
    fewer, more = _cover(case), _cover(case._replace(count=case.count + 1))
    assert fewer.objective <= more.bound + _slack(more.bound)
    again = _cover(case, Effort(restarts=30, bound_steps=100, seed=seed))
    assert again.objective <= fewer.bound + _slack(fewer.bound)


@given(instances())
@settings(deadline=None)
def test_the_same_inputs_give_the_same_sites(case: Instance) -> None:
    first, second = _cover(case), _cover(case)
    assert first.chosen.tolist() == second.chosen.tolist()
    assert (first.objective, first.bound) == (second.objective, second.bound)


@given(instances(), st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_bounds_do_not_depend_on_the_unit_of_demand(case: Instance, unit: float) -> None:
    scaled = _cover(case._replace(demand=case.demand * unit))
    best = max(case.covered(chosen) for chosen in case.sets()) * unit
    assert scaled.bound + _slack(best) >= best


@given(instances())
@settings(deadline=None)
def test_the_median_is_feasible_and_its_bound_is_below_the_optimum(case: Instance) -> None:
    best = min(case.cost(chosen) for chosen in case.sets())
    found = _median(case)
    chosen = found.chosen.tolist()
    assert not case.conflicts[np.ix_(chosen, [*chosen, *case.locked])].any()
    assert len(set(chosen)) == len(chosen) <= case.count
    assert abs(found.objective - case.cost(chosen)) <= _slack(case.cost([]))
    assert found.bound - _slack(case.cost([])) <= best <= found.objective + _slack(case.cost([]))
    assert (np.diff(found.curve) <= _slack(case.cost([]))).all()


@given(instances())
@settings(deadline=None)
def test_no_single_move_improves_the_median(case: Instance) -> None:
    found = _median(case, Effort(restarts=0, bound_steps=1))
    chosen = found.chosen.tolist()
    admissible = {tuple(sorted(s)) for s in case.sets()}
    for old in chosen:
        for new in range(len(case.table)):
            moved = tuple(sorted([*(j for j in chosen if j != old), new]))
            if moved in admissible:
                assert case.cost(list(moved)) >= found.objective - _slack(case.cost([]))


def test_groups_of_candidates_that_exclude_each_other() -> None:
    """A triangle 0–1–2 with a tail 2–3–4, and 5 alone: 3 is in conflict with 2 but not with all of its group."""
    against = np.zeros((6, 6), bool)
    for a, b in ((0, 1), (1, 2), (0, 2), (2, 3), (3, 4)):
        against[a, b] = against[b, a] = True
    assert conflict_cliques(sp.csr_array(against)).tolist() == [0, 0, 0, 1, 1, 2]


@given(instances())
def test_a_group_is_all_in_conflict(case: Instance) -> None:
    group = conflict_cliques(sp.csr_array(case.conflicts))
    assert sorted(set(group.tolist())) == list(range(group.max() + 1))
    for g in range(group.max() + 1):
        own = np.flatnonzero(group == g)
        assert (case.conflicts[np.ix_(own, own)] | np.eye(len(own), dtype=bool)).all()
