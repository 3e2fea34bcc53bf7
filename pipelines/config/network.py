"""How each mode travels."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pipelines.config.value import NonNegative, Positive, Strict


class _Travel(Strict):
    """Keys that every mode takes; one left out takes the profile's value, else the mode's default (METHOD §1)."""

    enabled: bool = True
    """Whether the mode is part of the run."""
    profile: str | None = None
    """A shipped profile: `older`, `child`, `wheelchair` (walk), `ebike`, `child_bike` (bike); or your own TOML file."""
    speed_kmh: Annotated[float, Field(gt=0, lt=200, allow_inf_nan=False)] | None = None
    """[km/h] Speed on the flat; for street30 the highest on streets that are not major. Default 5, 15, 30."""
    signal_delay_s: NonNegative | None = None
    """[s] Mean wait at a signal. Default 0."""
    ferries: bool | None = None
    """Whether ferries count. Default false."""
    moment: str | None = None
    """Weekday and time at which conditional access is read. Default `Tu 10:00`."""

    def changes(self) -> dict[str, Any]:
        """The keys that were given."""
        return self.model_dump(exclude={"enabled", "profile"}, exclude_none=True)


class Walk(_Travel):
    """On foot."""

    steps_kmh: Positive | None = None
    """[km/h] Along steps. Default 2."""
    slope: bool | None = None
    """Whether terrain, where given, changes the speed. Default true."""
    wheelchair: bool | None = None
    """Close steps, raised kerbs and bad surfaces. Default false."""


class Bike(_Travel):
    """By bicycle."""

    dismount_kmh: Positive | None = None
    """[km/h] Pushing the bicycle where riding is not allowed. Default 5."""
    slope: bool | None = None
    """Whether terrain, where given, changes the speed. Default true."""
    max_lts: Annotated[int, Field(ge=1, le=4)] | None = None
    """Highest Level of Traffic Stress that is ridden. Default: all."""
    limit_30: bool | None = None
    """Whether streets that are not major count as 30 km/h streets in the Level of Traffic Stress. Default false."""


class MajorRoadRules(Strict):
    """Streets that keep their own limit under street30."""

    classes: tuple[str, ...] | None = None
    """Values of `highway`. Default: motorway, trunk, primary and their links."""
    names: tuple[str, ...] = ()
    """Street names."""
    refs: tuple[str, ...] = ()
    """Road numbers."""
    relations: tuple[int, ...] = ()
    """OSM relations whose member ways are major, for example a ring road."""
    polygon: str | None = None
    """File with polygons: ways inside are major."""


class Street30(_Travel):
    """By motor vehicle, 30 km/h except on major roads."""

    congestion_factor: Positive | None = None
    """Times are multiplied by it; 1 is free flow, which is not the observed speed. Default 1."""
    urban_kmh: Positive | None = None
    """[km/h] Limit of a street inside towns that carries none. Default 50."""
    major: MajorRoadRules = MajorRoadRules()

    def changes(self) -> dict[str, Any]:
        """The keys that were given, without the rules for major roads."""
        return self.model_dump(exclude={"enabled", "profile", "major"}, exclude_none=True)


class Network(Strict):
    """The modes of the run."""

    walk: Walk = Walk()
    bike: Bike = Bike()
    street30: Street30 = Street30()
