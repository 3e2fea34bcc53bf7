"""Whether a mapped place is open to people at all: private, disused, closed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.places.category import AccessRule, Category

PRIVATE = frozenset(
    {
        "private",
        "no",
        "residents",
        "members",
        "member",
        "permit",
        "employees",
        "military",
        "staff",
        "delivery",
        "forestry",
        "agricultural",
        "service",
    }
)
"""Values of ``access`` that keep the public out."""

_PUBLIC_ONLY = PRIVATE | {"customers", "guests", "students"}
_ENDED = (
    "disused",
    "abandoned",
    "demolished",
    "removed",
    "razed",
    "ruins",
    "proposed",
    "planned",
    "construction",
)
_CLOSED = re.compile(r"""\s*(24/7\s+|mo-su(,\s*ph)?\s+)?(off|closed)\s*("[^"]*"\s*)?;?\s*""", re.IGNORECASE)


def why_out(tags: Mapping[str, str], category: Category) -> str:
    """
    Say why a matching object is not a place that people can use.

    Parameters
    ----------
    tags
        Tags of an object that `category` matches.
    category
        Its category: the access rule.

    Returns
    -------
    str
        ``private``, ``disused`` or ``closed``; empty where the place stands.

    Examples
    --------
    >>> from engine.places.category import parse_category
    >>> park = parse_category("park", {"osm": {"leisure": "park"}, "geometry": "green", "access": "public"})
    >>> why_out({"leisure": "park", "access": "private"}, park)
    'private'
    """
    if is_ended(tags, category):
        return "disused"
    if is_closed(tags):
        return "closed"
    return "private" if is_private(tags, category.access) else ""


def is_private(tags: Mapping[str, str], rule: AccessRule) -> bool:
    """
    Tell whether the public is kept out.

    ``foot`` is more specific than ``access`` and wins, as everywhere in OpenStreetMap's hierarchy.
    """
    if rule == "any":
        return False
    kept_out = _PUBLIC_ONLY if rule == "public" else PRIVATE
    return tags.get("foot", tags.get("access", "yes")) in kept_out


def is_ended(tags: Mapping[str, str], category: Category) -> bool:
    """
    Tell whether the use is over or has not begun.

    ``disused=yes`` ends the object; ``disused:shop=bakery`` ends the bakery. A former use of another kind
    beside the present one (``disused:shop=bakery`` on a café) does not.
    """
    for prefix in _ENDED:
        if tags.get(prefix) == "yes":
            return True
        for key in category.osm:
            former = tags.get(f"{prefix}:{key}")
            if former is not None and former in (tags.get(key), "yes"):
                return True
    return tags.get("operational_status") in {"closed", "out_of_order", "abandoned"}


def former_use(tags: Mapping[str, str], category: Category) -> bool:
    """Tell whether a former use (``disused:shop=bakery``) would make the object a place of the category."""
    bare = {
        key.split(":", 1)[1]: value
        for key, value in tags.items()
        if key.startswith("disused:") and key.split(":", 1)[1] in category.osm
    }
    return bool(bare) and category.matches({**tags, **bare})


def is_closed(tags: Mapping[str, str]) -> bool:
    """Tell whether the opening hours say that the place never opens (``off``, ``closed``, ``24/7 off``)."""
    hours = tags.get("opening_hours")
    return hours is not None and _CLOSED.fullmatch(hours) is not None
