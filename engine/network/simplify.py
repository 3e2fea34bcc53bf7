"""Topological simplification: nodes where nothing is decided disappear, geometry and times stay."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]


STREET, CROSSING = 0, 1
"""Kinds of segments: a piece of way, a straight line across an area."""


class Segments(NamedTuple):
    """
    Pieces of way between two consecutive nodes.

    ``a``, ``b`` are positions in a node table, ``group`` is the row of a table of attributes (segments of
    different rows never merge), ``kind`` is `STREET` or `CROSSING`, times are milliseconds or -1
    where closed.
    """

    a: Index
    b: Index
    way: Index
    group: Index
    kind: npt.NDArray[np.int8]
    length_m: npt.NDArray[np.float64]
    forward_ms: Index
    backward_ms: Index

    def take(self, rows: npt.NDArray[np.generic]) -> Segments:
        """The segments of some rows."""
        return Segments(*(column[rows] for column in self))

    def append(self, more: Segments) -> Segments:
        """These segments followed by others."""
        return Segments(*(np.concatenate([own, other]) for own, other in zip(self, more, strict=True)))


class Chains(NamedTuple):
    """Runs of segments: run ``i`` is ``order[offsets[i]:offsets[i + 1]]``, in travelling order."""

    order: Index
    offsets: IntArray


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _unite(n: int, a: Index, b: Index, both: npt.NDArray[np.bool_]) -> Index:
    parent = np.arange(n, dtype=np.int32)
    for i in range(len(a)):
        if both[i]:
            x, y = a[i], b[i]
            while parent[x] != x:
                parent[x] = parent[parent[x]]
                x = parent[x]
            while parent[y] != y:
                parent[y] = parent[parent[y]]
                y = parent[y]
            if x < y:
                parent[y] = x
            elif y < x:
                parent[x] = y
    for i in range(n):
        parent[i] = parent[parent[i]]
    return parent


def strong_components(
    n: int, a: Index, b: Index, *, forward: npt.NDArray[np.bool_], backward: npt.NDArray[np.bool_]
) -> Index:
    """
    Strongly connected component of every node.

    Two-way segments are united first, so that the search for strong components sees one node for each two-way
    piece.

    Parameters
    ----------
    n
        Number of nodes.
    a, b
        Ends of the segments.
    forward, backward
        Whether a → b, b → a is open.

    Returns
    -------
    numpy.ndarray
        Label of each node: the lowest node of its component, shape (n,).
    """
    root: Index = _unite(n, a, b, forward & backward)
    single = forward ^ backward
    tail = root[np.where(forward, a, b)[single]]
    head = root[np.where(forward, b, a)[single]]
    loose = tail != head
    if not loose.any():
        return root
    known, code = np.unique(np.concatenate([tail[loose], head[loose]]), return_inverse=True)
    size, k = len(known), int(loose.sum())
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(k, dtype=np.int8), (code[:k], code[k:])), shape=(size, size)).tocsr()
    _, label = connected_components(graph, directed=True, connection="strong")
    lowest = np.full(int(label.max()) + 1, n, dtype=np.int32)
    np.minimum.at(lowest, label, known)
    merged = np.arange(n, dtype=np.int32)
    merged[known] = lowest[label]
    return np.asarray(merged[root])


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _merge(
    n: int,
    a: Index,
    b: Index,
    group: Index,
    open_: npt.NDArray[np.int8],
    fixed: npt.NDArray[np.bool_],
) -> tuple[Index, IntArray]:
    m = len(a)
    degree = np.zeros(n, np.int32)
    into = np.full(n, -1, np.int32)
    out = np.full(n, -1, np.int32)
    for i in range(m):
        degree[a[i]] += 1
        degree[b[i]] += 1
        out[a[i]] = i
        into[b[i]] = i
    follows = np.full(m, -1, np.int32)
    led = np.zeros(m, np.bool_)
    for v in range(n):
        if degree[v] == 2 and not fixed[v] and into[v] >= 0 and out[v] >= 0 and into[v] != out[v]:
            i, j = into[v], out[v]
            if group[i] == group[j] and open_[i] == open_[j]:
                follows[i] = j
                led[j] = True
    order = np.empty(m, np.int32)
    offsets = np.empty(m + 1, np.int64)
    done = np.zeros(m, np.bool_)
    k = runs = 0
    for rings in range(2):
        for i in range(m):
            if done[i] or (rings == 0 and led[i]):
                continue
            offsets[runs] = k
            runs += 1
            j = i
            while j >= 0 and not done[j]:
                order[k] = j
                k += 1
                done[j] = True
                j = follows[j]
    offsets[runs] = k
    return order, offsets[: runs + 1].copy()


def chains(n: int, segments: Segments, *, fixed: npt.NDArray[np.bool_]) -> Chains:
    """
    Join segments through nodes where nothing is decided.

    A node disappears when exactly two segments meet there, drawn in the same direction, open in the same
    directions and with the same attributes, and nothing (a signal, a turn) is fixed to it. A ring without any
    such decision keeps the start of its first segment.

    Parameters
    ----------
    n
        Number of nodes.
    segments
        The segments; their order decides the order of the runs.
    fixed
        Nodes that must stay, shape (n,).

    Notes
    -----
    O(nodes + segments).
    """
    open_ = (segments.forward_ms >= 0).astype(np.int8) + np.int8(2) * (segments.backward_ms >= 0)
    order, offsets = _merge(n, segments.a, segments.b, segments.group, open_, fixed)
    return Chains(order, offsets)
