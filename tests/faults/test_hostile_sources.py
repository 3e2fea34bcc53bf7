"""
Broken and hostile files of places, areas, streets and people: a clear error or a counted repair, nothing else.

``PROCHE_FUZZ=1000`` tries that many inputs in each test (default 80); the total is printed at the end.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.network.profile import ModeProfile
from pipelines.errors import ConfigError, SourceError
from pipelines.sources.boundary import read_boundary
from pipelines.sources.delimited import read_delimited
from pipelines.sources.opendata import read_places
from pipelines.sources.population import read_population
from pipelines.sources.tables import read_street_tables, street_network
from tests.tried import note

TRIED = {"inputs": 0}
EACH = int(os.environ.get("PROCHE_FUZZ", "80"))
fuzzed = settings(
    max_examples=EACH, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def survives(read: Callable[[], Any]) -> Any:
    """The result, or None after one of our own errors whose message says something; anything else is a failure."""
    TRIED["inputs"] += 1
    note("hostile inputs tried")
    try:
        return read()
    except (SourceError, ConfigError) as error:
        message = str(error)
        assert len(message) > 20
        assert "Traceback" not in message
        assert len(message) < 5000, "one message, not the whole file"
        return None


# --- text that looks like a table

NUMBERS = st.one_of(
    st.floats(-200, 200).map(lambda x: f"{x:.6f}"),
    st.sampled_from(
        ["nan", "NaN", "inf", "-inf", "1e400", "", "-", "48,85", "0x10", "1_000", "٤٨", "1e-400", "--1"]
    ),
)
CELLS = st.one_of(
    NUMBERS,
    st.builds("{}, {}".format, NUMBERS, NUMBERS),
    st.text(max_size=12),
    st.sampled_from(
        [
            "=cmd|' /C calc'!A0",
            "<script>alert(1)</script>",
            "'; DROP TABLE cells;--",
            "\u202e\u0000",
            '"',
            "{",
            "[1, 2]",
        ]
    ),
    st.sampled_from(
        [
            '{"type":"Point","coordinates":[1e999,2]}',
            '{"type":"Point"}',
            "POINT (NaN 1)",
            "POINT EMPTY",
            "POLYGON ((0 0, 1 1, 0 0))",
        ]
    ),
)
HEADS = st.sampled_from(["lat", "lon", "geo_point_2d", "name", "id", "geo_shape", "capacity", "", "x", "y"])


@fuzzed
@given(
    heads=st.lists(HEADS, min_size=1, max_size=5),
    rows=st.lists(st.lists(CELLS, max_size=6), max_size=6),
    separator=st.sampled_from([";", ",", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_tables_of_places(
    heads: list[str], rows: list[list[str]], separator: str, encoding: str, folder: Path
) -> None:
    path = folder / "places.csv"
    text = "\n".join([separator.join(heads), *(separator.join(r) for r in rows)])
    path.write_bytes(text.encode(encoding, errors="replace"))
    found = survives(lambda: read_places(path))
    if found is not None:
        assert found.report["rows_read"] == found.report["rows_kept"] + len(found.rejected)
        xy = shapely.get_coordinates(found.places.geometry.to_numpy())
        assert np.isfinite(xy).all()
        assert (np.abs(xy) <= [180, 90]).all()
        assert found.places["id"].is_unique
        assert all(name.isprintable() for name in found.places["name"].dropna())


@fuzzed
@given(
    data=st.binary(max_size=300),
    head=st.sampled_from(
        [
            b"",
            b"{",
            b"PAR1",
            b"SQLite format 3\x00",
            b"\x1f\x8b\x08",
            b"fgb\x03fgb\x00",
            b"PK\x03\x04",
            b"\x00\x00\x27\x0a",
            b"<kml>",
            b"\xef\xbb\xbf",
            b"II*\x00",
        ]
    ),
)
def test_any_bytes(data: bytes, head: bytes, folder: Path) -> None:
    path = folder / "any.bin"
    path.write_bytes(head + data)
    survives(lambda: read_places(path))
    survives(lambda: read_boundary(boundary=path))
    survives(lambda: read_population(path, kind="grid"))
    survives(lambda: read_population(path, kind="raster"))
    survives(lambda: read_street_tables(path, path))


@fuzzed
@given(
    place=st.integers(0, 2**31),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    keep=st.floats(0, 1),
)
@pytest.mark.parametrize(
    "name",
    [
        "trilib_2018.csv",
        "belib_static_2025.csv.gz",
        "ilots_fraicheur_ne_paris_2021.gpkg",
        "velib-emplacement-des-stations_2024.geojson",
    ],
)
def test_real_files_with_bytes_changed_or_cut_off(
    name: str, place: int, flips: list[tuple[float, int]], keep: float, folder: Path, shared_data: Path
) -> None:
    del place
    data = bytearray((shared_data / "paris" / name).read_bytes())
    for where, value in flips:
        data[min(int(where * len(data)), len(data) - 1)] = value
    path = folder / f"changed-{name}"
    path.write_bytes(data[: math.ceil(keep * len(data))])
    found = survives(lambda: read_places(path))
    if found is not None:
        assert found.report["rows_read"] == found.report["rows_kept"] + len(found.rejected)


# --- GeoJSON

ORDINATES = st.one_of(
    st.floats(-200, 200), st.sampled_from([1e308, -1e308, 0, 1e-300]), st.none(), st.just("2.3")
)
POSITIONS = st.lists(ORDINATES, max_size=4)
RINGS = st.lists(POSITIONS, max_size=8)
GEOMETRIES = st.one_of(
    st.none(),
    st.builds(lambda c: {"type": "Point", "coordinates": c}, POSITIONS),
    st.builds(lambda c: {"type": "Polygon", "coordinates": c}, st.lists(RINGS, max_size=3)),
    st.builds(
        lambda c: {"type": "MultiPolygon", "coordinates": c},
        st.lists(st.lists(RINGS, max_size=2), max_size=2),
    ),
    st.builds(lambda c: {"type": c}, st.text(max_size=8)),
    st.recursive(
        st.just({"type": "Point", "coordinates": [2, 48]}),
        lambda g: st.builds(lambda x: {"type": "GeometryCollection", "geometries": [x, x]}, g),
        max_leaves=6,
    ),
)


@fuzzed
@given(
    geometries=st.lists(GEOMETRIES, max_size=5),
    properties=st.dictionaries(
        st.text(max_size=6),
        st.one_of(
            st.none(), st.integers(), st.floats(), st.text(max_size=6), st.lists(st.integers(), max_size=2)
        ),
        max_size=3,
    ),
)
def test_collections_of_anything(geometries: list[Any], properties: dict[str, Any], folder: Path) -> None:
    features = [{"type": "Feature", "properties": properties, "geometry": g} for g in geometries]
    path = folder / "any.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    places = survives(lambda: read_places(path))
    if places is not None:
        shapes = places.places.geometry.to_numpy()
        areal = shapely.get_dimensions(shapes) == 2
        assert shapely.is_valid(shapes[areal]).all()
    area = survives(lambda: read_boundary(boundary=path))
    if area is not None:
        assert shapely.is_valid(area.geometry)
        assert area.geometry.area > 0


@fuzzed
@given(points=st.lists(st.tuples(st.floats(2.3, 2.4), st.floats(48.8, 48.9)), min_size=3, max_size=30))
def test_self_crossing_outlines_become_valid_areas(points: list[tuple[float, float]], folder: Path) -> None:
    ring = {"type": "Polygon", "coordinates": [[*points, points[0]]]}
    path = folder / "ring.geojson"
    path.write_text(json.dumps(ring))
    area = survives(lambda: read_boundary(boundary=path))
    if area is not None:
        assert shapely.is_valid(area.geometry)
        hull = shapely.MultiPoint(points).convex_hull.area
        assert (
            area.geometry.area <= hull * (1 + 1e-9) + 1e-15
        )  # deg², where three points are as good as on one line


# --- streets

IDS = st.one_of(
    st.integers(-3, 6).map(str), st.sampled_from(["", "x", "1.0", "1e3", "999999999999999999999", "nan"])
)


@fuzzed
@given(
    nodes=st.lists(st.tuples(IDS, NUMBERS, NUMBERS), max_size=6),
    edges=st.lists(
        st.tuples(IDS, IDS, NUMBERS, st.sampled_from(["0", "1", "-1", "", "maybe", "yes"])), max_size=8
    ),
)
def test_tables_of_streets(nodes: list[Any], edges: list[Any], folder: Path) -> None:
    (folder / "n.csv").write_text(
        "node_id,lon,lat\n" + "\n".join(",".join(f'"{c}"' for c in n) for n in nodes)
    )
    (folder / "e.csv").write_text(
        "from,to,length_m,oneway\n" + "\n".join(",".join(f'"{c}"' for c in e) for e in edges)
    )
    tables = survives(lambda: read_street_tables(folder / "n.csv", folder / "e.csv"))
    if tables is None:
        return
    for mode in ("walk", "bike", "street30"):
        network = survives(lambda mode=mode: street_network(tables, ModeProfile.default(mode)))
        if network is not None:
            assert (network.arcs["travel_time_ms"] >= 0).all()
            strong = network.graph.connected_components(mode="strong")
            assert len(strong) == 1


# --- bombs and giants


def quick_and_small(read: Callable[[], Any], *, seconds: float, megabytes: float) -> Any:
    tracemalloc.start()
    start = time.process_time()
    try:
        return survives(read)
    finally:
        elapsed, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert elapsed < seconds, f"computed for {elapsed:.1f} s"
        assert peak < megabytes * 1e6, f"took {peak / 1e6:.0f} MB"


def test_a_gzip_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as out:
        for _ in range(512):
            out.write(bytes(1 << 20))
    assert path.stat().st_size < 600_000
    assert quick_and_small(lambda: read_places(path), seconds=20, megabytes=300) is None
    with pytest.raises(SourceError, match="refused as a gzip bomb"):
        read_delimited(path)


def test_gzip_members_one_after_another_are_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "many.csv.gz"
    path.write_bytes(gzip.compress(bytes(32 << 20)) * 40)
    with pytest.raises(SourceError, match="refused as a gzip bomb"):
        read_delimited(path, most=256 << 20)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.gpkg", "w", force_zip64=True) as out,
    ):
        for _ in range(256):
            out.write(bytes(1 << 20))
    with pytest.raises(SourceError, match="refused as a zip bomb"):
        read_boundary(boundary=path)


def test_a_zip_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.gpkg", bytes(200 << 20))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature)
        data[at + offset : at + offset + 4] = struct.pack("<I", 1000)
    path.write_bytes(data)
    assert quick_and_small(lambda: read_boundary(boundary=path), seconds=10, megabytes=60) is None


@pytest.mark.parametrize("name", ["../evil.gpkg", "{outside}/evil.gpkg", "..\\evil.gpkg"])
def test_a_zip_writes_nothing_outside_its_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "cache"
    inside.mkdir()
    frame = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    frame.to_file(tmp_path / "a.gpkg")
    with zipfile.ZipFile(inside / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name.format(outside=tmp_path)), (tmp_path / "a.gpkg").read_bytes())
    (tmp_path / "a.gpkg").unlink()
    survives(lambda: read_boundary(boundary=inside / "a.zip"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "cache"]


def test_a_million_vertices_that_cross_are_repaired_or_refused_in_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    angle = np.linspace(0, 2 * np.pi, 1_000_000)
    radius = 0.1 + 1e-6 * rng.standard_normal(len(angle))
    ring = np.column_stack([2.35 + radius * np.cos(angle), 48.85 + radius * np.sin(angle)])
    ring[500_000] = ring[250_000]
    frame = gpd.GeoDataFrame(geometry=[shapely.Polygon(ring)], crs="EPSG:4326")
    frame.to_file(tmp_path / "giant.gpkg")
    found = quick_and_small(
        lambda: read_boundary(boundary=tmp_path / "giant.gpkg"), seconds=120, megabytes=2000
    )
    assert found.repaired == {"polygons_repaired": 1}
    assert shapely.is_valid(found.geometry)


def test_deep_nesting_does_not_overflow(tmp_path: Path) -> None:
    for depth in (1_000, 100_000):
        path = tmp_path / "deep.geojson"
        path.write_text('{"type":"GeometryCollection","geometries":[' * depth + "]}" * depth)
        survives(lambda path=path: read_boundary(boundary=path))
        cell = "{" * depth
        csv = tmp_path / "deep.csv"
        csv.write_text(f'name;geo_shape\na;{"[" * depth}\nb;"{cell}"\n')
        survives(lambda csv=csv: read_places(csv))
        path.write_text("[" * depth)
        survives(lambda path=path: read_boundary(boundary=path))


def test_a_pattern_that_would_backtrack_for_ever_does_not(tmp_path: Path) -> None:
    path = tmp_path / "slow.csv"
    rows = "\n".join(f"x{i};" + "1" * 50_000 + " " * 1000 + "!" for i in range(5))
    path.write_text("name;geo_point_2d\n" + rows + "\n")
    quick_and_small(lambda: read_places(path), seconds=10, megabytes=100)


def test_a_hundred_thousand_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(";".join(f"c{i}" for i in range(100_000)) + "\n" + ";".join("1" * 100_000) + "\n")
    with pytest.raises(SourceError, match="columns or more, at most 4096"):
        read_places(path)


def test_files_that_point_elsewhere_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("name,lon,lat\nsecret,2.3,48.8\n")
    layer = f"<OGRVRTLayer name='secret'><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer>"
    vrt = f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>"
    for name in ("a.geojson", "a.vrt", "a.gpkg", "a.kml", "a.csv"):
        (tmp_path / name).write_text(vrt)
        assert survives(lambda name=name: read_boundary(boundary=tmp_path / name)) is None
        assert survives(lambda name=name: read_places(tmp_path / name)) is None
    kml = "<kml xmlns='http://www.opengis.net/kml/2.2'><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>&e;</kml>"
    (tmp_path / "b.kml").write_text(kml)
    survives(lambda: read_boundary(boundary=tmp_path / "b.kml"))


def test_an_entity_bomb_in_kml_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    head = f'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a0 "ha">{entities}]>'
    text = f"{head}<kml><Document><name>&a9;</name></Document></kml>"
    path = tmp_path / "bomb.kml"
    path.write_text(text)
    assert quick_and_small(lambda: read_boundary(boundary=path), seconds=20, megabytes=300) is None


def test_a_parquet_file_of_somebody_else(tmp_path: Path) -> None:
    pd.DataFrame({"name": [b"\xff\xfe"], "geo": [[1, 2]]}).to_parquet(tmp_path / "odd.parquet")
    survives(lambda: read_places(tmp_path / "odd.parquet"))
    survives(lambda: read_boundary(boundary=tmp_path / "odd.parquet"))
    survives(lambda: read_street_tables(tmp_path / "odd.parquet", tmp_path / "odd.parquet"))


def test_enough_was_tried() -> None:
    assert TRIED["inputs"] >= 6 * EACH
