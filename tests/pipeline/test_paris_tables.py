"""The whole of Paris from tables: every resident is somewhere, and the shares within a quarter of an hour."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from pipelines.city_report import city_report
from pipelines.compute import run
from pipelines.rundir import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

SITES = [f"sites.{kind}.enabled=false" for kind in ("trees", "chargers", "sorting")]


@pytest.fixture(scope="module")
def paris(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Paris from its own tables, without sites."""
    grid = shared_data / "population" / "filosofi2015_200m_paris.gpkg"
    if not grid.is_file():
        pytest.skip(f"{grid} is not present")
    folder = tmp_path_factory.mktemp("paris")
    return run(
        ROOT / "configs" / "paris-tables.toml",
        out=folder / "out",
        cache=folder,
        overrides=SITES,
        offline=True,
    )


def test_every_resident_is_in_one_cell(paris: RunDirectory, shared_data: Path) -> None:
    moved = paris.manifest["reports"]["population"]
    known = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg")["Ind"].sum()
    assert moved["total"] == pytest.approx(known, rel=1e-9)
    assert moved["inside"] + moved["outside"] == pytest.approx(known, rel=1e-9)
    assert paris.cells["population"].sum() == pytest.approx(moved["inside"], rel=1e-9)
    assert paris.summary["population"] == pytest.approx(2.1e6, rel=0.05)


def test_shares_within_a_quarter_of_an_hour_are_printed_with_their_definition(
    paris: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    summary, cells = paris.summary, paris.cells
    people = cells["population"]
    with capsys.disabled():
        print(f"\n{paris.name}: {summary['population']:,.0f} residents; share of residents whose cell's mean")
        print("nearest time along streets to the nearest place of the category is at most 15 minutes:")
        for mode in paris.modes:
            for category in paris.categories:
                share = summary["modes"][mode]["categories"][category]["share"]
                print(f"  {mode:9} {category:9} {100 * share:6.2f} %")
                within = people[cells[f"{mode}_{category}_minutes"] <= 15].sum() / people.sum()
                assert share == pytest.approx(within, abs=1e-9)
    walk = summary["modes"]["walk"]["categories"]
    assert walk["shops"]["share"] > 0.98
    assert walk["sorting"]["share"] < walk["shops"]["share"]


def test_the_supply_of_the_sorting_stations_is_shared_out_to_the_last_litre(paris: RunDirectory) -> None:
    cells = paris.cells
    shared = (cells["walk_sorting_supply_per_1000"] * cells["population"]).sum() / 1000
    places = paris.opportunities
    stations = places[(places["category"] == "sorting") & places["snapped_walk"]]
    assert stations["capacity"].notna().all()
    assert shared == pytest.approx(stations["capacity"].sum(), rel=1e-6)


def test_published_bands_stand_beside_ours(paris: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The tables have parks as points, so INSEE's share of a park within 300 m cannot be set beside ours."""
    beside = pd.DataFrame(paris.summary["published"])
    assert [s.split()[0] for s in beside["source"]] == ["Apur", "Bruno", "Bruno"]
    assert set(beside["unit"]) == {"min", "share"}
    assert beside["differs"].str.len().gt(20).all()
    with capsys.disabled():
        print("\n" + beside[["definition", "published_low", "published_high", "ours", "source"]].to_string())


def test_the_report_of_paris_is_one_file_that_asks_for_nothing(paris: RunDirectory) -> None:
    text = city_report(paris)
    assert "Beside published figures" in text
    assert "<script" not in text
    assert "src=" not in text
    assert len(text) < 3_000_000
