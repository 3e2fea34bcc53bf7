"""Gravity: places count for less the longer it takes to reach them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.places_to_cells import Engine, cell_units


def gravity(
    network: StreetNetwork,
    pieces: StreetPieces,
    destinations: Destinations,
    decay: Decay,
    *,
    weighted: bool = False,
    engine: Engine = "auto",
) -> npt.NDArray[np.float64]:
    """
    Sum the decay of the travel time over all places, as the mean over the streets of each cell.

    Exact along the streets: the decay is integrated, not sampled. With `Decay.step` it is the cumulative count.

    Parameters
    ----------
    network, pieces, destinations
        The streets, their pieces in each cell, and the places.
    decay
        What a place counts for by its travel time.
    weighted
        Multiply by the capacity of each place.
    engine
        ``searches``, ``sweeps``, or the cheaper of the two; the result is the same.

    Returns
    -------
    numpy.ndarray
        Mean weight, shape (cells, categories); NaN for a cell without network.

    Notes
    -----
    Cost O(places · streets within ``decay.limit_ms``). Rounded to 60 nm of street a place and piece.

    References
    ----------
    Hansen, W. G. (1959). How accessibility shapes land use. J. American Institute of Planners 25(2), 73–76.

    Examples
    --------
    >>> gravity(network, pieces, destinations, Decay.exponential(300_000))  # doctest: +SKIP
    """
    return cell_units(network, pieces, destinations, [decay], weighted=weighted, engine=engine).mean()[
        :, :, 0
    ]
