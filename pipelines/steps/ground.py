"""The ground of a run: what every measure rests on, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import shapely

from engine.places.category import Category
from pipelines.budget import cells_of
from pipelines.config import Config, Mode
from pipelines.cost import Size
from pipelines.errors import ConfigError
from pipelines.steps.area import StudyArea, buffered_bounds, given_boundary, reach_m, study_area
from pipelines.steps.context import Context
from pipelines.steps.opportunities import opportunities_artifact, read_categories
from pipelines.steps.people import population_artifact
from pipelines.steps.sites import KINDS
from pipelines.steps.streets import OsmSource, TableSource, keep_filter, network_artifact, profile_of
from pipelines.store import Artifact


@dataclass(frozen=True, eq=False)
class Ground:
    """What every measure of a run rests on: the area, its streets, the places in it and who lives there."""

    area: StudyArea
    categories: dict[str, Category]
    reaches: dict[Mode, float]
    extract: Artifact
    networks: dict[Mode, Artifact]
    opportunities: Artifact
    population: Artifact | None


def lay_ground(ctx: Context) -> Ground:
    """
    Read what a run rests on, and decide whether its cells are measured all at once or in tiles.

    Raises
    ------
    ConfigError
        No mode is enabled, or the run cannot fit into its memory.
    """
    config = ctx.config
    if not config.modes:
        msg = "no mode is enabled; set network.walk.enabled, network.bike.enabled or network.street30.enabled to true"
        raise ConfigError(msg)
    categories = read_categories(ctx)
    reaches = {mode: reach_m(ctx, profile_of(ctx, mode).speed_kmh) for mode in config.modes}
    boundary = given_boundary(ctx)
    source: OsmSource | TableSource
    if config.source.osm == "tables":
        source = TableSource(ctx)
    else:
        wide = config.source.buffer_m if config.source.buffer_m is not None else max(reaches.values())
        bounds = None if boundary is None else buffered_bounds(boundary, wide)
        source = OsmSource(ctx, keep_filter(categories), bounds)
    size = _known_size(config, len(categories), source.size, boundary)
    ctx.budget.check(size)
    extract = source.artifact
    if boundary is None:
        boundary = shapely.box(*extract.info["bbox"])
    area = study_area(ctx, boundary)
    networks: dict[Mode, Artifact] = {mode: network_artifact(ctx, source, mode) for mode in config.modes}
    source.forget()
    vertices = sum(int(n.info["vertices"]) for n in networks.values())
    size = replace(size, nodes=vertices, cells=len(area.cells))
    ctx.budget.check(size)
    ctx.tile_cells = ctx.tile_cells or ctx.budget.tile_cells(size)
    ctx.places_at_once = ctx.budget.places_at_once(size)
    opportunities = opportunities_artifact(
        ctx, extract, networks, categories, bounds=buffered_bounds(boundary, max(reaches.values()))
    )
    population = population_artifact(ctx, area, extract)
    return Ground(area, categories, reaches, extract, networks, opportunities, population)


def _known_size(config: Config, categories: int, file_bytes: int, boundary: shapely.Geometry | None) -> Size:
    """What is known of a run before its extract is read; no cells where only the file says which area it is."""
    both = {"walk", "street30"} <= set(config.modes)
    return Size(
        read_mb=file_bytes / 1e6,
        content_mb=0.0,
        nodes=0.0,
        cells=0.0 if boundary is None else cells_of(boundary, config.area.resolution),
        categories=categories,
        modes=len(config.modes),
        sites=both and any(getattr(config.sites, kind).enabled for kind in KINDS),
    )
