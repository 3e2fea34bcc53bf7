"""Disused railways in the data of a run: lines that could become ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import osmium
import shapely

from pipelines.config import parse_config
from pipelines.errors import ConfigError, SourceError
from pipelines.progress import Progress
from pipelines.proposals import Base
from pipelines.steps.context import Context
from pipelines.steps.inputs import resolve

_KEYS = ("railway", "disused:railway", "abandoned:railway")
_DISUSED = frozenset({"disused", "abandoned", "preserved"})


def disused_railways(base: Base, *, name: str | None, least_m: float) -> list[tuple[str, Any, float]]:
    """
    Name, line [deg] and length [m] of the disused railways in a run's OSM file, the longest first.

    Parameters
    ----------
    base
        The run.
    name
        Only those whose name holds this.
    least_m
        [m] Shorter ones are left out.

    Raises
    ------
    ConfigError
        The run is not from an OSM file, or there is none in it.
    SourceError
        The file cannot be read.
    """
    path = _osm_file(base)
    west, south, east, north = (float(v) for v in base.cells.total_bounds)
    window: Any = shapely.box(west, south, east, north)
    try:
        found = _ways(path, name)
    except RuntimeError as error:
        msg = f"cannot read {path} for railways ({error}); fetch it again"
        raise SourceError(msg) from None
    plane = next(iter(base.standing.streets.values())).index.plane
    lines = []
    for label, parts in sorted(found.items()):
        whole: Any = shapely.line_merge(shapely.union_all(np.array(parts, dtype=object)))
        inside = shapely.get_parts(shapely.intersection(whole, window))
        for line in inside[shapely.get_type_id(inside) == shapely.GeometryType.LINESTRING]:
            length = float(shapely.length(shapely.transform(line, plane.project)))
            if length >= least_m:
                lines.append((label, line, length))
    if not lines:
        named = f" whose name holds {name!r}" if name else ""
        msg = f"{path.name} has no disused railway{named} of {least_m:g} m or more inside the area of the run"
        raise ConfigError(msg)
    return sorted(lines, key=lambda x: (-x[2], x[0]))


def _osm_file(base: Base) -> Path:
    config = parse_config(base.run.manifest["config"], origin=str(base.run.path))
    address = str(config.source.osm)
    if address in ("tables", "overpass"):
        msg = f"{base.run.path} is from {address}, which holds no railways; draw them as 'add_street' edits"
        raise ConfigError(msg)
    context = Context(config, Path(base.run.manifest["base"]), base.run.path, Progress(), offline=True)
    return resolve(context, "osm", address).path


def _ways(path: Path, name: str | None) -> dict[str, list[Any]]:
    """Lines of disused railways by name."""
    reader = (
        osmium.FileProcessor(str(path))
        .with_locations("flex_mem")
        .with_filter(osmium.filter.KeyFilter(*_KEYS))
    )
    found: dict[str, list[Any]] = {}
    for way in reader:
        if not way.is_way():
            continue
        tags = way.tags
        if tags.get("railway") not in _DISUSED and not any(k in tags for k in _KEYS[1:]):
            continue
        label = tags.get("name") or "Disused railway"
        xy = [(n.lon, n.lat) for n in way.nodes if n.location.valid()]
        if len(xy) > 1 and (name is None or name.casefold() in label.casefold()):
            found.setdefault(label, []).append(shapely.linestrings(xy))
    return found
