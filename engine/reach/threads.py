"""Both cores: compiled kernels release the interpreter, so plain threads share the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def spread(function: Callable[[T], R], tasks: Iterable[T]) -> list[R]:
    """Run `function` on every task over all processors; the results keep the order of the tasks."""
    todo = list(tasks)
    n = min(workers(), len(todo))
    if n <= 1:
        return [function(task) for task in todo]
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(function, todo))


def ranges(n: int, parts: int) -> list[tuple[int, int]]:
    """Split 0…n into at most `parts` runs of nearly equal length, none empty."""
    parts = max(1, min(parts, n))
    edges = [n * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
