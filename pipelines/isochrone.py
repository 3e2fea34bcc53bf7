"""Isochrones of a run as GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from engine.cells import street_pieces
from engine.network.street_network import StreetNetwork
from engine.reach.barrier import Barriers, on_this_side
from engine.reach.isochrone import (
    ReachedStreets,
    cells_outline,
    isochrone_buffer,
    isochrone_cells,
    reached_lines,
    reached_streets,
)
from engine.reach.outline import isochrone_outline
from engine.snapping import snap
from pipelines.errors import ConfigError
from pipelines.rundir import RunDirectory

SHAPES = ("outline", "buffer", "cells", "streets")


def isochrone_geojson(
    run: RunDirectory,
    *,
    lon_lat: tuple[float, float],
    mode: str,
    minutes: Sequence[float],
    shape: str = "outline",
    network: StreetNetwork | None = None,
) -> dict[str, Any]:
    """
    What is reached from a point, one feature a limit, the largest first so that smaller ones lie on top.

    Parameters
    ----------
    run
        A finished run.
    lon_lat
        [deg] Where the trip starts; it attaches to the nearest street within 250 m.
    mode
        A mode of the run.
    minutes
        [min] Limits, inclusive.
    shape
        ``outline`` (smoothed ground of the reached streets), ``buffer`` (25 m on either side, exact), both cut at
        water and railways that no reached street crosses, ``cells`` (H3 cells at least half
        reached) or ``streets`` (the reached streets themselves).
    network
        The run's network of this mode, where it is already loaded.

    Returns
    -------
    dict
        A GeoJSON FeatureCollection; features carry ``minutes``, ``mode`` and ``street_km``.

    Raises
    ------
    ConfigError
        A limit is not positive, the shape or the mode unknown, or no street is near.
    """
    if not minutes or min(minutes) <= 0 or max(minutes) > 24 * 60:
        msg = (
            f"--minutes takes positive numbers up to {24 * 60}; found {', '.join(f'{m:g}' for m in minutes)}"
        )
        raise ConfigError(msg)
    if shape not in SHAPES:
        msg = f"--shape takes {', '.join(SHAPES)}; found {shape!r}"
        raise ConfigError(msg)
    streets = run.network(mode) if network is None else network
    origin = snap(streets, np.array([lon_lat]), max_snap_m=250.0)
    if not origin.accepted[0]:
        msg = f"no isochrone from {lon_lat[0]:g}, {lon_lat[1]:g}: {origin.reason[0]}"
        msg = f"{msg}; the run covers {run.manifest['area']['bbox']}"
        raise ConfigError(msg)
    features = []
    for limit in sorted(set(minutes), reverse=True):
        reached = reached_streets(streets, origin, limit_ms=round(limit * 60_000))
        geometry = _geometry(run, streets, reached, shape)
        features.append(
            {
                "type": "Feature",
                "properties": {
                    "minutes": limit,
                    "mode": mode,
                    "street_km": round(_length_km(streets, reached), 3),
                },
                "geometry": json.loads(shapely.to_geojson(shapely.set_precision(geometry, 1e-7))),
            }
        )
    return {"type": "FeatureCollection", "features": features, "attribution": run.manifest["attribution"]}


def _geometry(run: RunDirectory, network: StreetNetwork, reached: ReachedStreets, shape: str) -> Any:
    if shape in ("outline", "buffer"):
        whole = (isochrone_outline if shape == "outline" else isochrone_buffer)(network, reached)
        return on_this_side(whole, network, reached, _barriers(run))
    if shape == "streets":
        return shapely.multilinestrings(list(shapely.get_parts(reached_lines(network, reached))))
    cells = np.array([int(c, 16) for c in run.cells["h3_cell"]], dtype=np.uint64)
    return cells_outline(isochrone_cells(street_pieces(network, cells), reached))


def _barriers(run: RunDirectory) -> Barriers:
    """Water and railways of a run; none where it was made from tables."""
    if not run.has("features.parquet"):
        return Barriers.none()
    return _read_barriers(
        run.path / "features.parquet", str(run.manifest["outputs"]["features.parquet"]["sha256"])
    )


@lru_cache(maxsize=8)
def _read_barriers(path: Path, sha256: str) -> Barriers:
    table = gpd.read_parquet(path, columns=["tags", "geometry"])
    return Barriers.of([json.loads(t) for t in table["tags"]], table.geometry.to_numpy())


def _length_km(network: StreetNetwork, reached: ReachedStreets) -> float:
    return float(((reached.stop - reached.start) * network.length_m[reached.street]).sum()) / 1000
