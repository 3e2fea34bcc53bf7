"""Conditional tags (``no @ (Mo-Fr 07:00-19:00)``), read at one declared moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from engine.errors import InputError

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")

_CLAUSE = re.compile(r"([^@;]+)@\s*(\((?:[^()]*)\)|[^;]+)")
_SPAN = re.compile(r"^(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?$")
_VEHICLE = re.compile(
    r"^(maxweight|weight|height|width|length|axles|axleload|hgv|bus|psv|trailer|weightrating)\b"
)


@dataclass(frozen=True)
class Moment:
    """A weekday (0 Monday … 6 Sunday) and a minute of the day."""

    day: int
    minute: int


@lru_cache(maxsize=16)
def parse_moment(text: str) -> Moment:
    """
    Read a weekday and a time.

    Raises
    ------
    InputError
        The text is not of the form ``Tu 10:00``.

    Examples
    --------
    >>> parse_moment("Tu 10:00")
    Moment(day=1, minute=600)
    """
    match = re.fullmatch(r"\s*([A-Za-z]{2})\s+(\d{1,2}):(\d{2})\s*", text)
    if not match or match[1].lower() not in DAYS or int(match[2]) > 24 or int(match[3]) > 59:
        msg = f"moment is {text!r}; expected a weekday and a time such as 'Tu 10:00'"
        raise InputError(msg)
    return Moment(DAYS.index(match[1].lower()), int(match[2]) * 60 + int(match[3]))


def conditional_value(text: str, moment: Moment) -> str:
    """
    Value of a conditional tag at a moment.

    Parameters
    ----------
    text
        Clauses ``value @ (condition)`` separated by semicolons; a later clause that holds overrides an
        earlier one.
    moment
        When.

    Returns
    -------
    str
        The value, or an empty text where no clause holds. Conditions on weekdays and times are evaluated;
        conditions on a vehicle's weight or size never hold for a car or a bicycle; any other condition
        (seasons, weather, permits) is taken not to hold.

    Examples
    --------
    >>> conditional_value("no @ (Mo-Fr 07:00-19:00)", parse_moment("Tu 10:00"))
    'no'
    >>> conditional_value("no @ (Mo-Fr 07:00-19:00)", parse_moment("Su 10:00"))
    ''
    """
    result = ""
    for value, condition in _CLAUSE.findall(text.lower()):
        if holds(condition.strip().strip("()"), moment):
            result = value.strip()
    return result


def holds(condition: str, moment: Moment) -> bool:
    """Whether a condition holds: alternatives by semicolon, all parts of an ``AND``."""
    return any(
        all(_simple(part.strip(), moment) for part in re.split(r"\band\b", rule))
        for rule in condition.split(";")
        if rule.strip()
    )


def _simple(text: str, moment: Moment) -> bool:
    if _VEHICLE.match(text):
        return False
    if text in {"24/7", "always"}:
        return True
    match = re.match(
        r"^((?:(?:mo|tu|we|th|fr|sa|su|ph|sh)(?:\s*-\s*(?:mo|tu|we|th|fr|sa|su))?\s*,?\s*)+)(.*)$", text
    )
    days, times = (match[1], match[2].strip()) if match else ("", text)
    spans = [_SPAN.match(part.strip()) for part in times.split(",")] if times else []
    if any(span is None for span in spans):
        return False
    minutes = [_minutes(span) for span in spans if span]
    today, before = _on(days, moment.day), _on(days, (moment.day - 1) % 7)
    if not minutes:
        return bool(days) and today
    return any(
        (today and start <= moment.minute < stop)
        or (stop <= start and ((today and moment.minute >= start) or (before and moment.minute < stop)))
        for start, stop in minutes
    )


def _minutes(span: re.Match[str]) -> tuple[int, int]:
    return int(span[1]) * 60 + int(span[2] or 0), int(span[3]) * 60 + int(span[4] or 0)


def _on(days: str, day: int) -> bool:
    """Whether a list of weekdays and ranges of them holds a day; an empty list holds every day."""
    if not days:
        return True
    for part in days.split(","):
        ends = [end.strip() for end in part.strip().split("-")]
        if all(end in DAYS for end in ends):
            first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
            if (first <= day <= last) if first <= last else (day >= first or day <= last):
                return True
    return False
