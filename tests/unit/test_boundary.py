"""The study area from files of any kind, from boxes anywhere on the globe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.boundary import box_polygon, read_boundary

SQUARE = shapely.box(2.30, 48.80, 2.40, 48.90)


def test_the_twenty_arrondissements_are_paris(shared_data: Path) -> None:
    found = read_boundary(boundary=shared_data / "paris" / "arrondissements.geojson")
    area = gpd.GeoSeries([found.geometry], crs="EPSG:4326").to_crs("EPSG:2154").area.iloc[0]
    assert area == pytest.approx(105.4e6, rel=2e-3)  # Insee: 105.4 km² with the two woods
    assert found.repaired == {}
    assert shapely.is_valid(found.geometry)


def test_features_are_chosen_by_column(shared_data: Path) -> None:
    path = shared_data / "paris" / "arrondissements.geojson"
    one = read_boundary(boundary=path, where={"c_ar": [3]}).geometry
    two = read_boundary(boundary=path, where={"c_ar": [3, 4]}).geometry
    assert two.area > one.area
    assert two.covers(one.buffer(-1e-6))
    with pytest.raises(SourceError, match=r"has c_ar = \[21\]; it holds “1”, “3”"):
        read_boundary(boundary=path, where={"c_ar": [21]})
    with pytest.raises(ConfigError, match="no column 'arr'"):
        read_boundary(boundary=path, where={"arr": [1]})


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2154", "EPSG:3857", "EPSG:32631"])
@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp", "a.fgb", "a.parquet", "a.shp.zip"])
def test_any_format_and_reference_system(tmp_path: Path, name: str, crs: str) -> None:
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[SQUARE], crs="EPSG:4326").to_crs(crs)
    path = tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_file(path)
    found = read_boundary(boundary=path).geometry
    assert found.symmetric_difference(SQUARE).area < 1e-7


def test_a_file_without_reference_system_needs_one_named(tmp_path: Path) -> None:
    path = tmp_path / "bare.shp"
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        gpd.GeoDataFrame({"n": [1]}, geometry=[SQUARE]).to_file(path)
    with pytest.raises(SourceError, match="names no coordinate reference system"):
        read_boundary(boundary=path)
    assert read_boundary(boundary=path, crs="EPSG:4326").geometry.equals(SQUARE)


def _geojson(path: Path, *geometries: dict[str, Any] | None) -> Path:
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def _ring(*points: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(p) for p in points]]}


def test_broken_polygons_are_repaired_and_everything_is_counted(tmp_path: Path) -> None:
    bow_tie = _ring((0, 0), (2, 2), (2, 0), (0, 2), (0, 0))
    path = _geojson(
        tmp_path / "a.geojson",
        bow_tie,
        None,
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        _ring((200, 0), (201, 0), (201, 1), (200, 0)),
    )
    found = read_boundary(boundary=path)
    assert found.repaired == {"polygons_repaired": 1, "no_geometry": 1, "not_areal": 2, "off_the_globe": 1}
    assert found.geometry.area == pytest.approx(2.0)  # two triangles, base 2, height 1


def test_touching_and_overlapping_parts_become_one(tmp_path: Path) -> None:
    parts = [
        _ring((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)),
        _ring((0.5, 0), (2, 0), (2, 1), (0.5, 1), (0.5, 0)),
    ]
    found = read_boundary(boundary=_geojson(tmp_path / "a.geojson", *parts))
    assert found.geometry.equals(shapely.box(0, 0, 2, 1))


def test_a_million_vertices_are_no_trouble(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 1_000_001)
    radius = 0.1 + 0.001 * np.sin(5000 * angle)
    circle = shapely.Polygon(np.column_stack([2.35 + radius * np.cos(angle), 48.85 + radius * np.sin(angle)]))
    path = tmp_path / "million.gpkg"
    gpd.GeoDataFrame(geometry=[circle], crs="EPSG:4326").to_file(path)
    found = read_boundary(boundary=path)
    assert shapely.get_num_coordinates(found.geometry) == shapely.get_num_coordinates(circle) > 1_000_000
    assert found.geometry.area == pytest.approx(circle.area, rel=1e-9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type": "FeatureCollection", "features": []}', "no polygon|no layer"),
        ('{"type": "Point", "coordinates": [2, 48]}', r"no polygon \(1 not_areal\)"),
        ("", "is none of GeoJSON"),
        ("<html><title>404</title></html>", "is none of GeoJSON"),
        (
            "<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>",
            "is none of",
        ),
        (
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Poly',
            "cannot read",
        ),
        ('{"type": "Polygon", "coordinates": [[[0,0],[0,0],[0,0],[0,0]]]}', "no polygon"),
        ("{" * 100_000, "cannot read"),
    ],
)
def test_files_without_an_area(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(content)
    with pytest.raises(SourceError, match=message):
        read_boundary(boundary=path)


def test_boxes_across_the_antimeridian_have_two_parts() -> None:
    fiji = read_boundary(bbox=(177.0, -19.0, -178.0, -16.0)).geometry
    assert fiji.geom_type == "MultiPolygon"
    assert fiji.covers(shapely.Point(179.9, -17))
    assert fiji.covers(shapely.Point(-179.9, -17))
    assert not fiji.covers(shapely.Point(0, -17))


@given(
    west=st.floats(-180, 180), east=st.floats(-180, 180), south=st.floats(-90, 90), north=st.floats(-90, 90)
)  # fmt: skip
def test_a_box_has_its_own_area_or_is_refused(west: float, east: float, south: float, north: float) -> None:
    if south >= north or west == east:
        with pytest.raises(ConfigError, match="west, south, east, north"):
            box_polygon((west, south, east, north))
        return
    width = east - west if east > west else 360 - west + east
    assert box_polygon((west, south, east, north)).area == pytest.approx(width * (north - south))


@pytest.mark.parametrize(
    "box", [(0, 0, float("nan"), 1), (0, 0, float("inf"), 1), (0, 48, 2, 91), (-181, 0, 1, 1)]
)
def test_boxes_off_the_globe_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="west, south, east, north"):
        box_polygon(box)


def test_exactly_one_way_to_name_an_area() -> None:
    with pytest.raises(ConfigError, match="one of boundary, bbox and place"):
        read_boundary()
    with pytest.raises(ConfigError, match="one of boundary, bbox and place"):
        read_boundary(bbox=(0, 0, 1, 1), place="Paris")
