"""Barriers, gates, kerbs and signals: what happens at single nodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.network.access import ALLOWED, DENIED, DESTINATION, HIERARCHY, access_value
from engine.network.profile import ModeProfile
from engine.network.tags import TagColumns

BoolArray = npt.NDArray[np.bool_]

_SOLID = (
    *(
        "wall",
        "fence",
        "hedge",
        "retaining_wall",
        "city_wall",
        "guard_rail",
        "ditch",
        "wire_fence",
        "hedge_bank",
    ),
    *("handrail", "cable_barrier"),
)
_NARROW = ("stile", "horse_stile", "kissing_gate", "turnstile", "full-height_turnstile", "ladder_stile")
_CLOSED_TO_CARS = (
    *(
        "bollard",
        "block",
        "chain",
        "cycle_barrier",
        "motorcycle_barrier",
        "jersey_barrier",
        "bus_trap",
        "planter",
    ),
    *("sump_buster", "log", "debris", "rope", "step", "rock", "tyres", "horse_jump", "barrier_board", "bar"),
)

CLOSED_BY_DEFAULT = {
    "walk": frozenset(_SOLID),
    "bike": frozenset({*_SOLID, *_NARROW}),
    "street30": frozenset({*_SOLID, *_NARROW, *_CLOSED_TO_CARS}),
}
"""Barriers that stop a mode where no access tag says otherwise (OSM wiki, Key:barrier, usual access). Gates
and lift gates without an access tag let everybody pass."""

_CLOSED_TO_WHEELCHAIRS = frozenset(
    {*_SOLID, *_NARROW, "cycle_barrier", "motorcycle_barrier", "step", "log", "debris"}
)


def closed_nodes(node_tags: pd.DataFrame, profile: ModeProfile) -> BoolArray:
    """
    Nodes that a mode cannot pass.

    Parameters
    ----------
    node_tags
        Tags of nodes, one row a node.
    profile
        The mode.

    Returns
    -------
    numpy.ndarray
        Shape (rows,). Access tags count on nodes with a barrier only: ``bicycle=no`` on a crossing says
        nothing about riding along the street. A locked gate is closed unless the mode's own key opens it.
    """
    tags = TagColumns(node_tags)
    barrier = tags.has("barrier") & ~tags.isin(
        "barrier", ("no", "entrance", "kerb", "toll_booth", "border_control")
    )
    keys = HIERARCHY[profile.mode]
    value = access_value(tags, keys, moment=profile.moment)
    own = access_value(tags, keys[1:], moment=profile.moment)
    usual = tags.isin("barrier", CLOSED_BY_DEFAULT[profile.mode])
    usual |= tags.isin("locked", ("yes",)) & ~np.isin(own, (ALLOWED, DESTINATION))
    closed = barrier & np.where(value == DENIED, True, np.where(value == 0, usual, usual & (own == 0)))
    if profile.wheelchair:
        allowed = tags.isin("wheelchair", ("yes", "designated"))
        high = tags.isin("kerb", ("raised",)) | (tags.isin("barrier", ("kerb",)) & ~tags.has("kerb"))
        narrow = tags.isin("barrier", _CLOSED_TO_WHEELCHAIRS)
        closed = (closed | high | narrow | tags.isin("wheelchair", ("no",)) & barrier) & ~allowed
    return closed


def arrival_delay_s(node_tags: pd.DataFrame, profile: ModeProfile) -> npt.NDArray[np.float64]:
    """
    [s] Wait on arrival at each node: signals by the profile's delay, lifts drawn as nodes by their ride.

    People on foot and cyclists wait at signalled crossings as well as at the signals of the carriageway.
    """
    tags = TagColumns(node_tags)
    signal = tags.isin("highway", ("traffic_signals",))
    if profile.mode != "street30":
        signal |= tags.isin("crossing", ("traffic_signals",)) | tags.isin("crossing:signals", ("yes",))
    delay = np.where(signal, profile.signal_delay_s, 0.0)
    if profile.mode == "walk":
        delay = delay + np.where(tags.isin("highway", ("elevator",)), profile.elevator_s, 0.0)
    return delay
