"""What the engine says of edits, said again in the language of the page."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.errors import InputError
from pipelines.proposals import Base, open_base, resolve_proposal
from ui.drafting import Draft, draft_from_file, link_edit, point_edit
from ui.language import Translator
from ui.runs import Run
from ui.sentences import in_words
from ui.views.mapping import site_labels

T = Translator("fr")
SEA = (24.0, 59.0)
STREET, OTHER = (24.944, 60.1715), (24.9445, 60.1722)


@pytest.fixture(scope="module")
def base(run: Run) -> Base:
    return open_base(run.directory)


def words(sentence: str) -> str:
    return in_words(sentence, T, name=lambda category: T.known("category", category))


@pytest.mark.parametrize(
    ("feature", "begins"),
    [
        (point_edit("add_amenity", *SEA, category="shops"), "La modification 1 est à plus de"),
        (link_edit(SEA, (24.001, 59.0)), "La modification 1 ne relie pas deux rues, à pied"),
        (point_edit("change_street", *SEA, speed_kmh=20.0), "La modification 1 ne désigne aucune rue"),
        (point_edit("remove_amenity", *SEA, category="schools"), "Modification 1 : aucun lieu à moins de"),
    ],
)
def test_what_cannot_be_done_is_said_in_french(base: Base, feature: dict[str, object], begins: str) -> None:
    with pytest.raises(InputError) as error:
        resolve_proposal(base, Draft("A").adding(feature).proposal)
    assert words(str(error.value)).startswith(begins), str(error.value)


@pytest.mark.parametrize(
    ("feature", "says"),
    [
        (point_edit("add_amenity", *STREET, category="shops"), "Un lieu a été ajouté : commerces."),
        (link_edit(STREET, OTHER), "Une rue a été ajoutée."),
        (
            point_edit("change_street", *STREET, speed_kmh=4.0, modes=["walk"]),
            "Rues modifiées : à pied 1 sur 1.",
        ),
    ],
)
def test_what_was_done_is_said_in_french(base: Base, feature: dict[str, object], says: str) -> None:
    steps = resolve_proposal(base, Draft("A").adding(feature).proposal).steps
    assert [words(s.says) for s in steps] == [says]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"x", "pas du JSON"), (b"[]", "pas une proposition"), (b" " * 2_100_000, "Le fichier fait 2,1")],
)
def test_a_file_that_is_none_is_refused_in_french(content: bytes, says: str) -> None:
    with pytest.raises(InputError) as error:
        draft_from_file(content, name="A")
    assert says in words(str(error.value)), str(error.value)


def test_a_sentence_of_another_form_stays_as_it_is() -> None:
    assert words("feature 3: something else") == "feature 3: something else"
    assert words('feature 3 ("<b>"): no street of the run is meant; x').startswith(
        'La modification 3 ("<b>")'
    )


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Charging station: exists today", "Rue Monge: new, number 7"]),
        ("fr", ["Station de recharge : existe aujourd’hui", "Rue Monge : nouveau, numéro 7"]),
    ],
)
def test_a_site_under_the_pointer_is_named_in_words(language: str, said: list[str]) -> None:
    table = pd.DataFrame(
        {"kind": "chargers", "name": ["", "Rue Monge"], "locked": [True, False], "rank": [0, 7]}
    )
    assert site_labels(Translator(language), table) == said
