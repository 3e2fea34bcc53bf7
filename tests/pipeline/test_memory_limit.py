"""A limit of memory: the same bytes in tiles, a refusal before the start, and Paris below a gigabyte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapely

from engine.cells import cells_in_area
from engine.sites import candidates
from pipelines import cost
from pipelines.budget import Budget, cells_of
from pipelines.compute import run
from pipelines.cost import Size
from pipelines.errors import ConfigError
from pipelines.memory import peak_of
from pipelines.warm_town import town_tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return town_tables(tmp_path_factory.mktemp("town"))


def test_tiles_give_the_same_bytes(
    tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tables, cache=tmp_path / "whole")
    assert whole.manifest["tile_cells"] is None
    monkeypatch.setattr(cost, "LEAST_TILE", 3)
    monkeypatch.setattr(cost, "CELL_MB", 1e6)
    tiled = run(tables, cache=tmp_path / "tiled", memory_limit="4GB")
    assert tiled.manifest["tile_cells"] == 3
    assert len(tiled.cells) > 3 * 3
    assert {"tile_walk", "field_bike"} <= tiled.manifest["steps"].keys()
    assert tiled.manifest["outputs"] == whole.manifest["outputs"]
    assert tiled.manifest["memory_limit_mb"] == 4000


def test_sites_follow_the_limit_with_the_same_bytes(
    tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places along kerbs are said to be so large that only seven of them fit at once."""
    judged: list[int] = []
    tiles = candidates._Survey.tiles

    def noted(self: Any, at_once: int) -> Any:
        judged.append(at_once)
        return tiles(self, at_once)

    monkeypatch.setattr(candidates._Survey, "tiles", noted)
    whole = run(tables, cache=tmp_path / "whole")
    assert set(judged) == {cost.MOST_PLACES}
    judged.clear()
    monkeypatch.setattr(cost, "LEAST_PLACES", 7)
    monkeypatch.setattr(cost, "PLACE_MB", 1e3)
    monkeypatch.setattr(cost, "SITES_MB", replace(cost.SITES_MB, base=1e9))
    monkeypatch.setattr(Budget, "check", lambda *_: None)
    tiled = run(tables, cache=tmp_path / "tiled", memory_limit="4GB")
    assert set(judged) == {7}
    assert len(judged) == 3
    assert tiled.manifest["outputs"] == whole.manifest["outputs"]


@pytest.mark.parametrize("limit", ["100MB", 100_000_000])
def test_a_city_that_cannot_fit_says_so_before_it_starts(
    tables: dict[str, Any], tmp_path: Path, limit: str | int
) -> None:
    with pytest.raises(ConfigError, match=r"memory limit is 100.0 MB.*takes about 560.* MB.*--memory-limit"):
        run(tables, cache=tmp_path / "cache", memory_limit=limit)
    assert not (tmp_path / "cache" / "artifacts").exists()


def test_half_the_planet_is_refused_in_no_time(tables: dict[str, Any], tmp_path: Path) -> None:
    wide = {**tables, "area": {"name": "x", "bbox": (-179.0, -60.0, 179.0, 60.0), "resolution": 12}}
    start = time.monotonic()
    with peak_of() as before:
        pass
    with peak_of() as peak, pytest.raises(ConfigError, match=r"this machine has .*smaller area"):
        run(wide, cache=tmp_path / "cache")
    assert time.monotonic() - start < 30
    assert peak.mb < before.mb + 200


SIZE = Size(read_mb=3, content_mb=0, nodes=100_000, cells=8_000, categories=4, modes=3, sites=True)


def test_networks_that_turn_out_too_large_are_refused_before_the_searches() -> None:
    Budget(1000).check(SIZE)
    with pytest.raises(ConfigError, match=r"900,000 vertices together; most for networks and places"):
        Budget(1000).check(replace(SIZE, nodes=900_000, sites=False))


def test_what_takes_most_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"candidates for sites.*sites\.KIND\.enabled = false"):
        Budget(1000).check(replace(SIZE, nodes=300_000))
    with pytest.raises(
        ConfigError, match=r"tables of all cells\): choose.*coarser resolution, or allow more"
    ):
        Budget(1000).check(replace(SIZE, cells=200_000))


def test_tiles_grow_with_the_limit_and_end_where_all_fits() -> None:
    region = replace(SIZE, nodes=200_000, cells=100_000)
    sizes = [Budget(mb).tile_cells(region) for mb in (800, 900, 1_000, 9_000)]
    assert sizes[:1] == [cost.LEAST_TILE]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[3] is None
    assert Budget().tile_cells(replace(region, nodes=1e9, cells=1e9)) is None


@pytest.mark.parametrize("resolution", [8, 9, 10])
def test_cells_are_counted_without_being_made(resolution: int) -> None:
    box = shapely.box(2.25, 48.81, 2.42, 48.91)
    assert cells_of(box, resolution) == pytest.approx(
        len(cells_in_area(box, resolution=resolution)), rel=0.25
    )


def test_a_limit_is_an_amount(tables: dict[str, Any], tmp_path: Path) -> None:
    for text in ("much", "-2GB", "2 XB"):
        with pytest.raises(ConfigError, match="--memory-limit takes an amount"):
            run(tables, cache=tmp_path, memory_limit=text)


@pytest.mark.bench
@pytest.mark.timeout(3600)
def test_the_whole_of_paris_stays_below_a_gigabyte(shared_data: Path, tmp_path: Path) -> None:
    """The real streets of Paris from tables, with all cells; in a process of its own, kernels compiled before."""
    del shared_data
    command = [sys.executable, "-m", "pipelines", "run", str(ROOT / "configs" / "paris-tables.toml")]
    command += ["--memory-limit", "1GB", "--quiet", "--json", "--out", str(tmp_path / "out")]
    env = {**os.environ, "PROCHE_CACHE": str(tmp_path / "cache"), "PROCHE_WARM": "off"}
    for _ in range(2):  # the first compiles
        subprocess.run(
            [*command, "--force"], env=env, cwd=ROOT, check=True, capture_output=True, timeout=3000
        )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    print(f"{manifest['area']['cells']} cells, peak {manifest['peak_memory_mb']:.0f} MB")
    assert manifest["peak_memory_mb"] < 1000
