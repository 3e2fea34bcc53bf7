"""Who lives where: squares of a grid, polygons, or a raster, as the engine takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from affine import Affine
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from engine.population import raster_polygons
from pipelines.errors import ConfigError, SourceError
from pipelines.sources.coordinates import Bounds
from pipelines.sources.delimited import numbers, plain, read_delimited, refuse_rows, texts
from pipelines.sources.grid_codes import is_table, read_coded_grid
from pipelines.sources.vector import read_vector, repair_polygons, unusable

MOST_PIXELS = 50_000_000


def read_population(
    path: Path,
    *,
    kind: Literal["grid", "polygons", "raster"],
    column: str = "population",
    band: int = 1,
    layer: str | None = None,
    keep: Sequence[str] = (),
    crs: str | None = None,
    income: Path | None = None,
    income_key: str | None = None,
    income_column: str | None = None,
    polygon_key: str | None = None,
    bounds: Bounds | None = None,
) -> gpd.GeoDataFrame:
    """
    Read the residents of an area.

    Parameters
    ----------
    path
        Vector file of squares or polygons, a table of grid codes (grid), or a raster with a count a pixel.
    kind
        What it is.
    column
        Column with the number of residents (grid, polygons).
    band
        Band of the raster, from 1.
    layer
        Layer of the file, or member of a zip.
    keep
        Further columns with numbers to carry along.
    crs
        CRS of a vector file that names none.
    income
        CSV with an income for each polygon; ``income_key`` there names what ``polygon_key`` names here.
    income_key, income_column, polygon_key
        Columns of that file and of the polygons. Without `income`, ``income_column`` is one of the polygons'.
    bounds
        [deg] Only what touches this box is read. None: everything.

    Returns
    -------
    geopandas.GeoDataFrame
        `column` (``population`` for a raster), the columns kept, the income, and polygons in EPSG:4326 (a
        raster: one a pixel with residents, in its own CRS). ``attrs["report"]`` counts rows read, left out
        (by reason), repaired, and without a number.

    Raises
    ------
    SourceError
        The file cannot be read, or holds a negative or unreadable count.
    ConfigError
        A column or band does not exist.
    """
    if kind == "raster":
        return _read_raster(path, band, bounds)
    coded = kind == "grid" and is_table(path)
    frame = (
        read_coded_grid(path, bounds=bounds)
        if coded
        else read_vector(path, layer=layer, crs=crs, bounds=bounds)
    )
    joined = income_column if income is not None else None
    wanted = [column, *keep, *([income_column] if income_column and not joined else [])]
    _refuse_missing(frame, [*wanted, *([polygon_key] if polygon_key else [])], path)
    report = {"rows_read": len(frame)}
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    shapes, report["polygons_repaired"] = repair_polygons(shapes)
    reason = unusable(shapes)
    areal = frame.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy()
    reason = np.where((reason == "") & ~areal, "not_areal", reason)
    table = gpd.GeoDataFrame(geometry=shapes, crs=frame.crs, index=frame.index)
    for name in dict.fromkeys(wanted):
        table[name] = numbers(frame[name], what=str(path))
    refuse_rows(frame[column], table[column] < 0, what=str(path), expected="residents, not negative")
    if income is not None:
        table[income_column] = _income(income, income_key, income_column, frame, polygon_key, report)
    lost = table.loc[reason != "", column].fillna(0).sum()
    for name in np.unique(reason[reason != ""].astype(str)):
        report[f"dropped_{name}"] = int((reason == name).sum())
    report["residents_without_place"] = round(lost)
    report["rows_without_number"] = int(table[column].isna().sum())
    kept = table.loc[reason == ""].reset_index(drop=True)
    kept.attrs["report"] = report
    return kept


def _refuse_missing(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        has = [str(c) for c in frame.columns if c != "geometry"]
        msg = f"{path} has no column {', '.join(map(repr, missing))}: it has {has}. Name it in [population]"
        raise ConfigError(msg)


def _income(
    path: Path,
    key: str | None,
    column: str | None,
    frame: pd.DataFrame,
    polygon_key: str | None,
    report: dict[str, int],
) -> pd.Series:
    """Income of each polygon, missing where the file has none."""
    if key is None or column is None or polygon_key is None:
        msg = "income needs income_key, income_column and polygon_key: which columns belong together"
        raise ConfigError(msg)
    table = read_delimited(path)
    _refuse_missing(table, [key, column], path)
    refuse_rows(
        table[key], table[key].duplicated() & table[key].notna(), what=str(path), expected="each key once"
    )
    values = pd.Series(_loose_numbers(table[column]).to_numpy(), index=texts(table[key]))
    # exports write one code as text, as "['751010201']" (a list of one) or as a number
    wanted = texts(frame[polygon_key]).str.strip("[]'\" ")
    if not wanted.isin(values.index).any():
        here, there = plain(wanted.iloc[0] if len(wanted) else ""), plain(table[key].iloc[0])
        msg = f"no {key} of {path} is a {polygon_key} of the polygons: {there} there, {here} here"
        raise SourceError(msg)
    found = wanted.map(values)
    report["rows_without_income"] = int(found.isna().sum())
    return found.astype("float64")


def _loose_numbers(column: pd.Series) -> pd.Series:
    """Numbers; what statistics offices write for a secret (``ns``, ``nd``, ``s``) is missing."""
    text = texts(column).str.replace(",", ".", regex=False)
    return pd.to_numeric(text, errors="coerce").astype("float64")


def _read_raster(path: Path, band: int, bounds: Bounds | None) -> gpd.GeoDataFrame:
    if not path.is_file():
        msg = f"no file at {path}: check the path (relative to the configuration)"
        raise SourceError(msg)
    try:
        with rasterio.open(path) as raster:
            if not 1 <= band <= raster.count:
                msg = f"{path} has no band {band}: it has {raster.count}"
                raise ConfigError(msg)
            if raster.crs is None:
                msg = f"{path} names no coordinate reference system: save it with one"
                raise SourceError(msg)
            window = _window(raster, bounds)
            if window.width * window.height > MOST_PIXELS:
                pixels = int(window.width * window.height)
                msg = f"{path} has {pixels:,} pixels in the area, at most {MOST_PIXELS:,} are read: use a coarser one"
                raise SourceError(msg)
            values = raster.read(band, window=window)
            transform, crs, nodata = _moved(raster.transform, window), raster.crs, raster.nodatavals[band - 1]
    except RasterioError as error:
        msg = f"cannot read {path} as a raster: {error}. Open it in QGIS, or fetch it again"
        raise SourceError(msg) from error
    frame = raster_polygons(values, transform=transform, crs=crs.to_wkt(), nodata=nodata)
    frame.attrs["report"] = {"pixels_read": int(values.size), "pixels_with_residents": len(frame)}
    return frame


def _window(raster: rasterio.DatasetReader, bounds: Bounds | None) -> Window:
    """The pixels that touch the box; all of them where there is none."""
    whole = Window(0, 0, raster.width, raster.height)
    if bounds is None:
        return whole
    try:
        box = Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True).transform_bounds(
            *bounds, densify_pts=51
        )
    except ProjError as error:
        msg = f"the study area {bounds} cannot be brought to the raster's CRS: {error}"
        raise SourceError(msg) from error
    back = ~raster.transform
    x, y = np.array(box)[[0, 0, 2, 2]], np.array(box)[[1, 3, 1, 3]]
    column, row = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
    left, right = np.clip([np.floor(column.min()), np.ceil(column.max())], 0, raster.width).astype(int)
    top, bottom = np.clip([np.floor(row.min()), np.ceil(row.max())], 0, raster.height).astype(int)
    return Window(int(left), int(top), int(right - left), int(bottom - top))


def _moved(grid: Affine, window: Window) -> Affine:
    """Transform of the pixels of a window."""
    x = grid.c + grid.a * window.col_off + grid.b * window.row_off
    y = grid.f + grid.d * window.col_off + grid.e * window.row_off
    return Affine(grid.a, grid.b, x, grid.d, grid.e, y)
