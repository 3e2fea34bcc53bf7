"""Open-data files as cities publish them: every real file here, and every quirk in a file of a few lines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.coordinates import Bounds
from pipelines.sources.opendata import PlaceOptions, PlacesRead, read_places

PARIS = (2.2, 48.8, 2.5, 48.95)


def read(path: Path, bounds: Bounds | None = None, **options: Any) -> PlacesRead:
    return read_places(path, options=PlaceOptions.from_mapping(options), bounds=bounds)


def xy(found: PlacesRead) -> list[tuple[float, float]]:
    return [(p.x, p.y) for p in found.places.geometry]


# --- the real files


def test_trilib_containers_become_forty_stations(shared_data: Path) -> None:
    found = read(
        shared_data / "paris" / "trilib_2018.csv",
        bounds=PARIS,
        group_by="geo",
        id="localisationfo_name",
        name="localisationfo_street",
        streams="wastetype_designation",
        capacity="wastecontainermodelfo_usefulcapacity",
    )
    assert (found.report["rows_read"], found.report["rows_kept"], found.report["places"]) == (124, 124, 40)
    station = found.places.set_index("id").loc["trilib_2018/13010"]
    # by hand: grep -c '92, Boulevard de Masséna' gives 3 rows of 770, 770 and 500 litres
    assert (station["rows"], station["capacity"], station["streams"]) == (3, 2040.0, "CB;Can / Plastic;Glass")
    assert station["name"] == "92, Boulevard de Masséna"
    assert (station.geometry.x, station.geometry.y) == (2.367852, 48.821162)
    assert found.places["capacity"].sum() == 85_490
    assert set(found.places["streams"].str.split(";").explode()) == {"CB", "Can / Plastic", "Glass"}


def test_belib_points_become_stations(shared_data: Path) -> None:
    path = shared_data / "paris" / "belib_static_2025.csv.gz"
    found = read(
        path,
        bounds=PARIS,
        group_by=["coordonneesXY"],
        id="id_station_local",
        capacity_from="rows",
        where={"statut_pdc": "En service"},
    )
    assert (found.report["rows_read"], found.report["places"]) == (1891, 371)
    assert found.places["capacity"].sum() == 1891
    assert found.places["id"].is_unique
    assert found.places.loc[0, "name"] == "Paris | SAEMES Parking Saint-Augustin"
    assert xy(found)[0] == (2.320347, 48.87577)


@pytest.mark.parametrize(
    ("file", "options", "counts", "kind"),
    [
        ("velib-emplacement-des-stations_2024.geojson", {}, (1486, 1396), "Point"),
        (
            "etablissements-scolaires-colleges.csv",
            {"where": {"Année scolaire": "2021-2022"}},
            (457, 114),
            "Point",
        ),
        ("commercants-parisiens_2020.csv", {"keep": "Type de commerce"}, (2354, 2354), "Point"),
        ("ilots-de-fraicheur-espaces-verts-frais.csv", {}, (944, 944), "Point"),
        ("ilots_fraicheur_ne_paris_2021.gpkg", {}, (201, 201), "MultiPolygon"),
        ("espaces_verts_ne_paris_2021.gpkg", {}, (800, 800), "MultiPolygon"),
        ("arbres_ne_paris_2021.gpkg", {}, (50078, 50078), "Point"),
        ("les-arbres_10k_sample.csv", {}, (9999, 9718), "Point"),
        ("les-arbres-plantes_2024.csv.gz", {}, (7263, 7026), "Point"),
        ("zones-de-circulation-apaisee.geojson", {}, (124, 120), "Polygon"),
        ("aires-pietonnes.csv", {}, (555, 555), "Point"),
        ("plan-velo-2026.geojson", {}, (323, 323), "LineString"),
        ("quartier_paris.geojson", {}, (80, 80), "Polygon"),
        ("arrondissements.geojson", {}, (20, 20), "Polygon"),
    ],
)
def test_each_real_file_of_paris(
    shared_data: Path, file: str, options: dict[str, Any], counts: tuple[int, int], kind: str
) -> None:
    read_rows, kept = counts
    found = read(shared_data / "paris" / file, bounds=PARIS, **options)
    assert found.report["rows_read"] == read_rows
    assert found.report["rows_kept"] == len(found.places) == kept
    dropped = sum(n for key, n in found.report.items() if key.startswith("dropped_"))
    assert dropped == read_rows - kept == len(found.rejected)
    assert found.places.geom_type.mode()[0] == kind
    assert found.places.crs == "EPSG:4326"
    assert found.places["id"].is_unique
    assert list(found.places.columns[:3]) == ["id", "name", "capacity"]
    middle = found.places.geometry.representative_point()
    assert middle.x.between(2.2, 2.5).all()
    assert middle.y.between(48.8, 48.95).all()


def test_coordinates_are_the_same_with_and_without_bounds(shared_data: Path) -> None:
    for file in ("trilib_2018.csv", "belib_static_2025.csv.gz", "les-arbres_10k_sample.csv"):
        path = shared_data / "paris" / file
        free = read(path).places.set_index("id")
        bound = read(path, bounds=PARIS).places.set_index("id")
        assert free.loc[bound.index].geometry.equals(bound.geometry), file


# --- quirks, one by one

A, B = (2.367852, 48.821162), (2.34, 48.86)


def table(tmp_path: Path, text: str, name: str = "places.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "name;geo_point_2d\na;48.821162, 2.367852\nb;48.86, 2.34\n",
        'name,geo\na,"48.821162,2.367852"\nb,"48.86,2.34"\n',
        "name\tlat\tlong\na\t48.821162\t2.367852\nb\t48.86\t2.34\n",
        "name;latitude;longitude\na;48,821162;2,367852\nb;48,86;2,34\n",
        "name;coordonneesXY\na;[2.367852, 48.821162]\nb;[2.34, 48.86]\n",
        "name|wkt\na|POINT (2.367852 48.821162)\nb|POINT(2.34 48.86)\n",
        'name;geo_shape\na;"{""type"":""Point"",""coordinates"":[2.367852,48.821162]}"\n'
        'b;"{""type"": ""Point"", ""coordinates"": [2.34, 48.86]}"\n',
        'name;geo_point_2d\na;"{""lon"": 2.367852, ""lat"": 48.821162}"\n'
        'b;"{""lon"": 2.34, ""lat"": 48.86}"\n',
        "name;geo\na;48,821162; 2,367852\nb;48,86; 2,34\n".replace("; 2", " 2"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_way_of_writing_a_place_is_the_same_place(tmp_path: Path, text: str, mark: str) -> None:
    found = read(table(tmp_path, mark + text), bounds=PARIS)
    assert xy(found) == [A, B]
    assert found.places["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    found = read(table(tmp_path, "nom;lat;lon\nÉcole Élémentaire;48.86;2.34\n", encoding=encoding))
    assert found.places["name"].tolist() == ["École Élémentaire"]


def test_bounds_decide_the_order_of_numbers(tmp_path: Path) -> None:
    # Nairobi: both readings are on the globe, only one is in the study area
    path = table(tmp_path, "name;geo\na;36.82, -1.29\nb;36.80, -1.30\n")
    assert xy(read(path))[0] == (-1.29, 36.82), "without bounds: latitude first, as people write"
    assert xy(read(path, bounds=(36.6, -1.5, 37.0, -1.1)))[0] == (36.82, -1.29)


def test_where_both_orders_fit_the_other_rows_decide(tmp_path: Path) -> None:
    # an area near 10° E, 10° N: the second row could be either; the first can only be longitude first
    path = table(tmp_path, "name;geo\na;10.1, 10.9\nb;10.5, 10.6\n")
    assert xy(read(path, bounds=(10.0, 10.2, 11.0, 11.0))) == [(10.1, 10.9), (10.5, 10.6)]


def test_a_row_that_stands_the_other_way_round_is_turned_and_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "name;geo\na;48.86, 2.34\nb;48.87, 2.35\nc;2.36, 48.88\n")
    found = read(path, bounds=PARIS)
    assert xy(found)[2] == (2.36, 48.88)
    assert found.report["pairs_swapped"] == 1


def test_wholly_swapped_columns_are_turned(tmp_path: Path) -> None:
    path = table(tmp_path, "name;lon;lat\na;48.86;2.34\nb;48.87;2.35\n")
    assert xy(read(path, bounds=PARIS)) == [(2.34, 48.86), (2.35, 48.87)]


def test_a_latitude_beyond_ninety_is_a_longitude(tmp_path: Path) -> None:
    path = table(tmp_path, "name;geo\nSydney;151.2, -33.87\nSydney 2;151.3, -33.9\n")
    assert xy(read(path)) == [(151.2, -33.87), (151.3, -33.9)]


def test_a_longitude_beyond_ninety_decides_inside_brackets_too(tmp_path: Path) -> None:
    path = table(tmp_path, "name;geo\nSydney;[-33.87, 151.2]\nSydney 2;[-33.9, 151.3]\n")
    assert xy(read(path)) == [(151.2, -33.87), (151.3, -33.9)]


def test_a_mark_is_no_part_of_a_name_when_the_encoding_is_given(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeffname;lat;lon\na;48.8;2.3\n")
    assert read(path, encoding="utf-8", name="name").places["name"].tolist() == ["a"]


def test_commas_inside_fields_do_not_beat_the_separator(tmp_path: Path) -> None:
    path = table(tmp_path, "name, in full;lat;lon\nRue A, Paris;48.8;2.3\nRue B, Paris;48.9;2.4\n")
    assert xy(read(path)) == [(2.3, 48.8), (2.4, 48.9)]


def test_projected_columns_are_brought_to_degrees(tmp_path: Path) -> None:
    # Lambert-93 is defined by its origin: 3° E, 46.5° N is 700 km, 6,600 km
    path = table(tmp_path, "name;x;y\norigin;700000,0;6600000\n")
    assert xy(read(path, crs="EPSG:2154"))[0] == pytest.approx((3.0, 46.5), abs=1e-7)
    with pytest.raises(ConfigError, match="EPSG:0"):
        read(path, crs="EPSG:0")


def test_bad_rows_are_left_out_counted_and_listed(tmp_path: Path) -> None:
    rows = [
        "a;48.86;2.34",
        "b;;",
        "c;x;2.3",
        "d;nan;2.3",
        "e;inf;2.3",
        "f;98.8;202.3",
        "g;45.0;2.3",
        "h;48.87;2.35",
    ]
    found = read(table(tmp_path, "name;lat;lon\n" + "\n".join(rows) + "\n"), bounds=PARIS)
    assert found.places["name"].tolist() == ["a", "h"]
    assert found.rejected["row"].tolist() == [2, 3, 4, 5, 6, 7]
    assert found.rejected["reason"].tolist() == [
        "no_coordinates",
        "unreadable_coordinates",
        "unreadable_coordinates",
        "unreadable_coordinates",
        "off_the_globe",
        "outside_area",
    ]
    assert found.report["dropped_unreadable_coordinates"] == 3
    assert found.rejected["value"][0] == "“name=b, lat=, lon=”"


def test_groups_keep_the_first_name_and_sum_capacities(tmp_path: Path) -> None:
    rows = [
        "S;;glass;2;48.86;2.34",
        "T;t;glass;x;48.87;2.35",
        "S;s;paper;3;48.86;2.34",
        ";u;glass;1;48.86;2.34",
    ]
    path = table(tmp_path, "\n".join(["site;name;streams;n;lat;lon", *rows]))
    found = read(path, group_by="site", streams="streams", capacity="n")
    assert found.places["name"].tolist() == ["s", "t", "u"]
    assert found.places["streams"].tolist() == ["glass;paper", "glass", "glass"]
    assert found.places["capacity"].tolist()[0] == 5
    assert found.places["capacity"].isna().tolist() == [False, True, False]
    assert found.report["rows_without_group"] == 1
    assert found.report["capacity_unreadable"] == 1
    assert read(path, group_by="site", capacity="n", capacity_from="max").places["capacity"].tolist()[0] == 3
    assert read(path, group_by="site", capacity_from="rows").places["capacity"].tolist() == [2, 1, 1]


def test_a_group_lies_where_most_of_its_rows_lie(tmp_path: Path) -> None:
    path = table(tmp_path, "site;lat;lon\nS;48.80;2.30\nS;48.86;2.34\nS;48.86;2.34\n")
    found = read(path, group_by="site")
    assert xy(found) == [(2.34, 48.86)]
    assert found.report["groups_spread"] == 1


def test_the_case_of_a_column_does_not_matter_unless_two_differ_by_it(tmp_path: Path) -> None:
    path = table(tmp_path, "Name;coordonneesXY\na;48.86, 2.34\n")
    assert read(path, name="NAME", point="coordonneesxy").places["name"].tolist() == ["a"]
    path = table(tmp_path, "Name;NAME;geo\na;b;48.86, 2.34\n")
    assert read(path, name="NAME").places["name"].tolist() == ["b"]
    with pytest.raises(ConfigError, match="no column 'name'"):
        read(path, name="name")


def test_ids_are_unique_even_where_the_file_repeats_them(tmp_path: Path) -> None:
    path = table(tmp_path, "id;lat;lon\n7;48.8;2.3\n7;48.9;2.3\n;48.85;2.3\n")
    assert read(path).places["id"].tolist() == ["places/7", "places/7~2", "places/row-3"]


def test_names_are_one_clean_line(tmp_path: Path) -> None:
    path = table(tmp_path, 'name;lat;lon\n"Cafe\u0301\n\x07 <b>x</b>\u202e";48.8;2.3\n')
    assert read(path).places["name"].tolist() == ["Café <b>x</b>"]


def test_polygons_that_cross_themselves_are_repaired_and_counted(tmp_path: Path) -> None:
    bow = {
        "type": "Polygon",
        "coordinates": [[[2.3, 48.8], [2.4, 48.9], [2.4, 48.8], [2.3, 48.9], [2.3, 48.8]]],
    }
    features = [{"type": "Feature", "properties": {"name": "bow"}, "geometry": bow}]
    path = tmp_path / "bow.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read(path)
    assert found.report["polygons_repaired"] == 1
    # two triangles with a base of 0.1 and a height of 0.05 each
    assert found.places.geometry[0].area == pytest.approx(0.005)
    assert shapely.is_valid(found.places.geometry[0])


SHAPE = '{"type":"Polygon","coordinates":[[[2.34,48.86],[2.341,48.86],[2.341,48.861],[2.34,48.86]]]}'


@pytest.mark.parametrize(
    "columns", ["Geo Shape;Geo Point", "geo_shape;geo_point_2d", "geo_point_2d;geo_shape"]
)
def test_of_an_outline_and_a_point_in_one_row_the_outline_counts(tmp_path: Path, columns: str) -> None:
    """A row with neither is left out and counted, as exports write what nobody has drawn yet."""
    quoted = SHAPE.replace('"', '""')
    values = [f'"{quoted}"' if "hape" in column else "48.8603, 2.3406" for column in columns.split(";")]
    row = ";".join(values)
    found = read(table(tmp_path, f"\ufeffid;nom;{columns}\n1;Jardin;{row}\n2;En projet;;\n"), bounds=PARIS)
    assert found.places["name"].tolist() == ["Jardin"]
    assert found.places.geometry[0].equals(shapely.from_geojson(SHAPE))
    assert found.report["dropped_no_coordinates"] == 1


def test_a_feature_without_a_geometry_is_left_out_and_counted(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "geometry": None, "properties": {"id": 1, "nom": "En projet"}},
        {"type": "Feature", "geometry": json.loads(SHAPE), "properties": {"id": 2, "nom": "Jardin"}},
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    found = read(table(tmp_path, text, "parks.geojson"), bounds=PARIS)
    assert found.places["name"].tolist() == ["Jardin"]
    assert found.report["dropped_no_geometry"] == 1
    assert found.rejected["row"].tolist() == [1]


def test_a_parquet_export_with_an_outline_and_a_point(tmp_path: Path) -> None:
    shape = shapely.to_wkb(shapely.from_geojson(SHAPE))
    point = {"lon": 2.3406, "lat": 48.8603}
    for name, value in (("wkb", shape), ("json", SHAPE)):
        frame = pd.DataFrame({"nom": ["Jardin"], "geo_point_2d": [point], "geo_shape": [value]})
        frame.to_parquet(tmp_path / f"{name}.parquet")
        found = read(tmp_path / f"{name}.parquet", bounds=PARIS).places
        assert found.geometry[0].equals(shapely.from_geojson(SHAPE)), name


def test_parquet_with_and_without_geometry(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a"], "lat": [48.86], "lon": [2.34]})
    frame.to_parquet(tmp_path / "plain.parquet")
    geo = gpd.GeoDataFrame(frame[["name"]], geometry=[shapely.Point(2.34, 48.86)], crs="EPSG:4326").to_crs(
        2154
    )
    geo.to_parquet(tmp_path / "geo.parquet")
    wkb = frame[["name"]].assign(geo_point_2d=[shapely.to_wkb(shapely.Point(2.34, 48.86))])
    wkb.to_parquet(tmp_path / "wkb.parquet")
    mapping = frame[["name"]].assign(geo_point_2d=[{"lon": 2.34, "lat": 48.86}])
    mapping.to_parquet(tmp_path / "mapping.parquet")
    frame[["name"]].assign(geo_point_2d=[[2.34, 48.86]]).to_parquet(tmp_path / "list.parquet")
    for name in ("plain", "geo", "wkb", "mapping", "list"):
        assert xy(read(tmp_path / f"{name}.parquet"))[0] == pytest.approx((2.34, 48.86), abs=1e-9), name


def test_gzipped_geojson_and_a_zipped_shapefile(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(2.34, 48.86)], crs="EPSG:4326")
    packed = tmp_path / "p.geojson.gz"
    packed.write_bytes(gzip.compress(frame.to_json().encode()))
    frame.to_file(tmp_path / "p.shp.zip", driver="ESRI Shapefile")
    for path in (packed, tmp_path / "p.shp.zip"):
        assert xy(read(path)) == [(2.34, 48.86)]


def test_a_layer_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(2.34, 48.86)], crs="EPSG:4326")
    for layer in ("one", "two"):
        frame.to_file(tmp_path / "p.gpkg", layer=layer)
    with pytest.raises(SourceError, match=r"has the layers \['one', 'two'\]: name one"):
        read(tmp_path / "p.gpkg")
    assert len(read(tmp_path / "p.gpkg", layer="two").places) == 1
    with pytest.raises(SourceError, match="no layer 'three'"):
        read(tmp_path / "p.gpkg", layer="three")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nam": "x"}, ConfigError, "unknown option 'nam'; did you mean 'name'"),
        ({"name": "nme"}, ConfigError, "no column 'nme'; did you mean 'name'"),
        ({"keep": ["zzz"]}, ConfigError, r"no column 'zzz'; it has \['name'"),
        ({"lon": "lon"}, ConfigError, "lon and lat belong together"),
        ({"capacity_from": "mean"}, ConfigError, "must be sum, max or rows"),
        ({"format": "xls"}, ConfigError, "format 'xls' is not known"),
        ({"where": {"name": ["z"]}}, SourceError, "keeps no row; the column holds “a”"),
        ({"encoding": "utf-99"}, SourceError, "utf-99"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(table(tmp_path, "name;lat;lon\na;48.8;2.3\n"), **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\x03", "binary data"),
        (b"<html><body>Sign in</body></html>", "not a table"),
        (b"name;where\na;b\n", "no column holds a place"),
        (b"a;b\n1;2;3;4\n5;6;7;8;9\n", "is not a table"),
        (b"{broken", "cannot read"),
        (b"PAR1 not parquet", "Parquet"),
        (b"SQLite format 3\x00 not a package", "cannot read"),
        (b"PK\x03\x04 not a zip", "cannot read"),
    ],
)
def test_files_that_are_not_tables_of_places(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "places.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read(path)
    with pytest.raises(SourceError, match="cannot open"):
        read(tmp_path / "absent.csv")
