"""Open-data files of places (CSV, GeoJSON, GeoPackage, Parquet) → one row a place."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import shapely

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.coordinates import Bounds, geometry_of
from pipelines.sources.delimited import column_named, plain, read_delimited, texts
from pipelines.sources.download import Fetched
from pipelines.sources.vector import WGS84, read_vector, repair_polygons, unusable, vector_format

_USUAL_NAMES = (
    "name",
    "nom",
    "nom_station",
    "Nom du commerce",
    "Libellé établissement",
    "place",
    "label",
    "libelle",
)
_USUAL_IDS = ("id", "identifiant", "IDBASE", "stationcode", "id_station_local", "recordid", "objectid")
_USUAL_CAPACITIES = ("capacity", "capacite", "capacité")
FORMATS = ("csv", "geojson", "gpkg", "parquet", "fgb", "shp", "kml")
SPREAD_M = 100.0
"""[m] Rows of one place further apart than this are counted in the report as ``groups_spread``."""


@dataclass(frozen=True)
class PlaceOptions:
    """
    How a file of places is read; what is left out is found by looking.

    Attributes
    ----------
    format
        ``csv`` where a table begins like another format; any other must be what the content says.
    layer, encoding, separator
        Of the file.
    crs
        CRS of ``lon`` and ``lat`` columns or of a vector file that names none; None: EPSG:4326.
    id, name
        Columns.
    point
        Column that holds both coordinates (``48.87, 2.32``, ``[2.32, 48.87]``, WKT, or GeoJSON).
    lon, lat
        Columns of the coordinates.
    capacity
        Column of the supply of a row.
    capacity_from
        Capacity of a place of several rows: ``sum`` or ``max`` of `capacity`, or the number of ``rows``.
    streams
        Column whose values are collected for each place (waste streams of containers).
    keep
        Columns carried along.
    where
        Column → accepted values; rows with others are left out.
    group_by
        Columns that together name a place of several rows.
    """

    format: str | None = None
    layer: str | None = None
    encoding: str | None = None
    separator: str | None = None
    crs: str | None = None
    id: str | None = None
    name: str | None = None
    point: str | None = None
    lon: str | None = None
    lat: str | None = None
    capacity: str | None = None
    capacity_from: Literal["sum", "max", "rows"] = "sum"
    streams: str | None = None
    keep: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> PlaceOptions:
        """
        Read options as a configuration writes them: lists for tuples, one value for a list of one.

        Raises
        ------
        ConfigError
            An unknown key, or a value of the wrong kind.
        """
        known = [f.name for f in fields(cls)]
        values: dict[str, Any] = {}
        for key, value in options.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                msg = f"unknown option {key!r}" + (
                    f"; did you mean {near[0]!r}?" if near else f"; known: {known}"
                )
                raise ConfigError(msg)
            if key in ("keep", "group_by"):
                values[key] = _texts(value)
            elif key == "where":
                values[key] = {str(k): _texts(v) for k, v in value.items()}
            else:
                values[key] = value
        if values.get("capacity_from", "sum") not in ("sum", "max", "rows"):
            msg = f"capacity_from must be sum, max or rows; found {values['capacity_from']!r}"
            raise ConfigError(msg)
        return cls(**values)


class PlacesRead(NamedTuple):
    """Places, and what became of the rows that are not among them."""

    places: gpd.GeoDataFrame
    """``id``, ``name``, ``capacity`` (NaN if unknown), ``rows`` (of the file), kept columns, ``geometry``."""
    rejected: pd.DataFrame
    """``row`` (of the file, from 1), ``reason``, ``value``."""
    report: dict[str, int]
    """``rows_read``, ``rows_kept``, ``places``, rows left out by reason, repairs by kind."""


def read_places(
    source: Path | Fetched, *, options: PlaceOptions | None = None, bounds: Bounds | None = None
) -> PlacesRead:
    """
    Read places from a file as a city publishes it.

    Parameters
    ----------
    source
        The file, or a download.
    options
        Which column is what; the rest is found by looking.
    bounds
        [deg] West, south, east, north of the study area with its buffer: decides whether a pair of numbers is
        latitude first, and leaves out places beyond. None: by convention (latitude first outside brackets).

    Returns
    -------
    PlacesRead
        Places in the order of their first row, EPSG:4326; rejected rows; counts.

    Raises
    ------
    SourceError
        The file cannot be read, no column holds a place, or no row is usable.
    ConfigError
        An option names a column that the file does not have.

    Notes
    -----
    O(rows). A damaged row is left out and counted; a damaged file is an error.
    """
    path = source.path if isinstance(source, Fetched) else source
    options = options or PlaceOptions()
    frame = _read_rows(path, options)
    options = _resolved(frame, options, path)
    report: dict[str, int] = {"rows_read": len(frame)}
    geometry, reason = geometry_of(
        frame,
        point=options.point,
        lon=options.lon,
        lat=options.lat,
        crs=options.crs,
        bounds=bounds,
        path=path,
        report=report,
    )
    geometry, repaired = repair_polygons(geometry)
    if repaired:
        report["polygons_repaired"] = repaired
    reason = np.where(reason == "", unusable(geometry), reason)
    reason = np.where((reason == "") & _outside(geometry, bounds), "outside_area", reason)
    reason = np.where(_excluded(frame, options), "not_wanted", reason)
    kept = reason == ""
    rejected = _rejected(frame, reason)
    for name, count in rejected["reason"].value_counts(sort=False).sort_index().items():
        report[f"dropped_{name}"] = int(count)
    report["rows_kept"] = int(kept.sum())
    rows = _rows(frame, geometry, options, report)[kept]
    places = _grouped(rows, frame[kept], options, report)
    places.insert(0, "id", _ids(places.pop("own_id"), path))
    report["places"] = len(places)
    return PlacesRead(places.reset_index(drop=True), rejected, report)


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a file of places, whatever its format."""
    return [str(c) for c in _read_rows(path, PlaceOptions()).columns]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def _read_rows(path: Path, options: PlaceOptions) -> pd.DataFrame:
    """Read the table, whatever its format."""
    kind = vector_format(path)
    if options.format is not None and options.format not in FORMATS:
        msg = f"format {options.format!r} is not known: expected one of {', '.join(FORMATS)}"
        raise ConfigError(msg)
    holds = {"geojson": ("geojson", "gzip"), "gpkg": ("gpkg", "zip"), "parquet": ("parquet",)}
    if options.format in holds and kind not in holds[options.format]:
        msg = f"{path} is not {options.format}, by its first bytes: {kind or 'a table or text'}. Leave out the format"
        raise SourceError(msg)
    if kind is None or options.format == "csv":
        return read_delimited(path, separator=options.separator, encoding=options.encoding)
    if kind == "parquet" and not _is_geoparquet(path):
        return pd.DataFrame(pd.read_parquet(path))
    frame: pd.DataFrame = read_vector(path, layer=options.layer, crs=options.crs)
    return frame


def _is_geoparquet(path: Path) -> bool:
    try:
        return b"geo" in (pq.read_schema(path).metadata or {})
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        msg = f"cannot read {path} as Parquet: {error}"
        raise SourceError(msg) from error


def _resolved(frame: pd.DataFrame, options: PlaceOptions, path: Path) -> PlaceOptions:
    """Name columns as the file does: portals write one column as ``coordonneesXY`` and ``coordonneesxy``."""
    folded: dict[str, list[str]] = {}
    for column in map(str, frame.columns):
        folded.setdefault(column.casefold(), []).append(column)

    def own(column: str) -> str:
        if column in frame.columns:
            return column
        alike = folded.get(column.casefold(), [])
        if len(alike) == 1:
            return alike[0]
        near = difflib.get_close_matches(column, [str(c) for c in frame.columns], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {[str(c) for c in frame.columns]}"
        msg = f"{path} has no column {column!r}; {hint}"
        raise ConfigError(msg)

    single = ("id", "name", "point", "lon", "lat", "capacity", "streams")
    changes: dict[str, Any] = {k: own(getattr(options, k)) for k in single if getattr(options, k) is not None}
    changes["keep"] = tuple(own(c) for c in options.keep)
    changes["group_by"] = tuple(own(c) for c in options.group_by)
    changes["where"] = {own(c): accepted for c, accepted in options.where.items()}
    return replace(options, **changes)


def _excluded(frame: pd.DataFrame, options: PlaceOptions) -> npt.NDArray[np.bool_]:
    out = np.zeros(len(frame), dtype=bool)
    for column, accepted in options.where.items():
        values = texts(frame[column])
        wanted = values.isin(accepted)
        if len(frame) and not wanted.any():
            common = values.value_counts().head(8).index.tolist()
            holds = ", ".join(map(plain, common))
            msg = f"where.{column} = {list(accepted)} keeps no row; the column holds {holds}"
            raise SourceError(msg)
        out |= ~wanted.to_numpy()
    return out


def _outside(geometry: npt.NDArray[np.object_], bounds: Bounds | None) -> npt.NDArray[np.bool_]:
    if bounds is None:
        return np.zeros(len(geometry), dtype=bool)
    west, south, east, north = bounds
    boxes = [shapely.box(west, south, east, north)]
    if west > east:
        boxes = [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
    return np.asarray(~np.logical_or.reduce([shapely.intersects(geometry, box) for box in boxes]))


def _rejected(frame: pd.DataFrame, reason: npt.NDArray[np.object_]) -> pd.DataFrame:
    rows = np.flatnonzero(reason != "")
    named = [c for c in frame.columns if c != "geometry"][:4]
    head = pd.DataFrame({c: texts(frame[c].iloc[rows[:1000]]).fillna("") for c in named})
    shown = [
        plain(", ".join(f"{k}={v}" for k, v in zip(head.columns, r, strict=True)), most=120)
        for r in head.to_numpy()
    ]
    shown += [""] * (len(rows) - len(shown))
    return pd.DataFrame({"row": rows + 1, "reason": reason[rows].astype(str), "value": shown})


def clean_text(column: pd.Series) -> pd.Series:
    """Text of names: one line, composed characters (NFC), without control characters; empty is missing."""
    text = texts(column).map(_clean, na_action="ignore").astype("str")
    return pd.Series(text.mask(text == ""))


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()[:500]
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)
    return unicodedata.normalize("NFC", " ".join(kept.split()))[:500]


def _rows(
    frame: pd.DataFrame, geometry: npt.NDArray[np.object_], options: PlaceOptions, report: dict[str, int]
) -> gpd.GeoDataFrame:
    """Give each row of the file its product columns."""
    name = options.name or column_named(frame, _USUAL_NAMES)
    own_id = options.id or column_named(frame, _USUAL_IDS)
    capacity = options.capacity or column_named(frame, _USUAL_CAPACITIES)
    table = gpd.GeoDataFrame(geometry=geometry, crs=WGS84, index=frame.index)
    table["own_id"] = clean_text(frame[own_id]) if own_id else pd.array([pd.NA] * len(frame), dtype="str")
    table["name"] = clean_text(frame[name]) if name else pd.array([pd.NA] * len(frame), dtype="str")
    table["capacity"] = _capacities(frame, capacity, report)
    table["row"] = np.arange(1, len(frame) + 1)
    if options.streams:
        table["streams"] = clean_text(frame[options.streams])
    for column in options.keep:
        values = frame[column]
        table[column] = values if pd.api.types.is_numeric_dtype(values.dtype) else clean_text(values)
    return table


def _capacities(frame: pd.DataFrame, column: str | None, report: dict[str, int]) -> npt.NDArray[np.float64]:
    if column is None:
        return np.full(len(frame), np.nan)
    text = texts(frame[column]).str.replace(",", ".", regex=False)
    values = pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~(np.isfinite(values) & (values >= 0))
    report["capacity_unreadable"] = int((wrong & frame[column].notna().to_numpy()).sum())
    return np.where(wrong, np.nan, values)


def _grouped(
    rows: gpd.GeoDataFrame, frame: pd.DataFrame, options: PlaceOptions, report: dict[str, int]
) -> gpd.GeoDataFrame:
    """Make one place of the rows that share their key; rows without a key stay places of their own."""
    if not options.group_by:
        return _each_its_own(rows, options)
    key = np.arange(len(rows))
    if len(rows):
        parts = frame[list(options.group_by)]
        whole = parts.notna().all(axis=1).to_numpy()
        key = np.where(
            whole, parts.groupby(list(options.group_by), sort=False, dropna=False).ngroup(), -1 - key
        )
        report["rows_without_group"] = int((~whole).sum())
    place, _ = pd.factorize(key)
    groups = rows.drop(columns="geometry").groupby(place, sort=True)
    first = groups.first()
    first["capacity"] = _group_capacity(groups, options.capacity_from)
    first["rows"] = groups.size()
    if options.streams:
        first["streams"] = groups["streams"].agg(lambda s: ";".join(sorted(set(s.dropna()))))
    members = _members(rows.geometry.to_numpy(), place)
    report["groups_spread"] = sum(_spread_m(m) > SPREAD_M for m in members)
    geometry = np.full(len(members), None, dtype=object)
    geometry[:] = [_one_geometry(m) for m in members]
    return gpd.GeoDataFrame(_with_ids(first), geometry=geometry, crs=WGS84)


def _each_its_own(rows: gpd.GeoDataFrame, options: PlaceOptions) -> gpd.GeoDataFrame:
    table = _with_ids(rows.drop(columns="geometry")).assign(rows=1)
    if options.capacity_from == "rows":
        table["capacity"] = 1.0
    if options.streams:
        table["streams"] = table["streams"].fillna("")
    return gpd.GeoDataFrame(table, geometry=rows.geometry.to_numpy(), crs=WGS84)


def _with_ids(table: pd.DataFrame) -> pd.DataFrame:
    """A place without an id of its own is named after its first row."""
    row = "row-" + table["row"].astype("str")
    return table.drop(columns="row").assign(own_id=table["own_id"].where(table["own_id"].notna(), row))


def _group_capacity(groups: Any, rule: str) -> pd.Series:
    if rule == "rows":
        return pd.Series(groups.size(), dtype="float64")
    return pd.Series(groups["capacity"].max() if rule == "max" else groups["capacity"].sum(min_count=1))


def _members(shapes: npt.NDArray[np.object_], place: npt.NDArray[np.intp]) -> list[npt.NDArray[np.object_]]:
    """Geometries of each place, in the order of the file."""
    order = np.argsort(place, kind="stable")
    cuts = np.flatnonzero(np.diff(place[order])) + 1
    return np.split(shapes[order], cuts) if len(order) else []


def _one_geometry(members: npt.NDArray[np.object_]) -> object:
    """Polygons together; of points, the one given most often, which is a real spot (the first of equals)."""
    if len(members) == 1:
        return members[0]
    if (shapely.get_dimensions(members) > 0).any():
        return shapely.union_all(members)
    xy = shapely.get_coordinates(members)
    _, first, count = np.unique(xy, axis=0, return_index=True, return_counts=True)
    return members[int(first[count == count.max()].min())]


def _spread_m(members: npt.NDArray[np.object_]) -> float:
    """[m] Diagonal of the box of a place's points, on a sphere; 0 for areas, which may be large."""
    if len(members) == 1 or (shapely.get_dimensions(members) > 0).any():
        return 0.0
    west, south, east, north = shapely.total_bounds(members)
    metres_per_degree = 111_195.0  # 6371 km · π / 180
    width = (east - west) * np.cos(np.radians((south + north) / 2))
    return float(np.hypot(width, north - south) * metres_per_degree)


def _ids(own: pd.Series, path: Path) -> pd.Series:
    """Ids that are unique in the file: ``trilib_2018/2001``; repeats are numbered ``~2``, ``~3`` …."""
    stem = path.name.split(".")[0]
    repeat = own.groupby(own, sort=False).cumcount()
    numbered = own.where(repeat == 0, own + "~" + (repeat + 1).astype("str"))
    return stem + "/" + numbered
