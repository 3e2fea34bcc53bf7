"""From edits to operations: which street and which place is meant, and what changes there in each mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from engine.errors import InputError
from engine.network.street_network import NO_WAY
from engine.proposals.edit import (
    AddAmenity,
    AddStreet,
    ChangeStreet,
    Edit,
    OpenSchoolyard,
    RemoveAmenity,
    RemoveStreet,
    ResizeAmenity,
    SpeedArea,
    StreetChoice,
)
from engine.proposals.operation import Operation, PlaceAdded, PlaceRemoved, PlaceResized, Retime
from engine.proposals.standing import PlaceView, Standing, StreetView
from engine.proposals.streets_laid import JOIN_M, close_streets, joints, lay_street
from engine.proposals.stress_rule import calmed_lts, lane_lts

NEAR_M = 50.0
"""[m] A place or a street is meant by a point within this."""
BESIDE_M = 15.0
"""[m] A street is meant by a line drawn within this of it …"""
BESIDE_SHARE = 0.6
"""… along at least this share of its length."""
CALM = "bike_calm"
"""Cycling on low-stress streets, pushing the bicycle along the others: it follows every edit of ``bike``."""
CALM_LTS = 2
"""Stress that most adults accept (Mekuria, Furth & Nixon 2012): what is worse is walked along."""
PUSH_KMH = 5.0
"""[km/h] Pushing a bicycle, as in `ModeProfile.dismount_kmh`."""


@dataclass(frozen=True, eq=False)
class Step:
    """
    One operation in each of some modes, done together.

    Attributes
    ----------
    edit
        The edit it comes from, row of the proposal.
    operations
        By mode.
    places
        The places afterwards.
    says
        What is done, in words.
    """

    edit: int
    operations: Mapping[str, Operation]
    places: PlaceView
    says: str = ""


@dataclass(frozen=True, eq=False)
class Resolved:
    """
    A proposal as operations.

    Attributes
    ----------
    steps
        In the order in which they are done: streets before places.
    standing
        The city afterwards.
    notes
        What people should know: modes that an edit does not reach, counts of streets.
    """

    steps: tuple[Step, ...]
    standing: Standing
    notes: tuple[str, ...]

    def operations(self, mode: str) -> list[Operation]:
        """Operations of one mode, in order."""
        return [s.operations[mode] for s in self.steps if mode in s.operations]


def resolve(standing: Standing, edits: Iterable[Edit]) -> Resolved:
    """
    Resolve edits against a city.

    Streets come before places, so that a new place may be reached by a new street; otherwise the order stays.

    Parameters
    ----------
    standing
        The city.
    edits
        What is to be done.

    Raises
    ------
    InputError
        An edit names a category, a place or a street that is not there, or lies too far from every street; the
        message names the feature.
    """
    numbered = sorted(enumerate(edits), key=lambda pair: isinstance(pair[1], _OF_PLACES))
    steps: list[Step] = []
    notes: list[str] = []
    for number, edit in numbered:
        for operations, places, says in resolve_edit(edit, standing, notes):
            steps.append(Step(number, operations, places, says))
            standing = standing.after(operations, places)
    return Resolved(tuple(steps), standing, tuple(notes))


_Steps = list[tuple[dict[str, Operation], PlaceView, str]]
_OF_PLACES = (AddAmenity, RemoveAmenity, ResizeAmenity, OpenSchoolyard)


@singledispatch
def resolve_edit(edit: Edit, standing: Standing, notes: list[str]) -> _Steps:
    """Operations of one edit; what people should know is appended to `notes`."""
    msg = f"{edit.where}: unknown kind of edit {type(edit).__name__}"
    raise InputError(msg)


@resolve_edit.register
def _(edit: AddAmenity, standing: Standing, notes: list[str]) -> _Steps:
    category = _category(edit, standing, edit.category)
    entrances = list(edit.entrances)
    if edit.shape.geom_type == "Point":
        entrances = [(float(x), float(y)) for x, y in shapely.get_coordinates(edit.shape)]
    else:
        entrances += _new_street_entrances(edit.shape, standing)
    if not entrances:
        msg = (
            f"{edit.where}: no way leads into the outline; draw its edge to a street, or give 'entrances' "
            "as a list of [longitude, latitude]"
        )
        raise InputError(msg)
    return [_placed(edit, standing, notes, category, np.array(entrances), edit.capacity)]


def _new_street_entrances(outline: Any, standing: Standing) -> list[tuple[float, float]]:
    """[deg] Where streets that edits added cross an outline."""
    found = []
    view = next(iter(standing.streets.values()))
    edge = shapely.boundary(outline)
    for street in np.flatnonzero((view.root < 0) & view.drawn):
        crossing = shapely.intersection(shapely.linestrings(view.coords(int(street))), edge)
        found += [(float(x), float(y)) for x, y in shapely.get_coordinates(crossing)]
    return found


@resolve_edit.register
def _(edit: OpenSchoolyard, standing: Standing, notes: list[str]) -> _Steps:
    category = _category(edit, standing, edit.category)
    school = _place(edit, standing, edit.place_id, edit.school_category)
    return [_placed(edit, standing, notes, category, standing.places.access[school], edit.capacity)]


def _placed(
    edit: Edit,
    standing: Standing,
    notes: list[str],
    category: int,
    access: npt.NDArray[np.float64],
    capacity: float | None,
) -> tuple[dict[str, Operation], PlaceView, str]:
    operations: dict[str, Operation] = {}
    missed = []
    for mode, view in standing.streets.items():
        snaps = view.on_copies(view.index.snap(access, max_snap_m=standing.max_snap_m, mode=mode))
        operations[mode] = PlaceAdded(category, 1.0 if capacity is None else capacity, snaps)
        if not snaps.accepted.any():
            missed.append(mode)
    if len(missed) == len(operations):
        msg = f"{edit.where}: it lies farther than {standing.max_snap_m:g} m from every street; move it to a street"
        raise InputError(msg)
    if missed:
        notes.append(
            f"{edit.where}: farther than {standing.max_snap_m:g} m from any street of {', '.join(missed)}"
        )
    places = standing.places.added(
        place_id=f"proposal/{standing.places.n}",
        name=edit.name,
        category=category,
        geometry=edit.geometry if edit.geometry is not None else shapely.Point(access[0]),
        access=access,
        capacity=1.0 if capacity is None else capacity,
    )
    return operations, places, f"a place of {standing.categories[category]} added"


@resolve_edit.register
def _(edit: RemoveAmenity, standing: Standing, notes: list[str]) -> _Steps:
    steps: _Steps = []
    places = standing.places
    for place in _places(edit, standing):
        operation = PlaceRemoved(place)
        places = places.after(operation)
        steps.append((dict.fromkeys(standing.modes, operation), places, f"{_called(places, place)} removed"))
    return steps


@resolve_edit.register
def _(edit: ResizeAmenity, standing: Standing, notes: list[str]) -> _Steps:
    place = _place(edit, standing, edit.place_id, edit.category)
    operation = PlaceResized(place, edit.capacity)
    places = standing.places.after(operation)
    return [(dict.fromkeys(standing.modes, operation), places, f"{_called(places, place)} resized")]


def _called(places: PlaceView, place: int) -> str:
    return places.name[place] or places.place_id[place]


def _category(edit: Edit, standing: Standing, name: str) -> int:
    if name not in standing.categories:
        msg = f"{edit.where}: property 'category' is {name!r}; the run has {', '.join(standing.categories)}"
        raise InputError(msg)
    return standing.categories.index(name)


def _of(edit: Edit, standing: Standing, category: str | None) -> npt.NDArray[np.bool_]:
    """Places that are there, of a category where one is named."""
    places = standing.places
    return places.there & (
        True if category is None else places.category == _category(edit, standing, category)
    )


def _place(edit: Edit, standing: Standing, place_id: str | None, category: str | None) -> int:
    """The one place that an edit means: by id, else the nearest to its point."""
    places, wanted = standing.places, _of(edit, standing, category)
    if place_id is not None:
        named = [i for i in np.flatnonzero(wanted) if places.place_id[i] == place_id]
        if named:
            return int(named[0])
        of = f" of {category}" if category else ""
        msg = (
            f"{edit.where}: property 'id' is {place_id!r}, which no place{of} of the run has "
            f"(or it was removed); ids are those of opportunities.parquet"
        )
        raise InputError(msg)
    rows = np.flatnonzero(wanted)
    plane = next(iter(standing.streets.values())).index.plane
    here = shapely.Point(plane.project(shapely.get_coordinates(edit.shape))[0])
    shapes = _projected(places.geometry[rows], plane.project)
    away = shapely.distance(shapes, here)
    if not len(rows) or away.min() > NEAR_M:
        nearest = f"; the nearest is {away.min():.0f} m away" if len(rows) else ""
        msg = f"{edit.where}: no place of {category} within {NEAR_M:g} m{nearest}; give its 'id' or move the point"
        raise InputError(msg)
    return int(rows[np.argmin(away)])


def _projected(
    shapes: npt.NDArray[np.object_], project: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
) -> npt.NDArray[np.object_]:
    if not len(shapes):
        return shapes
    return np.asarray(shapely.transform(shapes, project), dtype=object)


def _places(edit: RemoveAmenity, standing: Standing) -> list[int]:
    """Places that an edit removes."""
    if edit.place_id is not None:
        first = _place(edit, standing, edit.place_id, edit.category)
        same = _of(edit, standing, edit.category)
        return [
            int(i)
            for i in np.flatnonzero(same)
            if standing.places.place_id[i] == standing.places.place_id[first]
        ]
    if edit.shape.geom_type == "Point":
        return [_place(edit, standing, None, edit.category)]
    rows = np.flatnonzero(_of(edit, standing, edit.category))
    middle = shapely.point_on_surface(standing.places.geometry[rows])
    found = [int(r) for r in rows[shapely.intersects(middle, edit.shape)]]
    if not found:
        msg = f"{edit.where}: no place of {edit.category} lies in the polygon"
        raise InputError(msg)
    return found


def _modes(edit: Edit, standing: Standing, named: tuple[str, ...]) -> list[str]:
    """Modes that an edit concerns: those it names, else all; cycling takes low-stress cycling along."""
    missing = [m for m in named if m not in standing.streets]
    if missing:
        msg = f"{edit.where}: property 'modes' names {', '.join(missing)}; the run has {', '.join(standing.modes)}"
        raise InputError(msg)
    return [m for m in standing.modes if not named or m in named or (m == CALM and "bike" in named)]


@resolve_edit.register
def _(edit: AddStreet, standing: Standing, notes: list[str]) -> _Steps:
    line = shapely.get_coordinates(edit.shape)
    operations: dict[str, Operation] = {}
    missed = []
    for mode in _modes(edit, standing, tuple(m for m in edit.modes if m in standing.streets)):
        view = standing.streets[mode]
        at = joints(view, line, connect=edit.connect)
        if len(at) < 2:
            missed.append(mode)
            continue
        travel = standing.travel[mode]
        speed = travel.speed_kmh if edit.speed_kmh is None else edit.speed_kmh
        if mode == CALM and edit.lts > CALM_LTS:
            speed = min(speed, PUSH_KMH)
        operations[mode] = lay_street(
            view,
            line,
            at,
            ms_per_m=3600.0 / speed * travel.factor,
            oneway=edit.oneway and mode != "walk",
            attributes={"highway": "proposed", "name": edit.name or "proposed", "lts": edit.lts},
            unserved=standing.unserved[mode],
            max_origin_snap_m=standing.max_origin_snap_m,
        )
    if not operations:
        msg = (
            f"{edit.where}: its ends join no two points of the networks of {', '.join(edit.modes)}; "
            f"draw both ends to within {JOIN_M:g} m of a street"
        )
        raise InputError(msg)
    if missed:
        notes.append(f"{edit.where}: joins no street of {', '.join(missed)}; left out there")
    return [(operations, standing.places, "a street added")]


@resolve_edit.register
def _(edit: RemoveStreet, standing: Standing, notes: list[str]) -> _Steps:
    operations: dict[str, Operation] = {}
    counts = []
    for mode in _modes(edit, standing, edit.modes):
        view = standing.streets[mode]
        streets = _chosen(edit, view)
        if len(streets):
            operations[mode] = close_streets(view, [int(s) for s in streets])
            counts.append(f"{mode} {len(streets)}")
    _some(edit, counts)
    return [(operations, standing.places, f"streets closed: {', '.join(counts)}")]


def _some(edit: Edit, meant: Sequence[str]) -> None:
    if not meant:
        msg = (
            f"{edit.where}: no street of the run is meant; draw the line along the street, "
            "or check 'osm_way' and 'modes'"
        )
        raise InputError(msg)


def _chosen(edit: StreetChoice, view: StreetView) -> npt.NDArray[np.int64]:
    """Streets that an edit means in one mode, in order; copies of them go with them."""
    chosen = _drawn_chosen(edit, view)
    copies = [copy for street in chosen.tolist() for copy in view.same(street)]
    return np.sort(np.concatenate([chosen, np.array(copies, dtype=np.int64)]))


def _drawn_chosen(edit: StreetChoice, view: StreetView) -> npt.NDArray[np.int64]:
    """Streets on the ground that an edit means."""
    candidates = np.flatnonzero(view.open & view.drawn)
    if edit.osm_way:
        candidates = candidates[np.isin(view.attribute("osm_way", missing=0)[candidates], edit.osm_way)]
    if edit.geometry is None:
        return candidates
    shape = shapely.transform(edit.shape, view.index.plane.project)
    near = view.index.near(shape, NEAR_M if shape.geom_type == "Point" else BESIDE_M)[0]
    near = near[np.isin(near, candidates)]
    if not len(near):
        return near
    lines = np.array([view.index.line(int(s)) for s in near], dtype=object)
    if shape.geom_type.endswith("Polygon"):
        return near[_middle_in(shape, lines)]
    if edit.osm_way and shape.geom_type == "Point":
        return near
    if shape.geom_type == "Point":
        return near[[int(np.argmin(shapely.distance(lines, shape)))]]
    length = shapely.length(lines)
    beside = shapely.length(shapely.intersection(lines, shapely.buffer(shape, BESIDE_M)))
    return near[(beside >= BESIDE_SHARE * length) & (length > 0)]


@resolve_edit.register
def _(edit: ChangeStreet, standing: Standing, notes: list[str]) -> _Steps:
    operations: dict[str, Operation] = {}
    counts = []
    for mode in [m for m in _modes(edit, standing, edit.modes) if m != CALM and _concerns(edit, m)]:
        view = standing.streets[mode]
        streets = _chosen(edit, view)
        if not len(streets):
            continue
        changed = _really(_changed(edit, standing, mode, streets), view)
        counts.append(f"{mode} {len(changed.street)} of {len(streets)}")
        if not len(changed.street):
            continue
        operations[mode] = changed
        if mode == "bike" and CALM in standing.streets:
            operations[CALM] = _calm(standing, changed)
    _some(edit, counts)
    says = f"streets changed: {', '.join(counts)}"
    return [(operations, standing.places, says)] if operations else []


def _really(changed: Retime, view: StreetView) -> Retime:
    """Only the streets whose time or stress becomes another."""
    street = changed.street
    differs = (changed.forward_ms != view.forward_ms[street]) | (
        changed.backward_ms != view.backward_ms[street]
    )
    if changed.lts is not None:
        differs |= changed.lts != view.lts[street]
    lts = None if changed.lts is None else changed.lts[differs]
    return Retime(street[differs], changed.forward_ms[differs], changed.backward_ms[differs], lts)


def _concerns(edit: ChangeStreet, mode: str) -> bool:
    """Tell whether a mode is meant; unnamed: speed for motor traffic, direction for vehicles, stress for bikes."""
    stress = edit.lts is not None or edit.cycleway is not None
    speed = edit.speed_kmh is not None or edit.max_speed_kmh is not None
    if edit.modes:
        return speed or edit.direction is not None or (stress and mode == "bike")
    return (
        (speed and mode == "street30")
        or (edit.direction is not None and mode != "walk")
        or (stress and mode == "bike")
    )


def _changed(edit: ChangeStreet, standing: Standing, mode: str, streets: npt.NDArray[np.int64]) -> Retime:
    view, travel = standing.streets[mode], standing.travel[mode]
    forward, backward = view.forward_ms[streets].astype(np.int64), view.backward_ms[streets].astype(np.int64)
    length = view.length_m[streets]
    if (edit.speed_kmh is not None or edit.max_speed_kmh is not None) and (edit.modes or mode == "street30"):
        at_speed = travel.time_ms(length, edit.speed_kmh or edit.max_speed_kmh or 0.0)
        if edit.speed_kmh is None:
            forward, backward = _at_least(forward, at_speed), _at_least(backward, at_speed)
        else:
            forward, backward = (
                np.where(forward < 0, NO_WAY, at_speed),
                np.where(backward < 0, NO_WAY, at_speed),
            )
    if edit.direction is not None:
        either = np.maximum(forward, backward)
        with_line = np.array([_runs_with(view, int(s), edit) for s in streets])
        goes = (
            np.full(len(streets), True)
            if edit.direction == "both"
            else with_line == (edit.direction == "forward")
        )
        comes = np.full(len(streets), True) if edit.direction == "both" else ~goes
        copy = ~view.drawn[streets]  # what no turn led into before, none leads into now
        goes, comes = goes & ~(copy & (forward < 0)), comes & ~(copy & (backward < 0))
        forward = np.where(goes, np.where(forward < 0, either, forward), NO_WAY)
        backward = np.where(comes, np.where(backward < 0, either, backward), NO_WAY)
    return Retime(streets, forward.astype(np.int32), backward.astype(np.int32), _new_lts(edit, view, streets))


def _at_least(time: npt.NDArray[np.int64], floor: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Slow times down to a floor; no way stays no way."""
    return np.where(time < 0, NO_WAY, np.maximum(time, floor))


def _runs_with(view: StreetView, street: int, edit: ChangeStreet) -> bool:
    """Whether a street runs the way that the edit's line is drawn."""
    if edit.geometry is None or edit.geometry.geom_type != "LineString":
        return True
    drawn = shapely.transform(edit.shape, view.index.plane.project)
    line = view.index.line(street)
    a, b = (drawn.project(shapely.Point(line.coords[k])) for k in (0, -1))
    return bool(a <= b)


def _new_lts(
    edit: ChangeStreet, view: StreetView, streets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int8] | None:
    if not len(view.lts) or (edit.lts is None and edit.cycleway is None):
        return None
    if edit.lts is not None:
        return np.full(len(streets), edit.lts, dtype=np.int8)
    limit = view.attribute("maxspeed_kmh", missing=np.nan).astype(np.float64)[streets]
    level = lane_lts(
        np.where(np.isnan(limit), 50.0, limit), cycleway=str(edit.cycleway), width_m=edit.width_m
    )
    return np.minimum(level, view.lts[streets])


def _calm(standing: Standing, bike: Retime) -> Retime:
    """What a change of cycling means for low-stress cycling."""
    view = standing.streets["bike"]
    lts = view.lts[bike.street] if bike.lts is None else bike.lts
    forward, backward = (
        calm_ms(t, view.length_m[bike.street], lts) for t in (bike.forward_ms, bike.backward_ms)
    )
    return Retime(bike.street, forward, backward)


def calm_ms(
    time_ms: npt.NDArray[np.int32], length_m: npt.NDArray[np.float64], lts: npt.NDArray[np.int8]
) -> npt.NDArray[np.int32]:
    """
    [ms] Times of somebody who rides up to `CALM_LTS` and pushes the bicycle along everything worse.

    Parameters
    ----------
    time_ms
        [ms] Times of cycling, -1 for no way.
    length_m, lts
        Length and Level of Traffic Stress of each street.
    """
    pushed = np.rint(np.asarray(length_m) * (3600.0 / PUSH_KMH)).astype(np.int64)
    slow = np.where(np.asarray(lts) > CALM_LTS, np.maximum(time_ms, pushed), time_ms)
    return np.where(np.asarray(time_ms) < 0, NO_WAY, slow).astype(np.int32)


@resolve_edit.register
def _(edit: SpeedArea, standing: Standing, notes: list[str]) -> _Steps:
    operations: dict[str, Operation] = {}
    counts = []
    for mode in [m for m in _modes(edit, standing, edit.modes) if m != CALM]:
        view, travel = standing.streets[mode], standing.travel[mode]
        streets = _inside(edit, view)
        floor = travel.time_ms(view.length_m[streets], edit.max_speed_kmh)
        forward = _at_least(view.forward_ms[streets].astype(np.int64), floor)
        backward = _at_least(view.backward_ms[streets].astype(np.int64), floor)
        slower = (forward != view.forward_ms[streets]) | (backward != view.backward_ms[streets])
        counts.append(f"{mode} {int(slower.sum())} of {len(streets)}")
        if slower.any():
            operations[mode] = Retime(
                streets[slower], forward[slower].astype(np.int32), backward[slower].astype(np.int32)
            )
    if edit.calms and "bike" in standing.streets and len(standing.streets["bike"].lts):
        _calmed(edit, standing, operations, counts)
    elif edit.calms and "bike" in standing.streets:
        counts.append("stress of cycling not known for these streets")
    notes.append(f"{edit.where}: streets changed in the area: {'; '.join(counts)}")
    return [(operations, standing.places, "a speed limit for an area")] if operations else []


def _inside(edit: SpeedArea, view: StreetView) -> npt.NDArray[np.int64]:
    """Streets whose middle lies in the area and that do not keep their own limit."""
    area = shapely.transform(edit.shape, view.index.plane.project)
    near = view.index.near(area, 0.0)[0]
    near = near[view.open[near] & ((view.length_m[near] > 0) | view.drawn[near])]
    lines = np.array([view.index.line(int(s)) for s in near], dtype=object)
    inside = near[_middle_in(area, lines)]
    if edit.keep_highway is None:
        major = view.attribute("major", missing=False).astype(bool)
        return np.asarray(inside[~major[inside]])
    highway = view.attribute("highway", missing="")[inside].astype(str)
    return np.asarray(inside[~np.isin(highway, edit.keep_highway)])


def _middle_in(area: Any, lines: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Lines whose middle lies in an area."""
    shapely.prepare(area)
    return np.asarray(
        shapely.intersects(area, shapely.line_interpolate_point(lines, 0.5, normalized=True)), dtype=bool
    )


def _calmed(edit: SpeedArea, standing: Standing, operations: dict[str, Operation], counts: list[str]) -> None:
    """Lower the stress of cycling in an area with a lower limit."""
    view = standing.streets["bike"]
    streets = _inside(edit, view)
    highway = view.attribute("highway", missing="")[streets]
    if edit.keep_highway is None:
        keep = np.isin(highway.astype(str), MAJOR_CLASSES)
        streets, highway = streets[~keep], highway[~keep]
    level = np.minimum(calmed_lts(highway, max_speed_kmh=edit.max_speed_kmh), view.lts[streets])
    calmer = level < view.lts[streets]
    counts.append(f"less stress for cycling {int(calmer.sum())} of {len(streets)}")
    if not calmer.any():
        return
    slowed = operations.get("bike")
    after = view if slowed is None else view.after(slowed)
    both = streets[calmer]
    if isinstance(slowed, Retime):
        both = np.union1d(both, slowed.street)
    lts = view.lts[both].copy()
    lts[np.searchsorted(both, streets[calmer])] = level[calmer]
    operations["bike"] = calmer_bike = Retime(both, after.forward_ms[both], after.backward_ms[both], lts)
    if CALM in standing.streets:
        operations[CALM] = _calm(standing, calmer_bike)


MAJOR_CLASSES = ("motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link")
"""Classes that keep their limit where the run marks no major roads, as in `MajorRoads`."""
