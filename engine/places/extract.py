"""From mapped features and open-data files to places: filtered, merged, each with its sources."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from engine.errors import CRSError, SchemaError
from engine.places.category import Category
from engine.places.duplicate import same_place
from engine.places.green import merge_parks
from engine.places.school import level_words, school_levels
from engine.places.sorting import osm_streams, stream_words
from engine.places.standing import former_use, why_out
from engine.projection import WGS84, local_equal_area

PLACE_COLUMNS = ("id", "category", "name", "capacity", "kind", "levels", "streams", "sources", "geometry")
"""Columns of every table of places; green space adds ``area_ha``, categories add the tags that they keep."""

NO_CAPACITY = "capacity of 0"
"""Reason why a place whose source says that it takes nobody is left out."""
_ID_ORDER = {"node": 0, "way": 1, "relation": 2}
_WALL_DEG = 1e-6
"""[deg] A door this near to an outline is in it (0.1 m): it is a node of the way."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True, eq=False)
class Places:
    """
    The places of a city and what was left out.

    Attributes
    ----------
    table
        One row a place and category, in the order of the categories: ``id`` (``node/123``), ``category``,
        ``name``, ``capacity`` (NaN where unknown), ``kind`` (``shop=bakery``), ``levels`` and ``streams``
        (``a;b``), ``sources`` (``node/1;way/2;file:7``), ``area_ha`` (green only), geometry (points; polygons
        for green), EPSG:4326.
    dropped
        One row an object that is not a place: ``id``, ``category``, ``reason``.
    """

    table: gpd.GeoDataFrame
    dropped: pd.DataFrame

    def of(self, category: str) -> gpd.GeoDataFrame:
        """Places of one category, numbered from 0."""
        return self.table[self.table["category"] == category].reset_index(drop=True)

    def dropped_counts(self) -> dict[str, dict[str, int]]:
        """Number of objects left out, by category and reason."""
        counts: dict[str, dict[str, int]] = {}
        pairs = zip(self.dropped["category"], self.dropped["reason"], strict=True)
        for category, reason in sorted(pairs):
            of = counts.setdefault(str(category), {})
            of[str(reason)] = of.get(str(reason), 0) + 1
        return counts


def find_places(
    features: gpd.GeoDataFrame,
    categories: Mapping[str, Category],
    *,
    extra: Mapping[str, gpd.GeoDataFrame] | None = None,
) -> Places:
    """
    Find the places of each category among mapped features and in files.

    An object may belong to several categories; within one, duplicates count once (see
    `engine.places.duplicate.same_place`), and touching green polygons are merged before the size test.

    Parameters
    ----------
    features
        OpenStreetMap features: ``id`` (``way/2``), ``tags`` (dict), geometry; EPSG:4326.
    categories
        The categories wanted.
    extra
        Places of a category from files: geometry and, where known, ``id``, ``name``, ``capacity``,
        ``streams``, ``levels``, ``kind``. Their ids become ``file:<id>``. Any CRS.

    Returns
    -------
    Places

    Raises
    ------
    SchemaError
        If a column is missing, or `extra` names a category that does not exist.
    CRSError
        If a table has no CRS, or the features are not in EPSG:4326.
    """
    _check_features(features)
    given = dict(extra or {})
    unknown = sorted(set(given) - set(categories))
    if unknown:
        msg = f"files are given for the categories {unknown}; expected some of {sorted(categories)}"
        raise SchemaError(msg)
    rows, dropped = _candidates(features, categories)
    tables, doors = [], _doors(features)
    for name, category in categories.items():
        mapped = _table(rows[name], category)
        filed, unfit = _from_file(given[name], category) if name in given else (mapped.iloc[:0], [])
        dropped.extend((i, name, reason) for i, reason in unfit)
        both = pd.concat([t for t in (mapped, filed) if len(t)], ignore_index=True) if len(filed) else mapped
        kept, lost = _merge(both, category, doors)
        tables.append(kept)
        dropped.extend((i, name, reason) for i, reason in lost)
    return Places(_stack(tables), pd.DataFrame(dropped, columns=["id", "category", "reason"]))


def _check_features(features: gpd.GeoDataFrame) -> None:
    missing = [c for c in ("id", "tags") if c not in features.columns]
    if missing:
        msg = f"features lack the columns {missing}; found {list(features.columns)}"
        raise SchemaError(msg)
    if features.crs is None or not features.crs.equals(WGS84):
        msg = f"features are in {features.crs}; expected {WGS84} (longitude, latitude)"
        raise CRSError(msg)


def _candidates(
    features: gpd.GeoDataFrame, categories: Mapping[str, Category]
) -> tuple[dict[str, list[dict[str, Any]]], list[tuple[str, str, str]]]:
    """Rows of each category, and what was left out: (id, category, reason)."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in categories}
    dropped: list[tuple[str, str, str]] = []
    by_key: dict[str, list[Category]] = {}
    for category in categories.values():
        for key in category.osm:
            by_key.setdefault(key, []).append(category)
            by_key.setdefault(f"disused:{key}", []).append(category)
    for i, tags, shape in zip(features["id"], features["tags"], features.geometry, strict=True):
        met = {c.name: c for key in tags.keys() & by_key.keys() for c in by_key[key]}
        for name in sorted(met):
            category = met[name]
            if not category.matches(tags):
                if former_use(tags, category):
                    dropped.append((i, name, "disused"))
                continue
            reason = why_out(tags, category) or _misfit(shape, tags, category)
            if reason:
                dropped.append((i, name, reason))
            else:
                rows[name].append(_row(i, tags, shape, category))
    return rows, dropped


def _misfit(shape: Any, tags: Mapping[str, str], category: Category) -> str:
    """Say why an object's geometry or attributes do not serve the category; empty if they do."""
    if shape is None or shape.is_empty:
        return "no geometry"
    dimension = shapely.get_dimensions(shape)
    if dimension == 1:
        return "a line, not a place"
    if category.geometry == "green" and dimension != 2:
        return "no outline mapped"
    if category.levels and not set(category.levels) & set(school_levels(tags)):
        return "other school level"
    return ""


def _row(i: str, tags: Mapping[str, str], shape: Any, category: Category) -> dict[str, Any]:
    return {
        "id": i,
        "category": category.name,
        "name": tags.get("name", ""),
        "capacity": parse_capacity(tags.get("capacity", tags.get("capacity:persons"))),
        "kind": category.kind(tags),
        "levels": ";".join(school_levels(tags)) if tags.get("amenity") in ("school", "kindergarten") else "",
        "streams": ";".join(osm_streams(tags)),
        "sources": i,
        **{key: tags.get(key, "") for key in category.keep},
        "geometry": shape,
    }


def parse_capacity(value: object) -> float:
    """
    Read a capacity; NaN where there is no number.

    Examples
    --------
    >>> parse_capacity("120"), parse_capacity("ca. 40 pupils"), parse_capacity("yes")
    (120.0, 40.0, nan)
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) and value >= 0 else math.nan
    found = _NUMBER.search(value) if isinstance(value, str) else None
    return float(found[0].replace(",", ".")) if found else math.nan


def _table(rows: list[dict[str, Any]], category: Category) -> gpd.GeoDataFrame:
    columns = [*PLACE_COLUMNS[:-1], *category.keep, "geometry"]
    table = pd.DataFrame(rows, columns=columns)
    order = sorted(range(len(rows)), key=lambda k: id_key(rows[k]["id"]))
    return gpd.GeoDataFrame(table.iloc[order].reset_index(drop=True), geometry="geometry", crs=WGS84)


def id_key(i: str) -> tuple[int, int, str]:
    """Sort key of an id: nodes, ways, relations by number, then files by text."""
    kind, _, number = i.partition("/")
    if kind in _ID_ORDER and number.lstrip("-").isdigit():
        return _ID_ORDER[kind], int(number), ""
    return len(_ID_ORDER), 0, i


def _from_file(table: gpd.GeoDataFrame, category: Category) -> tuple[gpd.GeoDataFrame, list[tuple[str, str]]]:
    """Bring a file's places into the columns of places; and what does not fit the category: (id, reason)."""
    if table.crs is None:
        msg = f"the file of category {category.name} has no CRS; expected one in the file"
        raise CRSError(msg)
    n = len(table)
    ids = (
        table["id"].astype(str)
        if "id" in table.columns
        else pd.Series(range(n), index=table.index).astype(str)
    )
    out: dict[str, Any] = {
        "id": [f"file:{i.removeprefix('file:')}" for i in ids],
        "category": [category.name] * n,
        "capacity": [parse_capacity(x) for x in table.get("capacity", [None] * n)],
        "sources": [f"file:{i.removeprefix('file:')}" for i in ids],
    }
    for column in ("name", "kind", "levels", "streams", *category.keep):
        values = table[column] if column in table.columns else [""] * n
        out[column] = [v if isinstance(v, str) else "" for v in values]
    out["streams"] = [";".join(stream_words(v)) for v in out["streams"]]
    out["levels"] = [";".join(level_words(v)) for v in out["levels"]]
    frame = gpd.GeoDataFrame(pd.DataFrame(out), geometry=table.geometry.to_crs(WGS84).to_numpy(), crs=WGS84)
    why = np.array(
        [_unfit(g, v, category) for g, v in zip(frame.geometry, frame["levels"], strict=True)], dtype=object
    )
    columns = [*PLACE_COLUMNS[:-1], *category.keep, "geometry"]
    unfit = list(zip(frame.loc[why != "", "id"], why[why != ""], strict=True))
    return frame.loc[why == "", columns].reset_index(drop=True), unfit


def _unfit(shape: Any, levels: str, category: Category) -> str:
    """Say why a row of a file is no place of the category; empty if it is one."""
    if shape is None or shape.is_empty:
        return "no geometry"
    if category.geometry == "green" and shapely.get_dimensions(shape) != 2:
        return "no outline mapped"
    if category.levels and not set(category.levels) & set(levels.split(";")):
        return "other school level"
    return ""


def _doors(features: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Mapped doors: points, and whether they are main entrances."""
    kind = np.array([t.get("entrance", "no") for t in features["tags"]], dtype=object)
    use = np.isin(kind, ["main", "yes", "shop", "public"]) & (shapely.get_dimensions(features.geometry) == 0)
    return features.loc[use].assign(main=kind[use] == "main")


def _merge(
    table: gpd.GeoDataFrame, category: Category, doors: gpd.GeoDataFrame
) -> tuple[gpd.GeoDataFrame, list[tuple[str, str]]]:
    """Merge what is one place; return the places and what was left out: (id, reason)."""
    if category.geometry == "green":
        return merge_parks(table, min_area_ha=category.min_area_ha)
    if table.empty:
        return table, []
    metres = table.geometry.to_crs(local_equal_area(table)).to_numpy()
    group = same_place(
        table["name"], table["kind"], metres, radius_m=category.dedup_radius_m, merge=category.merge
    )
    first = pd.Series(group).drop_duplicates().index.to_numpy()
    merged = table.iloc[first].reset_index(drop=True)
    for column, values in _joined(table, group).items():
        merged[column] = values
    merged["geometry"] = gpd.GeoSeries(_points(merged.geometry.to_numpy(), doors), crs=WGS84)
    lost = [(i, "duplicate") for i in table["id"].drop(index=first)]
    why = np.array(
        [_lacks(merged["capacity"][k], merged["streams"][k], category) for k in merged.index], dtype=object
    )
    lost += list(zip(merged.loc[why != "", "id"], why[why != ""], strict=True))
    return merged[why == ""].reset_index(drop=True), lost


def _lacks(capacity: float, streams: str, category: Category) -> str:
    """Say what keeps a place from serving anybody: a capacity stated as 0, a waste stream; empty if nothing does."""
    if capacity == 0:
        return NO_CAPACITY
    return "" if set(category.streams) <= set(streams.split(";")) else "stream missing"


def _joined(table: gpd.GeoDataFrame, group: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, list[Any]]:
    """Attributes of each group: the first name, the largest capacity, all streams, levels and sources."""
    n = int(group.max()) + 1
    names, capacity = [""] * n, [math.nan] * n
    words: dict[str, list[set[str]]] = {c: [set() for _ in range(n)] for c in ("levels", "streams")}
    sources: list[list[str]] = [[] for _ in range(n)]
    columns = (table[c] for c in ("name", "capacity", "sources", "levels", "streams"))
    for g, name, seats, source, levels, streams in zip(group, *columns, strict=True):
        names[g] = names[g] or name
        capacity[g] = np.fmax(capacity[g], seats)
        sources[g].append(source)
        words["levels"][g].update(filter(None, levels.split(";")))
        words["streams"][g].update(filter(None, streams.split(";")))
    joined = {c: [";".join(sorted(found)) for found in sets] for c, sets in words.items()}
    return {"name": names, "capacity": capacity, "sources": [";".join(x) for x in sources], **joined}


def _points(geometry: Any, doors: gpd.GeoDataFrame) -> np.ndarray[Any, np.dtype[Any]]:
    """A point of each place: itself; of an outline its main or only mapped door, else a point inside."""
    points = np.where(shapely.get_type_id(geometry) == 0, geometry, shapely.point_on_surface(geometry))
    outline = np.flatnonzero(shapely.get_dimensions(geometry) == 2)
    walls, door = shapely.boundary(geometry[outline]), doors.geometry.to_numpy()
    place, at = shapely.STRtree(door).query(walls, predicate="dwithin", distance=_WALL_DEG)
    for k in np.unique(place):
        found = np.sort(at[place == k])
        main = found[doors["main"].to_numpy()[found]]
        if len(main) or len(found) == 1:
            points[outline[k]] = door[(main if len(main) else found)[0]]
    return np.asarray(points)


def _stack(tables: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    keep = list(dict.fromkeys(c for t in tables for c in t.columns if c not in PLACE_COLUMNS))
    columns = [*PLACE_COLUMNS[:-1], *keep, "geometry"]
    filled = []
    for table in tables:
        whole = table.reindex(columns=columns)
        for column in keep:
            if column != "area_ha":
                whole[column] = whole[column].astype(object).where(whole[column].notna(), "").astype(str)
            else:
                whole[column] = whole[column].astype(float)
        filled.append(whole)
    full = [t for t in filled if len(t)] or filled[:1]
    frame = pd.concat(full, ignore_index=True)
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=WGS84)
