"""Cells: the H3 hexagons of an area, and the pieces of street inside each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.snapping import local_metres, snap

_SAME_FRACTION = 1e-9
"""Two clips of one street that meet within this share of its length are one piece."""


@dataclass(frozen=True, eq=False)
class StreetPieces:
    """
    The streets inside each cell, clipped at its border; trips start anywhere along them.

    Pieces are sorted by cell, street and start.

    Attributes
    ----------
    cells
        H3 indexes, sorted, shape (cells,).
    cell
        Row of `cells` that each piece lies in, shape (pieces,).
    street
        Street of each piece.
    start, stop
        Fractions of the street between which the piece lies; equal for a cell that has no street of its own
        and takes the nearest one.
    length_m
        [m] Length of each piece.
    access_ms
        [ms] Walk from the cell's centre to the piece, for a cell without streets; else 0.
    no_network
        True for a cell without any street within the cap, shape (cells,).
    """

    cells: npt.NDArray[np.uint64]
    cell: npt.NDArray[np.int32]
    street: npt.NDArray[np.int32]
    start: npt.NDArray[np.float64]
    stop: npt.NDArray[np.float64]
    length_m: npt.NDArray[np.float64]
    access_ms: npt.NDArray[np.int64]
    no_network: npt.NDArray[np.bool_]

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Pieces of cell ``i`` are ``offsets[i]:offsets[i + 1]``."""
        counts = np.bincount(self.cell, minlength=self.n_cells)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def street_length_m(self) -> npt.NDArray[np.float64]:
        """[m] Length of the streets inside each cell where a trip may start, shape (cells,)."""
        total = np.bincount(self.cell, weights=self.length_m, minlength=self.n_cells)
        return total.astype(np.float64, copy=False)


def cells_in_area(
    boundary: shapely.Polygon | shapely.MultiPolygon, *, resolution: int
) -> npt.NDArray[np.uint64]:
    """
    Give the H3 cells whose centre lies inside an area.

    An area too small to hold any centre gets the one cell that holds its representative point.

    Parameters
    ----------
    boundary
        [deg] Polygon or MultiPolygon, EPSG:4326, longitude first.
    resolution
        H3 resolution, 0…15; 10 is the default elsewhere (a cell of Paris is 13,412 m²).

    Returns
    -------
    numpy.ndarray
        Sorted unique H3 indexes, shape (cells,), at least one.

    Raises
    ------
    InputError
        The boundary is empty, not a polygon, or not in degrees.

    Examples
    --------
    >>> len(cells_in_area(shapely.box(24.935, 60.165, 24.953, 60.178), resolution=10))
    123
    """
    if not 0 <= resolution <= 15:
        msg = f"resolution is {resolution}; H3 has 0…15"
        raise InputError(msg)
    if not isinstance(boundary, shapely.Polygon | shapely.MultiPolygon) or boundary.is_empty:
        kind = f"{boundary.geom_type}{' EMPTY' if boundary.is_empty else ''}"
        msg = f"the boundary is {kind}; expected a Polygon or MultiPolygon"
        raise InputError(msg)
    west, south, east, north = boundary.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        msg = f"the boundary spans {boundary.bounds}; expected degrees (EPSG:4326), longitude first"
        raise InputError(msg)
    parts = getattr(boundary, "geoms", [boundary])
    found = [
        np.asarray(h3.geo_to_cells(part, resolution), dtype=np.uint64) for part in parts if part.area > 0
    ]
    cells = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)
    if not len(cells):
        inside = boundary.representative_point() if boundary.area > 0 else boundary.centroid
        cells = np.array([h3.latlng_to_cell(inside.y, inside.x, resolution)], dtype=np.uint64)
    return cells


def cell_polygons(cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.object_]:
    """
    Outline each cell.

    Parameters
    ----------
    cells
        H3 indexes, shape (cells,).

    Returns
    -------
    numpy.ndarray
        [deg] Polygons, EPSG:4326, counter-clockwise. A cell across the 180th meridian continues beyond 180°.
    """
    rings = [np.asarray(h3.cell_to_boundary(int(cell)), dtype=np.float64)[:, ::-1] for cell in cells]
    for ring in rings:
        if np.ptp(ring[:, 0]) > 180:
            ring[ring[:, 0] < 0, 0] += 360
    counts = [len(ring) for ring in rings]
    coords = np.concatenate(rings) if rings else np.empty((0, 2))
    linear = shapely.linearrings(coords, indices=np.repeat(np.arange(len(rings)), counts))
    return np.asarray(shapely.polygons(linear), dtype=object)


def cell_centres(cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """[deg] Longitude and latitude of the centre of each cell, shape (cells, 2)."""
    lat_lon = [h3.cell_to_latlng(int(cell)) for cell in cells]
    return np.asarray(lat_lon, dtype=np.float64).reshape(-1, 2)[:, ::-1].copy()


def street_pieces(
    network: StreetNetwork,
    cells: npt.NDArray[np.uint64],
    *,
    max_snap_m: float = 250.0,
    access_speed_kmh: float = 5.0,
) -> StreetPieces:
    """
    Clip the streets at the borders of the cells.

    Streets where no trip may start (attribute ``origin_ok`` False, as a motorway or a ferry) are left out. A
    cell without any street takes the nearest point of the nearest street as a piece of length 0.

    Parameters
    ----------
    network
        The streets.
    cells
        H3 indexes, shape (cells,).
    max_snap_m
        [m] How far a cell without streets may look for one from its centre.
    access_speed_kmh
        [km/h] Walking speed from that centre to the street.

    Returns
    -------
    StreetPieces
        Sorted by cell, street and start. The pieces of a street add up to its length inside the cells.

    Notes
    -----
    Straight segments are cut against the convex outlines in a local metric plane (Cyrus & Beck 1978); the
    time is proportional to the segments that touch a cell.

    References
    ----------
    Cyrus, M., Beck, J. (1978). Generalized two- and three-dimensional clipping. Computers & Graphics 3(1), 23–28.
    """
    cells = np.unique(np.asarray(cells, dtype=np.uint64))
    may_start = _may_start(network)
    cell, street, start, stop = _clip(network, cells, may_start)
    length = (stop - start) * network.length_m[street]
    empty = np.flatnonzero(np.bincount(cell, minlength=len(cells)) == 0)
    taken = snap(
        network,
        cell_centres(cells[empty]),
        max_snap_m=max_snap_m,
        access_speed_kmh=access_speed_kmh,
        streets=may_start,
    )
    ok = taken.accepted
    at_street, at = _entered(network, taken.street[ok], taken.fraction[ok], may_start)
    no_network = np.zeros(len(cells), dtype=bool)
    no_network[empty[~ok]] = True
    cell = np.concatenate([cell, empty[ok]])
    street = np.concatenate([street, at_street])
    start = np.concatenate([start, at])
    order = np.lexsort((start, street, cell))
    return StreetPieces(
        cells=cells,
        cell=cell[order].astype(np.int32),
        street=street[order].astype(np.int32),
        start=start[order],
        stop=np.concatenate([stop, at])[order],
        length_m=np.concatenate([length, np.zeros(int(ok.sum()))])[order],
        access_ms=np.concatenate([np.zeros(len(length), dtype=np.int64), taken.access_ms[ok]])[order],
        no_network=no_network,
    )


def _may_start(network: StreetNetwork) -> npt.NDArray[np.bool_]:
    """Streets where a trip may start."""
    if "origin_ok" in network.streets.columns:
        ok: npt.NDArray[np.bool_] = network.streets["origin_ok"].fillna(True).to_numpy(dtype=bool)
        return ok
    return np.ones(len(network.streets), dtype=bool)


def _entered(
    network: StreetNetwork,
    street: npt.NDArray[np.int32],
    fraction: npt.NDArray[np.float64],
    usable: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """
    Describe points at junctions by a street that enters the junction, where there is one.

    A trip from the end of a one-way street may follow any street that leaves the junction; times at a street's end
    hold for the junction as a whole only where the street enters it.
    """
    goes, returns = (
        np.flatnonzero(usable & (time >= 0)) for time in (network.forward_ms, network.backward_ms)
    )
    head = np.concatenate([network.v[goes], network.u[returns]])
    by = np.concatenate([goes, returns])
    order = np.lexsort((by, head))
    vertices, first = np.unique(head[order], return_index=True)
    best = order[first]
    junction = np.where(fraction == 0.0, network.u[street], network.v[street])
    row = np.searchsorted(vertices, junction)
    known = np.append(vertices, -1)[np.minimum(row, len(vertices))] == junction
    moved = known & ((fraction == 0.0) | (fraction == 1.0))
    best = best[row[moved]]
    street, fraction = street.copy(), fraction.copy()
    street[moved], fraction[moved] = by[best], np.where(best < len(goes), 1.0, 0.0)
    return street, fraction


def _clip(
    network: StreetNetwork, cells: npt.NDArray[np.uint64], streets: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cell row, street, start and stop fraction of each piece with a length."""
    plane = local_metres(network)
    coords = plane.project(network.coords) if len(network.coords) else np.empty((0, 2))
    street_of, begin, end, along, share = _segments(coords, network.offsets, streets)
    polygons = cell_polygons(cells)
    outline, owner = shapely.get_coordinates(polygons, return_index=True)
    corners = plane.project(outline) if len(outline) else np.empty((0, 2))
    rings = shapely.linearrings(corners, indices=owner) if len(corners) else np.empty(0, dtype=object)
    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.stack([begin, end], axis=1)), dtype=object))
    cell, segment = tree.query(np.asarray(shapely.polygons(rings)), predicate="intersects")
    low, high = _clip_to_rings(begin[segment], end[segment], corners, owner, cell)
    kept = high > low
    cell, segment, low, high = cell[kept], segment[kept], low[kept], high[kept]
    start = along[segment] + low * share[segment]
    stop = np.minimum(along[segment] + high * share[segment], 1.0)
    return _merge(cell, street_of[segment], start, stop)


def _segments(
    coords: npt.NDArray[np.float64], offsets: npt.NDArray[np.int64], streets: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], ...]:
    """Street, begin [m], end [m], fraction at the begin and share of the street of each straight segment."""
    counts = np.diff(offsets)
    owner = np.repeat(np.arange(len(counts)), counts)
    inner = (
        np.flatnonzero((owner[1:] == owner[:-1]) & streets[owner[1:]])
        if len(owner)
        else np.empty(0, dtype=int)
    )
    begin, end, street = coords[inner], coords[inner + 1], owner[inner]
    length = np.hypot(*(end - begin).T) if len(inner) else np.empty(0)
    total = np.bincount(street, weights=length, minlength=len(counts))
    share = np.divide(length, total[street], out=np.zeros(len(inner)), where=total[street] > 0)
    run = (
        pd.Series(share).groupby(street).cumsum().to_numpy(np.float64)
    )  # no street depends on those before it
    along = run - share
    return street, begin, end, np.clip(along, 0.0, 1.0), share


def _clip_to_rings(
    begin: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
    corners: npt.NDArray[np.float64],
    owner: npt.NDArray[np.int64],
    cell: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Parameters between which each segment lies inside the convex ring of its cell; low ≥ high where outside."""
    low, high = np.zeros(len(cell)), np.ones(len(cell))
    first = np.searchsorted(owner, cell, side="left")
    sides = np.searchsorted(owner, cell, side="right") - first - 1
    step = end - begin
    for k in range(int(sides.max(initial=0))):
        at = np.minimum(first + k, first + sides - 1)
        side = corners[at + 1] - corners[at]
        away = begin - corners[at]
        inside = (
            side[:, 0] * away[:, 1] - side[:, 1] * away[:, 0]
        )  # positive left of a counter-clockwise side
        change = side[:, 0] * step[:, 1] - side[:, 1] * step[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = -inside / change
        low = np.where(change > 0, np.maximum(low, crossing), low)
        high = np.where(change < 0, np.minimum(high, crossing), high)
        high = np.where((change == 0) & (inside < 0), -1.0, high)
    return low, high


def _merge(
    cell: npt.NDArray[np.int64],
    street: npt.NDArray[np.int64],
    start: npt.NDArray[np.float64],
    stop: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Join clips of one street in one cell that follow each other."""
    order = np.lexsort((start, street, cell))
    cell, street, start, stop = cell[order], street[order], start[order], stop[order]
    if not len(cell):
        return cell, street, start, stop
    new = np.ones(len(cell), dtype=bool)
    new[1:] = (cell[1:] != cell[:-1]) | (street[1:] != street[:-1]) | (start[1:] - stop[:-1] > _SAME_FRACTION)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(cell)) - 1
    return cell[first], street[first], start[first], stop[last]
