"""Attributes that a street carries from its way into the network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.network.speed import Limits, parse_count, parse_width
from engine.network.tags import TagColumns

BoolArray = npt.NDArray[np.bool_]

_PARKED = ("lane", "street_side", "on_kerb", "half_on_kerb", "shoulder", "yes", "parallel", "diagonal")
_PARKED_OLD = ("perpendicular", "marked", "on_street", "inline", "orthogonal")
_PARKED_APART = ("separate",)
"""Parking that is drawn as an object of its own beside the street: it is there (OpenStreetMap wiki, Street parking)."""
_NOT_PARKED = ("no", "no_parking", "no_stopping", "no_standing", "fire_lane", "none")


def is_bridge(tags: TagColumns) -> BoolArray:
    """Ways on a bridge (any value but ``no``)."""
    return tags.has("bridge") & ~tags.isin("bridge", ("no",))


def is_tunnel(tags: TagColumns) -> BoolArray:
    """Ways in a tunnel; a passage through a building is none: streets there are at grade."""
    return tags.has("tunnel") & ~tags.isin("tunnel", ("no", "building_passage"))


def parking_side(tags: TagColumns) -> npt.NDArray[np.object_]:
    """
    Kerbs with parked cars, seen in the drawn direction.

    Returns
    -------
    numpy.ndarray
        ``left``, ``right``, ``both``, ``no`` (tagged as none) or None (not tagged). ``separate`` says that the parking
        is mapped as an object of its own, so it counts as parked.
    """
    sides = []
    for side in ("left", "right"):
        state = np.zeros(len(tags), dtype=np.int64)
        for key in ("parking:lane:both", f"parking:lane:{side}", "parking:both", f"parking:{side}"):
            own = tags.map(key, _parked, default=0).astype(np.int64)
            state = np.where(own == 0, state, own)
        sides.append(state)
    left, right = sides
    names = np.array([None, "no", "left", "right", "both"], dtype=object)
    code = np.where((left == 2) & (right == 2), 4, np.where(left == 2, 2, np.where(right == 2, 3, 0)))
    return names[np.where((code == 0) & ((left == 1) | (right == 1)), 1, code)]


def _parked(text: str) -> int:
    return 2 if text in _PARKED + _PARKED_OLD + _PARKED_APART else 1 if text in _NOT_PARKED else 0


def has_parking(tags: TagColumns) -> BoolArray:
    """Ways with cars parked at one kerb at least."""
    return np.isin(parking_side(tags).astype("U8"), ("left", "right", "both"))


def sidewalk_side(tags: TagColumns) -> npt.NDArray[np.object_]:
    """``left``, ``right``, ``both``, ``no``, ``separate`` or None where not tagged."""
    value = _texts(tags, "sidewalk")
    there = {side: tags.isin(f"sidewalk:{side}", ("yes", "separate")) for side in ("left", "right", "both")}
    left, right = there["left"] | there["both"], there["right"] | there["both"]
    own = np.select([left & right, left, right], ["both", "left", "right"], default="").astype(object)
    own[own == ""] = None
    return np.where(pd.isna(value), own, value)


def _texts(tags: TagColumns, key: str) -> npt.NDArray[np.object_]:
    found = tags.codes(key)
    if found is None:
        return np.full(len(tags), None, dtype=object)
    return np.array([*found[1], None], dtype=object)[found[0]]


def way_attributes(tags: TagColumns, limits: Limits) -> pd.DataFrame:
    """
    One row a way: what its streets carry besides times.

    Parameters
    ----------
    tags
        The ways.
    limits
        [km/h] Posted limits.

    Returns
    -------
    pandas.DataFrame
        ``highway``, ``name``, ``width_m``, ``lanes``, ``maxspeed_kmh`` (posted, NaN where none), ``bridge``,
        ``tunnel``, ``roundabout``, ``surface``, ``oneway`` (as tagged: a legal oneway for vehicles),
        ``sidewalk``, ``parking``, ``is_steps``, ``area_crossing``, ``origin_ok``.
    """
    nan = float("nan")
    width = tags.map("width", parse_width, default=nan).astype(np.float64)
    estimated = tags.map("est_width", parse_width, default=nan).astype(np.float64)
    tunnel = is_tunnel(tags)
    fast = ("motorway", "motorway_link", "trunk_link", "elevator", "corridor")
    ferry = tags.isin("route", ("ferry",)) & ~tags.has("highway")
    highway = _texts(tags, "highway")
    for key in ("route", "railway", "public_transport", "man_made"):
        highway = np.where(pd.isna(highway), _texts(tags, key), highway)
    oneway = tags.isin("oneway", ("yes", "true", "1", "-1", "reverse"))
    roundabout = tags.isin("junction", ("roundabout", "circular"))
    oneway |= roundabout & ~tags.isin("oneway", ("no",))
    return pd.DataFrame(
        {
            "highway": pd.array(highway, dtype="str"),
            "name": pd.array(tags.raw("name").astype(object).to_numpy(), dtype="str"),
            "width_m": np.where(np.isnan(width), estimated, width),
            "lanes": tags.map("lanes", parse_count, default=nan).astype(np.float64),
            "maxspeed_kmh": limits.highest,
            "bridge": is_bridge(tags),
            "tunnel": tunnel,
            "roundabout": roundabout,
            "surface": pd.array(_texts(tags, "surface"), dtype="str"),
            "oneway": oneway,
            "sidewalk": pd.array(sidewalk_side(tags), dtype="str"),
            "parking": pd.array(parking_side(tags), dtype="str"),
            "is_steps": tags.isin("highway", ("steps", "ladder")),
            "area_crossing": np.zeros(len(tags), dtype=bool),
            "origin_ok": ~(tunnel | ferry | tags.isin("highway", fast)),
        }
    )
