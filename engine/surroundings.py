"""What lies around a cell: its streets, the places of a category, and its time if there were one more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.reach.cell_times import cell_times
from engine.reach.destinations import Destinations
from engine.reach.graph import UNREACHABLE
from engine.reach.nearest import nearest
from engine.snapping import Snaps, on_copies, snap

_MS = 60_000.0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """
    What the changes for one cell and category are sought in.

    Attributes
    ----------
    network
        The streets of the mode.
    pieces
        The streets of the cell alone.
    destinations, category
        The places of the run, and which of their categories is meant.
    street, fraction
        The point that stands for the cell: a street and the position along it.
    field_ms
        [ms] Time from every vertex to the nearest place of the category, `UNREACHABLE` where none.
    limit_ms
        [ms] Beyond this a place is not reachable; None without a limit.
    max_snap_m
        [m] How far a new place or gate may lie from a street.
    parks
        Outlines of the category's green spaces with ``name``, EPSG:4326; None for other categories.
    """

    network: StreetNetwork
    pieces: StreetPieces
    destinations: Destinations
    category: int
    street: int
    fraction: float
    field_ms: npt.NDArray[np.int32]
    limit_ms: int | None = None
    max_snap_m: float = 100.0
    parks: gpd.GeoDataFrame | None = field(default=None)

    def mean_with(self, *points: tuple[int, float, int]) -> float:
        """
        Measure the cell's mean time to the category if a place were so far away from each of some points.

        A link between two streets is the same: at either end a place as far away as the link and the way on from
        the other.

        Parameters
        ----------
        points
            Street, fraction along it, and the time [ms] from there to the place.

        Returns
        -------
        float
            [min] Infinite where part of the cell's streets would still lead to no place.
        """
        places = _with_more(self.destinations, self.category, points)
        found = nearest(self.network, places, k=1, limit_ms=self.limit_ms)
        mean = float(cell_times(self.network, self.pieces, found, places).mean_ms[0, 0, 0] / _MS)
        return mean if np.isfinite(mean) else np.inf

    def times_at(
        self, street: npt.NDArray[np.integer[Any]], fraction: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """[ms] Time from points of streets to the nearest place, by either end or along the street; else infinite."""
        network = self.network
        ahead = _closed(network.forward_ms[street])
        behind = _closed(network.backward_ms[street])
        at_u, at_v = (_closed(self.field_ms[end[street]]) for end in (network.u, network.v))
        time = np.minimum(at_u + _part(behind, fraction), at_v + _part(ahead, 1.0 - fraction))
        snaps = self.destinations.snaps
        mine = np.flatnonzero(
            (self.destinations.category[self.destinations.place] == self.category) & snaps.accepted
        )
        mine = mine[np.argsort(snaps.street[mine], kind="stable")]
        low, high = (np.searchsorted(snaps.street[mine], street, side=s) for s in ("left", "right"))
        row = np.repeat(np.arange(len(street)), high - low)
        door = mine[np.arange(len(row)) - np.repeat(np.cumsum(high - low) - high, high - low)]
        step = snaps.fraction[door] - fraction[row]
        along = _part(np.where(step >= 0, ahead[row], behind[row]), np.abs(step)) + snaps.access_ms[door]
        np.minimum.at(time, row, along)
        return time

    def mean_with_place_at(self, lon: float, lat: float) -> float:
        """[min] The same for a place at a position, snapped as the run snaps; infinite where no street is near."""
        at = snap(self.network, np.array([[lon, lat]]), max_snap_m=self.max_snap_m)
        if not at.accepted[0]:
            return np.inf
        _, more = on_copies(self.network, at)
        rows = zip(
            [*at.street.tolist(), *more.street.tolist()],
            [*at.fraction.tolist(), *more.fraction.tolist()],
            [*at.access_ms.tolist(), *more.access_ms.tolist()],
            strict=True,
        )
        return self.mean_with(*rows)


def _closed(ms: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Times with infinity for streets that may not be followed and vertices that nothing is reached from."""
    return np.where((ms < 0) | (ms >= UNREACHABLE), np.inf, ms.astype(np.float64))


def _part(whole: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A share of a time; none of an infinite one is nothing."""
    return np.multiply(whole, share, out=np.zeros(len(share)), where=share > 0)


def _with_more(
    destinations: Destinations, category: int, points: Sequence[tuple[int, float, int]]
) -> Destinations:
    """The places of one category and one more, entered at some points."""
    snaps = destinations.snaps
    mine = np.flatnonzero(destinations.category[destinations.place] == category)
    rows, place = np.unique(destinations.place[mine], return_inverse=True)
    street, fraction, access_ms = zip(*points, strict=True)

    def more(column: npt.NDArray[Any], values: Sequence[object]) -> npt.NDArray[Any]:
        return np.append(column[mine], np.array(values, dtype=column.dtype))

    return Destinations(
        snaps=Snaps(
            street=more(snaps.street, street),
            fraction=more(snaps.fraction, fraction),
            access_m=more(snaps.access_m, [0.0] * len(points)),
            access_ms=more(snaps.access_ms, access_ms),
            reason=more(snaps.reason, [""] * len(points)),
        ),
        place=np.append(place, [len(rows)] * len(points)).astype(np.int32),
        category=np.zeros(len(rows) + 1, dtype=np.int32),
        capacity=np.ones(len(rows) + 1),
        n_categories=1,
    )


def times_from(network: StreetNetwork, street: int, fraction: float) -> npt.NDArray[np.int64]:
    """
    Times from a point of a street to every vertex.

    Parameters
    ----------
    network
        The streets.
    street, fraction
        The point.

    Returns
    -------
    ndarray of int
        [ms] Shape (vertices,); `UNREACHABLE` where there is no way.

    Notes
    -----
    Two searches of igraph: O(arcs log vertices).
    """
    forward, backward = int(network.forward_ms[street]), int(network.backward_ms[street])
    out = np.full(network.n_vertices, int(UNREACHABLE), dtype=np.int64)
    starts = []
    if forward >= 0:
        starts.append((int(network.v[street]), forward - round(forward * fraction)))
    if backward >= 0:
        starts.append((int(network.u[street]), round(backward * fraction)))
    for vertex, first in starts:
        found = np.array(network.graph.distances(source=[vertex], weights="travel_time_ms", mode="out")[0])
        known = np.isfinite(found)
        out[known] = np.minimum(out[known], first + found[known].astype(np.int64))
    return out


def times_on(
    network: StreetNetwork,
    out_ms: npt.NDArray[np.int64],
    street: npt.NDArray[np.int64],
    fraction: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """[ms] Times on from the vertices of `times_from` to points of streets; infinite where there is no way."""
    at_u, at_v = (_closed(out_ms[end[street]]) for end in (network.u, network.v))
    ahead, behind = _closed(network.forward_ms[street]), _closed(network.backward_ms[street])
    return np.minimum(at_u + _part(ahead, fraction), at_v + _part(behind, 1.0 - fraction))
