"""Coverage: which cells reach each of many places or candidates, how much of them, and in what time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.places_to_cells import place_rows


@dataclass(frozen=True, eq=False)
class Coverage:
    """
    A sparse matrix of places by cells, in compressed rows.

    Attributes
    ----------
    offsets
        Entries of place ``p`` are ``offsets[p]:offsets[p + 1]``.
    cell
        Cell of each entry, increasing within a place.
    share
        Share of the cell's streets from which the place is reached within the cutoff, 0 < share ≤ 1.
    time_ms
        [ms] Mean time over that share.
    """

    offsets: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]
    time_ms: npt.NDArray[np.float64]

    @property
    def place(self) -> npt.NDArray[np.int64]:
        """Place of each entry."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def coverage(
    network: StreetNetwork, pieces: StreetPieces, destinations: Destinations, *, cutoff_ms: int
) -> Coverage:
    """
    Find the cells from which each place is reached within a cutoff.

    Parameters
    ----------
    network, pieces
        The streets and their pieces in each cell.
    destinations
        The places, or candidates for places; categories do not matter.
    cutoff_ms
        [ms] Greatest time, inclusive.

    Returns
    -------
    Coverage
        One row a place; empty for a place that no cell reaches.

    Notes
    -----
    One bounded search a place; memory O(entries).
    """
    rows = place_rows(network, pieces, destinations, [Decay.step(cutoff_ms), Decay("time", cutoff_ms)])
    some = rows.units[:, 0] > 0
    kept = np.concatenate([[0], np.cumsum(some)])[rows.offsets]
    cell, units = rows.cell[some], rows.units[some]
    return Coverage(
        offsets=kept.astype(np.int64),
        cell=cell,
        share=units[:, 0] / rows.whole[cell],
        time_ms=np.minimum(units[:, 1] / np.maximum(units[:, 0], 1), float(cutoff_ms)),
    )


def two_step_fca(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    demand: npt.NDArray[np.float64],
    decay: Decay,
) -> npt.NDArray[np.float64]:
    """
    Supply per head by the two-step floating catchment area.

    First each place divides its capacity among the people of its catchment; then each cell adds up what the places
    that it reaches have per head. People live evenly along the streets of their cell, so a catchment that ends in
    the middle of a cell takes that part of its people. With a decay other than a step this is the enhanced method.

    Parameters
    ----------
    network, pieces
        The streets and their pieces in each cell.
    destinations
        The places; ``capacity`` is their supply.
    demand
        People of each cell, shape (cells,), ≥ 0.
    decay
        Weight of the catchment by travel time.

    Returns
    -------
    numpy.ndarray
        Supply per head, shape (cells, categories); NaN for a cell without network. Where every place has people in
        its catchment, the sum over cells of demand · result is the whole supply.

    Raises
    ------
    InputError
        `demand` has another length than the cells, or is negative or not finite.

    References
    ----------
    Luo, W., Wang, F. (2003). Measures of spatial accessibility to health care in a GIS environment. Environment and
    Planning B 30(6), 865–884.
    Luo, W., Qi, Y. (2009). An enhanced two-step floating catchment area (E2SFCA) method. Health & Place 15(4),
    1100–1107.
    """
    people = np.asarray(demand, dtype=np.float64)
    if people.shape != (pieces.n_cells,) or not np.isfinite(people).all() or (people < 0).any():
        msg = f"demand has shape {people.shape}; expected ({pieces.n_cells},), finite and not negative"
        raise InputError(msg)
    rows = place_rows(network, pieces, destinations, [decay])
    place = np.repeat(np.arange(destinations.n_places), np.diff(rows.offsets))
    weight = rows.units[:, 0] / rows.whole[rows.cell]
    sought = np.bincount(place, weights=weight * people[rows.cell], minlength=destinations.n_places)
    ratio = np.divide(destinations.capacity, sought, out=np.zeros(destinations.n_places), where=sought > 0)
    column = rows.cell.astype(np.int64) * destinations.n_categories + destinations.category[place]
    size = pieces.n_cells * destinations.n_categories
    supply = np.bincount(column, weights=weight * ratio[place], minlength=size)
    result = supply.reshape(pieces.n_cells, destinations.n_categories)
    return np.where((rows.whole > 0)[:, None], result, np.nan)
