"""What edits are resolved against: the streets and places as they stand after the operations so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.network.copies import Spot, copies_of
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.proposals.operation import Build, Operation, PlaceRemoved, PlaceResized, Retime
from engine.proposals.street_index import StreetIndex
from engine.snapping import Snaps


@dataclass(frozen=True, eq=False)
class StreetView:
    """
    The streets of a mode as they stand.

    Attributes
    ----------
    index
        Where they lie.
    network
        The unedited network: attributes of its streets.
    root
        Street of `network` that each street is, or is a part of; -1 for a new one.
    u, v, forward_ms, backward_ms, length_m
        As in ``StreetNetwork.streets``.
    lts
        Level of Traffic Stress of each street; empty where the mode has none.
    drawn
        Streets on the ground: not the copies that rules of turning and passing need.
    n_vertices
        Number of vertices.
    """

    index: StreetIndex
    network: StreetNetwork
    root: npt.NDArray[np.int64]
    u: npt.NDArray[np.int32]
    v: npt.NDArray[np.int32]
    forward_ms: npt.NDArray[np.int32]
    backward_ms: npt.NDArray[np.int32]
    length_m: npt.NDArray[np.float64]
    lts: npt.NDArray[np.int8]
    drawn: npt.NDArray[np.bool_]
    n_vertices: int

    @classmethod
    def of(cls, network: StreetNetwork, *, index: StreetIndex | None = None) -> StreetView:
        """View a network that nothing was done to yet."""
        has_lts, has_copy = ("lts" in network.streets.columns, "copy" in network.streets.columns)
        n = len(network.streets)
        return cls(
            index=index or StreetIndex.of(network),
            network=network,
            root=np.arange(len(network.streets), dtype=np.int64),
            u=network.u,
            v=network.v,
            forward_ms=network.forward_ms,
            backward_ms=network.backward_ms,
            length_m=network.length_m,
            lts=network.streets["lts"].to_numpy(np.int8) if has_lts else np.empty(0, dtype=np.int8),
            drawn=~network.streets["copy"].to_numpy(bool) if has_copy else np.ones(n, dtype=bool),
            n_vertices=network.n_vertices,
        )

    @property
    def n_streets(self) -> int:
        """Number of streets, replaced ones included."""
        return len(self.u)

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """Streets that may be travelled in some direction."""
        return (self.forward_ms >= 0) | (self.backward_ms >= 0)

    def attribute(self, name: str, *, missing: Any) -> npt.NDArray[Any]:
        """An attribute of every street, `missing` where the network or the street has none."""
        if name not in self.network.streets.columns:
            return np.full(self.n_streets, missing)
        own = self.network.streets[name].to_numpy()
        found = own[np.maximum(self.root, 0)]
        return np.asarray(np.where(self.root >= 0, found, missing) if (self.root < 0).any() else found)

    def same(self, street: int) -> list[int]:
        """Open rows that are one street on the ground with this one, itself left out: the street first, then copies."""
        known = copies_of(self.network)
        root = int(self.root[street])
        whole = int(known.street[root]) if root >= 0 else -1
        if root >= 0 and whole not in known.of:
            return []
        roots = (whole, *known.of[whole]) if root >= 0 else (-1,)
        rows = np.flatnonzero(np.isin(self.root, roots) & self.open)
        line = self.coords(street).tobytes()
        return [row for row in rows.tolist() if row != street and self.coords(row).tobytes() == line]

    def on_copies(self, snaps: Snaps) -> Snaps:
        """Snaps with further rows for the copies of their streets, as in `engine.snapping.on_copies`."""
        known = copies_of(self.network)
        base = len(self.index.base)
        rows = []
        for point in np.flatnonzero(snaps.accepted).tolist():
            street, fraction = int(snaps.street[point]), float(snaps.fraction[point])
            if fraction in (0.0, 1.0):
                vertex = int((self.u if fraction == 0.0 else self.v)[street])
                spots = [
                    spot
                    for spot in known.beside.get(vertex, ())
                    if spot.street < base and self.open[spot.street]
                ]
            else:
                spots = [Spot(copy, fraction) for copy in self.same(street)]
            rows += [(point, *spot) for spot in spots]
        at = [*range(len(snaps.street)), *(row[0] for row in rows)]
        return Snaps(
            street=np.append(snaps.street, [row[1] for row in rows]).astype(np.int32),
            fraction=np.append(snaps.fraction, [row[2] for row in rows]),
            access_m=snaps.access_m[at],
            access_ms=snaps.access_ms[at],
            reason=snaps.reason[at],
        )

    def coords(self, street: int) -> npt.NDArray[np.float64]:
        """[deg] The line of a street."""
        late = street - len(self.index.base)
        if late >= 0:
            return self.index.added_coords[late]
        o = self.network.offsets
        return self.network.coords[o[street] : o[street + 1]]

    def after(self, operation: Operation) -> StreetView:
        """The streets once an operation is done."""
        if isinstance(operation, Retime):
            forward, backward = self.forward_ms.copy(), self.backward_ms.copy()
            forward[operation.street], backward[operation.street] = (
                operation.forward_ms,
                operation.backward_ms,
            )
            lts = self.lts
            if operation.lts is not None and len(lts):
                lts = lts.copy()
                lts[operation.street] = operation.lts
            return replace(self, forward_ms=forward, backward_ms=backward, lts=lts)
        if not isinstance(operation, Build):
            return self
        gone = list(operation.replaced)
        forward = np.concatenate([self.forward_ms, operation.forward_ms])
        backward = np.concatenate([self.backward_ms, operation.backward_ms])
        forward[gone] = backward[gone] = NO_WAY
        parent = np.maximum(operation.parent, 0)
        orphan = operation.parent < 0
        lts = self.lts
        if len(lts):
            given = np.int8(int(str(operation.attributes.get("lts", 1))))
            lts = np.concatenate([lts, np.where(orphan, given, lts[parent])])
        return replace(
            self,
            index=self.index.with_streets(list(operation.coords), frozenset(gone)),
            root=np.concatenate([self.root, np.where(orphan, -1, self.root[parent])]),
            u=np.concatenate([self.u, operation.u]),
            v=np.concatenate([self.v, operation.v]),
            forward_ms=forward,
            backward_ms=backward,
            length_m=np.concatenate([self.length_m, operation.length_m]),
            drawn=np.concatenate([self.drawn, np.where(orphan, ~operation.copy, self.drawn[parent])]),
            lts=lts,
            n_vertices=self.n_vertices + len(operation.lon),
        )


@dataclass(frozen=True, eq=False)
class PlaceView:
    """
    The places as they stand.

    Attributes
    ----------
    place_id, name
        Id (``node/123``) and name of each place.
    category
        Category of each place.
    geometry
        [deg] Point or outline of each place.
    access
        [deg] Where each place is entered, shape (n, 2) each.
    capacity
        Capacity of each place.
    there
        False where a place was removed.
    """

    place_id: tuple[str, ...]
    name: tuple[str, ...]
    category: npt.NDArray[np.int32]
    geometry: npt.NDArray[np.object_]
    access: tuple[npt.NDArray[np.float64], ...]
    capacity: npt.NDArray[np.float64]
    there: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of places, removed ones included."""
        return len(self.place_id)

    def added(
        self,
        *,
        place_id: str,
        name: str,
        category: int,
        geometry: Any,
        access: npt.NDArray[np.float64],
        capacity: float,
    ) -> PlaceView:
        """The places with one more."""
        shapes = np.empty(self.n + 1, dtype=object)
        shapes[:-1], shapes[-1] = self.geometry, geometry
        return PlaceView(
            place_id=(*self.place_id, place_id),
            name=(*self.name, name),
            category=np.append(self.category, np.int32(category)),
            geometry=shapes,
            access=(*self.access, access),
            capacity=np.append(self.capacity, capacity),
            there=np.append(self.there, True),
        )

    def after(self, operation: PlaceRemoved | PlaceResized) -> PlaceView:
        """The places once one is removed or resized."""
        if isinstance(operation, PlaceRemoved):
            there = self.there.copy()
            there[operation.place] = False
            return replace(self, there=there)
        capacity = self.capacity.copy()
        capacity[operation.place] = operation.capacity
        return replace(self, capacity=capacity)


@dataclass(frozen=True)
class Travel:
    """How a mode travels on streets that edits add or change: speed [km/h] and factor on its times."""

    speed_kmh: float
    factor: float = 1.0

    def time_ms(self, length_m: npt.NDArray[np.float64] | float, speed_kmh: float) -> npt.NDArray[np.int64]:
        """[ms] Time along a length at a speed, at least 1 ms."""
        ms = np.asarray(length_m, dtype=np.float64) * (3600.0 / speed_kmh * self.factor)
        return np.maximum(np.rint(ms), 1.0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Standing:
    """
    A city as it stands after the operations so far: what the next edit is resolved against.

    Attributes
    ----------
    categories
        Names of the categories.
    travel
        How each mode travels.
    streets
        Streets of each mode.
    places
        The places.
    unserved
        Cells without network in each mode, and their centres [deg].
    max_snap_m, max_origin_snap_m
        [m] How far places and cells may lie from a street.
    """

    categories: tuple[str, ...]
    travel: Mapping[str, Travel]
    streets: Mapping[str, StreetView]
    places: PlaceView
    unserved: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
    max_snap_m: float = 100.0
    max_origin_snap_m: float = 250.0

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes, in order."""
        return tuple(self.streets)

    def after(self, operations: Mapping[str, Operation], places: PlaceView) -> Standing:
        """The city once one operation in each of some modes is done."""
        streets = {m: v.after(operations[m]) if m in operations else v for m, v in self.streets.items()}
        unserved = dict(self.unserved)
        for mode, operation in operations.items():
            if isinstance(operation, Build) and operation.origins:
                cells, centres = unserved[mode]
                left = ~np.isin(cells, [o.cell for o in operation.origins])
                unserved[mode] = (cells[left], centres[left])
        return replace(self, streets=streets, places=places, unserved=unserved)
