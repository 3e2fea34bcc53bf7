"""Batches of real cities: two workers, one of them killed; one extract for many areas (figures: docs/batch.md)."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipelines import run
from pipelines.batch import BatchDirectory, run_batch
from pipelines.batch.batch import _order, open_folder
from pipelines.batch.plan import read_batch
from pipelines.batch.split import Split, _source, make_cuts
from pipelines.steps.context import code_digest
from pipelines.warm_town import town_tables
from tests.batch_town import WALK_ONLY, Cluster, cluster, hashes_of_runs, in_work, leftovers, until

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
distributed = pytest.importorskip("distributed", reason="dask.distributed comes with the extra 'batch'")

SIX = {
    "Porto centre": "porto_centre_2020.osm.pbf",
    "Monaco": "monaco_2021.osm.pbf",
    "Krems": "krems_2013.osm.gz",
    "Helsinki centre": "helsinki_centre_2019.osm.pbf",
    "Paris 11e": "paris_bss.osm.pbf",
    "Paris Eiffel": "paris_eiffel_walk_20231004.osm.pbf",
}
WORKER_MB = 1500
EFFICIENCY = 0.8
REST_LOAD = 0.5
"""Load of the machine, in processes, below which it counts as at rest."""


def warm() -> None:
    """Load and compile, in the process that is asked: what a worker does once and not for each city."""
    with tempfile.TemporaryDirectory() as folder:
        run(town_tables(Path(folder)), out=Path(folder) / "out", cache=Path(folder) / "cache")


def write_six(folder: Path, data: Path) -> Path:
    """A batch of six real extracts, everything by default: three modes, measures, gaps and sites."""
    file = folder / "six.toml"
    rows = [f'[[areas]]\nname = "{name}"\nosm = "{data / "osm" / osm}"\n' for name, osm in SIX.items()]
    file.write_text("\n".join(rows), encoding="utf-8")
    return file


@dataclass
class Watch:
    """Highest resident memory of every worker process, by its id."""

    peak_mb: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def of(self, made: Cluster) -> Iterator[None]:
        """Look every twentieth of a second, from outside, until the body ends."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.05):
                nannies = [p.pid for name, p in made.processes.items() if name.startswith("worker")]
                for nanny in nannies:
                    try:
                        for process in psutil.Process(nanny).children(recursive=True):
                            mb = process.memory_info().rss / 1e6
                            self.peak_mb[process.pid] = max(mb, self.peak_mb.get(process.pid, 0.0))
                    except psutil.Error:
                        continue  # it ended just now

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            try:
                yield
            finally:
                stop.set()
                looking.result()


@contextmanager
def warm_workers(folder: Path, n: int, *, memory_mb: int = WORKER_MB) -> Iterator[tuple[Cluster, object]]:
    """Some workers over TCP with a memory limit each, everything loaded and compiled."""
    with cluster(folder, workers=0) as made:
        for i in range(n):
            made.start_worker(f"worker-{i}", "--memory-limit", f"{memory_mb}MB")
        with distributed.Client(made.address) as client:
            client.wait_for_workers(n, timeout=120)
            client.run(warm)
            yield made, client


@pytest.fixture(scope="module")
def sequential(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The batch file, and the hash of every Parquet file as one process gives it, city after city."""
    folder = tmp_path_factory.mktemp("six")
    file = write_six(folder, shared_data)
    for unit in read_batch([file]).units:
        run(unit.tables, base=unit.base, out=folder / "out" / "runs" / unit.id, cache=folder / "cache")
    return file, hashes_of_runs(folder / "out")


def test_six_cities_two_workers_one_killed(sequential: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Every city is done, every byte is that of the sequential run, every process keeps to its memory."""
    file, alone = sequential
    cache, out, watch = tmp_path / "cache", tmp_path / "out", Watch()
    with (
        warm_workers(tmp_path / "cluster", 2) as (made, client),
        ThreadPoolExecutor(1) as pool,
        watch.of(made),
    ):
        pids = client.run(os.getpid)  # type: ignore[attr-defined]
        future = pool.submit(run_batch, [file], out=out, cache=cache, scheduler=made.address)
        until(
            lambda: len(list(cache.glob("artifacts/network_walk/*/artifact.json"))) >= 2, "two cities begun"
        )
        busy = until(
            lambda: in_work(cache) and [w for w, k in client.processing().items() if k],  # type: ignore[attr-defined]
            "a busy worker",
        )
        os.kill(pids[busy[0]], signal.SIGKILL)
        finished: BatchDirectory = future.result(timeout=1800)
        assert pids[busy[0]] not in client.run(os.getpid).values()  # type: ignore[attr-defined]
    assert dict(zip(finished.status["city"], finished.status["status"], strict=True)) == dict.fromkeys(
        SIX, "done"
    )
    assert hashes_of_runs(out) == alone
    assert leftovers(cache) == leftovers(out) == []
    print(finished.status[["city", "seconds", "peak_mb"]].to_string(index=False))
    print(
        f"{len(alone)} Parquet files equal; highest memory of a process {max(watch.peak_mb.values()):.0f} MB"
    )
    assert len(watch.peak_mb) >= 3  # two, and the one that came for the killed one
    assert max(watch.peak_mb.values()) < WORKER_MB


def test_six_cities_in_little_memory(sequential: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Workers that hold little more than the largest city: the same bytes, within the budget."""
    file, alone = sequential
    budget_mb, watch = 730, Watch()
    overrides = ["sites.trees.enabled=false"]
    with warm_workers(tmp_path / "cluster", 2, memory_mb=budget_mb) as (made, _), watch.of(made):
        how = {"cache": tmp_path / "cache", "scheduler": made.address, "overrides": overrides}
        finished = run_batch([file], out=tmp_path / "out", **how)  # type: ignore[arg-type]
    assert set(finished.status["status"]) == {"done"}, finished.failures["reason"].tolist()
    found = hashes_of_runs(tmp_path / "out")
    same = {name for name in found if name.endswith(("cells.parquet", "_nodes.parquet", "_edges.parquet"))}
    assert {n: found[n] for n in same} == {n: alone[n] for n in same}
    print(finished.status[["city", "seconds", "peak_mb"]].to_string(index=False))
    print(f"highest memory of a process {max(watch.peak_mb.values()):.0f} MB of {budget_mb} MB")
    assert max(watch.peak_mb.values()) < budget_mb


REGION_MB = 1120
"""[MB] Of a worker: too little for the cells of the region beside its networks, enough for the tables of all cells."""


def test_a_region_in_tiles_on_two_workers(shared_data: Path, tmp_path: Path) -> None:
    """The largest extract, three modes: cut into tiles by the memory of its workers, with the bytes of the whole."""
    osm = shared_data / "osm" / "porto_region_streets.osm.pbf"
    none = "\n".join(f"sites.{kind}.enabled = false" for kind in ("trees", "chargers", "sorting"))
    file = tmp_path / "region.toml"
    file.write_text(f'[[areas]]\nname = "Porto region"\nosm = "{osm}"\n{none}\n', encoding="utf-8")
    (unit,) = read_batch([file]).units
    warm()
    start = time.process_time()
    run(unit.tables, base=unit.base, out=tmp_path / "whole" / "runs" / unit.id, cache=tmp_path / "once")
    whole_s = time.process_time() - start
    cache, out, watch = tmp_path / "cache", tmp_path / "out", Watch()
    with warm_workers(tmp_path / "cluster", 2, memory_mb=REGION_MB) as (made, client), watch.of(made):
        before = client.run(time.process_time)  # type: ignore[attr-defined]
        done = run_batch([file], out=out, cache=cache, scheduler=made.address)
        after = client.run(time.process_time)  # type: ignore[attr-defined]
    assert done.status["status"].tolist() == ["done"], done.failures["reason"].tolist()
    tiles = [p for p in cache.glob("artifacts/tile_*/*") if p.is_dir()]
    spent = sorted(after[worker] - before[worker] for worker in after)
    highest = max(watch.peak_mb.values())
    print(f"{len(tiles)} tiles; core seconds {whole_s:.0f} at once, {spent} by worker in tiles")
    print(
        f"highest memory of a process {highest:.0f} MB of {REGION_MB}, as told {done.status['peak_mb'][0]:.0f}"
    )
    print({k: s["peak_memory_mb"] for k, s in _steps(out).items()})
    assert len(tiles) >= 6
    assert hashes_of_runs(out) == hashes_of_runs(tmp_path / "whole")
    assert highest < REGION_MB
    assert leftovers(cache) == leftovers(out) == []


def _steps(out: Path) -> dict[str, dict[str, float]]:
    """The steps of the only run of a batch, as its manifest tells them."""
    (manifest,) = out.glob("runs/*/manifest.json")
    return dict(json.loads(manifest.read_text("utf-8"))["steps"])


def test_two_workers_take_little_more_than_half_the_time(
    sequential: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """Wall time of one worker against two, alternating; asserted where the machine does nothing else."""
    file, alone = sequential
    quiet = os.getloadavg()[0] < len(os.sched_getaffinity(0)) + REST_LOAD
    walls: dict[int, list[float]] = {1: [], 2: []}
    busy_s = 0.0
    for i, n in enumerate((1, 2, 2, 1)):
        with warm_workers(tmp_path / f"cluster{i}", n) as (made, _):
            others = _others_cpu_s()
            start = time.perf_counter()
            run_batch([file], out=tmp_path / f"out{i}", cache=tmp_path / f"cache{i}", scheduler=made.address)
            walls[n].append(time.perf_counter() - start)
            busy_s += max(_others_cpu_s() - others, 0.0)  # what ended meanwhile takes its time along
        assert hashes_of_runs(tmp_path / f"out{i}") == alone
    efficiency = min(walls[1]) / (2 * min(walls[2]))
    share = busy_s / sum(walls[1] + walls[2])
    print(
        f"one worker {walls[1]} s, two {walls[2]} s: efficiency {efficiency:.2f}; others took {share:.2f} cores"
    )
    if not quiet or share > 0.15:
        pytest.skip(
            f"efficiency {efficiency:.2f}, not asserted: other programs took {share:.2f} cores meanwhile"
        )
    assert efficiency >= EFFICIENCY


def _others_cpu_s() -> float:
    """[s] Processor time of every process of this machine that is none of ours, since it was started."""
    me = psutil.Process()
    ours = {me.pid, *(p.pid for p in me.children(recursive=True))}
    total = 0.0
    for process in psutil.process_iter(["pid", "cpu_times"]):
        times = process.info["cpu_times"]
        if process.info["pid"] not in ours and times is not None:
            total += times.user + times.system
    return total


AREAS = 16


def test_one_extract_is_read_once_for_many_areas(shared_data: Path, tmp_path: Path) -> None:
    """Sixteen boxes of two kilometres in the region of Porto: reading with and without the cut, in processor time."""
    osm = shared_data / "osm" / "porto_region_streets.osm.pbf"
    rng = np.random.default_rng(3)
    rows = []
    for k in range(AREAS):
        west, south = rng.uniform((-8.70, 41.05), (-8.45, 41.32))
        box = [round(float(x), 4) for x in (west, south, west + 0.024, south + 0.018)]
        rows.append(f'[[areas]]\nname = "Box {k}"\nosm = "{osm}"\nbbox = {box}\n')
    file = tmp_path / "boxes.toml"
    file.write_text(WALK_ONLY + "\n".join(rows))
    plan = read_batch([file])
    ticket = open_folder(tmp_path / "out", plan)
    orders = [
        _order(u, tmp_path / "out", tmp_path / "cache", code_digest(), ticket, force=False, offline=True)
        for u in plan.units
    ]
    warm()
    _source(orders[0]).extract  # noqa: B018 - compiles the reader
    start = time.process_time()
    direct = [_source(order).extract for order in orders]
    each = time.process_time() - start
    start = time.process_time()
    make_cuts(Split(str(osm), tuple(orders)))
    made = time.process_time() - start
    cut = [_source(order).extract for order in orders]
    shared = time.process_time() - start
    assert [e.info.counts["highway_ways"] for e in cut] == [e.info.counts["highway_ways"] for e in direct]
    assert all(np.array_equal(a.way_refs, b.way_refs) for a, b in zip(cut, direct, strict=True))
    read = osm.stat().st_size / 1e6
    print(
        f"{AREAS} areas of one extract of {read:.1f} MB: each reads it {each:.2f} s, read once {shared:.2f} s "
        f"({made:.2f} s of it for the cut): {each / shared:.1f} times less"
    )
    assert each > 1.5 * shared
