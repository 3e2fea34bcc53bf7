"""A batch under fire: workers and schedulers killed, disks full, downloads cut, two starts at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.batch import batch as batch_module
from pipelines.batch import drive as drive_module
from pipelines.batch import run_batch
from pipelines.batch.drive import BatchStoppedError, SchedulerLostError
from pipelines.batch.plan import read_batch
from pipelines.batch.unit import Order, compute_unit
from pipelines.compute import run
from pipelines.steps.context import code_digest
from pipelines.store import Store
from tests.batch_town import (
    FATAL_TILE,
    ROOT,
    Cluster,
    cluster,
    deadly,
    deadly_tile,
    faulty,
    hashes_of_runs,
    in_small_tiles,
    in_work,
    leftovers,
    lingering,
    records,
    until,
    write_batch,
)
from tests.loopback import Content, Fault, serve

pytestmark = pytest.mark.timeout(600)
distributed = pytest.importorskip("distributed", reason="dask.distributed comes with the extra 'batch'")
TOWNS = ("Alba", "Bram", "Cori", "Dole")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers over TCP whose nannies start them again, shared by the tests that leave them standing."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the towns, computed one by one without any cluster."""
    folder = tmp_path_factory.mktemp("alone")
    for unit in read_batch([write_batch(folder, TOWNS)]).units:
        run(unit.tables, base=unit.base, out=folder / "out" / "runs" / unit.id, cache=folder / "cache")
    return hashes_of_runs(folder / "out")


def test_a_worker_killed_in_the_middle_of_a_city_loses_nothing(
    tmp_path: Path, workers: Cluster, alone: dict[str, str]
) -> None:
    file = write_batch(tmp_path, TOWNS)
    cache, out = tmp_path / "cache", tmp_path / "out"
    with distributed.Client(workers.address) as client, ThreadPoolExecutor(1) as pool:
        pids = client.run(os.getpid)
        future = pool.submit(run_batch, [file], out=out, cache=cache, scheduler=workers.address)
        until(lambda: in_work(cache), "a step in work")
        busy = until(lambda: [w for w, keys in client.processing().items() if keys], "a busy worker")
        os.kill(pids[busy[0]], signal.SIGKILL)
        finished = future.result(timeout=400)
        assert pids[busy[0]] not in client.run(os.getpid).values()
    assert set(finished.status["status"]) == {"done"}
    assert hashes_of_runs(out) == alone
    assert leftovers(cache) == leftovers(out) == []


def test_a_worker_killed_in_a_tile_loses_that_tile_only(
    tmp_path: Path, workers: Cluster, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An area beyond the memory of its worker: tiles on both workers, one killed before its tile is published.

    The bytes are those of the untiled run, and each artifact was computed once: no finished tile is repeated.
    """
    file = write_batch(tmp_path, TOWNS[:2])
    cache, out = tmp_path / "cache", tmp_path / "out"
    monkeypatch.setattr(batch_module, "compute_unit", in_small_tiles)
    monkeypatch.setattr(drive_module, "compute_tile", deadly_tile)
    finished = run_batch([file], out=out, cache=cache, scheduler=workers.address)
    assert set(finished.status["status"]) == {"done"}, finished.failures["reason"].tolist()
    made = list((cache / "artifacts" / "tile_walk").iterdir())
    assert len(made) > 2 * FATAL_TILE
    assert len(list((out / "begun").iterdir())) == len(made) + 1
    assert finished.status["computed"].sum() == len(list((cache / "artifacts").glob("*/*")))
    assert hashes_of_runs(out).items() <= alone.items()
    assert leftovers(cache) == leftovers(out) == []


def test_a_city_that_kills_every_worker_is_given_up(
    tmp_path: Path, workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_batch(tmp_path, ("Alba", "Bad"))
    monkeypatch.setattr(batch_module, "compute_unit", deadly)
    finished = run_batch([file], out=tmp_path / "out", cache=tmp_path / "cache", scheduler=workers.address)
    status = finished.status.set_index("city")
    assert status["status"].to_dict() == {"Alba": "done", "Bad": "failed"}
    assert "died again and again" in status.loc["Bad", "reason"]
    assert "--memory-gb" in status.loc["Bad", "reason"]


def test_a_fault_of_the_product_is_named_and_stops_nobody(
    tmp_path: Path, workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_batch(tmp_path, ("Alba", "Bad"))
    monkeypatch.setattr(batch_module, "compute_unit", faulty)
    finished = run_batch([file], out=tmp_path / "out", cache=tmp_path / "cache", scheduler=workers.address)
    assert list(finished.failures["city"]) == ["Bad"]
    assert "KeyError: 'streets'" in finished.failures["reason"][0]
    assert "--debug" in finished.failures["reason"][0]


def test_a_lost_scheduler_is_said_and_the_batch_goes_on_later(
    tmp_path: Path, workers: Cluster, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed while a city is in work; the same command with another scheduler finishes the batch."""
    monkeypatch.setattr(drive_module, "_LOST_S", 0.5)
    file = write_batch(tmp_path, TOWNS)
    monkeypatch.setattr(batch_module, "compute_unit", lingering)
    how = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    with cluster(tmp_path / "doomed", workers=1, nanny=False) as made, ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_batch, [file], scheduler=made.address, **how)
        until(lambda: records(tmp_path / "out"), "the first city")
        made.kill("scheduler")
        (tmp_path / "out" / "go").touch()
        with pytest.raises(SchedulerLostError, match=r"what is finished is kept.*--resume"):
            future.result(timeout=400)
        until(lambda: made.processes["worker-0"].poll() is not None, "the end of the orphaned worker")
    monkeypatch.undo()
    kept = records(tmp_path / "out")
    assert 1 <= len(kept) < len(TOWNS)
    finished = run_batch([file], resume=True, scheduler=workers.address, **how)
    assert set(finished.status["status"]) == {"done"}
    assert hashes_of_runs(tmp_path / "out") == alone
    assert {name: records(tmp_path / "out")[name] for name in kept} == kept
    assert leftovers(tmp_path / "cache") == leftovers(tmp_path / "out") == []


def batch_command(file: Path, tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """The command with one local process."""
    command = [sys.executable, "-m", "pipelines", "batch", str(file), "--workers", "1", "--memory-gb", "2",
               "--out", str(tmp_path / "out"), "--json", *more]  # fmt: skip
    env = {"PROCHE_CACHE": str(tmp_path / "cache"), "PROCHE_WARM": "off", "PATH": ""}
    return subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_starts_at_once_do_each_piece_once(tmp_path: Path, alone: dict[str, str]) -> None:
    file = write_batch(tmp_path, TOWNS)
    both = [batch_command(file, tmp_path) for _ in range(2)]
    tables = [json.loads(p.communicate(timeout=400)[0]) for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert {row["status"] for table in tables for row in table} == {"done"}
    computed = sum(row["computed"] for table in tables for row in table)
    assert computed == len(list((tmp_path / "cache" / "artifacts").glob("*/*")))
    assert computed == sum(len(r["built"]) for r in records(tmp_path / "out").values())  # type: ignore[arg-type]
    assert hashes_of_runs(tmp_path / "out") == alone
    assert leftovers(tmp_path) == []


def test_a_killed_command_takes_its_workers_along_and_resumes(tmp_path: Path, alone: dict[str, str]) -> None:
    file = write_batch(tmp_path, TOWNS)
    process = batch_command(file, tmp_path)
    until(lambda: records(tmp_path / "out"), "the first city")
    worker = int(str(next(iter(records(tmp_path / "out").values()))["worker"]).rpartition(":")[2])
    process.kill()
    process.communicate(timeout=200)
    until(lambda: not Path(f"/proc/{worker}").exists(), "the end of the orphaned worker")
    again = batch_command(file, tmp_path, "--resume")
    text, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    assert {row["status"] for row in json.loads(text)} == {"done"}
    assert hashes_of_runs(tmp_path / "out") == alone
    assert leftovers(tmp_path) == []


def test_a_cut_download_fails_its_city_only_and_is_taken_up_again(tmp_path: Path, workers: Cluster) -> None:
    file = write_batch(tmp_path, ("Alba",))
    body = (tmp_path / "Alba.osm").read_bytes()
    with serve() as web:
        url = web.put("/far.osm", Fault(404))
        near = web.put("/near.osm", Content(body, cut_after=len(body) // 2), Content(body))
        rows = f'[[areas]]\nname = "Far"\nosm = "{url}"\n[[areas]]\nname = "Near"\nosm = "{near}"\n'
        file.write_text(file.read_text() + rows)
        how = {"out": tmp_path / "out", "cache": tmp_path / "cache", "scheduler": workers.address}
        first = run_batch([file], **how)
        status = first.status.set_index("city")
        assert status["status"].to_dict() == {"Alba": "done", "Far": "failed", "Near": "done"}
        assert "404" in status.loc["Far", "reason"]
        assert web.asked[-1].headers.get("Range") or web.count("/near.osm") == 2
        web.put("/far.osm", Content(body))
        second = run_batch([file], retry_failed=True, **how)
    assert second.failures.empty
    cells = second.catalogue.set_index("city")["cells_sha256"]
    assert cells["Far"] == cells["Near"] == cells["Alba"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the rights of root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_batch_and_leaves_nothing_half_written(
    small_disk: Path, tmp_path: Path, workers: Cluster, alone: dict[str, str]
) -> None:
    file = write_batch(tmp_path, (*TOWNS, "Elm", "Faro"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(900_000))
    how = {"out": tmp_path / "out", "cache": small_disk / "cache", "scheduler": workers.address}
    with pytest.raises(BatchStoppedError, match=r"a disk is full.*then --resume"):
        run_batch([file], **how)
    assert leftovers(small_disk) == leftovers(tmp_path / "out") == []
    states = run_status(file, tmp_path / "out")
    assert list(states.values()).count("waiting") >= 2
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    finished = run_batch([file], retry_failed=True, **how)
    assert set(finished.status["status"]) == {"done"}
    assert hashes_of_runs(tmp_path / "out").items() >= alone.items()


def run_status(file: Path, out: Path) -> dict[str, str]:
    """State of each city by the records."""
    table = batch_module.read_status([file], out=out)
    return dict(zip(table["city"], table["status"], strict=True))


def order_for(tmp_path: Path, **more: Any) -> Order:
    """What a worker is asked to do for the town Alba."""
    plan = read_batch([write_batch(tmp_path, ("Alba",))])
    ticket = batch_module.open_folder(tmp_path / "out", plan)
    values = {"force": False, "offline": False} | {k: more[k] for k in more if k in ("force", "offline")}
    order = batch_module._order(
        plan.units[0], tmp_path / "out", tmp_path / "cache", code_digest(), ticket, **values
    )
    return Order(**{**order.__dict__, **{k: v for k, v in more.items() if k not in values}})


def test_no_space_while_publishing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.store.sync_file", full)
        outcome = compute_unit(order_for(tmp_path))
    assert (outcome.status, outcome.fatal) == ("failed", True)
    assert not list((tmp_path / "cache" / "artifacts").rglob("*.parquet"))
    assert leftovers(tmp_path) == []
    assert compute_unit(order_for(tmp_path)).status == "done"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"code": "0" * 64}, "runs other code"), ({"ticket": "other"}, "does not see the folder")],
)
def test_a_worker_that_is_not_ours_computes_nothing(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    outcome = compute_unit(order_for(tmp_path, **change))
    assert (outcome.status, outcome.fatal) == ("failed", True)
    assert words in outcome.reason
    assert not (tmp_path / "out" / "runs").exists()
    assert records(tmp_path / "out") == {}


def test_a_unit_in_other_hands_is_left_and_then_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one computes, another is told so; asked to wait, it takes the result and computes nothing."""
    inside, go_on = threading.Event(), threading.Event()
    make = Store.make

    def slow(self: Store, *args: Any, **more: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return make(self, *args, **more)

    order = order_for(tmp_path)
    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(Store, "make", slow)
        first = pool.submit(compute_unit, order)
        assert inside.wait(60)
        assert compute_unit(order).status == "elsewhere"
        second = pool.submit(compute_unit, Order(**{**order.__dict__, "patient": True}))
        go_on.set()
        assert first.result(60).status == "done"
        taken = second.result(60)
    assert (taken.status, taken.taken_over) == ("done", True)
    assert taken.manifest == first.result().manifest


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    left = tmp_path / "out" / "records" / ".alba.json.x1y2"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_text("{")
    assert compute_unit(order).status == "done"
    assert leftovers(tmp_path) == []
