"""The lists that searches wait in, and the k best labels of a slot, against plain Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numba import njit

from engine.reach import search
from engine.reach.search import NONE, OUT, PLACE


@njit
def enter(heads, links, bucket, slot):
    search.enter(heads, links, bucket, slot)


@njit
def leave(heads, links, bucket, slot):
    search.leave(heads, links, bucket, slot)


@njit
def insert(labels, fresh, label):
    return search.insert(labels, fresh, label)


@pytest.mark.parametrize("seed", range(20))
def test_slots_come_and_go_in_any_order(seed: int) -> None:
    """Every slot, number 0 included, first, last or in the middle of its list."""
    draw = random.Random(seed)
    heads, links = np.full(3, -1, np.int64), np.full((7, 2), OUT, np.int64)
    lists: list[list[int]] = [[], [], []]
    for _ in range(200):
        slot = draw.randrange(len(links))
        there = [b for b, waiting in enumerate(lists) if slot in waiting]
        if there:
            leave(heads, links, there[0], slot)
            lists[there[0]].remove(slot)
            assert links[slot, 0] == OUT
        else:
            bucket = draw.randrange(3)
            enter(heads, links, bucket, slot)
            lists[bucket].insert(0, slot)
        for bucket, waiting in enumerate(lists):
            found, at, before = [], int(heads[bucket]), -1
            while at >= 0:
                assert links[at, 0] == before
                found.append(at)
                before, at = at, int(links[at, 1])
            assert found == waiting


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_the_k_best_of_distinct_places(seed: int, k: int) -> None:
    draw = random.Random(seed)
    labels, fresh = np.full(k, NONE, np.int64), np.zeros(k, bool)
    best: dict[int, int] = {}
    for _ in range(60):
        time, place = draw.randrange(40), draw.randrange(6)
        label = time << 32 | place
        before, was = labels.tolist(), dict(zip(labels.tolist(), fresh.tolist(), strict=True))
        entered = insert(labels, fresh, label)
        kept = {x & PLACE: x for x in before if x != NONE}
        kept[place] = min(kept.get(place, NONE), label)
        expected = sorted(kept.values())[:k]
        assert labels.tolist() == expected + [NONE] * (k - len(expected))
        assert entered == (label in expected and label not in before)
        now = dict(zip(labels.tolist(), fresh.tolist(), strict=True))
        assert all(now[x] == (was.get(x, False) or (x == label and entered)) for x in expected)
        best[place] = min(best.get(place, NONE), label)
        if draw.random() < 0.3:
            fresh[:] = False
    assert labels.tolist() == (sorted(best.values()) + [NONE] * k)[:k]
