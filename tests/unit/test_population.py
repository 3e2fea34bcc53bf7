"""People move from polygons, grids and rasters to cells, and nobody is lost."""

from __future__ import annotations

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine

from engine.cells import cells_in_area
from engine.errors import CRSError, InputError, SchemaError
from engine.population import _weighted_mean, h3_polygons, population_to_cells, raster_polygons
from engine.projection import equal_area_around

METRIC = equal_area_around(west=2.35, south=48.85, east=2.35, north=48.85)


def strip(n: int = 4, side: float = 100.0) -> gpd.GeoDataFrame:
    """
    Square cells in a row::

        +---+---+---+---+
        | 0 | 1 | 2 | 3 |
        +---+---+---+---+
    """
    boxes = [shapely.box(i * side, 0, (i + 1) * side, side) for i in range(n)]
    cells = gpd.GeoDataFrame({"h3_cell": [str(i) for i in range(n)]}, geometry=boxes, crs=METRIC)
    return cells.to_crs(4326)


def homes(*boxes: tuple[float, float, float, float], **columns: list[object]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=[shapely.box(*b) for b in boxes], crs=METRIC)


def test_a_polygon_is_shared_by_area() -> None:
    """100 people on cells 0 (¾) and 1 (¼)."""
    moved = population_to_cells(strip(), homes((25, 10, 125, 60), population=[100]))
    assert moved.table["population"].to_numpy() == pytest.approx([75, 25, 0, 0], rel=1e-4, abs=1e-9)
    assert moved.total == 100
    assert moved.inside == pytest.approx(100, abs=1e-9)
    assert moved.outside == pytest.approx(0, abs=1e-9)


def test_people_beyond_the_cells_are_reported() -> None:
    moved = population_to_cells(strip(), homes((-300, 0, 100, 100), population=[400]))
    assert moved.table["population"].to_numpy() == pytest.approx([100, 0, 0, 0], rel=1e-4, abs=1e-9)
    assert (moved.inside, moved.outside) == pytest.approx((100, 300), rel=1e-4)
    assert moved.inside + moved.outside == moved.total == 400


def test_the_study_area_keeps_people_whom_no_cell_covers() -> None:
    """
    The study area is wider than the cells: home b lies in it but on no cell, and goes to the nearest, cell 3::

        +---+---+---+---+..........
        |a a|   |   |   |   b b   :
        +---+---+---+---+..........
    """
    area = gpd.GeoSeries([shapely.box(0, 0, 600, 100)], crs=METRIC).to_crs(4326).iloc[0]
    people = homes((0, 0, 100, 100), (450, 0, 550, 100), (700, 0, 800, 100), population=[10, 20, 40])
    moved = population_to_cells(strip(), people, area=area)
    assert moved.table["population"].to_numpy() == pytest.approx([10, 0, 0, 20], rel=1e-4, abs=1e-6)
    assert (moved.inside, moved.outside, moved.nearest) == pytest.approx((30, 40, 20), rel=1e-4)


def test_a_home_half_in_the_study_area_gives_half() -> None:
    """The cells reach beyond the area: only the people of the area count."""
    area = gpd.GeoSeries([shapely.box(0, 0, 50, 100)], crs=METRIC).to_crs(4326).iloc[0]
    moved = population_to_cells(strip(), homes((0, 0, 100, 100), population=[10]), area=area)
    assert moved.inside == pytest.approx(5, rel=1e-4)


def test_counts_and_means_travel_with_the_people() -> None:
    people = homes(
        (0, 0, 100, 100),
        (50, 0, 150, 100),
        (200, 0, 300, 100),
        population=[10, 30, 5],
        old=[4, 6, 1],
        income=[1000.0, 3000.0, np.nan],
    )
    moved = population_to_cells(strip(), people, counts=["old"], means=["income"]).table
    assert moved["population"].to_numpy() == pytest.approx([25, 15, 5, 0], rel=1e-3)
    assert moved["old"].to_numpy() == pytest.approx([7, 3, 1, 0], rel=1e-3)
    assert moved["income"].to_numpy()[:2] == pytest.approx([(10 * 1000 + 15 * 3000) / 25, 3000], rel=1e-3)
    assert moved["income"].isna().tolist() == [False, False, True, True]


def test_buildings_decide_where_people_live() -> None:
    """
    One tract over two cells; a house of 1 floor in cell 0, one of 3 floors and equal footprint in cell 1::

        +-------+-------+
        | [1]   |  [3]  |
        +-------+-------+
    """
    tract = homes((0, 0, 200, 100), population=[100])
    houses = gpd.GeoDataFrame(
        {"building:levels": [None, "3"]},
        geometry=[shapely.box(10, 10, 30, 30), shapely.box(150, 10, 170, 30)],
        crs=METRIC,
    )
    moved = population_to_cells(strip(), tract, by="buildings", buildings=houses)
    assert moved.table["population"].to_numpy()[:2] == pytest.approx([25, 75], rel=1e-4)
    assert moved.inside == pytest.approx(100, abs=1e-9)
    assert moved.by_area == 0


def test_where_no_building_is_mapped_area_decides() -> None:
    people = homes((0, 0, 200, 100), (200, 0, 300, 100), population=[100, 7])
    houses = gpd.GeoDataFrame(geometry=[shapely.box(10, 10, 30, 30)], crs=METRIC)
    moved = population_to_cells(strip(), people, by="buildings", buildings=houses)
    assert moved.table["population"].to_numpy() == pytest.approx([100, 0, 7, 0], rel=1e-4, abs=1e-9)
    assert moved.by_area == 7


def test_buildings_outside_the_cells_take_their_people_with_them() -> None:
    people = homes((0, 0, 600, 100), population=[100])
    houses = gpd.GeoDataFrame(
        geometry=[shapely.box(10, 10, 30, 30), shapely.box(500, 10, 520, 30)], crs=METRIC
    ).to_crs(3857)
    moved = population_to_cells(strip(), people, by="buildings", buildings=houses)
    assert (moved.inside, moved.outside) == pytest.approx((50, 50), rel=1e-4)


@pytest.mark.parametrize("crs", [4326, 3857, 2154])
def test_every_projection_gives_the_same_people(crs: int) -> None:
    people = homes((25, 0, 125, 50), (310, 20, 450, 90), population=[100, 70]).to_crs(crs)
    moved = population_to_cells(strip(), people)
    assert moved.table["population"].to_numpy() == pytest.approx([75, 25, 0, 45], rel=1e-3, abs=1e-9)


def test_missing_is_nobody_and_is_counted() -> None:
    people = homes((0, 0, 100, 100), (100, 0, 200, 100), population=[np.nan, 3])
    moved = population_to_cells(strip(), people)
    assert (moved.total, moved.missing) == (3, 1)


def test_errors_name_the_cause() -> None:
    people = homes((0, 0, 100, 100), population=[3])
    with pytest.raises(CRSError, match="the population has no coordinate reference system"):
        population_to_cells(strip(), people.set_crs(None, allow_override=True))
    with pytest.raises(CRSError, match="cells has no"):
        population_to_cells(strip().set_crs(None, allow_override=True), people)
    with pytest.raises(SchemaError, match="'Ind'"):
        population_to_cells(strip(), people, column="Ind")
    with pytest.raises(SchemaError, match="numbers ≥ 0"):
        population_to_cells(strip(), people.assign(population=[-1]))
    with pytest.raises(SchemaError, match="holds text"):
        population_to_cells(strip(), people.assign(population=["many"]))
    with pytest.raises(InputError, match="needs the buildings"):
        population_to_cells(strip(), people, by="buildings")
    with pytest.raises(InputError, match="found 0"):
        population_to_cells(strip().iloc[:0], people)


def test_a_raster_becomes_pixels() -> None:
    """Two rows of 100 m pixels; nodata and empty ones are left out, a rotated transform is followed."""
    values = np.array([[1.0, 0.0], [-99.0, 4.0]])
    pixels = raster_polygons(values, transform=Affine(100, 0, 1000, 0, -100, 5000), crs=2154, nodata=-99)
    assert pixels["population"].tolist() == [1, 4]
    assert pixels.geometry.iloc[1].bounds == (1100, 4800, 1200, 4900)
    turned = raster_polygons(values, transform=Affine(0, -10, 0, 10, 0, 0), crs=2154, nodata=-99)
    assert turned.geometry.iloc[0].bounds == pytest.approx((-10, 0, 0, 10))


def test_a_part_of_a_person_is_one_and_nobody_is_none() -> None:
    pixels = raster_polygons(
        np.array([[0.25, 0.0], [-0.0, 2.0]]), transform=Affine(1, 0, 0, 0, -1, 0), crs=2154
    )
    assert pixels["population"].tolist() == [0.25, 2.0]
    whole = shapely.box([0, 1], [-1, -2], [1, 2], [0, -1])
    assert shapely.equals(pixels.geometry.to_numpy(), whole).all()
    with pytest.raises(InputError, match=r"holds -0\.25 persons"):
        raster_polygons(np.array([[-0.25]]), transform=Affine(1, 0, 0, 0, -1, 0), crs=2154)


def test_a_raster_of_whole_numbers_and_a_cube() -> None:
    transform = Affine(100, 0, 0, 0, -100, 0)
    assert raster_polygons(np.array([[255, 3]], dtype=np.uint8), transform=transform, crs=2154, nodata=255)[
        "population"
    ].tolist() == [3]
    with pytest.raises(InputError, match="3 dimensions"):
        raster_polygons(np.zeros((1, 2, 2)), transform=transform, crs=2154)
    with pytest.raises(InputError, match=r"-5\.0 persons"):
        raster_polygons(np.array([[-5.0]]), transform=transform, crs=2154)


def test_a_grid_of_the_same_cells_stays_as_it_is() -> None:
    """An H3 grid at the resolution of the cells moves nobody."""
    names = sorted(h3.grid_disk(h3.latlng_to_cell(-30.03, -51.2, 9), 3))
    grid = h3_polygons(pd.DataFrame({"h3_cell": names, "population": np.arange(len(names)) * 1.5}))
    moved = population_to_cells(h3_polygons(pd.DataFrame({"h3_cell": names})), grid)
    assert moved.table["population"].to_numpy() == pytest.approx(grid["population"].to_numpy(), abs=1e-6)
    with pytest.raises(SchemaError, match="H3"):
        h3_polygons(pd.DataFrame({"h3_cell": ["nonsense"]}))


@pytest.fixture(scope="module")
def paris_cells(shared_data) -> gpd.GeoDataFrame:  # type: ignore[no-untyped-def]
    paris = gpd.read_file(shared_data / "paris" / "arrondissements.geojson").union_all()
    names = [f"{int(c):x}" for c in cells_in_area(paris, resolution=10)]
    return h3_polygons(pd.DataFrame({"h3_cell": names}))


def test_paris_is_conserved(shared_data, paris_cells: gpd.GeoDataFrame) -> None:  # type: ignore[no-untyped-def]
    """Filosofi 2015: 2,101,351 residents, of whom 0.1 % live in squares' parts beyond the boundary."""
    people = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg")
    paris = gpd.read_file(shared_data / "paris" / "arrondissements.geojson").union_all()
    moved = population_to_cells(paris_cells, people, column="Ind", counts=["Ind_80p"], area=paris)
    assert moved.total == people["Ind"].sum() == 2_101_351
    assert abs(moved.inside + moved.outside - moved.total) < 1e-9 * moved.total
    assert abs(moved.table["population"].sum() - moved.inside) < 1e-9 * moved.total
    assert 0.998 < moved.inside / moved.total < 1
    assert (moved.table["Ind_80p"] <= moved.table["population"] + 1e-9).all()


def test_iris_polygons_of_paris_lose_nobody(shared_data, paris_cells: gpd.GeoDataFrame) -> None:  # type: ignore[no-untyped-def]
    iris = gpd.read_file(shared_data / "population" / "paris_iris_pop_shops_schools.geojson")
    paris = gpd.read_file(shared_data / "paris" / "arrondissements.geojson").union_all()
    moved = population_to_cells(paris_cells, iris, column="nb_pop", area=paris)
    assert moved.total == 2_203_632
    assert moved.outside < 1


def test_a_mean_is_of_those_whose_value_is_known() -> None:
    """Cell 0: 3 persons of 10, 1 of 30, 5 unknown; cell 1: unknown alone; cell 2: nobody; cell 3: a number as text."""
    values = pd.Series([10.0, 30.0, None, float("inf"), "8"], dtype=object)
    home, cell = np.array([0, 1, 2, 3, 3, 0, 4]), np.array([0, 0, 0, 1, 0, 2, 3])
    moved = np.array([3.0, 1.0, 5.0, 2.0, 4.0, 0.0, 1.0])
    found = _weighted_mean(values, home, cell, moved, 5)
    assert found.tolist() == pytest.approx([15.0, np.nan, np.nan, 8.0, np.nan], nan_ok=True)
