"""Slope: heights along ways, and what they do to the speed of people on foot and on bicycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.network.simplify import strong_components

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
Elevation = Callable[[FloatArray, FloatArray], FloatArray]
"""[m] Height at (lon, lat) [deg], NaN where unknown."""

RUN_M = 30.0
"""[m] Distance over which a slope is measured: the cell of the usual global terrain models (1 arc-second).
Differences of height over less are noise of the model, and are spread over this distance."""

MAX_SLOPE = 0.35
"""Steeper slopes than any street's (Baldwin Street, Dunedin: 35 %) are errors of the terrain model: capped."""


def tobler_factor(slope: FloatArray) -> FloatArray:
    """
    Walking speed on a slope relative to the flat.

    Parameters
    ----------
    slope
        Rise over run, positive uphill.

    Returns
    -------
    numpy.ndarray
        exp(−3.5·(abs(slope + 0.05) − 0.05)): 1 on the flat, 0.84 at +5 %, 0.70 at +10 %, 1.19 at −5 %.

    References
    ----------
    Tobler (1993), Three presentations on geographical analysis and modeling, NCGIA technical report 93-1.

    Examples
    --------
    >>> [round(float(f), 2) for f in tobler_factor(np.array([0.0, 0.05, 0.10, -0.05]))]
    [1.0, 0.84, 0.7, 1.19]
    """
    return np.asarray(np.exp(-3.5 * (np.abs(slope + 0.05) - 0.05)))


def cycling_factor(slope: FloatArray) -> FloatArray:
    """
    Cycling speed on a slope relative to the flat.

    Each per cent uphill takes 1.44 km/h of 21.6 km/h, each per cent downhill adds 0.86 km/h, up to 5 %
    downhill. The result may reach 0: the caller lets the cyclist dismount.

    References
    ----------
    Parkin & Rotheram (2010), Design speeds and acceleration characteristics of bicycle traffic for use in
    planning, design and appraisal, Transport Policy 17(5).
    """
    up, down = np.maximum(slope, 0.0), np.minimum(np.maximum(-slope, 0.0), 0.05)
    return np.asarray(np.maximum(1.0 - 144 / 21.6 * up + 86 / 21.6 * down, 0.0))


@dataclass(frozen=True, eq=False)
class Profile:
    """
    Pieces of segments with one slope each.

    Attributes
    ----------
    segment
        Segment of each piece, ascending.
    share
        Part of the segment's length that the piece covers.
    slope
        Rise over run along the segment's direction, smoothed and capped.
    node_m
        [m] Height of every node, NaN where unknown.
    capped
        Number of pieces whose slope was capped.
    """

    segment: IntArray
    share: FloatArray
    slope: FloatArray
    node_m: FloatArray
    capped: int


def slope_profile(
    lon: FloatArray,
    lat: FloatArray,
    ends: tuple[Index, Index],
    *,
    way: IntArray,
    length_m: FloatArray,
    lifted: BoolArray,
    elevation: Elevation,
) -> Profile:
    """
    Heights along segments and the slopes of their pieces.

    Parameters
    ----------
    lon, lat
        [deg] Nodes.
    ends
        Start and end node of each segment; segments of one way follow each other.
    way
        Way of each segment.
    length_m
        [m] Length of each segment.
    lifted
        Segments on bridges and in tunnels: their heights run straight from end to end of the structure,
        whatever the terrain does below or above.
    elevation
        Terrain heights.

    Notes
    -----
    O(segments + length / 30 m), plus one sparse solve over the inner nodes of structures.
    """
    a, b = ends
    used = np.zeros(len(lon), dtype=bool)
    used[a] = used[b] = True
    node_m = np.full(len(lon), np.nan)
    count = np.where(lifted, 1, np.maximum(np.ceil(length_m / RUN_M), 1)).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count)])
    segment = np.repeat(np.arange(len(a)), count)
    part = np.arange(first[-1]) - first[segment]
    inner = part > 0
    at = part[inner] / count[segment[inner]]
    rows = segment[inner]
    step_lon = (lon[b[rows]] - lon[a[rows]] + 180.0) % 360.0 - 180.0
    points_lon = np.concatenate([lon[used], lon[a[rows]] + at * step_lon])
    points_lat = np.concatenate([lat[used], lat[a[rows]] + at * (lat[b[rows]] - lat[a[rows]])])
    heights = elevation(points_lon, points_lat)
    node_m[used] = heights[: int(used.sum())]
    node_m = straighten(node_m, a, b, length_m=length_m, lifted=lifted)
    start_m = node_m[a][segment]
    start_m[inner] = heights[int(used.sum()) :]
    slope = _smoothed(start_m, node_m[b], segment, count, way=way, length_m=length_m)
    capped = np.abs(slope) > MAX_SLOPE
    slope = np.nan_to_num(np.clip(slope, -MAX_SLOPE, MAX_SLOPE), nan=0.0)
    return Profile(segment, 1.0 / count[segment], slope, node_m, int(capped.sum()))


def straighten(
    node_m: FloatArray, a: Index, b: Index, *, length_m: FloatArray, lifted: BoolArray
) -> FloatArray:
    """
    Heights with bridges and tunnels running straight between the nodes where they meet the ground.

    Inner nodes of a structure take the length-weighted mean of their neighbours along it, so that a plain
    bridge is a straight line, and a branching one is as smooth as it can be.

    Parameters
    ----------
    node_m
        [m] Terrain height of each node.
    a, b
        Ends of the segments.
    length_m
        [m] Lengths.
    lifted
        Segments of structures.
    """
    n = len(node_m)
    ground = np.zeros(n, dtype=bool)
    ground[a[~lifted]] = ground[b[~lifted]] = True
    degree = np.bincount(a[lifted], minlength=n) + np.bincount(b[lifted], minlength=n)
    ground |= degree == 1
    inner = (degree > 0) & ~ground
    every = np.ones(int(lifted.sum()), dtype=bool)
    label = strong_components(n, a[lifted], b[lifted], forward=every, backward=every)
    held = np.zeros(n, dtype=bool)
    held[label[(degree > 0) & ground & np.isfinite(node_m)]] = True
    unknown = np.flatnonzero(inner & held[label])
    if not len(unknown):
        return node_m
    place = np.full(n, -1)
    place[unknown] = np.arange(len(unknown))
    weight = 1.0 / np.maximum(length_m[lifted], 0.01)
    tail, head = np.concatenate([a[lifted], b[lifted]]), np.concatenate([b[lifted], a[lifted]])
    weight = np.concatenate([weight, weight])
    mine = (place[tail] >= 0) & ((place[head] >= 0) | np.isfinite(node_m[head]))
    tail, head, weight = tail[mine], head[mine], weight[mine]
    inside = place[head] >= 0
    total = np.bincount(place[tail], weights=weight, minlength=len(unknown))
    known = np.bincount(
        place[tail][~inside], weights=weight[~inside] * node_m[head[~inside]], minlength=len(unknown)
    )
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import spsolve

    links = coo_array((weight[inside], (place[tail[inside]], place[head[inside]])), shape=(len(unknown),) * 2)
    solved = node_m.copy()
    solved[unknown] = spsolve((diags_array(total) - links).tocsc(), known)
    return solved


def _smoothed(
    start_m: FloatArray,
    segment_end_m: FloatArray,
    segment: IntArray,
    count: IntArray,
    *,
    way: IntArray,
    length_m: FloatArray,
) -> FloatArray:
    """Slope of each piece over `RUN_M` around its middle along its own way; 0 on a way with an unknown height."""
    piece_m = (length_m / count)[segment]
    # one long line of all ways, each followed by a gap wider than any window
    new_way = np.concatenate([[True], way[1:] != way[:-1]])
    gap = np.where(new_way, 4 * RUN_M, 0.0)
    stop = np.cumsum(length_m + gap)
    begin = stop - length_m
    first = np.concatenate([[0], np.cumsum(count)])[:-1]
    here = begin[segment] + piece_m * (np.arange(len(segment)) - first[segment])
    way_of = np.cumsum(new_way) - 1
    way_begin = begin[new_way][way_of][segment]
    way_stop = stop[np.concatenate([np.flatnonzero(new_way)[1:] - 1, [len(way) - 1]])][way_of][segment]
    at = np.concatenate([here, stop])
    height = np.concatenate([start_m, segment_end_m])
    order = np.argsort(at, kind="stable")
    known = order[np.isfinite(height[order])]
    if not len(known):
        return np.zeros(len(segment))
    middle = here + piece_m / 2
    low = np.clip(middle - RUN_M / 2, way_begin, np.maximum(way_stop - RUN_M, way_begin))
    high = np.minimum(low + RUN_M, way_stop)
    rise = np.interp(high, at[known], height[known]) - np.interp(low, at[known], height[known])
    partly = np.zeros(len(way), dtype=bool)
    partly[way_of[segment[~np.isfinite(start_m)]]] = True
    partly[way_of[~np.isfinite(segment_end_m)]] = True
    return np.where(partly[way_of][segment], 0.0, rise / RUN_M)
