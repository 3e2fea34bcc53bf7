"""Laying streets: new ones joined to what is there, existing ones cut in two, as one `Build` a mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from engine.errors import InputError
from engine.network.copies import copies_of
from engine.network.geodesy import great_circle
from engine.network.street_network import NO_WAY
from engine.proposals.operation import Build, Origin, Segment
from engine.proposals.standing import StreetView

JOIN_M = 25.0
"""[m] The end of a drawn street joins a street within this: people draw beside the line, not on it."""
NODE_M = 5.0
"""[m] A joint this near to a junction is the junction."""
_SAME_M = 0.5
"""[m] Two joints of one drawn line this near to each other are one."""


class Joint(NamedTuple):
    """Where a new street meets the network: a vertex, or a street at a fraction; and where along the new line [m]."""

    along_m: float
    vertex: int
    street: int
    fraction: float


@dataclass(eq=False)
class _Draft:
    """A `Build` in the making."""

    view: StreetView
    lon: list[float] = field(default_factory=list)
    lat: list[float] = field(default_factory=list)
    rows: list[tuple[int, int, int, int, float, int]] = field(default_factory=list)
    """u, v, forward, backward, length, parent."""
    copies: set[int] = field(default_factory=set)
    """Rows that copy another."""
    coords: list[npt.NDArray[np.float64]] = field(default_factory=list)
    replaced: dict[int, tuple[Segment, ...]] = field(default_factory=dict)

    def vertex(self, lon_lat: npt.NDArray[np.float64]) -> int:
        """Add a vertex."""
        self.lon.append(float(lon_lat[0]))
        self.lat.append(float(lon_lat[1]))
        return self.view.n_vertices + len(self.lon) - 1

    def street(self, row: tuple[int, int, int, int, float, int], coords: npt.NDArray[np.float64]) -> int:
        """Add a street; give its number in the build."""
        self.rows.append(row)
        self.coords.append(coords)
        return len(self.rows) - 1

    def build(self, *, attributes: dict[str, object], origins: tuple[Origin, ...] = ()) -> Build:
        """The finished operation."""
        u, v, forward, backward, length, parent = (
            (np.array(c) for c in zip(*self.rows, strict=True)) if self.rows else (np.empty(0),) * 6
        )
        return Build(
            lon=np.array(self.lon),
            lat=np.array(self.lat),
            u=u.astype(np.int32),
            v=v.astype(np.int32),
            forward_ms=forward.astype(np.int32),
            backward_ms=backward.astype(np.int32),
            length_m=length.astype(np.float64),
            coords=tuple(self.coords),
            parent=parent.astype(np.int64),
            copy=np.isin(np.arange(len(self.rows)), list(self.copies)),
            attributes=attributes,
            replaced=self.replaced,
            origins=origins,
        )


def joints(
    view: StreetView, line: npt.NDArray[np.float64], *, connect: str, join_m: float = JOIN_M
) -> list[Joint]:
    """
    Where a drawn line meets the streets of a mode.

    Parameters
    ----------
    view
        The streets.
    line
        [deg] The drawn line, shape (n, 2).
    connect
        ``ends``: at its two ends; ``all``: also wherever it crosses a street.
    join_m
        [m] How far an end may lie from the street that it joins.

    Returns
    -------
    list of Joint
        In order along the line; fewer than two where it hangs in the air.
    """
    xy = view.index.plane.project(line)
    drawn: Any = shapely.linestrings(xy)
    found = []
    for at, along in ((0, 0.0), (-1, float(drawn.length))):
        snapped = view.index.snap(line[[at]], max_snap_m=join_m)
        if snapped.accepted[0]:
            found.append(_joint(view, along, int(snapped.street[0]), float(snapped.fraction[0])))
    if connect == "all":
        for street in view.index.near(drawn, 0.0)[0]:
            if view.drawn[street]:
                found += _crossings(view, drawn, int(street))
    kept: list[Joint] = []
    for joint in sorted(found):
        if kept and joint.along_m - kept[-1].along_m <= _SAME_M:
            continue
        if kept and joint.vertex >= 0 and joint.vertex == kept[-1].vertex:
            continue
        kept.append(joint)
    return kept


def _joint(view: StreetView, along_m: float, street: int, fraction: float) -> Joint:
    """The joint at a point of a street; a junction near it is taken instead."""
    length = float(view.index.line(street).length)
    junction = copies_of(view.network).junction
    if fraction * length <= NODE_M and fraction <= 0.5:
        return Joint(along_m, junction.get(int(view.u[street]), int(view.u[street])), -1, 0.0)
    if (1.0 - fraction) * length <= NODE_M:
        return Joint(along_m, junction.get(int(view.v[street]), int(view.v[street])), -1, 0.0)
    return Joint(along_m, -1, street, fraction)


def _crossings(view: StreetView, drawn: Any, street: int) -> list[Joint]:
    if bool(view.attribute("bridge", missing=False)[street]) or bool(
        view.attribute("tunnel", missing=False)[street]
    ):
        return []
    line = view.index.line(street)
    points = shapely.get_coordinates(shapely.intersection(drawn, line))
    return [
        _joint(view, float(drawn.project(p)), street, float(line.project(p) / line.length))
        for p in np.asarray(shapely.points(points), dtype=object)
        if line.length > 0
    ]


def lay_street(
    view: StreetView,
    line: npt.NDArray[np.float64],
    at: Sequence[Joint],
    *,
    ms_per_m: float,
    oneway: bool,
    attributes: dict[str, object],
    unserved: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]],
    max_origin_snap_m: float,
) -> Build:
    """
    Lay a new street between joints of the network.

    A street that is joined in its middle is cut there. Its parts take whole milliseconds rounded down, so that no
    trip along it gets slower; a trip through it may get a millisecond shorter. At a junction with restricted turns
    those who come by a restricted approach enter the new street as well, on one-way copies of it, unless the
    restriction says which street they must take.

    Parameters
    ----------
    view
        The streets.
    line
        [deg] The drawn line.
    at
        Two or more joints, in order along the line.
    ms_per_m
        [ms/m] Time along the new street.
    oneway
        Only in the drawn direction.
    attributes
        What the new street carries (``highway``, ``name``, ``lts``).
    unserved
        Cells without network (rows, centres [deg]): those near the new street start from it from now on.
    max_origin_snap_m
        [m] How near.
    """
    draft = _Draft(view)
    vertices = _cut(draft, at)
    new: list[int] = []
    for (a, b), (u, v) in zip(pairwise(at), pairwise(vertices), strict=True):
        coords = _between(view, line, a, b, _position(draft, u), _position(draft, v))
        length = float(great_circle(coords[:-1, 0], coords[:-1, 1], coords[1:, 0], coords[1:, 1]).sum())
        time = max(1, round(length * ms_per_m))
        back = NO_WAY if oneway else time
        new.append(draft.street((u, v, time, back, length, -1), coords))
        turns = copies_of(view.network).open_turns
        ways = [(w, v, time, NO_WAY) for w in turns.get(u, ())]
        ways += [(u, w, NO_WAY, back) for w in turns.get(v, ()) if back >= 0]
        draft.copies |= {draft.street((*way, length, -1), coords) for way in ways}
    return draft.build(attributes=attributes, origins=_origins(view, draft, new, unserved, max_origin_snap_m))


def _cut(draft: _Draft, at: Sequence[Joint]) -> list[int]:
    """Cut the streets that are joined in their middle; give the vertex of each joint."""
    view = draft.view
    vertices = [joint.vertex for joint in at]
    cuts: dict[int, list[tuple[float, int]]] = {}
    for i, joint in enumerate(at):
        if joint.vertex < 0:
            cuts.setdefault(joint.street, []).append((joint.fraction, i))
    for street in sorted(cuts):
        fractions = sorted({f for f, _ in cuts[street]})
        pieces, points = split_line(view, street, fractions)
        number = {f: draft.vertex(p) for f, p in zip(fractions, points, strict=True)}
        for f, i in cuts[street]:
            vertices[i] = number[f]
        for row in (street, *view.same(street)):
            _cut_one(draft, row, fractions, [number[f] for f in fractions], pieces)
    return vertices


def _cut_one(
    draft: _Draft,
    street: int,
    fractions: Sequence[float],
    vertices: Sequence[int],
    pieces: Sequence[npt.NDArray[np.float64]],
) -> None:
    """Replace a street by its parts between some vertices."""
    view = draft.view
    ends = [int(view.u[street]), *vertices, int(view.v[street])]
    bounds = [0.0, *fractions, 1.0]
    parts = []
    for k, coords in enumerate(pieces):
        share = bounds[k + 1] - bounds[k]
        times = [_share(int(t[street]), share, up=False) for t in (view.forward_ms, view.backward_ms)]
        row = (ends[k], ends[k + 1], times[0], times[1], float(view.length_m[street]) * share, street)
        parts.append(Segment(draft.street(row, coords), bounds[k], bounds[k + 1]))
    draft.replaced[street] = tuple(parts)


def _share(time_ms: int, share: float, *, up: bool) -> int:
    """Part of a time in whole milliseconds; no way stays no way."""
    if time_ms < 0:
        return NO_WAY
    return int(np.ceil(time_ms * share)) if up else int(np.floor(time_ms * share))


def split_line(
    view: StreetView, street: int, fractions: Sequence[float]
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """[deg] Parts of a street's line between fractions of its length, and the points where it is cut."""
    coords = view.coords(street)
    xy = view.index.plane.project(coords)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    stops = [f * along[-1] for f in fractions]
    points = [np.array([np.interp(s, along, coords[:, d]) for d in (0, 1)]) for s in stops]
    pieces = []
    for k in range(len(stops) + 1):
        low = -1.0 if k == 0 else stops[k - 1]
        high = np.inf if k == len(stops) else stops[k]
        inner = coords[(along > low) & (along < high)]
        first = [] if k == 0 else [points[k - 1]]
        last = [] if k == len(stops) else [points[k]]
        pieces.append(np.vstack([*first, inner, *last]))
    return pieces, points


def _position(draft: _Draft, vertex: int) -> npt.NDArray[np.float64]:
    """[deg] Where a vertex lies."""
    view = draft.view
    late = vertex - view.n_vertices
    if late >= 0:
        return np.array([draft.lon[late], draft.lat[late]])
    street = int(np.flatnonzero((view.u == vertex) | (view.v == vertex))[0])
    return np.asarray(view.coords(street)[0 if view.u[street] == vertex else -1])


def _between(
    view: StreetView,
    line: npt.NDArray[np.float64],
    a: Joint,
    b: Joint,
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """[deg] The drawn line between two joints, its ends moved onto them."""
    xy = view.index.plane.project(line)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    inner = line[(along > a.along_m) & (along < b.along_m)]
    return np.vstack([start, inner, end])


def _origins(
    view: StreetView,
    draft: _Draft,
    new: list[int],
    unserved: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]],
    max_origin_snap_m: float,
) -> tuple[Origin, ...]:
    """Cells without network near the new street: they start at its nearest point."""
    cells, centres = unserved
    if not len(cells):
        return ()
    lines = np.array(
        [shapely.linestrings(view.index.plane.project(draft.coords[j])) for j in new], dtype=object
    )
    points = np.asarray(shapely.points(view.index.plane.project(centres)), dtype=object)
    found = []
    for cell, point in zip(cells, points, strict=True):
        away = shapely.distance(lines, point)
        k = int(np.argmin(away))
        if away[k] <= max_origin_snap_m:
            fraction = lines[k].project(point) / lines[k].length if lines[k].length > 0 else 0.0
            found.append(Origin(int(cell), new[k], float(fraction), int(np.rint(away[k] * 3600.0 / 5.0))))
    return tuple(found)


def close_streets(view: StreetView, streets: Sequence[int]) -> Build:
    """
    Close streets at their middle.

    Whoever lives or trades on one leaves and arrives by either end; nobody passes. A one-way street is closed at
    its entry: who is on it leaves as before; a one-way copy of a street is closed where the street is. Parts take whole
    milliseconds rounded up, so that nobody gets faster.

    Raises
    ------
    InputError
        A street is closed already.
    """
    draft = _Draft(view)
    for street in streets:
        forward, backward = int(view.forward_ms[street]), int(view.backward_ms[street])
        u, v, length = int(view.u[street]), int(view.v[street]), float(view.length_m[street])
        coords = view.coords(street)
        if forward < 0 and backward < 0:
            msg = f"street {street} of the {view.network.mode} network is closed already"
            raise InputError(msg)
        rows = [street, *(() if view.drawn[street] else view.same(street))]
        if all((time[rows] >= 0).any() for time in (view.forward_ms, view.backward_ms)):
            pieces, (middle,) = split_line(view, street, [0.5])
            times = (_share(forward, 0.5, up=True), _share(backward, 0.5, up=True))
            near = draft.street((u, draft.vertex(middle), *times, length / 2, street), pieces[0])
            far = draft.street((draft.vertex(middle), v, *times, length / 2, street), pieces[1])
            draft.replaced[street] = (Segment(near, 0.0, 0.5), Segment(far, 0.5, 1.0))
            continue
        ends = (draft.vertex(coords[0]), v) if forward >= 0 else (u, draft.vertex(coords[-1]))
        stub = draft.street((*ends, forward, backward, length, street), coords)
        draft.replaced[street] = (Segment(stub, 0.0, 1.0),)
    return draft.build(attributes={})
