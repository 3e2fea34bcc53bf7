"""School levels: what the tags and open-data files say, in four words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LEVELS = ("kindergarten", "primary", "lower_secondary", "upper_secondary")
"""ISCED 2011 levels 0 to 3 (UNESCO Institute for Statistics)."""

_ISCED = {"0": 0, "1": 1, "2": 2, "3": 3}
_FRENCH = {
    "maternelle": (0,),
    "élémentaire": (1,),
    "elementaire": (1,),
    "primaire": (0, 1),
    "collège": (2,),
    "college": (2,),
    "secondaire": (2, 3),
    "lycée": (3,),
    "lycee": (3,),
}
_WORDS = {
    "preschool": (0,),
    "pre-school": (0,),
    "kindergarten": (0,),
    "nursery": (0,),
    "primary": (1,),
    "elementary": (1,),
    "secondary": (2, 3),
    "lower_secondary": (2,),
    "middle": (2,),
    "upper_secondary": (3,),
    "high": (3,),
}


def school_levels(tags: Mapping[str, str]) -> tuple[str, ...]:
    """
    Levels that a school offers, by ``isced:level``, ``school:FR``, ``school`` and ``amenity=kindergarten``.

    Parameters
    ----------
    tags
        Tags of a school. A level that is not mapped is not guessed from the name.

    Returns
    -------
    tuple of str
        Some of `LEVELS`, youngest first; empty where unknown.

    Examples
    --------
    >>> school_levels({"amenity": "school", "school:FR": "primaire"})
    ('kindergarten', 'primary')
    >>> school_levels({"amenity": "school", "isced:level": "1-2"})
    ('primary', 'lower_secondary')
    """
    found: set[int] = set(_isced(tags.get("isced:level", "")))
    for word in _split(tags.get("school:FR", "")):
        found.update(_FRENCH.get(word, ()))
    for word in _split(tags.get("school", "")):
        found.update(_WORDS.get(word, ()))
    if tags.get("amenity") == "kindergarten":
        found.add(0)
    return tuple(LEVELS[i] for i in sorted(found))


def level_words(text: str) -> tuple[str, ...]:
    """
    Levels that a column of a file names: ours (``primary;lower_secondary``) or words of a school's description.

    Examples
    --------
    >>> level_words("primary"), level_words("École maternelle")
    (('primary',), ('kindergarten',))
    """
    own = [part.strip() for part in text.split(";")]
    return tuple(x for x in LEVELS if x in own) or levels_from_text(text)


def levels_from_text(text: str) -> tuple[str, ...]:
    """
    Levels that an open-data description names (``École élémentaire``, ``COLLEGE``).

    Examples
    --------
    >>> levels_from_text("Collège Lavoisier")
    ('lower_secondary',)
    """
    words = {word.strip(".,()").lower() for word in text.split()}
    found = {level for word in words for level in (*_FRENCH.get(word, ()), *_WORDS.get(word, ()))}
    return tuple(LEVELS[i] for i in sorted(found))


def _split(value: str) -> Iterable[str]:
    return (part.strip().lower() for part in value.replace(",", ";").split(";"))


def _isced(value: str) -> Iterable[int]:
    """Levels of ``0;1``, ``1-3`` or ``2``; levels above 3 are not schools of the compulsory kind."""
    for part in value.replace(",", ";").split(";"):
        first, _, last = part.strip().partition("-")
        if first in _ISCED and (not last or last in _ISCED):
            yield from range(_ISCED[first], (_ISCED[last] if last else _ISCED[first]) + 1)
