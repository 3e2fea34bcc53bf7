"""The frame that a run's geometry is drawn in: 65,536 steps of Web Mercator across the run's box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
STEPS = 65_535
_MAX_LATITUDE = 85.051129
_WORLD_DEG = 360.0


def unwrap(lon: FloatArray) -> FloatArray:
    """
    Longitudes without the jump at the antimeridian.

    Where the values lie on both sides of ±180° (they span more than half of the world), the western ones
    move up by 360°, so that an area of Fiji is 2° wide and not 358°.
    """
    if len(lon) and np.ptp(lon) > _WORLD_DEG / 2:
        return np.where(lon < 0, lon + _WORLD_DEG, lon)
    return lon


def mercator(lon: FloatArray, lat: FloatArray) -> FloatArray:
    """
    Web Mercator in units of the world's width, shape (n, 2): x grows east from 0 at -180°, y grows south.

    Latitudes beyond ±85.05° are clipped to it: the projection ends there.
    """
    phi = np.radians(np.clip(lat, -_MAX_LATITUDE, _MAX_LATITUDE))
    x = (lon + _WORLD_DEG / 2) / _WORLD_DEG
    y = (1 - np.arcsinh(np.tan(phi)) / np.pi) / 2
    return np.stack([x, y], axis=-1)


@dataclass(frozen=True)
class Frame:
    """
    A square of Web Mercator that holds a run, and the 16-bit steps inside it.

    Attributes
    ----------
    west, north
        Upper left corner in Mercator units of the world's width.
    size
        Side of the square in the same units; one step is ``size / 65535``.
    """

    west: float
    north: float
    size: float

    @classmethod
    def around(cls, lon: FloatArray, lat: FloatArray) -> Frame:
        """The smallest square around points [deg]; one step is 0.2 m for a city 12 km across."""
        if not len(lon):
            return cls(0.5, 0.5, 1e-6)
        xy = mercator(unwrap(lon), lat)
        west, north = xy.min(axis=0)
        east, south = xy.max(axis=0)
        return cls(float(west), float(north), float(max(east - west, south - north, 1e-9)))

    def quantise(self, lon: FloatArray, lat: FloatArray) -> npt.NDArray[np.uint16]:
        """Points [deg] as steps of the frame, shape (n, 2); points outside are moved to its border."""
        centre = self.west + self.size / 2
        x_y = mercator(lon, lat)
        x_y[..., 0] += np.round(centre - x_y[..., 0])  # a longitude written on the other side of ±180°
        steps = (x_y - (self.west, self.north)) / self.size * STEPS
        return np.clip(np.rint(steps), 0, STEPS).astype(np.uint16)

    def as_json(self) -> dict[str, float]:
        """The frame as the browser reads it."""
        return {"west": self.west, "north": self.north, "size": self.size}
