"""The programme's measures: bounds that hold, counted again by hand from the run's own tables."""

from __future__ import annotations

import json

import geopandas as gpd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.pages_driver import opened, words
from ui.language import Translator
from ui.programme import (
    Shown,
    bike_km,
    charger_points,
    charger_stations,
    limit30_percent,
    shown,
    sorting_stations,
    targets,
)
from ui.runs import Run
from ui.views.programme import bounds, closing, in_paris

T = Translator("en")


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.key)
def test_low_is_never_above_high(run: Run, target) -> None:  # type: ignore[no-untyped-def]
    found = shown(run, target)
    if found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.high


def test_speed_limits_are_counted_once_a_street(run: Run) -> None:
    edges = gpd.read_parquet(run.directory.path / "network_street30_edges.parquet")
    streets = edges.drop_duplicates("street")
    streets = streets[~streets["major"].astype(bool)]
    slow = streets.loc[streets["maxspeed_kmh"] <= 30, "length_m"].sum()
    unknown = streets.loc[streets["maxspeed_kmh"].isna(), "length_m"].sum()
    total = streets["length_m"].sum()
    found = limit30_percent(run)
    assert found.low == pytest.approx(100 * slow / total)
    assert found.high == pytest.approx(100 * (slow + unknown) / total)


def test_cycleways_are_the_lower_bound(run: Run) -> None:
    edges = gpd.read_parquet(run.directory.path / "network_bike_edges.parquet").drop_duplicates("street")
    assert bike_km(run).low == pytest.approx(
        edges.loc[edges["highway"] == "cycleway", "length_m"].sum() / 1000
    )


def test_sorting_stations_are_those_of_the_run(run: Run) -> None:
    assert sorting_stations(run).high == (run.opportunities["category"] == "sorting").sum()


def test_charging_points_are_those_that_stations_tell(run: Run) -> None:
    places = gpd.read_parquet(run.directory.path / "features.parquet")
    tags = [json.loads(t) for t in places["tags"]]
    stations = [t for t in tags if t.get("amenity") == "charging_station"]
    told = [int(t["capacity"]) for t in stations if "capacity" in t]
    found = charger_points(run)
    assert found.low == sum(told) + len(stations) - len(told)
    assert (found.high is None) == (len(told) < len(stations))
    assert charger_stations(run).low == len(stations)


@pytest.mark.parametrize(
    ("figures", "low", "high"),
    [
        ({"existing_points": 1891.0, "existing_points_unknown": 0, "points": 90}, 1891, 1891),
        ({"existing_points": 12.0, "existing_points_unknown": 3, "points": 90}, 15, None),
        ({}, 4, None),
    ],
)
def test_a_station_that_tells_no_points_has_one_at_least(
    run: Run, monkeypatch: pytest.MonkeyPatch, figures: dict[str, float], low: float, high: float | None
) -> None:
    monkeypatch.setattr("ui.programme._site_figures", lambda _run, _kind: figures)
    monkeypatch.setattr("ui.programme.charger_stations", lambda _run: Shown(4, 4))
    found = charger_points(run)
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    ("found", "shows", "closes"),
    [
        (Shown(None, None), "not told by these data", "Add the category"),
        (Shown(10, 10), "10 stations", "30 stations missing. The page *Sites* ranks"),
        (Shown(10, 25), "10–25 stations", "Between 15 and 30 stations missing."),
        (Shown(10, None), "at least 10 stations", "Between 0 and 30 stations missing."),
        (Shown(41, 41), "41 stations", "Reached in these data."),
        (Shown(10, 10, possible=7), "10 stations", "places for 7 stations"),
        (Shown(10, None, stock=True), "at least 10 stations", "Not comparable"),
    ],
)
def test_what_is_said_follows_from_the_bounds(found: Shown, shows: str, closes: str) -> None:
    target = targets()[0]
    assert bounds(found, target, T) == shows
    assert closes in closing(found, target, T)


def test_paris_s_targets_claim_no_gap_elsewhere(app: AppTest, run: Run) -> None:
    opened(app, "programme", lang="en")
    assert not in_paris(run)
    (table,) = app.table
    assert list(table.value.columns) == ["Paris announced", "The data show here"]
    assert not app.get("progress")
    assert "missing" not in words(app)
