"""Where the streets of an edited network lie: snapping that keeps up with edits and agrees with `engine.snapping`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from engine.network.street_network import StreetNetwork
from engine.snapping import LocalMetres, Snaps, local_metres, metric_streets

_TIE_M = 1e-6
"""[m] As in `engine.snapping`: streets this much farther than the nearest are equally near, the lowest number wins."""


@dataclass(frozen=True, eq=False)
class StreetIndex:
    """
    The streets of a network in metres, findable; edits make a new index that shares the old one's tree.

    Attributes
    ----------
    plane
        The plane of the unedited network: edits do not move it.
    base
        [m] Lines of the unedited network.
    added
        [m] Lines of the streets that edits added, numbered after those of the base.
    added_coords
        [deg] The same.
    gone
        Streets that were replaced or may no longer be used.
    """

    plane: LocalMetres
    base: npt.NDArray[np.object_]
    tree: Any
    added: tuple[Any, ...] = ()
    added_coords: tuple[npt.NDArray[np.float64], ...] = ()
    gone: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def of(cls, network: StreetNetwork) -> StreetIndex:
        """Index a network."""
        lines = metric_streets(network)
        return cls(local_metres(network), lines, shapely.STRtree(lines))

    def line(self, street: int) -> Any:
        """[m] The line of a street."""
        n = len(self.base)
        return self.base[street] if street < n else self.added[street - n]

    def with_streets(self, coords: list[npt.NDArray[np.float64]], gone: frozenset[int]) -> StreetIndex:
        """Add streets, given by their [deg] coordinates, and take others away."""
        lines = tuple(shapely.linestrings(self.plane.project(c)) for c in coords)
        return replace(
            self,
            added=(*self.added, *lines),
            added_coords=(*self.added_coords, *coords),
            gone=self.gone | gone,
        )

    def near(self, shapes: Any, distance_m: float) -> list[npt.NDArray[np.int64]]:
        """Streets within a distance of each [m] shape, in order of their numbers."""
        shapes = np.atleast_1d(np.asarray(shapes, dtype=object))
        which, street = self.tree.query(shapes, predicate="dwithin", distance=distance_m)
        order = np.lexsort((street, which))
        which, street = which[order], street[order]
        first = np.searchsorted(which, np.arange(len(shapes) + 1))
        found = []
        for i, one in enumerate(shapes):
            own = street[first[i] : first[i + 1]].astype(np.int64)
            late = [
                len(self.base) + j
                for j, line in enumerate(self.added)
                if shapely.dwithin(line, one, distance_m)
            ]
            both = np.concatenate([own, np.array(late, dtype=np.int64)])
            found.append(both[~np.isin(both, list(self.gone))] if self.gone else both)
        return found

    def snap(
        self,
        lon_lat: npt.NDArray[np.float64],
        *,
        max_snap_m: float,
        access_speed_kmh: float = 5.0,
        mode: str = "",
    ) -> Snaps:
        """
        Attach points to the nearest street: what `engine.snapping.snap` gives on the unedited network, bit for bit.

        Parameters
        ----------
        lon_lat
            [deg] Shape (points, 2), EPSG:4326.
        max_snap_m
            [m] The farthest that a point may lie from its street.
        access_speed_kmh
            [km/h] Walking speed on the off-network leg.
        mode
            For the reasons of rejected points.
        """
        n = len(lon_lat)
        street = np.full(n, -1, dtype=np.int32)
        fraction, access_m = np.zeros(n), np.full(n, np.nan)
        reason = np.full(n, "", dtype=object)
        points = np.asarray(
            shapely.points(self.plane.project(np.asarray(lon_lat).reshape(-1, 2))), dtype=object
        )
        for i, near in enumerate(self.near(points, max_snap_m)):
            if not len(near):
                reason[i] = f"farther than {max_snap_m:g} m from any {mode} street"
                continue
            lines = np.array([self.line(int(s)) for s in near], dtype=object)
            away = shapely.distance(lines, points[i])
            k = int(np.flatnonzero(away <= away.min() + _TIE_M)[0])
            street[i], access_m[i] = near[k], away.min()
            length = shapely.length(lines[k])
            along = shapely.line_locate_point(lines[k], points[i]) if length > 0 else 0.0
            fraction[i] = np.clip(along / length if length > 0 else 0.0, 0.0, 1.0)
        access_ms = np.zeros(n, dtype=np.int64)
        ok = street >= 0
        access_ms[ok] = np.rint(access_m[ok] * 3600.0 / access_speed_kmh)
        return Snaps(street=street, fraction=fraction, access_m=access_m, access_ms=access_ms, reason=reason)
