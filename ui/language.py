"""French and English: texts by key, numbers and minutes as each language writes them."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = ("fr", "en")
_TEXTS = Path(__file__).parent / "texts"
_MISSING = "–"
# Thousands and decimal signs: French typography sets a narrow no-break space and a comma.
_THOUSANDS = {"fr": "\u202f", "en": ","}
_DECIMAL = {"fr": ",", "en": "."}


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language, keyed ``table.key``."""
    with (_TEXTS / f"{language}.toml").open("rb") as file:
        tables = tomllib.load(file)
    return {f"{table}.{key}": text for table, entries in tables.items() for key, text in entries.items()}


def inside(name: str) -> str:
    """
    A name as it stands inside a sentence: without its capital, unless it is written in capitals.

    Examples
    --------
    >>> inside("Green space"), inside("TRILIB stations")
    ('green space', 'TRILIB stations')
    """
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


class Translator:
    """Texts and numbers of one language: ``t("legend.unreachable")``, ``t.number(1234.5, 1)``."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._texts = texts(self.language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with ``{names}`` filled in; an unknown key is a KeyError, which tests find."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def known(self, table: str, name: str) -> str:
        """The text ``table.name`` where there is one, else the name itself with its underscores as spaces."""
        return self._texts.get(f"{table}.{name}") or name.replace("_", " ").capitalize()

    def counted(self, key: str, count: float, **values: object) -> str:
        """The text of a key with ``{count}`` filled in: its form ``key_one`` for one, where there is such."""
        one = count < 2 if self.language == "fr" else count == 1
        form = f"{key}_one" if one and f"{key}_one" in self._texts else key
        return self(form, count=self.number(count), **values)

    def number(self, value: float | None, decimals: int = 0) -> str:
        """A number in the language's own signs, a dash where it is missing or infinite."""
        if value is None or not math.isfinite(value):
            return _MISSING
        text = f"{value:,.{decimals}f}"
        signs = str.maketrans({",": _THOUSANDS[self.language], ".": _DECIMAL[self.language], "-": "\u2212"})
        return text.translate(signs)

    def share(self, part: float, whole: float, decimals: int = 0) -> str:
        """A percentage with its sign, a dash where the whole is zero."""
        if not whole:
            return _MISSING
        gap = "\u202f" if self.language == "fr" else ""
        return f"{self.number(100 * part / whole, decimals)}{gap}%"

    def date(self, stamp: str) -> str:
        """The day of an ISO date or time in words; another text as it is."""
        try:
            day = dt.date.fromisoformat(stamp[:10])
        except ValueError:
            return stamp
        first = self.language == "fr" and day.day == 1
        return f"{day.day}{'er' if first else ''} {self('date.months').split()[day.month - 1]} {day.year}"

    def said(self, table: str, sentence: str) -> str:
        """The text for a sentence of a run's files, found by its words; the sentence itself where there is none."""
        key = "_".join("".join(c if c.isalnum() else " " for c in sentence.lower()).split())
        return self._texts.get(f"{table}.{key}", sentence)

    def minutes(self, value: float | None) -> str:
        """A time in minutes with one decimal and its unit."""
        text = self.number(value, 1)
        return text if text == _MISSING else f"{text}\u00a0min"
