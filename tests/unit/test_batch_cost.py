"""What a batch will take: sizes without reading, costs that grow with what drives them, tiles where memory is short."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from click.testing import CliRunner

from pipelines import pace as pace_module
from pipelines.batch import batch as batch_module
from pipelines.batch.batch import estimate_batch, in_turn, limited
from pipelines.batch.cluster import WORKER_MB
from pipelines.batch.plan import read_batch
from pipelines.batch.size import Counts, area_km2, header_box, size_of
from pipelines.cli import cli
from pipelines.cost import LEAST_TILE, Size, cost_of, peak_mb_of, tile_cells_for

CITY = Size(read_mb=1.2, content_mb=1.2, nodes=15_000, cells=500, categories=4, modes=3, sites=True)


@pytest.mark.parametrize(
    "more", [{"read_mb": 120.0}, {"content_mb": 9.0}, {"nodes": 1e6}, {"cells": 1e5}, {"categories": 9}]
)
def test_more_of_anything_costs_more(more: dict[str, float]) -> None:
    small, large = cost_of(CITY), cost_of(replace(CITY, **more))  # type: ignore[arg-type]
    assert large.core_s > small.core_s
    assert large.peak_mb >= small.peak_mb
    assert cost_of(replace(CITY, sites=False)).core_s < small.core_s


MEASURED = {
    "Porto centre": ((1.19, 1.19, 15_175, 491, 4, 3, True), 13.1, 619),
    "Paris, parts": ((1.23, 1.23, 21_177, 31_821, 4, 3, True), 44.2, 732),
    "Porto region": ((3.17, 3.17, 203_743, 104_152, 4, 3, True), 261.4, 1385),
    "synthetic 1×": ((0.0, 0.0, 160_000, 7_864, 4, 2, False), 43.7, 812),
}


@pytest.mark.parametrize("case", MEASURED)
def test_the_model_is_near_what_was_measured(case: str) -> None:
    """Rows of docs/batch.md: core seconds within 30 %, memory within 20 %."""
    (read, content, nodes, cells, categories, modes, sites), core_s, peak_mb = MEASURED[case]
    cost = cost_of(Size(read, content, nodes, cells, categories, modes, sites))
    assert cost.core_s == pytest.approx(core_s, rel=0.3)
    assert cost.peak_mb == pytest.approx(peak_mb, rel=0.2)


def test_tiles_where_memory_is_short() -> None:
    region = replace(CITY, nodes=1e5, cells=400_000, sites=False)
    enough = peak_mb_of(region, tile_cells=region.cells) + 200
    assert tile_cells_for(region, enough) is None
    some = [tile_cells_for(region, mb) or 0 for mb in (1100, 900, 800, 600)]
    assert region.cells > some[0] > some[1] > some[2] > some[3] == LEAST_TILE


def test_what_an_area_shares_is_hardly_made_smaller_by_tiles() -> None:
    """Fewer places along kerbs at once spare 48,000 × 250 bytes; the candidates that are left stay."""
    region = replace(CITY, nodes=1e6, cells=100_000)
    sited = peak_mb_of(region, tile_cells=250)
    assert sited == pytest.approx(peak_mb_of(region) - 12)
    bare = replace(region, sites=False)
    assert peak_mb_of(bare, tile_cells=250) < peak_mb_of(bare) < sited


def write(folder: Path, text: str) -> Path:
    file = folder / "cities.toml"
    file.write_text(text)
    return file


PORTO = {"area": {"name": "Porto"}, "source": {"osm": "porto_centre_2020.osm.pbf"}}


def test_sizes_come_from_files_and_areas(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "osm"
    whole = size_of(PORTO, base=folder, cache=tmp_path)
    assert whole.basis == "count"
    assert whole.nodes == pytest.approx(15_175, rel=0.15)
    assert whole.cells == pytest.approx(491, rel=0.05)
    assert whole.content_mb == whole.read_mb == pytest.approx(1.19, rel=0.01)
    assert header_box(folder / PORTO["source"]["osm"]) is not None
    corner = {**PORTO, "area": {"name": "x", "bbox": (-8.612, 41.140, -8.610, 41.141)}}
    near = {**corner, "source": {**PORTO["source"], "buffer_m": 300}}
    part = size_of(near, base=folder, cache=tmp_path)
    assert part.cells < 5
    assert 0 < part.nodes < whole.nodes / 5
    assert part.content_mb == pytest.approx(whole.content_mb * part.nodes / whole.nodes)
    on_foot = {**PORTO, "network": {"bike": {"enabled": False}, "street30": {"enabled": False}}}
    walk = size_of(on_foot, base=folder, cache=tmp_path)
    assert walk.nodes == pytest.approx(7_044, rel=0.2)
    assert not walk.sites


def test_a_file_that_is_not_counted_is_taken_by_its_size(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "osm"
    for counts in (Counts(most_mb=1.0), Counts(least_mb=2.0)):
        whole = size_of(PORTO, base=folder, cache=tmp_path, counts=counts)
        assert whole.basis == "file"
        assert whole.nodes == pytest.approx(15_175, rel=0.5)
    (tmp_path / "broken.osm.pbf").write_bytes(b"\x00\x00\x00\x0dOSMHeader")
    broken = {"area": {"name": "x"}, "source": {"osm": "broken.osm.pbf"}}
    assert size_of(broken, base=tmp_path, cache=tmp_path).basis == "file"


def test_a_shared_file_is_counted_once(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Path] = []
    monkeypatch.setattr("pipelines.batch.size.count_crossings", counted.append)
    counts = Counts()
    for name in ("monaco_2021.osm.pbf", "monaco_2021.osm.pbf", "paris_bss.osm.pbf"):
        counts.of(shared_data / "osm" / name)
    assert len(counted) == 2


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


def test_an_estimate_follows_the_pace_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes twice as long: twice the core seconds, said in a line; memory and disk are the same."""
    file = write(
        tmp_path,
        '[[areas]]\nname = "Far"\nbbox = [2.25, 48.81, 2.42, 48.91]\nosm = "https://example.org/x.osm.pbf"\n',
    )
    found = {}
    for pace in (1.0, 2.0):
        monkeypatch.setattr(batch_module, "machine_pace", lambda p=pace: p)
        found[pace] = estimate_batch([file], out=tmp_path / "out", cache=tmp_path / "cache", workers=1)
    slow, fast = found[2.0], found[1.0]
    assert slow.core_s == pytest.approx(2 * fast.core_s, rel=0.01)
    assert slow.table["peak_mb"].tolist() == fast.table["peak_mb"].tolist()
    assert "takes 2.0 times" in slow.summary()
    assert "times" not in fast.summary()


def test_the_pace_is_the_middle_of_what_the_probe_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round that another program disturbed does not count; the work itself takes time and no luck."""
    rounds = iter([9.0, *[3.0] * 4, *[1.0] * 4])
    monkeypatch.setattr(pace_module._Work, "seconds", lambda _: next(rounds))
    monkeypatch.setattr(pace_module, "REFERENCE_S", 1.5)
    assert pace_module.pace() == 2.0
    monkeypatch.undo()
    assert 0.2 < pace_module.pace() < 50


def test_long_cities_begin_first_and_all_keep_to_the_memory_of_a_worker(tmp_path: Path) -> None:
    from pipelines.batch.batch import _order
    from tests.batch_town import write_batch

    units = read_batch([write_batch(tmp_path, ("Alba", "Bram", "Cori"))]).units
    assert [u.id for u in in_turn(units, {"bram": 9.0, "cori": 20.0})] == ["cori", "bram", "alba"]
    orders = [_order(u, tmp_path, tmp_path, "", "", force=False, offline=True) for u in units]
    assert {o.memory_mb for o in limited(orders, 1500)} == {1500 - WORKER_MB}
    assert {o.memory_mb for o in limited(orders, None)} == {None}
