"""What siting rests on: sites that exist, what to keep away from, and whom to serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from engine.places.sorting import osm_streams, stream_words
from engine.projection import local_equal_area
from engine.sites.candidates import Obstacles
from engine.sites.objective import equity_weight
from pipelines.errors import ConfigError
from pipelines.steps.area import StudyArea
from pipelines.steps.opportunities import OpportunityTables
from pipelines.store import Artifact

FloatArray = npt.NDArray[np.float64]
Tags = dict[str, str]
SAME_M = 5.0
"""[m] A site of a file this near to one that is known already is the same."""
_OPEN_WATER = ("river", "canal", "riverbank", "dock")
_NATURE = ("park", "garden", "nature_reserve", "playground", "pitch")
_WOODS = ("forest", "grass", "recreation_ground", "village_green", "cemetery", "allotments", "meadow")


def _is_building(tags: Tags) -> bool:
    below = tags.get("location") == "underground" or tags.get("layer", "0").startswith("-")
    return tags.get("building", "no") != "no" and not below


def _is_green(tags: Tags) -> bool:
    return tags.get("leisure") in _NATURE or tags.get("natural") == "wood" or tags.get("landuse") in _WOODS


def _is_track(tags: Tags) -> bool:
    return tags.get("railway") == "rail" and tags.get("tunnel", "no") == "no"


def _is_water(tags: Tags) -> bool:
    return tags.get("natural") == "water" or (
        tags.get("waterway") in _OPEN_WATER and tags.get("tunnel", "no") == "no"
    )


_BARRIERS = frozenset(
    {"wall", "retaining_wall", "city_wall", "fence", "hedge", "guard_rail", "handrail", "bollard", "block", "gate",
     "lift_gate", "swing_gate"}
)  # fmt: skip
"""What cannot be built on; kerbs are barriers of OpenStreetMap too, and every site stands at one."""

_EXISTING: dict[str, Callable[[Tags], bool]] = {
    "chargers": lambda t: t.get("amenity") == "charging_station",
    "sorting": lambda t: t.get("amenity") == "recycling",
    "trees": lambda t: t.get("natural") == "tree",
}
_OBSTACLES: dict[str, Callable[[Tags], bool]] = {
    "water": _is_water,
    "railway": _is_track,
    "green": _is_green,
    "building": _is_building,
    "crossing": lambda t: t.get("highway") == "crossing",
    "bus_stop": lambda t: t.get("highway") == "bus_stop",
    "tree": lambda t: t.get("natural") in ("tree", "tree_row"),
    "door": lambda t: t.get("entrance", "no") != "no",
    "barrier": lambda t: t.get("barrier") in _BARRIERS,
}


def existing_sites(
    kind: str, features: gpd.GeoDataFrame, places: OpportunityTables, filed: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:
    """
    Sites of a kind that exist: of OpenStreetMap and, where it is given, of a file.

    Sorting points are those that the run itself counts as such, where it has the category ``sorting``.

    Returns
    -------
    geopandas.GeoDataFrame
        ``name``, ``capacity`` (NaN where unknown), ``streams`` (joined by ``;``); points, EPSG:4326.
    """
    if kind == "sorting" and "sorting" in places.categories:
        mapped = places.places[places.places["category"] == "sorting"]
        known = _site_points(mapped, mapped["name"], mapped["capacity"], mapped["streams"].fillna(""))
    else:
        hits = np.array([_EXISTING[kind](t) for t in features["tags"]], bool)
        mapped = features[hits]
        tags = mapped["tags"].tolist()
        streams = [";".join(osm_streams(t)) if kind == "sorting" else "" for t in tags]
        capacity = pd.to_numeric(pd.Series([t.get("capacity") for t in tags], dtype=object), errors="coerce")
        known = _site_points(mapped, [t.get("name", "") for t in tags], capacity, streams)
    if filed is None or not len(filed):
        return known
    given = _site_points(
        filed,
        filed["name"],
        filed["capacity"],
        [";".join(stream_words(str(v))) if pd.notna(v) else "" for v in filed["streams"]]
        if "streams" in filed
        else [""] * len(filed),
    )
    return gpd.GeoDataFrame(
        pd.concat([known, given[~_near(given, known)]], ignore_index=True), geometry="geometry", crs=known.crs
    )


def obstacles(features: gpd.GeoDataFrame, stations: Sequence[gpd.GeoDataFrame]) -> Obstacles:
    """Geometries to keep away from, by kind; `stations` are existing or proposed sites of other kinds."""
    tags = features["tags"].tolist()
    found: dict[str, Any] = {
        name: features.geometry.to_numpy()[np.array([test(t) for t in tags], bool)]
        for name, test in _OBSTACLES.items()
    }
    walls = found["barrier"]  # of one that encloses ground its line counts, not the ground
    found["barrier"] = np.where(shapely.get_dimensions(walls) == 2, shapely.boundary(walls), walls)
    parts = [np.asarray(table.geometry.to_numpy(), dtype=object) for table in stations]
    found["station"] = np.concatenate(parts) if parts else np.empty(0, dtype=object)
    return found


@dataclass(frozen=True, eq=False)
class People:
    """
    Who is to be served.

    Attributes
    ----------
    table
        ``population.parquet``; None where no population is given: every cell with streets counts as one.
    income
        Column of the table with the mean income; None where there is none.
    cells
        Number of cells.
    """

    table: pd.DataFrame | None
    income: str | None
    cells: int

    @classmethod
    def load(cls, population: Artifact | None, income: str | None, area: StudyArea) -> People:
        """Read what the population step published."""
        table = None if population is None else pd.read_parquet(population.file("population.parquet"))
        return cls(table, income, len(area.cells))

    def demand(self, column: str, has_network: npt.NDArray[np.bool_], *, key: str) -> tuple[FloatArray, str]:
        """
        Demand of each cell and its unit.

        Raises
        ------
        ConfigError
            The population has no such column.
        """
        if self.table is None:
            if column != "population":
                msg = f"{key} is {column!r}, but the run has no population: give [population] with {column!r} in keep"
                raise ConfigError(msg)
            return has_network.astype(np.float64), "cells"
        if column not in self.table or not pd.api.types.is_numeric_dtype(self.table[column]):
            known = [c for c in self.table.columns if pd.api.types.is_numeric_dtype(self.table[c])]
            msg = f"{key} is {column!r}, and the population has {', '.join(known)}: add it to population.keep"
            raise ConfigError(msg)
        unit = "residents" if column == "population" else column
        return self.table[column].fillna(0.0).to_numpy(np.float64), unit

    def need(self, aversion: float, *, key: str) -> FloatArray | None:
        """
        What a person of each cell counts; None where all count alike.

        Raises
        ------
        ConfigError
            Incomes are needed and not known.
        """
        if aversion == 0:
            return None
        if self.table is None or self.income is None or self.income not in self.table:
            msg = f"{key} is {aversion}, but the run has no incomes: give population.income_column"
            raise ConfigError(msg)
        income = self.table[self.income].to_numpy(np.float64)
        return equity_weight(
            np.where(income > 0, income, np.nan), self.table["population"].to_numpy(), aversion=aversion
        )


def fleet_demand(fleets: gpd.GeoDataFrame, area: StudyArea) -> FloatArray:
    """Vehicles of each cell: those of the depots inside it, one where a depot says no number."""
    vehicles = fleets["capacity"].astype(np.float64).fillna(1.0).to_numpy()
    xy = shapely.get_coordinates(shapely.point_on_surface(fleets.geometry.to_numpy()))
    resolution = int(h3.get_resolution(int(area.cells[0])))
    cell = np.array([h3.latlng_to_cell(lat, lon, resolution) for lon, lat in xy], np.uint64)
    row = np.clip(np.searchsorted(area.cells, cell), 0, len(area.cells) - 1)
    inside = area.cells[row] == cell
    return np.bincount(row[inside], weights=vehicles[inside], minlength=len(area.cells)).astype(np.float64)


def ground_parcels(
    features: gpd.GeoDataFrame, file: Path | None, area: StudyArea, kinds: Sequence[str]
) -> gpd.GeoDataFrame:
    """
    Ground in the area that could become green space, of OpenStreetMap and of a file.

    Returns
    -------
    geopandas.GeoDataFrame
        ``kind`` (of `kinds`), ``name``; polygons, EPSG:4326.
    """
    tests: dict[str, Callable[[Tags], bool]] = {
        "parcel": lambda t: "landuse" in t and t["landuse"] in ("brownfield", "greenfield", "construction"),
        "schoolyard": lambda t: t.get("amenity") == "school" and "building" not in t,
        "roof": _is_building,
        "car_park": lambda t: t.get("amenity") == "parking" and t.get("parking", "surface") == "surface",
    }
    parts = []
    for kind in kinds:
        hits = np.array([tests[kind](t) for t in features["tags"]], bool)
        found = features[hits & features.geometry.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy()]
        names = [t.get("name", "") for t in found["tags"]]
        parts.append(
            gpd.GeoDataFrame({"kind": kind, "name": names}, geometry=found.geometry.to_numpy(), crs=4326)
        )
    if file is not None:
        given = gpd.read_file(file)
        if given.crs is None:
            msg = f"{file} says no reference system; assign it and try again"
            raise ConfigError(msg)
        given = given.to_crs(4326)
        kind_of = given["kind"].astype(str) if "kind" in given else pd.Series(["parcel"] * len(given))
        named = given["name"].astype(object) if "name" in given else pd.Series([""] * len(given))
        parts.append(
            gpd.GeoDataFrame(
                {"kind": kind_of.to_numpy(), "name": named.to_numpy()},
                geometry=given.geometry.to_numpy(),
                crs=4326,
            )
        )
    empty = gpd.GeoDataFrame({"kind": [], "name": []}, geometry=[], crs=4326)
    table = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=4326) if parts else empty
    inside = shapely.intersects(area.boundary, shapely.centroid(table.geometry.to_numpy()))
    return table[inside].reset_index(drop=True)


def walked_places(tables: OpportunityTables) -> str:
    """Hash of the places as a walker meets them: the same whatever the other modes make of them."""
    places = tables.places[["id", "category", "name", "capacity", "streams"]].assign(
        shape=tables.places.geometry.to_wkb()
    )
    access = tables.access[["place", *(c for c in tables.access.columns if c.startswith("walk_"))]]
    rows = [pd.util.hash_pandas_object(pd.DataFrame(t), index=False).to_numpy() for t in (places, access)]
    return sha256(np.concatenate(rows).tobytes()).hexdigest()


def _site_points(table: gpd.GeoDataFrame, names: Any, capacity: Any, streams: Any) -> gpd.GeoDataFrame:
    points = shapely.point_on_surface(table.geometry.to_numpy())
    named = ["" if pd.isna(n) else str(n) for n in names]
    return gpd.GeoDataFrame(
        {"name": named, "capacity": np.asarray(capacity, np.float64), "streams": np.asarray(streams, object)},
        geometry=points,
        crs="EPSG:4326",
    )


def _near(table: gpd.GeoDataFrame, others: gpd.GeoDataFrame) -> npt.NDArray[np.bool_]:
    """Points of `table` within `SAME_M` of another table's."""
    if not len(others) or not len(table):
        return np.zeros(len(table), bool)
    plane = local_equal_area(others)
    here, there = (shapely.get_coordinates(t.to_crs(plane).geometry.to_numpy()) for t in (table, others))
    distance = cKDTree(there).query(here, distance_upper_bound=SAME_M)[0]
    return np.asarray(np.isfinite(distance), bool)
