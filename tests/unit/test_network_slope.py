"""Slope: Tobler's factor, bridges and tunnels, noise; heights read from rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from engine.network.build import build_network
from engine.network.profile import ModeProfile
from engine.network.slope import MAX_SLOPE, cycling_factor, tobler_factor
from engine.network.street_network import StreetNetwork
from pipelines.errors import SourceError
from pipelines.sources.raster import elevation_reader
from tests.osm_town import DEGREE_M, Way, extract_of, milliseconds

FOOTWAY = {"highway": "footway"}
LINE = "A.....B\nC.....D"  # A–B 600 m, C–D 600 m, 100 m apart
WAYS: list[Way] = [("AB", FOOTWAY), ("ACDB", {"highway": "residential"})]


def on_ramp(
    per_m: float, mode: str = "walk", ways: list[Way] | None = None, **profile: object
) -> StreetNetwork:
    """The town on a plane that rises eastwards."""
    return build_network(
        extract_of(LINE, ways or WAYS),
        ModeProfile.default(mode, **profile),
        elevation=lambda lon, lat: 50 + lon * DEGREE_M * per_m,
    )


@pytest.mark.parametrize(
    ("slope", "factor"), [(0.0, 1.0), (0.05, 0.84), (0.10, 0.70), (-0.05, 1.19), (-0.10, 1.0)]
)
def test_tobler_normalised_to_flat(slope: float, factor: float) -> None:
    assert float(tobler_factor(np.array([slope]))[0]) == pytest.approx(factor, abs=0.005)


@pytest.mark.parametrize("slope", [0.0, 0.03, 0.05, 0.10])
def test_walking_up_and_down_a_ramp(slope: float) -> None:
    network = on_ramp(slope)
    flat = 600 * 720
    assert milliseconds(network, "A", "B") == pytest.approx(
        flat / float(tobler_factor(np.array([slope]))[0]), rel=2e-4
    )
    assert milliseconds(network, "B", "A") == pytest.approx(
        flat / float(tobler_factor(np.array([-slope]))[0]), rel=2e-4
    )
    heights = dict(zip(network.node_id.tolist(), network.elevation_m, strict=True))
    assert heights[ord("B")] - heights[ord("A")] == pytest.approx(600 * slope, abs=0.01)


def test_slope_is_an_option_and_never_slows_cars() -> None:
    assert milliseconds(on_ramp(0.1, slope=False), "A", "B") == pytest.approx(600 * 720, abs=50)
    cars = on_ramp(0.1, "street30", ways=[("AB", {"highway": "residential"}), WAYS[1]])
    assert milliseconds(cars, "A", "B") == pytest.approx(600 * 120, abs=50)
    assert cars.elevation_m is not None


def test_cycling_slows_uphill_until_pushing() -> None:
    cycle: list[Way] = [("AB", {"highway": "cycleway"}), ("ACDB", {"highway": "tertiary"})]
    flat = 600 * 240
    assert milliseconds(on_ramp(0.03, "bike", cycle), "A", "B") == pytest.approx(
        flat / (1 - 0.03 * 144 / 21.6), rel=1e-3
    )
    assert milliseconds(on_ramp(0.03, "bike", cycle), "B", "A") == pytest.approx(
        flat / (1 + 0.03 * 86 / 21.6), rel=1e-3
    )
    pushing = 600 * 720 / float(tobler_factor(np.array([0.14]))[0])  # 15 km/h × 0.07 is slower than pushing
    assert milliseconds(on_ramp(0.14, "bike", cycle), "A", "B") == pytest.approx(pushing, rel=1e-3)
    assert float(cycling_factor(np.array([0.5]))[0]) == 0.0


def test_steps_keep_their_speed() -> None:
    steps = on_ramp(0.1, ways=[("AB", {"highway": "steps"}), WAYS[1]], speed_kmh=2.5)
    assert milliseconds(steps, "A", "B") == pytest.approx(600 * 1800, rel=1e-4)


def gorge(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """A gorge of 40 m between x = 150 m and x = 450 m; the banks rise by 2 %."""
    x = lon * DEGREE_M
    return np.where((x > 150) & (x < 450), -40.0, x * 0.02)


@pytest.mark.parametrize("tags", [{"bridge": "yes"}, {"tunnel": "yes"}, {"bridge": "viaduct"}])
def test_structures_run_straight_from_end_to_end(tags: dict[str, str]) -> None:
    # A-1=2=3=4=5-B: the bridge in two ways, with nodes hanging over the gorge
    drawing = "A12345B\nC.....D"
    deck = {**FOOTWAY, **tags}
    ways: list[Way] = [
        ("A1", FOOTWAY),
        ("123", deck),
        ("345", deck),
        ("5B", FOOTWAY),
        ("ACDB", {"highway": "residential"}),
    ]
    network = build_network(extract_of(drawing, ways), ModeProfile.default("walk"), elevation=gorge)
    up = float(tobler_factor(np.array([0.02]))[0])
    assert milliseconds(network, "A", "B") == pytest.approx(600 * 720 / up, rel=2e-3)
    without = [(path, FOOTWAY) for path, _ in ways[:4]]
    network = build_network(
        extract_of(drawing, [*without, ways[4]]), ModeProfile.default("walk"), elevation=gorge
    )
    assert milliseconds(network, "A", "B") > 1.2 * 600 * 720


def test_noise_is_spread_and_capped() -> None:
    def spikes(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        return np.where(np.abs(lon * DEGREE_M - 300) < 16, 500.0, 0.0)

    network = build_network(extract_of(LINE, WAYS), ModeProfile.default("walk"), elevation=spikes)
    assert network.dropped["elevation"]["slopes_capped"] > 0
    worst = 600 * 720 / float(tobler_factor(np.array([MAX_SLOPE]))[0])
    assert milliseconds(network, "A", "B") < worst
    # a short way takes its difference of height over 30 m, not over its own 5 m
    kerb = build_network(
        extract_of("AB\nCD", [("AB", FOOTWAY), ("ACDB", {"highway": "residential"})], cell_m=5.0),
        ModeProfile.default("walk"),
        elevation=lambda lon, lat: np.where(lon * DEGREE_M > 2.5, 1.0, 0.0),
    )
    by_hand = 5 * 720 / float(tobler_factor(np.array([1 / 30]))[0])
    assert milliseconds(kerb, "A", "B") == pytest.approx(by_hand, abs=5)


def test_unknown_heights_leave_the_flat_and_are_counted() -> None:
    def half(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        return np.where(lat * DEGREE_M > 50, np.nan, lon * DEGREE_M * 0.1)

    network = build_network(extract_of(LINE, WAYS), ModeProfile.default("walk"), elevation=half)
    assert milliseconds(network, "A", "B") == pytest.approx(600 * 720, abs=50)
    assert network.dropped["elevation"]["segments_without_height"] == 3  # A–B, A–C, D–B


def from_origin(west: float, north: float, width: float, height: float) -> Affine:
    """Place a raster by its upper left corner and the size of a cell."""
    return Affine(width, 0.0, west, 0.0, -height, north)


# --- rasters ----------------------------------------------------------------------------------------------


def write_raster(
    path: Path,
    cells: np.ndarray,
    *,
    crs: str | None,
    transform: object,
    nodata: float | None = None,
    **more: object,
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=cells.shape[1], height=cells.shape[0], count=1, dtype=cells.dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as raster:  # fmt: skip
        raster.write(cells, 1)
        for key, value in more.items():
            setattr(raster, key, value)
    return path


def test_heights_are_interpolated_between_cell_centres(tmp_path: Path) -> None:
    cells = np.array([[0.0, 10.0], [20.0, 30.0]])
    path = write_raster(
        tmp_path / "dem.tif", cells, crs="EPSG:4326", transform=from_origin(10.0, 50.0, 0.1, 0.1)
    )
    read = elevation_reader(path)
    lon, lat = (
        np.array([10.05, 10.15, 10.10, 10.05, 10.0001]),
        np.array([49.95, 49.95, 49.90, 49.85, 49.9999]),
    )
    np.testing.assert_allclose(read(lon, lat), [0.0, 10.0, 15.0, 20.0, 0.0], atol=1e-9)
    assert np.isnan(read(np.array([9.99, 10.21]), np.array([49.95, 49.95]))).all()


def test_cells_without_data_leave_their_weight_to_the_others(tmp_path: Path) -> None:
    cells = np.array([[-9999.0, 10.0], [20.0, -9999.0]], dtype=np.float32)
    transform = from_origin(10.0, 50.0, 0.1, 0.1)
    path = write_raster(tmp_path / "dem.tif", cells, crs="EPSG:4326", transform=transform, nodata=-9999.0)
    read = elevation_reader(path)
    np.testing.assert_allclose(read(np.array([10.10]), np.array([49.90])), [15.0], atol=1e-6)
    assert np.isnan(read(np.array([10.05]), np.array([49.95])))[0]


def test_any_reference_system_scale_and_unit(tmp_path: Path) -> None:
    cells = np.tile(np.arange(200, dtype=np.int16), (200, 1))
    transform = from_origin(680_000, 5_335_000, 10, 10)  # UTM 32N
    path = write_raster(
        tmp_path / "dem.tif", cells, crs="EPSG:32632", transform=transform, scales=(0.5,), units=("ft",)
    )
    from pyproj import Transformer

    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(
        680_105.0, 5_334_000.0
    )
    np.testing.assert_allclose(
        elevation_reader(path)(np.array([lon]), np.array([lat])), [10 * 0.5 * 0.3048], atol=1e-6
    )


def test_windows_agree_with_the_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    cells = rng.normal(size=(1100, 1300))
    path = write_raster(
        tmp_path / "dem.tif", cells, crs="EPSG:4326", transform=from_origin(0, 11, 0.01, 0.01)
    )
    lon, lat = rng.uniform(0.01, 12.99, 500), rng.uniform(0.01, 10.99, 500)
    read = elevation_reader(path)
    together = read(lon, lat)
    np.testing.assert_array_equal(together, [read(lon[i : i + 1], lat[i : i + 1])[0] for i in range(500)])


@pytest.mark.parametrize("content", [b"", b"not a raster", b"II*\x00\x08\x00\x00\x00"])
def test_what_is_no_raster_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dem.tif"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"dem\.tif"):
        elevation_reader(path)


def test_a_raster_without_reference_system_is_refused(tmp_path: Path) -> None:
    cells = np.zeros((2, 2), dtype=np.float32)
    path = write_raster(tmp_path / "dem.tif", cells, crs=None, transform=from_origin(0, 1, 0.5, 0.5))
    with pytest.raises(SourceError, match="reference system"):
        elevation_reader(path)


def test_absent_raster(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        elevation_reader(tmp_path / "nowhere.tif")


def test_porto_alegre_is_hilly(shared_data: Path) -> None:
    from pipelines.sources.osm_file import read_osm

    extract = read_osm(
        shared_data / "osm" / "porto_alegre_streets_2020.osm.pbf", bounds=(-51.21, -30.06, -51.18, -30.04)
    )
    read = elevation_reader(shared_data / "grid" / "poa_elevation.tif")
    flat = build_network(extract, ModeProfile.default("walk"))
    hilly = build_network(extract, ModeProfile.default("walk"), elevation=read)
    assert hilly.elevation_m is not None
    assert np.ptp(hilly.elevation_m[np.isfinite(hilly.elevation_m)]) > 70
    there, back = (
        hilly.forward_ms.sum() / flat.forward_ms.sum(),
        hilly.backward_ms.sum() / flat.backward_ms.sum(),
    )
    assert 1.02 < there < 1.3 and 1.02 < back < 1.3
    # directed: up and down differ on most streets, and the flat agrees with neither
    assert (hilly.forward_ms != hilly.backward_ms).mean() > 0.5
