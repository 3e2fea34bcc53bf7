"""People of every kind of source arrive in the cells, none lost, with their ages and incomes, and enter the equity."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely import box

from pipelines import RunDirectory, run
from pipelines.errors import ConfigError

DEMO = Path(__file__).resolve().parents[2] / "configs" / "demo.toml"
WEST, SOUTH, EAST, NORTH = 24.934, 60.1635, 24.955, 60.1795
QUIET = [f"sites.{kind}.enabled=false" for kind in ("trees", "chargers", "sorting")]
QUIET += ["network.bike.enabled=false", "network.street30.enabled=false", "scoring.resolutions=[]"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen tracts and 400 pixels over the town, each a thousand residents in all; incomes in a file of their own."""
    folder = tmp_path_factory.mktemp("people")
    x, y = np.linspace(WEST, EAST, 5), np.linspace(SOUTH, NORTH, 5)
    shapes = [box(x[i], y[j], x[i + 1], y[j + 1]) for j in range(4) for i in range(4)]
    share = np.arange(1, 17) / np.arange(1, 17).sum()
    tracts = gpd.GeoDataFrame(
        {"tract": [f"T{k}" for k in range(16)], "population": 1000 * share, "age65": 200 * share},
        geometry=shapes,
        crs="EPSG:4326",
    )
    tracts.to_crs("EPSG:3067").to_file(folder / "tracts.gpkg")
    rows = "\n".join(f"T{k};{1000 + 100 * k}" for k in range(16))
    (folder / "incomes.csv").write_text(f"code;median\n{rows}\n")
    profile = {
        "driver": "GTiff",
        "width": 20,
        "height": 20,
        "count": 1,
        "dtype": "float64",
        "crs": "EPSG:4326",
    }
    step = rasterio.Affine((EAST - WEST) / 20, 0, WEST, 0, (SOUTH - NORTH) / 20, NORTH)
    with rasterio.open(folder / "pixels.tif", "w", transform=step, **profile) as raster:
        raster.write(np.full((20, 20), 2.5), 1)
    return folder


def peopled(demo_cache: Path, out: Path, *overrides: str) -> RunDirectory:
    return run(DEMO, out=out, cache=demo_cache, overrides=[*QUIET, *overrides])


def conserved(done: RunDirectory, total: float) -> None:
    moved = done.manifest["reports"]["population"]
    assert moved["total"] == pytest.approx(total, rel=1e-9)
    assert moved["inside"] + moved["outside"] == pytest.approx(total, rel=1e-9)
    assert done.cells["population"].sum() == pytest.approx(moved["inside"], rel=1e-9)
    assert done.summary["weighted_by"] == "residents"


def test_a_raster_of_people(demo_cache: Path, sources: Path, tmp_path: Path) -> None:
    done = peopled(demo_cache, tmp_path / "out", f"population.raster='{sources / 'pixels.tif'}'")
    conserved(done, 900)  # of 20 columns of pixels, 18 touch the area
    assert done.manifest["reports"]["population"]["inside"] > 700


@pytest.mark.parametrize("key", ["keep=['age65']", "income_column=median"])
def test_a_raster_carries_nothing_else(demo_cache: Path, sources: Path, tmp_path: Path, key: str) -> None:
    own = [f"population.raster='{sources / 'pixels.tif'}'", f"population.{key}"]
    with pytest.raises(ConfigError, match="one number a pixel"):
        peopled(demo_cache, tmp_path / "out", *own)


def test_a_grid_carries_ages_and_incomes(demo_cache: Path, sources: Path, tmp_path: Path) -> None:
    """Squares of a grid travel as tracts do: a fifth are old, and the income of a cell is that of its squares."""
    tracts = gpd.read_file(sources / "tracts.gpkg")
    tracts.assign(median=1000 + 100 * np.arange(16)).to_file(sources / "squares.geojson")
    own = [
        f"population.grid='{sources / 'squares.geojson'}'",
        "population.keep=['age65']",
        "population.income_column=median",
    ]
    done = peopled(demo_cache, tmp_path / "out", *own)
    conserved(done, 1000)
    lived = done.cells[done.cells["population"] > 0]
    np.testing.assert_allclose(lived["age65"] / lived["population"], 0.2, rtol=1e-9)
    whole = (lived["population"] * lived["median"]).sum() / lived["population"].sum()
    share = np.arange(1, 17) / np.arange(1, 17).sum()
    assert whole == pytest.approx((share * (1000 + 100 * np.arange(16))).sum(), rel=0.02)
    old = done.manifest["reports"]["population"]["inside"] / 1000 * 200
    assert lived["age65"].sum() == pytest.approx(old, rel=1e-9)


def test_tracts_with_ages_and_incomes_by_area_and_by_buildings(
    demo_cache: Path, sources: Path, tmp_path: Path
) -> None:
    own = [
        f"population.polygons='{sources / 'tracts.gpkg'}'",
        "population.keep=['age65']",
        f"population.income='{sources / 'incomes.csv'}'",
        "population.income_key=code",
        "population.polygon_key=tract",
        "population.income_column=median",
    ]
    by_area = peopled(demo_cache, tmp_path / "area", *own)
    by_floor = peopled(demo_cache, tmp_path / "floor", *own, "population.by=buildings")
    for done in (by_area, by_floor):
        conserved(done, 1000)
        cells = done.cells
        lived = cells["population"] > 0
        np.testing.assert_allclose(cells.loc[lived, "age65"] / cells.loc[lived, "population"], 0.2, rtol=1e-9)
        assert cells.loc[lived, "median"].between(1000 - 1e-6, 2500 + 1e-6).all()
        for figures in (done.summary["modes"]["walk"], *done.summary["modes"]["walk"]["categories"].values()):
            assert -1 < figures["equity"]["concentration"] < 1
            assert figures["equity"]["palma_income"] > 0
    assert not np.allclose(by_area.cells["population"], by_floor.cells["population"])
    assert by_area.manifest["reports"]["population"]["source"]["rows_without_income"] == 0
    assert by_area.manifest["reports"]["population"]["without_income"] == 0
    empty = by_floor.cells["population"] == 0
    assert (by_area.cells.loc[empty, "population"] > 0).any(), "nobody lives where no building stands"
