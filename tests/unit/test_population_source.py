"""Residents from squares, polygons and rasters: read where needed, none lost, none invented."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.population import read_population

CENTRE = (2.33, 48.85, 2.36, 48.87)


def test_the_squares_of_paris(shared_data: Path) -> None:
    path = shared_data / "population" / "filosofi2015_200m_paris.gpkg"
    whole = read_population(path, kind="grid", column="Ind", keep=["Men_pauv"])
    assert len(whole) == 1977
    assert whole["Ind"].sum() == 2_101_351.0
    assert whole["Men_pauv"].sum() == gpd.read_file(path)["Men_pauv"].sum()
    part = read_population(path, kind="grid", column="Ind", bounds=CENTRE)
    assert 0 < len(part) < 200
    touching = whole[whole.geometry.bounds.apply(lambda b: b.minx <= 2.36 and b.maxx >= 2.33, axis=1)]
    touching = touching[touching.geometry.bounds.apply(lambda b: b.miny <= 48.87 and b.maxy >= 48.85, axis=1)]
    assert part["Ind"].sum() == touching["Ind"].sum()


def test_polygons_with_incomes_of_another_file(shared_data: Path) -> None:
    folder = shared_data / "population"
    found = read_population(
        folder / "paris_iris_2023_polygons.gpkg",
        kind="polygons",
        column="year",
        income=folder / "revenus_iris_paris.csv",
        income_key="IRIS",
        income_column="DEC_MED18",
        polygon_key="iris_code",
    )
    assert len(found) == 992
    assert found.attrs["report"]["rows_without_income"] == 122
    codes = gpd.read_file(folder / "paris_iris_2023_polygons.gpkg")["iris_code"]
    row = codes.index[codes == "['751010201']"][0]
    assert found["DEC_MED18"][row] == 32_230  # Les Halles 1, first line of the file


def test_a_raster_is_read_where_the_area_is(shared_data: Path) -> None:
    path = shared_data / "grid" / "poa_elevation.tif"
    bounds = (-51.2, -30.05, -51.18, -30.03)
    found = read_population(path, kind="raster", bounds=bounds)
    with rasterio.open(path) as raster:
        values, grid = raster.read(1).astype(float), raster.transform
    # the same sum by hand, pixel by pixel
    total = 0.0
    for row in range(values.shape[0]):
        top, bottom = grid.f + grid.e * row, grid.f + grid.e * (row + 1)
        if bottom < bounds[3] and top > bounds[1]:
            left = grid.c + grid.a * np.arange(values.shape[1])
            total += values[row, (left < bounds[2]) & (left + grid.a > bounds[0])].sum()
    assert found["population"].sum() == total
    west, south, east, north = found.total_bounds
    pixel = grid.a
    assert (west, south) == pytest.approx(bounds[:2], abs=pixel)
    assert (east, north) == pytest.approx(bounds[2:], abs=pixel)
    assert west <= bounds[0] and south <= bounds[1] and east >= bounds[2] and north >= bounds[3]
    assert found.attrs["report"]["pixels_read"] == len(found) == 5329


def _raster(path: Path, values: np.ndarray, crs: str = "EPSG:32633", nodata: float | None = -1.0) -> Path:  # type: ignore[type-arg]
    height, width = values.shape
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 1,
        "dtype": "float32",
        "crs": crs,
    }
    with rasterio.open(
        path, "w", transform=Affine(100, 0, 500_000, 0, -100, 1_000_000), nodata=nodata, **profile
    ) as out:
        out.write(values.astype("float32"), 1)
    return path


def test_pixels_without_data_hold_nobody(tmp_path: Path) -> None:
    path = _raster(tmp_path / "p.tif", np.array([[5.0, -1.0], [0.0, 7.0]]))
    found = read_population(path, kind="raster")
    assert found["population"].tolist() == [5.0, 7.0]
    assert found.to_crs("EPSG:32633").geometry[1].bounds == pytest.approx(
        (500_100, 999_800, 500_200, 999_900), abs=0.01
    )
    far = read_population(path, kind="raster", bounds=(100, 10, 101, 11))
    assert len(far) == 0
    with pytest.raises(ConfigError, match="no band 2: it has 1"):
        read_population(path, kind="raster", band=2)


def test_a_member_of_a_zip_is_named_as_layer(tmp_path: Path) -> None:
    for name, count in (("met", 10.0), ("reun", 3.0)):
        frame = gpd.GeoDataFrame(
            {"Ind": [count]}, geometry=[shapely.box(2.3, 48.8, 2.4, 48.9)], crs="EPSG:4326"
        )
        frame.to_file(tmp_path / f"{name}.gpkg", layer="grid")
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("met", "reun"):
            archive.write(tmp_path / f"{name}.gpkg", f"folder/{name}.gpkg")
    found = read_population(tmp_path / "all.zip", kind="grid", column="Ind", layer="met.gpkg")
    assert found["Ind"].tolist() == [10.0]
    with pytest.raises(SourceError, match=r"holds \['folder/met.gpkg', 'folder/reun.gpkg'\]: name one"):
        read_population(tmp_path / "all.zip", kind="grid", column="Ind")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip", "met.gpkg", "reun.gpkg"]


def _polygons(path: Path, counts: list[object]) -> Path:
    geometry = [shapely.box(i, 0, i + 1, 1) for i in range(len(counts))]
    gpd.GeoDataFrame(
        {"pop": counts, "code": [f"c{i}" for i in range(len(counts))]}, geometry=geometry, crs=4326
    ).to_file(path)
    return path


def test_missing_counts_are_counted_and_negative_ones_refused(tmp_path: Path) -> None:
    found = read_population(_polygons(tmp_path / "a.gpkg", [1.0, None, 3.0]), kind="polygons", column="pop")
    assert found.attrs["report"]["rows_without_number"] == 1
    assert found["pop"].sum() == 4
    with pytest.raises(SourceError, match=r"'pop'.*row 2: “-5.0”.*not negative"):
        read_population(_polygons(tmp_path / "b.gpkg", [1.0, -5.0]), kind="polygons", column="pop")
    with pytest.raises(SourceError, match=r"'pop'.*row 1: “many”.*finite number"):
        read_population(_polygons(tmp_path / "c.gpkg", ["many", "2"]), kind="polygons", column="pop")
    with pytest.raises(ConfigError, match=r"no column 'Ind': it has \['pop', 'code'\]"):
        read_population(tmp_path / "a.gpkg", kind="polygons", column="Ind")


def test_residents_of_rows_without_a_polygon_are_reported(tmp_path: Path) -> None:
    geometry = [shapely.box(0, 0, 1, 1), None, shapely.Point(0, 0)]
    frame = gpd.GeoDataFrame({"pop": [1, 20, 300]}, geometry=geometry, crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    found = read_population(tmp_path / "a.gpkg", kind="polygons", column="pop")
    assert found["pop"].tolist() == [1]
    assert found.attrs["report"]["residents_without_place"] == 320


def test_secret_incomes_are_missing_and_wrong_keys_are_named(tmp_path: Path) -> None:
    path = _polygons(tmp_path / "a.gpkg", [1.0, 2.0, 3.0])
    income = tmp_path / "income.csv"
    income.write_text("code;median\nc0;21000,5\nc1;ns\n")
    options = {
        "kind": "polygons",
        "column": "pop",
        "income": income,
        "income_column": "median",
        "polygon_key": "code",
    }
    found = read_population(path, income_key="code", **options)  # type: ignore[arg-type]
    assert found["median"].tolist()[0] == 21_000.5
    assert found["median"].isna().tolist() == [False, True, True]
    with pytest.raises(ConfigError, match="income_key, income_column and polygon_key"):
        read_population(path, **options)  # type: ignore[arg-type]
    income.write_text("code;median\nx;1\n")
    with pytest.raises(SourceError, match="“x” there, “c0” here"):
        read_population(path, income_key="code", **options)  # type: ignore[arg-type]
    income.write_text("code;median\nc0;1\nc0;2\n")
    with pytest.raises(SourceError, match="each key once"):
        read_population(path, income_key="code", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"II*\x00garbage", b"not a raster"])
def test_files_that_are_no_rasters(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.tif").write_bytes(content)
    with pytest.raises(SourceError, match="as a raster"):
        read_population(tmp_path / "p.tif", kind="raster")
    with pytest.raises(SourceError, match="no file at"):
        read_population(tmp_path / "absent.tif", kind="raster")
