"""The search towards a site that siting rests on: which streets lead to it, and how long from each of their ends."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.network.street_network import StreetNetwork

FAR = np.int64(2**60)
"""[ms] Label of a vertex that was not reached."""


def incident_streets(network: StreetNetwork) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Streets at each vertex, compressed rows."""
    m = len(network.streets)
    vertex = np.concatenate([network.u, network.v])
    street = np.concatenate([np.arange(m), np.arange(m)])
    order = np.lexsort((street, vertex))
    ptr = np.searchsorted(vertex[order], np.arange(network.n_vertices + 1))
    return ptr.astype(np.int64), street[order].astype(np.int64)


@njit(cache=True)
def label_towards(into, streets, s, f, rest, label):  # type: ignore[no-untyped-def]
    """
    Label the vertices from which a site is reached within `rest`, by a bounded search against the direction of travel.

    Parameters
    ----------
    into
        Edges by head: pointers, tails and times [ms].
    streets
        ``u``, ``v``, and the times [ms] from u to v and from v to u, negative where that is not allowed.
    s, f
        The site's street, and its place on it from u (0) to v (1).
    rest
        [ms] Longest trip to the site's place on the street; exactly that counts.
    label
        [ms] `FAR` everywhere, shape (vertices,); holds the times afterwards.

    Returns
    -------
    list
        The vertices labelled; `forget` clears them.
    """
    u, v, forward, backward = streets
    touched = [np.int32(0) for _ in range(0)]
    heap = [(np.int64(0), np.int64(0)) for _ in range(0)]
    if forward[s] >= 0:
        _lower(label, touched, heap, u[s], np.int64(np.rint(forward[s] * f)), rest)
    if backward[s] >= 0:
        _lower(label, touched, heap, v[s], np.int64(backward[s] - np.rint(backward[s] * f)), rest)
    ptr, tail, weight = into
    while len(heap) > 0:
        d, w = heappop(heap)
        if d <= label[w]:
            for a in range(ptr[w], ptr[w + 1]):
                _lower(label, touched, heap, tail[a], d + weight[a], rest)
    return touched


@njit(cache=True)
def streets_at(incident, touched, s, seen, j):  # type: ignore[no-untyped-def]
    """Streets at the labelled vertices, each once, street `s` first; ``seen`` is marked with `j`, other than before."""
    ptr, street = incident
    found = [np.int64(s)]
    seen[s] = j
    for w in touched:
        for a in range(ptr[w], ptr[w + 1]):
            k = street[a]
            if seen[k] != j:
                seen[k] = j
                found.append(k)
    return found


@njit(cache=True)
def forget(label, touched):  # type: ignore[no-untyped-def]
    """Have the labels of one search `FAR` again."""
    for w in touched:
        label[w] = FAR


@njit(cache=True)
def hand_over(cells, sums, indices, data):  # type: ignore[no-untyped-def]
    """Append the positive sums of some cells to a compressed row, by rising cell, and set them to nought."""
    for c in sorted(cells):
        if sums[c] > 0.0:
            indices.append(c)
            data.append(sums[c])
            sums[c] = 0.0


@njit(cache=True)
def _lower(label, touched, heap, vertex, time, limit):  # type: ignore[no-untyped-def]
    if time <= limit and time < label[vertex]:
        if label[vertex] == FAR:
            touched.append(np.int32(vertex))
        label[vertex] = time
        heappush(heap, (time, np.int64(vertex)))
