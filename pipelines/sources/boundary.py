"""The study area: from a file, a box, or the name of a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmnx
import shapely
from osmnx._errors import InsufficientResponseError

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.coordinates import Bounds
from pipelines.sources.delimited import plain, texts
from pipelines.sources.osmnx_session import osmnx_session, patiently
from pipelines.sources.transfer import Patience
from pipelines.sources.vector import polygonal, read_vector, repair_polygons, unusable


@dataclass(frozen=True, eq=False)
class BoundaryRead:
    """A study area and how it was had."""

    geometry: shapely.Polygon | shapely.MultiPolygon
    """[deg] Valid, EPSG:4326."""
    source: str
    """The file, ``bbox``, or the name under which the place was found."""
    repaired: dict[str, int] = field(default_factory=dict)
    """Features of the file by what became of them: ``polygons_repaired``, ``no_geometry``, ``not_areal`` …"""


def read_boundary(
    *,
    boundary: Path | None = None,
    bbox: Bounds | None = None,
    place: str | None = None,
    layer: str | None = None,
    where: Mapping[str, Sequence[object]] | None = None,
    crs: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    nominatim_url: str | None = None,
    patience: Patience | None = None,
) -> BoundaryRead:
    """
    Find the study area.

    Parameters
    ----------
    boundary
        File with polygons, any format and CRS; all of them together are the area.
    bbox
        [deg] West, south, east, north; west > east crosses the antimeridian and gives two parts.
    place
        Name to look up at Nominatim through OSMnx, kept in the cache.
    layer, where
        Layer of the file; column → accepted values.
    crs
        CRS of a file that names none.
    cache_dir, offline
        Where answers of Nominatim are kept; whether only they are used.
    nominatim_url
        Another Nominatim than OpenStreetMap's.
    patience
        Timeouts and waits.

    Returns
    -------
    BoundaryRead
        One valid polygon or multipolygon.

    Raises
    ------
    ConfigError
        Not exactly one of `boundary`, `bbox` and `place`; a box that is none; a column that is absent.
    SourceError
        The file has no polygon, or the place is not found.
    """
    if sum(given is not None for given in (boundary, bbox, place)) != 1:
        msg = f"give one of boundary, bbox and place; found boundary={boundary}, bbox={bbox}, place={place}"
        raise ConfigError(msg)
    if bbox is not None:
        return BoundaryRead(box_polygon(bbox), "bbox")
    if boundary is not None:
        return _from_file(boundary, layer, where or {}, crs)
    return _from_place(str(place), cache_dir, offline, nominatim_url, patience or Patience())


def box_polygon(bbox: Bounds) -> shapely.Polygon | shapely.MultiPolygon:
    """
    Make the polygon of a box, in two parts where it crosses the antimeridian.

    Examples
    --------
    >>> box_polygon((178.0, -19.0, -178.0, -16.0)).area
    12.0
    """
    west, south, east, north = bbox
    inside = all(abs(x) <= 180 for x in (west, east)) and all(abs(y) <= 90 for y in (south, north))
    if not (np.isfinite(bbox).all() and inside and south < north and west != east):
        msg = f"a bbox is west, south, east, north in degrees, south below north; found {list(bbox)}"
        raise ConfigError(msg)
    if west < east:
        return shapely.box(west, south, east, north)
    return shapely.MultiPolygon([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def _from_file(
    path: Path, layer: str | None, where: Mapping[str, Sequence[object]], crs: str | None
) -> BoundaryRead:
    frame = read_vector(path, layer=layer, crs=crs)
    for column, accepted in where.items():
        if column not in frame.columns:
            msg = f"{path} has no column {column!r}: it has {[c for c in frame.columns if c != 'geometry']}"
            raise ConfigError(msg)
        values = texts(frame[column])
        frame = frame[values.isin([str(v) for v in accepted])]
        if frame.empty:
            holds = ", ".join(plain(v) for v in values.dropna().unique()[:8])
            msg = f"no feature of {path} has {column} = {list(accepted)}; it holds {holds}"
            raise SourceError(msg)
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    return _united(shapes, str(path))


def _united(shapes: np.ndarray[tuple[int], np.dtype[np.object_]], source: str) -> BoundaryRead:
    """Join the usable polygons of a source into one valid area."""
    reason = unusable(shapes)
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    reason = np.where((reason == "") & ~areal, "not_areal", reason)
    counts = {str(r): int((reason == r).sum()) for r in np.unique(reason[reason != ""].astype(str))}
    polygons, repaired = repair_polygons(shapes[reason == ""])
    if repaired:
        counts["polygons_repaired"] = repaired
    area = polygonal(polygons[0] if len(polygons) == 1 else shapely.union_all(polygons))
    if area.is_empty or area.area == 0:
        met = ", ".join(f"{n} {r}" for r, n in counts.items()) or "nothing"
        msg = f"{source} holds no polygon ({met}): expected the outline of the study area"
        raise SourceError(msg)
    return BoundaryRead(area, source, counts)


def _from_place(
    place: str, cache_dir: Path | None, offline: bool, url: str | None, patience: Patience
) -> BoundaryRead:
    if cache_dir is None:
        msg = "a place is looked up with a cache: give cache_dir"
        raise ConfigError(msg)
    address = url or osmnx.settings.nominatim_url

    def ask() -> gpd.GeoDataFrame:
        with osmnx_session(cache_dir / "nominatim", offline=offline, nominatim_url=address):
            return osmnx.geocode_to_gdf(place)

    try:
        found = patiently(ask, url=address, patience=patience)
    except (InsufficientResponseError, TypeError) as error:
        msg = f"no area is called {place!r} at {address} ({error}): write it as in OpenStreetMap, or give a bbox"
        raise SourceError(msg) from error
    name = str(found.loc[found.index[0], "display_name"])
    return _united(np.asarray(found.geometry.to_numpy(), dtype=object), name)
