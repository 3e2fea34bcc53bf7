"""Every key of a category, its file and the population moves an outcome of a town: a figure, a sentence, an error."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely import box

from engine.errors import EngineError
from pipelines import run
from pipelines.config import Opportunity, Population
from pipelines.errors import PipelineError
from tests.osm_town import osm_xml

TOWN = """
P..Q..EF.
S..R..GH.
A..B..C.D
"""
NODES = {
    "A": {"shop": "bakery", "name": "Moulin", "opening_hours": "Mo-Su"},
    "B": {"amenity": "school", "name": "Lycée", "isced:level": "3"},
    "C": {"shop": "bakery", "access": "private", "name": "Canteen"},
    "D": {"amenity": "kindergarten"},
    "R": {"shop": "bakery", "name": "Rive"},
}
ROWS = """code;nom;lat;lon;lon2;lat2;point;kind;group;places;bins
a;Four;0.0001;0.0010;0.0015;0.0003;0.0002, 0.0021;shop;x;4;Glass
b;Marché;0.0001;0.0012;0.0016;0.0003;0.0002, 0.0022;shop;x;6;Glass
c;Halle;0.0001;0.0030;0.0018;0.0003;0.0002, 0.0024;stall;y;9;Paper
"""
S = "opportunities.shops"
KEYS = [
    f"{S}.file=other.csv",
    f"{S}.file=|{S}.url=https://nowhere.invalid/places.csv",
    f"{S}.sha256={'0' * 64}",
    f"{S}.licence=Town of Ink",
    f"{S}.format=geojson",
    f"{S}.encoding=utf-16",
    f"{S}.separator=~",
    f"{S}.where={{kind=['stall']}}",
    f"{S}.group_by=['group']",
    f"{S}.crs=EPSG:2154",
    f"{S}.id=nom",
    f"{S}.name=code",
    f"{S}.point=point",
    f"{S}.lon=lon2",
    f"{S}.lat=lat2",
    f"{S}.capacity=places",
    f"{S}.group_by=['group']|{S}.capacity=places|{S}.capacity_from=max",
    f"{S}.streams=bins",
    f"{S}.keep=['kind']",
    f"{S}.osm={{}}",
    f"{S}.require={{opening_hours=true}}",
    f"{S}.exclude={{name='Moulin'}}",
    f"{S}.geometry=green",
    f"{S}.access=any",
    "opportunities.green.min_area_ha=5.0",
    f"{S}.merge=nearby|{S}.dedup_radius_m=5.0",
    f"{S}.merge=nearby",
    f"{S}.streams=bins|{S}.needs_streams=['glass']",
    "opportunities.schools.levels=['kindergarten']",
    f"{S}.weight=3",
    f"{S}.known=9",
]
P = "population"
TRACTS = f"{P}.polygons=tracts.gpkg|{P}.layer=tracts"
POPULATION_KEYS = [
    f"{P}.grid=squares.geojson",
    TRACTS.partition("|")[0],
    f"{P}.raster=people.tif",
    f"{P}.grid=squares.geojson|{P}.column=others",
    f"{P}.raster=people.tif|{P}.band=2",
    TRACTS,
    f"{P}.grid=squares.geojson|{P}.sha256={'0' * 64}",
    f"{P}.grid=squares.geojson|{P}.licence=Town of Ink",
    f"{TRACTS}|{P}.by=buildings",
    f"{P}.grid=squares.geojson|{P}.keep=['age65']",
    f"{TRACTS}|{P}.income_column=income",
    f"{TRACTS}|{P}.income_column=median|{P}.income_key=code|{P}.polygon_key=code|{P}.income=incomes.csv",
    f"{TRACTS}|{P}.income=incomes.csv|{P}.polygon_key=code|{P}.income_column=median|{P}.income_key=code",
    f"{TRACTS}|{P}.income=incomes.csv|{P}.income_key=code|{P}.income_column=median|{P}.polygon_key=code",
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street with bakeries, schools, a small park, and a file of three more shops."""
    folder = tmp_path_factory.mktemp("keys")
    house = {"building": "yes", "building:levels": "3"}
    ways = [("ABCD", {"highway": "residential"}), ("PQRSP", {"leisure": "park"}), ("EFHGE", house)]
    (folder / "town.osm").write_text(osm_xml(TOWN, ways, nodes=NODES, cell_m=60))
    (folder / "places.csv").write_text(ROWS, encoding="utf-8")
    (folder / "other.csv").write_text(ROWS.replace("0.0001", "0.0004"), encoding="utf-8")
    people(folder)
    (folder / "town.toml").write_text(
        "[area]\nname='town'\nbbox=[-0.0005, -0.0005, 0.0055, 0.002]\n[source]\nosm='town.osm'\n"
        "[network]\nbike={enabled=false}\nstreet30={enabled=false}\n[scoring]\nresolutions=[]\n"
        "[opportunities.shops]\nfile='places.csv'\n"
    )
    return folder / "town.toml"


def people(folder: Path) -> None:
    """Two squares, two tracts with codes and incomes, a raster of two bands: the town has a west and an east."""
    west, east = box(-0.0005, -0.0005, 0.0025, 0.002), box(0.0025, -0.0005, 0.0055, 0.002)
    table = {
        "population": [30, 10],
        "others": [5, 50],
        "age65": [3, 4],
        "income": [900.0, 2000.0],
        "code": ["T1", "T2"],
    }
    squares = gpd.GeoDataFrame(table, geometry=[west, east], crs="EPSG:4326")
    squares.to_file(folder / "squares.geojson")
    for layer, persons in (("tracts", [30, 10]), ("older", [7, 9])):
        squares.assign(population=persons).to_file(folder / "tracts.gpkg", layer=layer)
    (folder / "incomes.csv").write_text("code;name;median\nT1;West;1000\nT2;East;3000\n")
    form = {"driver": "GTiff", "width": 2, "height": 1, "count": 2, "dtype": "float64", "crs": "EPSG:4326"}
    grid = rasterio.Affine(0.003, 0, -0.0005, 0, -0.0025, 0.002)
    with rasterio.open(folder / "people.tif", "w", transform=grid, **form) as raster:
        raster.write(np.array([[[30.0, 10.0]], [[5.0, 50.0]]]))


def outcome(config: Path, out: Path, overrides: list[str]) -> object:
    """What a run gives: its files and its attribution, or the sentence with which it ends."""
    try:
        done = run(config, out=out, cache=config.parent, overrides=overrides, offline=True)
    except (PipelineError, EngineError) as error:
        return str(error)
    return {n: o["sha256"] for n, o in done.manifest["outputs"].items()}, done.manifest["attribution"]


@pytest.mark.parametrize("keys", KEYS)
def test_a_key_moves_an_outcome(config: Path, tmp_path: Path, keys: str) -> None:
    """The last key of several is the one tried; the others prepare the town for it."""
    overrides = keys.split("|")
    before = outcome(config, tmp_path / "before", overrides[:-1])
    assert outcome(config, tmp_path / "after", overrides) != before


@pytest.mark.parametrize("keys", POPULATION_KEYS)
def test_a_key_of_the_population_moves_an_outcome(config: Path, tmp_path: Path, keys: str) -> None:
    test_a_key_moves_an_outcome(config, tmp_path, keys)


def test_every_key_of_the_population_is_tried() -> None:
    tried = {keys.split("|")[-1].partition("=")[0].rpartition(".")[2] for keys in POPULATION_KEYS}
    assert set(Population.model_fields) == tried


def test_every_key_of_a_category_is_tried_or_excused() -> None:
    tried = {keys.split("|")[-1].partition("=")[0].rpartition(".")[2] for keys in KEYS}
    # files with layers: test_opendata; labels are for people: tests/app
    excused = {"layer", "label_en", "label_fr"}
    assert set(Opportunity.model_fields) - tried == excused
