"""What one pass over an OpenStreetMap file leaves in memory: plain tables, no file handle."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    import geopandas as gpd


@dataclass(frozen=True)
class ExtractInfo:
    """Where an extract comes from and what was met on the way: recorded in the manifest."""

    source: str
    timestamp: str | None
    """Time of the newest data by the file's header, ISO 8601; None where the header has none."""
    bbox: tuple[float, float, float, float]
    """[deg] West, south, east, north: the header's box, else a box that streets fill."""
    counts: dict[str, int] = field(default_factory=dict)
    """Objects read: ``nodes``, ``ways``, ``relations``, ``highway_ways``, ``features`` …"""
    repairs: dict[str, int] = field(default_factory=dict)
    """What was repaired or left out, by reason: ``missing_nodes``, ``duplicate_refs`` …"""
    road_ends: list[tuple[float, float]] = field(default_factory=list)
    """[deg] Longitude and latitude of each end of a main road at which nothing goes on: the data may end there."""


class Features(NamedTuple):
    """Points, lines and polygons of an extract: columns of ``OsmExtract.features``."""

    id: list[str]
    tags: list[dict[str, str]]
    edited: npt.NDArray[np.int32]
    geometry: npt.NDArray[np.object_]

    @classmethod
    def none(cls) -> Features:
        """No features."""
        return cls([], [], np.empty(0, dtype=np.int32), np.empty(0, dtype=object))


@dataclass(frozen=True, eq=False)
class OsmExtract:
    """
    The routable ways and the features of one OpenStreetMap extract.

    Attributes
    ----------
    node_id, lon, lat
        Nodes of the routable ways, sorted by id, shape (nodes,); degrees, EPSG:4326.
    node_tags
        Tags of the nodes that matter to routing (barriers, crossings, signals …), indexed by ``node_id``.
    ways
        One row a routable way: ``way_id``, ``area_of`` (relation of which the way is a ring, else 0) and a
        categorical text column, all missing where no way has it, for each tag that some rule reads
        (``engine.network.tags``). A way that the extract lacks nodes of is cut there into rows with the same
        ``way_id``.
    way_offsets, way_refs
        Nodes of way ``i`` are ``way_refs[way_offsets[i]:way_offsets[i + 1]]``, positions into ``node_id``.
    restrictions
        Turn restrictions: ``relation_id``, ``restriction``, ``from_way``, ``via_node``, ``via_ways`` (tuple),
        ``to_way``, ``except``; a restriction has a via node (else 0) or via ways (else none).
    info
        Source, time, box and counts.
    feature_columns
        The features, as columns.
    memberships
        Ways that belong to relations: ``relation_id``, ``way_id``.
    """

    node_id: npt.NDArray[np.int64]
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    node_tags: pd.DataFrame
    ways: pd.DataFrame
    way_offsets: npt.NDArray[np.int64]
    way_refs: npt.NDArray[np.int64]
    restrictions: pd.DataFrame
    info: ExtractInfo
    feature_columns: Features = field(default_factory=Features.none)
    memberships: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"relation_id": [], "way_id": []}, dtype="int64")
    )

    @cached_property
    def features(self) -> gpd.GeoDataFrame:
        """
        One row a feature.

        ``id`` (``node/1``, ``way/2``, ``relation/3``), ``tags`` (dict), ``edited`` (day of the last edit, counted from
        1970-01-01, 0 where the file does not say), ``geometry`` (points, lines and polygons, EPSG:4326).
        """
        import geopandas as gpd  # 20 MB that networks do not need

        ids, tags, edited, shapes = self.feature_columns
        column = np.empty(len(tags), dtype=object)
        column[:] = tags
        return gpd.GeoDataFrame(
            {"id": pd.array(ids, dtype="str"), "tags": column, "edited": edited},
            geometry=gpd.array.GeometryArray(shapes),
            crs="EPSG:4326",
        )
