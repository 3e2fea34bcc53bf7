"""Local metric projections: metres exist only inside a function, degrees everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS

from engine.errors import CRSError, InputError

if TYPE_CHECKING:
    import geopandas as gpd

WGS84 = "EPSG:4326"


def require_crs(table: gpd.GeoDataFrame, *, what: str) -> None:
    """
    Refuse a table whose coordinates could mean anything.

    Parameters
    ----------
    table
        Any GeoDataFrame.
    what
        Name of the table in the message.

    Raises
    ------
    CRSError
        If the table has no CRS.
    """
    if table.crs is None:
        msg = (
            f"{what} has no coordinate reference system; expected one that is written in the file "
            f"(set it with set_crs, for instance {WGS84} for longitude and latitude)"
        )
        raise CRSError(msg)


def local_equal_area(table: gpd.GeoDataFrame) -> CRS:
    """
    Equal-area projection in metres, centred on the table.

    Areas are exact on the ellipsoid; lengths are off by less than 1e-5 within 30 km of the centre, so the
    same projection serves both. It works in every UTM zone, at every latitude and in both hemispheres.

    Parameters
    ----------
    table
        GeoDataFrame with a CRS. An empty table gives a projection centred on 0, 0.

    Returns
    -------
    pyproj.CRS
        Lambert azimuthal equal area on WGS 84.

    Raises
    ------
    CRSError
        If the table has no CRS.
    InputError
        If the coordinates are not finite or lie off the globe.

    References
    ----------
    Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, pp. 182-190.
    """
    require_crs(table, what="the table to project")
    if table.empty:
        return _laea(0.0, 0.0)
    west, south, east, north = (float(x) for x in table.geometry.to_crs(WGS84).total_bounds)
    return equal_area_around(west=west, south=south, east=east, north=north)


def equal_area_around(*, west: float, south: float, east: float, north: float) -> CRS:
    """
    Equal-area projection in metres, centred on a box.

    Parameters
    ----------
    west, south, east, north
        [deg] The box, EPSG:4326.

    Raises
    ------
    InputError
        If the box is not on the globe.
    """
    box: np.ndarray[Any, np.dtype[np.float64]] = np.array([west, south, east, north])
    if not np.isfinite(box).all() or abs(south) > 90 or abs(north) > 90 or max(abs(west), abs(east)) > 360:
        msg = (
            f"coordinates reach from ({west}, {south}) to ({east}, {north}); expected longitude −180…180 and "
            "latitude −90…90. Check the CRS and the order of the two columns"
        )
        raise InputError(msg)
    return _laea((west + east) / 2, (south + north) / 2)


def _laea(lon: float, lat: float) -> CRS:
    return CRS.from_proj4(
        f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
    )
