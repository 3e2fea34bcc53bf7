"""What gives the map its bearings: water and parks from the run's own OpenStreetMap features."""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import shapely

from ui.layers.features import feature_collection

_WATER = {"natural": frozenset({"water", "bay"}), "waterway": frozenset({"riverbank", "dock"})}
_PARK = {
    "leisure": frozenset({"park", "garden", "nature_reserve"}),
    "landuse": frozenset({"cemetery", "forest", "recreation_ground"}),
    "natural": frozenset({"wood"}),
}
_TOLERANCE_DEG = 1e-5
"""[deg] About a metre: less than a screen shows."""
_SMALLEST_DEG2 = 2e-8
"""[deg²] About 150–250 m² in Europe: smaller patches are noise at any zoom of a city."""


def backdrop_geojson(features: gpd.GeoDataFrame | None) -> dict[str, Any]:
    """
    Water and parks as polygons with a `kind` (``water`` or ``park``) and a `name`.

    Parameters
    ----------
    features
        ``tags`` (JSON text or dict) and ``geometry``; None where the run was made from tables.
    """
    if features is None or features.empty:
        return feature_collection([], [])
    areas = features[features.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy()]
    areas = areas[shapely.area(areas.geometry.to_numpy()) > _SMALLEST_DEG2]
    tags = [json.loads(t) if isinstance(t, str) else dict(t) for t in areas["tags"]]
    kinds = [kind_of(t) for t in tags]
    keep = [i for i, kind in enumerate(kinds) if kind]
    shapes = shapely.simplify(areas.geometry.to_numpy()[keep], _TOLERANCE_DEG)
    return feature_collection(
        shapes, ({"kind": kinds[i], "name": str(tags[i].get("name", ""))} for i in keep)
    )


def kind_of(tags: dict[str, str]) -> str | None:
    """``water``, ``park`` or None, by OpenStreetMap tags; swimming pools and private gardens are neither."""
    if tags.get("access") in ("private", "no"):
        return None
    for kind, wanted in (("water", _WATER), ("park", _PARK)):
        if any(tags.get(key) in values for key, values in wanted.items()):
            return kind
    return None
