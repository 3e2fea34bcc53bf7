"""
Level of Traffic Stress of cycling, 1 (children) to 4 (strong and fearless), with the rule that gave it.

References
----------
Mekuria, Furth & Nixon (2012), Low-Stress Bicycling and Network Connectivity, Mineta Transportation Institute
report 11-19; criteria by prevailing speed, lanes and traffic as revised in Furth (2017), Level of Traffic
Stress Criteria for Road Segments, version 2.0. OSM carries no traffic counts: the class of the road stands in
for the average daily traffic, and the posted limit for the prevailing speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.network.access import WayAccess
from engine.network.speed import parse_count, parse_width
from engine.network.tags import TagColumns

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

SPEED_EDGES_KMH = (34.0, 42.0, 52.0, 60.0, 68.0, 76.0)
"""Upper edges of the criteria's columns 20, 25, 30, 35, 40, 45 mph (the last column is 50 mph and more),
placed so that the metric limits 30, 40, 50, 60 and 70 km/h fall into the columns that they are posted for."""

_MIXED = {
    # lanes: {traffic: one level a speed column}; Furth 2017, table 1
    "unlaned": {
        "to 750": (1, 1, 2, 2, 3, 3, 3),
        "to 1500": (1, 1, 2, 3, 3, 3, 4),
        "to 3000": (2, 2, 2, 3, 4, 4, 4),
        "over 3000": (2, 3, 3, 3, 4, 4, 4),
    },
    "1 lane a direction": {
        "to 750": (1, 1, 2, 2, 3, 3, 3),
        "to 1500": (2, 2, 2, 3, 3, 3, 4),
        "to 3000": (2, 3, 3, 3, 4, 4, 4),
        "over 3000": (3, 3, 3, 3, 4, 4, 4),
    },
    "2 lanes a direction": dict.fromkeys(("to 750", "to 1500", "to 3000"), (3, 3, 3, 3, 4, 4, 4))
    | {"over 3000": (3, 3, 4, 4, 4, 4, 4)},
    "3 lanes or more": dict.fromkeys(("to 750", "to 1500", "to 3000", "over 3000"), (3, 3, 4, 4, 4, 4, 4)),
}
_LANE = {
    # lanes: {width of the bike lane: one level a speed column}; Furth 2017, table 2 (no parking beside it)
    "unlaned": {"wide": (1, 1, 2, 2, 3, 3, 3), "narrow": (2, 2, 2, 3, 3, 3, 4)},
    "1 lane a direction": {"wide": (1, 1, 2, 2, 3, 3, 3), "narrow": (2, 2, 2, 3, 3, 3, 4)},
    "2 lanes a direction": {"wide": (2, 2, 2, 3, 3, 3, 3), "narrow": (2, 2, 2, 3, 3, 3, 4)},
    "3 lanes or more": {"wide": (3, 3, 3, 4, 4, 4, 4), "narrow": (3, 3, 3, 4, 4, 4, 4)},
}
_LANE_BY_PARKING = {
    # Furth 2017, table 3: bike lane alongside a parking lane
    "unlaned": (1, 2, 2, 3, 3, 3, 3),
    "1 lane a direction": (1, 2, 2, 3, 3, 3, 3),
    "2 lanes a direction": (2, 3, 3, 3, 3, 4, 4),
    "3 lanes or more": (3, 3, 3, 4, 4, 4, 4),
}
_LANES = tuple(_MIXED)
_TRAFFIC = ("to 750", "to 1500", "to 3000", "over 3000")

_TRAFFIC_OF_CLASS = {
    **dict.fromkeys(("residential", "living_street", "service", "pedestrian", "track", "road"), 0),
    "unclassified": 1,
    **dict.fromkeys(("tertiary", "tertiary_link"), 2),
}
"""Column of `_TRAFFIC` by class; every other class is taken to carry over 3,000 vehicles a day."""

_NO_CARS = (
    "cycleway",
    "path",
    "footway",
    "pedestrian",
    "steps",
    "track",
    "bridleway",
    "corridor",
    "platform",
)
WIDE_LANE_M = 1.8
"""[m] A bike lane of 6 ft or more is wide."""


@dataclass(frozen=True, eq=False)
class Stress:
    """Level 1–4 and the code of the rule that gave it, one entry a way; ``rules[rule]`` says it in words."""

    lts: npt.NDArray[np.int8]
    rule: npt.NDArray[np.int32]
    rules: list[str]


def traffic_stress(
    tags: TagColumns, access: WayAccess, *, limit_kmh: FloatArray, parked: BoolArray
) -> Stress:
    """
    Level of Traffic Stress of every way.

    Parameters
    ----------
    tags, access
        The ways and who may use them by bicycle.
    limit_kmh
        [km/h] Limit of motor traffic, none missing.
    parked
        Ways with cars parked along the kerb.

    Notes
    -----
    O(ways). A way without motor traffic is 1, a protected track is 1, a bike lane takes the lane tables, all
    else the mixed-traffic table.
    """
    column = np.searchsorted(SPEED_EDGES_KMH, limit_kmh, side="left")
    lanes = _lanes_a_direction(tags)
    rules: dict[str, int] = {}
    lts = np.zeros(len(tags), dtype=np.int8)
    rule = np.full(len(tags), -1, dtype=np.int32)

    def settle(where: BoolArray, level: npt.NDArray[np.int64] | int, name: str) -> None:
        rows = np.flatnonzero(where & (rule < 0))
        if len(rows):
            lts[rows] = level if isinstance(level, int) else level[rows]
            rule[rows] = rules.setdefault(name, len(rules))

    settle(access.dismount, 1, "pushed on a foot way")
    settle(_without_cars(tags), 1, "way without motor traffic")
    settle(_has(tags, ("track", "opposite_track", "separate")), 1, "separate track along the road")
    lane = _has(tags, ("lane", "opposite_lane", "exclusive"))
    wide = _lane_width(tags) >= WIDE_LANE_M
    for i, name in enumerate(_LANES):
        here = lane & (lanes == i)
        settle(here & parked, np.array(_LANE_BY_PARKING[name])[column], f"bike lane beside parking, {name}")
        settle(here & wide, np.array(_LANE[name]["wide"])[column], f"bike lane, {name}")
        settle(here, np.array(_LANE[name]["narrow"])[column], f"narrow bike lane, {name}")
    traffic = tags.map("highway", lambda text: _TRAFFIC_OF_CLASS.get(text, 3), default=0).astype(np.int64)
    for i, name in enumerate(_LANES):
        for j, flow in enumerate(_TRAFFIC):
            level = np.array(_MIXED[name][flow])[column]
            settle((lanes == i) & (traffic == j), level, f"mixed traffic, {name}, {flow} vehicles a day")
    return Stress(lts, rule, list(rules))


def _without_cars(tags: TagColumns) -> BoolArray:
    closed = ("no", "private")
    cars = tags.isin("motor_vehicle", ("yes", "designated", "permissive", "destination"))
    free = tags.isin("highway", _NO_CARS) & ~cars
    free |= tags.isin("motor_vehicle", closed) | tags.isin("bicycle_road", ("yes",)) & tags.isin(
        "motor_vehicle", closed
    )
    return free | (tags.isin("vehicle", closed) & ~cars)


def _has(tags: TagColumns, values: tuple[str, ...]) -> BoolArray:
    there = np.zeros(len(tags), dtype=bool)
    for key in ("cycleway", "cycleway:left", "cycleway:right", "cycleway:both"):
        there |= tags.isin(key, values)
    return there


def _lane_width(tags: TagColumns) -> FloatArray:
    """[m] Narrowest bike lane stated; unknown widths count as wide, for the tables' usual case."""
    width = np.full(len(tags), np.inf)
    for key in ("cycleway:width", "cycleway:left:width", "cycleway:right:width", "cycleway:both:width"):
        width = np.fmin(width, tags.map(key, parse_width, default=float("nan")).astype(np.float64))
    return width


def _lanes_a_direction(tags: TagColumns) -> npt.NDArray[np.int64]:
    """Column of `_LANES`: 0 unlaned, 1, 2, 3 and more lanes a direction."""
    usual = {
        **dict.fromkeys(("motorway", "trunk", "primary"), 2),
        **dict.fromkeys(("secondary", "tertiary", "motorway_link", "trunk_link"), 1),
        **dict.fromkeys(("primary_link", "secondary_link", "tertiary_link"), 1),
    }
    assumed = tags.map("highway", lambda text: usual.get(text, 0), default=0).astype(np.int64)
    total = tags.map("lanes", parse_count, default=float("nan")).astype(np.float64)
    single = tags.isin("oneway", ("yes", "true", "1", "-1")) | tags.isin(
        "junction", ("roundabout", "circular")
    )
    each = np.ceil(np.where(single, total, total / 2))
    known = np.clip(np.nan_to_num(each, nan=0), 1, 3).astype(np.int64)
    quiet = (assumed == 0) & (np.nan_to_num(total, nan=0) <= 2)
    lanes = np.where(np.isnan(total) | quiet, assumed, known)
    return np.where(tags.isin("lane_markings", ("no",)), 0, lanes)
