"""
What a city costs before it is computed: core seconds, memory and disk against streets, cells and categories.

The coefficients are fitted to measurements of real extracts and of synthetic streets (`tests/bench/costs.py`);
docs/batch.md holds both, and what they come to for Greater Paris, France and 10,000 cities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h3
import shapely
from shapely.geometry.base import BaseGeometry

from engine.errors import EngineError
from pipelines.config import parse_config
from pipelines.errors import PipelineError, SourceError

NODES_PER_MB = 15_000.0
"""Crossings in all three networks for each MB of an extract (.osm.pbf), where it is not known better."""
NODES_PER_KM2 = 900.0
"""Crossings in all three networks for each km² of a dense city; half as many in the ring that is read beyond it."""
_XML = {".osm": 0.08, ".gz": 0.6, ".bz2": 0.8}
"""[MB] Size as .osm.pbf of a MB of another format."""
_ROW_BYTES = 40.0
"""[bytes] A row of a table of nodes as CSV."""
_KM_PER_DEGREE = 111.195


@dataclass(frozen=True)
class Size:
    """
    What a run's cost depends on.

    Attributes
    ----------
    read_mb
        [MB] Size of the extract that is read.
    content_mb
        [MB] The part of it that lies in the area and its surroundings: what features are made of.
    nodes
        Crossings in the networks of all modes together.
    cells
        H3 cells.
    categories, modes
        How many.
    sites
        Whether candidate sites are searched.
    basis
        How the figures are known: ``file`` (its size), ``area`` (its km², as a dense city has them), ``unknown``.
    """

    read_mb: float
    content_mb: float
    nodes: float
    cells: float
    categories: int
    modes: int
    sites: bool
    basis: str = "file"


@dataclass(frozen=True)
class Cost:
    """
    What a run takes.

    Attributes
    ----------
    core_s
        [s] Time of one processor.
    peak_mb
        [MB] Highest memory of the process.
    disk_mb
        [MB] Cache and run directory together.
    """

    core_s: float
    peak_mb: float
    disk_mb: float


@dataclass(frozen=True)
class Rates:
    """A constant, and so much for each MB read, MB of content, node, and cell × category × mode; sites apart."""

    base: float
    read_mb: float
    content_mb: float
    node: float
    measure: float
    site_base: float = 0.0
    site_node: float = 0.0

    def of(self, size: Size) -> float:
        """The figure for a run of this size."""
        plain = (
            self.base
            + self.read_mb * size.read_mb
            + self.content_mb * size.content_mb
            + self.node * size.nodes
            + self.measure * size.cells * size.categories * size.modes
        )
        return plain + (self.site_base + self.site_node * size.nodes if size.sites else 0.0)


CORE_S = Rates(
    base=0.76, read_mb=0.05, content_mb=0.89, node=199e-6, measure=51e-6, site_base=0.30, site_node=204e-6
)
PEAK_MB = Rates(
    base=522, read_mb=8.0, content_mb=60.0, node=1.68e-3, measure=0.147e-3, site_base=15.0, site_node=2e-3
)
DISK_MB = Rates(base=0.4, read_mb=0.0, content_mb=3.3, node=0.25e-3, measure=2e-6)
TILED = 0.5
"""Part of the memory beyond the constant that stays, however small the tiles: networks and places of the whole."""


def cost_of(size: Size) -> Cost:
    """
    What a run of this size takes.

    Examples
    --------
    >>> small = cost_of(Size(read_mb=0.7, content_mb=0.7, nodes=10_000, cells=144, categories=4, modes=3, sites=True))
    >>> 1 < small.core_s < 60
    True
    """
    return Cost(CORE_S.of(size), PEAK_MB.of(size), DISK_MB.of(size))


def tile_cells_for(size: Size, budget_mb: float) -> int | None:
    """
    Cells of a tile with which a run stays within its memory; None where it does so at once.

    What all tiles share is not made smaller by tiles: a run whose networks alone are beyond the budget gets small tiles
    and may still fail, and then says so.

    Parameters
    ----------
    size
        The run.
    budget_mb
        [MB] Memory of the process.

    Examples
    --------
    >>> town = Size(read_mb=1, content_mb=1, nodes=10_000, cells=400, categories=4, modes=3, sites=False)
    >>> tile_cells_for(town, 4000) is None
    True
    >>> region = Size(read_mb=100, content_mb=100, nodes=2_000_000, cells=100_000, categories=4, modes=3, sites=False)
    >>> tile_cells_for(region, 4000) < 100_000
    True
    """
    peak = PEAK_MB.of(size)
    if peak <= budget_mb:
        return None
    beyond = peak - PEAK_MB.base
    room = budget_mb - PEAK_MB.base - TILED * beyond
    part = max(room / ((1 - TILED) * beyond), 0.0)
    return max(_LEAST_CELLS, int(size.cells * part * 0.8))


_LEAST_CELLS = 2_000
"""Smaller tiles cost more for their halos than they save."""


def size_of(
    tables: Mapping[str, Any], *, base: Path, cache: Path, boundary: BaseGeometry | None = None
) -> Size:
    """
    How large a run will be, from its configuration and the sizes of its files; nothing is downloaded.

    Parameters
    ----------
    tables
        Configuration tables that can be honoured.
    base, cache
        Folders, as for a run.
    boundary
        [deg] The area, where it is known already; else the configuration's.

    Returns
    -------
    Size
        Of a city within a larger extract: what a dense city of this area has, or the whole extract, whichever is less.
    """
    from pipelines.progress import Progress
    from pipelines.steps.area import buffered_bounds, given_boundary, reach_m
    from pipelines.steps.context import Context
    from pipelines.steps.opportunities import read_categories
    from pipelines.steps.streets import profile_of

    config = parse_config(tables)
    ctx = Context(config, base, cache, Progress(), offline=True)
    categories, basis, wide = 4, "file", 3750.0
    read_mb, in_file, extent = 0.0, math.inf, None
    try:
        categories = len(read_categories(ctx))
        wide = max((reach_m(ctx, profile_of(ctx, m).speed_kmh) for m in config.modes), default=wide)
        boundary = given_boundary(ctx) if boundary is None else boundary
        read_mb, in_file, extent = _source(config.source, base)
    except (PipelineError, EngineError, OSError):
        basis = "unknown"  # its own run will say what is wrong, or ask the service for the place
    share = len(config.modes) / 3
    shape = boundary if boundary is not None else extent
    cells = 0.0 if shape is None else area_km2(shape) / _cell_km2(shape, config.area.resolution)
    nodes = in_file
    if boundary is not None:
        around = boundary if config.source.osm == "tables" else shapely.box(*buffered_bounds(boundary, wide))
        dense = (area_km2(boundary) + area_km2(around)) / 2 * NODES_PER_KM2
        if dense < nodes:
            nodes, basis = dense, "area" if basis == "file" else basis
    if not math.isfinite(nodes):
        nodes, basis = 0.0, "unknown"
    content_mb = 0.0 if config.source.osm == "tables" else nodes / NODES_PER_MB
    if shape is None:
        cells = nodes / NODES_PER_KM2 / 0.015
    sites = {"walk", "street30"} <= set(config.modes) and any(
        getattr(config.sites, kind).enabled for kind in ("trees", "chargers", "sorting")
    )
    return Size(read_mb, content_mb, nodes * share, cells, categories, len(config.modes), sites, basis)


def _source(source: Any, base: Path) -> tuple[float, float, BaseGeometry | None]:
    """[MB] What is read, the crossings that it can hold at most, and how far it extends where its header says so."""
    if source.osm == "tables":
        files = [base / str(f) for f in (source.nodes, source.edges)]
        return 0.0, _mb(files[0]) * 1e6 / _ROW_BYTES * 3, None
    if source.osm == "overpass" or source.osm.startswith(("http://", "https://")):
        return (source.size or 0) / 1e6, math.inf, None
    file = local_file(source.osm, base)
    if not file.is_file():
        msg = f"there is no file {file}"
        raise SourceError(msg)
    mb = _mb(file)
    return mb, mb * _XML.get(file.suffix, 1.0) * NODES_PER_MB, header_box(file)


def local_file(address: str, base: Path) -> Path:
    """The file on this disk that an address names."""
    if address.startswith("package:"):
        from pipelines.sources.demo import package_file

        return package_file(address)
    return Path(base, Path(address).expanduser())


def _mb(file: Path) -> float:
    return file.stat().st_size / 1e6 if file.is_file() else 0.0


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
