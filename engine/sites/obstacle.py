"""What sites keep away from: geometries of one kind, asked by portions of places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from engine.projection import WGS84
from engine.sites.carriageway import meets
from engine.snapping import LocalMetres

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_AT_ONCE = 20_000
"""Geometries that are projected together to learn their boxes."""


@dataclass(frozen=True, eq=False)
class Obstacle:
    """
    Geometries of one kind. Only those near the places in question are projected.

    Attributes
    ----------
    shapes
        [deg] EPSG:4326; none is missing or empty.
    box
        [m] Least and greatest coordinates of each in `plane`, shape (geometries, 4).
    plane
        The metric plane.
    """

    shapes: npt.NDArray[np.object_]
    box: FloatArray
    plane: LocalMetres

    @classmethod
    def of(cls, geometry: Any, plane: LocalMetres) -> Obstacle:
        """
        Learn where geometries lie.

        Parameters
        ----------
        geometry
            GeoSeries, GeoDataFrame or array of shapely geometries, EPSG:4326; empty and missing ones are left out.
        plane
            The metric plane.
        """
        shapes = _shapes(geometry)
        parts = [shapes[i : i + _AT_ONCE] for i in range(0, len(shapes), _AT_ONCE)]
        boxes = [shapely.bounds(shapely.transform(part, plane.project)) for part in parts]
        return cls(shapes, np.concatenate(boxes) if boxes else np.empty((0, 4)), plane)

    def near(self, xy: FloatArray, *, within_m: float) -> BoolArray:
        """
        Tell which points lie nearer than a distance to any geometry.

        Parameters
        ----------
        xy
            [m] Points in `plane`, shape (points, 2).
        within_m
            [m] Strictly nearer counts.

        Returns
        -------
        numpy.ndarray
            Shape (points,).
        """
        result = np.zeros(len(xy), bool)
        if not len(self.shapes) or not len(xy):
            return result
        flat = shapely.transform(self.shapes[meets(self.box, xy, within_m)], self.plane.project)
        is_point = shapely.get_type_id(flat) == shapely.GeometryType.POINT
        if is_point.any():
            tree = cKDTree(shapely.get_coordinates(flat[is_point]))
            result |= tree.query(xy, distance_upper_bound=within_m)[0] < within_m
        if (~is_point).any():
            points = np.asarray(shapely.points(xy), dtype=object)
            # the shapes ask the tree of points: what asks is prepared, and a shape of many vertices is worth it
            other, hit = shapely.STRtree(points).query(
                flat[~is_point], predicate="dwithin", distance=within_m
            )
            close = shapely.distance(points[hit], flat[~is_point][other]) < within_m
            result[hit[close]] = True
        return result


def _shapes(geometry: Any) -> npt.NDArray[np.object_]:
    if isinstance(geometry, gpd.GeoDataFrame):
        geometry = geometry.geometry
    if isinstance(geometry, gpd.GeoSeries):
        if geometry.crs is not None and not geometry.crs.equals(WGS84):
            geometry = geometry.to_crs(WGS84)
        geometry = geometry.to_numpy()
    shapes = np.asarray(geometry, dtype=object)
    return np.asarray(shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))])
