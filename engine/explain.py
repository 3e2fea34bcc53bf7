"""Why a cell has its number: the place, the way there, the runner-up, the slack, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.places.entrance import OPEN_M
from engine.projection import WGS84, local_equal_area
from engine.reach.graph import UNREACHABLE
from engine.scoring import THRESHOLD_MIN

FixKind = Literal["gate", "path", "place"]
EFFORT: tuple[FixKind, ...] = ("gate", "path", "place")
"""Changes from the least effort to the most: an order, not a price. A gate is opened, a path built, a place founded."""

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_MS = 60_000.0
_STEP_M = 20.0
"""[m] Spacing of the points of streets between which new paths are looked for."""


@dataclass(frozen=True)
class Reached:
    """A place and how far it is."""

    id: str
    name: str
    kind: str
    minutes: float


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
        [min] Time after the change, from the point that stands for the cell.
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
class CategoryExplanation:
    """
    Why a cell has its time to one category.

    Attributes
    ----------
    category, label
        The category.
    minutes
        [min] Mean over the cell's streets, the number on the map; None where unreachable.
    threshold_min, slack_min
        [min] The threshold, and how much time is left to it (negative: over it); None where unreachable.
    speed_needed_kmh
        [km/h] Speed at which the cell would be just within; None where it is, or nothing is reachable.
    nearest, runner_up
        The place that the number rests on, and the next one.
    route
        Way to the nearest place from the point of the cell where the time is its median, EPSG:4326.
    fixes
        Changes that would bring the cell within, least effort first; empty where it is.
    """

    category: str
    label: str
    minutes: float | None
    threshold_min: float
    slack_min: float | None
    speed_needed_kmh: float | None
    nearest: Reached | None
    runner_up: Reached | None
    route: shapely.LineString | None
    fixes: tuple[Fix, ...]

    @property
    def served(self) -> bool:
        """True where the threshold is kept, inclusive."""
        return self.slack_min is not None and self.slack_min >= 0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; lines are GeoJSON geometries."""
        return {
            "category": self.category,
            "label": self.label,
            "minutes": self.minutes,
            "served": self.served,
            "threshold_min": self.threshold_min,
            "slack_min": None if self.slack_min is None else round(self.slack_min, 6),
            "speed_needed_kmh": self.speed_needed_kmh,
            "nearest": None if self.nearest is None else vars(self.nearest).copy(),
            "runner_up": None if self.runner_up is None else vars(self.runner_up).copy(),
            "route": _geometry(self.route),
            "cheapest_fix": _fix_dict(self.fixes[0]) if self.fixes else None,
            "fixes": [_fix_dict(fix) for fix in self.fixes],
        }


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


@dataclass(frozen=True, eq=False)
class Surroundings:
    """
    What the changes for one cell and category are sought in.

    Attributes
    ----------
    network
        The streets of the mode.
    street, fraction
        The point that stands for the cell: a street and the position along it.
    field_ms
        [ms] Time from every vertex to the nearest place of the category, `UNREACHABLE` where none.
    parks
        Outlines of the category's green spaces with ``name``, EPSG:4326; None for other categories.
    """

    network: StreetNetwork
    street: int
    fraction: float
    field_ms: npt.NDArray[np.int32]
    parks: gpd.GeoDataFrame | None = field(default=None)


def explain_category(
    category: str,
    *,
    label: str,
    minutes: float,
    nearest: Reached | None,
    runner_up: Reached | None,
    route: shapely.LineString | None = None,
    surroundings: Surroundings | None = None,
    speed_kmh: float | None = None,
    rules: FixRules | None = None,
) -> CategoryExplanation:
    """
    Explain the time of one cell to one category.

    Parameters
    ----------
    category, label
        The category and what people call it.
    minutes
        [min] The cell's mean nearest time; NaN where unreachable.
    nearest, runner_up
        Nearest and second nearest place; None where there is none.
    route
        Way to the nearest place.
    surroundings
        Where changes are looked for; None looks for none.
    speed_kmh
        [km/h] Speed of the mode on the flat.
    rules
        Which changes; `FixRules` by default.
    """
    rules = rules or FixRules()
    reached = bool(np.isfinite(minutes))
    slack = rules.threshold_min - minutes if reached else None
    late = slack is not None and slack < 0
    fixes: tuple[Fix, ...] = ()
    if surroundings is not None and (late or not reached):
        fixes = find_fixes(surroundings, minutes=minutes, label=label, rules=rules)
    return CategoryExplanation(
        category=category,
        label=label,
        minutes=float(minutes) if reached else None,
        threshold_min=rules.threshold_min,
        slack_min=None if slack is None else float(slack),
        speed_needed_kmh=speed_kmh * minutes / rules.threshold_min
        if late and speed_kmh is not None
        else None,
        nearest=nearest,
        runner_up=runner_up,
        route=route,
        fixes=fixes,
    )


def times_from(network: StreetNetwork, street: int, fraction: float) -> _Ints:
    """
    Times from a point of a street to every vertex.

    Parameters
    ----------
    network
        The streets.
    street, fraction
        The point.

    Returns
    -------
    ndarray of int
        [ms] Shape (vertices,); `UNREACHABLE` where there is no way.

    Notes
    -----
    Two searches of igraph: O(arcs log vertices).
    """
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    out = np.full(network.n_vertices, int(UNREACHABLE), dtype=np.int64)
    starts = []
    if forward >= 0:
        starts.append((int(network.v[street]), forward - round(forward * fraction)))
    if backward >= 0:
        starts.append((int(network.u[street]), round(backward * fraction)))
    for vertex, first in starts:
        found = np.array(network.graph.distances(source=[vertex], weights="travel_time_ms", mode="out")[0])
        known = np.isfinite(found)
        out[known] = np.minimum(out[known], first + found[known].astype(np.int64))
    return out


def find_fixes(around: Surroundings, *, minutes: float, label: str, rules: FixRules) -> tuple[Fix, ...]:
    """
    Find single changes that would bring a category within the threshold, least effort first.

    1. ``gate``: into a park of the category, wherever its edge lies near a street that is within the
    threshold.
    2. ``path``: the shortest straight link between a street that is near the cell and one that is near a
    place.
    3. ``place``: a new place, for instance where the cell is.

    At most one of each kind: of gates the nearest, of paths the shortest. Where the cell's mean is over the
    threshold and its point is not, the point must gain what the mean is over.

    Parameters
    ----------
    around
        The cell's point, the network, the times to the category.
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
    field_ms = np.asarray(around.field_ms, dtype=np.int64)
    near = _points(around.network, crs, out_ms, limit, leaving=True)
    fixes = [
        _gate(near, around.parks, crs, limit, rules) if around.parks is not None else None,
        _path(near, _points(around.network, crs, field_ms, limit, leaving=False), crs, limit, rules),
        Fix("place", 0.0, float(here.x), float(here.y), 0.0, f"A new place ({label}), for instance here."),
    ]
    return tuple(fix for kind in EFFORT for fix in fixes if fix is not None and fix.kind == kind)


def _target(around: Surroundings, minutes: float, threshold: float) -> float:
    """[ms] Time that the cell's point must not exceed for the cell's mean to keep the threshold."""
    network, s, x = around.network, around.street, around.fraction
    ways = [
        (int(network.backward_ms[s]), x, int(around.field_ms[network.u[s]])),
        (int(network.forward_ms[s]), 1 - x, int(around.field_ms[network.v[s]])),
    ]
    times = [ms * part + rest for ms, part, rest in ways if ms >= 0 and rest < UNREACHABLE]
    limit = threshold * _MS
    if not times or not np.isfinite(minutes):
        return limit
    return min(limit, min(times) - max(minutes - threshold, 0.0) * _MS)


class _Points(NamedTuple):
    """Points of streets in metres, and a time of each: from the cell, or to the nearest place."""

    xy: _Floats
    ms: _Floats


def _points(network: StreetNetwork, crs: Any, at_vertex: _Ints, limit: float, *, leaving: bool) -> _Points:
    """
    Points every 20 m along the streets that are within the limit.

    `leaving`: times run from the cell along the street; otherwise from the point to the place.
    """
    forward, backward = network.forward_ms.astype(np.float64), network.backward_ms.astype(np.float64)
    end_u = np.where(at_vertex[network.u] < UNREACHABLE, at_vertex[network.u], np.inf).astype(np.float64)
    end_v = np.where(at_vertex[network.v] < UNREACHABLE, at_vertex[network.v], np.inf).astype(np.float64)
    street = np.flatnonzero(np.minimum(end_u, end_v) <= limit)
    steps = np.maximum(np.ceil(network.length_m[street] / _STEP_M).astype(np.int64), 1) + 1
    row = np.repeat(street, steps)
    place = np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps)
    x = place / np.repeat(steps - 1, steps)
    by_u = np.where(
        (forward if leaving else backward)[row] >= 0, (forward if leaving else backward)[row] * x, np.inf
    )
    by_v = np.where(
        (backward if leaving else forward)[row] >= 0,
        (backward if leaving else forward)[row] * (1 - x),
        np.inf,
    )
    ms = np.minimum(end_u[row] + by_u, end_v[row] + by_v)
    lines = gpd.GeoSeries(network.geometry[street], crs=WGS84).to_crs(crs).to_numpy()
    points = shapely.line_interpolate_point(np.repeat(lines, steps), x, normalized=True)
    keep = ms <= limit
    return _Points(shapely.get_coordinates(points)[keep], ms[keep])


def _gate(near: _Points, parks: gpd.GeoDataFrame, crs: Any, limit: float, rules: FixRules) -> Fix | None:
    """Find the park edge that is soonest reached if there were a gate."""
    if parks.empty or not len(near.ms):
        return None
    edges = shapely.boundary(parks.geometry.to_crs(crs).to_numpy())
    points = np.asarray(shapely.points(near.xy), dtype=object)
    point, park = shapely.STRtree(edges).query(points, predicate="dwithin", distance=rules.gate_m)
    leg = shapely.distance(points[point], edges[park])
    total = near.ms[point] + leg * 3600.0 / rules.access_speed_kmh
    order = np.lexsort((park, point, total))
    if not len(order) or total[order[0]] > limit:
        return None
    best = order[0]
    gate = shapely.get_point(shapely.shortest_line(edges[park[best]], points[point[best]]), 0)
    where = gpd.GeoSeries([gate], crs=crs).to_crs(WGS84).iloc[0]
    name = str(parks["name"].iloc[park[best]]) or "an unnamed park"
    minutes = float(total[best] / _MS)
    text = f"A gate into {name} on this side: {minutes:.1f} min."
    return Fix("gate", minutes, float(where.x), float(where.y), 0.0, text)


def _path(near: _Points, beyond: _Points, crs: Any, limit: float, rules: FixRules) -> Fix | None:
    """Find the shortest straight link that brings a place within the limit."""
    near = _worthwhile(near, beyond, limit, rules.max_path_m)
    beyond = _worthwhile(beyond, near, limit, rules.max_path_m)
    if not len(near.ms) or not len(beyond.ms):
        return None
    pairs = cKDTree(near.xy).sparse_distance_matrix(
        cKDTree(beyond.xy), rules.max_path_m, output_type="ndarray"
    )
    a, b, length = pairs["i"], pairs["j"], pairs["v"]
    total = near.ms[a] + length * 3600.0 / rules.access_speed_kmh + beyond.ms[b]
    good = np.flatnonzero(total <= limit)
    if not len(good):
        return None
    best = good[np.lexsort((b[good], a[good], total[good], np.round(length[good], 3)))[0]]
    line = shapely.LineString(np.stack([near.xy[a[best]], beyond.xy[b[best]]]))
    drawn = gpd.GeoSeries([line], crs=crs).to_crs(WGS84).iloc[0]
    metres, minutes = float(length[best]), float(total[best] / _MS)
    text = f"A new path of {max(metres, 1.0):.0f} m: {minutes:.1f} min. What lies between is not checked."
    lon, lat = shapely.get_coordinates(drawn)[0]
    return Fix("path", minutes, float(lon), float(lat), metres, text, drawn)


def _worthwhile(points: _Points, others: _Points, limit: float, radius: float) -> _Points:
    """Keep points that have a point of the others near enough and soon enough, judged on a grid: most have none."""
    if not len(points.ms) or not len(others.ms):
        return _Points(points.xy[:0], points.ms[:0])
    low = np.minimum(points.xy.min(axis=0), others.xy.min(axis=0)) - radius
    own, theirs = (((p.xy - low) // radius).astype(np.int64) for p in (points, others))
    soonest = np.full(np.maximum(own.max(axis=0), theirs.max(axis=0)) + 2, np.inf)
    np.minimum.at(soonest, (theirs[:, 0], theirs[:, 1]), others.ms)
    around = minimum_filter(soonest, size=3, mode="nearest")[own[:, 0], own[:, 1]]
    keep = points.ms + around <= limit
    return _Points(points.xy[keep], points.ms[keep])


def _fix_dict(fix: Fix) -> dict[str, Any]:
    return {**vars(fix), "line": _geometry(fix.line)}


def _geometry(line: shapely.LineString | None) -> Mapping[str, Any] | None:
    if line is None:
        return None
    coordinates: Sequence[Sequence[float]] = shapely.get_coordinates(line).tolist()
    return {"type": "LineString", "coordinates": coordinates}
