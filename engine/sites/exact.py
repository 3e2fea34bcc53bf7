"""The exact search at the end: HiGHS on what is left of a covering problem, where that is small enough to pay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, milp

from engine.sites.cover_kernel import Cover
from engine.sites.selection import IntArray

MAX_ENTRIES = 20_000
"""Stored entries beyond which branching no longer pays: the linear relaxation alone takes HiGHS minutes."""
TOLERANCE = 1e-6
"""What HiGHS's own tolerances may cost, as a share of the total: added to its bound."""


class Exact(NamedTuple):
    """Candidates, and a bound in whole weights."""

    chosen: IntArray
    bound: float


def branch(cover: Cover, count: int, *, nodes: int) -> Exact | None:
    """
    Solve maximal covering by branch and bound.

    Parameters
    ----------
    cover
        The problem; conflicts are kept pair by pair.
    count
        Sites at most.
    nodes
        Nodes of the search at most: a count of work, so the same inputs give the same answer.

    Returns
    -------
    Exact or None
        None where the problem is too large to pay (`MAX_ENTRIES`) or HiGHS found nothing.

    References
    ----------
    Huangfu & Hall (2018) Parallelizing the dual revised simplex method (HiGHS).
    """
    n, m = len(cover.row_ptr) - 1, len(cover.weight)
    total = float(cover.weight.sum())
    if not n or not m or not total or len(cover.row) + len(cover.hit) > MAX_ENTRIES:
        return None
    serves = sp.csr_array((np.ones(len(cover.row)), cover.row, cover.row_ptr), shape=(n, m))
    first = np.repeat(np.arange(n), np.diff(cover.hit_ptr))
    once = first < cover.hit
    pairs = int(once.sum())
    ends = (np.repeat(np.arange(pairs), 2), np.column_stack([first[once], cover.hit[once]]).ravel())
    apart = sp.csr_array((np.ones(2 * pairs), ends), shape=(pairs, n))
    rows = sp.block_array(
        [
            [-serves.T, sp.eye_array(m)],
            [sp.csr_array(np.ones((1, n))), None],
            [apart, None],
        ],
        format="csr",
    )
    found = milp(
        np.concatenate([np.zeros(n), -cover.weight / total]),
        constraints=LinearConstraint(rows, -np.inf, np.concatenate([np.zeros(m), [count], np.ones(pairs)])),
        bounds=Bounds(0, 1),
        integrality=np.concatenate([np.ones(n), np.zeros(m)]),
        options={"node_limit": nodes, "mip_rel_gap": 0.0},
    )
    if found.x is None or found.mip_dual_bound is None:
        return None
    return Exact(
        np.flatnonzero(found.x[:n] > 0.5).astype(np.int64), (TOLERANCE - found.mip_dual_bound) * total
    )
