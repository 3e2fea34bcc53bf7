"""Proposal files: GeoJSON checked member by member, with messages that name the feature and the property."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry import shape

from engine.errors import InputError
from engine.proposals.edit import (
    MODES,
    AddAmenity,
    AddStreet,
    ChangeStreet,
    Edit,
    OpenSchoolyard,
    Proposal,
    RemoveAmenity,
    RemoveStreet,
    ResizeAmenity,
    SpeedArea,
)

_POINT = ("Point",)
_AREA = ("Polygon", "MultiPolygon")
_LINE = ("LineString",)
_CLOSE = 0.75
"""Similarity from which an unknown property is taken for a slip of the pen."""
Reader = Callable[[Any], Any]


class _ValueFaultError(InputError):
    """A value is not what the property takes."""


@dataclass(frozen=True)
class _Kind:
    """What one kind of edit takes."""

    make: type[Edit]
    geometry: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    needs_geometry: bool = True
    example: str = ""


def parse_proposal(value: object, *, name: str = "proposal", digest: str = "") -> Proposal:
    """
    Read a proposal from parsed JSON.

    Parameters
    ----------
    value
        A GeoJSON FeatureCollection (RFC 7946). Members of the collection: ``name``, ``author``,
        ``description``, ``cost_eur``, ``phases`` (names). Properties of a feature: ``edit`` (its kind) and what
        the kind takes; ``name``, ``note``, ``cost_eur``, ``phase`` by option.
    name
        Name where the file gives none.
    digest
        SHA-256 of the file.

    Returns
    -------
    Proposal
        Edits in the order of the file.

    Raises
    ------
    InputError
        Everything that is wrong, one line each: which feature, which property, what was found, what is expected.

    Examples
    --------
    >>> school = {
    ...     "type": "Feature",
    ...     "properties": {"edit": "add_amenity", "category": "schools", "cost_eur": 9_000_000},
    ...     "geometry": {"type": "Point", "coordinates": [24.94, 60.17]},
    ... }
    >>> parse_proposal({"type": "FeatureCollection", "name": "A school", "features": [school]}).cost_eur
    9000000.0
    """
    head_members, features = _features(value)
    faults: list[str] = []
    ignored: list[str] = []
    edits: list[Edit] = []
    for number, feature in enumerate(features, start=1):
        try:
            edits.append(_edit(number, feature, ignored))
        except InputError as error:
            faults.append(str(error))
    head: dict[str, Any] = {}
    for key, read in _HEAD.items():
        try:
            head[key] = read(head_members[key]) if head_members.get(key) is not None else None
        except _ValueFaultError as error:
            faults.append(f"{key}: {error}")
    if faults:
        msg = f"{name}: " + "\n  ".join(faults)
        raise InputError(msg)
    costs = [e.cost_eur for e in edits if e.cost_eur is not None]
    total = head["cost_eur"] if head["cost_eur"] is not None else (math.fsum(costs) if costs else None)
    return Proposal(
        name=head["name"] or name,
        edits=tuple(edits),
        author=head["author"] or "",
        description=head["description"] or "",
        cost_eur=total,
        cost_complete=head["cost_eur"] is not None or (len(costs) == len(edits) > 0),
        phases=head["phases"] or (),
        digest=digest,
        ignored=tuple(ignored),
    )


def _features(value: object) -> tuple[Mapping[str, Any], list[Any]]:
    if not isinstance(value, Mapping) or value.get("type") != "FeatureCollection":
        found = value.get("type") if isinstance(value, Mapping) else type(value).__name__
        msg = f"found {found!r}; a proposal is a GeoJSON object of type 'FeatureCollection'"
        raise InputError(msg)
    crs = value.get("crs")
    if crs is not None and not any(known in str(crs) for known in ("CRS84", "4326")):
        msg = (
            f"its member 'crs' is {crs}; a proposal is in degrees (EPSG:4326): export it without a projection"
        )
        raise InputError(msg)
    features = value.get("features")
    if not isinstance(features, list):
        msg = f"its member 'features' is {type(features).__name__}; expected a list"
        raise InputError(msg)
    return value, features


def _edit(number: int, feature: object, ignored: list[str]) -> Edit:
    if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
        msg = f"feature {number} is not an object of type 'Feature'"
        raise InputError(msg)
    properties = feature.get("properties") or {}
    if not isinstance(properties, Mapping):
        msg = f"feature {number}: its properties are {type(properties).__name__}; expected an object"
        raise InputError(msg)
    label = properties.get("name")
    where = (
        f'feature {number} ("{label}")' if isinstance(label, str) and label.strip() else f"feature {number}"
    )
    kind_name = properties.get("edit")
    if not isinstance(kind_name, str) or kind_name not in _KINDS:
        near = difflib.get_close_matches(str(kind_name), list(_KINDS), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        msg = f"{where}: property 'edit' is {kind_name!r}; expected one of {', '.join(_KINDS)}{hint}"
        raise InputError(msg)
    kind = _KINDS[str(kind_name)]
    values = _values(where, str(kind_name), kind, properties, ignored)
    geometry = _geometry(where, str(kind_name), kind, feature.get("geometry"))
    edit = kind.make(where=where, geometry=geometry, **values)
    _agree(edit)
    return edit


def _values(
    where: str, kind_name: str, kind: _Kind, properties: Mapping[str, Any], ignored: list[str]
) -> dict[str, Any]:
    """Values of the properties that the kind takes, under the names that the edit gives them."""
    known = (*kind.required, *kind.optional, *_COMMON)
    found: dict[str, Any] = {}
    for key, value in properties.items():
        if key == "edit" or value is None:
            continue
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=_CLOSE)
            if near or key in _READERS:
                hint = f"; did you mean {near[0]!r}?" if near else f"; {kind_name} takes {', '.join(known)}"
                msg = f"{where}: unknown property {key!r}{hint}"
                raise InputError(msg)
            ignored.append(f"{where}: {key}")
            continue
        try:
            found[_RENAMED.get(key, key)] = _READERS[key](value)
        except _ValueFaultError as error:
            msg = f"{where}: property {key!r} {error}"
            raise InputError(msg) from None
    for key in kind.required:
        if _RENAMED.get(key, key) not in found:
            msg = f"{where}: property {key!r} is missing; {kind_name} needs it{kind.example}"
            raise InputError(msg)
    return found


def _geometry(where: str, kind_name: str, kind: _Kind, value: Any) -> Any:
    if value is None:
        if kind.needs_geometry:
            msg = f"{where}: it has no geometry; {kind_name} takes a {' or '.join(kind.geometry)}"
            raise InputError(msg)
        return None
    found = value.get("type") if isinstance(value, Mapping) else type(value).__name__
    if found not in kind.geometry:
        msg = f"{where}: its geometry is a {found}; {kind_name} takes a {' or '.join(kind.geometry)}"
        raise InputError(msg)
    try:
        geometry: Any = shapely.force_2d(shape(value))
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        shapely.errors.ShapelyError,
    ) as error:
        msg = f"{where}: its coordinates cannot be read ({error}); expected [longitude, latitude] in degrees"
        raise InputError(msg) from None
    coords = shapely.get_coordinates(geometry)
    if geometry.is_empty or not len(coords):
        msg = f"{where}: its {found} is empty"
        raise InputError(msg)
    if not (abs(coords[:, 0]) <= 180).all() or not (abs(coords[:, 1]) <= 90).all():
        bad = coords[~((abs(coords[:, 0]) <= 180) & (abs(coords[:, 1]) <= 90))][0].tolist()
        msg = f"{where}: its geometry holds {bad}; expected [longitude, latitude] in degrees, longitude first"
        raise InputError(msg)
    if found in _AREA and not geometry.is_valid:
        why = shapely.is_valid_reason(geometry)
        msg = f"{where}: its {found} is not a simple outline ({why}); draw it without crossing itself"
        raise InputError(msg)
    if found in _LINE and geometry.length == 0:
        msg = f"{where}: its LineString has no length"
        raise InputError(msg)
    return geometry


def _agree(edit: Edit) -> None:
    """Check what concerns several properties at once."""
    unnamed = isinstance(edit, RemoveAmenity | ResizeAmenity) and edit.place_id is None
    if unnamed and (edit.geometry is None or getattr(edit, "category", None) is None):
        msg = f"{edit.where}: say which place: give 'id' (as in opportunities.parquet), or geometry and 'category'"
        raise InputError(msg)
    if isinstance(edit, OpenSchoolyard) and edit.place_id is None and edit.geometry is None:
        msg = f"{edit.where}: say which school: give 'id' (as in opportunities.parquet) or a Point"
        raise InputError(msg)
    if isinstance(edit, RemoveStreet | ChangeStreet) and not edit.osm_way and edit.geometry is None:
        msg = f"{edit.where}: say which street: give 'osm_way', or draw a LineString along it, or both"
        raise InputError(msg)
    if isinstance(edit, ChangeStreet):
        _agree_change(edit)
    if isinstance(edit, AddAmenity) and edit.entrances and edit.shape.geom_type == "Point":
        msg = f"{edit.where}: 'entrances' goes with a Polygon; a Point is entered where it is"
        raise InputError(msg)


def _agree_change(edit: ChangeStreet) -> None:
    given = (edit.speed_kmh, edit.max_speed_kmh, edit.direction, edit.lts, edit.cycleway)
    if all(v is None for v in given):
        msg = f"{edit.where}: nothing changes; give speed_kmh, max_speed_kmh, direction, lts or cycleway"
        raise InputError(msg)
    if edit.speed_kmh is not None and edit.max_speed_kmh is not None:
        msg = f"{edit.where}: give speed_kmh or max_speed_kmh, not both"
        raise InputError(msg)
    if edit.direction in ("forward", "backward") and (
        edit.geometry is None or edit.geometry.geom_type != "LineString"
    ):
        msg = f"{edit.where}: 'direction' is {edit.direction!r}; draw a LineString that it refers to"
        raise InputError(msg)
    if edit.width_m is not None and edit.cycleway != "lane":
        msg = f"{edit.where}: 'width_m' is the width of a cycle lane; give 'cycleway': 'lane' with it"
        raise InputError(msg)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        msg = f"is {value!r}; expected text"
        raise _ValueFaultError(msg)
    return value.strip()


def _number(low: float, high: float, *, open_low: bool = False) -> Reader:
    def read(value: object) -> float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not right or not (low < value if open_low else low <= value) or not value <= high:  # type: ignore[operator]
            ends = f"more than {low:g}" if open_low else f"{low:g} or more"
            top = f", at most {high:g}" if math.isfinite(high) else ""
            msg = f"is {value!r}; expected a number, {ends}{top}"
            raise _ValueFaultError(msg)
        return float(value)  # type: ignore[arg-type]

    return read


def _whole(low: int, high: int) -> Reader:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            msg = f"is {value!r}; expected a whole number from {low} to {high}"
            raise _ValueFaultError(msg)
        if not low <= value <= high:
            msg = f"is {value!r}; expected a whole number from {low} to {high}"
            raise _ValueFaultError(msg)
        return int(value)

    return read


def _one_of(*choices: str) -> Reader:
    def read(value: object) -> str:
        if value not in choices:
            msg = f"is {value!r}; expected one of {', '.join(choices)}"
            raise _ValueFaultError(msg)
        return str(value)

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"is {value!r}; expected true or false"
        raise _ValueFaultError(msg)
    return value


def _modes(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(m in MODES for m in given):
        msg = f"is {value!r}; expected a list of {', '.join(MODES)}"
        raise _ValueFaultError(msg)
    return tuple(m for m in MODES if m in given)


def _texts(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(v, str) and v.strip() for v in given):
        msg = f"is {value!r}; expected a list of texts"
        raise _ValueFaultError(msg)
    return tuple(v.strip() for v in given)


def _ways(value: object) -> tuple[int, ...]:
    given = value if isinstance(value, list) else [value]
    whole = [int(v) for v in given if isinstance(v, int) and not isinstance(v, bool)]
    if not given or len(whole) != len(given):
        msg = f"is {value!r}; expected the number of an OpenStreetMap way, or a list of such numbers"
        raise _ValueFaultError(msg)
    return tuple(sorted(set(whole)))


def _points(value: object) -> tuple[tuple[float, float], ...]:
    ok = isinstance(value, list) and value and all(isinstance(p, list) and len(p) >= 2 for p in value)
    numbers = [c for p in value for c in p[:2]] if ok else [None]  # type: ignore[attr-defined]
    if not all(isinstance(c, int | float) and not isinstance(c, bool) and abs(c) <= 180 for c in numbers):
        msg = f"is {value!r}; expected a list of [longitude, latitude]"
        raise _ValueFaultError(msg)
    return tuple((float(p[0]), float(p[1])) for p in value)  # type: ignore[attr-defined]


_cost = _number(0, 1e13)
_COMMON = ("name", "note", "cost_eur", "phase")
_READERS: dict[str, Reader] = {
    "name": _text,
    "note": _text,
    "cost_eur": _cost,
    "phase": _whole(1, 99),
    "category": _text,
    "school_category": _text,
    "capacity": _number(0, 1e9, open_low=True),
    "entrances": _points,
    "id": _text,
    "osm_way": _ways,
    "modes": _modes,
    "speed_kmh": _number(0.5, 200),
    "max_speed_kmh": _number(0.5, 200),
    "oneway": _flag,
    "direction": _one_of("both", "forward", "backward"),
    "lts": _whole(1, 4),
    "cycleway": _one_of("track", "lane", "street"),
    "width_m": _number(0.5, 50),
    "connect": _one_of("ends", "all"),
    "keep_highway": _texts,
    "calms": _flag,
}
_RENAMED = {"id": "place_id"}
_HEAD: dict[str, Reader] = {
    "name": _text,
    "author": _text,
    "description": _text,
    "cost_eur": _cost,
    "phases": _texts,
}
_KINDS: dict[str, _Kind] = {
    "add_amenity": _Kind(
        AddAmenity,
        (*_POINT, *_AREA),
        ("category",),
        ("capacity", "entrances"),
        example=': "schools", for example',
    ),
    "remove_amenity": _Kind(RemoveAmenity, (*_POINT, *_AREA), (), ("id", "category"), needs_geometry=False),
    "resize_amenity": _Kind(ResizeAmenity, _POINT, ("capacity",), ("id", "category"), needs_geometry=False),
    "open_schoolyard": _Kind(
        OpenSchoolyard, _POINT, (), ("id", "school_category", "category", "capacity"), needs_geometry=False
    ),
    "add_street": _Kind(AddStreet, _LINE, (), ("modes", "speed_kmh", "oneway", "lts", "connect")),
    "remove_street": _Kind(
        RemoveStreet, (*_POINT, *_LINE, *_AREA), (), ("osm_way", "modes"), needs_geometry=False
    ),
    "change_street": _Kind(
        ChangeStreet,
        (*_POINT, *_LINE, *_AREA),
        (),
        ("osm_way", "modes", "speed_kmh", "max_speed_kmh", "direction", "lts", "cycleway", "width_m"),
        needs_geometry=False,
    ),
    "speed_area": _Kind(
        SpeedArea, _AREA, ("max_speed_kmh",), ("keep_highway", "modes", "calms"), example=": 30, for example"
    ),
}
