"""How large a city will be before it is computed: its streets counted in its extract, its cells by its area."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h3
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from engine.errors import EngineError
from pipelines.config import Config, Source, parse_config
from pipelines.cost import Size
from pipelines.errors import PipelineError, SourceError
from pipelines.sources.osm_count import Crossings, count_crossings

COUNT_MB = 500.0
"""[MB] A larger extract is not counted: it would take more than half a minute."""
VERTICES_PER_CROSSING = 1.07
"""Vertices of networks for each crossing counted: paths across squares and barriers come in, lost pieces go."""
NODES_PER_MB = 15_000.0
"""Vertices in all three networks for each MB of an extract (.osm.pbf), where they are not counted."""
NODES_PER_KM2 = 900.0
"""Vertices in all three networks for each km² of a dense city; half as many in the ring that is read beyond it."""
_XML = {".osm": 0.08, ".gz": 0.6, ".bz2": 0.8}
"""[MB] Size as .osm.pbf of a MB of another format."""
_KM_PER_DEGREE = 111.195


@dataclass
class Counts:
    """
    Crossings of extracts, each file counted once.

    Attributes
    ----------
    least_mb, most_mb
        [MB] Files of another size are not counted.
    """

    least_mb: float = 0.0
    most_mb: float = COUNT_MB
    _known: dict[Path, Crossings | None] = field(default_factory=dict)

    def of(self, file: Path) -> Crossings | None:
        """The crossings of a file; None where it is too large or cannot be read, which its own run will say."""
        if not self.least_mb <= _pbf_mb(file) <= self.most_mb:
            return None
        if file not in self._known:
            try:
                self._known[file] = count_crossings(file)
            except (PipelineError, OSError):
                self._known[file] = None
        return self._known[file]


@dataclass(frozen=True)
class _Held:
    """What a source holds: MB that are read, vertices at most in all networks, extent and crossings where known."""

    read_mb: float
    nodes: float
    extent: BaseGeometry | None = None
    crossings: Crossings | None = None


def size_of(
    tables: Mapping[str, Any],
    *,
    base: Path,
    cache: Path,
    boundary: BaseGeometry | None = None,
    counts: Counts | None = None,
) -> Size:
    """
    How large a run will be, from its configuration and its files; nothing is downloaded or written.

    Parameters
    ----------
    tables
        Configuration tables that can be honoured.
    base, cache
        Folders, as for a run.
    boundary
        [deg] The area, where it is known already; else the configuration's.
    counts
        Crossings of files that several runs read.

    Returns
    -------
    Size
        The streets counted in the area and its surroundings. Where they cannot be: what a dense city of this area has,
        or what the whole extract has by its size, whichever is less.
    """
    from pipelines.progress import Progress
    from pipelines.steps.area import buffered_bounds, given_boundary, reach_m
    from pipelines.steps.context import Context
    from pipelines.steps.opportunities import read_categories
    from pipelines.steps.streets import profile_of

    config = parse_config(tables)
    ctx = Context(config, base, cache, Progress(), offline=True)
    categories, wide, held, known = 4, 3750.0, _Held(0.0, math.inf), True
    try:
        categories = len(read_categories(ctx))
        wide = max((reach_m(ctx, profile_of(ctx, m).speed_kmh) for m in config.modes), default=wide)
        boundary = given_boundary(ctx) if boundary is None else boundary
        held = _held(config.source, base, counts or Counts())
    except (PipelineError, EngineError, OSError):
        known = False  # its own run will say what is wrong, or ask the service for the place
    if boundary is not None and config.source.buffer_m is not None:
        wide = config.source.buffer_m
    bounds = None if boundary is None else buffered_bounds(boundary, wide)
    nodes, content_mb, basis = _streets(config, held, boundary, bounds)
    shape = boundary if boundary is not None else held.extent
    cells = (
        nodes / NODES_PER_KM2 / 0.015
        if shape is None
        else area_km2(shape) / _cell_km2(shape, config.area.resolution)
    )
    sites = {"walk", "street30"} <= set(config.modes)
    return Size(
        read_mb=held.read_mb,
        content_mb=content_mb,
        nodes=nodes,
        cells=cells,
        categories=categories,
        modes=len(config.modes),
        sites=sites and any(getattr(config.sites, k).enabled for k in ("trees", "chargers", "sorting")),
        basis=basis if known else "unknown",
    )


def _streets(
    config: Config,
    held: _Held,
    boundary: BaseGeometry | None,
    bounds: tuple[float, float, float, float] | None,
) -> tuple[float, float, str]:
    """Vertices of the networks, MB of the extract that lie in their box, and how that is known."""
    if held.crossings is not None:
        all_modes = ("walk", "bike", "street30")
        inside, whole = (held.crossings.count(all_modes, b) for b in (bounds, None))
        nodes = held.crossings.count(config.modes, bounds) * VERTICES_PER_CROSSING
        return nodes, held.read_mb * inside / whole if whole else 0.0, "count"
    nodes, basis = held.nodes, "file"
    if boundary is not None and bounds is not None:
        around = boundary if config.source.osm == "tables" else shapely.box(*bounds)
        dense = (area_km2(boundary) + area_km2(around)) / 2 * NODES_PER_KM2
        if dense < nodes:
            nodes, basis = dense, "area"
    if not math.isfinite(nodes):
        return 0.0, 0.0, "unknown"
    content_mb = 0.0 if config.source.osm == "tables" else nodes / NODES_PER_MB
    return nodes * len(config.modes) / 3, content_mb, basis


def _held(source: Source, base: Path, counts: Counts) -> _Held:
    """What a source holds, as far as its files say without being read by a run."""
    if source.osm == "tables":
        return _Held(0.0, 3.0 * _rows(base / str(source.nodes)))
    if source.osm == "overpass" or source.osm.startswith(("http://", "https://")):
        return _Held((source.size or 0) / 1e6, math.inf)
    file = local_file(source.osm, base)
    if not file.is_file():
        msg = f"there is no file {file}"
        raise SourceError(msg)
    mb, crossings = _pbf_mb(file), counts.of(file)
    extent = header_box(file)
    if extent is None and crossings is not None and crossings.extent is not None:
        extent = shapely.box(*crossings.extent)
    return _Held(mb, mb * NODES_PER_MB, extent, crossings)


def _rows(file: Path) -> float:
    """Rows of a table of nodes; none where there is no such file."""
    if not file.is_file():
        return 0.0
    if file.suffix == ".parquet":
        return float(pq.read_metadata(file).num_rows)
    with file.open("rb") as stream:
        return float(max(sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b"")) - 1, 0))


def _pbf_mb(file: Path) -> float:
    """[MB] Size of an extract, as if it were .osm.pbf."""
    return file.stat().st_size / 1e6 * _XML.get(file.suffix, 1.0) if file.is_file() else 0.0


def local_file(address: str, base: Path) -> Path:
    """The file on this disk that an address names."""
    if address.startswith("package:"):
        from pipelines.sources.demo import package_file

        return package_file(address)
    return Path(base, Path(address).expanduser())


def header_box(file: Path) -> BaseGeometry | None:
    """The box that the header of an extract states; None where it states none or cannot be read."""
    import osmium

    try:
        with osmium.io.Reader(str(file), osmium.osm.osm_entity_bits.NOTHING) as reader:
            box = reader.header().box()
    except (RuntimeError, OSError):
        return None
    if not box.valid():
        return None
    low, high = box.bottom_left, box.top_right
    extent: BaseGeometry = shapely.box(low.lon, low.lat, high.lon, high.lat)
    return extent


def area_km2(shape: BaseGeometry) -> float:
    """[km²] Area of a shape in degrees, as on a sphere at its middle latitude: within a percent for a city."""
    _, south, _, north = shape.bounds
    return float(shape.area) * _KM_PER_DEGREE**2 * math.cos(math.radians((south + north) / 2))


def _cell_km2(shape: BaseGeometry, resolution: int) -> float:
    middle = shape.centroid
    return float(h3.cell_area(h3.latlng_to_cell(middle.y, middle.x, resolution), unit="km^2"))
