"""Tables of grid cells without geometry: each code gives the very square or hexagon it names."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import h3
import pandas as pd
import pytest
import shapely

from engine.cells import cell_polygons
from pipelines.errors import SourceError
from pipelines.sources.grid_codes import is_table, read_coded_grid
from pipelines.sources.population import read_population

CELL = h3.latlng_to_cell(48.86, 2.34, 9)


def test_inspire_codes_draw_the_squares_that_insee_draws(shared_data: Path, tmp_path: Path) -> None:
    drawn = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg").to_crs("EPSG:3035")
    drawn.drop(columns="geometry").to_csv(tmp_path / "squares.csv", sep=";", index=False)
    found = read_population(tmp_path / "squares.csv", kind="grid", column="Ind").to_crs("EPSG:3035")
    assert found["Ind"].sum() == drawn["Ind"].sum()
    assert found.geometry.symmetric_difference(drawn.geometry).area.max() < 1.0


def test_geostat_codes_count_in_kilometres(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text("GRD_ID,TOT_P\n1kmN2889E3760,12\n1kmN2890E3760,3\n", "utf-8")
    square = read_coded_grid(tmp_path / "grid.csv").to_crs("EPSG:3035").geometry[0]
    assert square.bounds == pytest.approx((3_760_000, 2_889_000, 3_761_000, 2_890_000), abs=0.01)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_h3_cells_are_their_hexagons(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"note": ["x", "y"], "id": [CELL, h3.grid_ring(CELL, 1)[0]], "population": [5, 7]})
    file = tmp_path / f"grid.{suffix}"
    if suffix == "csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    found = read_population(file, kind="grid")
    assert found["population"].tolist() == [5.0, 7.0]
    wanted = cell_polygons(table["id"].map(lambda c: int(c, 16)).to_numpy("uint64"))
    assert shapely.equals_exact(found.geometry.to_numpy(), wanted, tolerance=1e-9).all()


def test_only_what_touches_the_area_is_read(tmp_path: Path) -> None:
    far = h3.latlng_to_cell(60.0, 25.0, 9)
    pd.DataFrame({"h3": [CELL, far], "population": [5, 7]}).to_csv(tmp_path / "grid.csv", index=False)
    found = read_population(tmp_path / "grid.csv", kind="grid", bounds=(2.33, 48.85, 2.35, 48.87))
    assert found["population"].tolist() == [5.0]


def test_a_table_without_codes_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text("lon,lat,population\n2.3,48.8,5\n", "utf-8")
    with pytest.raises(SourceError, match=r"no column of grid codes: it has \['lon', 'lat', 'population'\]"):
        read_population(tmp_path / "grid.csv", kind="grid")


def test_drawn_parquet_is_no_table(tmp_path: Path) -> None:
    gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_parquet(
        tmp_path / "x.parquet"
    )
    assert not is_table(tmp_path / "x.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:200])
    assert not is_table(tmp_path / "cut.parquet")
