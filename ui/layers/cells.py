"""Cells for the map: geometry once, afterwards four bytes a cell."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from ui.layers.frame import Frame
from ui.layers.packing import pack

UNREACHABLE = np.float32(1e9)
"""Value of a cell from which no place of the category is reached within the search limit."""
NO_NETWORK, EDGE_AFFECTED = 1, 2
"""Bits of a cell's flags."""


def pack_geometry(cells: gpd.GeoDataFrame, *, weight: npt.NDArray[np.float64], frame: Frame) -> bytes:
    """
    Pack what never changes about cells: outline, H3 index, weight, flags.

    Parameters
    ----------
    cells
        ``h3_cell`` (hex string), ``geometry`` (EPSG:4326), and where present ``no_network``,
        ``edge_affected``.
    weight
        What a cell counts in shares and means: residents, or 1 where the run has no population.
    frame
        The square that coordinates are counted in.

    Notes
    -----
    About 24 + 8 + 8 + 2 bytes a cell. Outlines are drawn as fans, so they must be convex, as H3 cells are.
    """
    rings = shapely.get_exterior_ring(cells.geometry.to_numpy())
    coords = shapely.get_coordinates(rings)
    counts = shapely.get_num_coordinates(rings)
    last = np.cumsum(counts) - 1
    keep = np.ones(len(coords), bool)
    keep[last] = False  # a ring repeats its first point
    xy = frame.quantise(coords[keep, 0], coords[keep, 1])
    return pack(
        {"kind": "cells", "count": len(cells), "frame": frame.as_json()},
        {
            "h3": np.array([int(c, 16) for c in cells["h3_cell"]], dtype="u8"),
            "weight": weight.astype("f8"),
            "corners": xy.reshape(-1),
            "sides": (counts - 1).astype("u1"),
            "flags": flags(cells),
        },
    )


def flags(cells: pd.DataFrame) -> npt.NDArray[np.uint8]:
    """`NO_NETWORK` and `EDGE_AFFECTED` of each cell as bits."""
    bits = np.zeros(len(cells), np.uint8)
    for name, bit in (("no_network", NO_NETWORK), ("edge_affected", EDGE_AFFECTED)):
        if name in cells.columns:
            bits |= np.where(cells[name].fillna(value=False).to_numpy(bool), bit, 0).astype(np.uint8)
    return bits


def encode_values(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """
    Figures in single precision, rounded up, so that a threshold means the same in the browser as in the file.

    ``value ≤ t`` and ``encoded ≤ t`` agree for every threshold ``t`` that single precision holds exactly
    (every whole or half number). Missing and infinite values become `UNREACHABLE`.

    Parameters
    ----------
    values
        One figure a cell; NaN where there is none.

    Examples
    --------
    >>> encode_values(np.array([15.0, 15.0 + 1e-9, np.nan])).tolist()
    [15.0, 15.000000953674316, 1000000000.0]
    """
    finite = np.isfinite(values)
    single = np.where(finite, values, 0.0).astype(np.float32)
    above = np.nextafter(single, np.float32(np.inf))
    rounded_up = np.where(single.astype(np.float64) < np.where(finite, values, 0.0), above, single)
    return np.where(finite, rounded_up, UNREACHABLE).astype(np.float32)
