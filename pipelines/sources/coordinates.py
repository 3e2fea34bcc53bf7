"""Where the rows of a table lie: two columns, one column of pairs, WKT or GeoJSON text, in either order."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import Transformer
from pyproj.exceptions import CRSError

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.delimited import column_named, texts

Bounds = tuple[float, float, float, float]
"""[deg] West, south, east, north."""

_POINT_COLUMNS = (
    "geo_point_2d",
    "coordonneesXY",
    "geo_point",
    "geopoint",
    "coordinates",
    "coordonnees",
    "geo",
)
_SHAPE_COLUMNS = ("geo_shape", "geometry", "geom", "wkt", "the_geom", "shape")
_LON_COLUMNS = ("lon", "long", "longitude", "lng", "x_wgs84", "coord_x", "x")
_LAT_COLUMNS = ("lat", "latitude", "y_wgs84", "coord_y", "y")
_DOTTED = r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_COMMAED = r"([+-]?\d+,\d+)"
_PAIRS = (
    re.compile(rf"\s*[\[(]?\s*{_DOTTED}\s*[,; ]\s*{_DOTTED}\s*[\])]?\s*"),
    re.compile(rf"\s*[\[(]?\s*{_COMMAED}\s*[; ]\s*{_COMMAED}\s*[\])]?\s*"),
)


LONGEST_PAIR = 200
"""Characters of the longest text that may be a pair of numbers."""


SHORT_JSON = 10_000
"""Characters of text that may be parsed at once whatever its nesting."""


class Pairs(NamedTuple):
    """Two numbers a row, in the order of the file; NaN where there are none."""

    first: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]


def geometry_of(
    frame: pd.DataFrame,
    *,
    point: str | None,
    lon: str | None,
    lat: str | None,
    crs: str | None,
    bounds: Bounds | None,
    path: Path,
    report: dict[str, int],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """
    Find the geometry of each row of a table.

    Parameters
    ----------
    frame
        Rows as read; a GeoDataFrame brings its own geometry.
    point, lon, lat
        Columns that hold it; None: the usual names are tried, shapes before points.
    crs
        CRS of `lon` and `lat`; None: EPSG:4326.
    bounds
        [deg] Box that decides the order of a pair.
    path
        Named in messages.
    report
        ``pairs_swapped`` is added: rows whose two numbers stood in the other order than the file's others.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        Geometry (None where there is none) and the reason why not, shape (rows,) each.

    Raises
    ------
    SourceError
        No column holds a place.
    """
    if isinstance(frame, gpd.GeoDataFrame) and point is None and lon is None:
        return np.asarray(frame.geometry.to_numpy(), dtype=object), np.full(len(frame), "", dtype=object)
    if (lon is None) != (lat is None):
        msg = "lon and lat belong together: name both columns, or one column as point"
        raise ConfigError(msg)
    if point is None and lon is None:
        point, lon, lat = _found_columns(frame, path)
    if point is not None:
        return _from_text(frame[point], bounds, report)
    pairs = Pairs(_floats(frame[lon]), _floats(frame[lat]))
    if crs is not None:
        pairs = _degrees(pairs, crs)
    reason = np.where(frame[lon].isna() | frame[lat].isna(), "no_coordinates", "").astype(object)
    return _points(pairs, False, bounds, reason, report)


def _found_columns(frame: pd.DataFrame, path: Path) -> tuple[str | None, str | None, str | None]:
    shape = column_named(frame, _SHAPE_COLUMNS)
    lon, lat = column_named(frame, _LON_COLUMNS), column_named(frame, _LAT_COLUMNS)
    point = column_named(frame, _POINT_COLUMNS)
    if shape is not None and frame[shape].notna().any():
        return shape, None, None
    if point is not None:
        return point, None, None
    if lon is not None and lat is not None:
        return None, lon, lat
    msg = (
        f"{path}: no column holds a place; found {list(frame.columns)}. Name it as columns.point (both "
        f"numbers in one column) or columns.lon and columns.lat"
    )
    raise SourceError(msg)


def _floats(column: pd.Series) -> npt.NDArray[np.float64]:
    """Numbers, NaN where a field is none; a decimal comma is understood."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    text = texts(column).str.strip().str.replace(",", ".", regex=False)
    return np.asarray(pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan))


def _degrees(pairs: Pairs, crs: str) -> Pairs:
    try:
        transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except CRSError as error:
        msg = f"crs {crs!r} is not known: {error}. Write it as, for example, EPSG:2154"
        raise ConfigError(msg) from error
    return Pairs(*(np.asarray(v) for v in transformer.transform(pairs.first, pairs.second)))


def _from_text(
    column: pd.Series, bounds: Bounds | None, report: dict[str, int]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Rows of a column that may hold pairs, WKT, GeoJSON, or (Parquet) bytes and mappings."""
    values = [_plain_value(v) for v in column.astype(object).where(column.notna(), None)]
    kind = np.array([_kind(v) for v in values])
    geometry = np.full(len(values), None, dtype=object)
    with np.errstate(all="ignore"):  # 1e999 overflows to infinity, which is rejected later
        for name, parse in (("json", _from_json), ("wkb", _from_wkb), ("wkt", _from_wkt)):
            rows = np.flatnonzero(kind == name)
            geometry[rows] = parse([values[r] for r in rows])
    missing = np.array([v is None for v in geometry], dtype=bool)
    reason = np.where(missing, "unreadable_coordinates", "").astype(object)
    reason[kind == "none"] = "no_coordinates"
    rows = np.flatnonzero(kind == "pair")
    if len(rows):
        # By convention numbers in brackets are GeoJSON's order (and that of the French charging-point schema,
        # coordonneesXY: "[lon, lat]"); bare ones are what people write, latitude first.
        lat_first = sum(str(values[r]).lstrip()[0] in "[(" for r in rows) < len(rows) / 2
        pairs = Pairs(*np.array([_pair(values[r]) for r in rows], dtype=np.float64).T)
        fine = np.full(len(rows), "", dtype=object)
        geometry[rows], reason[rows] = _points(pairs, lat_first, bounds, fine, report)
    return geometry, reason


def _plain_value(value: object) -> object:
    """Bring the mappings and lists of Parquet into the forms of text."""
    if isinstance(value, dict):
        return json.dumps(value, default=list)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return str(list(value)) if isinstance(value, list | tuple) else value


def _kind(value: object) -> str:
    """What a field holds: ``none``, ``pair``, ``json``, ``wkt``, ``wkb``, or ``other``."""
    if value is None or value == b"":
        return "none"
    if isinstance(value, bytes):
        return "wkb"
    if not isinstance(value, str):
        return "other"
    if not value.strip():
        return "none"
    if _pair(value) is not None:
        return "pair"
    return "json" if value.lstrip().startswith("{") else "wkt"


def _pair(value: object) -> tuple[float, float] | None:
    if isinstance(value, str) and len(value) <= LONGEST_PAIR:
        for pattern in _PAIRS:
            found = pattern.fullmatch(value)
            if found:
                return float(found[1].replace(",", ".")), float(found[2].replace(",", "."))
    return None


def _from_wkb(values: list[object]) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.from_wkb(np.array(values, dtype=object), on_invalid="ignore"), dtype=object)


def _from_wkt(values: list[object]) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.from_wkt(np.array(values, dtype=object), on_invalid="ignore"), dtype=object)


def _from_json(values: list[object]) -> npt.NDArray[np.object_]:
    """GeoJSON geometries, and ``{"lon": …, "lat": …}``; what is long is looked at with care (its depth)."""
    short = [v if len(str(v)) <= SHORT_JSON else None for v in values]
    found = np.asarray(shapely.from_geojson(np.array(short, dtype=object), on_invalid="ignore"), dtype=object)
    for row in np.flatnonzero([v is None for v in found]):
        found[row] = _one_json(str(values[row]))
    return found


def _one_json(text: str) -> shapely.Geometry | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict) and {"lon", "lat"} <= content.keys():
        numbers = [content["lon"], content["lat"]]
        return shapely.Point(numbers) if all(isinstance(v, int | float) for v in numbers) else None
    return shapely.from_geojson(text, on_invalid="ignore")


def _points(
    pairs: Pairs,
    lat_first: bool,
    bounds: Bounds | None,
    reason: npt.NDArray[np.object_],
    report: dict[str, int],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Decide the order of the pairs and make points."""
    finite = np.isfinite(pairs.first) & np.isfinite(pairs.second)
    reason = np.where((reason == "") & ~finite, "unreadable_coordinates", reason)
    swap = _swapped(pairs, lat_first, finite, bounds)
    usual = bool(swap[finite].sum() * 2 > finite.sum()) if finite.any() else lat_first
    report["pairs_swapped"] = report.get("pairs_swapped", 0) + int((finite & (swap != usual)).sum())
    lon = np.where(swap, pairs.second, pairs.first)
    lat = np.where(swap, pairs.first, pairs.second)
    geometry = np.full(len(lon), None, dtype=object)
    geometry[finite] = shapely.points(lon[finite], lat[finite])
    return geometry, reason


def _swapped(
    pairs: Pairs, lat_first: bool, finite: npt.NDArray[np.bool_], bounds: Bounds | None
) -> npt.NDArray[np.bool_]:
    """True for rows whose latitude stands first."""
    first, second = pairs
    swap = np.full(len(first), lat_first)
    with np.errstate(invalid="ignore"):
        only_swapped = (np.abs(second) > 90) & (np.abs(second) <= 180) & (np.abs(first) <= 90)
        only_plain = (np.abs(first) > 90) & (np.abs(first) <= 180) & (np.abs(second) <= 90)
        if bounds is None:
            if lat_first and only_plain.sum() > only_swapped.sum():
                swap[:] = False
            elif not lat_first and only_swapped.sum() > only_plain.sum():
                swap[:] = True
        else:
            west, south, east, north = bounds
            plain = finite & _between(first, west, east) & _between(second, south, north)
            turned = finite & _between(second, west, east) & _between(first, south, north)
            if plain.sum() != turned.sum():
                swap[:] = turned.sum() > plain.sum()
            swap = np.where(turned & ~plain, True, np.where(plain & ~turned, False, swap))
    return np.where(only_swapped, True, np.where(only_plain, False, swap))


def _between(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (values >= low) & (values <= high)
    return inside if low <= high else (values >= low) | (values <= high)
