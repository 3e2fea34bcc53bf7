"""Cumulative opportunities of points: how many places each origin reaches within each cutoff."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach.cell_counts import count_units
from engine.reach.destinations import Destinations
from engine.reach.places_to_cells import Engine
from engine.snapping import Snaps


def cumulative(
    network: StreetNetwork,
    origins: Snaps,
    destinations: Destinations,
    cutoffs_ms: Sequence[int],
    *,
    weighted: bool = False,
    engine: Engine = "auto",
) -> npt.NDArray[np.float64]:
    """
    Count the places of each category within each cutoff of points on streets.

    A place counts when its time is at most the cutoff (boundary included), once whatever its number of access points.

    Parameters
    ----------
    network
        The streets.
    origins
        Where trips start; their access legs count.
    destinations
        The places.
    cutoffs_ms
        [ms] Increasing cutoffs.
    weighted
        Add up capacities instead of places.
    engine
        ``searches``, ``sweeps``, or the cheaper of the two; the result is the same.

    Returns
    -------
    numpy.ndarray
        Number of places (or capacity), shape (origins, categories, cutoffs); NaN for a rejected origin.

    Notes
    -----
    One search a place against the streets, so the cost hardly grows with the number of origins.
    """
    points = origin_pieces(origins)
    return count_units(network, points, destinations, cutoffs_ms, weighted=weighted, engine=engine).mean()


def origin_pieces(origins: Snaps) -> StreetPieces:
    """Describe points as cells that hold nothing but one point of a street each, numbered from 0."""
    row = np.flatnonzero(origins.accepted)
    return StreetPieces(
        cells=np.arange(len(origins.street), dtype=np.uint64),
        cell=row.astype(np.int32),
        street=origins.street[row],
        start=origins.fraction[row],
        stop=origins.fraction[row],
        length_m=np.zeros(len(row)),
        access_ms=origins.access_ms[row],
        no_network=~origins.accepted,
    )
