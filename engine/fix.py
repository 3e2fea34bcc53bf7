"""Single changes that would bring a cell within the threshold: each one measured as the run measures, then named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from engine.errors import InputError
from engine.places.entrance import OPEN_M
from engine.projection import WGS84, local_equal_area
from engine.scoring import THRESHOLD_MIN
from engine.surroundings import Surroundings, times_from, times_on

FixKind = Literal["gate", "path", "place"]
EFFORT: tuple[FixKind, ...] = ("gate", "path", "place")
"""Changes from the least effort to the most: an order, not a price. A gate is opened, a path built, a place founded."""

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_MS = 60_000.0
_STEP_M = 20.0
"""[m] Spacing of the points of streets between which new paths are looked for."""
_TRIES = 12
"""Changes of one kind that are measured before the kind is given up."""
_ROUNDING_MIN = 1e-3
"""[min] A street that is cut takes whole milliseconds in each part: a change must do better than this."""


@dataclass(frozen=True)
class Fix:
    """
    One change that would bring a category within the threshold.

    Attributes
    ----------
    kind
        ``gate``: a way into a park where it has none now; ``path``: a link between two streets; ``place``: a
        new place.
    minutes
        [min] The cell's mean time after the change.
    lon, lat
        [deg] Where; the first end of a path.
    length_m
        [m] Length of a path, 0 otherwise.
    text
        The change in words.
    line
        The path, EPSG:4326.
    """

    kind: FixKind
    minutes: float
    lon: float
    lat: float
    length_m: float
    text: str
    line: shapely.LineString | None = None


@dataclass(frozen=True)
class FixRules:
    """
    Which changes are looked for.

    Attributes
    ----------
    threshold_min
        [min] The threshold.
    access_speed_kmh
        [km/h] Speed on a new path and from a street to a gate.
    max_path_m
        [m] Longest new path. What lies between (water, rails, houses) is not checked, and the text says so.
    gate_m
        [m] Farthest that a new gate may lie from a street.
    """

    threshold_min: float = THRESHOLD_MIN
    access_speed_kmh: float = 5.0
    max_path_m: float = 150.0
    gate_m: float = OPEN_M

    def __post_init__(self) -> None:
        if not all(x > 0 for x in (self.threshold_min, self.access_speed_kmh, self.max_path_m, self.gate_m)):
            msg = f"{self}: expected numbers above 0"
            raise InputError(msg)


def find_fixes(around: Surroundings, *, minutes: float, label: str, rules: FixRules) -> tuple[Fix, ...]:
    """
    Find single changes that would bring a category within the threshold, least effort first.

    1. ``gate``: into a park of the category, wherever its edge lies near a street that is within the
    threshold.
    2. ``path``: the shortest straight link between a street that is near the cell and one that is near a
    place.
    3. ``place``: a new place, for instance where the cell is.

    At most one of each kind: of gates the nearest, of paths the shortest. Candidates are sought from the cell's
    point; each is then measured over all the cell's streets, and only one that brings the mean within is named.
    A candidate that falls short says how much time the next must gain; after `_TRIES` the kind is left out.

    Parameters
    ----------
    around
        The cell, its point, the network, the times to the category.
    minutes
        [min] The cell's mean time; NaN where unreachable.
    label
        What people call the category.
    rules
        Which changes.
    """
    limit = _target(around, minutes, rules.threshold_min)
    out_ms = times_from(around.network, around.street, around.fraction)
    here = shapely.line_interpolate_point(
        around.network.geometry[around.street], around.fraction, normalized=True
    )
    crs = local_equal_area(gpd.GeoDataFrame(geometry=[here], crs=WGS84))
    near, beyond = _points(around, crs, out_ms, limit), _points(around, crs, None, limit)
    found = {
        "gate": _gate(around, near, crs, limit, rules),
        "path": _path(around, near, beyond, crs, limit, rules),
        "place": _place(around, here, label, rules),
    }
    return tuple(fix for kind in EFFORT if (fix := found[kind]) is not None)


def fix_as_proposal(fix: Fix, *, category: str, mode: str, rules: FixRules) -> dict[str, Any]:
    """
    Write a change as a proposal file, to be compared with others or applied to the whole city.

    Parameters
    ----------
    fix
        The change.
    category
        Category of the run that it is for.
    mode
        Mode that it is for: a path is open to it alone.
    rules
        The rules it was found by: the speed on a path.

    Returns
    -------
    dict
        A GeoJSON FeatureCollection as `engine.proposals.geojson.parse_proposal` reads it.
    """
    properties: dict[str, Any] = {"edit": "add_amenity", "category": category, "name": fix.text}
    geometry: Mapping[str, Any] = {"type": "Point", "coordinates": [round(fix.lon, 7), round(fix.lat, 7)]}
    if fix.line is not None:
        properties = {
            "edit": "add_street",
            "modes": [mode],
            "speed_kmh": rules.access_speed_kmh,
            "name": fix.text,
        }
        ends = shapely.get_coordinates(fix.line).round(7).tolist()
        geometry = {"type": "LineString", "coordinates": ends}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    return {"type": "FeatureCollection", "name": fix.text, "features": [feature]}


def _target(around: Surroundings, minutes: float, threshold: float) -> float:
    """[ms] Time that the cell's point must not exceed for the cell's mean to keep the threshold."""
    limit, now = threshold * _MS, _time_at(around, around.street, around.fraction)
    if not np.isfinite(now) or not np.isfinite(minutes):
        return limit
    return min(limit, now - max(minutes - threshold, 0.0) * _MS)


def _time_at(around: Surroundings, street: int, fraction: float) -> float:
    """[ms] Time from a point to the nearest place."""
    return float(around.times_at(np.array([street]), np.array([fraction]))[0])


class _Points(NamedTuple):
    """Points of streets: where [m], on which street and at which part of it, and a time from the cell or to a place."""

    xy: _Floats
    ms: _Floats
    street: _Ints
    fraction: _Floats

    def some(self, which: npt.NDArray[Any]) -> _Points:
        """Some of the points."""
        return _Points(*(column[which] for column in self))


def _points(around: Surroundings, crs: Any, out_ms: _Ints | None, limit: float) -> _Points:
    """
    Points every 20 m along the streets that are within the limit.

    `out_ms`: times from the cell to every vertex, and on along the street; None: from the points to the place.
    """
    network = around.network
    at_vertex = np.asarray(around.field_ms, dtype=np.int64) if out_ms is None else out_ms
    street = np.flatnonzero(np.minimum(at_vertex[network.u], at_vertex[network.v]) <= limit)
    steps = np.maximum(np.ceil(network.length_m[street] / _STEP_M).astype(np.int64), 1) + 1
    row = np.repeat(street, steps)
    place = np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps)
    x = place / np.repeat(steps - 1, steps)
    ms = around.times_at(row, x) if out_ms is None else times_on(network, out_ms, row, x)
    lines = gpd.GeoSeries(network.geometry[street], crs=WGS84).to_crs(crs).to_numpy()
    points = shapely.line_interpolate_point(np.repeat(lines, steps), x, normalized=True)
    return _Points(shapely.get_coordinates(points), ms, row, x).some(ms <= limit)


def _first_within(
    total: _Floats, order: _Ints, mean_of: Callable[[int], float], rules: FixRules
) -> tuple[int, float] | None:
    """
    Take the first candidate, in an order, that brings the cell's mean within the threshold.

    Parameters
    ----------
    total
        [ms] Time of each candidate from the cell's point.
    order
        Candidates from the first to be tried.
    mean_of
        [min] The cell's mean with a candidate.
    rules
        The threshold.

    Returns
    -------
    (int, float) or None
        The candidate and the mean.
    """
    for _ in range(_TRIES):
        if not len(order):
            return None
        tried = int(order[0])
        mean = mean_of(tried)
        if mean <= rules.threshold_min - _ROUNDING_MIN:
            return tried, mean
        order = order[1:]
        if np.isfinite(mean):
            order = order[total[order] < total[tried] - (mean - rules.threshold_min) * _MS]
    return None


def _gate(around: Surroundings, near: _Points, crs: Any, limit: float, rules: FixRules) -> Fix | None:
    """Find the park edge that is soonest reached if there were a gate."""
    parks = around.parks
    if parks is None or parks.empty or not len(near.ms):
        return None
    edges = shapely.boundary(parks.geometry.to_crs(crs).to_numpy())
    points = np.asarray(shapely.points(near.xy), dtype=object)
    point, park = shapely.STRtree(edges).query(points, predicate="dwithin", distance=rules.gate_m)
    leg = shapely.distance(points[point], edges[park])
    total = near.ms[point] + leg * 3600.0 / rules.access_speed_kmh
    order = np.lexsort((park, point, total))

    def gate(k: int) -> tuple[float, float]:
        spot = shapely.get_point(shapely.shortest_line(edges[park[k]], points[point[k]]), 0)
        where = gpd.GeoSeries([spot], crs=crs).to_crs(WGS84).iloc[0]
        return float(where.x), float(where.y)

    found = _first_within(
        total, order[total[order] <= limit], lambda k: around.mean_with_place_at(*gate(k)), rules
    )
    if found is None:
        return None
    best, minutes = found
    name = str(parks["name"].iloc[park[best]]) or "an unnamed park"
    return Fix("gate", minutes, *gate(best), 0.0, f"A gate into {name} on this side: {minutes:.1f} min.")


def _path(
    around: Surroundings, near: _Points, beyond: _Points, crs: Any, limit: float, rules: FixRules
) -> Fix | None:
    """Find the shortest straight link that brings a place within the limit."""
    near = _worthwhile(near, beyond, limit, rules.max_path_m)
    beyond = _worthwhile(beyond, near, limit, rules.max_path_m)
    if not len(near.ms) or not len(beyond.ms):
        return None
    pairs = cKDTree(near.xy).sparse_distance_matrix(
        cKDTree(beyond.xy), rules.max_path_m, output_type="ndarray"
    )
    a, b, length = pairs["i"], pairs["j"], pairs["v"]
    link = length * 3600.0 / rules.access_speed_kmh
    total = near.ms[a] + link + beyond.ms[b]
    good = np.flatnonzero(total <= limit)
    order = good[np.lexsort((b[good], a[good], total[good], np.round(length[good], 3)))]

    def mean(k: int) -> float:
        here = (int(near.street[a[k]]), float(near.fraction[a[k]]))
        there = (int(beyond.street[b[k]]), float(beyond.fraction[b[k]]))
        ends = ((here, beyond.ms[b[k]]), (there, _time_at(around, *here)))
        return around.mean_with(*((*end, int(np.ceil(link[k] + ms))) for end, ms in ends if np.isfinite(ms)))

    found = _first_within(total, order, mean, rules)
    if found is None:
        return None
    best, minutes = found
    line = shapely.LineString(np.stack([near.xy[a[best]], beyond.xy[b[best]]]))
    drawn = gpd.GeoSeries([line], crs=crs).to_crs(WGS84).iloc[0]
    metres = float(length[best])
    text = f"A new path of {max(metres, 1.0):.0f} m: {minutes:.1f} min. What lies between is not checked."
    lon, lat = shapely.get_coordinates(drawn)[0]
    return Fix("path", minutes, float(lon), float(lat), metres, text, drawn)


def _place(around: Surroundings, here: Any, label: str, rules: FixRules) -> Fix | None:
    """A new place at the cell's point."""
    minutes = around.mean_with_place_at(float(here.x), float(here.y))
    if minutes > rules.threshold_min:
        return None
    text = f"A new place ({label}), for instance here: {minutes:.1f} min."
    return Fix("place", minutes, float(here.x), float(here.y), 0.0, text)


def _worthwhile(points: _Points, others: _Points, limit: float, radius: float) -> _Points:
    """Keep points that have a point of the others near enough and soon enough, judged on a grid: most have none."""
    if not len(points.ms) or not len(others.ms):
        return points.some(np.arange(0))
    low = np.minimum(points.xy.min(axis=0), others.xy.min(axis=0)) - radius
    own, theirs = (((p.xy - low) // radius).astype(np.int64) for p in (points, others))
    soonest = np.full(np.maximum(own.max(axis=0), theirs.max(axis=0)) + 2, np.inf)
    np.minimum.at(soonest, (theirs[:, 0], theirs[:, 1]), others.ms)
    around = minimum_filter(soonest, size=3, mode="nearest")[own[:, 0], own[:, 1]]
    return points.some(points.ms + around <= limit)
