"""Scores and portrait of the demonstration: confidence, types, green ladder, published figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import box

from engine.cells import street_pieces
from engine.places.green import GREEN_LADDER
from engine.published import beside_published
from engine.reach.cell_times import cell_times
from pipelines.compute import run
from pipelines.errors import ConfigError
from pipelines.explain import load_mode
from pipelines.rundir import RunDirectory

DEMO = Path(__file__).resolve().parents[2] / "configs" / "demo.toml"


@pytest.fixture(scope="module")
def portrait(demo_run: RunDirectory) -> pd.DataFrame:
    return pd.read_parquet(demo_run.path / "portrait.parquet")


def test_the_portrait_has_a_row_a_cell_in_the_order_of_the_cells(
    demo_run: RunDirectory, portrait: pd.DataFrame
) -> None:
    assert portrait["h3_cell"].tolist() == demo_run.cells["h3_cell"].tolist()
    for mode in demo_run.modes:
        for category in demo_run.categories:
            assert portrait[f"{mode}_{category}_confidence"].between(0, 1).all()
            limited = portrait[f"{mode}_{category}_confidence"] < 1
            assert (limited == (portrait[f"{mode}_{category}_because"] != "")).all()


def test_a_cell_at_the_end_of_the_data_that_seems_too_far_is_not_trusted(
    demo_run: RunDirectory, portrait: pd.DataFrame
) -> None:
    cells = demo_run.cells
    far = cells["walk_edge_affected"] & ~(cells["walk_sorting_minutes"] <= 15)
    assert far.any()
    assert (portrait.loc[far, "walk_sorting_confidence"] <= 0.5).all()
    assert set(portrait.loc[far, "walk_sorting_because"]) <= {"edge", "snap"}


def test_places_know_when_somebody_last_saw_them_and_old_ones_are_trusted_less(
    demo_run: RunDirectory, portrait: pd.DataFrame
) -> None:
    """The extract is of April 2019; its edits reach back to 2010 and confidence falls from two years on."""
    seen = pd.to_datetime(demo_run.opportunities["seen"])
    assert seen.notna().all()
    assert seen.max() <= pd.Timestamp("2019-04-22")
    assert seen.min() < pd.Timestamp("2017-04-22")
    assert (portrait.filter(regex="_because$") == "age").to_numpy().any()


def test_confidence_is_at_most_what_is_mapped_of_what_is_known(
    demo_run: RunDirectory, demo_cache: Path, tmp_path: Path
) -> None:
    shops = int((demo_run.opportunities["category"] == "shops").sum())
    halves = files_with_halves(tmp_path)
    own = [f"area.neighbourhoods='{halves}'", f"opportunities.shops.known={2 * shops}"]
    doubled = run(DEMO, out=tmp_path / "doubled", cache=demo_cache, overrides=own)
    (row,) = doubled.summary["completeness"]
    assert (row["zone"], row["known"]) == ("everywhere", 2 * shops)
    assert row["ratio"] == pytest.approx(row["mapped"] / row["known"])
    assert row["mapped"] <= shops
    trusted = pd.read_parquet(doubled.path / "portrait.parquet")
    assert (trusted["walk_shops_confidence"] <= row["ratio"] + 1e-6).all()
    own[1] = f"opportunities.shops.known={{West={10 * shops}, East=1}}"
    split = run(DEMO, out=tmp_path / "split", cache=demo_cache, overrides=own)
    confidence = pd.read_parquet(split.path / "portrait.parquet")["walk_shops_confidence"]
    west = split.cells["neighbourhood"] == "West"
    assert confidence[west].max() < 0.1 < confidence[~west].max()
    own[1] = "opportunities.shops.known={North=3}"
    with pytest.raises(ConfigError, match="names 'North'; the run's neighbourhoods are East, West"):
        run(DEMO, out=tmp_path / "no", cache=demo_cache, overrides=own)


def files_with_halves(folder: Path) -> Path:
    """West and east of the town, as neighbourhoods."""
    shapes = [box(24.93, 60.16, 24.944, 60.18), box(24.944, 60.16, 24.96, 60.18)]
    halves = gpd.GeoDataFrame({"name": ["West", "East"]}, geometry=shapes, crs="EPSG:4326")
    halves.to_file(folder / "halves.geojson")
    return folder / "halves.geojson"


def test_types_add_up_to_the_cells(demo_run: RunDirectory, portrait: pd.DataFrame) -> None:
    for mode in demo_run.modes:
        types = demo_run.summary["modes"][mode]["cell_types"]
        counts = portrait[f"{mode}_cell_type"].value_counts()
        assert {t["type"]: t["cells"] for t in types} == {k: n for k, n in counts.items() if k >= 0}
        assert len({t["name_en"] for t in types}) == len(types)


def test_the_green_ladder_is_in_the_summary_and_follows_from_its_distances(
    demo_run: RunDirectory, portrait: pd.DataFrame
) -> None:
    ladder, bare = demo_run.summary["green_ladder"], demo_run.cells["no_network"].to_numpy(bool)
    assert list(ladder) == sorted(step.name for step in GREEN_LADDER)
    for step in GREEN_LADDER:
        within = portrait[f"{step.name}_m"] <= step.distance_m
        assert (portrait[step.name] == within).all()
        assert ladder[step.name]["share"] == pytest.approx(within[~bare].mean())
    smallest, largest = portrait["green_01ha_300m_m"], portrait["green_1ha_300m_m"]
    both = smallest.notna() & largest.notna()
    assert both.any()
    assert (smallest[both] <= largest[both] + 1e-6).all()


def test_green_distances_agree_with_walking_times(demo_run: RunDirectory, portrait: pd.DataFrame) -> None:
    """Green space of the taxonomy has 0.1 ha or more: its minutes at 5 km/h are the metres of the ladder."""
    metres = portrait["green_01ha_300m_m"].to_numpy()
    walked = demo_run.cells["walk_green_minutes"].to_numpy() / 60 * 5000
    known = np.isfinite(metres) & np.isfinite(walked)
    assert np.median(np.abs(metres - walked)[known]) < 15


def test_the_figures_are_given_at_three_sizes_of_cells(demo_run: RunDirectory) -> None:
    panel = pd.DataFrame(demo_run.summary["resolution_panel"])
    assert {"r9", "r10", "r11", "spread"} <= set(panel.columns)
    walk = demo_run.summary["modes"]["walk"]
    score = panel[panel["figure"] == "score_mean"].iloc[0]
    assert score["r10"] == pytest.approx(walk["score_mean"], rel=1e-6)
    assert score["spread"] == pytest.approx(
        max(score[["r9", "r10", "r11"]]) - min(score[["r9", "r10", "r11"]])
    )
    shops = panel[(panel["category"] == "shops") & (panel["figure"] == "mean_minutes")].iloc[0]
    assert shops["r10"] == pytest.approx(walk["categories"]["shops"]["mean_minutes"], rel=1e-6)
    assert 0 < shops["spread"] < shops["r10"]


def test_the_panel_is_what_a_run_at_that_resolution_gives(
    demo_run: RunDirectory, demo_cache: Path, tmp_path: Path
) -> None:
    coarse = run(DEMO, out=tmp_path / "out", cache=demo_cache, overrides=["area.resolution=9"])
    panel = pd.DataFrame(demo_run.summary["resolution_panel"])
    for category, figures in coarse.summary["modes"]["walk"]["categories"].items():
        own = panel[panel["category"] == category].set_index("figure")["r9"]
        for name in own.index:
            assert own[name] == pytest.approx(figures[name], rel=1e-6), (category, name)


def test_the_ranking_says_how_firm_it_is(demo_run: RunDirectory, portrait: pd.DataFrame) -> None:
    told = demo_run.summary["modes"]["walk"]["sensitivity"]
    assert told["units"] == (~demo_run.cells["no_network"]).sum()
    assert 0.3 < told["weights"]["spearman_lowest"] <= told["weights"]["spearman_median"] <= 1
    assert set(told["without"]) == set(demo_run.categories)
    assert 0 < told["worst_tenth_firm"] <= told["worst_tenth"]
    known = portrait["walk_rank"].notna()
    assert (portrait.loc[known, "walk_rank_low"] <= portrait.loc[known, "walk_rank_high"]).all()
    best = demo_run.cells["walk_score"].idxmax()
    assert portrait.loc[best, "walk_rank"] == portrait["walk_rank"].min()


def test_published_figures_stand_beside_ours_in_paris_only(demo_run: RunDirectory) -> None:
    assert demo_run.summary["published"] == []
    beside = beside_published(demo_run.summary, city="Paris")
    assert "INSEE (2025)" in set(beside["source"])
    json.dumps(demo_run.summary, allow_nan=False)


def test_the_outlines_of_squares_hardly_move_the_figures(
    demo_run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trips start along the outlines of squares too (docs/method.md, 1): how much hangs on that choice."""
    view = load_mode(demo_run, "walk")
    streets = view.network.streets
    squares = streets.loc[streets["area_crossing"], "osm_way"].unique()
    outline = streets["osm_way"].isin(squares) & streets["origin_ok"]
    cells = np.array([int(c, 16) for c in demo_run.cells["h3_cell"]], dtype=np.uint64)

    def minutes(origin_ok: pd.Series) -> np.ndarray:
        network = replace(view.network, streets=streets.assign(origin_ok=origin_ok))
        pieces = street_pieces(network, cells, max_snap_m=view.max_origin_snap_m)
        return cell_times(network, pieces, view.field, view.destinations).mean_ms[:, :, 0] / 60_000

    with_them, without = minutes(streets["origin_ok"]), minutes(streets["origin_ok"] & ~outline)
    km = view.network.length_m[streets["origin_ok"]].sum() / 1000
    share = view.network.length_m[outline].sum() / 1000 / km
    moved, within = (
        (without - with_them).mean(axis=0),
        ((without <= 15) - 1.0 * (with_them <= 15)).mean(axis=0),
    )
    with capsys.disabled():
        print(f"\noutlines: {100 * share:.0f} % of {km:.0f} km; without them the means of the cells move by")
        for name, minute, points in zip(demo_run.categories, moved, within, strict=True):
            print(f"  {name:8} {minute:+.2f} min, the share within 15 min by {100 * points:+.1f} points")
    assert 0.1 < share < 0.4
    assert not np.array_equal(with_them, without)
    assert np.abs(moved).max() < 0.2
    assert np.abs(within).max() < 0.01
