"""What people want to reach."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.config.source import FileSource
from pipelines.config.value import NonNegative, TagValues


class Opportunity(FileSource):
    """
    A category: changes keys of the taxonomy's category of this name, or adds one.

    Places come from OpenStreetMap (`osm`), from a file or an address, or from both, merged.
    """

    osm: TagValues | None = None
    """OpenStreetMap tags of which one must hold, for example `{ shop = ["bakery", "pastry"] }`; `{}` for none."""
    require: TagValues | None = None
    """Tags that must all hold."""
    exclude: TagValues | None = None
    """Tags of which none may hold."""
    label_en: str | None = None
    """What people read in English."""
    label_fr: str | None = None
    """What people read in French."""
    geometry: Literal["point", "green"] | None = None
    """`point`: a place is a point. `green`: a polygon that is reached at its entrances."""
    access: Literal["any", "customers", "public"] | None = None
    """Which access tags take a place out."""
    min_area_ha: NonNegative | None = None
    """[ha] Smallest green space, after touching polygons were merged."""
    dedup_radius_m: NonNegative | None = None
    """[m] Places of one name within this distance are one place."""
    merge: Literal["name", "nearby"] | None = None
    """Whether places of one name, or all places within the radius, are one."""
    needs_streams: tuple[str, ...] = ()
    """Waste streams that a place must all take."""
    levels: tuple[str, ...] = ()
    """School levels of which a place must offer one."""
    weight: NonNegative | None = None
    """Weight in the score; 0 shows the category without scoring it."""
    known: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=0)]] | None = None
    """How many places the area is known to have, from a register or a survey; or how many each neighbourhood has
    (`{ Bonfim = 12 }`). Confidence falls where fewer are mapped."""

    def category_table(self) -> dict[str, Any]:
        """The keys that were given, as the engine's taxonomy reader takes them."""
        named = (
            "osm",
            "require",
            "exclude",
            "label_en",
            "label_fr",
            "geometry",
            "access",
            "min_area_ha",
            "dedup_radius_m",
            "merge",
            "weight",
        )
        table: dict[str, Any] = {k: getattr(self, k) for k in named if getattr(self, k) is not None}
        if self.needs_streams:
            table["streams"] = list(self.needs_streams)
        if self.levels:
            table["levels"] = list(self.levels)
        return table
