"""The arrays of one mode that incremental updates run on: small operations make new ones in a millisecond."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.network.street_network import NO_WAY
from engine.proposals.compiled import kernel
from engine.proposals.moving import moved_pieces, on_part, part_of
from engine.proposals.operation import Build, Operation, PlaceAdded, PlaceRemoved, Retime
from engine.proposals.scenario import ModeTables
from engine.reach.contribution import UNITS_PER_M
from engine.reach.graph import reach_graph, street_points
from engine.snapping import Snaps

_Int = npt.NDArray[np.int64]
_Int32 = npt.NDArray[np.int32]
_Float = npt.NDArray[np.float64]


class Points(NamedTuple):
    """Access points by street, as in `engine.reach.graph.StreetPoints`."""

    offsets: _Int
    fraction: _Float
    place: _Int32
    ahead_ms: _Int
    behind_ms: _Int


class Own(NamedTuple):
    """Access points by place: offsets, street, fraction, access leg."""

    offsets: _Int
    street: _Int32
    fraction: _Float
    access_ms: _Int


class Rows(NamedTuple):
    """Street pieces by street, as in `engine.reach.contribution.PieceRows`, one row a piece."""

    offsets: _Int
    cell: _Int32
    start: _Float
    stop: _Float
    access_ms: _Int
    units: _Int


class View(NamedTuple):
    """A layout as kernels take it; see `Layout`."""

    ends: _Int32
    offsets: _Int
    incident: _Int32
    near: _Int32
    points: Points
    own: Own
    rows: Rows


@dataclass(frozen=True, eq=False)
class Layout:
    """
    A mode's streets, places and pieces in arrays.

    Attributes
    ----------
    slot
        Slot of each vertex; vertices that edits added have the slot of their own number.
    n_slots
        Number of slots.
    ends
        Slots of u and v, times u→v and v→u (-1: no way) of each street, shape (streets, 4).
    offsets, incident
        Streets that touch slot ``i`` are ``incident[offsets[i]:offsets[i + 1]]``. A replaced street stays listed; it
        has no way.
    near
        Beside `incident`: the slot at the other end, the time from there, the time there [ms].
    points, own
        Access points by street and by place.
    category
        Category of each place.
    pieces
        Street pieces by cell.
    rows
        Street pieces by street.
    whole
        Units of street in each cell.
    """

    slot: _Int32
    n_slots: int
    ends: _Int32
    offsets: _Int
    incident: _Int32
    near: _Int32
    points: Points
    own: Own
    category: _Int32
    pieces: StreetPieces
    rows: Rows
    whole: _Int

    @classmethod
    def of(cls, tables: ModeTables) -> Layout:
        """Lay out the tables of a mode."""
        network, pieces, d = tables.network, tables.pieces, tables.destinations
        graph = reach_graph(network)
        points = street_points(network, d)
        columns = (graph.slot[network.u], graph.slot[network.v], network.forward_ms, network.backward_ms)
        ends = np.ascontiguousarray(np.column_stack(columns), dtype=np.int32)
        offsets, incident = _by_slot(ends, graph.n)
        kept = np.flatnonzero(d.snaps.accepted)
        kept = kept[np.argsort(d.place[kept], kind="stable")]
        counts = np.bincount(d.place[kept], minlength=d.n_places)
        return cls(
            slot=graph.slot,
            n_slots=graph.n,
            ends=ends,
            offsets=offsets,
            incident=incident,
            near=_near(ends, offsets, incident),
            points=Points(points.offsets, points.fraction, points.place, points.ahead_ms, points.behind_ms),
            own=Own(
                np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                d.snaps.street[kept].astype(np.int32),
                d.snaps.fraction[kept],
                d.snaps.access_ms[kept].astype(np.int64),
            ),
            category=d.category,
            pieces=pieces,
            rows=_rows(pieces, len(network.streets)),
            whole=_whole(pieces),
        )

    @property
    def n_streets(self) -> int:
        """Number of streets, replaced ones included."""
        return len(self.ends)

    def view(self, *, n_places: int, n_streets: int, n_slots: int) -> View:
        """The layout for kernels that see it beside a larger one: what it lacks has no way, no place, no piece."""
        missing = n_streets - len(self.ends)
        ends = self.ends
        if missing:
            ends = np.vstack([ends, np.tile(np.array([0, 0, NO_WAY, NO_WAY], dtype=np.int32), (missing, 1))])
        return View(
            ends,
            _padded(self.offsets, n_slots),
            self.incident,
            self.near,
            self.points._replace(offsets=_padded(self.points.offsets, n_streets)),
            self.own._replace(offsets=_padded(self.own.offsets, n_places)),
            self.rows._replace(offsets=_padded(self.rows.offsets, n_streets)),
        )

    def slots_of(self, vertex: _Int32) -> _Int32:
        """Slots of vertices."""
        late = vertex >= len(self.slot)
        return np.where(late, vertex, self.slot[np.where(late, 0, vertex)]).astype(np.int32)


def _padded(offsets: _Int, n: int) -> _Int:
    """Offsets of rows with empty rows after them, `n` in all."""
    missing = n + 1 - len(offsets)
    return np.concatenate([offsets, np.full(missing, offsets[-1])]) if missing else offsets


class Changed(NamedTuple):
    """A layout after an operation, and the streets and cells where anything but the times of others changed."""

    layout: Layout
    streets: _Int32
    cells: _Int


def after(layout: Layout, operation: Operation) -> Changed:
    """Do one operation; what `layout` holds stays as it is."""
    none = np.empty(0, dtype=np.int64)
    if isinstance(operation, PlaceAdded):
        return Changed(*_with_place(layout, operation), none)
    if isinstance(operation, PlaceRemoved):
        return Changed(*_without_place(layout, operation.place), none)
    if isinstance(operation, Retime):
        return Changed(_retimed(layout, operation), operation.street.astype(np.int32), none)
    if isinstance(operation, Build):
        return _built(layout, operation)
    return Changed(layout, np.empty(0, dtype=np.int32), none)


def _with_place(layout: Layout, added: PlaceAdded) -> tuple[Layout, _Int32]:
    ok = np.flatnonzero(added.snaps.accepted)
    street = added.snaps.street[ok].astype(np.int32)
    fraction, access = added.snaps.fraction[ok], added.snaps.access_ms[ok].astype(np.int64)
    new = len(layout.category)
    own = layout.own
    return (
        replace(
            layout,
            points=_inserted(layout, street, fraction, access, new),
            own=Own(
                np.append(own.offsets, own.offsets[-1] + len(ok)),
                np.concatenate([own.street, street]),
                np.concatenate([own.fraction, fraction]),
                np.concatenate([own.access_ms, access]),
            ),
            category=np.append(layout.category, np.int32(added.category)),
        ),
        np.unique(street),
    )


def _inserted(layout: Layout, street: _Int32, fraction: _Float, access: _Int, place: int) -> Points:
    """Points with those of a new place, which comes after every other at the same fraction."""
    points = layout.points
    order = np.lexsort((fraction, street))
    street, fraction, access = street[order], fraction[order], access[order]
    where = np.array(
        [
            points.offsets[s]
            + np.searchsorted(points.fraction[points.offsets[s] : points.offsets[s + 1]], f, side="right")
            for s, f in zip(street, fraction, strict=True)
        ],
        dtype=np.int64,
    )
    ahead, behind = _times_on(layout.ends, street, fraction, access)
    return Points(
        _shifted(points.offsets, street, 1),
        np.insert(points.fraction, where, fraction),
        np.insert(points.place, where, np.int32(place)),
        np.insert(points.ahead_ms, where, ahead),
        np.insert(points.behind_ms, where, behind),
    )


def _shifted(offsets: _Int, street: _Int32, by: int) -> _Int:
    """Offsets with one entry more or less for each of some streets."""
    shifted = offsets.copy()
    for s in street:
        shifted[s + 1 :] += by
    return shifted


def _times_on(ends: _Int32, street: _Int32, fraction: _Float, access: _Int) -> tuple[_Int, _Int]:
    """`ahead_ms` and `behind_ms` of access points."""
    ahead = access + np.rint(ends[street, 2] * fraction).astype(np.int64)
    return ahead, access - np.rint(ends[street, 3] * fraction).astype(np.int64)


def _without_place(layout: Layout, place: int) -> tuple[Layout, _Int32]:
    points, own = layout.points, layout.own
    mine = slice(int(own.offsets[place]), int(own.offsets[place + 1]))
    street = np.unique(own.street[mine])
    gone = np.concatenate(
        [
            np.empty(0, dtype=np.int64),
            *(
                np.arange(points.offsets[s], points.offsets[s + 1])[
                    points.place[points.offsets[s] : points.offsets[s + 1]] == place
                ]
                for s in street
            ),
        ]
    ).astype(np.int64)
    owner = (np.searchsorted(points.offsets, gone, side="right") - 1).astype(np.int32)
    fewer = own.offsets.copy()
    fewer[place + 1 :] -= mine.stop - mine.start
    return (
        replace(
            layout,
            points=Points(
                _shifted(points.offsets, owner, -1),
                np.delete(points.fraction, gone),
                np.delete(points.place, gone),
                np.delete(points.ahead_ms, gone),
                np.delete(points.behind_ms, gone),
            ),
            own=Own(
                fewer,
                np.delete(own.street, mine),
                np.delete(own.fraction, mine),
                np.delete(own.access_ms, mine),
            ),
        ),
        street,
    )


def _retimed(layout: Layout, operation: Retime) -> Layout:
    ends = layout.ends.copy()
    ends[operation.street, 2] = operation.forward_ms
    ends[operation.street, 3] = operation.backward_ms
    near = layout.near.copy()
    _set_near(near, ends, layout.offsets, layout.incident, operation.street)
    return replace(layout, ends=ends, near=near, points=_points_at(layout, ends, operation.street))


@kernel
def _set_near(near, ends, offsets, incident, streets):  # type: ignore[no-untyped-def]
    """Bring `Layout.near` up to date with the times of some streets."""
    for s in streets:
        for end in range(2):
            slot = ends[s, end]
            for a in range(offsets[slot], offsets[slot + 1]):
                if incident[a] == s:
                    near[a, 1] = ends[s, 3 - end]
                    near[a, 2] = ends[s, 2 + end]


def _points_at(layout: Layout, ends: _Int32, streets: _Int) -> Points:
    """Points whose times follow new times of some streets."""
    points = layout.points
    some = streets[np.diff(points.offsets)[streets] > 0]
    if not len(some):
        return points
    ahead, behind = points.ahead_ms.copy(), points.behind_ms.copy()
    for s in some:
        at = slice(int(points.offsets[s]), int(points.offsets[s + 1]))
        old, fraction = layout.ends[s], points.fraction[at]
        access = points.ahead_ms[at] - np.rint(old[2] * fraction).astype(np.int64)
        ahead[at] = access + np.rint(ends[s, 2] * fraction).astype(np.int64)
        behind[at] = access - np.rint(ends[s, 3] * fraction).astype(np.int64)
    return points._replace(ahead_ms=ahead, behind_ms=behind)


def _built(layout: Layout, build: Build) -> Changed:
    first = layout.n_streets
    gone = np.array(sorted(build.replaced), dtype=np.int32)
    new = np.arange(first, first + len(build.u), dtype=np.int32)
    n_slots = layout.n_slots + len(build.lon)
    grown = replace(layout, n_slots=n_slots)
    ends = np.vstack(
        [
            layout.ends,
            np.column_stack(
                [layout.slots_of(build.u), layout.slots_of(build.v), build.forward_ms, build.backward_ms]
            ),
        ]
    ).astype(np.int32)
    ends[gone, 2:] = NO_WAY
    own = _own_moved(layout.own, build, first)
    pieces, cells = moved_pieces(layout.pieces, build, first)
    rows, whole = _rows_moved(layout, pieces, build, cells)
    offsets, incident, near = _incident(layout, ends, gone, new, n_slots)
    grown = replace(
        grown,
        ends=ends,
        offsets=offsets,
        incident=incident,
        near=near,
        points=_points_moved(layout, own, gone, ends),
        own=own,
        pieces=pieces,
        rows=rows,
        whole=whole,
    )
    return Changed(grown, np.concatenate([gone, new]), cells)


def _own_moved(own: Own, build: Build, first: int) -> Own:
    hit = np.flatnonzero(np.isin(own.street, list(build.replaced)))
    if not len(hit):
        return own
    street, fraction = own.street.copy(), own.fraction.copy()
    for i in hit:
        part = part_of(build.replaced[int(street[i])], float(fraction[i]))
        street[i], fraction[i] = first + part.new, on_part(part, float(fraction[i]))
    return own._replace(street=street, fraction=fraction)


def _points_moved(layout: Layout, own: Own, gone: _Int32, ends: _Int32) -> Points:
    """Points with those of replaced streets on their parts, which come last."""
    points = layout.points
    more = len(ends) - layout.n_streets
    offsets = np.concatenate([points.offsets, np.full(more, points.offsets[-1])])
    moved = np.flatnonzero(own.street >= layout.n_streets)
    if not len(moved):
        return points._replace(offsets=offsets)
    lost = np.concatenate([np.arange(points.offsets[s], points.offsets[s + 1]) for s in gone]).astype(
        np.int64
    )
    place = (np.searchsorted(own.offsets, moved, side="right") - 1).astype(np.int32)
    order = np.lexsort((place, own.fraction[moved], own.street[moved]))
    moved, place = moved[order], place[order]
    street, fraction = own.street[moved], own.fraction[moved]
    ahead, behind = _times_on(ends, street, fraction, own.access_ms[moved])
    counts = np.bincount(street, minlength=len(ends))
    counts[: layout.n_streets] += np.diff(points.offsets)
    counts[gone] = 0
    return Points(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([np.delete(points.fraction, lost), fraction]),
        np.concatenate([np.delete(points.place, lost), place]),
        np.concatenate([np.delete(points.ahead_ms, lost), ahead]),
        np.concatenate([np.delete(points.behind_ms, lost), behind]),
    )


def _by_slot(ends: _Int32, n_slots: int) -> tuple[_Int, _Int32]:
    """Streets that touch each slot."""
    street = np.arange(len(ends), dtype=np.int32)
    two = ends[:, 0] != ends[:, 1]
    slot = np.concatenate([ends[:, 0], ends[two, 1]])
    street = np.concatenate([street, street[two]])
    order = np.lexsort((street, slot))
    counts = np.bincount(slot, minlength=n_slots)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), street[order]


def _near(ends: _Int32, offsets: _Int, incident: _Int32) -> _Int32:
    """What `Layout.near` says of each entry of `incident`."""
    here = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    own = ends[incident]
    at_u = own[:, 0] == here
    near = np.empty((len(incident), 3), dtype=np.int32)
    near[:, 0] = np.where(at_u, own[:, 1], own[:, 0])
    near[:, 1] = np.where(at_u, own[:, 3], own[:, 2])
    near[:, 2] = np.where(at_u, own[:, 2], own[:, 3])
    return near


def _incident(
    layout: Layout, ends: _Int32, gone: _Int32, new: _Int32, n_slots: int
) -> tuple[_Int, _Int32, _Int32]:
    """`offsets`, `incident` and `near` with the new streets after the old ones of each slot."""
    offsets = np.concatenate([layout.offsets, np.full(n_slots - layout.n_slots, layout.offsets[-1])])
    two = new[ends[new, 0] != ends[new, 1]]
    slot = np.concatenate([ends[new, 0], ends[two, 1]]).astype(np.int64)
    rows = np.concatenate([ends[new][:, [1, 3, 2]], ends[two][:, [0, 2, 3]]])
    street = np.concatenate([new, two])
    order = np.lexsort((street, slot))
    slot, where = slot[order], offsets[slot[order] + 1]
    incident = np.insert(layout.incident, where, street[order])
    near = np.insert(layout.near, where, rows[order], axis=0)
    counts = np.bincount(slot, minlength=n_slots)
    offsets = offsets + np.concatenate([[0], np.cumsum(counts)])
    _set_near(near, ends, offsets, incident, gone)
    return offsets, incident, near


def _rows(pieces: StreetPieces, n_streets: int) -> Rows:
    """Pieces by street, cell and start."""
    order = np.lexsort((pieces.start, pieces.cell, pieces.street))
    street = pieces.street[order]
    return Rows(
        np.searchsorted(street, np.arange(n_streets + 1)).astype(np.int64),
        pieces.cell[order],
        pieces.start[order],
        pieces.stop[order],
        pieces.access_ms[order],
        cell_units_of(pieces)[order],
    )


def cell_units_of(pieces: StreetPieces) -> _Int:
    """Units of each piece, as `PieceRows` weighs it."""
    units = np.rint(pieces.length_m * UNITS_PER_M).astype(np.int64)
    measured = np.zeros(pieces.n_cells, dtype=np.int64)
    np.add.at(measured, pieces.cell, units)
    return np.where(measured[pieces.cell] > 0, units, np.int64(UNITS_PER_M))


def _whole(pieces: StreetPieces) -> _Int:
    """Units of street in each cell."""
    whole = np.zeros(pieces.n_cells, dtype=np.int64)
    np.add.at(whole, pieces.cell, cell_units_of(pieces))
    return whole


def _rows_moved(layout: Layout, pieces: StreetPieces, build: Build, cells: _Int) -> tuple[Rows, _Int]:
    """Rows and cell totals with the pieces of replaced streets on their parts, which come last."""
    rows = layout.rows
    first = layout.n_streets
    gone = sorted(build.replaced)
    lost = np.concatenate(
        [np.empty(0, dtype=np.int64), *(np.arange(rows.offsets[s], rows.offsets[s + 1]) for s in gone)]
    ).astype(np.int64)
    at = np.concatenate(
        [
            np.empty(0, dtype=np.int64),
            *(np.arange(pieces.offsets[c], pieces.offsets[c + 1]) for c in cells),
        ]
    ).astype(np.int64)
    units = _units_in(pieces, at)
    late = pieces.street[at] >= first
    new = at[late]
    order = np.lexsort((pieces.start[new], pieces.cell[new], pieces.street[new]))
    new, new_units = new[order], units[late][order]
    counts = np.concatenate([np.diff(rows.offsets), np.zeros(len(build.u), dtype=np.int64)])
    counts[gone] = 0
    fresh = pieces.street[new] >= first
    counts += np.bincount(pieces.street[new][fresh], minlength=len(counts))
    whole = layout.whole.copy()
    whole[cells] = 0
    np.add.at(whole, pieces.cell[at], units)
    return (
        Rows(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.concatenate([np.delete(rows.cell, lost), pieces.cell[new]]),
            np.concatenate([np.delete(rows.start, lost), pieces.start[new]]),
            np.concatenate([np.delete(rows.stop, lost), pieces.stop[new]]),
            np.concatenate([np.delete(rows.access_ms, lost), pieces.access_ms[new]]),
            np.concatenate([np.delete(rows.units, lost), new_units]),
        ),
        whole,
    )


def _units_in(pieces: StreetPieces, at: _Int) -> _Int:
    """Units of some pieces: all those of their cells."""
    units = np.rint(pieces.length_m[at] * UNITS_PER_M).astype(np.int64)
    cell = pieces.cell[at]
    measured = np.zeros(pieces.n_cells, dtype=np.int64)
    np.add.at(measured, cell, units)
    return np.where(measured[cell] > 0, units, np.int64(UNITS_PER_M))


def snaps_of(layout: Layout) -> tuple[Snaps, _Int32]:
    """The access points and their places, as `Destinations` holds them."""
    own = layout.own
    place = np.repeat(np.arange(len(layout.category), dtype=np.int32), np.diff(own.offsets))
    n = len(own.street)
    snaps = Snaps(own.street, own.fraction, np.zeros(n), own.access_ms, np.full(n, "", dtype=object))
    return snaps, place
