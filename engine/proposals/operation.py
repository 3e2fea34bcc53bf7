"""Operations: edits resolved to rows of one mode's tables, small enough to be done, undone and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.snapping import Snaps


class Segment(NamedTuple):
    """A part of a replaced street: number of the new street in its operation, and the fractions it takes over."""

    new: int
    start: float
    stop: float


class Origin(NamedTuple):
    """A cell without network that a new street serves: row of the cell, new street, fraction, walk to it [ms]."""

    cell: int
    new: int
    fraction: float
    access_ms: int


@dataclass(frozen=True, eq=False)
class Build:
    """
    Streets laid out anew: some are added, some are replaced by parts of themselves.

    Numbers stay: new vertices and streets come after the existing ones, a replaced street stays in its row and
    may no longer be travelled. Its places and origins move to the parts.

    Attributes
    ----------
    lon, lat
        [deg] New vertices.
    u, v, forward_ms, backward_ms, length_m
        New streets, as in ``StreetNetwork.streets``.
    coords
        [deg] Line of each new street.
    parent
        Street that each new street takes its attributes from, -1 for none.
    copy
        New streets without a parent that are entered from restricted turns only: copies of the one before them.
    attributes
        Attributes of the new streets that have no parent.
    replaced
        Parts of each replaced street, in order from its start; together they cover it.
    origins
        Cells that had no network and now start here.
    """

    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    u: npt.NDArray[np.int32]
    v: npt.NDArray[np.int32]
    forward_ms: npt.NDArray[np.int32]
    backward_ms: npt.NDArray[np.int32]
    length_m: npt.NDArray[np.float64]
    coords: tuple[npt.NDArray[np.float64], ...]
    parent: npt.NDArray[np.int64]
    copy: npt.NDArray[np.bool_]
    attributes: Mapping[str, object] = field(default_factory=dict)
    replaced: Mapping[int, tuple[Segment, ...]] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, eq=False)
class Retime:
    """
    Streets with other times, and by option another stress.

    Attributes
    ----------
    street
        Streets, distinct.
    forward_ms, backward_ms
        [ms] New times, -1 for no way.
    lts
        New Level of Traffic Stress of each, or None.
    """

    street: npt.NDArray[np.int64]
    forward_ms: npt.NDArray[np.int32]
    backward_ms: npt.NDArray[np.int32]
    lts: npt.NDArray[np.int8] | None = None


@dataclass(frozen=True, eq=False)
class PlaceAdded:
    """A new place, numbered after the existing ones: its category, its capacity and its access points."""

    category: int
    capacity: float
    snaps: Snaps


@dataclass(frozen=True)
class PlaceRemoved:
    """A place that is no longer there; its number is not given again."""

    place: int


@dataclass(frozen=True)
class PlaceResized:
    """A place with another capacity."""

    place: int
    capacity: float


Operation = Build | Retime | PlaceAdded | PlaceRemoved | PlaceResized
