"""Snapping: places and origins attach to the nearest point on a street, not to the nearest node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyproj
import shapely

from engine.errors import InputError
from engine.network.copies import copies_of
from engine.network.street_network import StreetNetwork

_TIE_M = 1e-6
"""[m] Streets this much farther than the nearest one count as equally near: the lowest street number wins."""


@dataclass(frozen=True, eq=False)
class Snaps:
    """
    Where points attach to a network.

    Attributes
    ----------
    street
        Street of each point (row of ``StreetNetwork.streets``), -1 where rejected; shape (points,).
    fraction
        Position along the street from ``u`` (0) to ``v`` (1), by length.
    access_m, access_ms
        [m], [ms] The off-network leg, at walking speed.
    reason
        Why a point was rejected, empty where it was not.
    """

    street: npt.NDArray[np.int32]
    fraction: npt.NDArray[np.float64]
    access_m: npt.NDArray[np.float64]
    access_ms: npt.NDArray[np.int64]
    reason: npt.NDArray[np.object_]

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """True where the point attaches."""
        return self.street >= 0


@dataclass(frozen=True)
class LocalMetres:
    """
    A plane in metres around one place, for distances and nothing else.

    A transverse Mercator on the WGS 84 ellipsoid centred on the data: within 50 km of the centre lengths are
    true to 3 parts in 100,000, in either hemisphere and across the 180th meridian.

    Attributes
    ----------
    lon, lat
        [deg] The centre.
    """

    lon: float
    lat: float

    @classmethod
    def around(cls, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> LocalMetres:
        """
        Centre the plane on points: the mean of their directions, so that 179° and -179° meet at 180°.

        To a tenth of a degree, so that a network with a street more or less keeps its plane, to the last bit.
        """
        if not len(lon):
            return cls(0.0, 0.0)
        turn = np.radians(lon)
        middle = np.degrees(np.arctan2(np.sin(turn).mean(), np.cos(turn).mean()))
        return cls(round(float(middle), 1), round(float(np.mean(lat)), 1))

    def project(self, lon_lat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """[m] Eastings and northings of [deg] longitudes and latitudes, shape (points, 2)."""
        east, north = _transformer(self.lon, self.lat).transform(lon_lat[:, 0], lon_lat[:, 1])
        return np.column_stack([east, north]).astype(np.float64, copy=False)

    def unproject(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """[deg] Longitudes and latitudes of [m] eastings and northings, shape (points, 2)."""
        lon, lat = _transformer(self.lon, self.lat).transform(xy[:, 0], xy[:, 1], direction="INVERSE")
        return np.column_stack([lon, lat]).astype(np.float64, copy=False)


@lru_cache(maxsize=64)
def _transformer(lon: float, lat: float) -> pyproj.Transformer:
    """Transformer to the plane around a point; making one takes longer than projecting a thousand points."""
    plane = f"+proj=tmerc +lon_0={lon} +lat_0={lat} +datum=WGS84 +units=m"
    return pyproj.Transformer.from_crs("EPSG:4326", plane, always_xy=True)


_PLANES: WeakKeyDictionary[StreetNetwork, LocalMetres] = WeakKeyDictionary()


def local_metres(network: StreetNetwork) -> LocalMetres:
    """Give the metric plane around a network; kept as long as the network lives."""
    plane = _PLANES.get(network)
    if plane is None:
        own = network.centre
        plane = LocalMetres(*own) if own else LocalMetres.around(network.lon, network.lat)
        _PLANES[network] = plane
    return plane


_COORDS: WeakKeyDictionary[StreetNetwork, npt.NDArray[np.float64]] = WeakKeyDictionary()


def metric_coords(network: StreetNetwork) -> npt.NDArray[np.float64]:
    """[m] ``network.coords`` in the plane of `local_metres`; kept as long as the network lives."""
    known = _COORDS.get(network)
    if known is None:
        known = _COORDS[network] = local_metres(network).project(network.coords)
    return known


def metric_streets(
    network: StreetNetwork, rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.object_]:
    """[m] One LineString a street (of `rows` where they are given) in `local_metres`, from ``u`` to ``v``."""
    xy, offsets = metric_coords(network), network.offsets
    if rows is not None:
        counts = offsets[rows + 1] - offsets[rows]
        ends = np.concatenate([[0], np.cumsum(counts)])
        xy = xy[np.repeat(offsets[rows] - ends[:-1], counts) + np.arange(ends[-1])]
        offsets = ends
    if len(offsets) == 1:
        return np.empty(0, dtype=object)
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, xy, (offsets,))
    return np.asarray(lines, dtype=object)


def snap(
    network: StreetNetwork,
    lon_lat: npt.NDArray[np.float64],
    *,
    max_snap_m: float,
    access_speed_kmh: float = 5.0,
    streets: npt.NDArray[np.bool_] | None = None,
) -> Snaps:
    """
    Attach points to the nearest point on a street.

    A point exactly `max_snap_m` away is accepted. Where several streets are equally near (to a micrometre),
    as at a junction, the lowest street number wins among those that may be followed away from it: what lies at the
    end of a one-way street is then reached as soon as the junction is.

    Parameters
    ----------
    network
        The streets.
    lon_lat
        [deg] Longitude and latitude, EPSG:4326, shape (points, 2); NaN where unknown.
    max_snap_m
        [m] The farthest that a point may lie from its street.
    access_speed_kmh
        [km/h] Walking speed on the off-network leg.
    streets
        True for streets that may be used, shape (streets,); None for all.

    Returns
    -------
    Snaps
        One entry a point; rejected points say why.

    Raises
    ------
    InputError
        `lon_lat` is not of shape (points, 2), `streets` has another length than the network, or a limit is
        not positive.

    Notes
    -----
    Distances are taken in `local_metres`. Cost O((streets + points) log streets).

    Examples
    --------
    >>> snaps = snap(network, np.array([[24.94, 60.17]]), max_snap_m=100)  # doctest: +SKIP
    >>> snaps.street, snaps.fraction  # doctest: +SKIP
    (array([17], dtype=int32), array([0.25]))
    """
    points = np.asarray(lon_lat, dtype=np.float64)
    usable = _usable_streets(
        network, points, streets, max_snap_m=max_snap_m, access_speed_kmh=access_speed_kmh
    )
    reason = np.full(len(points), "", dtype=object)
    known = np.isfinite(points).all(axis=1)
    on_earth = known & (np.abs(points) <= (180.0, 90.0)).all(axis=1)
    reason[~known] = "no coordinates"
    reason[known & ~on_earth] = "coordinates outside -180…180, -90…90: longitude comes first"
    if not len(usable):
        reason[on_earth] = f"the {network.mode} network has no street to attach to"
        return _snaps(len(points), reason)

    lines = metric_streets(network)[usable]
    row = np.flatnonzero(on_earth)
    xy = np.asarray(shapely.points(local_metres(network).project(points[row])), dtype=object)
    nearest, distance = _nearest_line(
        lines, xy, network.forward_ms[usable] < 0, network.backward_ms[usable] < 0
    )
    near = distance <= max_snap_m
    for i, d in zip(row[~near], distance[~near], strict=True):
        away = f" ({d:.0f} m)" if np.isfinite(d) else ""
        reason[i] = f"farther than {max_snap_m:g} m from any {network.mode} street{away}"
    snaps = _snaps(len(points), reason)
    kept, line, d = row[near], nearest[near], distance[near]
    snaps.street[kept] = usable[line]
    snaps.fraction[kept] = _fraction(lines[line], xy[near])
    snaps.access_m[kept] = d
    snaps.access_ms[kept] = np.rint(d * 3600.0 / access_speed_kmh)
    return snaps


def on_copies(network: StreetNetwork, snaps: Snaps) -> tuple[npt.NDArray[np.int64], Snaps]:
    """
    Attach points to the copies of their streets as well.

    Who comes from a restricted turn, or enters a street that is open to its own traffic only, travels on a copy of the
    street: a place on the street must lie on each of them. Trips that start at a point start on the street itself.

    Parameters
    ----------
    network
        The streets.
    snaps
        What `snap` gave on this network.

    Returns
    -------
    tuple of numpy.ndarray and Snaps
        The point of each further row, and the rows; none where the network has no copies.
    """
    copies = copies_of(network)
    found = [
        (point, *spot)
        for point in (np.flatnonzero(snaps.accepted) if copies.of or copies.beside else ())
        for spot in copies.spots(network, int(snaps.street[point]), float(snaps.fraction[point]))
    ]
    point = np.array([row[0] for row in found], dtype=np.int64)
    return point, Snaps(
        street=np.array([row[1] for row in found], dtype=np.int32),
        fraction=np.array([row[2] for row in found], dtype=np.float64),
        access_m=snaps.access_m[point],
        access_ms=snaps.access_ms[point],
        reason=snaps.reason[point],
    )


def _usable_streets(
    network: StreetNetwork,
    points: npt.NDArray[np.float64],
    streets: npt.NDArray[np.bool_] | None,
    *,
    max_snap_m: float,
    access_speed_kmh: float,
) -> npt.NDArray[np.int32]:
    """Validate the arguments of `snap`; return the numbers of the streets that may be used."""
    if points.ndim != 2 or points.shape[1] != 2:
        msg = f"lon_lat has shape {points.shape}; expected (points, 2), longitude first"
        raise InputError(msg)
    if max_snap_m < 0 or access_speed_kmh <= 0:
        msg = f"max_snap_m={max_snap_m} and access_speed_kmh={access_speed_kmh}: expected ≥ 0 and > 0"
        raise InputError(msg)
    mask = np.ones(len(network.streets), dtype=bool) if streets is None else np.asarray(streets, dtype=bool)
    if len(mask) != len(network.streets):
        msg = f"streets has {len(mask)} entries, the network {len(network.streets)} streets: they must agree"
        raise InputError(msg)
    return np.flatnonzero(mask).astype(np.int32)


def _snaps(n: int, reason: npt.NDArray[np.object_]) -> Snaps:
    """Give `n` rejected points: street -1, legs NaN and 0."""
    return Snaps(
        street=np.full(n, -1, dtype=np.int32),
        fraction=np.zeros(n),
        access_m=np.full(n, np.nan),
        access_ms=np.zeros(n, dtype=np.int64),
        reason=reason,
    )


def _nearest_line(
    lines: npt.NDArray[np.object_],
    points: npt.NDArray[np.object_],
    no_leaving_start: npt.NDArray[np.bool_],
    no_leaving_end: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """
    Nearest line of each point (-1 where none) and its distance [m].

    Of equally near lines the lowest number wins among those that the point does not meet at an end from which they
    cannot be left.
    """
    tree = shapely.STRtree(lines)
    (point, _), shortest = tree.query_nearest(points, return_distance=True, all_matches=False)
    distance = np.full(len(points), np.inf)
    distance[point] = shortest
    reached = np.flatnonzero(np.isfinite(distance))
    near, line = tree.query(points[reached], predicate="dwithin", distance=distance[reached] + _TIE_M)
    at = _fraction(lines[line], points[reached[near]])
    trapped = ((at == 0.0) & no_leaving_start[line]) | ((at == 1.0) & no_leaving_end[line])
    order = np.lexsort((line, trapped, near))
    first = np.unique(near[order], return_index=True)[1]
    nearest = np.full(len(points), -1, dtype=np.int64)
    nearest[reached[near[order[first]]]] = line[order[first]]
    return nearest, distance


def _fraction(lines: npt.NDArray[np.object_], points: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Position along each line by length, exactly 0 or 1 within a micrometre of an end; 0 on a line without length."""
    length = shapely.length(lines)
    along = np.asarray(shapely.line_locate_point(lines, points), dtype=np.float64)
    fraction = np.divide(along, length, out=np.zeros(len(lines)), where=length > 0)
    at_end = (length - along <= _TIE_M) & (along > _TIE_M)
    return np.where(along <= _TIE_M, 0.0, np.where(at_end, 1.0, fraction))
