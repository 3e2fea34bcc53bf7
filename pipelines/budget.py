"""
A limit of memory: what a run is expected to take, and how it is computed so that it takes less.

The amounts are those of runs whose manifests say so (``steps.*.peak_memory_mb``): Monaco, the centre of Porto (491
cells), a part of the region of Porto (171 cells, 30,000 junctions) and the whole region (72,000 junctions on foot).
"""

from __future__ import annotations

import ctypes
import gc
import math
from dataclasses import dataclass

import h3
import pyarrow as pa
import shapely
from pyproj import Geod

from pipelines.errors import ConfigError
from pipelines.memory import machine_mb
from pipelines.quantity import shown_bytes

BASE_MB = 460.0
"""[MB] Libraries and compiled code, whatever the city."""
FILE_MB_PER_MB = 10.0
"""[MB] While an extract is read, for each megabyte of the file."""
VERTEX_MB = 0.003
"""[MB] For each vertex of each mode's network, with its streets and what is searched on them."""
CELL_MB = 0.003
"""[MB] For each cell, in the tables of the whole area."""
TILE_CELL_MB = 0.005
"""[MB] For each cell of a tile, with its pieces of street, while it is measured."""
LEAST_TILE = 250
_GLOBE = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Budget:
    """
    A limit, or none.

    Attributes
    ----------
    limit_mb
        [MB] Resident memory of the process; None for no limit but the machine's.
    """

    limit_mb: float | None = None

    @classmethod
    def of(cls, limit_bytes: int | None) -> Budget:
        """A limit in bytes."""
        return cls(None if limit_bytes is None else limit_bytes / 1e6)

    def check_start(self, *, file_bytes: int, cells: int | None) -> None:
        """
        Refuse a city that cannot fit, before it is read.

        Parameters
        ----------
        file_bytes
            Size of the file of streets.
        cells
            Cells of the area; None where only the file knows.

        Raises
        ------
        ConfigError
            The least that the run takes is more than the limit.
        """
        need = BASE_MB + FILE_MB_PER_MB * file_bytes / 1e6 + CELL_MB * (cells or 0)
        area = "an area of unknown size" if cells is None else f"{cells:,} cells"
        self._refuse(need, f"{area}, a file of {shown_bytes(file_bytes)}")

    def check_networks(self, *, vertices: int, cells: int) -> None:
        """
        Refuse a city whose networks turn out too large, before anything is searched on them.

        Raises
        ------
        ConfigError
            What the run is expected to take is more than the limit.
        """
        need = BASE_MB + VERTEX_MB * vertices + CELL_MB * cells
        self._refuse(need, f"{cells:,} cells, networks of {vertices:,} vertices together")

    def tile_cells(self, *, vertices: int, cells: int) -> int | None:
        """Cells of a tile at most, so that the measuring fits beside what the whole takes; None for all at once."""
        if self.limit_mb is None:
            return None
        left = self.limit_mb - BASE_MB - VERTEX_MB * vertices - CELL_MB * cells
        most = max(LEAST_TILE, math.floor(left / TILE_CELL_MB))
        return most if most < cells else None

    def release(self) -> None:
        """Give memory that is no longer used back to the system: allocators keep it otherwise."""
        if self.limit_mb is None:
            return
        gc.collect()
        pa.default_memory_pool().release_unused()
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):  # another system's C library
            return

    def _refuse(self, need_mb: float, known: str) -> None:
        limit = machine_mb() if self.limit_mb is None else self.limit_mb
        if need_mb > limit:
            named = "this machine has" if self.limit_mb is None else "the memory limit is"
            msg = (
                f"{named} {shown_bytes(limit * 1e6)}, and this run takes about {shown_bytes(need_mb * 1e6)} ({known}): "
                "choose a smaller area, a file cut to it or a coarser resolution"
            )
            raise ConfigError(msg if self.limit_mb is None else f"{msg}, or raise --memory-limit")


def cells_of(boundary: shapely.Geometry, resolution: int) -> int:
    """
    About how many cells an area has, without making them.

    Parameters
    ----------
    boundary
        [deg] Polygons, EPSG:4326.
    resolution
        Of H3.
    """
    area_m2 = float(sum(abs(_GLOBE.geometry_area_perimeter(p)[0]) for p in shapely.get_parts(boundary)))
    return math.ceil(area_m2 / float(h3.average_hexagon_area(resolution, "m^2")))
