"""Lengths on the sphere and orders along a space-filling curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Index = npt.NDArray[np.integer]

EARTH_RADIUS_M = 6_371_009
"""[m] The sphere on which lengths are measured: the same as OSMnx's, so that lengths agree."""


def great_circle(lon1: FloatArray, lat1: FloatArray, lon2: FloatArray, lat2: FloatArray) -> FloatArray:
    """
    [m] Great-circle distance between pairs of points, by the haversine formula.

    Parameters
    ----------
    lon1, lat1, lon2, lat2
        [deg] Coordinates; crossing the antimeridian takes the short way.

    Examples
    --------
    >>> bool(np.isclose(great_circle(0.0, 0.0, 0.0, 90.0), np.pi / 2 * 6_371_009))
    True
    """
    phi1, phi2 = np.deg2rad(lat1), np.deg2rad(lat2)
    half_phi, half_theta = (phi2 - phi1) / 2, np.deg2rad(np.subtract(lon2, lon1)) / 2
    h = np.sin(half_phi) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin(half_theta) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, h))))


_BLOCK = 1 << 14
"""Pairs measured at a time: what lies between the steps of the formula stays in the cache."""


def lengths_between(lon: FloatArray, lat: FloatArray, a: Index, b: Index) -> FloatArray:
    """
    [m] Great-circle distance between points named by their rows.

    Parameters
    ----------
    lon, lat
        [deg] Coordinates, shape (points,).
    a, b
        Rows of the points, shape (pairs,).
    """
    length = np.empty(len(a))
    for start in range(0, len(a), _BLOCK):
        part = slice(start, start + _BLOCK)
        length[part] = great_circle(lon[a[part]], lat[a[part]], lon[b[part]], lat[b[part]])
    return length


def hilbert_order(lon: FloatArray, lat: FloatArray, node_id: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """
    Order of points along a Hilbert curve, ties by id: neighbours in space become neighbours in memory.

    Parameters
    ----------
    lon, lat
        [deg] Coordinates, shape (points,).
    node_id
        Ids, distinct.

    Returns
    -------
    numpy.ndarray
        Positions, shape (points,).

    References
    ----------
    Hilbert (1891), Über die stetige Abbildung einer Linie auf ein Flächenstück; the bitwise form follows
    Warren, Hacker's Delight (2nd ed., 2012), chapter 16.
    """
    return np.lexsort((node_id, _hilbert_index(_grid(lon), _grid(lat))))


_BITS = 16


def _grid(values: FloatArray) -> npt.NDArray[np.uint32]:
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    span = (high - low) or 1.0
    return np.asarray(((values - low) / span * (2**_BITS - 1)).astype(np.uint32))


def _hilbert_index(x: npt.NDArray[np.uint32], y: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    x, y = x.copy(), y.copy()
    index = np.zeros(len(x), dtype=np.uint64)
    for bit in range(_BITS - 1, -1, -1):
        side = np.uint32(1 << bit)
        right, upper = (x & side) != 0, (y & side) != 0
        quadrant = (3 * right.astype(np.uint64)) ^ upper
        index += quadrant << np.uint64(2 * bit)
        flip = ~upper & right
        full = np.uint32(2**_BITS - 1)
        x, y = np.where(flip, full - x, x), np.where(flip, full - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return index
