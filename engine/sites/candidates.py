"""Places along streets where something could be built, and why the others were rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.projection import WGS84
from engine.sites.carriageway import faces_median, on_another_carriageway, real_streets
from engine.sites.kerb import Kerbs, flag, kerbs, one_way, text
from engine.snapping import LocalMetres, local_metres

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Obstacles = Mapping[str, "gpd.GeoSeries | gpd.GeoDataFrame | npt.NDArray[np.object_]"]
"""Geometries by kind (``tree``, ``building``, ``crossing`` …), EPSG:4326."""


LOOP_M = 150.0
"""[m] A street that ends where it begins and is shorter than this is a turning loop, not a block."""


@dataclass(frozen=True)
class KerbRule:
    """
    Where along a street a site of one kind may stand.

    Attributes
    ----------
    spacing_m
        [m] Candidates of one side of one street are at least this far apart.
    junction_clearance_m
        [m] Along the street from its own ends where three or more streets meet, and in a straight line from every
        such node.
    offset_m
        [m] From the kerb: positive stands on the pavement, negative in the carriageway (a parking place).
    classes
        Values of ``highway`` that may take a site, as does a street of unknown class; None takes every street.
    min_width_m
        [m] Kerb to kerb.
    needs_parking
        Only sides where parking is tagged, or not known and the street is at least `min_width_m` wide.
    needs_pavement
        Sides tagged as having no pavement are out.
    clearance_m
        [m] Least distance to the obstacles of each kind; a kind that is not named is not looked at.
    avoid_median
        Sides that face the opposite carriageway of the same street are out.
    apart_m
        [m] Candidates nearer than this to an earlier one are dropped (parallel carriageways); 0 keeps all.
    other_street_m
        [m] Least distance to the kerb of any other street; None takes the offset where that is negative, else 0.
    """

    spacing_m: float
    junction_clearance_m: float
    offset_m: float
    classes: frozenset[str] | None = None
    min_width_m: float = 0.0
    needs_parking: bool = False
    needs_pavement: bool = False
    clearance_m: Mapping[str, float] = field(default_factory=dict)
    avoid_median: bool = False
    apart_m: float = 0.0
    other_street_m: float | None = None

    def __post_init__(self) -> None:
        if not self.spacing_m > 0:
            msg = f"spacing_m is {self.spacing_m}: expected more than 0"
            raise InputError(msg)


class Candidates(NamedTuple):
    """
    Candidate sites, and how many places were rejected for each reason.

    Attributes
    ----------
    points
        One row a candidate, in order of street, position and side: ``street``, ``fraction``, ``side``
        (``left`` or ``right`` of u→v), ``lon``, ``lat``, ``name``, ``highway``, ``width_m``, ``width_known``,
        ``parking`` and ``pavement`` (``yes``, ``no``, ``unknown``); geometry EPSG:4326.
    rejected
        Places looked at and left out, by the first reason that applied.
    """

    points: gpd.GeoDataFrame
    rejected: dict[str, int]


class _Places(NamedTuple):
    """Positions looked at, one entry a side."""

    street: npt.NDArray[np.int64]
    fraction: FloatArray
    along_m: FloatArray
    left: BoolArray
    xy: FloatArray
    lon_lat: FloatArray


def street_side_candidates(
    network: StreetNetwork,
    rule: KerbRule,
    *,
    obstacles: Obstacles | None = None,
    within: BaseGeometry | None = None,
) -> Candidates:
    """
    Walk along both kerbs of every street and keep the places where a site could stand.

    Places are centred on each street, ``floor(length / spacing)`` a side (at least one), so that two are
    never nearer than the spacing. Each rejected place is counted under the first of: ``outside_area``, ``class``,
    ``bridge_or_tunnel``, ``roundabout`` (also a turning loop), ``too_narrow``, ``near_junction``, ``no_parking``,
    ``no_pavement``, ``on_another_street``, ``faces_median``, ``near_<kind>`` in the order of `obstacles`,
    ``near_another_candidate``.

    Parameters
    ----------
    network
        The streets; attributes are read as `engine.sites.kerb.kerbs` says, and may all be missing.
    rule
        What is asked of a place.
    obstacles
        Geometries to keep away from; those of kinds that ``rule.clearance_m`` does not name are ignored.
    within
        [deg] Area that may be built in; streets that do not touch its box are not even counted. None: everywhere.

    Returns
    -------
    Candidates
        Deterministic: a function of the tables alone.

    Notes
    -----
    Time O(places · log(obstacles)). Distances are metric, in a plane around the network.
    """
    sides = kerbs(network.streets)
    places = _places(network, sides, rule, within)
    reason = np.full(len(places.street), "", dtype=object)
    if within is not None:
        shapely.prepare(within)
        _mark(reason, ~shapely.contains_xy(within, places.lon_lat), "outside_area")
    _reject_streets(reason, network, sides, places, rule)
    _mark(reason, _near_junction(network, places, rule.junction_clearance_m), "near_junction")
    parking, pavement = (
        _side(sides.parking_left, sides.parking_right, places),
        _side(sides.pavement_left, sides.pavement_right, places),
    )
    if rule.needs_parking:
        _mark(reason, parking == 0, "no_parking")
    if rule.needs_pavement:
        _mark(reason, pavement == 0, "no_pavement")
    open_ = np.flatnonzero(reason == "")
    xy, street = places.xy[open_], places.street[open_]
    margin = min(rule.offset_m, 0.0) if rule.other_street_m is None else rule.other_street_m
    taken = on_another_carriageway(network, sides.width_m, xy, street, margin_m=margin)
    reason[open_[taken]] = "on_another_street"
    if rule.avoid_median:
        open_ = np.flatnonzero(reason == "")
        facing = faces_median(network, places.xy[open_], places.street[open_], places.left[open_])
        reason[open_[facing]] = "faces_median"
    for kind, geometry in (obstacles or {}).items():
        clearance = rule.clearance_m.get(kind, 0.0)
        if clearance > 0:
            open_ = np.flatnonzero(reason == "")
            close = near(places.xy[open_], geometry, local_metres(network), within_m=clearance)
            reason[open_[close]] = f"near_{kind}"
    open_ = np.flatnonzero(reason == "")
    reason[open_[_crowded(places.xy[open_], rule.apart_m)]] = "near_another_candidate"
    kept = np.flatnonzero(reason == "")
    reasons, counts = np.unique(reason[reason != ""].astype(str), return_counts=True)
    return Candidates(
        _table(network, sides, places, parking, pavement, kept),
        {str(r): int(c) for r, c in zip(reasons, counts, strict=True)},
    )


def near(xy: FloatArray, geometry: Any, plane: LocalMetres, *, within_m: float) -> BoolArray:
    """
    Tell which points lie nearer than a distance to any geometry.

    Parameters
    ----------
    xy
        [m] Points in `plane`, shape (points, 2).
    geometry
        GeoSeries, GeoDataFrame or array of shapely geometries, EPSG:4326; empty and missing ones are ignored.
    plane
        The metric plane.
    within_m
        [m] Strictly nearer counts.

    Returns
    -------
    numpy.ndarray
        Shape (points,).
    """
    shapes = _shapes(geometry)
    result = np.zeros(len(xy), bool)
    if not len(shapes) or not len(xy):
        return result
    flat = shapely.transform(shapes, plane.project)
    is_point = shapely.get_type_id(flat) == shapely.GeometryType.POINT
    if is_point.any():
        distance, _ = cKDTree(shapely.get_coordinates(flat[is_point])).query(
            xy, distance_upper_bound=within_m
        )
        result |= distance < within_m
    if (~is_point).any():
        points = np.asarray(shapely.points(xy), dtype=object)
        # the shapes ask the tree of points: what asks is prepared, and a shape of many vertices is worth it
        other, hit = shapely.STRtree(points).query(flat[~is_point], predicate="dwithin", distance=within_m)
        close = shapely.distance(points[hit], flat[~is_point][other]) < within_m
        result[hit[close]] = True
    return result


def _places(network: StreetNetwork, sides: Kerbs, rule: KerbRule, within: BaseGeometry | None) -> _Places:
    """Every position looked at, before any is rejected."""
    counts = np.maximum(1, np.floor(network.length_m / rule.spacing_m)).astype(np.int64)
    counts[~real_streets(network)] = 0
    if within is not None:
        counts[~shapely.intersects(network.geometry, shapely.box(*within.bounds))] = 0
    street = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(street)) - np.repeat(np.cumsum(counts) - counts, counts)
    fraction = (step + 0.5) / counts[street]
    xy, _, heading = positions(network, street, fraction)
    street, fraction = np.repeat(street, 2), np.repeat(fraction, 2)
    left = np.tile([True, False], len(xy))
    xy, heading = (np.repeat(a, 2, axis=0) for a in (xy, heading))
    reach = sides.width_m[street] / 2 + rule.offset_m
    turn = np.where(left, 1.0, -1.0) * reach
    shift = np.column_stack([-heading[:, 1] * turn, heading[:, 0] * turn])
    plane = local_metres(network)
    stands = plane.unproject(xy + shift)
    flat = plane.project(stands)  # what is checked is the place that is published
    return _Places(street, fraction, fraction * network.length_m[street], left, flat, stands)


def positions(
    network: StreetNetwork, street: npt.NDArray[np.int64], fraction: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """
    Points on streets.

    Parameters
    ----------
    network
        The streets.
    street, fraction
        Where, shape (points,).

    Returns
    -------
    tuple
        [m] positions in `local_metres`, [deg] longitude and latitude, and the unit direction u→v, each
        (points, 2).
    """
    if not len(street):
        return np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2))
    flat = local_metres(network).project(network.coords)
    step = np.hypot(*np.diff(flat, axis=0).T)
    last = network.offsets[1:-1] - 1
    step[last] = 0.0  # between two streets
    run = np.concatenate([[0.0], np.cumsum(step)])
    begin, end = network.offsets[street], network.offsets[street + 1] - 1
    target = run[begin] + fraction * (run[end] - run[begin])
    at = np.clip(np.searchsorted(run, target, side="right") - 1, begin, np.maximum(end - 1, begin))
    length = run[at + 1] - run[at]
    share = np.divide(target - run[at], length, out=np.zeros(len(at)), where=length > 0)[:, None]
    xy = flat[at] + share * (flat[at + 1] - flat[at])
    lon_lat = network.coords[at] + share * (network.coords[at + 1] - network.coords[at])
    way = flat[at + 1] - flat[at]
    norm = np.hypot(way[:, 0], way[:, 1])[:, None]
    return xy, lon_lat, np.divide(way, norm, out=np.tile([1.0, 0.0], (len(at), 1)), where=norm > 0)


def _reject_streets(
    reason: npt.NDArray[np.object_], network: StreetNetwork, sides: Kerbs, places: _Places, rule: KerbRule
) -> None:
    """What rules out a whole street."""
    if rule.classes is not None:
        known = text(network.streets, "highway").astype(str)
        allowed = np.isin(known, sorted(rule.classes)) | (known == "")
        _mark(reason, ~allowed[places.street], "class")
    carried = flag(network.streets, "bridge") | flag(network.streets, "tunnel")
    _mark(reason, carried[places.street], "bridge_or_tunnel")
    _mark(reason, _turns_round(network)[places.street], "roundabout")
    _mark(reason, (sides.width_m < rule.min_width_m)[places.street], "too_narrow")


def _turns_round(network: StreetNetwork) -> BoolArray:
    """Roundabouts, and loops too short to be anything but a place to turn."""
    loop = (network.u == network.v) & (network.length_m < LOOP_M)
    return np.asarray(flag(network.streets, "roundabout") | loop, bool)


def _near_junction(network: StreetNetwork, places: _Places, clearance_m: float) -> BoolArray:
    """Places nearer than the clearance to a junction: along their own street, or in a straight line to any."""
    real = real_streets(network)
    ends = np.concatenate([network.u[real], network.v[real]])
    meeting = np.bincount(ends, minlength=network.n_vertices) >= 3
    length = network.length_m[places.street]
    at_u = meeting[network.u[places.street]] & (places.along_m < clearance_m)
    at_v = meeting[network.v[places.street]] & (length - places.along_m < clearance_m)
    near_any = np.zeros(len(places.street), bool)
    if meeting.any() and len(places.street) and clearance_m > 0:
        nodes = local_metres(network).project(np.column_stack([network.lon, network.lat])[meeting])
        distance = cKDTree(nodes).query(places.xy, distance_upper_bound=clearance_m)[0]
        near_any = distance < clearance_m
    return np.asarray(at_u | at_v | near_any, bool)


def _crowded(xy: FloatArray, apart_m: float) -> BoolArray:
    """Points nearer than `apart_m` to an earlier point that stays."""
    dropped = np.zeros(len(xy), bool)
    if apart_m <= 0 or len(xy) < 2:
        return dropped
    pairs = cKDTree(xy).query_pairs(apart_m, output_type="ndarray")
    pairs = pairs[np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T) < apart_m]
    pairs = np.sort(pairs, axis=1)
    for first, second in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
        dropped[second] |= not dropped[first]
    return dropped


def _side(left: npt.NDArray[np.int8], right: npt.NDArray[np.int8], places: _Places) -> npt.NDArray[np.int8]:
    return np.where(places.left, left[places.street], right[places.street])


def _mark(reason: npt.NDArray[np.object_], hit: BoolArray, why: str) -> None:
    reason[hit & (reason == "")] = why


def _shapes(geometry: Any) -> npt.NDArray[np.object_]:
    if isinstance(geometry, gpd.GeoDataFrame):
        geometry = geometry.geometry
    if isinstance(geometry, gpd.GeoSeries):
        if geometry.crs is not None and not geometry.crs.equals(WGS84):
            geometry = geometry.to_crs(WGS84)
        geometry = geometry.to_numpy()
    shapes = np.asarray(geometry, dtype=object)
    return np.asarray(shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))])


def _table(
    network: StreetNetwork,
    sides: Kerbs,
    places: _Places,
    parking: npt.NDArray[np.int8],
    pavement: npt.NDArray[np.int8],
    kept: npt.NDArray[np.int64],
) -> gpd.GeoDataFrame:
    street = places.street[kept]
    words = np.array(["unknown", "no", "yes"])
    columns = {
        "street": street.astype(np.int32),
        "fraction": places.fraction[kept],
        "side": np.where(places.left[kept], "left", "right"),
        "lon": places.lon_lat[kept, 0],
        "lat": places.lon_lat[kept, 1],
        "name": text(network.streets, "name")[street],
        "highway": text(network.streets, "highway")[street],
        "width_m": sides.width_m[street],
        "width_known": sides.width_known[street],
        "oneway": one_way(network.streets)[street],
        "parking": words[parking[kept] + 1],
        "pavement": words[pavement[kept] + 1],
    }
    table = pd.DataFrame(columns).astype(
        {"name": "str", "highway": "str", "side": "str", "parking": "str", "pavement": "str"}
    )
    return gpd.GeoDataFrame(table, geometry=shapely.points(places.lon_lat[kept]), crs=WGS84)
