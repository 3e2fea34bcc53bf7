"""Which cells each candidate would serve: the share of a cell's streets within a cutoff of it."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numba import njit

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.sites.inbound import FAR, forget, hand_over, incident_streets, label_towards, streets_at
from engine.snapping import Snaps


def catchment(network: StreetNetwork, sites: Snaps, pieces: StreetPieces, *, cutoff_ms: int) -> sp.csr_array:
    """
    Share of each cell's streets from which each site is reached within a cutoff.

    Trips run from the cell to the site; a trip of exactly the cutoff counts. A cell that has no street of its
    own counts as a whole or not at all.

    Parameters
    ----------
    network
        Streets on which people come.
    sites
        Candidates on that network; a rejected one serves nothing.
    pieces
        The streets inside each cell.
    cutoff_ms
        [ms] Longest trip, off-network legs included.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (sites, cells), 0 < share ≤ 1 where stored.

    Raises
    ------
    InputError
        If the cutoff is negative.

    Notes
    -----
    One bounded search a site: O(reached streets · log).
    """
    if cutoff_ms < 0:
        msg = f"cutoff_ms is {cutoff_ms}: expected 0 or more"
        raise InputError(msg)
    order = np.argsort(pieces.street, kind="stable")
    piece_ptr = np.searchsorted(pieces.street[order], np.arange(len(network.streets) + 1)).astype(np.int64)
    into = network.adjacency(reverse=True)
    whole = np.bincount(pieces.cell, weights=np.maximum(pieces.length_m, 1e-9), minlength=pieces.n_cells)
    indptr, indices, data = _catch(
        (into.indptr, into.indices, into.weight_ms),
        incident_streets(network),
        (network.u, network.v, network.forward_ms, network.backward_ms),
        (piece_ptr, pieces.cell[order], pieces.start[order], pieces.stop[order], pieces.access_ms[order]),
        np.maximum(pieces.length_m, 1e-9)[order],
        (sites.street, sites.fraction, sites.access_ms),
        np.int64(cutoff_ms),
        pieces.n_cells,
    )
    share = np.minimum(data / whole[indices], 1.0) if len(indices) else data
    result = sp.csr_array((share, indices, indptr), shape=(len(sites.street), pieces.n_cells))
    result.sort_indices()
    return result


def served(share: sp.csr_array, *, least: float = 0.5) -> sp.csr_array:
    """
    Cells that count as served: at least a share of their streets lies within the cutoff.

    Returns
    -------
    scipy.sparse.csr_array
        Same shape, True where stored.
    """
    keep = share.tocoo()
    hit = keep.data >= least
    rows, cols = keep.coords
    result = sp.csr_array((np.ones(int(hit.sum()), np.bool_), (rows[hit], cols[hit])), shape=share.shape)
    result.sort_indices()
    return result


@njit(cache=True)
def _inside(low, high, first, last):  # type: ignore[no-untyped-def]
    """Part of [low, high] that a prefix [0, first] and a suffix [last, 1] cover together."""
    left = min(high, first)
    right = max(low, last)
    if low == high:
        return 1.0 if left >= low or right <= high else 0.0
    part = max(0.0, left - low) + max(0.0, high - right)
    return min(part, high - low) / (high - low)


@njit(cache=True)
def _catch(into, incident, streets, pieces, length, sites, cutoff, n_cells):  # type: ignore[no-untyped-def]
    label = np.full(len(into[0]) - 1, FAR, np.int64)
    seen = np.full(len(streets[0]), -1, np.int64)
    share = np.zeros(n_cells)
    indptr = np.zeros(len(sites[0]) + 1, np.int64)
    indices = [np.int32(0) for _ in range(0)]
    data = [0.0 for _ in range(0)]
    for j in range(len(sites[0])):
        s, f, rest = sites[0][j], sites[1][j], cutoff - sites[2][j]
        if s >= 0 and rest >= 0:
            touched = label_towards(into, streets, s, f, rest, label)
            cells = [np.int32(0) for _ in range(0)]
            for k in streets_at(incident, touched, s, seen, j):
                at = f if k == s else -1.0
                _street(k, at, rest, label, streets, pieces, length, share, cells)
            forget(label, touched)
            hand_over(cells, share, indices, data)
        indptr[j + 1] = len(indices)
    return indptr, np.array(indices, dtype=np.int32), np.array(data, dtype=np.float64)


@njit(cache=True)
def _street(k, f, rest, label, streets, pieces, length, share, cells):  # type: ignore[no-untyped-def]
    """Add what street `k` gives to the cells; `f` is the site's place on it, -1 where it is elsewhere."""
    u, v, forward, backward = streets
    piece_ptr, cell, start, stop, access = pieces
    for a in range(piece_ptr[k], piece_ptr[k + 1]):
        left = rest - access[a]
        first, last = -1.0, 2.0  # a trip from x reaches u by time backward · x, v by forward · (1 − x)
        if label[u[k]] <= left and backward[k] >= 0:
            first = (left - label[u[k]]) / backward[k] if backward[k] > 0 else 1.0
        if label[v[k]] <= left and forward[k] >= 0:
            last = 1.0 - ((left - label[v[k]]) / forward[k] if forward[k] > 0 else 1.0)
        part = _inside(start[a], stop[a], min(first, 1.0), max(last, 0.0))
        if f >= 0.0 and left >= 0:
            part = max(part, _around(start[a], stop[a], f, left, forward[k], backward[k], first, last))
        if part > 0.0:
            share[cell[a]] += part * length[a]
            cells.append(np.int32(cell[a]))


@njit(cache=True)
def _around(low, high, f, left, forward, backward, first, last):  # type: ignore[no-untyped-def]
    """Part of [low, high] from which a site at `f` of the street is reached, directly or round its ends."""
    begin = f if forward < 0 else (f - left / forward if forward > 0 else 0.0)
    end = f if backward < 0 else (f + left / backward if backward > 0 else 1.0)
    if low == high:
        return 1.0 if begin <= low <= end or low <= first or low >= last else 0.0
    marks = np.array(
        [
            low,
            high,
            min(max(begin, low), high),
            min(max(end, low), high),
            min(max(first, low), high),
            min(max(last, low), high),
        ]
    )
    marks.sort()
    part = 0.0
    for i in range(5):
        middle = (marks[i] + marks[i + 1]) / 2
        if begin <= middle <= end or middle <= first or middle >= last:
            part += marks[i + 1] - marks[i]
    return part / (high - low)
