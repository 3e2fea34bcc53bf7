"""How parks are entered: a list that a spreadsheet opens, those without a mapped entrance first."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

NONE = "none"
"""What stands for a park that no rule finds an entrance of."""
_KINDS = ("door", "gate", "crossing", "open boundary")
RULES = (NONE, "open boundary", "crossing", "gate; crossing", "gate")
"""How a park may be entered, from what is least sure to what is mapped."""


def entered_by(n: int, access: gpd.GeoDataFrame) -> list[str]:
    """
    Say how each place is entered.

    Parameters
    ----------
    n
        Number of places.
    access
        ``access_points.parquet``: ``place`` and ``kind``; points inside parks are no entrances.

    Returns
    -------
    list of str
        ``door``, or one of `RULES` for a park; empty where it has no entrance.
    """
    found: list[set[str]] = [set() for _ in range(n)]
    for place, kind in zip(access["place"], access["kind"], strict=True):
        found[place].add(kind)
    return ["; ".join(kind for kind in _KINDS if kind in kinds) for kinds in found]


def parks_table(places: gpd.GeoDataFrame, access: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    List every park and how it is entered, those without a mapped entrance first.

    Parameters
    ----------
    places
        ``opportunities.parquet``.
    access
        ``access_points.parquet``.

    Returns
    -------
    geopandas.GeoDataFrame
        ``id``, ``category``, ``name``, ``area_ha``, ``entrance`` (one of `RULES`), ``entrances`` (how many),
        ``reason`` (why there is none), outline; by rule in their order, the largest first.
    """
    areal = np.flatnonzero(shapely.get_dimensions(places.geometry.to_numpy()) == 2)
    entered = access.loc[access["kind"] != "inside", "place"].to_numpy(np.int64)
    own = places.iloc[areal]
    table = gpd.GeoDataFrame(
        {
            "id": own["id"],
            "category": own["category"],
            "name": own["name"],
            "area_ha": own["area_ha"].round(3) if len(areal) else np.empty(0),
            "entrance": own["entrance"].replace("", NONE),
            "entrances": np.bincount(entered, minlength=len(places))[areal],
            "reason": own["reason"],
        },
        geometry=own.geometry,
        crs=places.crs,
    )
    rule = table["entrance"].map({name: k for k, name in enumerate(RULES)})
    order = np.lexsort((table["id"].astype(str), -table["area_ha"].astype(float), rule.astype(float)))
    return table.iloc[order].reset_index(drop=True)


def rules_used(parks: gpd.GeoDataFrame) -> dict[str, int]:
    """Number of parks by how they are entered."""
    return {rule: int((parks["entrance"] == rule).sum()) for rule in RULES if len(parks)}
