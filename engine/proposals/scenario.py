"""
Scenarios: the tables of a mode with operations done to them, ready for a full recomputation.

Where people start is the base run's, whatever is edited: proposals are compared on the same starting points, so
that adding a street never worsens a cell and closing one never improves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from engine.cells import StreetPieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.proposals.moving import moved_pieces, moved_snaps
from engine.proposals.operation import (
    Build,
    Operation,
    PlaceAdded,
    PlaceRemoved,
    PlaceResized,
    Retime,
)
from engine.reach.destinations import Destinations
from engine.snapping import Snaps


@dataclass(frozen=True, eq=False)
class ModeTables:
    """
    What one mode's cells are computed from.

    Attributes
    ----------
    network, pieces, destinations
        The streets, their pieces in each cell, and the places.
    """

    network: StreetNetwork
    pieces: StreetPieces
    destinations: Destinations


def with_operations(tables: ModeTables, operations: Iterable[Operation]) -> ModeTables:
    """
    Do operations to the tables of a mode, in order.

    Returns
    -------
    ModeTables
        New tables; the given ones are as they were. Without operations, the very same object.

    Notes
    -----
    O(streets + pieces) an operation: this is the slow and plain way that `engine.proposals.live` must agree with.
    """
    return reduce(_done, operations, tables)


def _done(tables: ModeTables, operation: Operation) -> ModeTables:
    if isinstance(operation, Build):
        return _built(tables, operation)
    if isinstance(operation, Retime):
        return replace(tables, network=_retimed(tables.network, operation))
    return replace(tables, destinations=_placed(tables.destinations, operation))


def _placed(destinations: Destinations, operation: PlaceAdded | PlaceRemoved | PlaceResized) -> Destinations:
    d = destinations
    if isinstance(operation, PlaceAdded):
        n = len(operation.snaps.street)
        return Destinations(
            snaps=_joined(d.snaps, operation.snaps),
            place=np.concatenate([d.place, np.full(n, d.n_places, dtype=np.int32)]),
            category=np.append(d.category, np.int32(operation.category)),
            capacity=np.append(d.capacity, float(operation.capacity)),
            n_categories=d.n_categories,
        )
    if isinstance(operation, PlaceRemoved):
        street = np.where(d.place == operation.place, np.int32(-1), d.snaps.street)
        return replace(d, snaps=replace(d.snaps, street=street))
    capacity = d.capacity.copy()
    capacity[operation.place] = operation.capacity
    return replace(d, capacity=capacity)


def _joined(a: Snaps, b: Snaps) -> Snaps:
    return Snaps(
        street=np.concatenate([a.street, b.street]),
        fraction=np.concatenate([a.fraction, b.fraction]),
        access_m=np.concatenate([a.access_m, b.access_m]),
        access_ms=np.concatenate([a.access_ms, b.access_ms]),
        reason=np.concatenate([a.reason, b.reason]),
    )


def _retimed(network: StreetNetwork, operation: Retime) -> StreetNetwork:
    streets = network.streets.copy()
    for column, value in (("forward_ms", operation.forward_ms), ("backward_ms", operation.backward_ms)):
        changed = streets[column].to_numpy(copy=True)
        changed[operation.street] = value
        streets[column] = changed
    if operation.lts is not None and "lts" in streets.columns:
        lts = streets["lts"].to_numpy(copy=True)
        lts[operation.street] = operation.lts
        streets["lts"] = lts
    return replace(network, streets=streets)


def _built(tables: ModeTables, build: Build) -> ModeTables:
    first = len(tables.network.streets)
    return ModeTables(
        network=_laid_out(tables.network, build),
        pieces=moved_pieces(tables.pieces, build, first)[0],
        destinations=replace(tables.destinations, snaps=moved_snaps(tables.destinations.snaps, build, first)),
    )


def _laid_out(network: StreetNetwork, build: Build) -> StreetNetwork:
    k = len(build.lon)
    lowest = min(int(network.node_id.min(initial=0)), 0)
    streets = network.streets.copy()
    for column in ("forward_ms", "backward_ms"):
        times = streets[column].to_numpy(copy=True)
        times[list(build.replaced)] = NO_WAY
        streets[column] = times
    counts = np.array([len(c) for c in build.coords], dtype=np.int64)
    return replace(
        network,
        node_id=np.concatenate([network.node_id, lowest - 1 - np.arange(k, dtype=np.int64)]),
        lon=np.concatenate([network.lon, build.lon]),
        lat=np.concatenate([network.lat, build.lat]),
        streets=_with_rows(streets, build),
        coords=np.concatenate([network.coords, *build.coords]),
        offsets=np.concatenate([network.offsets, network.offsets[-1] + np.cumsum(counts)]).astype(np.int64),
        elevation_m=None
        if network.elevation_m is None
        else np.concatenate([network.elevation_m, np.full(k, np.nan)]),
    )


def _with_rows(streets: pd.DataFrame, build: Build) -> pd.DataFrame:
    """Streets with the new ones after them, dtype by dtype."""
    own = {"u": build.u, "v": build.v, "length_m": build.length_m, "forward_ms": build.forward_ms,
           "backward_ms": build.backward_ms}  # fmt: skip
    columns: dict[str, Any] = {}
    orphan = build.parent < 0
    for name in streets.columns:
        old: Any = streets[name]
        if name in own:
            new: Any = pd.Series(own[name]).astype(old.dtype)
        else:
            new = old.iloc[np.where(orphan, 0, build.parent)].reset_index(drop=True)
            if orphan.any():
                given = build.copy if name == "copy" else _blank(old, build.attributes.get(str(name)))
                new = new.mask(orphan, given).astype(old.dtype)
        columns[str(name)] = pd.concat([old, new], ignore_index=True)
    return pd.DataFrame(columns)


def _blank(column: Any, given: object) -> object:
    """What a new street has in a column: what it is given, else nothing."""
    if given is not None:
        return given
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    return 0 if pd.api.types.is_integer_dtype(column.dtype) else pd.NA if column.dtype == "str" else np.nan
