"""The words of the dossier in English and French, and numbers as each language writes them."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Language = Literal["en", "fr"]
LANGUAGES: tuple[str, ...] = get_args(Language)

_THIN = " "

_TEXTS = Path(__file__).resolve().parent / "texts"


@cache
def words_of(language: str) -> dict[str, str]:
    """Every word of the dossier in a language, by key."""
    return dict(tomllib.loads((_TEXTS / f"dossier.{language}.toml").read_text("utf-8")))


_DEEDS = (
    (r"^a place of (\S+) added$", r"un lieu ajouté : \1"),
    (r"^a street added$", "une rue ajoutée"),
    (r"^a speed limit for an area$", "une limite de vitesse pour un secteur"),
    (r"^streets closed: ", "rues fermées : "),
    (r"^streets changed: ", "rues modifiées : "),
    (r"^(.+) removed$", r"\1 : supprimé"),
    (r"^(.+) resized$", r"\1 : autre capacité"),
    (r"streets changed in the area: ", "rues modifiées dans le secteur : "),
    (r"less stress for cycling", "moins de stress à vélo"),
    (r"stress of cycling not known for these streets", "stress à vélo inconnu pour ces rues"),
    (r"(\d+) of (\d+)", r"\1 sur \2"),
    (r"^feature (\d+)", r"modification \1"),
    (r"joins no street of (.+); left out there", r"ne rejoint aucune rue (\1) ; y est omis"),
    (r"farther than (\S+) m from any street of ", r"à plus de \1 m de toute rue : "),
)
"""What `engine.proposals.resolve` says, in French."""


class Speech:
    """
    Words and numbers in one language.

    Parameters
    ----------
    language
        ``en`` or ``fr``.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = words_of(language)
        self._deeds = _DEEDS if language == "fr" else ()

    def __call__(self, key: str, **values: Any) -> str:
        """The words of a key, with values filled in."""
        return self._words[key].format(**values)

    def known(self, key: str) -> str:
        """The words of a key, the key itself where there are none."""
        return self._words.get(key, key)

    def deed(self, text: str) -> str:
        """What the resolver says of an edit, with modes by their names and in this language."""
        for pattern, found in self._deeds:
            text = re.sub(pattern, found, text)
        return re.sub(r"\b(walk|bike_calm|bike|street30)\b", lambda m: self.known(m[0]).lower(), text)

    def number(self, value: float | None, digits: int = 0, *, signed: bool = False) -> str:
        """A number; a dash where it is unknown."""
        if value is None or value != value:  # noqa: PLR0124 - NaN
            return "–"
        rounded = round(value, digits) + 0.0
        sign = "−" if rounded < 0 else "+" if signed and rounded > 0 else ""
        text = f"{abs(rounded):,.{digits}f}"
        if self.language == "fr":
            text = text.replace(",", _THIN).replace(".", ",")
        return sign + text

    def money(self, value: float | None) -> str:
        """An amount [EUR]: cents where they matter."""
        return self.number(value, 0 if value is None or value >= 100 else 2)

    def percent(self, share: float) -> str:
        """A share as a percentage."""
        return f"{self.number(100 * share)} %"
