"""Travel-time fields and everything that is integrated from them."""

from engine.reach.cell_counts import cell_counts
from engine.reach.cell_times import CellTimes, cell_times
from engine.reach.coverage import Coverage, coverage, two_step_fca
from engine.reach.cumulative import cumulative
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.graph import UNREACHABLE
from engine.reach.gravity import gravity
from engine.reach.isochrone import (
    ReachedStreets,
    isochrone_buffer,
    isochrone_cells,
    reached_lines,
    reached_streets,
)
from engine.reach.nearest import NearestField, nearest
from engine.reach.outline import isochrone_outline
from engine.reach.update import improve

__all__ = [
    "UNREACHABLE",
    "CellTimes",
    "Coverage",
    "Decay",
    "Destinations",
    "NearestField",
    "ReachedStreets",
    "cell_counts",
    "cell_times",
    "coverage",
    "cumulative",
    "gravity",
    "improve",
    "isochrone_buffer",
    "isochrone_cells",
    "isochrone_outline",
    "nearest",
    "reached_lines",
    "reached_streets",
    "two_step_fca",
]
