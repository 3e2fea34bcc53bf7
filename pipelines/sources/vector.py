"""Vector files of GIS (GeoJSON, GeoPackage, FlatGeobuf, Shapefile, KML, GeoParquet) in EPSG:4326."""

from __future__ import annotations

import io
import shutil
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from pyproj import Transformer
from pyproj.exceptions import CRSError, ProjError

from pipelines.errors import SourceError
from pipelines.sources.coordinates import Bounds
from pipelines.sources.delimited import MOST_BYTES, read_bytes

WGS84 = "EPSG:4326"
_UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
    shapely.errors.ShapelyError,
)
MOST_UNPACKED = 8 << 30
"""[bytes] Largest content of a zip archive."""
_MAGIC = (
    (b"SQLite format 3\x00", "gpkg"),
    (b"PAR1", "parquet"),
    (b"fgb", "fgb"),
    (b"\x00\x00\x27\x0a", "shp"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
)


def vector_format(path: Path) -> str | None:
    """
    Tell a vector file's format by its first bytes, not by its name.

    Returns
    -------
    str | None
        ``geojson``, ``gpkg``, ``parquet``, ``fgb``, ``shp``, ``kml``, ``zip``, ``gzip`` (GeoJSON inside).
        None for all else, which includes formats that point to other files or addresses (VRT, WFS).
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(4096)
    except OSError as error:
        msg = f"cannot open {path}: {error.strerror}. Check the path (relative to the configuration)"
        raise SourceError(msg) from error
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name if name != "gzip" or _begins_with_brace(_gunzip_head(head)) else None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _begins_with_brace(text):
        return "geojson"
    return "kml" if text.startswith(b"<") and b"<kml" in head else None


def _gunzip_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 4096)
    except zlib.error:
        return b""


def _begins_with_brace(data: bytes) -> bool:
    return data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_vector(
    path: Path, *, layer: str | None = None, crs: str | None = None, bounds: Bounds | None = None
) -> gpd.GeoDataFrame:
    """
    Read a vector file and bring it to longitude and latitude.

    Parameters
    ----------
    path
        The file; GeoJSON may be gzipped; a zip may hold one Shapefile or GeoPackage, or several of which `layer`
        names one.
    layer
        Layer of a file, or member of a zip, that has several.
    crs
        CRS of a file that names none, for example ``EPSG:2154``.
    bounds
        [deg] West, south, east, north: only rows whose box touches it. None: every row.

    Returns
    -------
    geopandas.GeoDataFrame
        In the order of the file, EPSG:4326; missing geometry is None.

    Raises
    ------
    SourceError
        The file is absent, damaged, too large, of another format, or names no CRS.
    """
    kind = vector_format(path)
    if kind is None:
        msg = (
            f"{path} is none of GeoJSON, GeoPackage, FlatGeobuf, Shapefile, KML and GeoParquet, whatever its "
            f"name (its first bytes say so): convert it to GeoPackage"
        )
        raise SourceError(msg)
    if kind not in ("gzip", "zip") and path.stat().st_size > MOST_BYTES:
        size = path.stat().st_size
        msg = f"{path} has {size:,} bytes, at most {MOST_BYTES:,} are read: cut it to the study area"
        raise SourceError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL warns of quirks (ring order, field widths) that do no harm
            frame = _read(path, kind, layer, bounds)
    except (*_UNREADABLE, ValueError, OSError) as error:
        if isinstance(error, SourceError):
            raise
        msg = f"cannot read {path} as {kind}: {error}. Open it in QGIS, repair it, or fetch it again"
        raise SourceError(msg) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        msg = f"{path} has no geometry: expected points, lines or polygons"
        raise SourceError(msg)
    frame = _to_degrees(frame, path, crs)
    return frame if bounds is None else frame[_touching(frame, bounds)].reset_index(drop=True)


def _read(path: Path, kind: str, layer: str | None, bounds: Bounds | None) -> Any:
    if kind == "parquet":
        return gpd.read_parquet(path)
    if kind == "gzip":
        return pyogrio.read_dataframe(io.BytesIO(read_bytes(path)), on_invalid="ignore")
    if kind == "zip":
        return _read_zip(path, layer, bounds)
    layers = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if not layers:
        msg = f"cannot read {path} as {kind}: no layer with geometry is in it. Repair it or fetch it again"
        raise SourceError(msg)
    if layer is not None and layer not in layers:
        msg = f"{path} has no layer {layer!r}: it has {layers}"
        raise SourceError(msg)
    if layer is None and len(layers) > 1:
        msg = f"{path} has the layers {layers}: name one"
        raise SourceError(msg)
    return pyogrio.read_dataframe(path, layer=layer, bbox=_file_box(path, layer, bounds), on_invalid="ignore")


def _file_box(path: Path, layer: str | None, bounds: Bounds | None) -> Bounds | None:
    """Bring the box to the file's CRS, so that an indexed file is read only there; None: read everything."""
    crs = pyogrio.read_info(path, layer=layer)["crs"]
    if bounds is None or crs is None or bounds[0] > bounds[2]:
        return None
    try:
        box = Transformer.from_crs(WGS84, crs, always_xy=True).transform_bounds(*bounds, densify_pts=51)
    except (CRSError, ProjError):
        return None
    return box if np.isfinite(box).all() and box[0] <= box[2] else None


def _read_zip(path: Path, member: str | None, bounds: Bounds | None) -> Any:
    """Unpack a Shapefile or GeoPackage beside nothing of the user's, and read it."""
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            _refuse_bomb(path, entries)
            chosen = _member(path, entries, member)
            for entry in entries:
                if PurePosixPath(entry.filename).stem == PurePosixPath(chosen).stem:
                    target = Path(folder, PurePosixPath(entry.filename).name)
                    with archive.open(entry) as packed, target.open("wb") as out:
                        shutil.copyfileobj(packed, out)
            unpacked = Path(folder, PurePosixPath(chosen).name)
            kind = vector_format(unpacked)
            if kind in (None, "zip", "gzip"):
                msg = f"{chosen} in {path} is no vector file, whatever its name"
                raise SourceError(msg)
            return _read(unpacked, str(kind), None, bounds)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        msg = f"cannot read {path} as zip: {error}. Fetch it again"
        raise SourceError(msg) from error


def _refuse_bomb(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what expands beyond reason; `zipfile` itself stops a member at its declared size."""
    size = sum(e.file_size for e in entries)
    if len(entries) > 256 or size > MOST_UNPACKED or size > max(64 << 20, 200 * path.stat().st_size):
        msg = f"{path} holds {len(entries)} files that expand to {size:,} bytes: refused as a zip bomb"
        raise SourceError(msg)


def _member(path: Path, entries: list[zipfile.ZipInfo], wanted: str | None) -> str:
    names = [
        e.filename for e in entries if e.filename.lower().endswith((".shp", ".gpkg", ".fgb", ".geojson"))
    ]
    found = [n for n in names if wanted in (None, n, PurePosixPath(n).name)]
    if len(found) != 1:
        msg = f"{path} holds {names or 'no vector file'}: name one of them as layer"
        raise SourceError(msg)
    return found[0]


def _touching(frame: gpd.GeoDataFrame, bounds: Bounds) -> npt.NDArray[np.bool_]:
    """Rows whose box touches the bounds; rows without geometry stay, to be reported by those who use them."""
    west, south, east, north = bounds
    box = frame.geometry.bounds.to_numpy()
    beside = (box[:, 3] < south) | (box[:, 1] > north)
    outside = (box[:, 2] < west) | (box[:, 0] > east)
    if west > east:
        outside = (box[:, 2] < west) & (box[:, 0] > east)
    return np.asarray(~(beside | outside))


def _to_degrees(frame: gpd.GeoDataFrame, path: Path, crs: str | None) -> gpd.GeoDataFrame:
    try:
        if frame.crs is None:
            if crs is None:
                msg = f'{path} names no coordinate reference system: add crs = "EPSG:…" (4326 for degrees)'
                raise SourceError(msg)
            frame = frame.set_crs(crs)
        frame = frame.to_crs(WGS84)
    except (CRSError, ProjError) as error:
        msg = f"{path} cannot be brought to longitude and latitude: {error}"
        raise SourceError(msg) from error
    return frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()), crs=WGS84)


def unusable(geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """
    Say why each geometry cannot be used.

    Parameters
    ----------
    geometry
        [deg] Shape (rows,), EPSG:4326; None where missing.

    Returns
    -------
    numpy.ndarray
        ``no_geometry``, ``not_finite``, ``off_the_globe``, or empty where it is fine.
    """
    reason = np.full(len(geometry), "", dtype=object)
    reason[shapely.is_missing(geometry) | shapely.is_empty(geometry)] = "no_geometry"
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    off = (np.abs(xy[:, 0]) > 180) | (np.abs(xy[:, 1]) > 90)
    reason[np.unique(owner[off])] = "off_the_globe"
    reason[np.unique(owner[~np.isfinite(xy).all(axis=1)])] = "not_finite"
    return reason


def repair_polygons(geometry: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.object_], int]:
    """
    Make polygons valid (a bow tie becomes two triangles), keeping their areal parts.

    Returns
    -------
    tuple[numpy.ndarray, int]
        The geometries, and how many were repaired. Only polygons are touched.

    Notes
    -----
    By the ``structure`` method of GEOS: what an outer ring goes round is inside, what a hole goes round is
    outside, and a hole beyond the outer ring adds nothing. O(n log n); a million vertices take seconds.
    """
    areal = np.isin(shapely.get_type_id(geometry), (3, 6))
    wrong = areal & ~shapely.is_valid(geometry)
    if not wrong.any():
        return geometry, 0
    out = geometry.copy()
    repaired = shapely.make_valid(geometry[wrong], method="structure", keep_collapsed=False)
    out[wrong] = [polygonal(g) for g in repaired]
    return out, int(wrong.sum())


def polygonal(geometry: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon:
    """Keep the polygons of a geometry: what is left of a collection after a repair."""
    parts = shapely.get_parts(shapely.get_parts(np.array([geometry], dtype=object)))
    areas = parts[shapely.get_type_id(parts) == int(shapely.GeometryType.POLYGON)]
    union: Any = areas[0] if len(areas) == 1 else shapely.union_all(areas)
    return shapely.Polygon() if union.is_empty else union
