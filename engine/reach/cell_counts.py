"""Cumulative counts: how many places each cell reaches within each cutoff, exact along its streets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.places_to_cells import CellUnits, Engine, cell_units


def cell_counts(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    cutoffs_ms: Sequence[int],
    *,
    weighted: bool = False,
) -> npt.NDArray[np.float64]:
    """
    Count the places of each category within each cutoff, as the mean over the streets of each cell.

    A place counts at a point of a street when the time from there is at most the cutoff (boundary included),
    once whatever its number of access points. A cell without streets of its own counts from the nearest point,
    after the walk to it.

    Parameters
    ----------
    network, pieces, destinations
        The streets, their pieces in each cell, and the places.
    cutoffs_ms
        [ms] Increasing cutoffs.
    weighted
        Add up capacities instead of places.

    Returns
    -------
    numpy.ndarray
        Mean number of places, shape (cells, categories, cutoffs); NaN for a cell without network.

    Raises
    ------
    InputError
        The cutoffs are empty, negative or not increasing.

    Notes
    -----
    One bounded search a place on the reversed graph; on each street that it touches, the stretch within the
    cutoff is the union of what its two ends and its own places open. Cost O(places · streets within the greatest
    cutoff), whatever the number of cells.
    """
    return count_units(network, pieces, destinations, cutoffs_ms, weighted=weighted).mean()


def count_units(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    cutoffs_ms: Sequence[int],
    *,
    weighted: bool = False,
    places: npt.NDArray[np.int64] | None = None,
    engine: Engine = "auto",
) -> CellUnits:
    """
    Give the exact sums behind `cell_counts`: what a proposal adds and takes back.

    Parameters
    ----------
    network, pieces, destinations, cutoffs_ms, weighted
        As in `cell_counts`.
    places
        Only these places; None for all.
    engine
        As in `cell_units`.
    """
    decays = [Decay.step(int(c)) for c in cutoffs_ms]
    if not decays or any(b.limit_ms <= a.limit_ms for a, b in pairwise(decays)):
        msg = f"cutoffs_ms is {list(cutoffs_ms)}; expected at least one, increasing"
        raise InputError(msg)
    return cell_units(network, pieces, destinations, decays, weighted=weighted, places=places, engine=engine)
