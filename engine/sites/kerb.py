"""What a street offers at its kerbs: how wide it is, and on which side there is parking or a pavement."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LANE_M = 3.0
"""[m] Width of a traffic lane where only their number is known (urban lanes are 2.75–3.5 m)."""
PARKING_LANE_M = 2.0
"""[m] Width of a lane of parked cars along the kerb (parallel parking; NF P 91-100 gives 2.0–2.3 m)."""
DEFAULT_WIDTH_M: dict[str, float] = {
    "motorway": 14.0,
    "trunk": 14.0,
    "primary": 12.0,
    "secondary": 11.0,
    "tertiary": 9.5,
    "unclassified": 8.0,
    "residential": 8.0,
    "living_street": 6.0,
    "pedestrian": 8.0,
    "service": 4.0,
    "cycleway": 3.0,
    "footway": 2.5,
    "path": 2.0,
}
"""[m] Kerb to kerb, by class, where a street carries neither a width nor lanes: assumed, and marked so."""
ONEWAY_SHARE = 0.7
"""Share of `DEFAULT_WIDTH_M` that a one-way street is given: one traffic lane fewer, the same parking."""

_NO = frozenset({"no", "none", "no_parking", "no_stopping", "no_standing", "fire_lane", "false"})
_YES = frozenset(
    {
        "yes",
        "lane",
        "street_side",
        "on_kerb",
        "half_on_kerb",
        "shoulder",
        "parallel",
        "diagonal",
        "perpendicular",
        "marked",
        "separate",  # mapped as an object of its own: it is there
        "true",
    }
)
_SEEN_BOTH = "both"


class Kerbs(NamedTuple):
    """
    One entry a street; sides are those of the direction ``u`` to ``v``.

    Attributes
    ----------
    width_m
        [m] Kerb to kerb.
    width_known
        True where the width is tagged, False where it comes from lanes or the class.
    parking_left, parking_right
        1 parking, 0 none, -1 not known.
    pavement_left, pavement_right
        1 pavement, 0 none, -1 not known.
    """

    width_m: FloatArray
    width_known: BoolArray
    parking_left: npt.NDArray[np.int8]
    parking_right: npt.NDArray[np.int8]
    pavement_left: npt.NDArray[np.int8]
    pavement_right: npt.NDArray[np.int8]


def kerbs(streets: pd.DataFrame) -> Kerbs:
    """
    Read the kerbs of streets from whatever attributes they carry.

    Parameters
    ----------
    streets
        ``StreetNetwork.streets``. Read where present: ``highway``, ``width_m``, ``lanes``, ``oneway`` (else
        the two travel times), ``parking:left|right|both`` and the older ``parking:lane:…``, ``parking``,
        ``sidewalk``, ``sidewalk:left|right|both``. All may be missing.

    Returns
    -------
    Kerbs
        A missing width is lanes × `LANE_M` plus known parking lanes, else `DEFAULT_WIDTH_M` of the class (8 m
        for a class that is not listed), × `ONEWAY_SHARE` on a one-way street.
    """
    left, right = _sides(streets, ("parking", "parking:lane"))
    walk_left, walk_right = _sides(streets, ("sidewalk",))
    width, known = _width(streets, lanes_parked=(left == 1).astype(float) + (right == 1))
    return Kerbs(width, known, left, right, walk_left, walk_right)


def number(streets: pd.DataFrame, column: str) -> FloatArray:
    """A numeric attribute, NaN where missing or not a positive number."""
    if column not in streets:
        return np.full(len(streets), np.nan)
    values = pd.to_numeric(streets[column].astype("object"), errors="coerce").to_numpy(
        np.float64, na_value=np.nan
    )
    return np.where(values > 0, values, np.nan)


def text(streets: pd.DataFrame, column: str) -> npt.NDArray[np.object_]:
    """A textual attribute, empty where missing."""
    if column not in streets:
        return np.full(len(streets), "", dtype=object)
    values = streets[column].astype("object")
    return np.asarray(values.where(values.notna(), "").map(str), dtype=object)


def flag(streets: pd.DataFrame, column: str) -> BoolArray:
    """True where an attribute says yes: a true value, or a tag other than ``no``."""
    if column not in streets:
        return np.zeros(len(streets), bool)
    values = text(streets, column)
    return np.array(
        [value.strip().lower() not in ("", "no", "false", "0", "nan", "none") for value in values], bool
    )


def one_way(streets: pd.DataFrame) -> BoolArray:
    """True where only one direction may be travelled."""
    return np.asarray((streets["forward_ms"].to_numpy() < 0) | (streets["backward_ms"].to_numpy() < 0), bool)


def _width(streets: pd.DataFrame, *, lanes_parked: FloatArray) -> tuple[FloatArray, BoolArray]:
    tagged = number(streets, "width_m")
    tagged = np.where(tagged <= 60.0, tagged, np.nan)  # a wider carriageway is a typing error (cm for m)
    lanes = number(streets, "lanes")
    lanes = np.where(lanes <= 12, lanes, np.nan)
    by_class = np.array([DEFAULT_WIDTH_M.get(c.removesuffix("_link"), 8.0) for c in text(streets, "highway")])
    by_class = np.where(one_way(streets), by_class * ONEWAY_SHARE, by_class)
    by_lanes = lanes * LANE_M + lanes_parked * PARKING_LANE_M
    return np.where(
        np.isfinite(tagged), tagged, np.where(np.isfinite(lanes), by_lanes, by_class)
    ), np.isfinite(tagged)


def _sides(streets: pd.DataFrame, keys: tuple[str, ...]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """What the keys say of left and right: a side's own key before ``both``, before the bare key."""
    left = np.full(len(streets), -1, np.int8)
    right = left.copy()
    for key in keys:
        bare = text(streets, key)
        for side, out in (("left", left), ("right", right)):
            for value in (text(streets, f"{key}:{side}"), text(streets, f"{key}:{_SEEN_BOTH}"), bare):
                out[:] = np.where(out >= 0, out, [_says(v, side) for v in value])
    return left, right


def _says(value: str, side: str) -> int:
    """1 yes, 0 no, -1 nothing known about this side."""
    value = value.strip().lower()
    if value in _NO:
        return 0
    if value in _YES or value == _SEEN_BOTH:
        return 1
    if value in ("left", "right"):
        return int(value == side)
    return -1
