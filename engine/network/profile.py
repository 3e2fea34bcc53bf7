"""Mode profiles: the numbers that turn a way into a time, frozen and explicit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import shapely

from engine.errors import InputError

MODES = ("walk", "bike", "street30")
"""The networks of the method, in the order in which reports list them."""


@dataclass(frozen=True)
class MajorRoads:
    """
    Streets that keep their own limit under ``street30``; a street is major when any of the rules holds.

    Attributes
    ----------
    classes
        Values of ``highway``.
    names, refs
        Exact values of ``name`` and ``ref`` (one of several separated by semicolons).
    relations
        OSM ids of relations (a ring road) whose member ways are major.
    polygon
        [deg] Ways that lie for more than half of their nodes inside are major; None: no polygon.
    """

    classes: tuple[str, ...] = ("motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link")
    names: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    relations: tuple[int, ...] = ()
    polygon: shapely.Geometry | None = None


@dataclass(frozen=True)
class ModeProfile:
    """
    Everything a network depends on besides the extract.

    Attributes
    ----------
    mode
        ``walk``, ``bike`` or ``street30``.
    speed_kmh
        [km/h] On the flat, on a good surface; for ``street30`` the limit on streets that are not major.
    steps_kmh
        [km/h] Along steps, both ways. 2 km/h is a little over the 0.5 m/s horizontal speed on stairs observed
        by Fruin (Pedestrian Planning and Design, 1971).
    escalator_kmh
        [km/h] Along an escalator or a moving walkway, in its direction: the usual belt speed of 0.65 m/s.
    elevator_s
        [s] Waiting for and riding a lift that is drawn as a way.
    dismount_kmh
        [km/h] Pushing a bicycle where riding is not allowed but walking is.
    min_speed_kmh
        [km/h] Slope and surface never slow a mode below this.
    slope
        Whether heights, where given, change the speed.
    signal_delay_s
        [s] Mean wait at a signal, added on arrival at its node; 0 leaves signals out.
    max_lts
        Highest Level of Traffic Stress that may be ridden, 1–4; None does not restrict. ``bike`` only.
    limit_30
        Whether streets that are not major count as 30 km/h streets in the Level of Traffic Stress. ``bike``
        only.
    wheelchair
        Steps, raised kerbs, bad surfaces and narrow barriers are closed. ``walk`` only.
    ferries, ferry_wait_s
        Whether ferries count, and the wait before boarding [s]: timetables are not in the extract.
    congestion_factor
        Time is multiplied by it; 1 is free flow, never to be presented as the observed speed. ``street30``
        only.
    major
        The major roads.
    urban_kmh
        [km/h] Limit of a street inside towns that carries none.
    moment
        Weekday and time at which conditional tags are read, e.g. ``Tu 10:00``.
    """

    mode: str
    speed_kmh: float
    steps_kmh: float = 2.0
    escalator_kmh: float = 2.3
    elevator_s: float = 30.0
    dismount_kmh: float = 5.0
    min_speed_kmh: float = 1.0
    slope: bool = True
    signal_delay_s: float = 0.0
    max_lts: int | None = None
    limit_30: bool = False
    wheelchair: bool = False
    ferries: bool = False
    ferry_wait_s: float = 600.0
    congestion_factor: float = 1.0
    major: MajorRoads = field(default_factory=MajorRoads)
    urban_kmh: float = 50.0
    moment: str = "Tu 10:00"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            msg = f"mode is {self.mode!r}; expected one of {', '.join(MODES)}"
            raise InputError(msg)
        for name in (
            "speed_kmh",
            "steps_kmh",
            "escalator_kmh",
            "dismount_kmh",
            "min_speed_kmh",
            "congestion_factor",
        ):
            value = getattr(self, name)
            if not 0 < value < 1000:
                msg = f"{name} of {self.mode} is {value}; expected a positive number below 1000"
                raise InputError(msg)
        for name in ("signal_delay_s", "ferry_wait_s", "elevator_s"):
            if not 0 <= getattr(self, name) < 86_400:
                msg = f"{name} of {self.mode} is {getattr(self, name)}; expected 0 to 86,400 seconds"
                raise InputError(msg)
        if self.max_lts is not None and self.max_lts not in (1, 2, 3, 4):
            msg = f"max_lts of {self.mode} is {self.max_lts}; expected 1, 2, 3, 4 or nothing"
            raise InputError(msg)

    @classmethod
    def default(cls, mode: str, **changes: Any) -> ModeProfile:
        """
        The profile of the method for a mode.

        Parameters
        ----------
        mode
            ``walk`` (5.0 km/h), ``bike`` (15 km/h) or ``street30`` (30 km/h).
        **changes
            Attributes that differ from the default.

        Examples
        --------
        >>> ModeProfile.default("walk").speed_kmh, ModeProfile.default("walk", speed_kmh=4.0).speed_kmh
        (5.0, 4.0)
        """
        speeds = {"walk": 5.0, "bike": 15.0, "street30": 30.0}
        if mode not in speeds:
            msg = f"mode is {mode!r}; expected one of {', '.join(MODES)}"
            raise InputError(msg)
        return cls(mode, **{"speed_kmh": speeds[mode], **changes})
