"""Rasters: terrain, canopy, heat."""

from __future__ import annotations

from pydantic import model_validator

from pipelines.config.value import Sha256, Strict


class Elevation(Strict):
    """Terrain for slopes."""

    raster: str | None = None
    """File or URL of a digital elevation model in metres (any CRS)."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and owner, for the attribution."""


class Heat(Strict):
    """Rasters (any CRS) that say where shade is needed most."""

    canopy: str | None = None
    """File of tree canopy, a share of 0 to 1 or 0 to 100 a pixel. One of `canopy` and `ndvi`."""
    ndvi: str | None = None
    """File of the vegetation index NDVI (-1 to 1), turned into a share of vegetation where no canopy is mapped."""
    temperature: str | None = None
    """File of surface temperature, in any unit."""

    @model_validator(mode="after")
    def _one_vegetation(self) -> Heat:
        if self.canopy and self.ndvi:
            msg = f"give canopy or ndvi, not both; found canopy = {self.canopy!r} and ndvi = {self.ndvi!r}"
            raise ValueError(msg)
        return self
