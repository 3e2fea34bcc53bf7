"""Which area is studied."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pipelines.config.value import Name, Strict


class Area(Strict):
    """What is studied. One of `boundary`, `bbox` and `place`; with none, the whole extract."""

    name: Name
    """Name of the area, shown everywhere; the run directory is named after it."""
    boundary: str | None = None
    """File with the area's polygons (any vector format and CRS), relative to the configuration."""
    bbox: tuple[float, float, float, float] | None = None
    """[deg] West, south, east, north."""
    place: str | None = None
    """A place to look up with OSMnx, for example `"Paris, France"` (needs the internet)."""
    resolution: Annotated[int, Field(ge=5, le=12)] = 10
    """H3 resolution of the cells."""
    boundary_layer: str | None = None
    """Layer of `boundary`, where the file has several."""
    boundary_where: dict[str, tuple[str | int, ...]] = {}
    """Keep only the polygons whose column has one of these values, for example `{ c_ar = [3, 4] }`."""
    neighbourhoods: str | None = None
    """File with polygons and a name column: districts to filter and report by."""
    neighbourhood_name: str = "name"
    """Column of `neighbourhoods` that holds the name."""

    @model_validator(mode="after")
    def _one_boundary(self) -> Area:
        given = [k for k in ("boundary", "bbox", "place") if getattr(self, k) is not None]
        if len(given) > 1:
            msg = f"give one of boundary, bbox and place; found {', '.join(given)}"
            raise ValueError(msg)
        if self.bbox is not None:
            west, south, east, north = self.bbox
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                found = list(self.bbox)
                msg = f"bbox is [west, south, east, north] in degrees, west < east, south < north; found {found}"
                raise ValueError(msg)
        return self
