"""Candidate sites: what is looked for, where it may stand, whom it serves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.config.source import FileSource
from pipelines.config.value import Count, Name, NonNegative, Positive, Strict

Obstacle = Literal[
    "barrier",
    "building",
    "bus_stop",
    "crossing",
    "door",
    "green",
    "railway",
    "station",
    "tree",
    "walkway",
    "water",
]
Stream = Literal["glass", "paper", "packaging", "plastic", "metal", "organic", "clothes", "cardboard"]


class SiteKind(Strict):
    """How many new sites are looked for, where they may stand, and what already exists."""

    enabled: bool = True
    """Whether this kind is looked for."""
    count: Count = 30
    """How many new sites at most."""
    existing: FileSource = FileSource()
    """Existing sites besides OpenStreetMap's: they are locked in (stations) or kept clear of (trees)."""
    equity_aversion: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0
    """People count (mean income / income of their cell) to this power; 0 counts all alike, 1.3 is the UK Treasury's
    value. Needs `population.income_column`."""
    candidate_spacing_m: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """[m] Between the places that are looked at along a kerb. Default 40; trees: their `spacing_m`."""
    min_width_m: NonNegative | None = None
    """[m] A street narrower than this from kerb to kerb takes no site. Default 5.5, trees 5."""
    junction_clearance_m: NonNegative | None = None
    """[m] From the middle of a junction to the middle of the site. Default 16 (chargers), 14 (sorting), 10 (trees)."""
    clearance_m: dict[Obstacle, NonNegative] = {}
    """[m] Least distance to obstacles of a kind, in place of the kind's own; 0 does not look at them."""

    @property
    def rule_changes(self) -> dict[str, Any]:
        """The keys that were given of those that say where a site may stand, as `KerbRule` names them."""
        given = {
            "spacing_m": self.candidate_spacing_m,
            "min_width_m": self.min_width_m,
            "junction_clearance_m": self.junction_clearance_m,
        }
        return {name: value for name, value in given.items() if value is not None}


class SiteScenario(Strict):
    """One way the future may be, besides the settings themselves."""

    name: Name
    """What it is called in the results."""
    demand: str | None = None
    """Whom to serve: `population` or a column of `population.keep`. Default: as without the scenario."""
    speed_factor: Positive = 1
    """People come this much faster (slower below 1)."""


class StationKind(SiteKind):
    """Stations that serve whoever comes within a time."""

    walk_min: Positive = 5
    """[min] Whoever is within this walk of a station counts as served."""
    spacing_m: NonNegative = 150
    """[m] Least distance between two stations."""
    objective: Literal["covering", "p_median"] = "covering"
    """`covering`: most people served. `p_median`: least walking to the nearest station in all."""
    far_min: Positive = 15
    """[min] `p_median` only: what a longer walk, or none, counts."""
    demand: str = "population"
    """Whom to serve: `population`, or a column of `population.keep` (cars, households …)."""
    capacity: Positive | None = None
    """How many of the demand a new station can serve. Default: no limit."""
    existing_capacity: NonNegative | None = None
    """With `capacity`: how many an existing station can serve. Default: as a new one, or in proportion to its points
    where the file of existing stations gives a `capacity`."""
    sweep: tuple[Count, ...] = ()
    """Further numbers of new stations, each solved with its own proof: coverage against number, and where it bends."""
    scenarios: tuple[SiteScenario, ...] = ()
    """Further futures: the set whose worst regret over them and the settings themselves is least."""

    @model_validator(mode="after")
    def _one_question(self) -> StationKind:
        asked = {
            "objective = 'p_median'": self.objective == "p_median",
            "capacity": self.capacity is not None,
            "scenarios": bool(self.scenarios),
            "sweep": bool(self.sweep),
        }
        both = [name for name, given in asked.items() if given]
        if len(both) > 1:
            msg = f"{' and '.join(both)} do not go together: ask them one after another"
            raise ValueError(msg)
        return self


class Chargers(StationKind):
    """Charging stations at the kerb."""

    points: Annotated[int, Field(ge=1)] = 3
    """Charging points of a new station (Belib': three parking places)."""
    fleets: FileSource = FileSource()
    """Depots of fleets, `capacity` the number of vehicles: with it, stations serve them, by car, and not residents."""
    drive_min: Positive = 10
    """[min] Longest drive of a fleet's vehicle to a station."""


class SortingSites(StationKind):
    """Street sorting points."""

    walk_min: Positive = 3
    """[min] Whoever is within this walk of a point counts as served."""
    spacing_m: NonNegative = 100
    """[m] Least distance between two points."""
    streams: tuple[Stream, ...] = ()
    """Waste streams to be served one by one: a point without the stream is no access to it. A new point takes all.
    Default: a point is a point."""
    stream_weights: dict[Stream, NonNegative] = {}
    """What access to each of `streams` counts. Default: all alike."""

    @model_validator(mode="after")
    def _streams_fit(self) -> SortingSites:
        if self.streams and (self.objective == "p_median" or self.capacity is not None):
            msg = "streams go with the objective 'covering' without capacity: ask them one after another"
            raise ValueError(msg)
        if foreign := sorted(set(self.stream_weights) - set(self.streams)):
            msg = f"stream_weights names {', '.join(foreign)}, and streams only {list(self.streams)}"
            raise ValueError(msg)
        return self


class Trees(SiteKind):
    """Street trees."""

    count: Count = 200
    """How many new trees at most."""
    spacing_m: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 8
    """[m] Least distance between two new trees of a side of a street."""
    within_m: Positive = 100
    """[m] Residents within this straight distance gain shade."""
    canopy_target: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share under canopy from which on nothing lacks: the 30 of 3-30-300."""
    walker_weight: NonNegative = 0.25
    """What one who walks past on the way to the nearest places counts beside one who lives near; 0 leaves them out."""


class GreenSites(Strict):
    """New green space: unused parcels, schoolyards opened to all, by option roofs and car parks."""

    enabled: bool = False
    """Whether this kind is looked for."""
    budget_ha: NonNegative = 30
    """[ha] New green space in all; a parcel is taken whole or not at all."""
    equity_aversion: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0
    """People count (mean income / income of their cell) to this power; 0 counts all alike. Needs
    `population.income_column`."""
    walk_min: Positive = 5
    """[min] Longest walk to it; cells with a place of the category `green` within it are served already."""
    parcels: str | None = None
    """File of further ground (polygons, any format and CRS); a column `kind` may say `parcel`, `schoolyard`, `roof` or
    `car_park`."""
    parcel_min_ha: NonNegative | None = 0.5
    """[ha] Smallest unused parcel (`landuse=brownfield|greenfield|construction`)."""
    schoolyard_min_ha: NonNegative | None = 0.2
    """[ha] Smallest school ground (`amenity=school`)."""
    roof_min_ha: NonNegative | None = None
    """[ha] Smallest roof (any building); none by default."""
    car_park_min_ha: NonNegative | None = None
    """[ha] Smallest car park at ground level (`amenity=parking`); none by default."""

    @model_validator(mode="before")
    @classmethod
    def _by_the_hectare(cls, given: Any) -> Any:
        foreign = sorted({"count", "sweep", "scenarios"} & set(given)) if isinstance(given, dict) else []
        if foreign:
            msg = (
                f"{' and '.join(foreign)}: ground is taken parcel by parcel within a number of hectares, not by number "
                "of sites; set budget_ha, and for several sizes or futures ask once for each (proche sites --set)"
            )
            raise ValueError(msg)
        return given


class JointBudget(Strict):
    """One sum for several kinds: how many of each are built follows from it, in place of their own `count`."""

    amount: NonNegative | None = None
    """[€ or any unit] What all new sites may cost. Default: every kind has its own `count`."""
    cost: dict[Literal["chargers", "sorting", "trees"], Positive] = {}
    """[€ or the same unit] Of a site of each kind; a kind that is not named is not part of it."""
    weight: dict[Literal["chargers", "sorting", "trees"], NonNegative] = {}
    """What a unit of each kind's objective counts beside the others'. Default 1."""

    @model_validator(mode="before")
    @classmethod
    def _not_by_the_hectare(cls, given: Any) -> Any:
        tables = [given.get(key) for key in ("cost", "weight")] if isinstance(given, dict) else []
        if any(isinstance(table, dict) and "green" in table for table in tables):
            msg = (
                "green: ground is bought by the hectare and not site by site, so it has no part in the sum; take its "
                "money off amount and set sites.green.budget_ha"
            )
            raise ValueError(msg)
        return given

    @model_validator(mode="after")
    def _complete(self) -> JointBudget:
        if self.amount is not None and not self.cost:
            msg = "amount needs cost: what one site of each kind costs, for example { chargers = 30000, trees = 3000 }"
            raise ValueError(msg)
        return self


class Sites(Strict):
    """Candidate sites."""

    chargers: Chargers = Chargers()
    sorting: SortingSites = SortingSites()
    trees: Trees = Trees()
    green: GreenSites = GreenSites()
    budget: JointBudget = JointBudget()
