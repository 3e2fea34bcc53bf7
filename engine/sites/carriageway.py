"""How a place at the kerb lies to other carriageways: on one of them, or between the two of a divided street."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from engine.network.street_network import StreetNetwork
from engine.sites.kerb import one_way, text
from engine.snapping import metric_streets

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MEDIAN_M = 25.0
"""[m] The opposite carriageway of a divided street is looked for within this distance."""


def real_streets(network: StreetNetwork) -> BoolArray:
    """True for streets that lie on the ground: not the copies made for turns, not the lines drawn across squares."""
    real = np.ones(len(network.streets), bool)
    for column in ("turn_copy", "area_crossing"):
        if column in network.streets:
            real &= ~network.streets[column].fillna(False).to_numpy(bool)
    return real


def on_another_carriageway(
    network: StreetNetwork,
    width_m: FloatArray,
    xy: FloatArray,
    street: npt.NDArray[np.int64],
    *,
    margin_m: float,
) -> BoolArray:
    """
    Places that fall on the carriageway of a street other than their own.

    Parameters
    ----------
    network
        The streets.
    width_m
        [m] Kerb to kerb, shape (streets,).
    xy
        [m] Places in `engine.snapping.local_metres`, shape (places, 2).
    street
        Own street of each place.
    margin_m
        [m] Added to half the width of the other street: negative where a place stands in the parking lane itself,
        positive where it needs room to the other kerb.

    Returns
    -------
    numpy.ndarray
        Shape (places,).
    """
    result = np.zeros(len(xy), bool)
    if not len(xy):
        return result
    points, lines = _points(xy), metric_streets(network)
    reach = float(width_m.max()) / 2 + max(margin_m, 0.0)
    hit, other = shapely.STRtree(lines).query(points, predicate="dwithin", distance=reach)
    foreign = (other != street[hit]) & real_streets(network)[other]
    hit, other = hit[foreign], other[foreign]
    inside = shapely.distance(points[hit], lines[other]) < width_m[other] / 2 + margin_m
    result[hit[inside]] = True
    return result


def faces_median(
    network: StreetNetwork, xy: FloatArray, street: npt.NDArray[np.int64], left: BoolArray
) -> BoolArray:
    """
    Places on the side of a one-way street that faces the opposite carriageway of the same name.

    Parameters
    ----------
    network
        The streets; without names nothing is known to be divided.
    xy
        [m] Places in `engine.snapping.local_metres`, shape (places, 2).
    street, left
        Own street and side of each place.

    Returns
    -------
    numpy.ndarray
        Shape (places,). True where a one-way street of the same name within `MEDIAN_M`, driven the other way (within
        about 25°), lies on that side.
    """
    result = np.zeros(len(xy), bool)
    name = text(network.streets, "name")
    divided = one_way(network.streets) & (name != "") & real_streets(network)
    ask = np.flatnonzero(divided[street])
    if not len(ask):
        return result
    lines = metric_streets(network)
    other_rows = np.flatnonzero(divided)
    hit, found = shapely.STRtree(lines[other_rows]).query(
        _points(xy[ask]), predicate="dwithin", distance=MEDIAN_M
    )
    place, other = ask[hit], other_rows[found]
    same = (name[other] == name[street[place]]) & (other != street[place])
    place, other = place[same], other[same]
    if not len(place):
        return result
    own = street[place]
    where = _points(xy[place])
    nearest = shapely.line_interpolate_point(lines[other], shapely.line_locate_point(lines[other], where))
    mine = shapely.line_interpolate_point(lines[own], shapely.line_locate_point(lines[own], where))
    away = shapely.get_coordinates(nearest) - shapely.get_coordinates(mine)
    drawn = _heading(lines[own], where)
    turn = np.where(left[place], 1.0, -1.0)[:, None]
    outward = np.column_stack([-drawn[:, 1], drawn[:, 0]]) * turn
    on_side = (away * outward).sum(axis=1) > 0
    there = _heading(lines[other], where) * _sense(network, other)
    back = (there * drawn * _sense(network, own)).sum(axis=1) < -0.9  # cos 154°
    result[place[on_side & back]] = True
    return result


def _points(xy: FloatArray) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.points(xy), dtype=object)


def _sense(network: StreetNetwork, street: npt.NDArray[np.int64]) -> FloatArray:
    """1 where a one-way street is driven as drawn, -1 where against it, as a column."""
    return np.where(network.forward_ms[street] >= 0, 1.0, -1.0)[:, None]


def _heading(lines: npt.NDArray[np.object_], points: npt.NDArray[np.object_]) -> FloatArray:
    """Unit direction of each line, as drawn, over the two metres about the point nearest to each place."""
    at = shapely.line_locate_point(lines, points)
    begin = shapely.get_coordinates(shapely.line_interpolate_point(lines, np.maximum(at - 1.0, 0.0)))
    end = shapely.get_coordinates(
        shapely.line_interpolate_point(lines, np.minimum(at + 1.0, shapely.length(lines)))
    )
    way = end - begin
    norm = np.hypot(way[:, 0], way[:, 1])[:, None]
    return np.divide(way, norm, out=np.zeros_like(way), where=norm > 0)


WALKWAYS = frozenset({"footway", "path", "steps", "cycleway", "bridleway"})
"""Classes mapped apart from the carriageway: nothing may stand on their line."""


def walkways(network: StreetNetwork) -> npt.NDArray[np.object_]:
    """[deg] Footways, crossings and cycleways mapped on their own, EPSG:4326; not the lines drawn across squares."""
    if not len(network.streets):
        return np.empty(0, dtype=object)
    own = np.isin(text(network.streets, "highway").astype(str), sorted(WALKWAYS))
    return np.asarray(network.geometry[own & real_streets(network)], dtype=object)
