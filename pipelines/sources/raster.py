"""Heights from a raster file, read only where they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from pipelines.errors import SourceError

FloatArray = npt.NDArray[np.float64]

_TILE = 512
"""[px] Side of the windows that are read; one is read only where a point falls into it."""

_FEET = {"ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "us-ft": 1200 / 3937, "us survey foot": 1200 / 3937}


@dataclass(frozen=True)
class ElevationReader:
    """
    Heights at points, from the first band of a raster in any reference system.

    Attributes
    ----------
    path
        The raster.
    """

    path: Path

    def __call__(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """
        Interpolate heights between the four nearest cell centres.

        Parameters
        ----------
        lon, lat
            [deg] Points, EPSG:4326.

        Returns
        -------
        numpy.ndarray
            [m] Height; NaN outside the raster and where all four cells hold no data. A cell without data
            leaves its weight to the others.

        Raises
        ------
        SourceError
            The raster cannot be read to the end.

        Notes
        -----
        O(points log points) plus the windows read; memory is one window.
        """
        try:
            with rasterio.open(self.path) as raster:
                return _sample(raster, np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        except (RasterioError, ProjError) as error:
            msg = f"{self.path}: cannot be read as heights ({error}); expected a complete raster such as GeoTIFF"
            raise SourceError(msg) from error


def elevation_reader(path: str | Path) -> ElevationReader:
    """
    Open a raster of heights.

    Parameters
    ----------
    path
        GeoTIFF or any raster that GDAL reads, with a reference system.

    Raises
    ------
    SourceError
        The file is absent, no raster, or says no reference system.
    """
    path = Path(path)
    try:
        with rasterio.open(path) as raster:
            crs = raster.crs
    except RasterioError as error:
        msg = f"{path}: is no raster of heights ({error}); expected a GeoTIFF or another raster with coordinates"
        raise SourceError(msg) from error
    if crs is None:
        msg = f"{path}: says no reference system; expected one: assign it (gdal_edit -a_srs EPSG:…) and try again"
        raise SourceError(msg)
    return ElevationReader(path)


def _sample(raster: rasterio.DatasetReader, lon: FloatArray, lat: FloatArray) -> FloatArray:
    transformer = Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True)
    x, y = transformer.transform(lon, lat)
    inverse = ~raster.transform
    column = inverse.a * x + inverse.b * y + inverse.c - 0.5
    row = inverse.d * x + inverse.e * y + inverse.f - 0.5
    # half a cell beyond the outermost centres still belongs to the raster
    inside = (column >= -0.5) & (column <= raster.width - 0.5) & (row >= -0.5) & (row <= raster.height - 0.5)
    height = np.full(len(lon), np.nan)
    points = np.flatnonzero(inside)
    column = np.clip(column[points], 0, raster.width - 1)
    row = np.clip(row[points], 0, raster.height - 1)
    tile = (row // _TILE).astype(np.int64) * (raster.width // _TILE + 1) + (column // _TILE).astype(np.int64)
    order = np.argsort(tile, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(tile[order])) + 1) if len(order) else []:
        height[points[group]] = _in_window(raster, column[group], row[group])
    units = (raster.units[0] or "").strip().lower()
    return height * _FEET.get(units, 1.0)


def _in_window(raster: rasterio.DatasetReader, column: FloatArray, row: FloatArray) -> FloatArray:
    """Bilinear heights of points whose cells lie in one window."""
    left, top = int(column.min()), int(row.min())
    right, bottom = min(int(column.max()) + 2, raster.width), min(int(row.max()) + 2, raster.height)
    cells = raster.read(1, window=Window(left, top, right - left, bottom - top), masked=True).astype(
        np.float64
    )
    cells = np.ma.filled(cells, np.nan) * raster.scales[0] + raster.offsets[0]
    total = np.zeros(len(column))
    weight = np.zeros(len(column))
    i, j = row.astype(np.int64), column.astype(np.int64)
    for down in (0, 1):
        for across in (0, 1):
            value = cells[np.minimum(i + down, bottom - 1) - top, np.minimum(j + across, right - 1) - left]
            share = np.abs(1 - down - (row - i)) * np.abs(1 - across - (column - j))
            known = np.isfinite(value)
            total += np.where(known, value * share, 0.0)
            weight += np.where(known, share, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)
