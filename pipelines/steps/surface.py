"""Surfaces: means of a raster over the cells (tree canopy, heat), for siting."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from engine.cells import cell_centres
from pipelines.sources.raster import elevation_reader
from pipelines.steps.context import InputFile

FINER = 2
"""A cell is sampled at the centres of its H3 children this many levels down: 49 points."""


def cell_means(raster: InputFile, cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """
    Mean of a raster over each cell.

    Returns
    -------
    numpy.ndarray
        In the raster's unit, shape (cells,); NaN where it has no data.
    """
    resolution = min(15, int(h3.get_resolution(int(cells[0]))) + FINER)
    children = [np.asarray(h3.cell_to_children(int(c), resolution), dtype=np.uint64) for c in cells]
    owner = np.repeat(np.arange(len(cells)), [len(c) for c in children])
    lon, lat = cell_centres(np.concatenate(children)).T
    values = elevation_reader(raster.path)(lon, lat)
    known = np.isfinite(values)
    total = np.bincount(owner[known], weights=values[known], minlength=len(cells))
    number = np.bincount(owner[known], minlength=len(cells))
    mean: npt.NDArray[np.float64] = np.divide(
        total, number, out=np.full(len(cells), np.nan), where=number > 0
    )
    return mean


def canopy_share(raster: InputFile, cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Share of each cell under canopy, 0…1; a raster of per cents is recognised; no data counts as none."""
    share = np.nan_to_num(cell_means(raster, cells))
    return np.clip(share / 100 if share.max(initial=0) > 1 else share, 0.0, 1.0)


BARE_NDVI, FULL_NDVI = 0.05, 0.75
"""NDVI of bare ground and of closed vegetation, for the share of vegetation."""


def vegetation_share(raster: InputFile, cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """
    Share of each cell under vegetation, 0…1, from its mean NDVI; no data counts as none.

    References
    ----------
    Carlson & Ripley (1997) On the relation between NDVI, fractional vegetation cover, and leaf area index. Remote
    Sensing of Environment 62, 241–252: the square of the scaled NDVI.
    """
    scaled = (cell_means(raster, cells) - BARE_NDVI) / (FULL_NDVI - BARE_NDVI)
    share: npt.NDArray[np.float64] = np.nan_to_num(np.clip(scaled, 0.0, 1.0) ** 2)
    return share


def heat_factor(raster: InputFile, cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """
    How hot each cell is among the city's cells: from 0.5 for the coolest to 1.5 for the hottest, by rank.

    Ranks make the factor the same whatever the raster's unit; a cell without data counts 1.
    """
    mean = cell_means(raster, cells)
    known = np.flatnonzero(np.isfinite(mean))
    factor = np.ones(len(cells))
    if len(known) > 1:
        _, level = np.unique(mean[known], return_inverse=True)
        factor[known] = 0.5 + level / max(1, int(level.max()))
    return factor
