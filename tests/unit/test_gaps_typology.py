"""Types of cells: what they are called, and that nothing but the data decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.errors import InputError
from engine.typology import CLOSE, cell_types

NAN = float("nan")
EN = {"shops": "Shops", "green": "Green space", "schools": "Schools"}
FR = {"shops": "Commerces", "green": "Espaces verts", "schools": "Écoles"}


def city(*rows: tuple[int, tuple[float, float, float]], **columns: list[object]) -> pd.DataFrame:
    """Blocks of cells with the same minutes to shops, green space and schools."""
    times = np.concatenate([np.tile(minutes, (n, 1)) for n, minutes in rows])
    names = ["walk_shops_minutes", "walk_green_minutes", "walk_schools_minutes"]
    return pd.DataFrame(times, columns=names).assign(**columns)


def test_four_quarters_have_the_names_a_person_would_give() -> None:
    table = city(
        (10, (3, 4, 5)), (10, (12, 13, 14)), (10, (5, 25, 5)), (10, (NAN, 40, 35)), (10, (6, 28, 26))
    )
    found = cell_types(table, mode="walk", labels_en=EN, labels_fr=FR)
    assert found.types["name_en"].tolist() == [
        "Everything close by",
        "All but green space",
        "Everything within a quarter of an hour",
        "Only shops in reach",
        "Far from everything",
    ]
    assert found.types["name_fr"].tolist() == [
        "Tout à deux pas",
        "Il manque : espaces verts",
        "Tout à un quart d'heure",
        "Seulement : commerces",
        "Loin de tout",
    ]
    assert found.cells.tolist() == [0] * 10 + [2] * 10 + [1] * 10 + [4] * 10 + [3] * 10
    assert found.types["cells"].tolist() == [10] * 5
    assert found.types["shops_minutes"].isna().tolist() == [False] * 4 + [True]


def test_two_things_lacking_are_both_named() -> None:
    found = cell_types(
        city((4, (3, 3, 3)), (4, (20, 3, 3))).assign(walk_x_minutes=[3.0] * 4 + [22.0] * 4), mode="walk"
    )
    assert found.types["name_en"].tolist() == ["Everything close by", "All but shops and x"]


def test_a_name_in_capitals_keeps_them_inside_a_sentence() -> None:
    found = cell_types(
        city((4, (3, 3, 3)), (4, (20, 3, 3))),
        mode="walk",
        labels_en={"shops": "TRILIB points", "green": "Parks"},
    )
    assert "All but TRILIB points" in found.types["name_en"].tolist()


def test_labels_with_an_and_of_their_own_are_told_apart() -> None:
    labels = {
        "shops": "Shops for daily needs",
        "green": "Green space",
        "schools": "Schools and kindergartens",
    }
    french = {"shops": "S'approvisionner", "green": "Espaces verts", "schools": "Écoles et crèches"}
    table = city((4, (3, 3, 3)), (4, (20, 3, 20))).assign(walk_x_minutes=3.0)
    found = cell_types(table, mode="walk", labels_en=labels, labels_fr=french)
    assert found.types["name_en"].tolist()[1] == "All but shops for daily needs; schools and kindergartens"
    assert found.types["name_fr"].tolist()[1] == "Il manque : s'approvisionner\u00a0; écoles et crèches"


def test_a_name_never_contradicts_the_median_beside_it() -> None:
    """Two of three cells are 16 min from a shop, the third is above it: the mean worth is over half."""
    table = city((1, (1, 3, 3)), (2, (16, 3, 3)))
    found = cell_types(table, mode="walk", labels_en=EN, count=1).types
    assert (found["name_en"].tolist(), found["shops_minutes"].tolist()) == (["All but shops"], [16.0])
    assert found["shops_worth"].iloc[0] > 0.5
    longer = cell_types(table, mode="walk", labels_en=EN, labels_fr=FR, count=1, threshold_min=20).types
    assert longer["name_en"].tolist() == ["Everything within 20 minutes"]
    assert longer["name_fr"].tolist() == ["Tout à 20 minutes"]


def test_groups_of_one_name_are_one_type() -> None:
    found = cell_types(city((5, (1, 1, 1)), (5, (5, 8, 8)), (5, (7, 5, 5))), mode="walk")
    assert found.types["name_en"].tolist() == ["Everything close by"]
    assert found.types["cells"].tolist() == [15]


@pytest.mark.parametrize(
    ("minutes", "name"),
    [
        ((15, 15, 15), "Everything within a quarter of an hour"),
        ((15, 15, 15.01), "All but schools"),
        ((15.01, 15.01, 15), "Only schools in reach"),
        ((15.01, 15.01, 15.01), "Far from everything"),
        ((15 * CLOSE, 15 * CLOSE, 15 * CLOSE), "Everything close by"),
        ((15 * CLOSE, 15 * CLOSE, 15 * CLOSE + 0.01), "Everything within a quarter of an hour"),
    ],
)
def test_a_median_of_just_the_limit_is_within_it(minutes: tuple[float, float, float], name: str) -> None:
    assert cell_types(city((3, minutes)), mode="walk", labels_en=EN).types["name_en"].tolist() == [name]


def test_of_two_things_the_one_that_lacks_is_named() -> None:
    table = city((3, (3, 40, 3)))
    found = cell_types(table, mode="walk", categories=["shops", "green"], labels_en=EN)
    assert found.types["name_en"].tolist() == ["All but green space"]
    assert found.types[["shops_minutes", "green_minutes", "cells"]].to_numpy().tolist() == [[3, 40, 3]]
    assert found.types["shops_worth"].tolist() == [1.0]


def test_no_more_types_than_asked_for() -> None:
    table = city((4, (3, 3, 3)), (4, (40, 3, 3)), (4, (40, 40, 3)), (4, (40, 40, 40)))
    for count in (1, 2, 3, 4):
        assert len(cell_types(table, mode="walk", count=count).types) == count


def test_residents_weigh() -> None:
    table = city((5, (3, 3, 3)), (5, (40, 40, 40)), population=[10.0] * 5 + [2.0] * 5)
    assert cell_types(table, mode="walk").types["residents"].tolist() == [50, 10]


def test_cells_without_streets_have_no_type() -> None:
    table = city((3, (3, 3, 3)), no_network=[False, True, False])
    assert cell_types(table, mode="walk").cells.tolist() == [0, -1, 0]
    nothing = cell_types(table.assign(no_network=True), mode="walk")
    assert nothing.types.empty
    assert nothing.cells.tolist() == [-1] * 3


def test_the_order_of_the_cells_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    table = pd.DataFrame(rng.uniform(2, 40, (300, 3)), columns=[f"walk_{c}_minutes" for c in EN])
    mixed = table.sample(frac=1, random_state=3)
    plain, other = cell_types(table, mode="walk"), cell_types(mixed, mode="walk")
    assert plain.types["name_en"].tolist() == other.types["name_en"].tolist()
    assert plain.cells.tolist() == other.cells.sort_index().tolist()
    assert len(plain.types) > 2


def test_one_cell_and_more_types_than_cells() -> None:
    assert len(cell_types(city((1, (3, 3, 3))), mode="walk", count=7).types) == 1
    with pytest.raises(InputError, match="at least one"):
        cell_types(city((1, (3, 3, 3))), mode="walk", count=0)
    with pytest.raises(InputError, match="at least one"):
        cell_types(city((1, (3, 3, 3))), mode="walk", categories=[])
