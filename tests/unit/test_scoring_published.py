"""Published bands stand beside our figures, where both exist."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.published import beside_published
from engine.scoring import city_summary

CELLS = pd.DataFrame(
    {"population": [95.0, 5.0], "walk_bakery_minutes": [3.0, 7.0], "walk_green_minutes": [5.0, 33.0]}
)


def test_ours_beside_the_band() -> None:
    """Means over both categories: 4 min for 95 residents, 20 for 5."""
    summary = city_summary(CELLS) | {"green_ladder": {"green_01ha_300m": {"share": 0.7}}}
    table = beside_published(summary, city="Paris, whole city")
    assert table["ours"].tolist() == pytest.approx([0.95, (95 * 4 + 5 * 20) / 100, 0.95, 0.7])
    assert table["published_high"].tolist() == [0.97, 8.0, 0.93, 0.6]
    assert (table["differs"].str.len() > 20).all()


def test_reasons_of_the_run_itself_are_told() -> None:
    summary = city_summary(CELLS.drop(columns="population"))
    summary |= {"area_km2": 2.5, "places": {"bakery": {"found": 7}}, "categories_counted": ["green"]}
    bakery, mean, share = beside_published(summary, city="Paris, a quarter")["differs"]
    for text in (bakery, mean, share):
        assert "Ours is a share of cells" in text
        assert "Ours covers 2.5 of the city's 105 km²" in text
    assert "This run knows 7 places" in bakery
    assert "Categories here: green 19.0 min." in mean
    whole = beside_published(city_summary(CELLS) | {"area_km2": 105.0}, city="Paris")["differs"]
    assert not whole.str.contains("Ours ").any()


def test_only_for_the_city_and_the_figures_of_the_run() -> None:
    assert beside_published(city_summary(CELLS), city="Porto").empty
    assert len(beside_published(city_summary(CELLS, categories=["green"]), city="paris")) == 2
