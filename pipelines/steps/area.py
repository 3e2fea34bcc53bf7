"""The study area: its boundary, its cells, its neighbourhoods, and how far beyond it data are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.cells import cell_centres, cells_in_area
from engine.projection import equal_area_around
from pipelines.errors import SourceError
from pipelines.sources.boundary import read_boundary
from pipelines.steps.context import Context
from pipelines.steps.inputs import resolve

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class StudyArea:
    """
    The area of a run.

    Attributes
    ----------
    boundary
        [deg] The area, EPSG:4326.
    cells
        Its H3 cells, sorted.
    neighbourhood
        Name of the neighbourhood that holds each cell's centre, None where there is none.
    """

    boundary: shapely.Polygon | shapely.MultiPolygon
    cells: npt.NDArray[np.uint64]
    neighbourhood: npt.NDArray[np.object_]


def given_boundary(ctx: Context) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The boundary that the configuration names, or None where the whole extract is the area."""
    area = ctx.config.area
    if area.boundary is None and area.bbox is None and area.place is None:
        return None
    path = resolve(ctx, "area.boundary", area.boundary).path if area.boundary else None
    read = read_boundary(
        boundary=path,
        bbox=area.bbox,
        place=area.place,
        layer=area.boundary_layer,
        where=dict(area.boundary_where) or None,
        cache_dir=ctx.cache / "http",
        offline=ctx.offline,
    )
    ctx.reports["area"] = {"source": read.source, "repaired": dict(read.repaired)}
    boundary: shapely.Polygon | shapely.MultiPolygon = read.geometry
    return boundary


def study_area(ctx: Context, boundary: shapely.Polygon | shapely.MultiPolygon) -> StudyArea:
    """Cells and neighbourhoods of a boundary."""
    cells = cells_in_area(boundary, resolution=ctx.config.area.resolution)
    return StudyArea(boundary, cells, _neighbourhoods(ctx, cells))


def _neighbourhoods(ctx: Context, cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.object_]:
    area = ctx.config.area
    names = np.full(len(cells), None, dtype=object)
    if area.neighbourhoods is None:
        return names
    path = resolve(ctx, "area.neighbourhoods", area.neighbourhoods).path
    table = gpd.read_file(path)
    if area.neighbourhood_name not in table.columns:
        msg = f"{path} has no column {area.neighbourhood_name!r}; it has {', '.join(map(str, table.columns))}"
        msg = f"{msg}: set area.neighbourhood_name"
        raise SourceError(msg)
    if table.crs is None:
        msg = f"{path} states no coordinate reference system; save it with one"
        raise SourceError(msg)
    table = table.to_crs("EPSG:4326")
    centres = shapely.points(cell_centres(cells))
    tree = shapely.STRtree(table.geometry.to_numpy())
    cell, polygon = tree.query(centres, predicate="intersects")
    found = (
        pd.DataFrame({"cell": cell, "polygon": polygon})
        .sort_values(["cell", "polygon"])
        .drop_duplicates("cell")
    )
    labels = table[area.neighbourhood_name].astype(str).to_numpy(dtype=object)
    names[found["cell"].to_numpy()] = labels[found["polygon"].to_numpy()]
    return names


def reach_m(ctx: Context, speed_kmh: float) -> float:
    """[m] How far the mode gets, as the crow flies, within the largest cutoff: what a cell must be able to see."""
    cutoff = max(15.0, ctx.config.scoring.cutoff_min)
    return cutoff / 60 * speed_kmh * 1000


def buffered_bounds(boundary: shapely.Geometry, distance_m: float) -> Bounds:
    """[deg] Box around a boundary, widened by a distance."""
    west, south, east, north = shapely.bounds(boundary).tolist()
    plane = equal_area_around(west=west, south=south, east=east, north=north)
    box = (
        gpd.GeoSeries([shapely.box(west, south, east, north)], crs="EPSG:4326")
        .to_crs(plane)
        .buffer(distance_m)
    )
    wide = tuple(float(x) for x in box.to_crs("EPSG:4326").total_bounds)
    return (wide[0], wide[1], wide[2], wide[3])


def near_edge(
    cells: npt.NDArray[np.uint64], extent: Bounds, road_ends: Sequence[Sequence[float]], distance_m: float
) -> npt.NDArray[np.bool_]:
    """
    Cells that may miss places because the data end within their reach.

    Parameters
    ----------
    cells
        H3 cells.
    extent
        [deg] Box within which data exist.
    road_ends
        [deg] Longitude and latitude of each place where data end within the box.
    distance_m
        [m] How far the mode gets, as the crow flies.
    """
    west, south, east, north = extent
    plane = equal_area_around(west=west, south=south, east=east, north=north)
    inner = gpd.GeoSeries([shapely.box(*extent)], crs="EPSG:4326").to_crs(plane).iloc[0].buffer(-distance_m)
    centres = gpd.GeoSeries(shapely.points(cell_centres(cells)), crs="EPSG:4326").to_crs(plane).to_numpy()
    shapely.prepare(inner)
    near = ~np.asarray(shapely.covers(inner, centres), dtype=bool)
    ends = shapely.points(np.asarray(road_ends, dtype=np.float64).reshape(-1, 2))
    ends = gpd.GeoSeries(ends, crs="EPSG:4326").to_crs(plane).to_numpy()
    near[shapely.STRtree(ends).query(centres, predicate="dwithin", distance=distance_m)[0]] = True
    return near
