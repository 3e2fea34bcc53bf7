"""What lies within a straight distance of many places, a portion of the places at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from engine.sites.candidates import PLACES_AT_ONCE
from engine.sites.selection import FloatArray


def portions(n: int, at_once: int) -> list[slice]:
    """Runs of candidates, compact as their streets are, whose surroundings are in memory together."""
    return [slice(i, min(i + at_once, n)) for i in range(0, n, at_once)]


def sum_within(
    xy: FloatArray,
    where: FloatArray,
    values: FloatArray,
    *,
    within_m: float,
    at_once: int = PLACES_AT_ONCE,
) -> FloatArray:
    """Sum of `values`, shape (points, columns), at points at most `within_m` from each place."""
    sums = [near @ values for near in _near_portions(xy, where, within_m, at_once)]
    return np.concatenate(sums) if sums else np.zeros((0, values.shape[1]))


def pairs(
    xy: FloatArray, where: FloatArray, within_m: float, *, at_once: int = PLACES_AT_ONCE
) -> sp.csr_array:
    """1.0 for each pair at most `within_m` apart, shape (places, points)."""
    near = list(_near_portions(xy, where, within_m, at_once))
    return sp.csr_array(sp.vstack(near, format="csr")) if near else sp.csr_array((0, len(where)))


def _near_portions(
    xy: FloatArray, where: FloatArray, within_m: float, at_once: int
) -> Iterator[sp.csr_array]:
    """Rows of `pairs`, a portion of the places at a time."""
    tree = cKDTree(where) if len(where) else None
    for part in portions(len(xy), at_once):
        if tree is None:
            yield sp.csr_array((part.stop - part.start, 0))
            continue
        near = cKDTree(xy[part]).sparse_distance_matrix(tree, within_m, output_type="coo_matrix").tocsr()
        near.data[:] = 1.0
        near.sort_indices()
        yield sp.csr_array(near)
