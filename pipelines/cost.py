"""
What a run costs: core seconds, memory and disk against streets, cells and categories.

One model for whoever asks: `proche batch --estimate`, the order and memory of a batch's processes, `--memory-limit`.
Its seconds are those of one machine; `pipelines.pace` says how those of another compare.
The rates are fitted to real extracts and to synthetic streets (`tests/bench/costs.py`); docs/batch.md holds what was
measured, how far off the model is, and what it comes to for Greater Paris, France and 10,000 cities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


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
        Vertices of the networks of all modes together.
    cells
        H3 cells.
    categories, modes
        How many.
    sites
        Whether candidate sites are searched.
    basis
        How the number of nodes is known: ``count`` (the crossings of its extract), ``file`` (its size), ``area`` (its
        km², as a dense city has them), ``unknown``.
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
        [s] Time of one processor of the machine that the rates stand for.
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
    """A constant, and so much for each MB read, MB of content, node, cell, and cell × category × mode."""

    base: float = 0.0
    read_mb: float = 0.0
    content_mb: float = 0.0
    node: float = 0.0
    cell: float = 0.0
    measure: float = 0.0

    def of(self, size: Size) -> float:
        """The figure for a run of this size."""
        return (
            self.base
            + self.read_mb * size.read_mb
            + self.content_mb * size.content_mb
            + self.node * size.nodes
            + self.cell * size.cells
            + self.measure * size.cells * size.categories * size.modes
        )


CORE_S = Rates(base=3.5, read_mb=0.05, content_mb=1.3, node=218e-6, measure=52e-6)
SITES_S = Rates(base=2.5, node=276e-6, cell=459e-6)
DISK_MB = Rates(base=0.4, content_mb=3.3, node=0.25e-3, measure=2e-6)

READING_MB = Rates(base=500, read_mb=10.0, content_mb=20.0)
NETWORKS_MB = Rates(base=510, content_mb=45.0, node=1.55e-3)
TABLES_MB = Rates(base=560, measure=0.45e-3)
SITES_MB = Rates(base=540, node=4.2e-3)
"""
[MB] Memory of the steps that can be the highest: reading the extract, networks and places, tables of all cells (scores,
portrait, gaps), candidates for sites along every street. Each gives back what it no longer needs.
"""
CELL_MB = 1.7e-3
"""[MB] Beside the networks, for each cell that is measured at once: its pieces of street."""
PLACE_MB = 0.25e-3
"""[MB] Beside the candidates, for each place along a kerb that is judged at once (50,000 in `SITES_MB`)."""
MOST_PLACES, LEAST_PLACES = 50_000, 2_000
"""Places that are judged at once: more save no time, fewer no memory."""
SITES = "candidates for sites"
LEAST_TILE = 250
"""Smaller tiles cost more for their halos than they save."""
_LEFT = 0.8
"""Part of the memory that is left for a tile that it is planned to fill."""


def cost_of(size: Size) -> Cost:
    """
    What a run of this size takes, all cells measured at once.

    Examples
    --------
    >>> small = cost_of(Size(read_mb=0.7, content_mb=0.7, nodes=10_000, cells=144, categories=4, modes=3, sites=True))
    >>> 1 < small.core_s < 60
    True
    """
    core_s = CORE_S.of(size) + (SITES_S.of(size) if size.sites else 0.0)
    return Cost(core_s, peak_mb_of(size), DISK_MB.of(size))


def peak_mb_of(size: Size, *, tile_cells: float | None = None) -> float:
    """
    [MB] Highest memory of a run.

    Parameters
    ----------
    size
        The run.
    tile_cells
        Cells that are measured at once; None for all. What the area shares (networks, tables of its cells, candidates
        for sites) is not made smaller by these tiles.
    """
    return max(_steps_mb(size, size.cells if tile_cells is None else min(tile_cells, size.cells)).values())


def highest_step(size: Size) -> str:
    """What takes the most memory in a run that is computed in the smallest tiles."""
    steps = _steps_mb(size, LEAST_TILE)
    return max(steps, key=steps.__getitem__)


def _steps_mb(size: Size, at_once: float) -> dict[str, float]:
    steps = {
        "reading the extract": READING_MB.of(size),
        "networks and places": NETWORKS_MB.of(size) + CELL_MB * at_once,
        "tables of all cells": TABLES_MB.of(size),
    }
    if size.sites:
        spared = 0 if at_once >= size.cells else (MOST_PLACES - LEAST_PLACES) * PLACE_MB
        steps[SITES] = SITES_MB.of(size) - spared
    return steps


def tile_cells_for(size: Size, limit_mb: float) -> int | None:
    """
    Cells of a tile with which measuring keeps to a limit; None where all at once do, or where tiles would not help.

    Examples
    --------
    >>> town = Size(read_mb=1, content_mb=1, nodes=10_000, cells=400, categories=4, modes=3, sites=False)
    >>> tile_cells_for(town, 4000) is None
    True
    >>> region = Size(read_mb=100, content_mb=9, nodes=300_000, cells=100_000, categories=4, modes=3, sites=False)
    >>> tile_cells_for(region, 1500) < 100_000
    True
    """
    left = (limit_mb - NETWORKS_MB.of(size)) * _LEFT / CELL_MB
    most = max(LEAST_TILE, math.floor(left))
    return most if most < size.cells else None


def places_at_once_for(size: Size, limit_mb: float) -> int:
    """
    Places along kerbs that are judged together so that siting keeps to a limit; the candidates they leave come on top.

    Examples
    --------
    >>> town = Size(read_mb=1, content_mb=1, nodes=10_000, cells=400, categories=4, modes=3, sites=True)
    >>> places_at_once_for(town, 4000)
    50000
    >>> places_at_once_for(town, 560) < 50_000
    True
    """
    left = (limit_mb - SITES_MB.of(size)) * _LEFT / PLACE_MB + MOST_PLACES
    return max(LEAST_PLACES, min(MOST_PLACES, math.floor(left)))
