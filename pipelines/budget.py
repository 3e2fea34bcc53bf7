"""A limit of memory: a run that cannot keep to it is refused, others are computed so that they do."""

from __future__ import annotations

import ctypes
import gc
import math
from dataclasses import dataclass

import h3
import pyarrow as pa
import shapely
from pyproj import Geod

from pipelines.cost import (
    MOST_PLACES,
    SITES,
    Size,
    highest_step,
    peak_mb_of,
    places_at_once_for,
    tile_cells_for,
)
from pipelines.errors import ConfigError
from pipelines.memory import machine_mb
from pipelines.quantity import shown_bytes

_SURE = 0.9
"""The model errs by this much where it says too much: who is refused surely does not fit."""
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

    def check(self, size: Size) -> None:
        """
        Refuse a run that cannot fit, whatever its tiles.

        Parameters
        ----------
        size
            As far as it is known: before the extract is read, its size and the cells; then the networks, too.

        Raises
        ------
        ConfigError
            What the run takes in the smallest tiles is more than the limit, by more than the model errs.
        """
        need = peak_mb_of(size, tile_cells=0)
        limit = machine_mb() if self.limit_mb is None else self.limit_mb
        if need * _SURE <= limit:
            return
        named = "this machine has" if self.limit_mb is None else "the memory limit is"
        known = f"{size.cells:,.0f} cells, a file of {shown_bytes(size.read_mb * 1e6)}"
        if size.nodes:
            known += f", networks of {size.nodes:,.0f} vertices together"
        step = highest_step(size)
        msg = (
            f"{named} {shown_bytes(limit * 1e6)}, and this run takes about {shown_bytes(need * 1e6)} ({known}; most "
            f"for {step}): choose a smaller area, a file cut to it or a coarser resolution"
        )
        if step == SITES:
            msg += ", or switch the kinds of sites off (sites.KIND.enabled = false)"
        raise ConfigError(msg if self.limit_mb is None else f"{msg}, or allow more memory (--memory-limit)")

    def tile_cells(self, size: Size) -> int | None:
        """Cells of a tile at most, so that the measuring fits beside what the whole takes; None for all at once."""
        return None if self.limit_mb is None else tile_cells_for(size, self.limit_mb)

    def places_at_once(self, size: Size) -> int:
        """Places along kerbs that are judged together when sites are looked for."""
        return MOST_PLACES if self.limit_mb is None else places_at_once_for(size, self.limit_mb)

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
