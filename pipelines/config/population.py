"""Who lives where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.value import Sha256, Strict


class Population(Strict):
    """Who lives where. One of `grid`, `polygons` and `raster`; without, every cell counts alike."""

    grid: str | None = None
    """File or URL of squares with a count each: drawn, or a table of H3 cells or European grid codes."""
    polygons: str | None = None
    """File or URL of polygons with a count each."""
    raster: str | None = None
    """File or URL of a raster with a count a pixel."""
    column: str = "population"
    """Column with the number of residents."""
    band: Annotated[int, Field(ge=1)] = 1
    """Band of the raster."""
    layer: str | None = None
    """Layer, where the file has several."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and attribution."""
    by: Literal["area", "buildings"] = "area"
    """How a polygon's residents are spread: evenly, or over the floor space of its buildings."""
    keep: tuple[str, ...] = ()
    """Further counts carried to the cells, for example poor households or ages."""
    income: str | None = None
    """CSV with an income for each polygon."""
    income_key: str | None = None
    """Column of the income file that names the polygon."""
    income_column: str | None = None
    """Column of the income file with the income, or of the polygons where no income file is given."""
    polygon_key: str | None = None
    """Column of the polygons that the income file names."""

    @model_validator(mode="after")
    def _one_source(self) -> Population:
        given = [k for k in ("grid", "polygons", "raster") if getattr(self, k)]
        if len(given) > 1:
            msg = f"give one of grid, polygons and raster; found {', '.join(given)}"
            raise ValueError(msg)
        carried = [k for k in ("keep", "income", "income_column") if getattr(self, k)]
        if self.raster and carried:
            msg = f"a raster has one number a pixel and cannot carry {', '.join(carried)}: give polygons instead"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str | None:
        """The file or URL, None where there is no population."""
        return self.grid or self.polygons or self.raster
