"""How much a ranking and a figure depend on what was chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.errors import InputError
from engine.scoring import score_cells
from engine.sensitivity import (
    RankingSensitivity,
    _ranks,
    _unit_mean,
    ranking_sensitivity,
    resolution_panel,
    sensitivity_summary,
)

NAN = float("nan")


def city(n: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "h3_cell": [f"c{i:02d}" for i in range(n)],
            "population": rng.integers(0, 200, n).astype(float),
            "walk_shops_minutes": rng.uniform(2, 28, n),
            "walk_green_minutes": rng.uniform(2, 28, n),
            "neighbourhood": np.where(np.arange(n) < n // 2, "North", "South"),
        }
    )
    return table.assign(**score_cells(table, weights={"shops": 1, "green": 1}))


WEIGHTS = {"shops": 1.0, "green": 1.0}


def test_ranks_run_from_the_best_to_the_worst() -> None:
    found = ranking_sensitivity(city(), mode="walk", weights=WEIGHTS, draws=20)
    table = found.table
    assert table["rank"].tolist() == sorted(table["rank"])
    assert table["score"].tolist() == sorted(table["score"], reverse=True)
    assert (table["rank_low"] <= table["rank_high"]).all()
    assert found.variants["kind"].value_counts().to_dict() == {"weights": 20, "speed": 5, "without": 2}
    assert found.variants["spearman"].between(-1, 1).all()


def test_the_same_seed_gives_the_same_answer_and_another_another() -> None:
    first, again, other = (
        ranking_sensitivity(city(), mode="walk", weights=WEIGHTS, draws=20, seed=s) for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(first.variants, again.variants)
    assert not first.variants.equals(other.variants)


def test_a_dominant_cell_stays_first_whatever_the_weights() -> None:
    table = city()
    table.loc[0, ["walk_shops_minutes", "walk_green_minutes"]] = 1.0
    table.loc[1:, ["walk_shops_minutes", "walk_green_minutes"]] += 7.0
    best = ranking_sensitivity(table, mode="walk", weights=WEIGHTS).table.iloc[0]
    assert (best["unit"], best["rank_low"], best["rank_high"], best["worst_decile_share"]) == ("c00", 1, 1, 0)


def test_leaving_a_category_out_ranks_by_the_other() -> None:
    """Two cells, opposite in two categories: without the one the other decides."""
    table = pd.DataFrame(
        {"h3_cell": ["a", "b"], "walk_x_minutes": [6.0, 20.0], "walk_y_minutes": [21.0, 6.0]}
    )
    found = ranking_sensitivity(table, mode="walk", weights={"x": 1.0, "y": 1.0}, draws=5)
    without = found.variants[found.variants["kind"] == "without"].set_index("variant")["spearman"]
    assert without["x"] == pytest.approx(1)
    assert without["y"] == pytest.approx(-1)


def test_faster_is_better_on_average() -> None:
    variants = ranking_sensitivity(city(), mode="walk", weights=WEIGHTS).variants
    speeds = variants[variants["kind"] == "speed"]["score_mean"].tolist()
    assert speeds == sorted(speeds)


def test_neighbourhoods_are_ranked_by_their_residents() -> None:
    table = pd.DataFrame(
        {
            "h3_cell": ["a", "b", "c"],
            "population": [99.0, 1.0, 0.0],
            "walk_x_minutes": [5.0, 30.0, 15.0],
            "quarter": ["P", "P", "Q"],
        }
    )
    ranked = ranking_sensitivity(table, mode="walk", weights={"x": 1.0}, group="quarter").table
    assert ranked["unit"].tolist() == ["P", "Q"]
    assert ranked["score"].tolist() == pytest.approx([99.0, 50.0])


def test_cells_without_streets_are_left_out() -> None:
    table = city().assign(no_network=[True] + [False] * 39)
    assert "c00" not in set(ranking_sensitivity(table, mode="walk", weights=WEIGHTS, draws=2).table["unit"])


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"weights": {"shops": 0.0}}, {"draws": 0}, {"speed_factors": [0.0]}):
        with pytest.raises(InputError, match="expected all positive"):
            ranking_sensitivity(city(), mode="walk", **{"weights": WEIGHTS, **wrong})


def test_the_panel_shows_how_figures_move() -> None:
    """Fine: 5, 5, 25, 25 minutes, half served. Coarse: two cells of 15 and 15, all served."""
    fine = pd.DataFrame(
        {"h3_cell": list("abcd"), "population": [1.0] * 4, "walk_x_minutes": [5.0, 25.0, 25.0, 5.0]}
    )
    coarse = pd.DataFrame({"h3_cell": list("AB"), "population": [2.0] * 2, "walk_x_minutes": [15.0, 15.0]})
    panel = resolution_panel({10: fine, 9: coarse}).set_index(["mode", "category", "figure"])
    share = panel.loc[("walk", "x", "share")]
    assert (share["r9"], share["r10"], share["spread"]) == (1.0, 0.5, 0.5)
    assert panel.loc[("walk", "x", "mean_minutes"), "spread"] == 0
    assert list(panel.columns) == ["r9", "r10", "spread"]
    assert ("walk", "", "score_mean") not in panel.index


def test_one_resolution_is_no_panel() -> None:
    with pytest.raises(InputError, match="at least two"):
        resolution_panel({10: city()})


def test_a_unit_has_the_mean_of_its_residents_or_of_its_cells() -> None:
    """(10 + 3 · 20) / 4 residents; nobody lives in the second unit: (30 + 50) / 2 cells."""
    found = _unit_mean(
        np.array([10.0, 20.0, 30.0, 50.0]), np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 0, 0]), 2
    )
    assert found.tolist() == [17.5, 40.0]
    assert _ranks(np.array([5.0, 9.0, 5.0, 1.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_figures_that_nobody_knows_are_no_panel() -> None:
    """Cells without streets have no figures: a table without rows, with all its columns."""
    empty = city().assign(population=NAN, no_network=True)
    for column in [c for c in empty.columns if c.startswith("walk_")]:
        empty[column] = NAN
    panel = resolution_panel({9: empty, 8: empty})
    known = panel[panel["spread"].notna()]
    assert list(panel.columns) == ["mode", "category", "figure", "r8", "r9", "spread"]
    assert (known["spread"] == 0).all()
    assert len(panel) == len(known)


def test_the_summary_of_a_ranking_by_hand() -> None:
    """Ten units: the last is the worst tenth; it is firm at 95 % of the variants and not below."""
    kinds = ["speed", "speed", "speed", "weights", "weights", "without", "without"]
    variants = pd.DataFrame(
        {
            "kind": kinds,
            "variant": ["a", "b", "c", "d", "e", "shops", "green"],
            "spearman": [0.9, 0.5, 0.8, NAN, NAN, 0.25, NAN],
            "score_mean": 50.0,
        }
    )
    share = [0.0] * 8 + [1.0, 0.95]
    table = pd.DataFrame({"rank": np.arange(1, 11), "worst_decile_share": share})
    assert sensitivity_summary(RankingSensitivity(table, variants)) == {
        "units": 10,
        "speed": {"spearman_lowest": 0.5, "spearman_median": 0.8},
        "weights": {"spearman_lowest": None, "spearman_median": None},
        "without": {"shops": 0.25, "green": None},
        "worst_tenth": 1,
        "worst_tenth_firm": 2,
    }
    less = table.assign(worst_decile_share=[*share[:9], 0.949])
    assert sensitivity_summary(RankingSensitivity(less, variants))["worst_tenth_firm"] == 1
