"""Places along streets where something could be built, and why the others were rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

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
from engine.sites.carriageway import Carriageways
from engine.sites.kerb import Kerbs, flag, kerbs, one_way, text
from engine.sites.obstacle import Obstacle
from engine.snapping import local_metres, metric_coords

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Obstacles = Mapping[str, "gpd.GeoSeries | gpd.GeoDataFrame | npt.NDArray[np.object_]"]
"""Geometries by kind (``tree``, ``building``, ``crossing`` …), EPSG:4326."""

PLACES_AT_ONCE = 50_000
"""Places that are judged together: what a street's surroundings take is in memory for these alone."""
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


class _Places(NamedTuple):
    """Positions looked at, one entry a side, in order of street, position and side."""

    street: IntArray
    fraction: FloatArray
    left: BoolArray
    xy: FloatArray
    lon_lat: FloatArray


@dataclass(frozen=True, eq=False)
class Candidates:
    """
    Candidate sites, and how many places were rejected for each reason.

    Attributes
    ----------
    places
        One entry a candidate, in order of street, position and side: ``street``, ``fraction``, ``left`` (of u→v),
        ``xy`` ([m] in `engine.snapping.local_metres`), ``lon_lat`` ([deg]).
    rejected
        Places looked at and left out, by the first reason that applied.
    network, sides
        The streets, and what they offer at their kerbs.
    """

    places: _Places
    rejected: dict[str, int]
    network: StreetNetwork
    sides: Kerbs

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.places.street)

    @property
    def points(self) -> gpd.GeoDataFrame:
        """`table` of all candidates; made when it is asked for, and several times as large as `places`."""
        return self.table(np.arange(len(self)))

    def table(self, rows: IntArray) -> gpd.GeoDataFrame:
        """
        Describe some candidates.

        Returns
        -------
        geopandas.GeoDataFrame
            One row each: ``street``, ``fraction``, ``side`` (``left`` or ``right`` of u→v), ``lon``, ``lat``, ``name``,
            ``highway``, ``width_m``, ``width_known``, ``oneway``, ``parking`` and ``pavement`` (``yes``, ``no``,
            ``unknown``); geometry EPSG:4326.
        """
        return _table(self.network, self.sides, _taken(self.places, rows))


def street_side_candidates(
    network: StreetNetwork,
    rule: KerbRule,
    *,
    obstacles: Obstacles | None = None,
    within: BaseGeometry | None = None,
    at_once: int = PLACES_AT_ONCE,
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
    at_once
        Places that are judged together, in tiles of consecutive streets with a halo as wide as the longest distance
        of the rule; a street is never divided. It changes memory, never results.

    Returns
    -------
    Candidates
        Deterministic: a function of the tables alone.

    Notes
    -----
    Time O(places · log(obstacles)); memory O(streets + obstacles + candidates + `at_once`). Distances are metric, in a
    plane around the whole network.
    """
    survey = _Survey.of(network, rule, obstacles or {}, within)
    rejected: Counter[str] = Counter()
    tiles = []
    for places in survey.tiles(at_once):
        reason = survey.judge(places)
        rejected.update(reason[reason != ""].tolist())
        tiles.append(_taken(places, reason == ""))
    open_ = _Places(*(np.concatenate(column) for column in zip(*tiles, strict=True)))
    crowded = _crowded(open_.xy, rule.apart_m)
    if crowded.any():
        rejected["near_another_candidate"] = int(crowded.sum())
    told = {reason: rejected[reason] for reason in sorted(rejected)}
    return Candidates(_taken(open_, ~crowded), told, network, survey.sides)


@dataclass(frozen=True, eq=False)
class _Survey:
    """
    What places are judged by: whatever belongs to the streets as a whole is made once.

    Attributes
    ----------
    counts
        Places of a side of each street.
    street_reason
        Why a whole street is out; empty where it is not.
    meeting, junctions
        Whether three or more streets meet at a vertex, and where those vertices are; None without any.
    around
        Geometries to keep away from and their clearance, by reason.
    """

    network: StreetNetwork
    rule: KerbRule
    within: BaseGeometry | None
    sides: Kerbs
    roads: Carriageways
    counts: IntArray
    street_reason: npt.NDArray[np.object_]
    meeting: BoolArray
    junctions: cKDTree | None
    around: Mapping[str, tuple[Obstacle, float]]

    @classmethod
    def of(
        cls, network: StreetNetwork, rule: KerbRule, obstacles: Obstacles, within: BaseGeometry | None
    ) -> _Survey:
        """Read the streets and their surroundings."""
        sides = kerbs(network.streets)
        roads = Carriageways.of(network, sides.width_m)
        counts = np.maximum(1, np.floor(network.length_m / rule.spacing_m)).astype(np.int64)
        counts[~roads.real] = 0
        if within is not None:
            shapely.prepare(within)
            counts[~shapely.intersects(network.geometry, shapely.box(*within.bounds))] = 0
        ends = np.concatenate([network.u[roads.real], network.v[roads.real]])
        meeting = np.bincount(ends, minlength=network.n_vertices) >= 3
        junctions = None
        if meeting.any() and rule.junction_clearance_m > 0:
            lon_lat = np.column_stack([network.lon, network.lat])
            junctions = cKDTree(local_metres(network).project(lon_lat[meeting]))
        around = {
            f"near_{kind}": (Obstacle.of(geometry, local_metres(network)), clearance)
            for kind, geometry in obstacles.items()
            if (clearance := rule.clearance_m.get(kind, 0.0)) > 0
        }
        why = _street_reasons(network, sides, rule)
        return cls(network, rule, within, sides, roads, counts, why, meeting, junctions, around)

    def tiles(self, at_once: int) -> Iterator[_Places]:
        """Places of consecutive streets, at most so many together unless one street has more; at least one tile."""
        before = 2 * np.concatenate([[0], np.cumsum(self.counts)])
        first, last = 0, len(self.counts)
        while True:
            most = int(np.searchsorted(before, before[first] + at_once, side="right")) - 1
            stop = min(max(most, first + 1), last)
            yield self._places(np.arange(first, stop))
            if stop >= last:
                return
            first = stop

    def _places(self, streets: IntArray) -> _Places:
        """Every position at some streets, before any is rejected."""
        counts = self.counts[streets]
        street = np.repeat(streets, counts)
        step = np.arange(len(street)) - np.repeat(np.cumsum(counts) - counts, counts)
        fraction = (step + 0.5) / self.counts[street]
        xy, _, heading = positions(self.network, street, fraction)
        street, fraction = np.repeat(street, 2), np.repeat(fraction, 2)
        left = np.tile([True, False], len(xy))
        xy, heading = (np.repeat(a, 2, axis=0) for a in (xy, heading))
        turn = np.where(left, 1.0, -1.0) * (self.sides.width_m[street] / 2 + self.rule.offset_m)
        shift = np.column_stack([-heading[:, 1] * turn, heading[:, 0] * turn])
        plane = local_metres(self.network)
        stands = plane.unproject(xy + shift)
        flat = plane.project(stands)  # what is checked is the place that is published
        return _Places(street, fraction, left, flat, stands)

    def judge(self, places: _Places) -> npt.NDArray[np.object_]:
        """Why each place is out; empty where it is not."""
        rule, street = self.rule, places.street
        reason = np.full(len(street), "", dtype=object)
        if self.within is not None:
            _mark(reason, ~shapely.contains_xy(self.within, places.lon_lat), "outside_area")
        free = reason == ""
        reason[free] = self.street_reason[street[free]]
        _mark(reason, self._near_junction(places), "near_junction")
        if rule.needs_parking:
            _mark(reason, _side(self.sides.parking_left, self.sides.parking_right, places) == 0, "no_parking")
        if rule.needs_pavement:
            pavement = _side(self.sides.pavement_left, self.sides.pavement_right, places)
            _mark(reason, pavement == 0, "no_pavement")
        open_ = np.flatnonzero(reason == "")
        margin = min(rule.offset_m, 0.0) if rule.other_street_m is None else rule.other_street_m
        taken = self.roads.on_another(places.xy[open_], street[open_], margin_m=margin)
        reason[open_[taken]] = "on_another_street"
        if rule.avoid_median:
            open_ = np.flatnonzero(reason == "")
            facing = self.roads.faces_median(places.xy[open_], street[open_], places.left[open_])
            reason[open_[facing]] = "faces_median"
        for why, (obstacle, clearance) in self.around.items():
            open_ = np.flatnonzero(reason == "")
            reason[open_[obstacle.near(places.xy[open_], within_m=clearance)]] = why
        return reason

    def _near_junction(self, places: _Places) -> BoolArray:
        """Places nearer than the clearance to a junction: along their own street, or in a straight line to any."""
        network, street, clearance_m = self.network, places.street, self.rule.junction_clearance_m
        length = network.length_m[street]
        along = places.fraction * length
        at_u = self.meeting[network.u[street]] & (along < clearance_m)
        at_v = self.meeting[network.v[street]] & (length - along < clearance_m)
        near_any = np.zeros(len(street), bool)
        if self.junctions is not None and len(street):
            distance = self.junctions.query(places.xy, distance_upper_bound=clearance_m)[0]
            near_any = distance < clearance_m
        return np.asarray(at_u | at_v | near_any, bool)


def _taken(places: _Places, rows: BoolArray | IntArray) -> _Places:
    """Some of the places."""
    return _Places(
        places.street[rows],
        places.fraction[rows],
        places.left[rows],
        places.xy[rows],
        places.lon_lat[rows],
    )


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
    flat = metric_coords(network)
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


def _street_reasons(network: StreetNetwork, sides: Kerbs, rule: KerbRule) -> npt.NDArray[np.object_]:
    """What rules out a whole street."""
    reason = np.full(len(network.streets), "", dtype=object)
    if rule.classes is not None:
        known = text(network.streets, "highway").astype(str)
        _mark(reason, ~(np.isin(known, sorted(rule.classes)) | (known == "")), "class")
    carried = flag(network.streets, "bridge") | flag(network.streets, "tunnel")
    _mark(reason, carried, "bridge_or_tunnel")
    _mark(reason, _turns_round(network), "roundabout")
    _mark(reason, sides.width_m < rule.min_width_m, "too_narrow")
    return reason


def _turns_round(network: StreetNetwork) -> BoolArray:
    """Roundabouts, and loops too short to be anything but a place to turn."""
    loop = (network.u == network.v) & (network.length_m < LOOP_M)
    return np.asarray(flag(network.streets, "roundabout") | loop, bool)


def _crowded(xy: FloatArray, apart_m: float) -> BoolArray:
    """Points nearer than `apart_m` to an earlier point that stays."""
    dropped = np.zeros(len(xy), bool)
    if apart_m <= 0 or len(xy) < 2:
        return dropped
    pairs = cKDTree(xy).query_pairs(apart_m, output_type="ndarray")
    pairs = pairs[np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T) < apart_m]
    pairs = np.sort(pairs, axis=1)
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    for some in range(0, len(pairs), PLACES_AT_ONCE):  # as lists of Python they are many times as large
        for first, second in pairs[some : some + PLACES_AT_ONCE].tolist():
            dropped[second] |= not dropped[first]
    return dropped


def _side(left: npt.NDArray[np.int8], right: npt.NDArray[np.int8], places: _Places) -> npt.NDArray[np.int8]:
    return np.where(places.left, left[places.street], right[places.street])


def _mark(reason: npt.NDArray[np.object_], hit: BoolArray, why: str) -> None:
    reason[hit & (reason == "")] = why


def _table(network: StreetNetwork, sides: Kerbs, places: _Places) -> gpd.GeoDataFrame:
    street = places.street
    words = np.array(["unknown", "no", "yes"])
    columns = {
        "street": street.astype(np.int32),
        "fraction": places.fraction,
        "side": np.where(places.left, "left", "right"),
        "lon": places.lon_lat[:, 0],
        "lat": places.lon_lat[:, 1],
        "name": text(network.streets, "name")[street],
        "highway": text(network.streets, "highway")[street],
        "width_m": sides.width_m[street],
        "width_known": sides.width_known[street],
        "oneway": one_way(network.streets)[street],
        "parking": words[_side(sides.parking_left, sides.parking_right, places) + 1],
        "pavement": words[_side(sides.pavement_left, sides.pavement_right, places) + 1],
    }
    table = pd.DataFrame(columns).astype(
        {"name": "str", "highway": "str", "side": "str", "parking": "str", "pavement": "str"}
    )
    return gpd.GeoDataFrame(table, geometry=shapely.points(places.lon_lat), crs=WGS84)
