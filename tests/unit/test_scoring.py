"""Scores and the figures of a city, solved by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from engine.errors import InputError, SchemaError
from engine.scoring import (
    Decay,
    categories_of,
    categories_within,
    city_summary,
    fifteen_minute_score,
    modes_of,
    score_cells,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("minutes", "worth"),
    [
        (0, 1),
        (5, 1),
        (7.5, 0.875),
        (10, 0.75),
        (15, 0.5),
        (22.5, 0.25),
        (30, 0),
        (99, 0),
        (NAN, 0),
        (math.inf, 0),
    ],
)
def test_the_default_decay_by_hand(minutes: float, worth: float) -> None:
    assert Decay().weight(minutes) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("kind", "at_half"),
    [
        ("piecewise", 0.5),
        ("step", 1),
        ("linear", 0.5),
        ("exponential", 0.5),
        ("gaussian", 0.5),
        ("power", 0.5),
    ],
)
def test_every_decay_has_its_half_where_it_says(kind: str, at_half: float) -> None:
    decay = Decay(kind)  # type: ignore[arg-type]
    assert decay.weight(0) == pytest.approx(1)
    assert decay.weight(15) == pytest.approx(at_half)
    assert decay.weight(NAN) == 0


def test_the_step_includes_its_boundary() -> None:
    assert Decay("step").weight([15, 15.0001]).tolist() == [1, 0]


def test_the_logistic_is_a_soft_threshold() -> None:
    decay = Decay("logistic", spread_min=3)
    assert decay.weight(0) == pytest.approx(1)
    assert decay.weight(15) == pytest.approx(0.5 * (1 + math.exp(-5)))
    assert decay.weight(1e6) == pytest.approx(0)


def test_a_steep_piecewise_decay_is_a_step() -> None:
    decay = Decay(full_min=15, half_min=15, zero_min=15)
    assert decay.weight([14.9, 15, 15.1]).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {"full_min": 16},
        {"zero_min": 14},
        {"half_min": 0, "full_min": 0},
        {"full_min": -1},
        {"spread_min": 0},
        {"exponent": NAN},
        {"zero_min": NAN},
        {"zero_min": np.inf},
        {"half_min": np.inf, "zero_min": np.inf},
        {"spread_min": np.inf},
        {"exponent": np.inf},
        {"exponent": 0},
    ],
)
def test_decays_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        Decay(**wrong)


def test_times_below_zero_are_refused() -> None:
    with pytest.raises(InputError, match="0 or more"):
        Decay().weight([-1.0])


def test_the_score_by_hand() -> None:
    """Shops at 5, schools at 15, green out of reach, weights 2, 1, 1: (2·1 + ½ + 0) / 4."""
    assert fifteen_minute_score([[5, 15, NAN]], weights=[2, 1, 1]) == pytest.approx([62.5])
    assert fifteen_minute_score([[0, 0, 0]]) == pytest.approx([100])
    assert fifteen_minute_score([[NAN, 40, 30]]) == pytest.approx([0])
    assert fifteen_minute_score([[5, NAN]], weights=[1, 0]) == pytest.approx([100])


@pytest.mark.parametrize("weights", [[1], [0, 0], [1, -1], [NAN, 1]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="weights are"):
        fifteen_minute_score([[1.0, 2.0]], weights=weights)


def test_within_includes_the_threshold() -> None:
    assert categories_within([[15, 15.01, NAN], [1, 2, 3]]).tolist() == [1, 3]
    assert categories_within([[15.0]], threshold_min=10).tolist() == [0]


def cells(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


TOWN = {
    "h3_cell": ["a", "b", "c", "d"],
    "population": [100.0, 50.0, 30.0, 20.0],
    "no_network": [False, False, False, True],
    "edge_affected": [False, True, False, False],
    "walk_shops_minutes": [5.0, 15.0, 20.0, NAN],
    "walk_shops_p90_minutes": [6.0, 16.0, 21.0, NAN],
    "walk_shops_second_minutes": [9.0, 19.0, 29.0, NAN],
    "walk_green_minutes": [10.0, 16.0, NAN, NAN],
    "bike_shops_minutes": [1.0, 2.0, 3.0, NAN],
    "walk_notes": ["", "", "", ""],
}


def test_columns_tell_modes_and_categories() -> None:
    table = cells(**TOWN)
    assert modes_of(table) == ["walk", "bike"]
    assert categories_of(table, mode="walk") == ["shops", "green"]


def test_cells_are_scored_in_every_mode() -> None:
    scored = score_cells(cells(**TOWN), weights={"shops": 1.0, "green": 1.0}, modes=["walk"])
    assert scored["walk_score"].tolist()[:3] == pytest.approx([87.5, (0.5 + 0.5 * 14 / 15) * 50, 100 / 6])
    assert scored["walk_within_15"].tolist()[:3] == [2, 1, 0]
    assert scored.iloc[3].isna().all()
    assert scored["walk_within_15"].dtype == "Int16"


def test_a_category_of_weight_zero_is_neither_scored_nor_counted() -> None:
    scored = score_cells(cells(**TOWN), weights={"shops": 1.0, "green": 0.0}, modes=["walk"])
    assert scored["walk_score"].tolist()[:3] == pytest.approx([100, 50, 100 / 3])
    assert scored["walk_within_15"].tolist()[:3] == [1, 1, 0]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match="bike_green_minutes"):
        score_cells(cells(**TOWN), weights={"shops": 1.0, "green": 1.0})


def test_the_city_by_hand() -> None:
    """
    200 residents: 100 at 5 min, 50 at 15, 30 at 20, 20 without a street.

    Served 150 of 200; the mean of those who reach a shop is (500 + 750 + 600) / 180.
    """
    town = cells(**TOWN)
    scored = pd.concat([town, score_cells(town, weights={"shops": 1, "green": 1}, modes=["walk"])], axis=1)
    summary = city_summary(scored, modes=["walk"])
    assert summary["weighted_by"] == "residents"
    assert (summary["population"], summary["population_no_network"]) == (200, 20)
    assert (summary["cells"], summary["cells_no_network"], summary["cells_edge_affected"]) == (4, 1, 1)
    shops = summary["modes"]["walk"]["categories"]["shops"]
    assert (shops["served"], shops["share"], shops["share_5"], shops["share_10"]) == (150, 0.75, 0.5, 0.5)
    assert shops["share_unreachable"] == pytest.approx(0.1)
    assert shops["mean_minutes"] == pytest.approx(1850 / 180)
    assert shops["median_minutes"] == 5
    assert shops["p90_minutes"] == 20
    assert shops["equity"]["worst_decile"] == 30
    assert shops["equity"]["fgt0"] == pytest.approx(0.25)
    assert shops["equity"]["fgt1"] == pytest.approx((30 * 5 / 15 + 20 * 1) / 200)
    walk = summary["modes"]["walk"]
    assert (walk["all_served"], walk["all_share"]) == (100, 0.5)
    assert walk["score_mean"] == pytest.approx(
        (100 * 87.5 + 50 * (0.5 + 0.5 * 14 / 15) * 50 + 30 * 100 / 6) / 180
    )
    assert walk["within_15_mean"] == pytest.approx((200 + 50) / 180)


def test_a_category_that_does_not_count_is_shown_and_moves_no_figure_of_the_mode() -> None:
    both = city_summary(cells(**TOWN), modes=["walk"])["modes"]["walk"]
    names = list(both["categories"])
    one = city_summary(cells(**TOWN), modes=["walk"], counted=names[:1])["modes"]["walk"]
    assert list(one["categories"]) == names
    assert one["all_share"] == one["categories"][names[0]]["share"] != both["all_share"]
    assert one["mean_minutes"] == pytest.approx(one["categories"][names[0]]["mean_minutes"])


def test_without_people_cells_with_streets_count() -> None:
    town = cells(**TOWN).drop(columns="population")
    for table in (town, town.assign(population=NAN), town.assign(population=0.0)):
        summary = city_summary(table, modes=["walk"])
        assert summary["weighted_by"] == "cells"
        assert summary["population"] is None
        shops = summary["modes"]["walk"]["categories"]["shops"]
        assert (shops["served"], shops["share"]) == (2, pytest.approx(2 / 3))


def test_income_adds_the_measures_by_income() -> None:
    town = cells(**TOWN).assign(DEC_MED18=[1000.0, 2000.0, NAN, 4000.0])
    assert "concentration" not in str(city_summary(town, modes=["walk"]))
    equity = city_summary(town, modes=["walk"], income="DEC_MED18")["modes"]["walk"]["categories"]["shops"][
        "equity"
    ]
    assert {"concentration", "palma_income"} <= set(equity)


def test_the_summary_is_json_and_says_null_for_what_has_no_meaning() -> None:
    empty = cells(h3_cell=[], population=[], walk_shops_minutes=[]).astype({"walk_shops_minutes": float})
    text = json.dumps(city_summary(empty, modes=["walk"]), allow_nan=False)
    assert '"share": null' in text
    everything = city_summary(cells(**TOWN))
    json.dumps(everything, allow_nan=False)
    assert list(everything["modes"]) == ["walk", "bike"]


def test_numpy_scalars_do_not_leak() -> None:
    def leaves(x: object) -> list[object]:
        return [y for v in x.values() for y in leaves(v)] if isinstance(x, dict) else [x]

    assert not [x for x in leaves(city_summary(cells(**TOWN))) if isinstance(x, np.generic)]
