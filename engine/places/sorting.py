"""Sorting points: which waste streams a point takes, and containers grouped into stations."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from engine.errors import SchemaError

_OSM_STREAM = {
    "glass": "glass",
    "glass_bottles": "glass",
    "paper": "paper",
    "newspaper": "paper",
    "magazines": "paper",
    "books": "paper",
    "cardboard": "cardboard",
    "cartons": "packaging",
    "beverage_cartons": "packaging",
    "beverage_carton": "packaging",
    "packaging": "packaging",
    "paper_packaging": "cardboard",
    "plastic": "plastic",
    "plastic_bottles": "plastic",
    "plastic_packaging": "plastic",
    "pet": "plastic",
    "cans": "metal",
    "scrap_metal": "metal",
    "metal": "metal",
    "aluminium": "metal",
    "organic": "organic",
    "green_waste": "organic",
    "garden_waste": "organic",
    "food_waste": "organic",
    "clothes": "clothes",
    "shoes": "clothes",
}
"""Stream of each ``recycling:*`` key, https://wiki.openstreetmap.org/wiki/Key:recycling:* ."""

TRILIB_STREAMS = {
    "Glass": ("glass",),
    "Verre": ("glass",),
    "Can / Plastic": ("metal", "plastic", "packaging"),
    "CB": ("cardboard", "paper"),
    "Carton": ("cardboard",),
    "Papier": ("paper",),
    "Textile": ("clothes",),
}
"""Streams of each ``wastetype_designation`` of the TRILIB export.

CB is the blue module, paper and cardboard packaging: its 41 containers are numbered P (*papier*) and every station
has one. Can / Plastic is the yellow one: plastic bottles, metal packaging, drink cartons (operator's instructions).
"""


def osm_streams(tags: Mapping[str, str]) -> tuple[str, ...]:
    """
    Waste streams that an ``amenity=recycling`` object takes.

    Parameters
    ----------
    tags
        Tags of the object; ``recycling:glass=yes`` and the like. Streams that are not mapped are not guessed.

    Returns
    -------
    tuple of str
        Sorted, without repetition.

    Examples
    --------
    >>> osm_streams({"amenity": "recycling", "recycling:glass_bottles": "yes", "recycling:paper": "no"})
    ('glass',)
    """
    found = {
        _OSM_STREAM[key.removeprefix("recycling:")]
        for key, value in tags.items()
        if key.startswith("recycling:") and value == "yes" and key.removeprefix("recycling:") in _OSM_STREAM
    }
    return tuple(sorted(found))


def stream_words(text: str, *, streams: Mapping[str, tuple[str, ...]] = TRILIB_STREAMS) -> tuple[str, ...]:
    """
    Waste streams that a list of words from a file names (``Glass;Can / Plastic``).

    Parameters
    ----------
    text
        Words separated by ``;``: our own streams or those of `streams`; others are kept as they are, lower case.
    streams
        Streams of each word.

    Returns
    -------
    tuple of str
        Sorted, without repetition.

    Examples
    --------
    >>> stream_words("Glass;CB;glass")
    ('cardboard', 'glass', 'paper')
    """
    found: set[str] = set()
    for word in (part.strip() for part in text.split(";")):
        if word:
            found.update(streams.get(word, (word.lower(),)))
    return tuple(sorted(found))


def group_containers(
    containers: gpd.GeoDataFrame,
    *,
    station: str,
    stream: str,
    volume: str | None = None,
    streams: Mapping[str, tuple[str, ...]] = TRILIB_STREAMS,
) -> gpd.GeoDataFrame:
    """
    Group containers into stations, each with the streams that it takes.

    Parameters
    ----------
    containers
        One row a container, points.
    station
        Column that names the station of each container.
    stream
        Column that names what the container takes.
    volume
        Column with the container's volume, summed into ``capacity``; None leaves the capacity unknown.
    streams
        Streams of each name in the column `stream`.

    Returns
    -------
    geopandas.GeoDataFrame
        ``id`` (the station), ``name``, ``capacity``, ``streams`` (``glass;paper``), ``containers`` (their
        number), ``geometry`` (mean of the containers' points), sorted by ``id``; the CRS of the input.

    Raises
    ------
    SchemaError
        If a column is missing, a station has no name, or a stream is not in `streams`.

    Examples
    --------
    >>> rows = gpd.GeoDataFrame({"at": ["A", "A"], "takes": ["Glass", "CB"]},
    ...                         geometry=gpd.points_from_xy([2.0, 2.0], [48.0, 48.0]), crs="EPSG:4326")
    >>> group_containers(rows, station="at", stream="takes")["streams"].tolist()
    ['cardboard;glass;paper']
    """
    for column in filter(None, (station, stream, volume)):
        if column not in containers.columns:
            msg = f"containers lack the column {column!r}; found {list(containers.columns)}"
            raise SchemaError(msg)
    unknown = sorted({str(v) for v in containers[stream] if v not in streams})
    if unknown or containers[station].isna().any():
        msg = (
            f"containers name the unknown streams {unknown} (known: {sorted(streams)}) or lack a station name"
        )
        raise SchemaError(msg)
    key = containers[station].astype(str)
    rows = []
    for name, group in containers.groupby(key, sort=True):
        xy = shapely.get_coordinates(group.geometry.to_numpy())
        taken = sorted({s for value in group[stream] for s in streams[value]})
        total = float(pd.to_numeric(group[volume], errors="coerce").sum()) if volume else np.nan
        rows.append((name, name, total, ";".join(taken), len(group), shapely.Point(xy.mean(axis=0))))
    columns = ["id", "name", "capacity", "streams", "containers", "geometry"]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), geometry="geometry", crs=containers.crs)
