"""The run's own streets as the base of the map: drawn offline, main streets first."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from ui.layers.frame import Frame
from ui.layers.packing import pack

# From the widest drawn to the narrowest; link roads go with their class (key `highway` of OpenStreetMap).
_CLASSES: tuple[frozenset[str], ...] = (
    frozenset({"motorway", "trunk", "primary"}),
    frozenset({"secondary", "tertiary"}),
    frozenset({"unclassified", "residential", "living_street", "pedestrian", "road", "busway"}),
)
NARROWEST = len(_CLASSES)
"""Class of service roads, foot ways, paths, steps and whatever else is drawn thin."""
UNKNOWN = 2
"""Class of a street whose table has no `highway`: drawn like a residential street."""


def street_class(highway: pd.Series) -> npt.NDArray[np.uint8]:
    """
    Width class of streets by their OpenStreetMap `highway`: 0 main … `NARROWEST` paths.

    A missing value counts as `UNKNOWN`.
    """
    base = highway.astype("string").str.removesuffix("_link")
    rank = np.full(len(highway), NARROWEST, np.uint8)
    for number, names in enumerate(_CLASSES):
        rank[base.isin(names).to_numpy(bool)] = number
    rank[base.isna().to_numpy(bool)] = UNKNOWN
    return rank


def one_direction(edges: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Each street once: rows of the other direction are left out.

    They are told by the column ``street`` where there is one, else by the same ends, way and length.
    """
    if "street" in edges.columns:
        return edges[~edges["street"].duplicated().to_numpy()]
    ends = np.sort(edges[["from_node", "to_node"]].to_numpy(np.int64), axis=1)
    keys = pd.DataFrame({"a": ends[:, 0], "b": ends[:, 1], "length": edges["length_m"].round(2).to_numpy()})
    if "osm_way" in edges.columns:
        keys["way"] = edges["osm_way"].to_numpy()
    return edges[~keys.duplicated().to_numpy()]


def pack_streets(edges: gpd.GeoDataFrame, *, frame: Frame) -> bytes:
    """
    Pack streets as lines in 16-bit steps, sorted by width class.

    Parameters
    ----------
    edges
        ``from_node``, ``to_node``, ``length_m``, ``geometry`` (EPSG:4326), ``highway`` where known.
    frame
        The square that coordinates are counted in.

    Returns
    -------
    bytes
        Arrays ``points`` (x, y, x, y, …), ``sizes`` (points of each line), ``classes`` (class of each).
    """
    streets = one_direction(edges)
    if "area_crossing" in streets.columns:  # ways across plazas are for routing, nobody paints them
        streets = streets[~streets["area_crossing"].fillna(value=False).to_numpy(bool)]
    rank = (
        street_class(streets["highway"])
        if "highway" in streets.columns
        else np.full(len(streets), UNKNOWN, np.uint8)
    )
    order = np.argsort(rank, kind="stable")
    lines = streets.geometry.to_numpy()[order]
    coords = shapely.get_coordinates(lines)
    return pack(
        {"kind": "streets", "count": len(lines), "frame": frame.as_json()},
        {
            "points": frame.quantise(coords[:, 0], coords[:, 1]).reshape(-1),
            "sizes": shapely.get_num_coordinates(lines).astype("u4"),
            "classes": rank[order],
        },
    )
