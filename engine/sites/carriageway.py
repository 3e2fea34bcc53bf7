"""How a place at the kerb lies to other carriageways: on one of them, or between the two of a divided street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from engine.network.street_network import StreetNetwork
from engine.sites.kerb import one_way, text
from engine.snapping import metric_coords, metric_streets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MEDIAN_M = 25.0
"""[m] The opposite carriageway of a divided street is looked for within this distance."""


def real_streets(network: StreetNetwork) -> BoolArray:
    """True for streets that lie on the ground: not the copies made for turns, not the lines drawn across squares."""
    real = np.ones(len(network.streets), bool)
    for column in ("copy", "area_crossing"):
        if column in network.streets:
            real &= ~network.streets[column].fillna(False).to_numpy(bool)
    return real


@dataclass(frozen=True, eq=False)
class Carriageways:
    """
    The carriageways of a network; places are asked about a portion at a time.

    Attributes
    ----------
    network
        The streets.
    width_m
        [m] Kerb to kerb, shape (streets,).
    real, name, divided
        Whether a street lies on the ground, what it is called, and whether it may be one half of a divided street.
    box
        [m] Least and greatest easting and northing in `engine.snapping.local_metres`, shape (streets, 4).
    """

    network: StreetNetwork
    width_m: FloatArray
    real: BoolArray
    name: npt.NDArray[np.object_]
    divided: BoolArray
    box: FloatArray

    @classmethod
    def of(cls, network: StreetNetwork, width_m: FloatArray) -> Carriageways:
        """Read a network; O(vertices of its streets)."""
        real, name = real_streets(network), text(network.streets, "name")
        divided = one_way(network.streets) & (name != "") & real
        return cls(network, width_m, real, name, divided, street_boxes(network))

    def on_another(self, xy: FloatArray, street: IntArray, *, margin_m: float) -> BoolArray:
        """
        Places that fall on the carriageway of a street other than their own.

        Parameters
        ----------
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
        reach = float(self.width_m.max()) / 2 + max(margin_m, 0.0)
        rows, lines = self._around(xy, reach, self.real)
        points = _points(xy)
        hit, near = shapely.STRtree(lines).query(points, predicate="dwithin", distance=reach)
        foreign = rows[near] != street[hit]
        hit, near = hit[foreign], near[foreign]
        inside = shapely.distance(points[hit], lines[near]) < self.width_m[rows[near]] / 2 + margin_m
        result[hit[inside]] = True
        return result

    def faces_median(self, xy: FloatArray, street: IntArray, left: BoolArray) -> BoolArray:
        """
        Places on the side of a one-way street that faces the opposite carriageway of the same name.

        Parameters
        ----------
        xy
            [m] Places in `engine.snapping.local_metres`, shape (places, 2).
        street, left
            Own street and side of each place.

        Returns
        -------
        numpy.ndarray
            Shape (places,). True where a one-way street of the same name within `MEDIAN_M`, driven the other way
            (within about 25°), lies on that side. Without names nothing is known to be divided.
        """
        result = np.zeros(len(xy), bool)
        ask = np.flatnonzero(self.divided[street])
        if not len(ask):
            return result
        rows, lines = self._around(xy[ask], MEDIAN_M, self.divided)
        hit, near = shapely.STRtree(lines).query(_points(xy[ask]), predicate="dwithin", distance=MEDIAN_M)
        place, other = ask[hit], rows[near]
        same = (self.name[other] == self.name[street[place]]) & (other != street[place])
        place, other, line = place[same], other[same], lines[near[same]]
        if not len(place):
            return result
        where = _points(xy[place])
        own, mine = np.unique(street[place], return_inverse=True)
        drawn_on = metric_streets(self.network, own)[mine]
        away = shapely.get_coordinates(_nearest_on(line, where)) - shapely.get_coordinates(
            _nearest_on(drawn_on, where)
        )
        drawn = _heading(drawn_on, where)
        turn = np.where(left[place], 1.0, -1.0)[:, None]
        outward = np.column_stack([-drawn[:, 1], drawn[:, 0]]) * turn
        on_side = (away * outward).sum(axis=1) > 0
        there = _heading(line, where) * _sense(self.network, other)
        back = (there * drawn * _sense(self.network, street[place])).sum(axis=1) < -0.9  # cos 154°
        result[place[on_side & back]] = True
        return result

    def _around(
        self, xy: FloatArray, reach_m: float, of: BoolArray
    ) -> tuple[IntArray, npt.NDArray[np.object_]]:
        """Streets of some kind that may come within a distance of any place, and their lines in the plane."""
        rows = np.flatnonzero(of & meets(self.box, xy, reach_m))
        return rows, metric_streets(self.network, rows)


def street_boxes(network: StreetNetwork) -> FloatArray:
    """[m] Least and greatest easting and northing of each street in `engine.snapping.local_metres`, (streets, 4)."""
    if not len(network.streets):
        return np.empty((0, 4))
    xy, first = metric_coords(network), network.offsets[:-1]
    return np.hstack([np.minimum.reduceat(xy, first), np.maximum.reduceat(xy, first)])


def meets(box: FloatArray, xy: FloatArray, reach_m: float) -> BoolArray:
    """
    Tell which boxes meet the box around some points, widened.

    Parameters
    ----------
    box
        [m] Least and greatest coordinates, shape (boxes, 4).
    xy
        [m] Points, shape (points, 2); at least one.
    reach_m
        [m] How much the box of the points is widened, on every side.
    """
    low, high = xy.min(axis=0) - reach_m, xy.max(axis=0) + reach_m
    return np.asarray(((box[:, :2] <= high) & (box[:, 2:] >= low)).all(axis=1))


def _points(xy: FloatArray) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.points(xy), dtype=object)


def _nearest_on(line: npt.NDArray[np.object_], point: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """The nearest point of each line to its point."""
    return np.asarray(
        shapely.line_interpolate_point(line, shapely.line_locate_point(line, point)), dtype=object
    )


def _sense(network: StreetNetwork, street: IntArray) -> FloatArray:
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
