"""Tables whose rows name the square or the hexagon they count, without drawing it: H3 cells and European grid codes."""

from __future__ import annotations

import re
from pathlib import Path

import geopandas as gpd
import h3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from engine.population import h3_polygons
from pipelines.errors import SourceError
from pipelines.sources.coordinates import Bounds
from pipelines.sources.delimited import read_delimited, texts
from pipelines.sources.vector import vector_format

_INSPIRE = re.compile(r"CRS(?P<crs>\d{4,5})RES(?P<size>\d+)mN(?P<north>\d+)E(?P<east>\d+)")
_GEOSTAT = re.compile(r"(?P<size>\d+)(?P<unit>k?m)N(?P<north>\d+)E(?P<east>\d+)")
_EUROPE = "EPSG:3035"


def is_table(path: Path) -> bool:
    """Whether a file is a table without geometry: text, or Parquet that names no geometry."""
    kind = vector_format(path)
    if kind != "parquet":
        return kind is None
    try:
        return b"geo" not in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def read_coded_grid(path: Path, *, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
    """
    Read a table of grid cells and draw each cell from its code.

    Codes are H3 indexes (hexadecimal), INSPIRE grid codes (``CRS3035RES200mN2890200E3760600``, metres of the named
    CRS) or GEOSTAT codes (``1kmN2689E4337``, EPSG:3035); the column that holds them is found by its content.

    Parameters
    ----------
    path
        Delimited text, also gzipped, or Parquet.
    bounds
        [deg] Only cells whose box touches it; None: all.

    Returns
    -------
    geopandas.GeoDataFrame
        The columns of the table, EPSG:4326.

    Raises
    ------
    SourceError
        The file is no table, or no column names cells.

    References
    ----------
    INSPIRE D2.8.I.2 Data Specification on Geographical Grid Systems, v3.1 (2014), §4.2.1.
    """
    table = _read(path)
    for name in table.columns:
        codes = texts(table[name]).str.strip()
        if not len(codes) or codes.isna().any():
            continue
        drawn = _drawn(table, str(name), codes)
        if drawn is not None:
            return drawn if bounds is None else drawn.cx[bounds[0] : bounds[2], bounds[1] : bounds[3]]
    msg = (
        f"{path} has no geometry and no column of grid codes: it has {[str(c) for c in table.columns]}. Expected H3 "
        "indexes (8a1fb46622dffff), European grid codes (CRS3035RES200mN2890200E3760600), or a vector file"
    )
    raise SourceError(msg)


def _read(path: Path) -> pd.DataFrame:
    if vector_format(path) != "parquet":
        return read_delimited(path)
    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"cannot read {path} as Parquet: {error}. Fetch it again"
        raise SourceError(msg) from error


def _drawn(table: pd.DataFrame, name: str, codes: pd.Series) -> gpd.GeoDataFrame | None:
    """The table with its outlines, None where the column holds no codes."""
    if codes.str.fullmatch("[0-9a-fA-F]{15}").all() and all(map(h3.is_valid_cell, codes)):
        return h3_polygons(table.assign(**{name: codes}), column=name)
    for pattern in (_INSPIRE, _GEOSTAT):
        parts = codes.str.extract(f"^{pattern.pattern}$")
        if parts.notna().all(axis=None):
            return _squares(table, parts)
    return None


def _squares(table: pd.DataFrame, parts: pd.DataFrame) -> gpd.GeoDataFrame:
    """Squares by their lower left corner; a GEOSTAT code counts corners in units of its size."""
    metres = parts.get("unit", pd.Series("m", index=parts.index)).map({"m": 1.0, "km": 1000.0})
    size = parts["size"].astype("float64") * metres
    unit = size if "unit" in parts else pd.Series(1.0, index=parts.index)
    east, north = (parts[c].astype("float64") * unit for c in ("east", "north"))
    squares = gpd.GeoSeries(shapely.box(east, north, east + size, north + size), index=parts.index)
    crs = "EPSG:" + parts["crs"] if "crs" in parts else pd.Series(_EUROPE, index=parts.index)
    drawn = [squares[crs == one].set_crs(one).to_crs("EPSG:4326") for one in sorted(crs.unique())]
    return gpd.GeoDataFrame(table.copy(), geometry=pd.concat(drawn).reindex(table.index), crs="EPSG:4326")
