"""Rows of sixteen times: each vector instruction against its definition in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from engine.reach import lanes
from engine.reach.lanes import BEYOND, LANES

ROWS = 9
Times = npt.NDArray[np.int32]


@njit
def pull(times, here, head, weight, begin, end, keep):
    return lanes.pull(times, here, head, weight, begin, end, keep)


@njit
def push_up(times, here, head, weight, begin, end):
    lanes.push_up(times, here, head, weight, begin, end)


@njit
def within(times, u, v, share, extra, access, cutoff):
    return lanes.within(times, u, v, np.float32(share), np.float32(extra), np.int32(access), np.int32(cutoff))


@njit
def straddles(times, u, v, forward, backward, cutoff):
    return lanes.straddles(times, u, v, np.int32(forward), np.int32(backward), np.int32(cutoff))


@njit
def differ(before, now, here, limit):
    return lanes.differ(before, now, here, np.int32(limit))


@njit
def counted(bits):
    return lanes.ones(bits)


@njit
def lowest(bits):
    return lanes.first_one(bits)


@njit
def mark(x, parent, marked, first, second, climb, count):
    return lanes.mark(x, parent, marked, (first, second), climb, count)


@pytest.fixture(params=range(20))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def times_of(rng: np.random.Generator) -> Times:
    times = rng.integers(0, 5000, (ROWS, LANES)).astype(np.int32)
    return np.where(rng.random(times.shape) < 0.2, np.int32(BEYOND), times).astype(np.int32)


def bits_of(lanes_: npt.NDArray[np.bool_]) -> int:
    return sum(1 << k for k in np.flatnonzero(lanes_).tolist())


@pytest.mark.parametrize("keep", [False, True])
def test_pull_takes_the_least_over_all_arcs(rng: np.random.Generator, keep: bool) -> None:
    times = times_of(rng)
    head = rng.integers(1, ROWS, 8).astype(np.int32)
    weight = rng.integers(0, 3000, 8).astype(np.int32)
    for begin, end in ((0, 8), (2, 5), (3, 4), (4, 4)):
        found, expected = times.copy(), times.copy()
        start = times[0] if keep else np.full(LANES, BEYOND)
        expected[0] = np.vstack([start, *(times[head[a]] + weight[a] for a in range(begin, end))]).min(axis=0)
        assert pull(found, 0, head, weight, begin, end, keep) == expected[0].min()
        assert (found == expected).all()


def test_push_lowers_the_heads(rng: np.random.Generator) -> None:
    times = times_of(rng)
    head = rng.integers(1, ROWS, 8).astype(np.int32)
    weight = rng.integers(0, 3000, 8).astype(np.int32)
    for begin, end in ((0, 8), (2, 5), (3, 4), (4, 4)):
        found, expected = times.copy(), times.copy()
        for a in range(begin, end):
            expected[head[a]] = np.minimum(expected[head[a]], times[0] + weight[a])
        push_up(found, 0, head, weight, begin, end)
        assert (found == expected).all()


def test_within_and_straddles_by_their_definitions(rng: np.random.Generator) -> None:
    times = times_of(rng)
    for u, v in ((0, 1), (3, 2), (4, 4)):
        at_u, at_v, cutoff = times[u].astype(float), times[v].astype(float), int(rng.integers(500, 5000))
        share, extra, access = (
            float(rng.integers(0, 5)) / 4,
            float(rng.integers(0, 900)),
            int(rng.integers(0, 400)),
        )
        wholly = share * at_u + (1 - share) * at_v + extra + 2 <= cutoff
        partly = np.minimum(at_u, at_v) + access <= cutoff
        assert within(times, u, v, share, extra, access, cutoff) == bits_of(wholly) | bits_of(partly) << LANES
        forward, backward = (int(t) for t in rng.integers(0, 900, 2))
        wholly = np.minimum(at_u + backward, at_v + forward) <= cutoff
        partly = np.minimum(at_u, at_v) <= cutoff
        found = straddles(times, u, v, forward, backward, cutoff)
        assert found == bits_of(wholly) | bits_of(partly) << LANES


def test_the_limits_themselves_are_within() -> None:
    times = np.zeros((2, LANES), np.int32)
    times[0, 0], times[1, 0] = 98, 98
    assert within(times, 0, 1, 0.5, 0.0, 0, 100) & 1 == 1
    assert within(times, 0, 1, 0.5, 0.0, 0, 99) & 1 == 0
    assert within(times, 0, 1, 0.5, 0.0, 2, 100) >> LANES & 1 == 1
    assert within(times, 0, 1, 0.5, 0.0, 3, 100) >> LANES & 1 == 0
    assert straddles(times, 0, 1, 2, 9, 100) & 1 == 1
    assert straddles(times, 0, 1, 3, 9, 100) & 1 == 0
    assert straddles(times, 0, 1, 9, 9, 98) >> LANES & 1 == 1
    assert straddles(times, 0, 1, 9, 9, 97) >> LANES & 1 == 0


def test_differ_asks_only_within_the_limit(rng: np.random.Generator) -> None:
    before = times_of(rng)
    now = np.where(rng.random(before.shape) < 0.5, before, times_of(rng)).astype(np.int32)
    for limit in (0, 2500, int(before[3].min()), BEYOND):
        expected = (before[3] != now[3]) & (np.minimum(before[3], now[3]) <= limit)
        assert differ(before, now, 3, limit) == bits_of(expected)


def test_bits_are_counted_and_found(rng: np.random.Generator) -> None:
    for bits in [1, 1 << 62, *rng.integers(1, 1 << 40, 20).tolist()]:
        assert counted(bits) == bin(bits).count("1")
        assert lowest(bits) == (bits & -bits).bit_length() - 1
    assert counted(0) == 0


def test_mark_keeps_what_climbs_in_order(rng: np.random.Generator) -> None:
    """Each position once, from the last to the first, with rows that nothing has reached."""
    n = 40
    parent = np.array([-1, *(rng.integers(max(0, i - 6), i) for i in range(1, n))], np.int64)
    marked, climb = np.zeros(n, bool), np.full((2, n), -7, np.int64)
    one, two = np.ones((n, LANES), np.int32), np.ones((n, LANES), np.int32)
    expected: set[int] = set()
    count = 0
    for x in rng.permutation(n)[:9].tolist():
        count = mark(x, parent, marked, one, two, climb, count)
        above = x
        while above >= 0:
            expected.add(above)
            above = int(parent[above])
        assert climb[0, :count].tolist() == sorted(expected, reverse=True)
        assert set(np.flatnonzero(marked)) == expected
        for times in (one, two):
            assert (times[marked] == BEYOND).all()
            assert (times[~marked] == 1).all()
