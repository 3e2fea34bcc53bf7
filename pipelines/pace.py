"""
Pace: how long a fixed piece of work takes on this machine, against the one that the rates of `pipelines.cost` are of.

A run spends its time in interpreted code on small tables, in compiled loops over large arrays, and in searches of
networks; the probe does a little of each, and an estimate is multiplied by what it finds. How far that holds is
measured in docs/batch.md.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

REFERENCE_S = 0.0455
"""[s] The probe on the machine of the rates."""
_ROUNDS = 9
_SIDE = 150


def pace() -> float:
    """
    Core seconds of this machine for each core second of `pipelines.cost`, as it is loaded now.

    The middle of nine rounds, less than a second in all: as disturbed as a run would be.
    """
    work = _Work()
    return median(work.seconds() for _ in range(_ROUNDS)) / REFERENCE_S


class _Work:
    """The fixed piece of work; what it works on is made once."""

    def __init__(self) -> None:
        draw = np.random.default_rng(15)
        self.values = draw.random(400_000)
        self.order = draw.permutation(len(self.values))
        node = np.arange(_SIDE * _SIDE).reshape(_SIDE, _SIDE)
        tail = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
        head = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
        self.streets = csr_array((draw.random(len(tail)) + 0.1, (tail, head)), shape=(node.size, node.size))

    def seconds(self) -> float:
        """[s] Processor time of one round."""
        start = time.process_time()
        self._tables()
        self._arrays()
        self._search()
        return time.process_time() - start

    @staticmethod
    def _tables() -> None:
        found: dict[str, list[int]] = {}
        for i in range(60_000):
            found.setdefault(str(i % 997), []).append(i * i)

    def _arrays(self) -> None:
        order = np.argsort(self.values[self.order])
        np.add.accumulate(self.values[order])

    def _search(self) -> None:
        dijkstra(self.streets, directed=False, indices=[0, _SIDE // 2])
