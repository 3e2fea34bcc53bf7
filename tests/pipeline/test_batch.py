"""A batch: every city once, the same bytes whoever computes it, failures listed, nothing done twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines import cost
from pipelines.batch import BatchDirectory, batch, drive, run_batch
from pipelines.batch.batch import in_turn
from pipelines.batch.cluster import WORKER_MB, size_workers
from pipelines.batch.plan import read_batch
from pipelines.batch.unit import Order, Outcome, compute_tile
from pipelines.cli import cli
from pipelines.compute import run
from pipelines.errors import ArtifactError, ConfigError, PipelineError
from pipelines.progress import Progress
from pipelines.steps.tiles import Tile
from tests.batch_town import (
    ROOT,
    WALK_ONLY,
    Cluster,
    cluster,
    hashes,
    leftovers,
    records,
    write_batch,
    write_town,
)

pytestmark = pytest.mark.timeout(600)
TOWNS = ("Alba", "Bram", "Cori", "Dole", "Elm", "Faro")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers over TCP, shared by the tests of this file."""
    pytest.importorskip("distributed", reason="dask.distributed comes with the extra 'batch'")
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory, workers: Cluster) -> BatchDirectory:
    """Six towns, one of which does not exist, at two speeds; computed by two workers."""
    folder = tmp_path_factory.mktemp("towns")
    more = '[[areas]]\nname = "Nowhere"\nosm = "nowhere.osm"\n[grid]\n"network.walk.speed_kmh" = [3.6, 5.0]\n'
    file = write_batch(folder, TOWNS, more=more)
    return run_batch([file], out=folder / "out", cache=folder / "cache", scheduler=workers.address)


def test_one_row_a_city_and_setting(towns: BatchDirectory) -> None:
    table = towns.catalogue
    assert len(table) == 12
    assert list(table["unit"]) == sorted(table["unit"])
    assert set(table["network.walk.speed_kmh"]) == {3.6, 5.0}
    assert set(table["setting"]) == {"speed_kmh=3.6", "speed_kmh=5.0"}
    assert table.crs == "EPSG:4326"
    by_speed = table.pivot_table(
        index="city", columns="network.walk.speed_kmh", values="walk_shops_mean_minutes"
    )
    assert (by_speed[3.6] > by_speed[5.0]).all()
    for row in table.itertuples():
        assert (towns.path / row.run / "manifest.json").is_file()


def test_the_catalogue_tells_what_each_summary_tells(towns: BatchDirectory) -> None:
    for row in towns.catalogue.to_dict("records"):
        summary = json.loads((towns.path / row["run"] / "summary.json").read_text("utf-8"))
        shops = summary["modes"]["walk"]["categories"]["shops"]
        assert row["walk_shops_share"] == shops["share"]
        assert row["walk_shops_mean_minutes"] == shops["mean_minutes"]
        assert row["walk_score_mean"] == summary["modes"]["walk"]["score_mean"]
        assert row["cells"] == summary["cells"]


def test_a_bad_city_is_listed_and_stops_nobody(towns: BatchDirectory) -> None:
    assert list(towns.failures["city"]) == ["Nowhere", "Nowhere"]
    assert towns.failures["reason"].str.contains(r"there is no file .*nowhere\.osm").all()
    assert (towns.status["status"] == "done").sum() == 12


def test_both_workers_took_part(towns: BatchDirectory) -> None:
    assert towns.status["worker"].nunique() == 2


def test_one_process_gives_the_bytes_of_two(towns: BatchDirectory, tmp_path: Path) -> None:
    """Sequentially, in another order, with another cache, without any cluster: the same Parquet files."""
    file = towns.path.parent / "towns.toml"
    for unit in reversed(read_batch([file]).units):
        if unit.city != "Nowhere":
            run(unit.tables, base=unit.base, out=tmp_path / "runs" / unit.id, cache=tmp_path / "cache")
    alone = {p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("runs/*/*.parquet")}
    shutil.copy(towns.path / "catalogue.parquet", tmp_path)
    assert len(alone) == 12 * 8
    assert hashes(tmp_path) == hashes(towns.path)


@pytest.mark.timeout(600)
def test_four_local_processes_give_the_same_bytes(towns: BatchDirectory, tmp_path: Path) -> None:
    """Shuffled: the file lists the towns in another order, and the command computes it."""
    folder = towns.path.parent
    rows = [f'[[areas]]\nname = "{t}"\nosm = "{t}.osm"\n' for t in reversed(TOWNS)]
    grid = '[grid]\n"network.walk.speed_kmh" = [5.0, 3.6]\n'
    (folder / "shuffled.toml").write_text(WALK_ONLY + grid + "\n".join(rows))
    command = [sys.executable, "-m", "pipelines", "batch", str(folder / "shuffled.toml"), "--workers", "4",
               "--memory-gb", "4", "--out", str(tmp_path / "out"), "--json"]  # fmt: skip
    env = {"PROCHE_CACHE": str(tmp_path / "cache"), "PROCHE_WARM": "off", "PATH": ""}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    status = pd.DataFrame(json.loads(done.stdout))
    assert len(status) == 12
    assert set(status["status"]) == {"done"}
    assert hashes(tmp_path / "out") == hashes(towns.path)
    assert leftovers(tmp_path) == []


@dataclass(eq=False)
class _Finished:
    value: Outcome
    status: str = "finished"

    def result(self) -> Outcome:
        return self.value


@dataclass(eq=False)
class _Here:
    """A cluster of one worker that computes in this very process, and has so much memory."""

    limit_mb: float
    status: str = "running"

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {"here": {"memory_limit": self.limit_mb * 1e6}}}

    def nthreads(self) -> dict[str, int]:
        return {"here": 1}

    def submit(self, compute: Any, order: Order, *tile: Any, **_: Any) -> Any:
        return _Finished(compute(order, *tile))


def test_an_area_beyond_its_worker_s_memory_is_done_in_tiles_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells are said to be so large that not even four fit beside the networks: every mode in tiles of three."""
    file = write_batch(tmp_path, ("Alba",))
    results = []
    for limit_mb, cell_mb in ((4000, cost.CELL_MB), (4000, 1e3)):
        monkeypatch.setattr(cost, "CELL_MB", cell_mb)
        monkeypatch.setattr(cost, "LEAST_TILE", 3)
        monkeypatch.setattr(batch, "connected", lambda *_, mb=limit_mb: nullcontext(_Here(mb)))
        folder = tmp_path / f"{cell_mb:g}"
        done = run_batch([file], out=folder / "out", cache=folder / "cache", scheduler="tcp://here:1")
        assert done.status["status"].tolist() == ["done"], done.failures["reason"].tolist()
        manifest = json.loads(next(done.path.glob("runs/*/manifest.json")).read_text("utf-8"))
        assert manifest["memory_limit_mb"] == limit_mb - WORKER_MB
        results.append((manifest["tile_cells"], manifest["outputs"], manifest["steps"].keys()))
    (no_tile, whole, _), (tile, tiled, steps) = results
    assert (no_tile, tile) == (None, 3)
    assert "tile_walk" in steps
    assert tiled == whole


def test_a_batch_stopped_among_its_tiles_makes_only_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the third tile: the two before it are taken as they are, and every step is computed once in all."""
    file = write_batch(tmp_path, ("Alba",))
    monkeypatch.setattr(cost, "CELL_MB", 1e3)
    monkeypatch.setattr(cost, "LEAST_TILE", 3)
    monkeypatch.setattr(batch, "connected", lambda *_: nullcontext(_Here(4000)))
    begun: list[Order] = []

    def third(order: Order, tile: Tile) -> Outcome:
        begun.append(order)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return compute_tile(order, tile)

    monkeypatch.setattr(drive, "compute_tile", third)
    how = {"out": tmp_path / "out", "cache": tmp_path / "cache", "scheduler": "tcp://here:1"}
    with pytest.raises(KeyboardInterrupt):
        run_batch([file], **how)
    artifacts = tmp_path / "cache" / "artifacts"
    first = {p for p in artifacts.glob("*/*") if p.is_dir()}
    assert len([p for p in first if p.parent.name == "tile_walk"]) == 2
    done = run_batch([file], resume=True, **how)
    every = {p for p in artifacts.glob("*/*") if p.is_dir()}
    tiles = [p for p in every if p.parent.name == "tile_walk"]
    assert len(begun) == 3 + len(tiles) - 2
    assert done.status["computed"].tolist() == [len(every - first)]
    assert leftovers(tmp_path) == []


def test_a_plain_table_of_areas_is_computed_and_each_manifest_reproduces_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows of a CSV, each with a key of its own; the `manifest.json` of one, run again: the same hashes."""
    off = ["network.bike", "network.street30", "sites.trees", "sites.chargers", "sites.sorting"]
    header = ["name", "osm", "network.walk.speed_kmh", *(f"{key}.enabled" for key in off)]
    rows = [[town, f"{town}.osm", speed, *["false"] * 5] for town, speed in (("Alba", "5"), ("Bram", "3.6"))]
    for town, *_ in rows:
        write_town(tmp_path, town)
    (tmp_path / "towns.csv").write_text("\n".join(",".join(row) for row in [header, *rows]))
    monkeypatch.setattr(batch, "connected", lambda *_: nullcontext(_Here(4000)))
    how = {"out": tmp_path / "out", "cache": tmp_path / "cache", "scheduler": "tcp://here:1"}
    done = run_batch([tmp_path / "towns.csv"], **how)
    assert done.status["status"].tolist() == ["done", "done"], done.failures["reason"].tolist()
    minutes = done.catalogue.set_index("city")["walk_shops_mean_minutes"]
    # the way from the middle of a cell without streets is walked at 5 km/h in both
    assert minutes["Bram"] == pytest.approx(minutes["Alba"] * 5 / 3.6, rel=0.03)
    manifest = done.path / "runs" / "bram" / "manifest.json"
    again = run(manifest, out=tmp_path / "again", cache=tmp_path / "other")
    assert again.manifest["outputs"] == json.loads(manifest.read_text("utf-8"))["outputs"]


def test_a_second_run_computes_nothing(towns: BatchDirectory, workers: Cluster) -> None:
    folder = towns.path.parent
    before = hashes(towns.path)
    again = run_batch(
        [folder / "towns.toml"], out=towns.path, cache=folder / "cache", scheduler=workers.address
    )
    assert again.status["computed"].sum() == 0
    assert hashes(again.path) == before
    assert leftovers(folder) == []


class _Heard(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line.strip())


def test_resume_opens_nothing_and_retry_failed_opens_what_failed(tmp_path: Path, workers: Cluster) -> None:
    file = write_batch(tmp_path, ("Alba",), more='[[areas]]\nname = "Late"\nosm = "Late.osm"\n')
    how = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    first = run_batch([file], scheduler=workers.address, **how)
    assert list(first.failures["city"]) == ["Late"]
    write_town(tmp_path, "Late")

    heard = _Heard()
    resumed = run_batch([file], resume=True, scheduler="tcp://127.0.0.1:1", progress=heard, **how)
    assert list(resumed.failures["city"]) == ["Late"]
    assert heard.lines == ["towns: 2 cities and settings, 2 as recorded"]

    retried = run_batch([file], retry_failed=True, scheduler=workers.address, progress=heard, **how)
    assert retried.failures.empty
    assert sum(line.startswith("✓") for line in heard.lines) == 1


@pytest.mark.parametrize("harm", ["manifest", "record", "config"])
def test_resume_computes_what_is_not_whole(
    towns: BatchDirectory, workers: Cluster, tmp_path: Path, harm: str
) -> None:
    file = write_batch(tmp_path, ("Alba", "Bram"))
    how = {"out": tmp_path / "out", "cache": towns.path.parent / "cache"}
    run_batch([file], scheduler=workers.address, **how)
    if harm == "manifest":
        (tmp_path / "out" / "runs" / "alba" / "manifest.json").unlink()
    elif harm == "record":
        (tmp_path / "out" / "records" / "alba.json").write_text("{")
    else:
        file.write_text(
            file.read_text().replace('osm = "Alba.osm"', 'osm = "Alba.osm"\nscoring.cutoff_min = 7')
        )
    heard = _Heard()
    again = run_batch([file], resume=True, scheduler=workers.address, progress=heard, **how)
    assert [line.split()[1] for line in heard.lines if line.startswith("✓")] == ["Alba"]
    assert set(again.status["status"]) == {"done"}


def test_status_is_told_before_and_after(towns: BatchDirectory, tmp_path: Path) -> None:
    file = towns.path.parent / "towns.toml"
    shown = CliRunner().invoke(cli, ["batch", str(file), "--out", str(towns.path), "--status", "--json"])
    assert pd.DataFrame(json.loads(shown.stdout))["status"].value_counts().to_dict() == {
        "done": 12,
        "failed": 2,
    }
    fresh = CliRunner().invoke(
        cli, ["batch", str(file), "--out", str(tmp_path / "none"), "--status", "--json"]
    )
    assert {row["status"] for row in json.loads(fresh.stdout)} == {"waiting"}
    assert not (tmp_path / "none").exists()


def test_records_say_what_was_computed_and_with_what(towns: BatchDirectory) -> None:
    kept = records(towns.path)
    assert len(kept) == 14
    done = [r for r in kept.values() if r["status"] == "done"]
    assert all(r["seconds"] > 0 and r["peak_mb"] > 50 for r in done)
    built = sorted(step for r in done for step in r["built"])
    assert built.count("reach_walk") == 12
    assert built.count("extract") == 6  # both speeds read the whole town: once
    assert towns.catalogue["cells_sha256"].nunique() > 6


def test_duckdb_reads_the_catalogue(towns: BatchDirectory) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB comes with the extra 'dev'")
    file = towns.path / "catalogue.parquet"
    rows = duckdb.sql(f"select city, count(*), min(walk_shops_share) from '{file}' group by city").fetchall()
    found = {city: (n, share) for city, n, share in rows}
    want = towns.catalogue.groupby("city")["walk_shops_share"].agg(["count", "min"])
    assert found == {city: (row["count"], row["min"]) for city, row in want.iterrows()}


def test_no_batch_no_tables(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no finished batch"):
        _ = BatchDirectory(tmp_path).catalogue


def test_settings_of_one_city_do_not_begin_together(towns: BatchDirectory) -> None:
    units = read_batch([towns.path.parent / "towns.toml"]).units
    assert [u.city for u in units[:4]] == ["Nowhere", "Nowhere", "Alba", "Alba"]
    assert [u.city for u in in_turn(units)[:4]] == ["Nowhere", "Alba", "Bram", "Cori"]


def test_no_scheduler_is_one_sentence(tmp_path: Path) -> None:
    file = write_batch(tmp_path, ("Alba",))
    with pytest.raises(PipelineError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1 .*dask scheduler"):
        run_batch([file], out=tmp_path / "out", cache=tmp_path, scheduler="tcp://127.0.0.1:1")


def test_workers_fit_cores_memory_and_work() -> None:
    assert size_workers(cores=8, need_mb=3000, budget_mb=10_000, units=100).number == 3
    assert size_workers(cores=2, need_mb=3000, budget_mb=10_000, units=100).number == 2
    assert size_workers(cores=8, need_mb=100, budget_mb=10_000, units=1).number == 1
    assert size_workers(cores=2, need_mb=100, budget_mb=10_000, units=100, number=4).number == 4
    assert size_workers(cores=8, need_mb=50_000, budget_mb=10_000, units=9).number == 1
    with pytest.raises(ConfigError, match="--memory-gb"):
        size_workers(cores=8, need_mb=100, budget_mb=100)


def test_a_region_beyond_all_memory_is_shared_by_as_many_as_hold_its_tiles() -> None:
    region = {"need_mb": 9000, "tiled_mb": 2500}
    assert size_workers(cores=8, budget_mb=8000, **region).number == 3
    assert size_workers(cores=2, budget_mb=8000, **region).number == 2
    assert size_workers(cores=8, budget_mb=8000, number=2, **region).number == 2
    assert size_workers(cores=8, budget_mb=9500, **region).number == 1  # it fits at once: no tiles
    assert size_workers(cores=8, budget_mb=2000, **region).number == 1


def test_geopandas_opens_the_catalogue(towns: BatchDirectory) -> None:
    assert gpd.read_parquet(towns.path / "catalogue.parquet").geometry.is_valid.all()
