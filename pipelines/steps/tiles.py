"""
Tiles: the cells of a large area in portions, each computed on the part of the network that it can depend on.

What belongs to the area as a whole is computed once and shared: networks, places, where they attach, and the nearest
places of every vertex. A tile then needs the streets of its own cells and, for the places counted within a cutoff,
those within a halo: no path of that duration leaves it. Times are integers and the part is measured in the plane of
the whole, so every figure is the one that the whole area gives, bit for bit.

Each tile is an artifact of its own. A run makes those that are missing one after another; a batch has several workers
make them first (`missing_tiles`, `make_tile`), and the run that joins them finds them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.cells import street_pieces
from engine.reach.nearest import NearestField
from engine.snapping import local_metres
from pipelines.config import Mode
from pipelines.errors import ConfigError
from pipelines.steps.context import Context
from pipelines.steps.measuring import COUNT_CUTOFFS_MIN, ModeReach, checked_nearest, measure
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.part import Cells, Halo, around, destinations_of_part, load_part
from pipelines.steps.streets import load_network
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet


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

    def build(folder: Path) -> Mapping[str, Any]:
        info = field.info
        halo = Halo(info["metres_per_ms"], info["slack_m"])
        # a cell without streets is measured on one that lies so far beside it
        snap_m = ctx.config.scoring.max_origin_snap_m
        box = around(cells, snap_m + max(halo.distance_m(COUNT_CUTOFFS_MIN[-1] * 60_000), snap_m))
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

    return ctx.artifact(f"tile_{mode}", _tile_needs(ctx, cells, field), build)


def _tile_needs(ctx: Context, cells: Cells, field: Artifact) -> dict[str, Any]:
    return {
        "field": field.key,
        "cells": [str(c) for c in cells],
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
    }


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
        The table that the whole area gives at once, and what the step reports. Beside the tiles' tables it takes
        memory for one row a cell, as every table of the area does.
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


@dataclass(frozen=True, eq=False)
class Tile:
    """
    A tile that another process can make, given the cache.

    Attributes
    ----------
    mode
        Of the network.
    cells
        Its cells, sorted.
    network, opportunities, field
        Keys of the artifacts that it is made from.
    """

    mode: Mode
    cells: Cells
    network: str
    opportunities: str
    field: str


def missing_tiles(
    ctx: Context, mode: Mode, cells: Cells, *, most: int, network: Artifact, opportunities: Artifact
) -> list[Tile]:
    """Tiles of a mode that are not in the cache yet; parameters as those of `tiled_reach`."""
    field = field_artifact(ctx, mode, network, opportunities)
    return [
        Tile(mode, tile, network.key, opportunities.key, field.key)
        for tile in tiles_of(cells, most)
        if not ctx.known(f"tile_{mode}", _tile_needs(ctx, tile, field))
    ]


def make_tile(ctx: Context, tile: Tile) -> bool:
    """
    Make a tile, unless somebody has.

    Returns
    -------
    bool
        Whether it is there: not where what it is made from has gone from the cache.
    """
    mode = tile.mode
    network = ctx.store.find(f"network_{mode}", tile.network)
    opportunities = ctx.store.find("opportunities", tile.opportunities)
    field = ctx.store.find(f"field_{mode}", tile.field)
    if network is None or opportunities is None or field is None:
        return False
    tile_artifact(ctx, mode, tile.cells, network=network, opportunities=opportunities, field=field)
    return True
