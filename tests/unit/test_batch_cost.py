"""What a batch will take: sizes without reading, costs that grow with what drives them, tiles where memory is short."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from click.testing import CliRunner

from pipelines.batch.batch import estimate_batch, in_tiles, in_turn
from pipelines.batch.cost import Size, area_km2, cost_of, header_box, size_of, tile_cells_for
from pipelines.batch.plan import read_batch
from pipelines.cli import cli

CITY = Size(read_mb=1.2, content_mb=1.2, nodes=15_000, cells=500, categories=4, modes=3, sites=True)


@pytest.mark.parametrize(
    "more", [{"read_mb": 120.0}, {"content_mb": 9.0}, {"nodes": 1e6}, {"cells": 1e5}, {"categories": 9}]
)
def test_more_of_anything_costs_more(more: dict[str, float]) -> None:
    small, large = cost_of(CITY), cost_of(replace(CITY, **more))  # type: ignore[arg-type]
    assert large.core_s > small.core_s
    assert large.peak_mb > small.peak_mb
    assert cost_of(replace(CITY, sites=False)).core_s < small.core_s


def test_the_model_is_near_what_was_measured() -> None:
    """Rows of docs/batch.md: an extract with and without places, and the synthetic city; within a factor of two."""
    alegre = Size(read_mb=0.9, content_mb=0.9, nodes=48_788, cells=14_037, categories=4, modes=3, sites=False)
    synthetic = Size(
        read_mb=0.0, content_mb=0.0, nodes=160_000, cells=7_864, categories=4, modes=2, sites=False
    )
    for size, core_s, peak_mb in ((alegre, 17.6, 674), (synthetic, 36.3, 841)):
        assert core_s / 2 < cost_of(size).core_s < core_s * 2
        assert peak_mb * 0.8 < cost_of(size).peak_mb < peak_mb * 1.25


def test_tiles_where_memory_is_short() -> None:
    region = replace(CITY, nodes=1e6, cells=100_000)
    enough = cost_of(region).peak_mb + 1
    assert tile_cells_for(region, enough) is None
    some = [tile_cells_for(region, mb) or 0 for mb in (enough * 0.9, enough * 0.7, enough * 0.5)]
    assert region.cells > some[0] >= some[1] >= some[2] >= 1000


def write(folder: Path, text: str) -> Path:
    file = folder / "cities.toml"
    file.write_text(text)
    return file


def test_sizes_come_from_files_and_areas(shared_data: Path, tmp_path: Path) -> None:
    porto = shared_data / "osm" / "porto_centre_2020.osm.pbf"
    tables = {"area": {"name": "Porto"}, "source": {"osm": str(porto)}}
    whole = size_of(tables, base=tmp_path, cache=tmp_path)
    assert whole.basis == "file"
    assert whole.nodes == pytest.approx(15_138, rel=0.5)
    assert whole.cells == pytest.approx(491, rel=0.05)
    box = header_box(porto)
    assert box is not None
    part = size_of(
        {**tables, "area": {"name": "x", "bbox": (-8.612, 41.140, -8.610, 41.141)}},
        base=tmp_path,
        cache=tmp_path,
    )
    assert part.cells < 5
    on_foot = {**tables, "network": {"bike": {"enabled": False}, "street30": {"enabled": False}}}
    assert size_of(on_foot, base=tmp_path, cache=tmp_path).nodes == pytest.approx(whole.nodes / 3)


def test_areas_are_measured_in_square_kilometres() -> None:
    assert area_km2(shapely.box(2.2, 48.8, 2.3, 48.9)) == pytest.approx(7.33 * 11.12, rel=0.01)


def test_the_command_says_what_a_batch_takes_and_does_nothing(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '[[areas]]\nname = "Far"\nbbox = [2.25, 48.81, 2.42, 48.91]\nosm = "https://example.org/x.osm.pbf"\n'
        '[[areas]]\nname = "Gone"\nosm = "gone.osm.pbf"\n',
    )
    out = tmp_path / "out"
    command = ["batch", str(file), "--estimate", "--out", str(out), "--workers", "2", "--memory-gb", "4"]
    done = CliRunner().invoke(cli, [*command, "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["city"]: row for row in json.loads(done.stdout)}
    assert rows["Far"]["basis"] == "area"
    assert rows["Far"]["cells"] == pytest.approx(10_300, rel=0.05)
    assert rows["Gone"]["basis"] == "unknown"
    assert "of one core" in done.stderr
    assert "1 of unknown size" in done.stderr
    assert not out.exists()


def test_what_was_measured_before_is_told_as_measured(tmp_path: Path) -> None:
    file = write(tmp_path, '[[areas]]\nname = "Far"\nosm = "https://example.org/x.osm.pbf"\n')
    unit = read_batch([file]).units[0]
    record = tmp_path / "out" / "records" / f"{unit.id}.json"
    record.parent.mkdir(parents=True)
    known = {"id": unit.id, "city": "Far", "label": "", "setting": {}, "status": "done", "seconds": 77.0,
             "peak_mb": 901.0, "built": ["extract"], "config_digest": unit.config().digest}  # fmt: skip
    record.write_text(json.dumps(known))
    found = estimate_batch([file], out=tmp_path / "out", cache=tmp_path / "cache", workers=1)
    assert found.table["basis"].tolist() == ["measured"]
    assert found.table["core_s"].tolist() == [77.0]


def test_long_cities_begin_first_and_large_ones_in_tiles(tmp_path: Path) -> None:
    from tests.batch_town import write_batch

    units = read_batch([write_batch(tmp_path, ("Alba", "Bram", "Cori"))]).units
    assert [u.id for u in in_turn(units, {"bram": 9.0, "cori": 20.0})] == ["cori", "bram", "alba"]
    from pipelines.batch.batch import _order

    orders = [_order(u, tmp_path, tmp_path, "", "", force=False, offline=True) for u in units]
    sizes = {"alba": CITY, "bram": replace(CITY, nodes=2e6, cells=2e5), "cori": CITY}
    tiled = {o.id: o.tile_cells for o in in_tiles(orders, sizes, 4000)}
    assert tiled["alba"] is tiled["cori"] is None
    assert tiled["bram"]
    assert all(o.tile_cells is None for o in in_tiles(orders, sizes, None))
