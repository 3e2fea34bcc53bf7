"""Limits, widths and speeds of ways."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.network.access import WayAccess
from engine.network.conditional import conditional_value, parse_moment
from engine.network.profile import ModeProfile
from engine.network.tags import TagColumns

FloatArray = npt.NDArray[np.float64]

KMH_PER_MPH = 1.609344
KMH_PER_KNOT = 1.852
WALKING_PACE_KMH = 7.0
"""What ``maxspeed=walk`` means where the law gives a figure (Germany: 4–7 km/h)."""

_ZONES = {
    "urban": 50.0,
    "rural": 80.0,
    "trunk": 110.0,
    "motorway": 130.0,
    "living_street": 20.0,
    "bicycle_road": 30.0,
    "pedestrian_zone": WALKING_PACE_KMH,
    "school": 30.0,
    "nsl_restricted": 30 * KMH_PER_MPH,
    "nsl_single": 60 * KMH_PER_MPH,
    "nsl_dual": 70 * KMH_PER_MPH,
}
"""Implicit limits by the type of zone (OSM wiki, Key:maxspeed, implicit values):
the commonest where countries differ."""

_COUNTRY_ZONES = {
    "de:rural": 100.0,
    "at:rural": 100.0,
    "ch:rural": 80.0,
    "it:rural": 90.0,
    "es:rural": 90.0,
    "pt:rural": 90.0,
    "be:rural": 70.0,
    "be-vlg:rural": 70.0,
    "gb:urban": 30 * KMH_PER_MPH,
    "uk:urban": 30 * KMH_PER_MPH,
    "gb:motorway": 70 * KMH_PER_MPH,
    "uk:motorway": 70 * KMH_PER_MPH,
    "de:living_street": WALKING_PACE_KMH,
    "ru:urban": 60.0,
    "ua:urban": 50.0,
    "ch:motorway": 120.0,
    "be:motorway": 120.0,
    "es:motorway": 120.0,
    "pt:motorway": 120.0,
    "fr:rural": 80.0,
}

_SMOOTHNESS_FACTOR = {
    "bad": 0.8,
    "very_bad": 0.6,
    "horrible": 0.4,
    "very_horrible": 0.3,
    "impassable": 0.2,
}
"""As for the surface: GraphHopper's smoothness factors for bicycles, rounded."""

FERRY_KMH = 15.0
"""[km/h] A ferry without a duration: harbour ferries sail at about 8 knots."""

_NUMBER = re.compile(r"^(\d+(?:[.,]\d+)?)\s*(km/?h|kmh|kph|kmph|mph|knots)?$")
_ZONE_NUMBER = re.compile(
    r"^(?:(?:[a-z]{2}(?:-[a-z]{2,3})?:)?zone:?(?:maxspeed=)?(?:[a-z]{2}:)?|[a-z]{2}(?:-[a-z]{2,3})?:)(\d+)$"
)
"""``DE:zone:30``, ``FR:zone30``, and ``FR:30`` as in ``zone:maxspeed`` (OSM wiki, Key:zone:maxspeed)."""

CLASS_LIMIT_KMH = {
    "motorway": 110.0,
    "motorway_link": 60.0,
    "trunk": 80.0,
    "trunk_link": 60.0,
    "living_street": 20.0,
    "service": 20.0,
    "track": 20.0,
    "pedestrian": WALKING_PACE_KMH,
}
"""Limits assumed where a way carries none; every other class takes the town's."""

_SURFACE_FACTOR = {
    **dict.fromkeys(("cobblestone", "sett", "unhewn_cobblestone", "paving_stones:lanes"), 0.8),
    **dict.fromkeys(
        ("gravel", "fine_gravel", "pebblestone", "unpaved", "dirt", "earth", "ground", "grass"), 0.7
    ),
    **dict.fromkeys(("sand", "mud", "woodchips", "rock"), 0.5),
}
"""Cycling speed on a surface relative to asphalt: the ratios of the surface speeds in GraphHopper's bike
profile (cobblestone 8–10, gravel 12, sand 6 km/h on a base of about 15), rounded."""


def parse_limit(text: str) -> float:
    """
    Limit that a ``maxspeed`` value states.

    Parameters
    ----------
    text
        ``50``, ``30 mph``, ``walk``, ``none``, ``FR:urban``, ``DE:zone:30``, ``FR:zone30`` …; of several
        values separated by semicolons the lowest counts.

    Returns
    -------
    float
        [km/h] The limit, `inf` for ``none``, `nan` where the value states none (``signals``, ``variable``).

    Examples
    --------
    >>> parse_limit("50"), parse_limit("20 mph"), parse_limit("FR:zone30"), parse_limit("FR:urban")
    (50.0, 32.18688, 30.0, 50.0)
    """
    limits = [_one_limit(part.strip().lower()) for part in re.split(r"[;|]", text)]
    known = [limit for limit in limits if not np.isnan(limit)]
    return min(known) if known else float("nan")


def _one_limit(text: str) -> float:
    number = _NUMBER.match(text)
    if number:
        unit = {"mph": KMH_PER_MPH, "knots": KMH_PER_KNOT}.get(number[2] or "", 1.0)
        value = float(number[1].replace(",", ".")) * unit
        return value if value > 0 else float("nan")
    if text in {"none", "unlimited"}:
        return float("inf")
    if text.rsplit(":", 1)[-1] in {"walk", "walking", "walking pace", "foot"}:
        return WALKING_PACE_KMH
    zone = _ZONE_NUMBER.match(text)
    if zone:
        return float(zone[1]) or float("nan")
    if text in _COUNTRY_ZONES:
        return _COUNTRY_ZONES[text]
    return _ZONES.get(text.rsplit(":", 1)[-1], float("nan")) if ":" in text else float("nan")


_WIDTH = re.compile(r"^(\d+(?:[.,]\d+)?)\s*(m|metres?|meters?|cm|ft|feet|')?$")
_FEET_INCHES = re.compile(r"^(\d+)\s*'\s*(?:(\d+(?:\.\d+)?)\s*(?:\"|''))?$")


def parse_width(text: str) -> float:
    """
    [m] Width that a ``width`` value states, `nan` where it states none.

    Examples
    --------
    >>> parse_width("3.5"), parse_width("3,5 m"), round(parse_width("12'"), 4)
    (3.5, 3.5, 3.6576)
    """
    feet = _FEET_INCHES.match(text)
    if feet:
        return (int(feet[1]) + float(feet[2] or 0) / 12) * 0.3048
    number = _WIDTH.match(text)
    if not number:
        return float("nan")
    unit = {"cm": 0.01, "ft": 0.3048, "feet": 0.3048, "'": 0.3048}.get(number[2] or "", 1.0)
    return float(number[1].replace(",", ".")) * unit


def parse_count(text: str) -> float:
    """Number that a value such as ``lanes=2`` states (the first of several), `nan` where it states none."""
    head = re.split(r"[;|,]", text)[0].strip()
    return float(head) if re.fullmatch(r"\d{1,3}(\.\d+)?", head) else float("nan")


@dataclass(frozen=True, eq=False)
class Limits:
    """Posted limits: [km/h] along and against the drawn direction, `nan` where a way states none."""

    forward: FloatArray
    backward: FloatArray

    @property
    def highest(self) -> FloatArray:
        """[km/h] The higher of the two directions, `nan` where neither is stated."""
        return np.fmax(self.forward, self.backward)


def posted_limits(tags: TagColumns, *, moment: str) -> Limits:
    """
    Limits that the ways state, whichever key they use.

    ``maxspeed:forward|backward`` override ``maxspeed``; ``maxspeed:type``, ``zone:maxspeed``,
    ``source:maxspeed`` and ``zone:traffic`` count where no figure is given, ``maxspeed:conditional`` where it
    holds at the moment.
    """
    nan = float("nan")
    general = np.full(len(tags), nan)
    for key in ("zone:traffic", "source:maxspeed", "zone:maxspeed", "maxspeed:type", "maxspeed"):
        own = tags.map(key, parse_limit, default=nan).astype(np.float64)
        general = np.where(np.isnan(own), general, own)
    general = np.where(np.isnan(general) & tags.isin("living_street", ("yes",)), 20.0, general)
    when = parse_moment(moment)
    now = tags.map(
        "maxspeed:conditional", lambda text: parse_limit(conditional_value(text, when)), default=nan
    )
    general = np.where(np.isnan(now.astype(np.float64)), general, now)
    sides = []
    for side in ("forward", "backward"):
        own = tags.map(f"maxspeed:{side}", parse_limit, default=nan).astype(np.float64)
        sides.append(np.where(np.isnan(own), general, own))
    return Limits(*sides)


def assumed_limits(tags: TagColumns, limits: Limits, *, urban_kmh: float) -> Limits:
    """Limits with the class's usual one where none is posted; `inf` (``none``) becomes 130 km/h."""
    usual = tags.map("highway", lambda text: CLASS_LIMIT_KMH.get(text, urban_kmh), default=urban_kmh)
    usual = usual.astype(np.float64)
    filled = [
        np.where(np.isnan(side), usual, np.minimum(side, 130.0)) for side in (limits.forward, limits.backward)
    ]
    return Limits(*filled)


def way_speeds(
    tags: TagColumns,
    access: WayAccess,
    profile: ModeProfile,
    *,
    limits: Limits,
    major: npt.NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray]:
    """
    Speed of a mode on every way, on the flat.

    Parameters
    ----------
    tags, access
        The ways.
    profile
        The mode.
    limits
        [km/h] Limits, none missing (`assumed_limits`).
    major
        Ways that keep their limit under ``street30``.

    Returns
    -------
    tuple of numpy.ndarray
        [km/h] Along and against the drawn direction, shape (ways,) each.
    """
    if profile.mode == "street30":
        cap = np.where(major, np.inf, profile.speed_kmh)
        factor = 1.0 / profile.congestion_factor
        return np.minimum(limits.forward, cap) * factor, np.minimum(limits.backward, cap) * factor
    speed = np.full(len(tags), profile.speed_kmh)
    if profile.mode == "bike":
        speed = speed * _surface(tags)
        speed = np.where(access.dismount, np.minimum(profile.dismount_kmh, speed), speed)
    steps = tags.isin("highway", ("steps", "ladder"))
    speed = np.where(steps, np.minimum(profile.steps_kmh, speed), speed)
    moving = tags.has("conveying") & ~tags.isin("conveying", ("no",))
    speed = np.where(moving, profile.escalator_kmh, speed)
    speed = np.maximum(speed, profile.min_speed_kmh)
    return speed, speed.copy()


def _surface(tags: TagColumns) -> FloatArray:
    """Cycling speed relative to a good surface, by ``surface`` and ``smoothness``, whichever is worse."""
    surface = tags.map("surface", lambda text: _SURFACE_FACTOR.get(text, 1.0), default=1.0)
    smoothness = tags.map("smoothness", lambda text: _SMOOTHNESS_FACTOR.get(text, 1.0), default=1.0)
    return np.minimum(surface, smoothness).astype(np.float64)


def ferry_speeds(tags: TagColumns, way_m: FloatArray) -> FloatArray:
    """
    [km/h] Speed of ferries: length by ``duration`` where tagged, else `FERRY_KMH`; NaN on other ways.

    Parameters
    ----------
    tags
        The ways.
    way_m
        [m] Length of each way.
    """
    hours = tags.map("duration", parse_duration, default=float("nan")).astype(np.float64)
    speed = np.where(hours > 0, way_m / 1000 / np.where(hours > 0, hours, 1.0), FERRY_KMH)
    return np.where(is_ferry(tags), np.clip(speed, 1.0, 100.0), np.nan)


def is_ferry(tags: TagColumns) -> npt.NDArray[np.bool_]:
    """Ferry lines."""
    return tags.isin("route", ("ferry",)) & ~tags.has("highway")


def parse_duration(text: str) -> float:
    """
    [h] Duration that a value such as ``00:25``, ``1:10:00`` or ``25`` (minutes) states, `nan` where none.

    Examples
    --------
    >>> parse_duration("00:30"), parse_duration("45")
    (0.5, 0.75)
    """
    clock = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text)
    if clock:
        return int(clock[1]) + int(clock[2]) / 60 + int(clock[3] or 0) / 3600
    return int(text) / 60 if re.fullmatch(r"\d{1,4}", text) else float("nan")


def boarding_s(tags: TagColumns, profile: ModeProfile) -> FloatArray:
    """[s] Wait before entering a way from another kind of way: ferries and lifts, else 0."""
    lift = tags.isin("highway", ("elevator",))
    return np.where(is_ferry(tags), profile.ferry_wait_s, np.where(lift, profile.elevator_s, 0.0))
