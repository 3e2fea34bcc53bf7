"""Destinations: places, each with one or many points where a network reaches it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.snapping import Snaps


@dataclass(frozen=True, eq=False)
class Destinations:
    """
    The places of a city by category, and their access points on one network.

    A place may have many access points (the gates of a park) and counts once; a place whose access points are
    all rejected cannot be reached.

    Attributes
    ----------
    snaps
        Where each access point lies, shape (access points,); rejected ones (street -1) are ignored.
    place
        Place of each access point, 0…places-1.
    category
        Category of each place, 0…n_categories-1, shape (places,).
    capacity
        What each place counts for in weighted measures (seats, hectares, 1), shape (places,).
    n_categories
        Number of categories; one may be empty.
    """

    snaps: Snaps
    place: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    capacity: npt.NDArray[np.float64]
    n_categories: int

    def __post_init__(self) -> None:
        if len(self.place) != len(self.snaps.street):
            msg = f"place has {len(self.place)} entries, snaps {len(self.snaps.street)}: one entry an access point"
            raise InputError(msg)
        if len(self.capacity) != len(self.category):
            msg = (
                f"capacity has {len(self.capacity)} entries, category {len(self.category)}: one entry a place"
            )
            raise InputError(msg)
        if len(self.place) and not 0 <= self.place.min() <= self.place.max() < len(self.category):
            msg = f"place spans {self.place.min()}…{self.place.max()}; expected 0…{len(self.category) - 1}"
            raise InputError(msg)
        if len(self.category) and not 0 <= self.category.min() <= self.category.max() < self.n_categories:
            msg = f"category spans {self.category.min()}…{self.category.max()}; expected 0…{self.n_categories - 1}"
            raise InputError(msg)

    @property
    def n_places(self) -> int:
        """Number of places."""
        return len(self.category)
