"""Categories of places: what counts, what does not, and how it is reached. Configuration, not code."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from engine.errors import InputError
from engine.places.school import LEVELS

TagFilter = Mapping[str, frozenset[str] | None]
"""Accepted values of each tag key; None accepts any value but ``no``."""

GeometryKind = Literal["point", "green"]
AccessRule = Literal["any", "customers", "public"]
MergeRule = Literal["name", "nearby"]

STREAMS = ("glass", "paper", "packaging", "plastic", "metal", "organic", "clothes", "cardboard")
"""Waste streams of sorting points; `engine.places.sorting` groups ``recycling:*`` keys into them."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_RESERVED = frozenset({"score", "within"})
_TAXONOMY_KEYS = ("name", "description", "reference", "categories")


@dataclass(frozen=True)
class Category:
    """
    One category of places.

    An object belongs to a category if it has one of the tags in `osm`, all of the tags in `require` and none
    of the tags in `exclude`, is not private by the `access` rule, and is neither disused nor closed.

    Attributes
    ----------
    name
        Key in files and columns: lower-case letters, digits and ``_``.
    label_en, label_fr
        What people read.
    osm
        Tags of which one must hold. Empty: the category comes from files only.
    require, exclude
        Tags that must all hold, tags of which none may hold.
    geometry
        ``point``: a place is a point. ``green``: a place is a polygon, reached at its entrances.
    access
        ``any``: no access tag takes a place out (a school's yard is private, the school is not);
        ``customers``: private, no and the like are out; ``public``: customers only is out too.
    min_area_ha
        [ha] Smallest green space, after touching polygons were merged. Inclusive.
    dedup_radius_m
        [m] Places of one name within this distance are one place. Inclusive.
    merge
        ``name``: only places of one name (or a node inside its own outline) are merged;
        ``nearby``: everything within the radius is one place (containers that make a sorting station).
    streams
        Waste streams that a place must all take; a place that lacks one is not access.
    levels
        School levels of which a place must offer one; places of unknown level are kept out. Empty: every
        level.
    weight
        Weight in the 15-minute score; 0 shows the category without scoring it.
    keep
        Tags kept as columns of the places.
    """

    name: str
    label_en: str
    label_fr: str
    osm: TagFilter = field(default_factory=dict)
    require: TagFilter = field(default_factory=dict)
    exclude: TagFilter = field(default_factory=dict)
    geometry: GeometryKind = "point"
    access: AccessRule = "customers"
    min_area_ha: float = 0.0
    dedup_radius_m: float = 30.0
    merge: MergeRule = "name"
    streams: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    weight: float = 1.0
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        for value, allowed, key in (
            (self.geometry, get_args(GeometryKind), "geometry"),
            (self.access, get_args(AccessRule), "access"),
            (self.merge, get_args(MergeRule), "merge"),
        ):
            if value not in allowed:
                msg = f"category {self.name}: {key} is {value!r}; expected one of {', '.join(allowed)}"
                raise InputError(msg)
        for key in ("min_area_ha", "dedup_radius_m", "weight"):
            number = getattr(self, key)
            if not math.isfinite(number) or number < 0:
                msg = f"category {self.name}: {key} is {number}; expected a number of at least 0"
                raise InputError(msg)

    def matches(self, tags: Mapping[str, str]) -> bool:
        """
        Tell whether the tags belong to the category, access and life cycle aside.

        Examples
        --------
        >>> bakery = parse_category("bakery", {"osm": {"shop": ["bakery"]}})
        >>> bakery.matches({"shop": "bakery"}), bakery.matches({"disused:shop": "bakery"})
        (True, False)
        """
        return (
            any(_holds(tags, key, values) for key, values in self.osm.items())
            and all(_holds(tags, key, values) for key, values in self.require.items())
            and not any(_holds(tags, key, values) for key, values in self.exclude.items())
        )

    def kind(self, tags: Mapping[str, str]) -> str:
        """Return the tag by which an object belongs to the category (``shop=bakery``), or nothing."""
        for key, values in self.osm.items():
            if _holds(tags, key, values):
                found = _values(tags[key])
                return f"{key}={found[0] if values is None else next(v for v in found if v in values)}"
        return ""


def inside_a_sentence(label: str) -> str:
    """
    A label without its capital, unless the capital belongs to a name.

    Examples
    --------
    >>> inside_a_sentence("S'approvisionner"), inside_a_sentence("TRILIB points")
    ("s'approvisionner", 'TRILIB points')
    """
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def parse_taxonomy(mapping: Mapping[str, Any]) -> dict[str, Category]:
    """
    Read a taxonomy: categories in the order in which they are written.

    Parameters
    ----------
    mapping
        Table with ``categories`` (a table a category) and, if wanted, ``name``, ``description`` and
        ``reference``; what a TOML file holds.

    Returns
    -------
    dict of str to Category

    Raises
    ------
    InputError
        For an unknown key (the nearest known one is named), a wrong type, or no category at all.

    Examples
    --------
    >>> parse_taxonomy({"categories": {"bakery": {"osm": {"shop": ["bakery"]}}}})["bakery"].label_en
    'Bakery'
    """
    _refuse_unknown(mapping, _TAXONOMY_KEYS, where="the taxonomy")
    tables = mapping.get("categories")
    if not isinstance(tables, Mapping) or not tables:
        msg = f"the taxonomy has no categories; expected a table [categories.<name>], found {list(mapping)}"
        raise InputError(msg)
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            msg = f"category {name} is {table!r}; expected a table [categories.{name}]"
            raise InputError(msg)
    return {name: parse_category(name, table) for name, table in tables.items()}


def parse_category(name: str, mapping: Mapping[str, Any]) -> Category:
    """
    Read one category.

    Parameters
    ----------
    name
        Key of the category.
    mapping
        Its table: the attributes of `Category`; ``osm``, ``require`` and ``exclude`` map a tag key to a
        value, a list of values, or true for any value. ``label`` sets both labels.

    Raises
    ------
    InputError
        For an unknown key, a wrong type or a value out of range.
    """
    _check_name(name)
    known = tuple(f.name for f in fields(Category) if f.name != "name")
    _refuse_unknown(mapping, (*known, "label"), where=f"category {name}")
    label = _text(mapping.get("label", name.replace("_", " ").capitalize()), name, "label")
    values: dict[str, Any] = {"label_en": label, "label_fr": mapping.get("label_en", label)}
    for key, value in mapping.items():
        if key in ("osm", "require", "exclude"):
            values[key] = _tag_filter(value, name, key)
        elif key in ("streams", "levels", "keep"):
            values[key] = _words(value, name, key)
        elif key in ("min_area_ha", "dedup_radius_m", "weight"):
            values[key] = _number(value, name, key)
        elif key != "label":
            values[key] = _text(value, name, key)
    _check_words(values.get("streams", ()), STREAMS, name, "stream")
    _check_words(values.get("levels", ()), LEVELS, name, "school level")
    return Category(name=name, **values)


def features_filter(
    categories: Mapping[str, Category], *, gates: bool | None = None
) -> dict[str, frozenset[str] | None]:
    """
    What a reader of OpenStreetMap must keep for these categories.

    Parameters
    ----------
    categories
        The categories of a run.
    gates
        Keep fences, walls and gates, which park entrances need; by default if a category is green.

    Returns
    -------
    dict of str to (frozenset of str or None)
        Values to keep for each key, None for every value. Former uses (``disused:shop``) are kept so that
        they can be counted.
    """
    wanted: dict[str, frozenset[str] | None] = {}
    for category in categories.values():
        for key, values in category.osm.items():
            _widen(wanted, key, values)
            _widen(wanted, f"disused:{key}", values)
    wanted["entrance"] = None
    if gates if gates is not None else any(c.geometry == "green" for c in categories.values()):
        wanted["barrier"] = None
    return wanted


def _widen(wanted: dict[str, frozenset[str] | None], key: str, values: frozenset[str] | None) -> None:
    held = wanted.get(key, frozenset())
    wanted[key] = None if values is None or held is None else held | values


def _holds(tags: Mapping[str, str], key: str, values: frozenset[str] | None) -> bool:
    value = tags.get(key)
    if value is None:
        return False
    if values is None:
        return value != "no"
    return value in values or (";" in value and any(v in values for v in _values(value)))


def _values(value: str) -> list[str]:
    """Split a multi-valued tag, ``bakery;pastry``."""
    return [part.strip() for part in value.split(";")]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        msg = (
            f"category name {name!r}; expected a lower-case letter, then at most 30 letters, digits or _, "
            f"and none of {', '.join(sorted(_RESERVED))}: it becomes part of a column name"
        )
        raise InputError(msg)


def _check_words(words: Iterable[str], known: Sequence[str], name: str, what: str) -> None:
    """A word that no place has would leave the category empty without a word."""
    for word in words:
        if word not in known:
            msg = f"category {name}: unknown {what} {word!r}; expected some of {', '.join(known)}"
            raise InputError(msg)


def _refuse_unknown(mapping: Mapping[str, Any], known: Sequence[str], *, where: str) -> None:
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            msg = f"{where} has the unknown key {key!r}; did you mean {near[0]!r}? Known: {', '.join(known)}"
            raise InputError(msg)


def _tag_filter(value: Any, name: str, key: str) -> dict[str, frozenset[str] | None]:
    if not isinstance(value, Mapping):
        msg = f"category {name}: {key} is {value!r}; expected a table of tags, such as shop = ['bakery']"
        raise InputError(msg)
    out: dict[str, frozenset[str] | None] = {}
    for tag, accepted in value.items():
        if accepted is True:
            out[str(tag)] = None
        elif isinstance(accepted, str):
            out[str(tag)] = frozenset({accepted})
        elif accepted and isinstance(accepted, Iterable) and all(isinstance(v, str) for v in accepted):
            out[str(tag)] = frozenset(accepted)
        else:
            msg = f"category {name}: {key}.{tag} is {accepted!r}; expected a value, a list of values, or true"
            raise InputError(msg)
    return out


def _words(value: Any, name: str, key: str) -> tuple[str, ...]:
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(v, str) for v in value)
    ):
        msg = f"category {name}: {key} is {value!r}; expected a list of words"
        raise InputError(msg)
    return tuple(value)


def _number(value: Any, name: str, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"category {name}: {key} is {value!r}; expected a number"
        raise InputError(msg)
    return float(value)


def _text(value: Any, name: str, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        msg = f"category {name}: {key} is {value!r}; expected text"
        raise InputError(msg)
    return value
