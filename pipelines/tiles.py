"""
Tiles: the cells of a large area in portions, each computed on the part of the network that it can depend on.

What belongs to the area as a whole is computed once and shared: networks, places, where they attach, and the nearest
places of every vertex. A tile then needs the streets of its own cells and, for the places counted within a cutoff,
those within a halo: no path of that duration leaves it. Times are integers and the part is measured in the plane of
the whole, so every figure is the one that the whole area gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from engine.cells import cell_polygons, street_pieces
from engine.network.exchange import from_tables
from engine.network.street_network import StreetNetwork
from engine.reach.destinations import Destinations
from engine.reach.nearest import NearestField
from engine.snapping import local_metres
from pipelines.config import Mode
from pipelines.errors import ConfigError
from pipelines.steps.context import Context
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.reach import COUNT_CUTOFFS_MIN, ModeReach, checked_nearest, measure
from pipelines.steps.streets import load_network
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet

Cells = npt.NDArray[np.uint64]
_ROWS = 50_000
"""Rows of a table that are in memory at once while it is searched."""
_DEGREE_M = 110_500.0
"""[m] Least length of a degree of latitude on the WGS 84 ellipsoid (110,574 m at the equator), rounded down."""
_MARGIN = 1.01
"""Straight lines on the sphere, the ellipsoid and the plane differ by less than this."""


def tiles_of(cells: Cells, most: int) -> list[Cells]:
    """
    Cut sorted cells into portions of nearly equal size.

    H3 indexes follow a space-filling curve, so that a run of sorted cells is compact.

    Parameters
    ----------
    cells
        H3 indexes, sorted.
    most
        Cells in a portion at most.

    Raises
    ------
    ConfigError
        `most` is less than 1.

    Examples
    --------
    >>> [len(t) for t in tiles_of(np.arange(10, dtype=np.uint64), 4)]
    [3, 3, 4]
    """
    if most < 1:
        msg = f"a tile of {most} cells; expected at least 1"
        raise ConfigError(msg)
    n = max(1, -(-len(cells) // most))
    edges = [len(cells) * i // n for i in range(n + 1)]
    return [cells[a:b] for a, b in pairwise(edges)]


class Part(NamedTuple):
    """
    A part of a network.

    Attributes
    ----------
    network
        Its streets, in the order of the whole and measured in its plane.
    vertex
        Vertex of the whole of each vertex.
    street
        Street of the whole of each street, ascending.
    """

    network: StreetNetwork
    vertex: npt.NDArray[np.int64]
    street: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Halo:
    """
    How far a network reaches within a time.

    Attributes
    ----------
    metres_per_ms
        Fastest street.
    slack_m
        Length of all streets that take no time.
    """

    metres_per_ms: float
    slack_m: float

    @classmethod
    def of(cls, network: StreetNetwork) -> Halo:
        """The fastest street of a network; O(streets)."""
        length, fast, slack = network.length_m, 0.0, 0.0
        for time in (network.forward_ms, network.backward_ms):
            moving = time > 0
            fast = max(fast, float((length[moving] / time[moving]).max(initial=0.0)))
            slack = max(slack, float(length[time == 0].sum()))
        return cls(fast, slack)

    def distance_m(self, limit_ms: int) -> float:
        """[m] No path of this duration ends farther away, as the crow flies."""
        return (self.metres_per_ms * limit_ms + self.slack_m) * _MARGIN


def field_artifact(ctx: Context, mode: Mode, network: Artifact, opportunities: Artifact) -> Artifact:
    """``field.npy``: the labels of every vertex, with what a part needs to be measured as the whole is."""
    limit_ms = round(ctx.config.scoring.search_limit_min * 60_000)
    needs = {"network": network.key, "opportunities": opportunities.key, "limit_ms": limit_ms}

    def build(folder: Path) -> Mapping[str, Any]:
        whole = load_network(network, mode)
        places = destinations_for(OpportunityTables.load(opportunities), mode)
        field = checked_nearest(whole, places, k=2, limit_ms=limit_ms)
        np.save(folder / "field.npy", field.label, allow_pickle=False)
        plane, halo = local_metres(whole), Halo.of(whole)
        return {
            "centre": [plane.lon, plane.lat],
            "metres_per_ms": halo.metres_per_ms,
            "slack_m": halo.slack_m,
            "vertices": whole.n_vertices,
        }

    return ctx.artifact(f"field_{mode}", needs, build)


def tile_artifact(
    ctx: Context, mode: Mode, cells: Cells, *, network: Artifact, opportunities: Artifact, field: Artifact
) -> Artifact:
    """``reach_{mode}.parquet`` of the cells of one tile."""
    needs = {
        "field": field.key,
        "cells": [str(c) for c in cells],
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
    }

    def build(folder: Path) -> Mapping[str, Any]:
        info = field.info
        halo = Halo(info["metres_per_ms"], info["slack_m"])
        box = around(
            cells,
            max(halo.distance_m(COUNT_CUTOFFS_MIN[-1] * 60_000), 2 * ctx.config.scoring.max_origin_snap_m),
        )
        part = load_part(network, mode, box, centre=(info["centre"][0], info["centre"][1]))
        labels = np.load(field.file("field.npy"), mmap_mode="r", allow_pickle=False)
        near = NearestField(
            np.ascontiguousarray(labels[:, part.vertex]), round(ctx.config.scoring.search_limit_min * 60_000)
        )
        tables = OpportunityTables.load(opportunities)
        pieces = street_pieces(part.network, cells, max_snap_m=ctx.config.scoring.max_origin_snap_m)
        places = destinations_of_part(destinations_for(tables, mode), part.street)
        table = measure(ModeReach(part.network, pieces, places), near, mode, tables.categories)
        write_parquet(table, folder / f"reach_{mode}.parquet")
        return {
            "no_network": int(pieces.no_network.sum()),
            "street_m": float(pieces.length_m.sum()),
            "vertices": part.network.n_vertices,
        }

    return ctx.artifact(f"tile_{mode}", needs, build)


def tiled_reach(
    ctx: Context, mode: Mode, cells: Cells, *, most: int, network: Artifact, opportunities: Artifact
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """
    The table of the reach step, tile by tile.

    Parameters
    ----------
    ctx
        The run.
    mode
        Mode of the network.
    cells
        All cells of the area, sorted.
    most
        Cells in a tile at most.
    network, opportunities
        What the whole area shares.

    Returns
    -------
    tuple of pandas.DataFrame and dict
        The table that the whole area gives at once, and what the step reports.
    """
    field = field_artifact(ctx, mode, network, opportunities)
    parts = [
        tile_artifact(ctx, mode, tile, network=network, opportunities=opportunities, field=field)
        for tile in tiles_of(cells, most)
    ]
    table = pd.concat([pd.read_parquet(p.file(f"reach_{mode}.parquet")) for p in parts], ignore_index=True)
    return table, {
        "no_network": sum(p.info["no_network"] for p in parts),
        "street_km": round(sum(p.info["street_m"] for p in parts) / 1000, 3),
    }


def around(cells: Cells, distance_m: float) -> tuple[float, float, float, float] | None:
    """
    Box around some cells, widened by a distance.

    Returns
    -------
    tuple of float or None
        [deg] West, south, east, north; None (everywhere) where the box would meet a pole or the 180th meridian.
    """
    west, south, east, north = shapely.total_bounds(cell_polygons(cells)).tolist()
    up = distance_m / _DEGREE_M
    highest = max(abs(south - up), abs(north + up))
    if highest >= 89:
        return None
    aside = distance_m / (_DEGREE_M * float(np.cos(np.radians(highest))))
    box = (west - aside, south - up, east + aside, north + up)
    return box if box[0] > -180 and box[2] < 180 else None


def load_part(
    network: Artifact,
    mode: Mode,
    box: tuple[float, float, float, float] | None,
    *,
    centre: tuple[float, float],
) -> Part:
    """
    The streets of a network that touch a box, without having the whole of it in memory.

    Parameters
    ----------
    network
        The artifact of a network.
    mode
        Its mode.
    box
        [deg] West, south, east, north; None for all.
    centre
        [deg] Centre of the plane of the whole.
    """
    edges = _rows(network.file(f"network_{mode}_edges.parquet"), lambda table: _touching(table, box))
    ends = np.union1d(edges["from_node"].to_numpy(), edges["to_node"].to_numpy())
    nodes = _rows(
        network.file(f"network_{mode}_nodes.parquet"),
        lambda table: np.isin(table["node_id"].to_numpy(), ends),
    )
    vertex = nodes.pop("row").to_numpy(np.int64)
    street = np.unique(edges["street"].to_numpy(np.int64))
    part = from_tables(nodes, edges.drop(columns="row"), mode)
    return Part(replace(part, centre=centre), vertex, street)


def _rows(path: Path, wanted: Any) -> gpd.GeoDataFrame:
    """Wanted rows of a GeoParquet file, with their number in the file as ``row``."""
    kept: list[pa.Table] = []
    first = 0
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for batch in file.iter_batches(batch_size=_ROWS):
            table = pa.Table.from_batches([batch])
            rows = np.flatnonzero(wanted(table))
            if len(rows):
                kept.append(table.take(pa.array(rows)).append_column("row", pa.array(rows + first)))
            first += batch.num_rows
    whole = (
        pa.concat_tables(kept)
        if kept
        else schema.empty_table().append_column("row", pa.array([], pa.int64()))
    )
    frame = whole.to_pandas(ignore_metadata=False)
    geometry = gpd.GeoSeries.from_wkb(frame.pop("geometry"), crs="EPSG:4326")
    return gpd.GeoDataFrame(frame.reset_index(drop=True), geometry=geometry.reset_index(drop=True))


def _touching(table: pa.Table, box: tuple[float, float, float, float] | None) -> npt.NDArray[np.bool_]:
    """Streets whose own box meets a box."""
    if box is None:
        return np.ones(len(table), dtype=bool)
    bounds = shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)))
    west, south, east, north = box
    return np.asarray(
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )


def destinations_of_part(places: Destinations, street: npt.NDArray[np.int64]) -> Destinations:
    """
    Places as a part of the network knows them: numbers of places stay, access points elsewhere are rejected.

    Parameters
    ----------
    places
        The places of the whole.
    street
        Street of the whole of each street of the part, ascending.
    """
    snaps = places.snaps
    here = np.searchsorted(street, snaps.street)
    here[here == len(street)] = 0
    known = (
        (snaps.street >= 0) & (street[here] == snaps.street)
        if len(street)
        else np.zeros(len(here), dtype=bool)
    )
    return replace(places, snaps=replace(snaps, street=np.where(known, here, -1).astype(np.int32)))
