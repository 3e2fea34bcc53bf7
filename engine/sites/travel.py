"""How long each cell travels to each candidate: what the p-median adds up."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numba import njit

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.sites.inbound import FAR, forget, hand_over, incident_streets, label_towards, streets_at
from engine.snapping import Snaps

MS_PER_MIN = 60_000.0


def travel_minutes(
    network: StreetNetwork, sites: Snaps, pieces: StreetPieces, *, far_min: float
) -> sp.csr_array:
    """
    Mean time from each cell to each site, no part of it longer than `far_min`.

    A piece of street counts with the time from its middle, pieces by their length. A cell of which no piece
    reaches the site within `far_min` is not stored.

    Parameters
    ----------
    network
        Streets on which people come.
    sites
        Candidates on that network; a rejected one is reached by nobody.
    pieces
        The streets inside each cell.
    far_min
        [min] What a longer trip, or none, counts; positive.

    Returns
    -------
    scipy.sparse.csr_array
        [min] Shape (sites, cells); a stored 0 is a trip of no length.

    Raises
    ------
    InputError
        If `far_min` is not positive.

    Notes
    -----
    One bounded search a site: O(reached streets · log).
    """
    if not far_min > 0:
        msg = f"far_min is {far_min}: expected more than 0"
        raise InputError(msg)
    order = np.argsort(pieces.street, kind="stable")
    ptr = np.searchsorted(pieces.street[order], np.arange(len(network.streets) + 1)).astype(np.int64)
    length = np.maximum(pieces.length_m, 1e-9)
    whole = np.bincount(pieces.cell, weights=length, minlength=pieces.n_cells)
    into = network.adjacency(reverse=True)
    middle = (pieces.start + pieces.stop) / 2
    indptr, indices, saved = _travel(
        (into.indptr, into.indices, into.weight_ms),
        incident_streets(network),
        (network.u, network.v, network.forward_ms, network.backward_ms),
        (ptr, pieces.cell[order], middle[order], pieces.access_ms[order]),
        length[order],
        (sites.street, sites.fraction, sites.access_ms),
        np.int64(round(far_min * MS_PER_MIN)),
        pieces.n_cells,
    )
    minutes = np.clip(far_min - saved / whole[indices] / MS_PER_MIN, 0.0, far_min)
    result = sp.csr_array((minutes, indices, indptr), shape=(len(sites.street), pieces.n_cells))
    result.sort_indices()
    return result


@njit(cache=True)
def _travel(into, incident, streets, pieces, length, sites, far, n_cells):  # type: ignore[no-untyped-def]
    """Length × time saved against `far`, by site and cell, in compressed rows."""
    label = np.full(len(into[0]) - 1, FAR, np.int64)
    seen = np.full(len(streets[0]), -1, np.int64)
    saved = np.zeros(n_cells)
    indptr = np.zeros(len(sites[0]) + 1, np.int64)
    indices = [np.int32(0) for _ in range(0)]
    data = [0.0 for _ in range(0)]
    for j in range(len(sites[0])):
        s, f, rest = sites[0][j], sites[1][j], far - sites[2][j]
        if s >= 0 and rest > 0:
            touched = label_towards(into, streets, s, f, rest, label)
            cells = [np.int32(0) for _ in range(0)]
            for k in streets_at(incident, touched, s, seen, j):
                at = f if k == s else -1.0
                _along(k, at, rest, label, streets, pieces, length, saved, cells)
            forget(label, touched)
            hand_over(cells, saved, indices, data)
        indptr[j + 1] = len(indices)
    return indptr, np.array(indices, dtype=np.int32), np.array(data, dtype=np.float64)


@njit(cache=True)
def _along(k, f, rest, label, streets, pieces, length, saved, cells):  # type: ignore[no-untyped-def]
    """Add what the pieces of street `k` save; `f` is the site's place on it, -1 where it is elsewhere."""
    u, v, forward, backward = streets
    ptr, cell, middle, access = pieces
    for a in range(ptr[k], ptr[k + 1]):
        x = middle[a]
        time = np.inf
        if label[u[k]] < FAR and backward[k] >= 0:
            time = label[u[k]] + backward[k] * x
        if label[v[k]] < FAR and forward[k] >= 0:
            time = min(time, label[v[k]] + forward[k] * (1.0 - x))
        if f >= 0.0:
            if forward[k] >= 0 and x <= f:
                time = min(time, forward[k] * (f - x))
            if backward[k] >= 0 and x >= f:
                time = min(time, backward[k] * (x - f))
        left = rest - access[a] - time
        if left > 0.0:
            saved[cell[a]] += left * length[a]
            cells.append(np.int32(cell[a]))
