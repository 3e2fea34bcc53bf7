"""Where a park is entered: mapped gates, else paths that cross its edge, else an open edge near a street."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.network.street_network import StreetNetwork
from engine.places.standing import is_private
from engine.projection import WGS84, local_equal_area

EntranceKind = Literal["gate", "crossing", "open boundary", "flagged"]
ENTRANCE_COLUMNS = ("park", "lon", "lat", "kind", "source", "reason")

GATES = frozenset(
    {
        "gate",
        "entrance",
        "kissing_gate",
        "lift_gate",
        "swing_gate",
        "sliding_gate",
        "wicket_gate",
        "hampshire_gate",
        "turnstile",
        "full-height_turnstile",
        "stile",
        "sally_port",
    }
)
"""Values of ``barrier`` on a node through which a person enters; bollards stand on paths."""

FENCES = frozenset(
    {
        "fence",
        "wall",
        "hedge",
        "retaining_wall",
        "city_wall",
        "guard_rail",
        "handrail",
        "wire_fence",
        "chain_link",
        "railing",
        "yes",
        "ditch",
        "hedge_bank",
    }
)
"""Values of ``barrier`` on a line that a person does not step over."""

_AT_GRADE = frozenset({"", "no", "none", "nan", "false", "0", "building_passage"})
"""Values of ``bridge`` and ``tunnel`` that keep a street on the ground, like an arcade through a house."""

GATE_M = 5.0
"""[m] A gate this near to the outline is a gate of the park: fences are drawn beside outlines."""
OPEN_M = 30.0
"""[m] An unfenced edge this near to a street is entered from it (METHOD §4)."""
STEP_M = 15.0
"""[m] Spacing of the points that stand for an open edge: a time is off by at most half of it."""
OPEN_RATIO = 3.0
"""A park whose edge is crossed more than this many times as often openly as by gates is an open park."""
_INTO_M = 3.0
"""[m] How far into the park a step over an open edge must be free of fences."""
_INSIDE_M = 0.5
"""[m] A street that is inside for less than this only touches the edge."""
_SAME_POINT_M = 1.0
_WALL_M = 0.3
"""[m] A door stands in a wall, and a step meets a fence, if they are this near: they share nodes, rounding aside."""
_ADDRESS = frozenset({"addr:housenumber", "addr:unit", "addr:flats", "addr:door", "addr:staircase"})
"""Keys that make an entrance the door of a house."""
_Points = list[tuple[float, float, str]]


class _Ground(NamedTuple):
    """Everything around the parks, in metres."""

    streets: npt.NDArray[np.object_]
    way: npt.NDArray[np.object_]
    tree: Any
    gates: npt.NDArray[np.object_]
    gate_id: npt.NDArray[np.object_]
    gate_tree: Any
    fences: npt.NDArray[np.object_]
    fence_tree: Any
    dead_ends: npt.NDArray[np.object_]
    dead_end_tree: Any


def park_entrances(
    parks: gpd.GeoDataFrame,
    network: StreetNetwork,
    features: gpd.GeoDataFrame,
    *,
    open_m: float = OPEN_M,
    open_ratio: float = OPEN_RATIO,
) -> pd.DataFrame:
    """
    Find where each park is entered, by the first of four rules that finds anything.

    1. ``gate``: a mapped gate or entrance, open to the public, within 5 m of the outer edge. A park that is
       crossed openly more than `open_ratio` times as often as by gates is no gated park (the one gate may be
       a terrace's): its crossings count beside its gates.
    2. ``crossing``: a street at grade that leads inside, where it crosses the edge; bridges and tunnels do
    not
       count, nor does a street that only runs along the edge. A dead end at the edge counts.
    3. ``open boundary``: points of the edge within `open_m` of a street from which no fence, wall or hedge
    stands
       in the way.
    4. ``flagged``: nothing found; the park is listed with the reason and no entrance is guessed.

    Parameters
    ----------
    parks
        Park outlines, EPSG:4326; the row number is the park's index.
    network
        The walking network; ``streets`` may have ``bridge`` and ``tunnel``.
    features
        ``id``, ``tags``, geometry: gates and entrances (points), fences and walls (lines or outlines);
        EPSG:4326.
    open_m
        [m] Largest distance between a street and an open edge, inclusive.
    open_ratio
        See rule 1; infinity lets a single gate rule out every crossing.

    Returns
    -------
    pandas.DataFrame
        ``park`` (row of `parks`), ``lon``, ``lat`` (NaN where flagged), ``kind``, ``source`` (id of the gate,
        or ``way/<osm_way>`` of the street), ``reason`` (where flagged); sorted by park, lon, lat. Every park
        has at least one row.

    Notes
    -----
    O((streets + barriers) log n + crossings). METHOD §4.
    """
    if parks.empty:
        return _as_table([])
    crs = local_equal_area(parks)
    outlines = parks.geometry.to_crs(crs).to_numpy()
    ground = _ground(network, features, crs)
    rows: list[tuple[int, float, float, str, str, str]] = []
    for park, outline in enumerate(outlines):
        shapely.prepare(outline)
        found = _entrances(outline, ground, open_m, open_ratio)
        rows += [
            (park, x, y, kind, source, "") for kind, points in found for x, y, source in _distinct(points)
        ]
        if not found:
            rows.append((park, np.nan, np.nan, "flagged", "", _why_flagged(outline, ground, open_m)))
    return _in_degrees(_as_table(rows), crs)


def _entrances(outline: Any, ground: _Ground, open_m: float, open_ratio: float) -> list[tuple[str, _Points]]:
    """Entrances of one park, by kind; empty where none is found."""
    gates, crossings = _gates(outline, ground), _crossings(outline, ground)
    if gates:
        is_open = len(_ungated(crossings, gates)) > open_ratio * len(gates)
        return [("gate", gates), ("crossing", _ungated(crossings, gates))] if is_open else [("gate", gates)]
    if crossings:
        return [("crossing", crossings)]
    edge = _open_edge(outline, ground, open_m)
    return [("open boundary", edge)] if edge else []


def _ungated(crossings: _Points, gates: _Points) -> _Points:
    """Crossings that are no gate's."""
    at = np.array([(x, y) for x, y, _ in gates])
    return [
        point
        for point in _distinct(crossings)
        if np.hypot(at[:, 0] - point[0], at[:, 1] - point[1]).min() > GATE_M
    ]


def streets_inside(
    parks: gpd.GeoDataFrame, network: StreetNetwork, *, entrances: pd.DataFrame | None = None
) -> pd.DataFrame:
    """
    Find the parts of streets that lie inside a park: who stands there is in the park.

    Parameters
    ----------
    parks
        Park outlines, EPSG:4326.
    network
        The walking network. Bridges over and tunnels under a park are not in it.
    entrances
        The parks' entrances. A park whose edge a street crosses away from every entrance is then left out:
        time 0 on its paths would let people in where there is no entrance.

    Returns
    -------
    pandas.DataFrame
        ``park``, ``street`` (rows of `parks`, ``network.streets``), ``start``, ``stop`` (fractions along the
        street, by length); sorted by park, street and start.
    """
    columns = ["park", "street", "start", "stop"]
    if parks.empty or not len(network.streets):
        return pd.DataFrame(columns=columns).astype(
            {"park": np.int64, "street": np.int64, "start": float, "stop": float}
        )
    crs = local_equal_area(parks)
    outlines = parks.geometry.to_crs(crs).to_numpy()
    streets = _projected(network.geometry, crs)
    ground = np.flatnonzero(_at_grade(network.streets))
    park, near = shapely.STRtree(streets[ground]).query(outlines, predicate="intersects")
    order = np.lexsort((near, park))
    park, near = park[order], ground[near[order]]
    tight = np.ones(len(parks), dtype=bool)
    if entrances is not None:
        tight = _only_entered_at(_in_metres(entrances, len(parks), crs), outlines, streets, (park, near))
    rows = []
    for p, s in zip(park[tight[park]], near[tight[park]], strict=True):
        rows += [(p, s, start, stop) for start, stop in _inside_fractions(outlines[p], streets[s])]
    return pd.DataFrame(rows, columns=columns).sort_values(columns[:3], ignore_index=True)


def _inside_fractions(outline: Any, street: Any) -> list[tuple[float, float]]:
    """Fractions of a street between which it is inside an outline."""
    length = street.length
    inside = [
        part for part in shapely.get_parts(shapely.intersection(street, outline)) if part.length > _INSIDE_M
    ]
    if length == 0 or not inside:
        return []
    if sum(part.length for part in inside) >= length - 1e-6:
        return [(0.0, 1.0)]
    spans = []
    for part in shapely.get_parts(shapely.line_merge(shapely.multilinestrings(inside))):
        ends = sorted(street.project(shapely.Point(part.coords[k])) / length for k in (0, -1))
        middle = street.project(part.interpolate(0.5, normalized=True)) / length
        if ends[0] <= middle <= ends[1]:
            spans.append((ends[0], ends[1]))
    return sorted(spans)


def _in_metres(entrances: pd.DataFrame, n: int, crs: Any) -> list[Any]:
    """Entrances of each park as one geometry."""
    known = entrances[entrances["kind"] != "flagged"]
    xy = shapely.get_coordinates(_projected(shapely.points(known["lon"], known["lat"]), crs))
    park = known["park"].to_numpy()
    return [shapely.multipoints(xy[park == p]) for p in range(n)]


def _only_entered_at(
    entrances: list[Any],
    outlines: npt.NDArray[np.object_],
    streets: npt.NDArray[np.object_],
    pairs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> npt.NDArray[np.bool_]:
    """True for parks into which streets lead at entrances only."""
    tight = np.ones(len(outlines), dtype=bool)
    for p, s in zip(*pairs, strict=True):
        points = _led_inside(outlines[p], shapely.boundary(outlines[p]), streets[s])
        if len(points):
            away = shapely.distance(shapely.points(points), entrances[p])
            tight[p] &= not (np.isnan(away) | (away > GATE_M)).any()
    return tight


def _ground(network: StreetNetwork, features: gpd.GeoDataFrame, crs: Any) -> _Ground:
    keep = np.flatnonzero(_at_grade(network.streets))
    streets = _projected(network.geometry[keep], crs)
    gate_id, gates, fences = _barriers(features, crs)
    degree = np.bincount(np.concatenate([network.u, network.v]), minlength=network.n_vertices)
    at_grade_ends = np.unique(np.concatenate([network.u[keep], network.v[keep]]))
    lone = at_grade_ends[degree[at_grade_ends] == 1]
    ends = _projected(shapely.points(network.lon[lone], network.lat[lone]), crs)
    tree = shapely.STRtree
    ways = np.array([f"way/{w}" for w in network.streets["osm_way"].to_numpy()[keep]], dtype=object)
    return _Ground(
        streets, ways, tree(streets), gates, gate_id, tree(gates), fences, tree(fences), ends, tree(ends)
    )


def _at_grade(streets: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """True for streets on the ground."""
    on_ground = np.ones(len(streets), dtype=bool)
    for column in ("bridge", "tunnel"):
        if column in streets.columns:
            words = streets[column].astype(object).where(streets[column].notna(), "").astype(str).str.lower()
            on_ground &= words.isin(_AT_GRADE).to_numpy()
    return on_ground


def _barriers(
    features: gpd.GeoDataFrame, crs: Any
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Ids and points of open gates, and lines of fences, in metres."""
    dimension = shapely.get_dimensions(features.geometry.to_numpy())
    gate = np.zeros(len(features), dtype=bool)
    fence = np.zeros(len(features), dtype=bool)
    for k, tags in enumerate(features["tags"]):
        if dimension[k] == 0:
            gate[k] = _is_gate(tags)
        elif dimension[k] > 0:
            fence[k] = tags.get("barrier") in FENCES or tags.get("fenced") == "yes"
    metres = features.geometry.to_crs(crs).to_numpy()
    gate[gate] = ~_house_doors(features, metres, np.flatnonzero(gate))
    lines = np.where(dimension[fence] == 2, shapely.boundary(metres[fence]), metres[fence])
    return features["id"].to_numpy(dtype=object)[gate], metres[gate], lines


def _house_doors(
    features: gpd.GeoDataFrame, metres: npt.NDArray[np.object_], gate: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """True for entrances that lead into a building: they stand on its wall, and are no gates of a park."""
    is_building = np.array([t.get("building", "no") != "no" for t in features["tags"]], dtype=bool)
    walls = metres[is_building & (shapely.get_dimensions(metres) == 2)]
    no_barrier = np.array(["barrier" not in features["tags"].iloc[k] for k in gate], dtype=bool)
    door = np.zeros(len(gate), dtype=bool)
    hit = shapely.STRtree(walls).query(metres[gate], predicate="dwithin", distance=_WALL_M)[0]
    door[hit] = True
    return np.asarray(door & no_barrier)


def _is_gate(tags: dict[str, str]) -> bool:
    """Tell whether a node lets the public in: a gate or entrance, neither private, locked nor an exit."""
    if is_private(tags, "public") or tags.get("locked") == "yes":
        return False
    entrance = tags.get("entrance", "no")
    if "barrier" not in tags and _ADDRESS & tags.keys():
        return False
    return tags.get("barrier") in GATES or entrance not in ("no", "exit", "emergency", "service", "garage")


def _gates(outline: Any, ground: _Ground) -> _Points:
    """Rule 1: gates on the outer edge."""
    edge = _outer_edge(outline)
    near = np.sort(ground.gate_tree.query(edge, predicate="dwithin", distance=GATE_M))
    xy = shapely.get_coordinates(ground.gates[near])
    return [(float(x), float(y), str(i)) for (x, y), i in zip(xy, ground.gate_id[near], strict=True)]


def _outer_edge(outline: Any) -> Any:
    return shapely.multilinestrings(shapely.get_exterior_ring(shapely.get_parts(outline)))


def _crossings(outline: Any, ground: _Ground) -> _Points:
    """Rule 2: streets at grade that lead inside, and dead ends at the edge."""
    edge = shapely.boundary(outline)
    found: _Points = []
    for k in np.sort(ground.tree.query(edge, predicate="intersects")):
        points = _led_inside(outline, edge, ground.streets[k])
        found += [(float(x), float(y), str(ground.way[k])) for x, y in points]
    for k in np.sort(ground.dead_end_tree.query(edge, predicate="dwithin", distance=_INSIDE_M)):
        x, y = shapely.get_coordinates(ground.dead_ends[k])[0]
        found.append((float(x), float(y), ""))
    return found


def _led_inside(outline: Any, edge: Any, street: Any) -> npt.NDArray[np.float64]:
    """Points where a street that leads inside meets the edge; none for one that only runs along it."""
    along = shapely.intersection(street, edge)
    inside = shapely.length(shapely.intersection(street, outline)) - shapely.length(along)
    if along.is_empty or inside <= _INSIDE_M:
        return np.empty((0, 2))
    return _touched(shapely.get_parts(along))


def _touched(parts: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Points where a street meets the edge; the two ends of a stretch along it."""
    ends = [
        shapely.get_coordinates(part)[[0, -1]]
        if shapely.get_dimensions(part) == 1
        else shapely.get_coordinates(part)
        for part in parts
    ]
    return np.concatenate(ends) if ends else np.empty((0, 2))


def _open_edge(outline: Any, ground: _Ground, open_m: float) -> _Points:
    """Rule 3: points of the edge from which a street is near and nothing stands in the way."""
    near = np.sort(ground.tree.query(outline, predicate="dwithin", distance=open_m))
    if not len(near):
        return []
    streets, edge = ground.streets[near], shapely.boundary(outline)
    points = np.concatenate([_along(edge), _nearest_on(edge, streets)])
    which = shapely.STRtree(streets).query_nearest(points, all_matches=False)[1]
    steps = shapely.shortest_line(points, streets[which])
    good = (shapely.length(steps) <= open_m) & ~_blocked(points, streets[which], outline, ground)
    return [
        (float(x), float(y), str(ground.way[near[w]]))
        for (x, y), w in zip(shapely.get_coordinates(points[good]), which[good], strict=True)
    ]


def _along(edge: Any) -> npt.NDArray[np.object_]:
    """Points every `STEP_M` along each ring of an edge, evenly spread."""
    points = []
    for ring in shapely.get_parts(edge):
        n = max(1, int(np.ceil(ring.length / STEP_M)))
        points.append(shapely.line_interpolate_point(ring, np.arange(n) / n, normalized=True))
    return np.concatenate(points)


def _nearest_on(edge: Any, streets: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """The point of the edge that is nearest to each street: even a short contact gets a point."""
    return shapely.get_point(shapely.shortest_line(edge, streets), 0)


def _blocked(
    points: npt.NDArray[np.object_], streets: npt.NDArray[np.object_], outline: Any, ground: _Ground
) -> npt.NDArray[np.bool_]:
    """Tell for each point of the edge whether a fence stands between the street and the park."""
    if not len(ground.fences):
        return np.zeros(len(points), dtype=bool)
    inner = shapely.buffer(outline, -_INTO_M)
    target = shapely.get_point(shapely.shortest_line(points, inner if not inner.is_empty else outline), 1)
    start = shapely.get_point(shapely.shortest_line(streets, points), 0)
    coords = np.stack([shapely.get_coordinates(p) for p in (start, points, target)], axis=1)
    hit = ground.fence_tree.query(shapely.linestrings(coords), predicate="dwithin", distance=_WALL_M)[0]
    blocked = np.zeros(len(points), dtype=bool)
    blocked[hit] = True
    return blocked


def _why_flagged(outline: Any, ground: _Ground, open_m: float) -> str:
    if not len(ground.tree.query(outline, predicate="dwithin", distance=open_m)):
        return f"no street within {open_m:g} m"
    return "fenced, no gate mapped"


def _distinct(found: _Points) -> _Points:
    """One entrance a metre: streets that share a node cross the edge at one point."""
    kept: dict[tuple[int, int], tuple[float, float, str]] = {}
    for x, y, source in sorted(found):
        kept.setdefault((round(x / _SAME_POINT_M), round(y / _SAME_POINT_M)), (x, y, source))
    return list(kept.values())


def _projected(geometry: npt.NDArray[np.object_], crs: Any) -> npt.NDArray[np.object_]:
    return np.asarray(gpd.GeoSeries(geometry, crs=WGS84).to_crs(crs).to_numpy(), dtype=object)


def _as_table(rows: list[tuple[int, float, float, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(ENTRANCE_COLUMNS))
    kinds = {"park": np.int64, "lon": float, "lat": float, "kind": str, "source": str, "reason": str}
    return table.astype(kinds)


def _in_degrees(table: pd.DataFrame, crs: Any) -> pd.DataFrame:
    found = table["kind"].ne("flagged").to_numpy()
    degrees = gpd.GeoSeries(
        gpd.points_from_xy(table.loc[found, "lon"], table.loc[found, "lat"]), crs=crs
    ).to_crs(WGS84)
    out = table.copy()
    out.loc[found, "lon"], out.loc[found, "lat"] = degrees.x.to_numpy(), degrees.y.to_numpy()
    return out.sort_values(["park", "lon", "lat"], ignore_index=True)
