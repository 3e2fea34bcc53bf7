"""From an extract to the routable network of one mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.network.access import WayAccess, way_access
from engine.network.attributes import has_parking, way_attributes
from engine.network.barrier import arrival_delay_s, closed_nodes
from engine.network.destination import keep_to_own_traffic, own_traffic, without_idle_copies
from engine.network.geodesy import hilbert_order, lengths_between
from engine.network.junction import OPEN_TURN, Nodes, Streets, cut_at
from engine.network.plaza import Crossings, is_area_way, plaza_crossings
from engine.network.profile import ModeProfile
from engine.network.simplify import CROSSING, STREET, Chains, Index, Segments, chains, strong_components
from engine.network.slope import Elevation, cycling_factor, slope_profile, tobler_factor
from engine.network.speed import assumed_limits, boarding_s, ferry_speeds, posted_limits, way_speeds
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.network.stress import traffic_stress
from engine.network.tags import TagColumns
from engine.network.turn import Restrictions, begin_trips, restrict_turns, restrictions_in_force
from engine.osm_extract import OsmExtract

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def build_network(
    extract: OsmExtract, profile: ModeProfile, *, elevation: Elevation | None = None
) -> StreetNetwork:
    """
    Build the network of one mode.

    Access rules choose the ways and directions, the profile gives times in whole milliseconds between
    consecutive nodes, areas are crossed in straight lines, barriers cut, turns are restricted, the largest
    strongly connected component is kept, and nodes where nothing is decided are merged away: geometry stays,
    and the time between two kept nodes is the sum over the nodes between them, exactly.

    Parameters
    ----------
    extract
        What one pass over a file left.
    profile
        Mode, speeds and options.
    elevation
        [m] Heights at (lon, lat); None leaves slope out.

    Returns
    -------
    StreetNetwork
        Vertices along a Hilbert curve, streets by their ends; ``dropped`` counts what was left out and why.
        Empty when the extract holds nothing for the mode.

    Notes
    -----
    O(ways + nodes), plus O(n log n) for the order of the n vertices.
    """
    tags = TagColumns(extract.ways)
    ways = _ways(extract, tags, profile)
    crossings = _crossings(extract, tags, ways, profile)
    segments = _segments(extract, ways, crossings)
    dropped: dict[str, Any] = {"ways": dict(ways.access.excluded)}
    if profile.mode != "street30":
        dropped["areas"] = {
            "crossed": crossings.areas,
            "entrances": crossings.points,
            "lines": len(crossings.a),
        }
    segments, height = _timed(extract, segments, ways, profile, elevation=elevation, dropped=dropped)
    nodes, segments = _cut(extract, segments, profile, dropped)
    street_m = np.where((segments.kind == STREET) & ~is_area_way(tags)[segments.way], segments.length_m, 0.0)
    main = _main(nodes, segments.a, segments.b, segments)
    dropped["components"] = main.report(street_m)
    segments = segments.take(main.inside)
    turns = _restrictions(extract, profile)
    fixed = np.zeros(len(nodes.node_id), dtype=bool)
    fixed[turns.nodes] = True
    runs = chains(len(nodes.node_id), segments, fixed=fixed)
    streets = _streets(segments, runs)
    if profile.mode == "street30":
        way_id = extract.ways["way_id"].to_numpy(np.int64)
        nodes, streets, starts, dropped["turn_restrictions"] = restrict_turns(
            nodes, streets, turns, way_id=way_id
        )
        streets = _with_streets_for_copies(streets, _main(nodes, streets.u, streets.v, streets).inside)
        nodes, streets, starts, dropped["own_traffic_only"] = _own_traffic(nodes, streets, starts, ways)
        nodes, streets = begin_trips(nodes, streets, starts)
        streets = without_idle_copies(len(nodes.node_id), streets)
    return _network(
        extract, profile, _Made(nodes, segments, runs, streets), ways=ways, height=height, dropped=dropped
    )


@dataclass(frozen=True, eq=False)
class _Ways:
    """Access, speeds [km/h] and attributes of every way."""

    access: WayAccess
    forward_kmh: FloatArray
    backward_kmh: FloatArray
    boarding_s: FloatArray
    table: pd.DataFrame
    group: Index


@dataclass(frozen=True, eq=False)
class _Made:
    """Nodes, segments, their runs and the streets that the runs give."""

    nodes: Nodes
    segments: Segments
    runs: Chains
    streets: Streets


def _ways(extract: OsmExtract, tags: TagColumns, profile: ModeProfile) -> _Ways:
    access = way_access(tags, profile)
    posted = posted_limits(tags, moment=profile.moment)
    limits = assumed_limits(tags, posted, urban_kmh=profile.urban_kmh)
    table = way_attributes(tags, posted)
    major = major_roads(extract, tags, profile)
    forward, backward = way_speeds(tags, access, profile, limits=limits, major=major)
    if profile.ferries:
        sailing = ferry_speeds(tags, _way_lengths(extract))
        forward, backward = (np.where(np.isnan(sailing), speed, sailing) for speed in (forward, backward))
    open_speeds = np.where(access.forward, forward, np.nan), np.where(access.backward, backward, np.nan)
    table["speed_kmh"] = np.fmax(*open_speeds)
    table["destination"] = access.destination
    if profile.mode == "street30":
        table["major"] = major
    if profile.mode == "bike":
        limit = np.fmax(limits.forward, limits.backward)
        if profile.limit_30:
            limit = np.where(major, limit, np.minimum(limit, 30.0))
        stress = traffic_stress(tags, access, limit_kmh=limit, parked=has_parking(tags))
        table["lts"] = stress.lts
        table["lts_rule"] = pd.array(np.array([*stress.rules, None], dtype=object)[stress.rule], dtype="str")
        if profile.max_lts is not None:
            access = access.restricted(stress.lts <= profile.max_lts, "above_max_lts")
    group = _groups([*(table[name] for name in table.columns), forward, backward])
    table["osm_way"] = extract.ways["way_id"].to_numpy(np.int64)
    return _Ways(access, forward, backward, boarding_s(tags, profile), table, group)


def _way_lengths(extract: OsmExtract) -> FloatArray:
    """[m] Length of each way."""
    size = np.diff(extract.way_offsets)
    way = np.repeat(np.arange(len(size)), size)
    a, b = extract.way_refs[:-1], extract.way_refs[1:]
    step = lengths_between(extract.lon, extract.lat, a, b)
    same = way[:-1] == way[1:]
    total = np.bincount(way[:-1][same], weights=step[same], minlength=len(size))
    return total.astype(np.float64)


def major_roads(extract: OsmExtract, tags: TagColumns, profile: ModeProfile) -> BoolArray:
    """
    Ways that keep their limit under ``street30``, by class, name, number, relation or polygon.

    Returns
    -------
    numpy.ndarray
        Shape (ways,).
    """
    rule = profile.major
    major = tags.isin("highway", rule.classes)
    for key, wanted in (("name", rule.names), ("ref", rule.refs)):
        if wanted:
            major |= tags.isin(key, [text.strip().lower() for text in wanted])
    if rule.relations:
        members = extract.memberships
        chosen = members.loc[members["relation_id"].isin(rule.relations), "way_id"]
        major |= np.isin(extract.ways["way_id"].to_numpy(), chosen.to_numpy())
    if rule.polygon is not None and len(extract.way_refs):
        shapely.prepare(rule.polygon)
        inside = shapely.contains_xy(rule.polygon, extract.lon, extract.lat)[extract.way_refs]
        size = np.diff(extract.way_offsets)
        way = np.repeat(np.arange(len(size)), size)
        major |= np.bincount(way[inside], minlength=len(size)) * 2 > size
    return major


def _groups(columns: list[Any]) -> Index:
    """Number of the set of values that each row carries."""
    group = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        code, found = pd.factorize(column, use_na_sentinel=False)
        if len(found) > 1:
            group = pd.factorize(group * len(found) + code)[0].astype(np.int64)
    return group.astype(np.int32)


def _crossings(extract: OsmExtract, tags: TagColumns, ways: _Ways, profile: ModeProfile) -> Crossings:
    open_ = ways.access.forward | ways.access.backward
    if profile.mode == "street30":
        open_ = np.zeros(len(tags), dtype=bool)
    return plaza_crossings(extract, tags, open_)


def _segments(extract: OsmExtract, ways: _Ways, crossings: Crossings) -> Segments:
    """Pieces of the open ways between consecutive nodes and lines across areas, without times."""
    size = np.diff(extract.way_offsets)
    way = np.repeat(np.arange(len(size), dtype=np.int32), size)
    open_ = ways.access.forward | ways.access.backward
    first = np.flatnonzero((way[:-1] == way[1:]) & open_[way[:-1]]) if len(way) else np.empty(0, np.int64)
    refs = extract.way_refs.astype(np.int32)
    a, b, way = (
        np.concatenate([one, two.astype(np.int32)])
        for one, two in (
            (refs[first], crossings.a),
            (refs[1:][first], crossings.b),
            (way[first], crossings.way),
        )
    )
    kind = np.repeat(np.array([STREET, CROSSING], dtype=np.int8), [len(first), len(crossings.a)])
    length = lengths_between(extract.lon, extract.lat, a, b)
    closed = np.full(len(a), NO_WAY, dtype=np.int32)
    return Segments(a, b, way, ways.group[way] * 2 + kind, kind, length, closed, closed)


def _timed(
    extract: OsmExtract,
    segments: Segments,
    ways: _Ways,
    profile: ModeProfile,
    *,
    elevation: Elevation | None,
    dropped: dict[str, Any],
) -> tuple[Segments, FloatArray | None]:
    """Segments with their times in both directions, and the heights of the nodes."""
    slow: FloatArray | None = None
    height = None
    if elevation is not None and len(segments.a):
        slow, height = _slope(extract, segments, ways, profile, elevation=elevation, dropped=dropped)
    way = segments.way
    at, waits = _waits(extract, segments, ways, profile)
    times = []
    for side, allowed, speed in (
        (0, ways.access.forward, ways.forward_kmh),
        (1, ways.access.backward, ways.backward_kmh),
    ):
        ms = segments.length_m * 3600.0
        ms /= speed[way]
        if slow is not None:
            ms *= slow[side]
        np.rint(ms, out=ms)
        ms[at] += waits[side]
        ms[~allowed[way]] = NO_WAY
        times.append(ms.astype(np.int32))
    return segments._replace(forward_ms=times[0], backward_ms=times[1]), height


def _waits(
    extract: OsmExtract, segments: Segments, ways: _Ways, profile: ModeProfile
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """[ms] Waits at signals and before boarding ferries and lifts: segments, and their waits along and against."""
    delay = np.zeros(len(extract.node_id))
    at = np.searchsorted(extract.node_id, extract.node_tags.index.to_numpy(np.int64))
    delay[at] = arrival_delay_s(extract.node_tags, profile)
    board = ways.boarding_s[segments.way]
    shore = np.zeros(len(extract.node_id), dtype=bool)
    shore[segments.a[board == 0]] = shore[segments.b[board == 0]] = True
    waits = np.flatnonzero((delay[segments.a] > 0) | (delay[segments.b] > 0) | (board > 0))
    a, b, board = segments.a[waits], segments.b[waits], board[waits]
    seconds = [delay[head] + np.where(shore[tail], board, 0.0) for tail, head in ((a, b), (b, a))]
    return waits, np.rint(np.stack(seconds) * 1000)


def _slope(
    extract: OsmExtract,
    segments: Segments,
    ways: _Ways,
    profile: ModeProfile,
    *,
    elevation: Elevation,
    dropped: dict[str, Any],
) -> tuple[FloatArray, FloatArray]:
    """Time on each segment relative to the flat, along and against it, and the heights of the nodes."""
    lifted = (ways.table["bridge"] | ways.table["tunnel"]).to_numpy(bool)[segments.way]
    new_run = np.concatenate([[True], (np.diff(segments.way) != 0) | (segments.kind[1:] == CROSSING)])
    found = slope_profile(
        extract.lon,
        extract.lat,
        (segments.a, segments.b),
        way=np.cumsum(new_run),
        length_m=segments.length_m,
        lifted=lifted,
        elevation=elevation,
    )
    unknown = int((np.isnan(found.node_m[segments.a]) | np.isnan(found.node_m[segments.b])).sum())
    dropped["elevation"] = {"segments_without_height": unknown, "slopes_capped": found.capped}
    if profile.mode == "street30" or not profile.slope:
        return np.ones((2, len(segments.a))), found.node_m
    level = (ways.table["is_steps"].to_numpy(bool) | (ways.boarding_s > 0))[segments.way]
    pushed = ways.access.dismount[segments.way]
    slow = []
    for slope, speed in ((found.slope, ways.forward_kmh), (-found.slope, ways.backward_kmh)):
        factor = tobler_factor(slope)
        if profile.mode == "bike":
            on_foot = np.minimum(profile.dismount_kmh / speed[segments.way], 1.0)[found.segment] * factor
            factor = np.where(pushed[found.segment], factor, np.maximum(cycling_factor(slope), on_foot))
        piece = found.share / np.where(level[found.segment], 1.0, factor)
        slow.append(np.bincount(found.segment, weights=piece, minlength=len(segments.a)))
    return np.stack(slow), found.node_m


def _cut(
    extract: OsmExtract, segments: Segments, profile: ModeProfile, dropped: dict[str, Any]
) -> tuple[Nodes, Segments]:
    """Close barriers."""
    n = len(extract.node_id)
    closed = np.zeros(n, dtype=bool)
    shut = extract.node_tags.index.to_numpy(np.int64)[closed_nodes(extract.node_tags, profile)]
    closed[np.searchsorted(extract.node_id, shut)] = True
    used = np.zeros(n, dtype=bool)
    used[segments.a] = used[segments.b] = True
    dropped["barriers"] = {"closed_nodes": int((closed & used).sum())}
    return cut_at(Nodes(extract.node_id, np.arange(n)), segments, closed)


def _restrictions(extract: OsmExtract, profile: ModeProfile) -> Restrictions:
    """Turn restrictions that bind the mode: cars only."""
    if profile.mode != "street30":
        return Restrictions()
    return restrictions_in_force(extract, moment=profile.moment)


@dataclass(frozen=True, eq=False)
class _Main:
    """Which edges lie within the largest strongly connected component, and the size of every component in nodes."""

    inside: BoolArray
    sizes: npt.NDArray[np.int64]

    def report(self, street_m: FloatArray) -> dict[str, Any]:
        """
        What is kept and dropped, for the manifest.

        Kilometres are of streets proper: outlines of squares and lines across them do not count.
        """
        kept = int(self.sizes[0]) if len(self.sizes) else 0
        return {
            "number": len(self.sizes),
            "next_largest_nodes": self.sizes[1:6].tolist(),
            "nodes_kept": kept,
            "nodes_dropped": int(self.sizes.sum()) - kept,
            "km_kept": round(float(street_m[self.inside].sum()) / 1000, 3),
            "km_dropped": round(float(street_m[~self.inside].sum()) / 1000, 3),
        }


def _main(nodes: Nodes, a: Index, b: Index, edges: Segments | Streets) -> _Main:
    """Find the largest strongly connected component (by nodes, ties by the lowest node)."""
    n = len(nodes.node_id)
    if not len(a):
        return _Main(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64))
    label = strong_components(n, a, b, forward=edges.forward_ms >= 0, backward=edges.backward_ms >= 0)
    touched = np.zeros(n, dtype=bool)
    touched[a] = touched[b] = True
    size = np.bincount(label[touched], minlength=n).astype(np.int64)
    main = int(np.argmax(size))
    return _Main(np.asarray((label[a] == main) & (label[b] == main)), np.sort(size[size > 0])[::-1])


def _with_streets_for_copies(streets: Streets, kept: BoolArray) -> Streets:
    """
    The streets kept, each copy made for turns beside the street that it copies.

    A one-way street is lost with the node that it leaves from where every arrival there is restricted, and reached by
    its copies only: the first of them becomes the street.
    """
    copy = kept & streets.copied & (streets.length_m > 0)
    there = np.zeros(int(streets.chain.max(initial=-1)) + 1, dtype=bool)
    there[streets.chain[kept & ~streets.copied]] = True
    alone = np.flatnonzero(copy & ~there[streets.chain])
    kind = streets.kind.copy()
    kind[alone[np.unique(streets.chain[alone], return_index=True)[1]]] = STREET
    return streets._replace(kind=kind).take(kept)


def _own_traffic(
    nodes: Nodes, streets: Streets, starts: Streets, ways: _Ways
) -> tuple[Nodes, Streets, Streets, dict[str, float]]:
    """Keep through traffic out of ``destination`` streets and what lies behind them; kilometres of both."""
    tagged = ways.access.destination[streets.u_way]
    only = own_traffic(len(nodes.node_id), streets, tagged, starts=starts)
    drawn = streets.kind == STREET
    km = {
        name: round(float(streets.length_m[drawn & which].sum()) / 1000, 3)
        for name, which in (("km_tagged", only & tagged), ("km_behind", only & ~tagged))
    }
    of_chain = np.isin(starts.chain, streets.chain[only])
    nodes, streets, leaving = keep_to_own_traffic(nodes, streets, only)
    u, v = (np.where(of_chain, leaving[end], end) for end in (starts.u, starts.v))
    return nodes, streets, starts._replace(u=u, v=v), km


def _streets(segments: Segments, runs: Chains) -> Streets:
    """One street a run of segments."""
    first, last = runs.order[runs.offsets[:-1]], runs.order[runs.offsets[1:] - 1]
    sums = _sums(segments, runs)
    return Streets(
        chain=np.arange(len(first), dtype=np.int32),
        kind=segments.kind[first],
        u=segments.a[first],
        v=segments.b[last],
        u_way=segments.way[first],
        v_way=segments.way[last],
        length_m=sums["length_m"],
        forward_ms=sums["forward_ms"],
        backward_ms=sums["backward_ms"],
    )


def _network(
    extract: OsmExtract,
    profile: ModeProfile,
    made: _Made,
    *,
    ways: _Ways,
    height: FloatArray | None,
    dropped: dict[str, Any],
) -> StreetNetwork:
    """Order vertices and streets, and hand them their attributes and geometry."""
    nodes, streets = made.nodes, made.streets
    lon, lat = extract.lon[nodes.origin], extract.lat[nodes.origin]
    marked = np.zeros(len(nodes.node_id), dtype=bool)
    marked[streets.u] = marked[streets.v] = True
    used = np.flatnonzero(marked)
    used = used[hilbert_order(lon[used], lat[used], nodes.node_id[used])]
    vertex = np.empty(len(nodes.node_id), dtype=np.int32)
    vertex[used] = np.arange(len(used), dtype=np.int32)
    u, v = vertex[streets.u], vertex[streets.v]
    osm_way = ways.table["osm_way"].to_numpy()[streets.u_way]
    # copies made for turns come last: where a point is as near to a street as to its copy, the street is meant
    order = np.lexsort((streets.length_m, osm_way, streets.kind, v, u, streets.copied))
    coords, offsets = _geometry(lon, lat, made, order)
    return StreetNetwork(
        mode=profile.mode,
        node_id=nodes.node_id[used],
        lon=lon[used],
        lat=lat[used],
        streets=_table(streets.take(order), u[order], v[order], ways, profile.mode),
        coords=coords,
        offsets=offsets,
        elevation_m=None if height is None else height[nodes.origin[used]],
        dropped=dropped,
    )


def _table(
    streets: Streets, u: npt.NDArray[np.int32], v: npt.NDArray[np.int32], ways: _Ways, mode: str
) -> pd.DataFrame:
    """The columns of the network's streets."""
    own = {
        "u": u,
        "v": v,
        "length_m": streets.length_m,
        "forward_ms": streets.forward_ms,
        "backward_ms": streets.backward_ms,
        "osm_way": ways.table["osm_way"].to_numpy()[streets.u_way],
    }
    names = ways.table.columns.drop("osm_way")
    carried = {name: ways.table[name].array.take(streets.u_way) for name in names}
    carried["area_crossing"] = streets.kind == CROSSING
    carried["copy"] = streets.copied
    if mode == "street30":
        carried["open_turn"] = streets.kind == OPEN_TURN
    # lines across a square say how to cross it; their number follows its corners, so they weigh on no cell's mean
    carried["origin_ok"] = np.asarray(carried["origin_ok"]) & (streets.kind == STREET)
    return pd.DataFrame({**own, **carried}, copy=False)


def _sums(segments: Segments, runs: Chains) -> dict[str, npt.NDArray[Any]]:
    """Length and times of each run."""
    if not len(runs.order):
        return {
            "length_m": np.empty(0),
            "forward_ms": np.empty(0, np.int32),
            "backward_ms": np.empty(0, np.int32),
        }
    start = runs.offsets[:-1]
    sums: dict[str, npt.NDArray[Any]] = {"length_m": np.add.reduceat(segments.length_m[runs.order], start)}
    for name, ms in (("forward_ms", segments.forward_ms), ("backward_ms", segments.backward_ms)):
        total = np.add.reduceat(np.maximum(ms, 0)[runs.order], start)
        sums[name] = np.where(ms[runs.order[start]] >= 0, total, NO_WAY).astype(np.int32)
    return sums


def _geometry(
    lon: FloatArray, lat: FloatArray, made: _Made, order: npt.NDArray[np.int64]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Coordinates of the streets; a connector is two times the same point."""
    segments, runs, streets = made.segments, made.runs, made.streets
    chain = streets.chain[order]
    begin = runs.offsets[:-1][chain]
    size = np.diff(runs.offsets)[chain]
    point = streets.copied[order] & (streets.length_m[order] == 0)
    size[point] = 1
    start = np.concatenate([[0], np.cumsum(size)])
    offsets = start + np.arange(len(size) + 1)
    nodes = np.empty(int(offsets[-1]), dtype=np.int32)
    place = np.arange(start[-1], dtype=np.int32)
    take = runs.order[np.repeat((begin - start[:-1]).astype(np.int32), size) + place]
    nodes[place + np.repeat(np.arange(len(size), dtype=np.int32), size)] = segments.a[take]
    if len(size):
        nodes[offsets[1:] - 1] = segments.b[runs.order[begin + size - 1]]
        nodes[offsets[:-1][point]] = nodes[offsets[1:][point] - 1] = streets.u[order][point]
    coords = np.empty((len(nodes), 2))
    coords[:, 0], coords[:, 1] = lon[nodes], lat[nodes]
    return coords, offsets.astype(np.int64)
