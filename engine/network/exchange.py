"""Networks as others write them: OSMnx graphs, and tables of nodes and edges."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.errors import SchemaError
from engine.network.geodesy import great_circle
from engine.network.street_network import NO_WAY, StreetNetwork

_OWN = ("u", "v", "length_m", "forward_ms", "backward_ms", "osm_way")
_EDGE = ("from_node", "to_node", "length_m", "travel_time_ms", "osm_way")


def to_tables(network: StreetNetwork) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """
    The network as the run directory stores it.

    Returns
    -------
    tuple of geopandas.GeoDataFrame
        Nodes in the order of the vertices: ``node_id``, ``elevation_m``, ``geometry``. Edges, one row a
        direction that may be travelled, street by street: ``from_node``, ``to_node``, ``length_m``,
        ``travel_time_ms``, ``osm_way``, the attributes, ``street`` (both directions of a street share it),
        ``backward`` (against the street's own direction), ``geometry`` drawn in the direction of travel.
        EPSG:4326.
    """
    nodes = gpd.GeoDataFrame(
        {
            "node_id": network.node_id,
            "elevation_m": np.full(network.n_vertices, np.nan)
            if network.elevation_m is None
            else network.elevation_m,
        },
        geometry=shapely.points(network.lon, network.lat),
        crs="EPSG:4326",
    )
    arcs = network.arcs.sort_values(["street", "backward"], kind="stable", ignore_index=True)
    street, backward = arcs["street"].to_numpy(), arcs["backward"].to_numpy()
    own = network.streets.iloc[street].reset_index(drop=True)
    geometry = network.geometry[street]
    geometry[backward] = shapely.reverse(geometry[backward])
    edges = gpd.GeoDataFrame(
        {
            "from_node": network.node_id[arcs["tail"].to_numpy()],
            "to_node": network.node_id[arcs["head"].to_numpy()],
            "length_m": own["length_m"],
            "travel_time_ms": arcs["travel_time_ms"],
            "osm_way": own["osm_way"],
            **{name: own[name] for name in own.columns if name not in _OWN},
            "street": street,
            "backward": backward,
        },
        geometry=geometry,
        crs="EPSG:4326",
    )
    return nodes, edges


def from_tables(nodes: pd.DataFrame, edges: pd.DataFrame, mode: str) -> StreetNetwork:
    """
    A network from tables of nodes and edges, our own or anybody's.

    Parameters
    ----------
    nodes
        ``node_id`` (whole numbers, distinct) and either point ``geometry`` or ``lon`` and ``lat`` [deg,
        EPSG:4326]; ``elevation_m`` by option.
    edges
        One row a direction: ``from_node``, ``to_node``, ``length_m`` and ``travel_time_ms``; by option
        ``osm_way``, line ``geometry`` (missing: a straight line), and attributes. ``length_m`` may be missing
        where the geometry gives it. Rows with the same ``street`` are the two directions of one street;
        without that column, two rows with opposite ends, the same length, way and line are.
    mode
        Mode of the network.

    Returns
    -------
    StreetNetwork
        Equal to the network that `to_tables` took apart; vertices keep the order of the nodes.

    Raises
    ------
    SchemaError
        A column lacks, a node is named twice or not at all, a time or a length is negative or no number.

    Notes
    -----
    O(nodes + edges · log edges).
    """
    lon, lat = _positions(nodes)
    node_id = _whole(nodes, "node_id", "nodes")
    if len(np.unique(node_id)) != len(node_id):
        first = pd.Series(node_id)[pd.Series(node_id).duplicated()].iloc[0]
        msg = f"nodes: node_id {first} stands twice; expected each id once: drop the repetition"
        raise SchemaError(msg)
    tail, head = (_vertices(node_id, edges, column) for column in ("from_node", "to_node"))
    lines = _lines(edges, tail, head, lon, lat)
    table = _edge_table(edges, tail, head, lines)
    street, backward = _pairing(edges, table, lines)
    return _assembled(mode, node_id, lon, lat, nodes, edges, table, lines, street, backward)


def _positions(nodes: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if "geometry" in nodes.columns:
        points = np.asarray(nodes["geometry"], dtype=object)
        lon, lat = shapely.get_x(points), shapely.get_y(points)
    elif {"lon", "lat"} <= set(nodes.columns):
        lon, lat = (pd.to_numeric(nodes[c], errors="coerce").to_numpy(np.float64) for c in ("lon", "lat"))
    else:
        msg = f"nodes lack positions: expected 'geometry' or 'lon' and 'lat', found {list(nodes.columns)}"
        raise SchemaError(msg)
    bad = ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        msg = (
            f"nodes: row {i} lies at lon {lon[i]}, lat {lat[i]} ({int(bad.sum())} such rows); "
            "expected degrees, EPSG:4326: reproject the table"
        )
        raise SchemaError(msg)
    return np.array(lon, dtype=np.float64), np.array(lat, dtype=np.float64)


def _whole(table: pd.DataFrame, column: str, name: str) -> npt.NDArray[np.int64]:
    if column not in table.columns:
        msg = f"{name} lack the column {column!r}; found {list(table.columns)}"
        raise SchemaError(msg)
    values = pd.to_numeric(table[column], errors="coerce")
    if values.isna().any() or (values % 1 != 0).any():
        row = int(np.flatnonzero(values.isna() | (values % 1 != 0))[0])
        msg = f"{name}: {column} of row {row} is {table[column].iloc[row]!r}; expected a whole number"
        raise SchemaError(msg)
    return np.array(values.to_numpy(np.int64))


def _vertices(node_id: npt.NDArray[np.int64], edges: pd.DataFrame, column: str) -> npt.NDArray[np.int64]:
    ids = _whole(edges, column, "edges")
    order = np.argsort(node_id, kind="stable")
    place = np.searchsorted(node_id, ids, sorter=order)
    place[place == len(node_id)] = 0
    found = order[place] if len(node_id) else np.full(len(ids), -1)
    known = node_id[found] == ids if len(node_id) else np.zeros(len(ids), dtype=bool)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        msg = (
            f"edges: {column} of row {row} is {ids[row]}, which no node carries "
            f"({int((~known).sum())} such rows); add the nodes or drop the edges"
        )
        raise SchemaError(msg)
    return np.asarray(found, dtype=np.int64)


def _lines(
    edges: pd.DataFrame,
    tail: npt.NDArray[np.int64],
    head: npt.NDArray[np.int64],
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
) -> npt.NDArray[np.object_]:
    """One LineString an edge, in the direction of travel; straight where none is given."""
    ends = np.stack(
        [np.column_stack([lon[tail], lat[tail]]), np.column_stack([lon[head], lat[head]])], axis=1
    )
    straight = np.asarray(shapely.linestrings(ends), dtype=object) if len(tail) else np.empty(0, dtype=object)
    if "geometry" not in edges.columns:
        return straight
    given = np.asarray(edges["geometry"], dtype=object)
    missing = shapely.is_missing(given) | shapely.is_empty(given)
    wrong = ~missing & (shapely.get_type_id(given) != shapely.GeometryType.LINESTRING)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        msg = f"edges: geometry of row {row} is a {given[row].geom_type}; expected LineString"
        raise SchemaError(msg)
    return np.where(missing, straight, given)


def _edge_table(
    edges: pd.DataFrame,
    tail: npt.NDArray[np.int64],
    head: npt.NDArray[np.int64],
    lines: npt.NDArray[np.object_],
) -> pd.DataFrame:
    """Ends, length, time and way of every edge, checked."""
    if "travel_time_ms" not in edges.columns:
        msg = f"edges lack the column 'travel_time_ms'; found {list(edges.columns)}"
        raise SchemaError(msg)
    length = edges["length_m"] if "length_m" in edges.columns else _lengths(lines)
    table = pd.DataFrame(
        {
            "tail": tail,
            "head": head,
            "length_m": pd.to_numeric(pd.Series(np.asarray(length)), errors="coerce").to_numpy(np.float64),
            "time": pd.to_numeric(pd.Series(np.asarray(edges["travel_time_ms"])), errors="coerce").to_numpy(
                np.float64
            ),
        }
    )
    for column, name in (("length_m", "length_m"), ("time", "travel_time_ms")):
        bad = ~(table[column].to_numpy() >= 0) | ~np.isfinite(table[column].to_numpy())
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            msg = f"edges: {name} of row {row} is {table[column].iloc[row]}; expected a number, 0 or more"
            raise SchemaError(msg)
    table["time"] = np.rint(table["time"]).astype(np.int64)
    table["osm_way"] = _whole(edges, "osm_way", "edges") if "osm_way" in edges.columns else 0
    return table


def _lengths(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """[m] Length of each line on the sphere."""
    xy, line = shapely.get_coordinates(lines, return_index=True)
    step = great_circle(xy[:-1, 0], xy[:-1, 1], xy[1:, 0], xy[1:, 1])
    same = line[:-1] == line[1:]
    total = np.bincount(line[:-1][same], weights=step[same], minlength=len(lines))
    return total.astype(np.float64)


def _pairing(
    edges: pd.DataFrame, table: pd.DataFrame, lines: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Street of each edge, numbered in order of appearance, and whether the edge runs against it."""
    if {"street", "backward"} <= set(edges.columns):
        street, _ = pd.factorize(_whole(edges, "street", "edges"))
        return np.asarray(street, dtype=np.int64), edges["backward"].to_numpy(bool)
    tail, head = table["tail"].to_numpy(), table["head"].to_numpy()
    turned = (tail > head) | ((tail == head) & _reads_backward(lines))
    line = np.where(turned, shapely.reverse(lines), lines)
    key = pd.DataFrame(
        {
            "low": np.minimum(tail, head),
            "high": np.maximum(tail, head),
            "way": table["osm_way"].to_numpy(),
            "length": np.rint(table["length_m"].to_numpy() * 1000),
            "line": shapely.to_wkb(line),
        }
    )
    # the n-th edge one way pairs with the n-th edge the other way between the same ends along the same line
    key["nth"] = key.assign(turned=turned).groupby([*key.columns, "turned"], sort=False).cumcount()
    street = key.groupby(list(key.columns), sort=False).ngroup().to_numpy()
    first = pd.Series(turned).groupby(street).transform("first").to_numpy()
    return np.asarray(street, dtype=np.int64), turned != first


def _reads_backward(lines: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """For loops: whether the line is the greater of its two readings, so that both directions agree."""
    return np.array(
        [a > b for a, b in zip(shapely.to_wkb(lines), shapely.to_wkb(shapely.reverse(lines)), strict=True)],
        bool,
    )


def _assembled(
    mode: str,
    node_id: npt.NDArray[np.int64],
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    table: pd.DataFrame,
    lines: npt.NDArray[np.object_],
    street: npt.NDArray[np.int64],
    backward: npt.NDArray[np.bool_],
) -> StreetNetwork:
    n = int(street.max()) + 1 if len(street) else 0
    times = np.full((2, n), NO_WAY, dtype=np.int64)
    times[backward.astype(np.int64), street] = table["time"].to_numpy()
    _, first = np.unique(street, return_index=True)
    own, turned = table.iloc[first], backward[first]
    tail, head = own["tail"].to_numpy(), own["head"].to_numpy()
    streets = pd.DataFrame(
        {
            "u": np.where(turned, head, tail).astype(np.int32),
            "v": np.where(turned, tail, head).astype(np.int32),
            "length_m": own["length_m"].to_numpy(),
            "forward_ms": times[0].astype(np.int32),
            "backward_ms": times[1].astype(np.int32),
            "osm_way": own["osm_way"].to_numpy(),
        }
    )
    extra = [c for c in edges.columns if c not in {*_EDGE, "geometry", "street", "backward", "length_m"}]
    attributes = pd.DataFrame(edges[extra]).iloc[first].reset_index(drop=True)
    streets = pd.concat([streets, attributes], axis=1)
    line = np.where(turned, shapely.reverse(lines[first]), lines[first])
    coords = shapely.get_coordinates(line)
    offsets = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(line))]).astype(np.int64)
    height = (
        nodes["elevation_m"].to_numpy(np.float64) if "elevation_m" in nodes.columns else np.array([np.nan])
    )
    return StreetNetwork(
        mode=mode,
        node_id=node_id,
        lon=lon,
        lat=lat,
        streets=streets,
        coords=coords,
        offsets=offsets,
        elevation_m=None if np.isnan(height).all() else height,
    )


def to_networkx(network: StreetNetwork) -> nx.MultiDiGraph:
    """
    The network as OSMnx exchanges it.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes carry ``x``, ``y`` (and ``elevation``); edges ``osmid``, ``length`` [m], ``travel_time`` [s],
        ``travel_time_ms``, ``geometry``, ``reversed``, ``street`` and the street's attributes; graph
        attributes ``crs``, ``mode``, ``simplified``.
    """
    graph = nx.MultiDiGraph(crs="EPSG:4326", simplified=True, mode=network.mode)
    _, edges = to_tables(network)
    for i, (node, x, y) in enumerate(
        zip(network.node_id.tolist(), network.lon.tolist(), network.lat.tolist(), strict=True)
    ):
        height = {} if network.elevation_m is None else {"elevation": float(network.elevation_m[i])}
        graph.add_node(node, x=x, y=y, **height)
    named = pd.DataFrame(edges).rename(
        columns={"osm_way": "osmid", "length_m": "length", "backward": "reversed"}
    )
    named["travel_time"] = named["travel_time_ms"] / 1000
    for row in named.to_dict("records"):
        values = {str(k): v for k, v in row.items() if not (isinstance(v, float) and np.isnan(v))}
        graph.add_edge(values.pop("from_node"), values.pop("to_node"), **values)
    return graph


def from_networkx(graph: nx.MultiDiGraph, mode: str, *, speed_kmh: float | None = None) -> StreetNetwork:
    """
    A network from a graph in OSMnx's form.

    Parameters
    ----------
    graph
        Nodes with ``x``, ``y`` [deg]; edges with ``length`` [m] and ``travel_time_ms`` or ``travel_time``
        [s]. Where an attribute of an edge is a list (merged ways), the first entry counts.
    mode
        Mode of the network.
    speed_kmh
        [km/h] Speed for edges without a time; None: such an edge is an error.

    Raises
    ------
    SchemaError
        The graph is projected, or an edge has neither a time nor a speed.
    """
    crs = str(graph.graph.get("crs", "EPSG:4326")).lower()
    if "4326" not in crs and "crs84" not in crs:
        msg = f"the graph's crs is {crs}; expected EPSG:4326: hand over the graph before projecting it"
        raise SchemaError(msg)
    nodes = pd.DataFrame(
        {
            "node_id": list(graph.nodes),
            "lon": [d["x"] for _, d in graph.nodes(data=True)],
            "lat": [d["y"] for _, d in graph.nodes(data=True)],
            "elevation_m": [d.get("elevation", np.nan) for _, d in graph.nodes(data=True)],
        }
    )
    rows = [{"from_node": u, "to_node": v, **_flat(d, speed_kmh)} for u, v, d in graph.edges(data=True)]
    edges = pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*_EDGE, "geometry"])
    edges = edges.rename(columns={"osmid": "osm_way", "length": "length_m", "reversed": "backward"})
    if "street" in edges.columns:
        edges = edges.sort_values(["street", "backward"], ignore_index=True)
    else:
        edges = edges.drop(columns="backward", errors="ignore")
    return from_tables(nodes, edges.drop(columns="travel_time", errors="ignore"), mode)


def _flat(data: dict[str, Any], speed_kmh: float | None) -> dict[str, Any]:
    row = {key: value[0] if isinstance(value, list) and value else value for key, value in data.items()}
    if "travel_time_ms" not in row:
        if "travel_time" in row:
            row["travel_time_ms"] = round(float(row["travel_time"]) * 1000)
        elif speed_kmh is not None and "length" in row:
            row["travel_time_ms"] = round(float(row["length"]) * 3600 / speed_kmh)
        else:
            msg = f"an edge has neither 'travel_time' nor 'travel_time_ms' (found {sorted(data)}): give speed_kmh"
            raise SchemaError(msg)
    return row
