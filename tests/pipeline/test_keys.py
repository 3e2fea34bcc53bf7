"""Every key of the configuration moves some output: a key that does nothing is a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from pipelines.compute import run
from pipelines.config import Config, config_schema
from pipelines.rundir import RunDirectory
from tests.pipeline.test_site_keys import MOVES as SITE_MOVES

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.toml"

MOVES = [
    "area.resolution=9",
    "area.bbox=[24.936, 60.165, 24.95, 60.175]",
    "area.neighbourhoods='HALVES'",
    "network.walk.speed_kmh=4",
    "network.walk.profile=older",
    "network.walk.signal_delay_s=20",
    "network.walk.steps_kmh=1",
    "network.walk.wheelchair=true",
    "network.walk.enabled=false",
    "network.bike.speed_kmh=20",
    "network.bike.dismount_kmh=3",
    "network.bike.max_lts=2",
    "network.bike.limit_30=true",
    "network.bike.signal_delay_s=10",
    "network.bike.enabled=false",
    "network.street30.speed_kmh=20",
    "network.street30.congestion_factor=2",
    "network.street30.signal_delay_s=10",
    "network.street30.major.classes=[]",
    "network.street30.major.names=['Hämeentie', 'Kaisaniemenkatu', 'Unioninkatu', 'Mannerheimintie']",
    "network.street30.enabled=false",
    "opportunities.shops.osm={shop=['bakery']}",
    "opportunities.shops.require={opening_hours=true}",
    "opportunities.shops.exclude={shop=['supermarket']}",
    "opportunities.shops.dedup_radius_m=2000",
    "opportunities.shops.weight=0",
    "opportunities.shops.known=100",
    "opportunities.shops.label_en=Bakers",
    "opportunities.cafes={osm={amenity='cafe'}, weight=1}",
    "opportunities.green.min_area_ha=2",
    "opportunities.shops.merge=nearby",
    "scoring.taxonomy=proximity9",
    "scoring.cutoff_min=8",
    "scoring.decay=step",
    "scoring.decay_full_min=1",
    "scoring.decay_half_min=10",
    "scoring.decay_zero_min=20",
    "scoring.weights={shops=5}",
    "scoring.max_snap_m=3",
    "scoring.max_origin_snap_m=1",
    "scoring.search_limit_min=6",
    "scoring.nearest_mean_of=2",
    "scoring.resolutions=[10]",
    "scoring.gravity=['power']",
    "scoring.gravity_limit_min=10",
    "sites.trees.enabled=false",
    "sites.green.enabled=true",
    "sites.chargers.enabled=false",
    "sites.sorting.enabled=false",
    "elevation.raster='HILL'",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A hill and two halves of the town."""
    folder = tmp_path_factory.mktemp("files")
    west, south, east, north = 24.93, 60.16, 24.96, 60.18
    rows, columns = np.mgrid[0:80, 0:80]
    layers = {"HILL": 60 * np.exp(-((rows - 40.0) ** 2 + (columns - 30.0) ** 2) / 300)}
    for name, values in layers.items():
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": 80,
            "height": 80,
            "count": 1,
            "dtype": "float32",
        }
        step_x, step_y = (east - west) / 80, (south - north) / 80
        profile |= {"crs": "EPSG:4326", "transform": rasterio.Affine(step_x, 0, west, 0, step_y, north)}
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as raster:
            raster.write(values.astype("float32"), 1)

    def half(name: str, left: float, right: float) -> dict[str, Any]:
        ring = [[left, south], [right, south], [right, north], [left, north], [left, south]]
        return {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }

    halves = {
        "type": "FeatureCollection",
        "features": [half("West", west, 24.944), half("East", 24.944, east)],
    }
    (folder / "HALVES.geojson").write_text(json.dumps(halves))
    return {
        "HILL": str(folder / "HILL.tif"),
        "HALVES": str(folder / "HALVES.geojson"),
    }


@pytest.mark.parametrize("override", MOVES)
def test_a_key_moves_an_output(
    demo_run: RunDirectory, demo_cache: Path, tmp_path: Path, files: dict[str, str], override: str
) -> None:
    key, _, value = override.partition("=")
    for name, path in files.items():
        value = value.replace(f"'{name}'", f"'{path}'")
    changed = run(DEMO, out=tmp_path / "out", cache=demo_cache, overrides=[f"{key}={value}"])
    assert changed.manifest["outputs"] != demo_run.manifest["outputs"]


def test_every_key_is_tried_or_excused() -> None:
    """A new key must be added to MOVES, or to this list with the place where it is tested."""
    elsewhere = {
        # test_boundary
        "area": {"name", "place", "boundary", "boundary_layer", "boundary_where", "neighbourhood_name"},
        "source": set(config_schema()["$defs"]["Source"]["properties"]),  # test_run, test_sources_live
        "population": set(config_schema()["$defs"]["Population"]["properties"]),  # test_opportunity_keys
        "elevation": {"sha256", "licence"},  # test_download, test_hills
        "scoring": {"gravity_half_min", "catchment_min", "catchment_decay"},  # test_measures
        "network.walk": {"ferries", "moment", "slope"},  # test_network_access
        "network.bike": {"ferries", "moment", "slope", "profile"},
        "network.street30": {"ferries", "moment", "profile", "urban_kmh"},
    }
    tried = {o.partition("=")[0] for o in [*MOVES, *(m.partition("|")[0] for m in SITE_MOVES)]}

    def keys(model: Any, where: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            path = f"{where}.{name}" if where else name
            inner = field.annotation
            if hasattr(inner, "model_fields") and name not in ("existing", "fleets"):
                found += keys(inner, path)
            elif path not in ("opportunities",) and name not in ("existing", "fleets"):
                found.append(path)
        return found

    excused = {f"{section}.{key}" for section, names in elsewhere.items() for key in names}
    excused |= {f"network.street30.major.{k}" for k in ("refs", "relations", "polygon")}  # test_network_speed
    untried = [k for k in keys(Config, "") if k not in tried and k not in excused]
    assert untried == []
