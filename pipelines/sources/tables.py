"""Own tables of nodes and edges (CSV or Parquet) → one `StreetNetwork` a mode."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import Geod
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.network.profile import ModeProfile
from engine.network.slope import Elevation
from engine.network.street_network import NO_WAY, StreetNetwork
from pipelines.errors import ConfigError, SourceError
from pipelines.sources.delimited import column_named, flags, numbers, read_delimited, refuse_rows, texts
from pipelines.sources.tables_slope import slowness

LONGEST_M = 1_000_000
"""[m] No street between two junctions is longer."""

_NODE_COLUMNS: dict[str, tuple[str, ...]] = {
    "node_id": ("node_id", "id", "osmid", "osm_id"),
    "lon": ("lon", "long", "lng", "longitude", "x"),
    "lat": ("lat", "latitude", "y"),
    "elevation_m": ("elevation_m", "elevation"),
}
_EDGE_COLUMNS: dict[str, tuple[str, ...]] = {
    "from_node": ("from_node", "from", "u", "source"),
    "to_node": ("to_node", "to", "v", "target"),
    "oneway": ("oneway",),
    "length_m": ("length_m", "length"),
    "drive_time_s": ("drive_time_s",),
    "limit_kmh": ("limit_kmh", "maxspeed"),
    "major": ("major",),
    "contraflow": ("contraflow",),
    "walk": ("walk",),
    "bike": ("bike",),
    "drive": ("drive",),
    "osm_way": ("osm_way",),
    "name": ("name",),
    "highway": ("highway",),
    "geometry": ("geometry",),
}
_NEEDED = ("node_id", "lon", "lat", "from_node", "to_node")


@dataclass(frozen=True, eq=False)
class StreetTables:
    """
    Checked tables of nodes and edges, with the product's own column names.

    Attributes
    ----------
    nodes
        ``node_id`` (unique), ``lon``, ``lat`` [deg], ``elevation_m`` where given; sorted by ``node_id``.
    edges
        ``u``, ``v`` (rows of `nodes`), ``length_m``, ``forward``, ``backward`` (whether traffic may go),
        ``contraflow`` (whether bicycles may go against it), ``walk``, ``bike``, ``drive``,
        ``drive_time_s``, ``limit_kmh`` (NaN where unknown), ``major``, ``osm_way``, ``name``, ``highway``,
        ``geometry`` (shapely or None); in the order of the file.
    report
        Rows read, left out and repaired, by reason.
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    report: dict[str, int]


def read_street_tables(nodes: Path, edges: Path, *, columns: Mapping[str, str] | None = None) -> StreetTables:
    """
    Read and check tables of street nodes and edges.

    Parameters
    ----------
    nodes
        CSV (any separator, also gzipped) or Parquet with ``node_id``, ``lon``, ``lat`` (EPSG:4326).
    edges
        CSV or Parquet with ``from``, ``to`` and, by option, ``length_m`` (else the straight line, or the
        geometry's), ``oneway`` (1, 0, or -1 for against the row), ``drive_time_s``, ``limit_kmh``, ``major``
        (keeps its limit in street30), ``contraflow``, ``walk``/``bike``/``drive`` (who may use it),
        ``osm_way``, ``name``, ``highway``, ``geometry`` (WKT, longitude first, or WKB).
    columns
        Product name → your column, for those that are named otherwise.

    Returns
    -------
    StreetTables
        Checked tables and what was left out.

    Raises
    ------
    SourceError
        A row is wrong: unknown node, double id, coordinate off the globe or swapped, length or time not
        positive; the message names file, column and row.
    ConfigError
        `columns` names something that does not exist.

    Notes
    -----
    O(nodes + edges).
    """
    columns = dict(columns or {})
    _refuse_unknown_keys(columns)
    node_frame, edge_frame = _read_table(nodes), _read_table(edges)
    picked_nodes = _pick(node_frame, _NODE_COLUMNS, columns, nodes)
    picked_edges = _pick(edge_frame, _EDGE_COLUMNS, columns, edges)
    node_table = _check_nodes(picked_nodes, nodes)
    report = {"nodes_read": len(node_frame), "edges_read": len(edge_frame)}
    edge_table = _check_edges(picked_edges, node_table, edges, report)
    return StreetTables(node_table, edge_table, report)


def street_network(
    tables: StreetTables, profile: ModeProfile, *, elevation: Elevation | None = None
) -> StreetNetwork:
    """
    Build the network of one mode from checked tables.

    Walking goes both ways at one speed; cycling obeys ``oneway`` save where ``contraflow`` allows otherwise;
    street30 takes the drive time, or the time at the limit, but no less than the time at 30 km/h save on
    major roads, times the congestion factor. Slope changes walking and cycling where heights are known. The
    largest strongly connected part is kept.

    Parameters
    ----------
    tables
        From `read_street_tables`.
    profile
        The mode with its speed (for street30 the highest on streets that are not major), slope and congestion
        factor. What a profile says of steps, surfaces, signals or stress needs tags, which tables do not have.
    elevation
        [m] Heights at (lon, lat); None: the column ``elevation_m`` of the nodes, where there is one.

    Returns
    -------
    StreetNetwork
        With ``dropped``: the report of the reading, and what the mode left out.

    Raises
    ------
    SourceError
        No edge may be used by the mode.
    """
    edges, mode = tables.edges, profile.mode
    forward, backward = _directions(edges, mode)
    used = (forward | backward).to_numpy()
    seconds = _seconds(edges, mode, profile.speed_kmh) * (
        profile.congestion_factor if mode == "street30" else 1.0
    )
    hills = slowness(tables.nodes, edges, profile, elevation=elevation)
    ahead, back = (seconds, seconds) if hills is None else seconds * hills.times
    kept = _main_part(len(tables.nodes), edges, forward.to_numpy(), backward.to_numpy())
    inside = used & kept[edges["u"].to_numpy()] & kept[edges["v"].to_numpy()]
    if not inside.any():
        msg = f"no edge of the tables may be used by {mode}: check the columns walk, bike, drive and oneway"
        raise SourceError(msg)
    streets = edges.loc[inside].assign(
        forward_ms=np.where(forward, np.rint(ahead * 1000), NO_WAY)[inside].astype(np.int32),
        backward_ms=np.where(backward, np.rint(back * 1000), NO_WAY)[inside].astype(np.int32),
    )
    dropped: dict[str, Any] = dict(tables.report)
    dropped["edges_not_for_mode"] = int((~used).sum())
    dropped["edges_outside_main_component"] = int((used & ~inside).sum())
    dropped["length_outside_main_component_m"] = float(round(edges.loc[used & ~inside, "length_m"].sum(), 1))
    dropped["nodes_outside_main_component"] = int(len(kept) - kept.sum())
    if hills is not None:
        unknown = int(np.isnan(hills.node_m[kept]).sum())
        dropped["elevation"] = {"nodes_without_height": unknown, "slopes_capped": hills.capped}
    return _assemble(
        tables.nodes, streets, kept, mode, dropped, None if hills is None else hills.node_m[kept]
    )


def _refuse_unknown_keys(columns: Mapping[str, str]) -> None:
    known = [*_NODE_COLUMNS, *_EDGE_COLUMNS]
    for key in columns:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            msg = f"source.columns has the unknown key {key!r}{hint}"
            raise ConfigError(msg)


def _read_table(path: Path) -> pd.DataFrame:
    """Read CSV as text, Parquet as it is."""
    if path.suffix.lower() not in (".parquet", ".pq", ".geoparquet"):
        return read_delimited(path)
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        msg = f"cannot read {path} as Parquet: {error}"
        raise SourceError(msg) from error


def _pick(
    frame: pd.DataFrame, names: Mapping[str, tuple[str, ...]], columns: Mapping[str, str], path: Path
) -> dict[str, pd.Series]:
    """Find the columns by the configuration's names, else by the usual ones."""
    picked: dict[str, pd.Series] = {}
    for key, usual in names.items():
        if key in columns and columns[key] not in frame.columns:
            has = list(frame.columns)
            msg = f"source.columns.{key} names {columns[key]!r}, which {path} lacks: it has {has}"
            raise ConfigError(msg)
        found = columns.get(key) or column_named(frame, usual)
        if found is not None:
            picked[key] = frame[found].reset_index(drop=True)
        elif key in _NEEDED:
            msg = (
                f"{path} has no column {' or '.join(usual)}: it has {list(frame.columns)}. "
                f"Name yours as source.columns.{key}"
            )
            raise SourceError(msg)
    return picked


def _check_nodes(picked: Mapping[str, pd.Series], path: Path) -> pd.DataFrame:
    what = str(path)
    node_id = _integers(picked["node_id"], what=what)
    refuse_rows(picked["node_id"], node_id.duplicated(), what=what, expected="each node once")
    lon, lat = numbers(picked["lon"], what=what), numbers(picked["lat"], what=what)
    for column, values in (("lon", lon), ("lat", lat)):
        refuse_rows(picked[column], values.isna(), what=what, expected="a number, in every row")
    if not len(lon):
        msg = f"{path} has no rows: expected one a node"
        raise SourceError(msg)
    if lat.abs().max() > 90 and lon.abs().max() <= 90:
        msg = (
            f"{path}: {lat.name!r} reaches {lat.abs().max():g}, beyond 90°, and {lon.name!r} does not: they "
            f"look swapped. Exchange source.columns.lon and source.columns.lat"
        )
        raise SourceError(msg)
    refuse_rows(picked["lon"], lon.abs() > 180, what=what, expected="degrees, -180 to 180 (EPSG:4326)")
    refuse_rows(picked["lat"], lat.abs() > 90, what=what, expected="degrees, -90 to 90 (EPSG:4326)")
    table = pd.DataFrame({"node_id": node_id, "lon": lon, "lat": lat})
    if "elevation_m" in picked:
        table["elevation_m"] = numbers(picked["elevation_m"], what=what)
    return table.sort_values("node_id", ignore_index=True)


def _integers(column: pd.Series, *, what: str) -> pd.Series:
    """Node ids: whole numbers of 64 bits, read without passing through floats where they are text."""
    if pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any():
        return column.astype("int64")
    text = texts(column).str.replace(r"\.0+$", "", regex=True)
    fits = text.str.fullmatch(r"[+-]?\d{1,18}").fillna(value=False).astype(bool)
    refuse_rows(column, ~fits, what=what, expected="a whole number, in every row")
    return text.astype("int64")


def _check_edges(
    picked: Mapping[str, pd.Series], nodes: pd.DataFrame, path: Path, report: dict[str, int]
) -> pd.DataFrame:
    what, n = str(path), len(picked["from_node"])
    ends = {}
    for key, name in (("u", "from_node"), ("v", "to_node")):
        ids = _integers(picked[name], what=what).to_numpy()
        place = np.minimum(np.searchsorted(nodes["node_id"], ids), len(nodes) - 1)
        unknown = pd.Series(nodes["node_id"].to_numpy()[place] != ids)
        refuse_rows(picked[name], unknown, what=what, expected="the id of a node of the table of nodes")
        ends[key] = place.astype(np.int32)
    table = pd.DataFrame(ends)
    table["geometry"] = _geometry(picked.get("geometry"), table, nodes, what=what)
    table["length_m"] = _lengths(picked.get("length_m"), table, nodes, report, what=what)
    forward, backward = _oneway(picked.get("oneway"), n, what=what)
    table["forward"], table["backward"] = forward, backward
    for key in ("contraflow", "major", "walk", "bike", "drive"):
        usual = key in ("walk", "bike", "drive")
        table[key] = flags(picked[key], what=what) if key in picked else usual
    for key in ("drive_time_s", "limit_kmh"):
        table[key] = _positive(picked[key], what=what) if key in picked else np.nan
    table["osm_way"] = _integers(picked["osm_way"], what=what) if "osm_way" in picked else np.int64(-1)
    for key in ("name", "highway"):
        if key in picked:
            table[key] = texts(picked[key])
    return _without_loops_and_twins(table, report)


def _oneway(
    column: pd.Series | None, n: int, *, what: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Directions in which traffic may go: along the row, against it."""
    if column is None:
        return np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    text = texts(column).str.lower()
    against = text.isin(["-1", "-1.0", "reverse"]).to_numpy()
    only = flags(column.mask(against), what=what).to_numpy()
    return ~against, ~only


def _positive(column: pd.Series, *, what: str) -> pd.Series:
    values = numbers(column, what=what)
    refuse_rows(column, values <= 0, what=what, expected="a number above 0")
    return values


def _geometry(
    column: pd.Series | None, ends: pd.DataFrame, nodes: pd.DataFrame, *, what: str
) -> npt.NDArray[np.object_]:
    """Lines drawn from `u` to `v`, turned round where the table drew them back; None where unknown."""
    lines = np.full(len(ends), None, dtype=object)
    if column is None:
        return lines
    present = column.notna().to_numpy()
    values = column[present].to_numpy()
    binary = len(values) > 0 and isinstance(values[0], bytes)
    parse = shapely.from_wkb if binary else shapely.from_wkt
    with np.errstate(all="ignore"):  # 1e999 overflows to infinity, which is refused below
        lines[present] = parse(values, on_invalid="ignore")
    wrong = present & (shapely.get_type_id(lines) != int(shapely.GeometryType.LINESTRING))
    refuse_rows(column, pd.Series(wrong), what=what, expected="a LINESTRING in WKT or WKB, longitude first")
    xy = nodes[["lon", "lat"]].to_numpy()
    starts = shapely.points(xy[ends["u"]])
    first, last = shapely.get_point(lines, 0), shapely.get_point(lines, -1)
    turned = present & (shapely.distance(starts, last) < shapely.distance(starts, first))
    lines[turned] = shapely.reverse(lines[turned])
    return lines


def _lengths(
    column: pd.Series | None, table: pd.DataFrame, nodes: pd.DataFrame, report: dict[str, int], *, what: str
) -> pd.Series:
    """[m] Given lengths, else the geometry's, else the straight line's."""
    geod = Geod(ellps="WGS84")
    lon, lat = nodes["lon"].to_numpy(), nodes["lat"].to_numpy()
    u, v = table["u"].to_numpy(), table["v"].to_numpy()
    straight = np.asarray(geod.inv(lon[u], lat[u], lon[v], lat[v])[2])
    lines = table["geometry"].to_numpy()
    drawn = np.array([straight[i] if g is None else geod.geometry_length(g) for i, g in enumerate(lines)])
    if column is None:
        return pd.Series(drawn)
    given = numbers(column, what=what)
    refuse_rows(column, ~given.fillna(0).between(0, LONGEST_M), what=what, expected=f"0 to {LONGEST_M:,} m")
    longer = (straight > 1) & given.notna()
    ratio = float(np.median((given / np.maximum(straight, 1e-9))[longer])) if longer.any() else 1.0
    if not 0.5 < ratio < 20:
        msg = (
            f"{what}, column {column.name!r}: half of the lengths are under {ratio:.3g} times the straight "
            f"line between their nodes; expected metres, 1 to 2 times"
        )
        raise SourceError(msg)
    # 2 m: whole metres and coordinates of five decimals cannot be closer (1e-5° of latitude = 1.1 m)
    report["edges_shorter_than_straight"] = int((given < straight - np.maximum(2.0, 0.02 * straight)).sum())
    report["edges_without_length"] = int(given.isna().sum())
    return given.where(given.notna(), drawn)


def _without_loops_and_twins(table: pd.DataFrame, report: dict[str, int]) -> pd.DataFrame:
    """Leave out loops that are not drawn (a point has no street) and rows that repeat another."""
    loop = (table["u"] == table["v"]) & table["geometry"].isna()
    same = [c for c in table.columns if c != "geometry"]
    wkb = pd.Series(shapely.to_wkb(table["geometry"].to_numpy()), index=table.index)
    twin = table[same].assign(wkb=wkb).duplicated()
    report["edges_that_are_undrawn_loops"] = int(loop.sum())
    report["edges_repeated"] = int((twin & ~loop).sum())
    return table.loc[~loop & ~twin].reset_index(drop=True)


def _directions(edges: pd.DataFrame, mode: str) -> tuple[pd.Series, pd.Series]:
    if mode == "walk":
        return edges["walk"], edges["walk"]
    if mode == "bike":
        with_it = edges["forward"] | edges["contraflow"]
        against = edges["backward"] | edges["contraflow"]
        return with_it & edges["bike"], against & edges["bike"]
    return edges["forward"] & edges["drive"], edges["backward"] & edges["drive"]


def _seconds(edges: pd.DataFrame, mode: str, speed_kmh: float) -> npt.NDArray[np.float64]:
    """[s] Time along each edge."""
    length, limit, driven = (
        np.asarray(edges[c], dtype=np.float64) for c in ("length_m", "limit_kmh", "drive_time_s")
    )
    at_speed = length / (speed_kmh / 3.6)
    if mode != "street30":
        return at_speed
    own = np.where(np.isnan(driven), length / (limit / 3.6), driven)
    keeps_limit = np.asarray(edges["major"], dtype=bool) & ~np.isnan(own)
    return np.where(keeps_limit, own, np.fmax(own, at_speed))


def _main_part(
    n: int, edges: pd.DataFrame, forward: npt.NDArray[np.bool_], backward: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Mark the nodes of the largest strongly connected part; of equals, the one with the lowest node id."""
    u, v = edges["u"].to_numpy(), edges["v"].to_numpy()
    tail, head = np.concatenate([u[forward], v[backward]]), np.concatenate([v[forward], u[backward]])
    arcs = coo_array((np.ones(len(tail), dtype=np.int8), (tail, head)), shape=(n, n))
    _, label = connected_components(arcs, directed=True, connection="strong")
    _, first = np.unique(label, return_index=True)
    sizes = np.bincount(label)
    largest = min(np.flatnonzero(sizes == sizes.max()), key=lambda part: int(first[part]))
    return np.asarray(label == largest)


def _assemble(
    nodes: pd.DataFrame,
    streets: pd.DataFrame,
    kept: npt.NDArray[np.bool_],
    mode: str,
    dropped: dict[str, Any],
    height_m: npt.NDArray[np.float64] | None,
) -> StreetNetwork:
    """Number the kept nodes anew and lay out the geometry."""
    number = np.cumsum(kept) - 1
    inside = nodes.loc[kept]
    lon, lat = inside["lon"].to_numpy(np.float64), inside["lat"].to_numpy(np.float64)
    u, v = number[streets["u"].to_numpy()].astype(np.int32), number[streets["v"].to_numpy()].astype(np.int32)
    lines = streets["geometry"].to_numpy()
    straight = shapely.linestrings(np.stack([np.column_stack([lon[e], lat[e]]) for e in (u, v)], axis=1))
    drawn = np.where(pd.isna(lines), np.asarray(straight, dtype=object), lines)
    _, coords, (offsets,) = shapely.to_ragged_array(drawn)
    attributes = [c for c in ("osm_way", "name", "highway", "limit_kmh") if c in streets]
    attributes = [c for c in attributes if streets[c].notna().any()]
    table = streets[["length_m", "forward_ms", "backward_ms", *attributes]].reset_index(drop=True)
    table.insert(0, "u", u)
    table.insert(1, "v", v)
    return StreetNetwork(
        mode=mode,
        node_id=inside["node_id"].to_numpy(np.int64),
        lon=lon,
        lat=lat,
        streets=table,
        coords=np.ascontiguousarray(coords[:, :2]),
        offsets=np.asarray(offsets, dtype=np.int64),
        elevation_m=height_m,
        dropped=dropped,
    )
