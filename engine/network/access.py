"""Who may use a way, and in which direction: OSM's access hierarchy, oneways and contraflow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.network.conditional import conditional_value, parse_moment
from engine.network.profile import ModeProfile
from engine.network.tags import TagColumns

BoolArray = npt.NDArray[np.bool_]

UNKNOWN, DENIED, ALLOWED, DESTINATION, DISMOUNT = 0, 1, 2, 3, 4
"""What an access tag says."""

HIERARCHY: Mapping[str, tuple[str, ...]] = {
    "walk": ("access", "foot"),
    "bike": ("access", "vehicle", "bicycle"),
    "street30": ("access", "vehicle", "motor_vehicle", "motorcar"),
}
"""Keys from the general to the specific; the most specific that says something decides
(OSM wiki, Key:access)."""

_MEANING = {
    **dict.fromkeys(
        ("yes", "designated", "permissive", "official", "public", "permit_free", "discouraged"), ALLOWED
    ),
    **dict.fromkeys(("destination", "residents_destination"), DESTINATION),
    "dismount": DISMOUNT,
    **dict.fromkeys(
        (
            *("no", "private", "customers", "delivery", "agricultural", "forestry", "military", "residents"),
            *(
                "permit",
                "emergency",
                "employees",
                "employee",
                "members",
                "staff",
                "use_sidepath",
                "restricted",
            ),
            *("psv", "bus", "taxi", "hov", "tourist_bus", "none", "closed", "prohibited", "exempt", "school"),
        ),
        DENIED,
    ),
}

_NOT_THERE = (
    *("construction", "proposed", "planned", "abandoned", "razed", "demolished", "disused", "no", "removed"),
    *("raceway", "bus_guideway", "escape", "rest_area", "services", "via_ferrata", "traffic_island", "dummy"),
)
_MOTOR = (
    *(
        "motorway",
        "motorway_link",
        "trunk",
        "trunk_link",
        "primary",
        "primary_link",
        "secondary",
        "secondary_link",
    ),
    *("tertiary", "tertiary_link", "unclassified", "residential", "living_street", "service", "road"),
)
_FOOT_WAYS = ("footway", "pedestrian", "steps", "corridor", "platform", "elevator", "ladder")

_NEVER_RIDDEN = ("steps", "ladder", "elevator", "corridor")
_NEVER_DRIVEN = (
    "steps",
    "ladder",
    "elevator",
    "corridor",
    "footway",
    "path",
    "bridleway",
    "platform",
    "cycleway",
)
"""Classes that no access tag makes rideable, driveable: there is no room, or there are steps."""

WALKABLE = frozenset(
    {*_MOTOR, *_FOOT_WAYS, "path", "track", "bridleway", "byway"} - {"motorway", "motorway_link"}
)
RIDEABLE = frozenset({*_MOTOR, "cycleway", "path", "track", "byway"} - {"motorway", "motorway_link"})
PUSHABLE = frozenset({"footway", "pedestrian", "platform"})
DRIVEABLE = frozenset(_MOTOR)
"""Classes open to a mode where no access tag says otherwise."""


@dataclass(frozen=True, eq=False)
class WayAccess:
    """
    Which ways a mode may use.

    Attributes
    ----------
    forward, backward
        Allowed along, against the drawn direction; shape (ways,).
    dismount
        The bicycle is pushed; False for other modes.
    destination
        Only for those who have their destination there.
    excluded
        Ways left out, by reason, for the report.
    """

    forward: BoolArray
    backward: BoolArray
    dismount: BoolArray
    destination: BoolArray
    excluded: dict[str, int]

    def restricted(self, ways: BoolArray, reason: str) -> WayAccess:
        """The same access on some ways only; the others are counted under the reason."""
        lost = int(((self.forward | self.backward) & ~ways).sum())
        return replace(
            self,
            forward=self.forward & ways,
            backward=self.backward & ways,
            excluded={**self.excluded, reason: lost},
        )


def access_value(tags: TagColumns, keys: Collection[str], *, moment: str) -> npt.NDArray[np.int64]:
    """
    What the access tags of each row say: `UNKNOWN`, `DENIED`, `ALLOWED`, `DESTINATION` or `DISMOUNT`.

    Parameters
    ----------
    tags
        Ways or nodes.
    keys
        From the general to the specific; a value that says nothing (``unknown``) leaves the general one
        standing. Of several values separated by semicolons the most generous counts.
    moment
        When conditional tags (``access:conditional``) are read; where one holds it stands for its key.
    """
    value = np.zeros(len(tags), dtype=np.int64)
    when = parse_moment(moment)
    for key in keys:
        now = tags.map(
            f"{key}:conditional", lambda text: _meaning(conditional_value(text, when)), default=UNKNOWN
        )
        own = np.where(now == UNKNOWN, tags.map(key, _meaning, default=UNKNOWN), now).astype(np.int64)
        value = np.where(own == UNKNOWN, value, own)
    return value


def _meaning(text: str) -> int:
    found = {_MEANING.get(part.strip(), UNKNOWN) for part in text.split(";")}
    return next((m for m in (ALLOWED, DESTINATION, DISMOUNT, DENIED) if m in found), UNKNOWN)


def way_access(tags: TagColumns, profile: ModeProfile) -> WayAccess:
    """
    Decide for every way whether and in which direction a mode may use it.

    Parameters
    ----------
    tags
        The ways.
    profile
        The mode and its options.

    Returns
    -------
    WayAccess
        One entry a way.
    """
    keys = HIERARCHY[profile.mode]
    value = access_value(tags, keys, moment=profile.moment)
    own = access_value(tags, keys[1:], moment=profile.moment)
    rules = {"walk": _walk, "bike": _bike, "street30": _drive}
    usual, dismount = rules[profile.mode](tags, profile)
    there = ~tags.isin("highway", _NOT_THERE)
    ferry = tags.isin("route", ("ferry",)) & ~tags.has("highway")
    usual = np.where(ferry, True, usual)
    there &= ~ferry | profile.ferries
    if profile.mode == "bike":
        stepped = tags.isin("highway", _NEVER_RIDDEN)
        dismount = (dismount & (own != ALLOWED)) | (own == DISMOUNT) | stepped
    else:
        dismount = np.zeros(len(tags), dtype=bool)
    foot_denied = access_value(tags, HIERARCHY["walk"], moment=profile.moment) == DENIED
    # a general access=yes opens nothing that the class of the way does not: only the mode's own keys do
    open_ = np.where(own != UNKNOWN, own != DENIED, usual & (value != DENIED)) & there
    open_ &= ~(dismount & foot_denied)
    if profile.mode == "street30":
        open_ &= ~tags.isin("highway", _NEVER_DRIVEN)
    if profile.wheelchair:
        open_ &= ~_closed_to_wheelchairs(tags)
    forward, backward = _directions(tags, profile)
    forward, backward = np.where(dismount, True, forward), np.where(dismount, True, backward)
    tagged = (value == DENIED) & there
    excluded = {
        "access_denied": int((tagged & ~open_).sum()),
        "class_not_for_mode": int((~open_ & ~tagged).sum()),
        "ferry": 0 if profile.ferries else int(ferry.sum()),
    }
    return WayAccess(
        open_ & forward, open_ & backward, dismount & open_, (value == DESTINATION) & open_, excluded
    )


def _walk(tags: TagColumns, profile: ModeProfile) -> tuple[BoolArray, BoolArray]:
    usual = tags.isin("highway", WALKABLE) & ~tags.isin("motorroad", ("yes",))
    shared = tags.isin("sidewalk", ("both", "left", "right", "yes")) | tags.isin("segregated", ("yes", "no"))
    usual |= tags.isin("highway", ("cycleway",)) & shared
    off_road = ~tags.has("highway")
    for key, values in (
        ("railway", ("platform",)),
        ("public_transport", ("platform",)),
        ("man_made", ("pier",)),
    ):
        usual |= off_road & tags.isin(key, values)
    return usual, np.zeros(len(tags), dtype=bool)


def _closed_to_wheelchairs(tags: TagColumns) -> BoolArray:
    bad_surface = (
        "sand",
        "mud",
        "grass",
        "gravel",
        "pebblestone",
        "rock",
        "unhewn_cobblestone",
        "stepping_stones",
    )
    rough = ("bad", "very_bad", "horrible", "very_horrible", "impassable")
    ramp = tags.isin("ramp:wheelchair", ("yes",))
    closed = (tags.isin("highway", ("steps", "ladder")) & ~ramp) | tags.isin("smoothness", rough)
    closed |= tags.isin("surface", bad_surface) | tags.has("conveying") & ~tags.isin("conveying", ("no",))
    return (closed | tags.isin("wheelchair", ("no",))) & ~tags.isin("wheelchair", ("yes", "designated"))


def _bike(tags: TagColumns, profile: ModeProfile) -> tuple[BoolArray, BoolArray]:
    usual = tags.isin("highway", RIDEABLE) & ~tags.isin("motorroad", ("yes",))
    for key in ("cycleway", "cycleway:left", "cycleway:right", "cycleway:both"):
        usual |= tags.isin("highway", ("busway", "service")) & tags.isin(
            key, ("share_busway", "opposite_share_busway")
        )
    usual |= tags.isin("bicycle_road", ("yes",)) | tags.isin("cyclestreet", ("yes",))
    push = tags.isin("highway", PUSHABLE)
    push |= tags.isin("highway", ("steps",)) & tags.isin("ramp:bicycle", ("yes",))
    push |= tags.isin("highway", ("path",)) & tags.isin("foot", ("designated",)) & ~tags.has("bicycle")
    return usual | push, push


def _drive(tags: TagColumns, profile: ModeProfile) -> tuple[BoolArray, BoolArray]:
    usual = tags.isin("highway", DRIVEABLE) & ~tags.isin("service", ("emergency_access", "busway"))
    return usual & ~tags.isin("area", ("yes",)), np.zeros(len(tags), dtype=bool)


def _oneway(tags: TagColumns, keys: Collection[str]) -> npt.NDArray[np.int64]:
    """+1 along, -1 against, 0 both ways, by the last key that says something; 9 where none does."""
    meaning = {
        **dict.fromkeys(("yes", "true", "1"), 1),
        **dict.fromkeys(("-1", "reverse"), -1),
        **dict.fromkeys(("no", "false", "0", "alternating", "reversible"), 0),
    }
    value = np.full(len(tags), 9, dtype=np.int64)
    for key in keys:
        own = tags.map(key, lambda text: meaning.get(text, 9), default=9).astype(np.int64)
        value = np.where(own == 9, value, own)
    return value


def _oneway_now(tags: TagColumns, keys: Collection[str], profile: ModeProfile) -> npt.NDArray[np.int64]:
    """`_oneway`, with ``oneway:conditional`` where it holds at the profile's moment."""
    when = parse_moment(profile.moment)
    said = {"yes": 1, "-1": -1, "no": 0}
    now = tags.map(
        "oneway:conditional", lambda text: said.get(conditional_value(text, when), 9), default=9
    ).astype(np.int64)
    return np.where(now == 9, _oneway(tags, keys), now)


def _directions(tags: TagColumns, profile: ModeProfile) -> tuple[BoolArray, BoolArray]:
    """Allowed along and against the drawn direction by oneway tags alone."""
    if profile.mode == "walk":
        return _foot_directions(tags)
    own = {"bike": ("oneway", "oneway:bicycle"), "street30": ("oneway", "oneway:motor_vehicle")}[profile.mode]
    value = _oneway_now(tags, own, profile)
    implied = tags.isin("junction", ("roundabout", "circular", "mini_roundabout"))
    implied |= tags.isin("highway", ("motorway",))
    value = np.where(value == 9, np.where(implied, 1, 0), value)
    forward, backward = value >= 0, value <= 0
    if profile.mode == "bike":
        contraflow = _contraflow(tags) & (_oneway(tags, ("oneway:bicycle",)) == 9)
        forward, backward = forward | contraflow, backward | contraflow
    return forward, backward


def _foot_directions(tags: TagColumns) -> tuple[BoolArray, BoolArray]:
    """Oneways bind vehicles; people on foot obey ``oneway:foot`` and the direction of escalators."""
    value = _oneway(tags, ("oneway:foot",))
    belt = {"forward": 1, "backward": -1, "yes": 2}
    conveying = tags.map("conveying", lambda text: belt.get(text, 9), default=9).astype(np.int64)
    conveying = np.where(conveying == 2, _oneway(tags, ("oneway",)), conveying)
    return (value != -1) & (conveying != -1), (value != 1) & (conveying != 1)


def _contraflow(tags: TagColumns) -> BoolArray:
    """Cycling against the oneway is allowed by the cycleway's own tags."""
    against = np.zeros(len(tags), dtype=bool)
    opposite = ("opposite", "opposite_lane", "opposite_track", "opposite_share_busway")
    for key in ("cycleway", "cycleway:left", "cycleway:right", "cycleway:both"):
        against |= tags.isin(key, opposite)
    for side in ("left", "right"):
        there = tags.isin(f"cycleway:{side}", ("lane", "track", "share_busway", "shared_lane"))
        against |= there & tags.isin(f"cycleway:{side}:oneway", ("-1", "no"))
    return against
