"""
How an edit changes the Level of Traffic Stress of a street.

References
----------
Furth (2017), Level of Traffic Stress Criteria for Road Segments, version 2.0: tables 1 (mixed traffic) and 2 (bike
lanes). As in `engine.network.stress`, the class of the road stands in for its traffic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.network.stress import SPEED_EDGES_KMH, WIDE_LANE_M

_LANE = {"wide": (1, 1, 2, 2, 3, 3, 3), "narrow": (2, 2, 2, 3, 3, 3, 4)}
"""Furth 2017, table 2, one lane a direction, by speed column."""
_CALMED = {"tertiary": 2, "tertiary_link": 2, "secondary": 3, "secondary_link": 3, "primary": 3, "primary_link": 3,
           "trunk": 4, "trunk_link": 4, "motorway": 4, "motorway_link": 4}  # fmt: skip
"""Furth 2017, table 1, first speed column (up to 20 mph), by class: all others carry little traffic, level 1."""


def lane_lts(
    limit_kmh: npt.NDArray[np.float64], *, cycleway: str, width_m: float | None
) -> npt.NDArray[np.int8]:
    """
    Stress of streets that get a cycleway.

    Parameters
    ----------
    limit_kmh
        [km/h] Limit of motor traffic on each street.
    cycleway
        ``track`` (protected) and ``street`` (bicycle street, calmed) are level 1; ``lane`` depends on speed and
        width.
    width_m
        [m] Width of the lane; None counts as wide, as an unknown width does in the networks.

    Examples
    --------
    >>> lane_lts(np.array([30.0, 50.0]), cycleway="lane", width_m=1.5).tolist()
    [2, 2]
    """
    if cycleway != "lane":
        return np.ones(len(limit_kmh), dtype=np.int8)
    column = np.searchsorted(SPEED_EDGES_KMH, limit_kmh, side="left")
    wide = width_m is None or width_m >= WIDE_LANE_M
    return np.array(_LANE["wide" if wide else "narrow"], dtype=np.int8)[column]


def calmed_lts(highway: npt.NDArray[np.object_], *, max_speed_kmh: float) -> npt.NDArray[np.int8]:
    """
    Stress of cycling in mixed traffic on streets with a low limit; 4 (no claim) above 34 km/h.

    Parameters
    ----------
    highway
        Class of each street.
    max_speed_kmh
        [km/h] The limit.
    """
    if max_speed_kmh > SPEED_EDGES_KMH[0]:
        return np.full(len(highway), 4, dtype=np.int8)
    return np.array([_CALMED.get(str(h), 1) for h in highway], dtype=np.int8)
