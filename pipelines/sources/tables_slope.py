"""Slopes of streets that come from tables: by a terrain model along their lines, else by the heights of the nodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.network.geodesy import great_circle
from engine.network.profile import ModeProfile
from engine.network.slope import MAX_SLOPE, RUN_M, Elevation, cycling_factor, slope_profile, tobler_factor

FloatArray = npt.NDArray[np.float64]


class Slowness(NamedTuple):
    """
    What slope makes of the streets.

    Attributes
    ----------
    times
        Time along and against each edge relative to the flat, shape (2, edges).
    node_m
        [m] Height of each node, NaN where unknown.
    capped
        Number of slopes that were capped.
    """

    times: FloatArray
    node_m: FloatArray
    capped: int


def slowness(
    nodes: pd.DataFrame, edges: pd.DataFrame, profile: ModeProfile, *, elevation: Elevation | None
) -> Slowness | None:
    """
    Slow streets down, and speed them up, by their slope; None where no height is known.

    Parameters
    ----------
    nodes, edges
        Checked tables (`pipelines.sources.tables`).
    profile
        The mode; ``street30``, and a profile without ``slope``, only takes the heights.
    elevation
        Terrain heights; None: the column ``elevation_m`` of the nodes.
    """
    lon, lat = nodes["lon"].to_numpy(np.float64), nodes["lat"].to_numpy(np.float64)
    if elevation is not None:
        node_m = elevation(lon, lat)
    elif "elevation_m" in nodes:
        node_m = nodes["elevation_m"].to_numpy(np.float64)
    else:
        return None
    n = len(edges)
    if profile.mode == "street30" or not profile.slope or not n:
        return Slowness(np.ones((2, n)), node_m, 0)
    if elevation is None:
        rise = node_m[edges["v"].to_numpy()] - node_m[edges["u"].to_numpy()]
        steep = rise / np.maximum(edges["length_m"].to_numpy(np.float64), RUN_M)
        edge, share = np.arange(n), np.ones(n)
        slope = np.nan_to_num(np.clip(steep, -MAX_SLOPE, MAX_SLOPE), nan=0.0)
        capped = int((np.abs(steep) > MAX_SLOPE).sum())
    else:
        edge, share, slope, capped = _along_lines(lon, lat, edges, elevation)
    times = [
        np.bincount(edge, weights=share / _factor(s, profile), minlength=n).astype(np.float64)
        for s in (slope, -slope)
    ]
    return Slowness(np.stack(times), node_m, capped)


def _factor(slope: FloatArray, profile: ModeProfile) -> FloatArray:
    """Speed on a slope relative to the flat; a cyclist may always push."""
    on_foot = tobler_factor(slope)
    if profile.mode == "walk":
        return on_foot
    return np.maximum(cycling_factor(slope), min(profile.dismount_kmh / profile.speed_kmh, 1.0) * on_foot)


def _along_lines(
    lon: FloatArray, lat: FloatArray, edges: pd.DataFrame, elevation: Elevation
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray, int]:
    """Edge, share of its length and slope of the pieces of the drawn (else straight) lines."""
    u, v = edges["u"].to_numpy(), edges["v"].to_numpy()
    straight = shapely.linestrings(np.stack([np.column_stack([lon[e], lat[e]]) for e in (u, v)], axis=1))
    drawn = edges["geometry"].to_numpy()
    lines = np.where(pd.isna(drawn), np.asarray(straight, dtype=object), drawn)
    xy, line = shapely.get_coordinates(lines, return_index=True)
    a = np.flatnonzero(line[:-1] == line[1:]).astype(np.int32)
    b, edge = a + np.int32(1), line[a]
    length = great_circle(xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1])
    whole = np.bincount(edge, weights=length, minlength=len(edges))
    found = slope_profile(
        xy[:, 0],
        xy[:, 1],
        (a, b),
        way=edge,
        length_m=length,
        lifted=np.zeros(len(a), dtype=bool),
        elevation=elevation,
    )
    part = np.where(whole[edge] > 0, length / np.where(whole[edge] > 0, whole[edge], 1.0), 0.0)
    none = whole == 0  # a line without length is level
    return (
        np.concatenate([edge[found.segment], np.flatnonzero(none)]),
        np.concatenate([part[found.segment] * found.share, np.ones(int(none.sum()))]),
        np.concatenate([found.slope, np.zeros(int(none.sum()))]),
        found.capped,
    )
