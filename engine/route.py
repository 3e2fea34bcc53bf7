"""From a point of a street: the places that are nearest to it, and the way to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely.ops import substring

from engine.network.street_network import StreetNetwork
from engine.reach.destinations import Destinations
from engine.reach.nearest import NearestField


@dataclass(frozen=True)
class Route:
    """
    The quickest way from a point of a street to a place.

    Attributes
    ----------
    time_ms
        [ms] Time, with the walk from the street to the place.
    length_m
        [m] Length along streets, without that walk.
    access
        Row of the access point at which the way ends.
    line
        Along the streets, EPSG:4326; None where the way has no length.
    """

    time_ms: int
    length_m: float
    access: int
    line: shapely.LineString | None


class _Way(NamedTuple):
    """A way between a point of a street and one of the street's ends."""

    vertex: int
    ms: float
    end: float
    """Fraction of that end: 0 for the first, 1 for the last."""
    row: int = -1


def nearest_at(
    network: StreetNetwork,
    destinations: Destinations,
    field: NearestField,
    *,
    category: int,
    street: int,
    fraction: float,
) -> list[tuple[float, int]]:
    """
    Find the nearest places of a category from a point of a street.

    Parameters
    ----------
    network, destinations, field
        The streets, the places and the labels of `engine.reach.nearest`.
    category
        Number of the category.
    street, fraction
        The point.

    Returns
    -------
    list of (float, int)
        [ms] Time and place, from the nearest, as many as the field has ranks at most; each place once. Of
        equal times the lowest place comes first.
    """
    best: dict[int, float] = {}
    for vertex, ms, *_ in _ways_out(network, street, fraction):
        times, places = field.time_ms[category, vertex], field.place[category, vertex]
        for time, place in zip(times.tolist(), places.tolist(), strict=True):
            if place >= 0:
                best[place] = min(best.get(place, np.inf), ms + time)
    rows = np.flatnonzero(destinations.snaps.street == street)
    for row in rows[destinations.category[destinations.place[rows]] == category].tolist():
        along = _direct_ms(network, destinations, row, street, fraction)
        if along is not None:
            place = int(destinations.place[row])
            best[place] = min(best.get(place, np.inf), along)
    return sorted((ms, place) for place, ms in best.items())[: field.k]


def route_to_place(
    network: StreetNetwork, destinations: Destinations, *, street: int, fraction: float, place: int
) -> Route | None:
    """
    Find the quickest way from a point of a street to a place.

    Parameters
    ----------
    network, destinations
        The streets and the places on them.
    street, fraction
        The point.
    place
        The place; the way ends at the access point that is soonest reached.

    Returns
    -------
    Route or None
        None where there is no way.

    Notes
    -----
    Two searches of igraph: O(arcs log vertices). Of equal ways, the one that leaves by the street's first end
    and comes in at the first access point is taken.
    """
    snaps = destinations.snaps
    rows = np.flatnonzero((destinations.place == place) & snaps.accepted)
    direct = [
        (ms, row)
        for row in rows[snaps.street[rows] == street].tolist()
        if (ms := _direct_ms(network, destinations, row, street, fraction)) is not None
    ]
    around = _around(network, _ways_out(network, street, fraction), _ways_in(network, destinations, rows))
    if direct and (around is None or min(direct)[0] <= around[0]):
        ms, row = min(direct)
        parts = [(street, fraction, float(snaps.fraction[row]))]
    elif around is not None:
        ms, out, into = around
        row = into.row
        parts = [(street, fraction, out.end), *_between(network, out.vertex, into.vertex)]
        parts.append((int(snaps.street[row]), into.end, float(snaps.fraction[row])))
    else:
        return None
    length = sum(abs(b - a) * float(network.length_m[s]) for s, a, b in parts)
    return Route(round(ms), length, row, _drawn(network, parts))


def _around(network: StreetNetwork, out: list[_Way], into: list[_Way]) -> tuple[float, _Way, _Way] | None:
    """Time of the quickest way by an end of the first street and an end of the last, and these two."""
    targets = sorted({way.vertex for way in into})
    best: tuple[float, _Way, _Way] | None = None
    for first in out if targets else ():
        found = network.graph.distances(source=[first.vertex], target=targets, weights="travel_time_ms")[0]
        at = dict(zip(targets, found, strict=True))
        for last in into:
            ms = first.ms + at[last.vertex] + last.ms
            if np.isfinite(ms) and (best is None or ms < best[0]):
                best = (ms, first, last)
    return best


def _ways_out(network: StreetNetwork, street: int, fraction: float) -> list[_Way]:
    """Ways from the point to the ends of its street, as far as the directions allow."""
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    ways = []
    if backward >= 0:
        ways.append(_Way(int(network.u[street]), backward * fraction, 0.0))
    if forward >= 0:
        ways.append(_Way(int(network.v[street]), forward * (1 - fraction), 1.0))
    return ways


def _ways_in(network: StreetNetwork, destinations: Destinations, rows: npt.NDArray[np.int64]) -> list[_Way]:
    """Ways from the ends of streets to access points, with the walk from the street to the place."""
    ways = []
    for row in rows.tolist():
        street, x = int(destinations.snaps.street[row]), float(destinations.snaps.fraction[row])
        access = int(destinations.snaps.access_ms[row])
        forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
        if forward >= 0:
            ways.append(_Way(int(network.u[street]), access + round(forward * x), 0.0, row))
        if backward >= 0:
            ways.append(_Way(int(network.v[street]), access + backward - round(backward * x), 1.0, row))
    return ways


def _direct_ms(
    network: StreetNetwork, destinations: Destinations, row: int, street: int, fraction: float
) -> float | None:
    """[ms] Time along the street itself to an access point on it; None against the direction."""
    at, access = float(destinations.snaps.fraction[row]), int(destinations.snaps.access_ms[row])
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    if at >= fraction and forward >= 0:
        return access + forward * (at - fraction)
    if at <= fraction and backward >= 0:
        return access + backward * (fraction - at)
    return None


def _between(network: StreetNetwork, start: int, stop: int) -> list[tuple[int, float, float]]:
    """Streets of the quickest way between two vertices, each with the fractions from and to which it is gone."""
    edges = network.graph.get_shortest_path(start, stop, weights="travel_time_ms", output="epath")
    arcs = network.arcs.iloc[edges]
    return [
        (int(s), 1.0, 0.0) if backward else (int(s), 0.0, 1.0)
        for s, backward in zip(arcs["street"], arcs["backward"], strict=True)
    ]


def _drawn(network: StreetNetwork, parts: list[tuple[int, float, float]]) -> shapely.LineString | None:
    """Draw a way as one line."""
    lines = [
        shapely.get_coordinates(substring(network.geometry[s], a, b, normalized=True)) for s, a, b in parts
    ]
    points = np.concatenate(lines)
    fresh = np.ones(len(points), dtype=bool)
    fresh[1:] = (np.abs(np.diff(points, axis=0)) > 1e-9).any(axis=1)
    points = points[fresh]
    return shapely.LineString(points) if len(points) > 1 else None
