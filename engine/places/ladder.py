"""The green ladder: how far, in metres along streets, a park of each size is from every cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.cells import StreetPieces
from engine.equity import weighted_mean
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.places.green import GREEN_LADDER, ladder_steps
from engine.reach import Destinations, cell_times, nearest
from engine.snapping import Snaps

_MM = 1000.0
LIMIT_M = 5_000.0
"""[m] Parks farther than this are not looked for."""


def metre_network(network: StreetNetwork) -> StreetNetwork:
    """
    Make a network whose times are lengths: a millisecond stands for a millimetre.

    Directions that may not be travelled stay closed. With it, every search and every integral of times gives
    distances, and nothing is ever converted from minutes.

    Parameters
    ----------
    network
        The streets.
    """
    length = np.rint(network.length_m * _MM).astype(np.int32)
    streets = network.streets.assign(
        forward_ms=np.where(network.forward_ms >= 0, length, network.forward_ms),
        backward_ms=np.where(network.backward_ms >= 0, length, network.backward_ms),
    )
    return replace(network, streets=streets)


def metre_snaps(snaps: Snaps) -> Snaps:
    """Measure the off-network legs of access points in millimetres too."""
    return replace(snaps, access_ms=np.rint(np.asarray(snaps.access_m) * _MM).astype(np.int64))


def green_distances(
    network: StreetNetwork,
    pieces: StreetPieces,
    snaps: Snaps,
    park: npt.NDArray[np.int32],
    area_ha: npt.NDArray[np.float64],
) -> pd.DataFrame:
    """
    Measure how far parks of each size are from every cell.

    Parameters
    ----------
    network, pieces
        The walking network and its streets in each cell.
    snaps, park
        Entrances on that network, and the park of each; shape (entrances,).
    area_ha
        [ha] Area of each park, shape (parks,).

    Returns
    -------
    pandas.DataFrame
        For each step of the ladder ``<step>_m`` (mean distance over the cell's streets, entrance legs
        included; NaN where none is within `LIMIT_M` or there is no street) and ``<step>`` (True where it is
        at most the step's distance); one row a cell, in the order of ``pieces.cells``.

    Raises
    ------
    InputError
        If `park` names a park that has no area.
    """
    if len(park) and park.max() >= len(area_ha):
        msg = f"an entrance belongs to park {park.max()}, but there are {len(area_ha)} areas"
        raise InputError(msg)
    metres, legs = metre_network(network), metre_snaps(snaps)
    large = ladder_steps(area_ha)
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for k, step in enumerate(GREEN_LADDER):
        destinations = _parks_of(legs, park, large[:, k])
        field = nearest(metres, destinations, limit_ms=int(LIMIT_M * _MM))
        mean = cell_times(metres, pieces, field, destinations).mean_ms[:, 0, 0] / _MM
        columns[f"{step.name}_m"] = mean
        columns[step.name] = mean <= step.distance_m
    return pd.DataFrame(columns)


def ladder_summary(
    distances: pd.DataFrame, weight: npt.NDArray[np.float64]
) -> dict[str, dict[str, float | str | None]]:
    """
    Share of residents within the distance of each step of the ladder.

    Parameters
    ----------
    distances
        Table of `green_distances`.
    weight
        Residents of each cell, or what else a cell counts (see `engine.scoring.weight_of`).

    Returns
    -------
    dict
        For each step: ``min_area_ha``, ``distance_m``, ``reference``, ``share``, ``mean_m`` (of those who
        reach one); null where nobody lives.
    """
    total = float(weight.sum())
    out: dict[str, dict[str, float | str | None]] = {}
    for step in GREEN_LADDER:
        mean = weighted_mean(distances[f"{step.name}_m"], weight)
        out[step.name] = {
            "min_area_ha": step.min_area_ha,
            "distance_m": step.distance_m,
            "reference": step.reference,
            "share": float(weight[distances[step.name]].sum()) / total if total > 0 else None,
            "mean_m": mean if np.isfinite(mean) else None,
        }
    return out


def _parks_of(snaps: Snaps, park: npt.NDArray[np.int32], wanted: npt.NDArray[np.bool_]) -> Destinations:
    """Destinations of one category: the wanted parks with all their entrances."""
    number = np.cumsum(wanted) - 1
    keep = wanted[park] if len(park) else np.zeros(0, dtype=bool)
    chosen = Snaps(
        street=snaps.street[keep],
        fraction=snaps.fraction[keep],
        access_m=snaps.access_m[keep],
        access_ms=snaps.access_ms[keep],
        reason=snaps.reason[keep],
    )
    n = int(wanted.sum())
    return Destinations(
        snaps=chosen,
        place=number[park[keep]].astype(np.int32),
        category=np.zeros(n, dtype=np.int32),
        capacity=np.ones(n),
        n_categories=1,
    )
