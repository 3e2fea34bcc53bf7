"""French and English say the same things, each in its own signs."""

from __future__ import annotations

import string

import pytest

from ui.language import Translator, texts
from ui.views.text import plain


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_every_text_with_the_same_fields() -> None:
    english, french = texts("en"), texts("fr")
    assert english.keys() == french.keys()
    for key, text in english.items():
        assert fields(text) == fields(french[key]), key
        assert french[key].strip(), key


def test_french_is_french() -> None:
    same = [k for k, v in texts("en").items() if texts("fr")[k] == v and len(v) > 12]
    assert set(same) <= {"map.minutes"}


@pytest.mark.parametrize(
    ("value", "decimals", "french", "english"),
    [
        (1234567.891, 1, "1\u202f234\u202f567,9", "1,234,567.9"),
        (-5.25, 1, "\u22125,2", "\u22125.2"),
        (0, 0, "0", "0"),
        (float("nan"), 0, "–", "–"),
        (float("inf"), 2, "–", "–"),
        (None, 0, "–", "–"),
    ],
)
def test_numbers_in_their_own_signs(value: float | None, decimals: int, french: str, english: str) -> None:
    assert Translator("fr").number(value, decimals) == french
    assert Translator("en").number(value, decimals) == english


def test_shares_and_minutes() -> None:
    assert Translator("en").share(1, 4) == "25%"
    assert Translator("fr").share(1, 4) == "25\u202f%"
    assert Translator("fr").share(1, 0) == "–"
    assert Translator("fr").minutes(7.25) == "7,2\u00a0min"
    assert Translator("en").minutes(float("nan")) == "–"


def test_an_unknown_text_is_an_error_and_an_unknown_name_is_shown() -> None:
    t = Translator("en")
    with pytest.raises(KeyError):
        t("no.such")
    assert t.known("category", "shops") == "Shops"
    assert t.known("category", "swimming_pools") == "Swimming pools"


def test_an_unknown_language_is_english() -> None:
    assert Translator("xx").language == "en"


def test_text_from_data_is_never_markup() -> None:
    assert plain("[a](javascript:x) **b**\n# c <i>") == r"\[a\]\(javascript\:x\) \*\*b\*\* \# c \<i\>"


def test_sentences_of_a_run_are_said_in_its_language_or_left() -> None:
    method = "greedy, exchange search with perturbations; Lagrangian bound"
    assert Translator("fr").said("searched", method).startswith("choix glouton")
    assert Translator("en").said("searched", method) == method
    assert Translator("fr").said("searched", "something *new*") == "something *new*"


def test_one_is_not_many() -> None:
    assert Translator("en").counted("head.cells", 1) == "1 cell"
    assert Translator("en").counted("head.cells", 0) == "0 cells"
    assert Translator("fr").counted("head.cells", 0) == "0 maille"
    assert Translator("fr").counted("head.cells", 1200) == "1\u202f200 mailles"


@pytest.mark.parametrize(
    ("language", "stamp", "words"),
    [
        ("fr", "2020-07-20T10:27:03Z", "20 juillet 2020"),
        ("fr", "2021-08-01", "1er août 2021"),
        ("en", "2021-08-01", "1 August 2021"),
        ("en", "spring 2019", "spring 2019"),
    ],
)
def test_a_date_is_written_in_words(language: str, stamp: str, words: str) -> None:
    assert Translator(language).date(stamp) == words
