"""Where the data of an OSM file end: the box that it was cut from, and main roads that lead out of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.sources.osm_lines import Lines, way_lines
from pipelines.sources.osm_raw import UNIT, RawOsm

MAIN_ROADS = ("motorway", "trunk", "primary", "secondary")
"""Values of `highway` of roads that lead somewhere: one that ends in nothing was cut off, or is not yet mapped."""
_REAL_ENDS = {"highway": ("turning_circle", "turning_loop"), "noexit": ("yes",)}


def data_box(raw: RawOsm) -> tuple[float, float, float, float] | None:
    """
    Box that has data all over it, as far as a file tells.

    The header's box where there is one. Else the box of the nodes would be too large: extracts hold the ways that cross
    their edge whole. Each street of an extract has a node within the area of the extract, though, so that area reaches
    at least as far east as the westernmost node of every street, and likewise on the other sides: the box found so is
    never larger than that of the true area, and smaller by less than a street.

    Parameters
    ----------
    raw
        All objects of the file.

    Returns
    -------
    tuple
        [deg] West, south, east, north; None where the file has no node.
    """
    if raw.bbox is not None or not len(raw.node_id):
        return raw.bbox
    x, y = raw.node_x, raw.node_y
    lines = way_lines(raw, raw.way_tags.matching({"highway": None}), {})
    if not len(lines.places):
        return (x.min() / UNIT, y.min() / UNIT, x.max() / UNIT, y.max() / UNIT)
    x, y, first = x[lines.places], y[lines.places], lines.offsets[:-1]
    west, east = np.maximum.reduceat(x, first).min(), np.minimum.reduceat(x, first).max()
    south, north = np.maximum.reduceat(y, first).min(), np.minimum.reduceat(y, first).max()
    return (
        min(west, east) / UNIT,
        min(south, north) / UNIT,
        max(west, east) / UNIT,
        max(south, north) / UNIT,
    )


def road_ends(
    raw: RawOsm, lines: Lines, bounds: tuple[float, float, float, float] | None = None
) -> npt.NDArray[np.float64]:
    """
    Ends of main roads at which no other way goes on.

    Extracts cut along a border have a box that is larger than their area. Where they end inside it, the main roads that
    cross the border end in nothing.

    Parameters
    ----------
    raw
        All objects of the file.
    lines
        All its routable ways.
    bounds
        [deg] Ends outside are left out: a file that was cut down to a box goes on there.

    Returns
    -------
    ndarray
        [deg] Longitude and latitude, in the order of the nodes' ids, shape (ends, 2). Ends that are tagged as such
        (turning circles, ``noexit=yes``) are none.
    """
    main = np.isin(lines.row, raw.way_tags.matching({"highway": MAIN_ROADS}))
    size = np.diff(lines.offsets)
    main &= size > 0
    tips = lines.places[np.concatenate([lines.offsets[:-1][main], lines.offsets[1:][main] - 1])]
    visits = np.bincount(lines.places, minlength=len(raw.node_id))
    found = np.unique(tips[visits[tips] == 1])
    found = np.setdiff1d(found, raw.node_tags.matching(_REAL_ENDS), assume_unique=True)
    lonlat = np.column_stack([raw.node_x[found], raw.node_y[found]]) / UNIT
    if bounds is None:
        return lonlat
    west, south, east, north = bounds
    return lonlat[((lonlat >= (west, south)) & (lonlat <= (east, north))).all(axis=1)]
