"""Quality of a network: gaps, islands, missing tags, kilometres by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.network.geodesy import EARTH_RADIUS_M
from engine.network.plaza import is_area_way
from engine.network.street_network import StreetNetwork
from engine.network.tags import TagColumns
from engine.osm_extract import OsmExtract

GAP_M = 5.0
"""[m] A dead end closer than this to a street that it does not meet is a suspicious gap."""

LISTED = 50
"""Suspicious places listed in full; all are counted."""

_VAGUE = ("road", "yes", "unknown", "fixme", "user defined", "unclassified_road")
_REPORTED = ("name", "surface", "width_m", "lanes", "maxspeed_kmh", "sidewalk", "parking")


def quality_report(extract: OsmExtract, network: StreetNetwork) -> dict[str, Any]:
    """
    What a planner should know about a network before trusting its figures.

    Parameters
    ----------
    extract
        The extract the network was built from.
    network
        The network.

    Returns
    -------
    dict
        ``suspicious_gaps`` (number, and the nearest `LISTED` of them with node, position and gap [m]),
        ``islands`` (components dropped), ``ways_without_class`` (number), ``missing_share`` (share of street
        length without each attribute), ``km_by_class``, ``km_outlines_of_areas`` and ``km_lines_across_areas``
        (not in the former), and for ``street30`` ``km_major`` and ``km_limited``. Plain numbers and texts only.

    Notes
    -----
    O(streets log streets).
    """
    lines = network.streets["area_crossing"].to_numpy(bool)
    tags = TagColumns(extract.ways)
    areas = extract.ways["way_id"].to_numpy()[is_area_way(tags) | (extract.ways["area_of"] > 0).to_numpy()]
    outlines = np.isin(network.streets["osm_way"].to_numpy(), areas) & ~lines
    streets = network.streets[~(lines | outlines | network.streets["copy"].to_numpy(bool))]
    km = streets["length_m"].to_numpy(np.float64) / 1000
    total = float(km.sum())
    by_class = pd.Series(km).groupby(streets["highway"].fillna("?").to_numpy(dtype=object)).sum()
    report: dict[str, Any] = {
        "suspicious_gaps": _gaps(extract, network),
        "islands": network.dropped.get("components", {}),
        "ways_without_class": int(tags.isin("highway", _VAGUE).sum()),
        "missing_share": {
            name: round(float(km[streets[name].isna().to_numpy()].sum()) / total, 4) if total else 0.0
            for name in _REPORTED
            if name in streets.columns
        },
        "km_outlines_of_areas": round(float(network.length_m[outlines].sum()) / 1000, 3),
        "km_lines_across_areas": round(float(network.length_m[lines].sum()) / 1000, 3),
        "km_by_class": {str(k): round(float(v), 3) for k, v in sorted(by_class.items())},
    }
    if "major" in streets.columns:
        major = streets["major"].to_numpy(bool)
        report["km_major"] = round(float(km[major].sum()), 3)
        report["km_limited"] = round(float(km[~major].sum()), 3)
    return report


def _gaps(extract: OsmExtract, network: StreetNetwork) -> dict[str, Any]:
    """Dead ends near a street that they do not meet, neither being a bridge or a tunnel."""
    degree = np.bincount(np.concatenate([network.u, network.v]), minlength=network.n_vertices)
    lifted = (network.streets["bridge"] | network.streets["tunnel"]).to_numpy(bool)
    dead = degree == 1
    for vertices in (network.u, network.v):
        dead[vertices[lifted]] = False
    dead &= np.isin(network.node_id, extract.node_id) & ~np.isin(network.node_id, _known_ends(extract))
    ends = np.flatnonzero(dead)
    drawn = ~(network.streets["copy"] | network.streets["area_crossing"]).to_numpy(bool)
    ground = np.flatnonzero(~lifted & drawn)
    if not len(ends) or not len(ground):
        return {"number": 0, "nearest": []}
    scale = _metres(network)
    tree = shapely.STRtree(shapely.transform(network.geometry[ground], lambda xy: xy * scale))
    at = np.column_stack([network.lon[ends], network.lat[ends]]) * scale
    points = np.asarray(shapely.points(at), dtype=object)
    which, line = tree.query(points, predicate="dwithin", distance=GAP_M)
    street = ground[line]
    apart = (network.u[street] != ends[which]) & (network.v[street] != ends[which])
    which, line = which[apart], line[apart]
    gap = shapely.distance(points[which], tree.geometries[line])
    table = pd.DataFrame({"end": ends[which], "gap_m": gap}).groupby("end", as_index=False)["gap_m"].min()
    table["node_id"] = network.node_id[table["end"].to_numpy()]
    table = table.sort_values(["gap_m", "node_id"], ignore_index=True)
    nearest = [
        {
            "node_id": int(row.node_id),
            "lon": float(network.lon[row.end]),
            "lat": float(network.lat[row.end]),
            "gap_m": round(float(row.gap_m), 2),
        }
        for row in table.head(LISTED).itertuples()
    ]
    return {"number": len(table), "nearest": nearest}


def _known_ends(extract: OsmExtract) -> npt.NDArray[np.int64]:
    """Nodes that mappers marked as a real end, and barriers: streets end there by intent."""
    tags = TagColumns(extract.node_tags)
    rows = tags.isin("noexit", ("yes",)) | tags.has("barrier")
    return np.asarray(extract.node_tags.index.to_numpy(np.int64)[rows])


def _metres(network: StreetNetwork) -> npt.NDArray[np.float64]:
    """[m/deg] Scale of longitude and latitude at the middle of the network."""
    per_degree = np.pi * EARTH_RADIUS_M / 180
    return np.array([per_degree * np.cos(np.deg2rad(float(network.lat.mean()))), per_degree])
