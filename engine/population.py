"""People: from census polygons, grids or rasters to cells, with nobody lost on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import geopandas as gpd
import h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.errors import InputError, SchemaError
from engine.projection import WGS84, local_equal_area, require_crs

if TYPE_CHECKING:
    from affine import Affine

_WHOLE = 1e-9
"""A polygon whose covered share differs from 1 by less than this is wholly inside: the rest is rounding."""


@dataclass(frozen=True, eq=False)
class CellPopulation:
    """
    People of each cell, and where the others are.

    Attributes
    ----------
    table
        One row a cell, in the order given: ``h3_cell``, ``population``, then the other columns carried
        through.
    total, inside, outside
        Persons in the source, in the cells, and beyond them; ``inside + outside == total``.
    nearest
        Persons of the study area whom no cell covers and who were put into the nearest one.
    by_area
        Persons spread by area because no building is mapped where they live; 0 with ``by="area"``.
    missing
        Source rows without a number of persons, taken as 0.
    """

    table: pd.DataFrame
    total: float
    inside: float
    outside: float
    nearest: float
    by_area: float
    missing: int


def population_to_cells(
    cells: gpd.GeoDataFrame,
    population: gpd.GeoDataFrame,
    *,
    column: str = "population",
    counts: Sequence[str] = (),
    means: Sequence[str] = (),
    by: Literal["area", "buildings"] = "area",
    buildings: gpd.GeoDataFrame | None = None,
    area: shapely.Geometry | None = None,
) -> CellPopulation:
    """
    Move people from polygons to cells and conserve their number.

    Each polygon's persons are spread evenly over its area (or its buildings' floor space) and counted where
    they fall. Areas are measured in a local equal-area projection.

    Parameters
    ----------
    cells
        ``h3_cell`` and polygons.
    population
        Polygons with the number of persons in `column`; squares of a grid, census tracts. Any CRS.
    column
        Number of persons; missing counts as 0, negative is an error.
    counts
        Further columns that are numbers of persons or households (ages, poor households): spread like
        persons.
    means
        Columns that are values a head (income): a cell gets the mean over its persons; null where none has
        one.
    by
        ``area`` or ``buildings``.
    buildings
        Outlines; ``floors`` (or ``building:levels``) where known, else 1. Needed with ``by="buildings"``.
    area
        The study area, EPSG:4326. Persons of the area whom no cell covers go to the nearest cell. None: the
        area is what the cells cover.

    Returns
    -------
    CellPopulation

    Raises
    ------
    SchemaError
        If a column is missing, not a number, or negative.
    CRSError
        If a table has no CRS.
    InputError
        If there are no cells, or ``by="buildings"`` comes without buildings.

    Notes
    -----
    The total is conserved to 1e-9: shares of a polygon sum to 1 by construction. O(n log n + overlaps).

    References
    ----------
    Goodchild, M. F., Lam, N. S.-N. (1980). Areal interpolation: a variant of the traditional spatial problem.
    Geo-Processing 1, 297-312. Floor space: Maantay, J. A., Maroko, A. R., Herrmann, C. (2007). Mapping
    population distribution in the urban environment. Cartography and Geographic Information Science 34(2),
    77-102.
    """
    _check(cells, population, (column, *counts, *means), buildings if by == "buildings" else cells)
    crs = local_equal_area(cells)
    hexagons, homes = _metres(cells, crs), _metres(population, crs)
    limit = None if area is None else gpd.GeoSeries([area], crs=WGS84).to_crs(crs).iloc[0]
    spread = _spread(homes, hexagons, limit)
    by_area = np.zeros(len(homes), dtype=bool)
    if by == "buildings":
        spread, by_area = _by_buildings(homes, hexagons, limit, spread, buildings=_floors(buildings, crs))
    return _result(cells, population, spread, by_area, columns=(column, tuple(counts), tuple(means)))


def raster_polygons(
    values: npt.NDArray[Any], *, transform: Affine, crs: object, nodata: float | None = None
) -> gpd.GeoDataFrame:
    """
    Turn a population raster into one polygon a pixel, for `population_to_cells`.

    Parameters
    ----------
    values
        [persons] Persons in each pixel, shape (rows, columns).
    transform
        Affine transform from (column, row) to coordinates.
    crs
        Coordinate reference system of the raster.
    nodata
        Value that stands for no data; NaN and negative infinity always do.

    Returns
    -------
    geopandas.GeoDataFrame
        ``population`` and the pixel's outline; empty pixels (0 or no data) are left out.

    Raises
    ------
    InputError
        If the array has not two dimensions or holds negative persons.
    """
    if values.ndim != 2:
        msg = f"the raster has {values.ndim} dimensions; expected 2 (rows, columns): choose one band"
        raise InputError(msg)
    data = np.asarray(values, dtype=np.float64)
    known = np.isfinite(data) if nodata is None else np.isfinite(data) & (values != nodata)
    if (data[known] < 0).any():
        msg = f"the raster holds {data[known].min()} persons in a pixel; expected 0 or more. Is nodata set?"
        raise InputError(msg)
    row, column = np.nonzero(known & (data > 0))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    i = column[:, None] + corners[None, :, 0]
    j = row[:, None] + corners[None, :, 1]
    x = transform.a * i + transform.b * j + transform.c
    y = transform.d * i + transform.e * j + transform.f
    pixels = shapely.polygons(np.stack([x, y], axis=-1))
    return gpd.GeoDataFrame({"population": data[row, column]}, geometry=pixels, crs=crs)


def h3_polygons(table: pd.DataFrame, *, column: str = "h3_cell") -> gpd.GeoDataFrame:
    """
    Give a table of H3 cells the outlines of its cells, for `population_to_cells`.

    Parameters
    ----------
    table
        One row a cell.
    column
        Column with the H3 indexes (hex strings).

    Raises
    ------
    SchemaError
        If the column is missing or holds something that is no H3 cell.
    """
    if column not in table.columns or not all(h3.is_valid_cell(str(c)) for c in table[column]):
        msg = f"expected a column {column!r} of H3 indexes; found {list(table.columns)}"
        raise SchemaError(msg)
    rings = [[(lon, lat) for lat, lon in h3.cell_to_boundary(str(c))] for c in table[column]]
    shapes = [shapely.Polygon(ring) for ring in rings]
    return gpd.GeoDataFrame(table.copy(), geometry=shapes, crs=WGS84)


def _check(
    cells: gpd.GeoDataFrame,
    population: gpd.GeoDataFrame,
    columns: Sequence[str],
    buildings: gpd.GeoDataFrame | None,
) -> None:
    if buildings is None:
        msg = 'by="buildings" needs the buildings; give their outlines or use by="area"'
        raise InputError(msg)
    for table, what in ((cells, "cells"), (population, "the population"), (buildings, "the buildings")):
        require_crs(table, what=what)
    if cells.empty or "h3_cell" not in cells.columns:
        msg = f"expected cells with the column h3_cell; found {len(cells)} with {list(cells.columns)}"
        raise InputError(msg)
    missing = [c for c in columns if c not in population.columns]
    if missing:
        found = [c for c in population.columns if c != "geometry"]
        msg = f"the population lacks the columns {missing}; found {found}"
        raise SchemaError(msg)


def _numbers(population: gpd.GeoDataFrame, column: str) -> npt.NDArray[np.float64]:
    """A column of counts: missing is 0, negative or text is an error."""
    try:
        values = pd.to_numeric(population[column]).to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        msg = f"the column {column!r} of the population holds text ({error}); expected numbers"
        raise SchemaError(msg) from error
    if (values[np.isfinite(values)] < 0).any() or np.isinf(values).any():
        low, high = np.nanmin(values), np.nanmax(values)
        msg = f"the population's column {column!r} reaches from {low} to {high}; expected numbers ≥ 0"
        raise SchemaError(msg)
    return np.asarray(np.nan_to_num(values), dtype=np.float64)


def _metres(table: gpd.GeoDataFrame, crs: Any) -> npt.NDArray[np.object_]:
    shapes = table.geometry.to_crs(crs).to_numpy()
    return np.asarray(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)), dtype=object)


class _Spread(NamedTuple):
    """Share of each source polygon's persons that each cell gets, sorted by polygon and cell."""

    home: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    nearest: npt.NDArray[np.bool_]
    """True where no cell covers the polygon and the nearest one takes its persons."""


def _spread(homes: npt.NDArray[np.object_], hexagons: npt.NDArray[np.object_], limit: Any) -> _Spread:
    """Spread each polygon evenly over its area."""
    home, cell = shapely.STRtree(hexagons).query(homes, predicate="intersects")
    overlap = shapely.area(shapely.intersection(homes[home], hexagons[cell]))
    inside = None if limit is None else _area_inside(homes, limit)
    return _shares(homes, hexagons, (home, cell, overlap), shapely.area(homes), inside)


def _area_inside(shapes: npt.NDArray[np.object_], limit: Any) -> npt.NDArray[np.float64]:
    """[m²] Area of each shape inside the limit; the shapes wholly inside need no overlay."""
    shapely.prepare(limit)
    area = np.asarray(shapely.area(shapes), dtype=np.float64)
    partly = ~shapely.contains_properly(limit, shapes)
    area[partly] = shapely.area(shapely.intersection(shapes[partly], limit))
    return area


def _shares(
    homes: npt.NDArray[np.object_],
    hexagons: npt.NDArray[np.object_],
    overlaps: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    whole: npt.NDArray[Any],
    inside: npt.NDArray[Any] | None,
) -> _Spread:
    """
    Turn overlaps into shares that sum to the share of each polygon that is inside.

    `whole` is the size of each polygon and `inside` its size in the study area (None: what cells cover), both
    in the unit of the overlaps (area or floor space). What no cell covers goes to the nearest one.
    """
    home, cell, size = (x[np.lexsort((overlaps[1], overlaps[0]))] for x in overlaps)
    home, cell, size = (x[size > 0] for x in (home, cell, size))
    n = len(homes)
    covered = np.bincount(home, weights=size, minlength=n)
    part = np.divide(covered if inside is None else inside, whole, out=np.zeros(n), where=whole > 0)
    part = np.where(part >= 1 - _WHOLE, 1.0, np.clip(part, 0.0, 1.0))
    share = size * np.divide(part, covered, out=np.zeros(n), where=covered > 0)[home]
    lost = np.flatnonzero((covered <= 0) & (part > 0))
    near = shapely.STRtree(hexagons).query_nearest(homes[lost], all_matches=False)[1] if len(lost) else lost
    return _sorted(
        np.concatenate([home, lost]),
        np.concatenate([cell, near]),
        np.concatenate([share, part[lost]]),
        np.repeat([False, True], [len(home), len(lost)]),
    )


def _sorted(
    home: npt.NDArray[np.int64],
    cell: npt.NDArray[np.int64],
    share: npt.NDArray[np.float64],
    nearest: npt.NDArray[np.bool_],
) -> _Spread:
    order = np.lexsort((cell, home))
    return _Spread(home[order], cell[order], share[order], nearest[order])


def _floors(buildings: Any, crs: Any) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """Outlines of the buildings and their number of floors (1 where unknown)."""
    floors = np.ones(len(buildings))
    for column in ("building:levels", "floors"):
        if column in buildings.columns:
            known = pd.to_numeric(buildings[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            floors = np.where(np.isfinite(known) & (known > 0), known, floors)
    return _metres(buildings, crs), floors


def _by_buildings(
    homes: npt.NDArray[np.object_],
    hexagons: npt.NDArray[np.object_],
    limit: Any,
    by_area: _Spread,
    *,
    buildings: tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]],
) -> tuple[_Spread, npt.NDArray[np.bool_]]:
    """Spread each polygon over its floor space, by area where no building is mapped; tell which those are."""
    outlines, floors = buildings
    n = len(homes)
    home, building = shapely.STRtree(outlines).query(homes, predicate="intersects")
    parts = shapely.intersection(homes[home], outlines[building])
    whole = np.bincount(home, weights=shapely.area(parts) * floors[building], minlength=n)
    inside = None
    if limit is not None:
        inside = np.bincount(home, weights=_area_inside(parts, limit) * floors[building], minlength=n)
    part, cell = shapely.STRtree(hexagons).query(parts, predicate="intersects")
    space = shapely.area(shapely.intersection(parts[part], hexagons[cell])) * floors[building[part]]
    key, first = np.unique(home[part] * len(hexagons) + cell, return_inverse=True)
    overlap = np.bincount(first, weights=space, minlength=len(key))
    spread = _shares(homes, hexagons, (key // len(hexagons), key % len(hexagons), overlap), whole, inside)
    bare = whole <= 0
    use = bare[by_area.home]
    joined = (np.concatenate([a, b[use]]) for a, b in zip(spread, by_area, strict=True))
    return _sorted(*joined), bare


def _result(
    cells: gpd.GeoDataFrame,
    population: gpd.GeoDataFrame,
    spread: _Spread,
    by_area: npt.NDArray[np.bool_],
    *,
    columns: tuple[str, tuple[str, ...], tuple[str, ...]],
) -> CellPopulation:
    column, counts, means = columns
    home, cell, share, nearest = spread
    n, persons = len(cells), _numbers(population, column)
    moved = persons[home] * share
    table: dict[str, Any] = {
        "h3_cell": cells["h3_cell"].to_numpy(),
        "population": np.bincount(cell, weights=moved, minlength=n),
    }
    for name in counts:
        table[name] = np.bincount(cell, weights=_numbers(population, name)[home] * share, minlength=n)
    for name in means:
        table[name] = _weighted_mean(population[name], home, cell, moved, n)
    total, inside = math.fsum(persons), math.fsum(moved)
    return CellPopulation(
        table=pd.DataFrame(table),
        total=total,
        inside=inside,
        outside=math.fsum([total, -inside]),
        nearest=math.fsum(moved[nearest]),
        by_area=math.fsum(persons[by_area]),
        missing=int(pd.to_numeric(population[column]).isna().sum()),
    )


def _weighted_mean(
    values: pd.Series,
    home: npt.NDArray[np.int64],
    cell: npt.NDArray[np.int64],
    moved: npt.NDArray[np.float64],
    n: int,
) -> npt.NDArray[np.float64]:
    """Mean over a cell's persons who have a value; NaN where none has."""
    value = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)[home]
    known = np.isfinite(value) & (moved > 0)
    weight = np.bincount(cell[known], weights=moved[known], minlength=n)
    total = np.bincount(cell[known], weights=moved[known] * value[known], minlength=n)
    return np.asarray(np.divide(total, weight, out=np.full(n, np.nan), where=weight > 0))
