"""`proche rank` and `proche counterfactual` on the demonstration: what they write is what `proche compare` measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from engine.proposals.effect import effect
from pipelines.comparison import criteria_of
from pipelines.counterfactual import KINDS, Asked, counterfactual, needs_calm
from pipelines.errors import ConfigError
from pipelines.proposals import Base, apply, open_base, read_proposal
from pipelines.ranking import rank_ideas, read_ideas
from pipelines.rundir import RunDirectory
from tests.pipeline.test_compare import proche

IDEAS = """title;budget;category;geo
Twin A;1000;sorting;60.1775, 24.9440
Twin B;2000;sorting;60.1776, 24.9441
South;3000;sorting;60.1655, 24.9500
Far;9;sorting;60.1700, 24.9200
Shop;5;shops;60.1775, 24.9386
"""


@pytest.fixture(scope="module")
def base(demo_run: RunDirectory) -> Base:
    return open_base(demo_run)


@pytest.fixture(scope="module")
def ideas_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ideas") / "ideas.csv"
    file.write_text(IDEAS, encoding="utf-8-sig")
    return file


def test_ideas_are_ranked_by_what_each_adds(
    demo_run: RunDirectory, base: Base, ideas_file: Path, tmp_path: Path
) -> None:
    best, out = tmp_path / "best.geojson", tmp_path / "ranked.csv"
    done = proche("rank", demo_run.path, ideas_file, "--proposal", best, "--top", 2, "-o", out)
    assert done.exit_code == 0, done.output
    ranked = pd.read_csv(out)
    heads = ranked[ranked["head"]]
    assert heads["rank"].tolist() == [1, 2, 3]
    assert (heads["gain"].to_numpy() <= heads["gain_alone"].to_numpy() + 1e-9).all()
    twins = ranked[ranked["name"].str.startswith("Twin")]
    assert len(set(twins["cluster"])) == 1
    assert twins["head"].sum() == 1
    assert twins["cluster_size"].tolist() == [2, 2]
    assert "farther than 100 m from every street" in ranked.set_index("name").loc["Far", "reason"]
    made = apply(base, read_proposal(best))
    gain = effect(base.cells, made.cells, criteria_of(base))["gain"]
    assert gain == pytest.approx(heads["gain"].head(2).sum(), abs=1e-9)
    assert made.proposal.cost_eur == heads["cost_eur"].head(2).sum()


def test_a_rank_does_not_depend_on_the_order_of_the_file(base: Base, ideas_file: Path) -> None:
    ideas = read_ideas(ideas_file, base)
    there, back = (rank_ideas(base, i, within_m=0) for i in (ideas, ideas.iloc[::-1].reset_index(drop=True)))
    order = [t.sort_values("name").set_index("name")["gain"].to_numpy() for t in (there, back)]
    np.testing.assert_allclose(*order)


@pytest.mark.parametrize(
    ("text", "option", "says"),
    [
        ("title;geo\nA;60.17, 24.94\n", [], "has no column 'category'; give --category"),
        ("title;geo\nA;60.17, 24.94\n", ["--category", "spas"], "--category is 'spas'; the run has shops"),
        ("title;geo;category\nA;60.17, 24.94;spas\n", [], "names the categories ['spas']"),
    ],
)
def test_ideas_without_a_category_are_refused(
    demo_run: RunDirectory, tmp_path: Path, text: str, option: list[str], says: str
) -> None:
    file = tmp_path / "ideas.csv"
    file.write_text(text, encoding="utf-8")
    done = proche("rank", demo_run.path, file, *option)
    assert done.exit_code == 2
    assert says in done.output


@pytest.fixture(scope="module")
def made(demo_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("questions")
    found = {}
    for kind in ("speed30", "bike_links", "parks_closed"):
        file = folder / f"{kind}.geojson"
        done = proche("counterfactual", demo_run.path, "--kind", kind, "-o", file, "--km", "2")
        assert done.exit_code == 0, done.output
        found[kind] = json.loads(file.read_text("utf-8")) | {"file": file}
    return found


def test_tracks_are_built_best_first_until_the_budget(
    demo_run: RunDirectory, made: dict[str, dict[str, Any]]
) -> None:
    ranking = made["bike_links"]["ranking"]
    assert len(ranking) == len(made["bike_links"]["features"]) > 1
    assert ranking[-1]["km_so_far"] <= 2.0005
    rates = [r["gain_per_km"] for r in ranking]
    assert rates[0] == max(rates) > 0
    base = open_base(demo_run, calm=True)
    after = apply(base, read_proposal(made["bike_links"]["file"])).cells
    gain = effect(base.cells, after, criteria_of(base))["gain"]
    assert gain == pytest.approx(sum(r["gain"] for r in ranking), abs=1e-4)


def test_thirty_calms_cycling_and_speeds_nobody_up(
    demo_run: RunDirectory, made: dict[str, dict[str, Any]]
) -> None:
    base = open_base(demo_run, calm=needs_calm("speed30"))
    after = apply(base, read_proposal(made["speed30"]["file"])).cells
    for category in base.categories:
        for mode, better in (("street30", False), ("bike_calm", True)):
            old, new = (t[f"{mode}_{category}_minutes"].fillna(np.inf) for t in (base.cells, after))
            assert ((new <= old) if better else (new >= old)).all()


def test_closed_parks_are_out_of_reach(base: Base, made: dict[str, dict[str, Any]]) -> None:
    after = apply(base, read_proposal(made["parks_closed"]["file"])).cells
    assert after["walk_green_minutes"].isna().all()
    kinds = {f["properties"]["edit"] for f in made["parks_closed"]["features"]}
    assert kinds == {"remove_amenity", "remove_street"}


def test_what_the_data_do_not_hold_is_said(base: Base, demo_run: RunDirectory) -> None:
    with pytest.raises(ConfigError, match="has no bridges whose name holds 'Golden Gate'"):
        counterfactual(base, Asked("bridge", name="Golden Gate"))
    with pytest.raises(ConfigError, match="no disused railway whose name holds 'Petite Ceinture'"):
        counterfactual(base, Asked("railway", name="Petite Ceinture"))
    with pytest.raises(ConfigError, match="knows no traffic stress"):
        counterfactual(base, Asked("bike_links"))
    help_text = proche("counterfactual", "--help").output
    assert all(kind in help_text for kind in KINDS)


def test_porto_loses_most_by_its_bridges_and_wins_by_an_old_one(shared_data: Path) -> None:
    """The real case, without a run of the whole: the file has the railway bridge that was closed in 1991."""
    from pipelines.railways import _ways

    lines = _ways(shared_data / "osm" / "porto_centre_2020.osm.pbf", "Maria Pia")
    assert list(lines) == ["Ponte de Dona Maria Pia"]
    assert gpd.GeoSeries(lines["Ponte de Dona Maria Pia"], crs="EPSG:4326").to_crs(32629).length.sum() > 300
