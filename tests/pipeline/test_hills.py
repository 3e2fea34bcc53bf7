"""Porto Alegre with its terrain model: the shipped configuration, run as written against a server on this machine."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import pytest

from pipelines.compute import run
from pipelines.rundir import RunDirectory, check
from tests.loopback import Content, Loopback, serve

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "porto-alegre.toml"


@pytest.fixture
def server(shared_data: Path) -> Iterator[Loopback]:
    """What the addresses of the configuration answer: the streets and the terrain of the reference data."""
    table = tomllib.loads(CONFIG.read_text("utf-8"))
    extract = (shared_data / "osm" / "porto_alegre_streets_2020.osm.pbf").read_bytes()
    sums = f"{hashlib.md5(extract).hexdigest()}  sul-latest.osm.pbf\n".encode()
    terrain = (shared_data / "grid" / "poa_elevation.tif").read_bytes()
    answers = {
        table["source"]["osm"]: Content(extract, "application/octet-stream"),
        table["source"]["checksum_url"]: Content(sums, "text/plain"),
        table["elevation"]["raster"]: Content(terrain, "image/tiff"),
    }
    with serve() as loopback:
        for url, content in answers.items():
            parts = urlsplit(url)
            loopback.put(f"/{parts.netloc}{parts.path}", content)
        yield loopback


def test_porto_alegre_runs_as_written_and_hills_slow_those_who_climb(
    server: Loopback, tmp_path: Path
) -> None:
    table = tomllib.loads(CONFIG.read_text("utf-8"))
    addresses = {
        "source.osm": table["source"]["osm"],
        "source.checksum_url": table["source"]["checksum_url"],
        "elevation.raster": table["elevation"]["raster"],
    }
    moved = [f"{key}={server.url}/{url.removeprefix('https://')}" for key, url in addresses.items()]
    small = [*moved, "area.bbox=[-51.215, -30.09, -51.21, -30.085]", "source.buffer_m=900"]
    small += ["network.street30.enabled=false", "sites.chargers.enabled=false", "sites.sorting.enabled=false"]
    small += ["sites.trees.enabled=false"]
    hilly = run(CONFIG, overrides=small, cache=tmp_path / "cache", out=tmp_path / "hilly")
    level = ["network.walk.slope=false", "network.bike.slope=false"]
    flat = run(CONFIG, overrides=[*small, *level], cache=tmp_path / "cache", out=tmp_path / "flat")
    assert check(hilly.path)["state"].eq("ok").all()
    terrain = next(entry for entry in hilly.manifest["inputs"] if entry["role"] == "elevation")
    assert "Copernicus" in terrain["licence"] and terrain["sha256"]
    for mode in ("walk", "bike"):
        nodes = gpd.read_parquet(hilly.path / f"network_{mode}_nodes.parquet")
        assert np.isfinite(nodes["elevation_m"]).all() and np.ptp(nodes["elevation_m"]) > 30
        up, down, ratio = slopes(hilly, flat, mode)
        steep = np.abs(up) > 0.05
        assert steep.any()
        # uphill is slower, downhill is not slower than uphill, the level is as it was
        assert (ratio[steep & (up > 0)] > 1.05).all()
        assert np.median(ratio[steep & (up > 0)]) > 1.1 > np.median(ratio[down])
        unknown = hilly.manifest["reports"][f"network_{mode}"]["dropped"]["elevation"]
        assert unknown["segments_without_height"] == 0


def slopes(hilly: RunDirectory, flat: RunDirectory, mode: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean slope along each ridden or walked street of 60 m and more, whether it falls, and its time over the flat."""
    nodes = gpd.read_parquet(hilly.path / f"network_{mode}_nodes.parquet").set_index("node_id")["elevation_m"]
    one, two = (gpd.read_parquet(run.path / f"network_{mode}_edges.parquet") for run in (hilly, flat))
    assert one[["from_node", "to_node", "osm_way"]].equals(two[["from_node", "to_node", "osm_way"]])
    long = (one["length_m"] > 60) & ~one["is_steps"] & ~one["bridge"] & ~one["tunnel"]
    rise = nodes.loc[one["to_node"]].to_numpy() - nodes.loc[one["from_node"]].to_numpy()
    up = (rise / one["length_m"].to_numpy())[long]
    ratio = (one["travel_time_ms"] / two["travel_time_ms"]).to_numpy()[long]
    return up, (up < -0.02) & (up > -0.05), ratio
