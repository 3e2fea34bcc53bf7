"""Packed bytes and colours, without Streamlit."""

from __future__ import annotations

import json

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ui.layers.backdrop import backdrop_geojson, kind_of
from ui.layers.cells import EDGE_AFFECTED, NO_NETWORK, UNREACHABLE, encode_values, flags, pack_geometry
from ui.layers.features import as_points, labels, places_geojson, plain, table_geojson, to_bytes
from ui.layers.frame import STEPS, Frame, mercator, unwrap
from ui.layers.names import names_json
from ui.layers.packing import pack, unpack
from ui.layers.streets import NARROWEST, UNKNOWN, one_direction, pack_streets, street_class

PARIS = (48.8566, 2.3522)


def hexagons(lat: float, lon: float, *, rings: int = 2) -> gpd.GeoDataFrame:
    cells = sorted(h3.grid_disk(h3.latlng_to_cell(lat, lon, 10), rings))
    shapes = [shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(c)]) for c in cells]
    return gpd.GeoDataFrame(
        {"h3_cell": cells, "no_network": False, "edge_affected": False}, geometry=shapes, crs=4326
    )


@given(hnp.arrays(np.float64, st.integers(0, 50), elements=st.floats(allow_nan=False)), st.text(max_size=40))
def test_what_is_packed_is_unpacked(values: np.ndarray, text: str) -> None:
    bytes_ = np.arange(len(values) % 7, dtype=np.uint8)
    buffer = pack({"text": text}, {"a": bytes_, "b": values})
    header, arrays = unpack(buffer)
    assert header["text"] == text
    np.testing.assert_array_equal(arrays["a"], bytes_)
    np.testing.assert_array_equal(arrays["b"], values)
    assert buffer == pack({"text": text}, {"a": bytes_, "b": values})
    assert all(item["offset"] % 8 == 0 for item in header["arrays"])


def test_an_array_that_javascript_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="int16"):
        pack({}, {"a": np.zeros(2, np.int16)})


def test_a_cut_buffer_is_refused() -> None:
    with pytest.raises(ValueError, match="header"):
        unpack(pack({"a": 1}, {})[:6])


@given(st.floats(-170, 170), st.floats(-80, 80))
def test_a_frame_keeps_places_to_a_step(lon: float, lat: float) -> None:
    corners = np.array([lon, lon + 0.1]), np.array([lat, lat + 0.1])
    frame = Frame.around(*corners)
    steps = frame.quantise(np.array([lon + 0.03]), np.array([lat + 0.07]))
    back = np.array([frame.west, frame.north]) + steps[0] / STEPS * frame.size
    np.testing.assert_allclose(
        back, mercator(np.array([lon + 0.03]), np.array([lat + 0.07]))[0], atol=frame.size / STEPS
    )


def test_a_frame_across_the_antimeridian_is_narrow() -> None:
    lon, lat = np.array([179.9, -179.9]), np.array([-17.0, -17.1])
    frame = Frame.around(lon, lat)
    assert frame.size < 0.2 / 360 + 1e-9
    x = frame.quantise(lon, lat)[:, 0]
    assert (x[0], x[1]) == (0, STEPS)
    np.testing.assert_allclose(unwrap(lon), [179.9, 180.1])


def test_no_points_have_a_frame_too() -> None:
    assert Frame.around(np.array([]), np.array([])).size > 0


@given(hnp.arrays(np.float64, 30, elements=st.floats(0, 200)), st.integers(0, 400))
def test_a_threshold_means_the_same_before_and_after(values: np.ndarray, half_minutes: int) -> None:
    cutoff = half_minutes / 2
    np.testing.assert_array_equal(values <= cutoff, encode_values(values) <= np.float32(cutoff))


def test_a_hair_over_the_cutoff_stays_over() -> None:
    assert encode_values(np.array([15 + 1e-12]))[0] > 15
    assert encode_values(np.array([15.0]))[0] == 15
    assert encode_values(np.array([np.nan, np.inf])).tolist() == [UNREACHABLE, UNREACHABLE]


@pytest.mark.parametrize("place", [PARIS, (-33.45, -70.66), (-17.0, 179.999), (64.15, -21.94)])
def test_cells_are_packed_once_with_weight_and_flags(place: tuple[float, float]) -> None:
    cells = hexagons(*place)
    frame = Frame.around(*shapely.get_coordinates(cells.geometry).T)
    weight = np.arange(len(cells), dtype=float)
    header, arrays = unpack(pack_geometry(cells, weight=weight, frame=frame))
    assert header["count"] == len(cells)
    assert [f"{c:x}" for c in arrays["h3"]] == cells["h3_cell"].tolist()
    assert arrays["sides"].tolist() == [6] * len(cells)
    np.testing.assert_array_equal(arrays["weight"], weight)
    corners = arrays["corners"].reshape(-1, 6, 2).astype(float)
    widths = np.ptp(corners[:, :, 0], axis=1)
    assert widths.max() < 2 * widths.min(), "a cell was torn across the frame"


def test_neighbours_share_their_corners_exactly() -> None:
    cells = hexagons(*PARIS, rings=1)
    frame = Frame.around(*shapely.get_coordinates(cells.geometry).T)
    _, arrays = unpack(pack_geometry(cells, weight=np.ones(7), frame=frame))
    assert len(np.unique(arrays["corners"].reshape(-1, 2), axis=0)) == 24


def test_flags_are_bits() -> None:
    table = pd.DataFrame(
        {"no_network": [True, False, True, None], "edge_affected": [False, True, True, None]}
    )
    assert flags(table).tolist() == [NO_NETWORK, EDGE_AFFECTED, NO_NETWORK | EDGE_AFFECTED, 0]
    assert flags(pd.DataFrame(index=range(2))).tolist() == [0, 0]


def edges(rows: list[tuple[int, int, str | None]], **columns: object) -> gpd.GeoDataFrame:
    lines = [shapely.LineString([(a / 100, 0), (b / 100, 0)]) for a, b, _ in rows]
    table = pd.DataFrame(rows, columns=["from_node", "to_node", "highway"]).assign(
        length_m=10.0, osm_way=1, **columns
    )
    return gpd.GeoDataFrame(table, geometry=lines, crs=4326)


def test_a_street_of_two_directions_is_drawn_once() -> None:
    table = edges([(1, 2, "primary"), (2, 1, "primary"), (2, 3, "path")])
    assert one_direction(table)[["from_node", "to_node"]].to_numpy().tolist() == [[1, 2], [2, 3]]
    parallel = edges([(1, 2, "primary"), (1, 2, "primary"), (2, 1, "primary")], street=[0, 1, 0])
    assert len(one_direction(parallel)) == 2


def test_main_streets_come_first_and_plaza_lines_are_left_out() -> None:
    table = edges([(1, 2, "footway"), (2, 3, "trunk_link"), (3, 4, "secondary"), (4, 5, "footway")])
    table["area_crossing"] = [False, False, False, True]
    frame = Frame.around(*shapely.get_coordinates(table.geometry).T)
    header, arrays = unpack(pack_streets(table, frame=frame))
    assert header["count"] == 3
    assert arrays["classes"].tolist() == [0, 1, NARROWEST]
    assert arrays["sizes"].tolist() == [2, 2, 2]
    assert arrays["points"][0] == frame.quantise(np.array([0.02]), np.array([0.0]))[0, 0]


def test_a_street_without_class_is_drawn_like_a_residential_one() -> None:
    assert street_class(pd.Series(["residential", None, "steps"])).tolist() == [2, UNKNOWN, NARROWEST]
    table = edges([(1, 2, None)]).drop(columns="highway")
    _, arrays = unpack(pack_streets(table, frame=Frame(0.5, 0.5, 0.1)))
    assert arrays["classes"].tolist() == [UNKNOWN]


def test_places_are_points_with_a_name_or_an_id() -> None:
    square = shapely.box(0, 0, 1, 1)
    table = gpd.GeoDataFrame(
        {
            "id": ["node/1", "way/2", "node/3"],
            "category": ["green", "green", "shops"],
            "name": ["Parc", None, "x"],
        },
        geometry=[shapely.Point(2.1234567, 1), square, shapely.Point(0, 0)],
        crs=4326,
    )
    found = places_geojson(table, category="green")["features"]
    assert [f["properties"]["label"] for f in found] == ["Parc", "way/2"]
    assert found[0]["geometry"]["coordinates"] == [2.123457, 1.0]
    assert square.contains(shapely.Point(found[1]["geometry"]["coordinates"]))
    assert labels(table.drop(columns="name")) == ["node/1", "way/2", "node/3"]


def test_tables_become_json_whatever_they_hold() -> None:
    table = gpd.GeoDataFrame(
        {"rank": np.array([1, 2], np.int32), "locked": [True, False], "gap": [np.nan, 0.5]},
        geometry=[shapely.Point(0, 0), None],
        crs=4326,
    )
    found = table_geojson(table, label=["a", "b"], keep=("rank", "locked", "gap", "absent"))
    assert json.loads(to_bytes(found))["features"] == [
        {
            "type": "Feature",
            "properties": {"label": "a", "rank": 1, "locked": True, "gap": None},
            "geometry": {"type": "Point", "coordinates": [0.0, 0.0]},
        }
    ]
    assert plain(pd.Timestamp("2020-01-01")) == "2020-01-01 00:00:00"
    assert plain(pd.NA) is None


def test_water_and_parks_give_bearings_and_private_ones_do_not() -> None:
    big, small = shapely.box(0, 0, 0.01, 0.01), shapely.box(0, 0, 1e-5, 1e-5)
    table = gpd.GeoDataFrame(
        {
            "tags": [
                json.dumps({"natural": "water", "name": "Seine"}),
                json.dumps({"leisure": "park"}),
                json.dumps({"leisure": "park", "access": "private"}),
                json.dumps({"natural": "water"}),
                json.dumps({"building": "yes"}),
                json.dumps({"natural": "water"}),
            ]
        },
        geometry=[big, big, big, small, big, shapely.LineString([(0, 0), (1, 1)])],
        crs=4326,
    )
    found = [f["properties"] for f in backdrop_geojson(table)["features"]]
    assert found == [{"kind": "water", "name": "Seine"}, {"kind": "park", "name": ""}]
    assert backdrop_geojson(None)["features"] == []
    assert kind_of({"leisure": "swimming_pool"}) is None


def test_outlines_of_sites_are_drawn_as_one_point_inside() -> None:
    table = gpd.GeoDataFrame(
        {"rank": [1, 2]}, geometry=[shapely.Point(1, 2), shapely.box(0, 0, 4, 4)], crs=4326, index=[5, 9]
    )
    found = as_points(table)
    assert found.geometry.geom_type.tolist() == ["Point", "Point"]
    assert found.geometry.iloc[0] == shapely.Point(1, 2)
    assert shapely.box(0, 0, 4, 4).contains(found.geometry.iloc[1])


def test_names_stand_along_their_street_and_in_their_park() -> None:
    east = shapely.LineString([(2.30, 48.85), (2.31, 48.85)])
    north = shapely.LineString([(2.35, 48.85), (2.35, 48.853)])
    streets = gpd.GeoDataFrame(
        {"from_node": [1, 2, 3, 4], "to_node": [2, 1, 4, 5], "length_m": [733.0, 733.0, 334.0, 10.0],
         "street": [0, 0, 1, 2], "name": ["Rue de l'Est", "Rue de l'Est", "Rue du Nord", None],
         "highway": ["primary", "primary", "residential", "path"]},
        geometry=[east, east.reverse(), north, shapely.LineString([(2.4, 48.8), (2.4, 48.81)])], crs=4326,
    )  # fmt: skip
    features = gpd.GeoDataFrame(
        {"tags": ['{"leisure": "park", "name": "Parc"}', '{"leisure": "park"}']},
        geometry=[shapely.box(2.30, 48.86, 2.304, 48.863), shapely.box(2.31, 48.86, 2.314, 48.863)], crs=4326,
    )  # fmt: skip
    cells = gpd.GeoDataFrame(
        {"neighbourhood": ["Ici", None]}, geometry=[shapely.box(2.3, 48.85, 2.31, 48.86)] * 2, crs=4326
    )
    found = {
        text: (kind, lon, lat, angle, room)
        for kind, text, lon, lat, angle, room in names_json(streets, features, cells)
    }
    assert found.keys() == {"Ici", "Parc", "Rue de l'Est", "Rue du Nord"}
    kind, lon, lat, angle, room = found["Rue de l'Est"]
    assert (kind, angle) == ("street", 0)
    assert (lon, lat) == (pytest.approx(2.305, abs=1e-4), pytest.approx(48.85, abs=1e-4))
    assert 400 < room < 740
    assert abs(found["Rue du Nord"][3]) == 90
    assert features.geometry.iloc[0].contains(shapely.Point(found["Parc"][1:3]))
