"""Batches of small towns, and a real cluster: a scheduler and workers as processes that talk over TCP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipelines import cost
from pipelines.batch.unit import InTiles, Order, Outcome, compute_tile, compute_unit
from pipelines.steps import tiles
from pipelines.steps.tiles import Tile
from pipelines.store import sha256_of
from tests.osm_town import osm_xml

ROOT = Path(__file__).resolve().parents[1]
WALK_ONLY = """
[defaults]
network.bike.enabled = false
network.street30.enabled = false
sites.trees.enabled = false
sites.chargers.enabled = false
sites.sorting.enabled = false
"""
SQUARE = """
A B C
D E F
G H I
"""
STREETS = [(path, {"highway": "residential"}) for path in ("ABC", "DEF", "GHI", "ADG", "BEH", "CFI")]


def write_town(folder: Path, name: str, *, shop: str = "A") -> Path:
    """A town of four blocks with one bakery; towns differ by the corner at which it stands."""
    file = folder / f"{name}.osm"
    shops = {shop: {"shop": "bakery", "name": f"Bakery {name}"}}
    file.write_text(osm_xml(SQUARE, STREETS, nodes=shops, cell_m=250.0), encoding="utf-8")
    return file


def write_batch(folder: Path, towns: Sequence[str], *, more: str = "", name: str = "towns") -> Path:
    """A batch file of towns, each with its bakery at another corner, and what else it shall say."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for town in towns:
        write_town(folder, town, shop="ABCDEFGHI"[sum(map(ord, town)) % 9])
        rows.append(f'[[areas]]\nname = "{town}"\nosm = "{town}.osm"\n')
    file = folder / f"{name}.toml"
    file.write_text(WALK_ONLY + more + "\n" + "\n".join(rows), encoding="utf-8")
    return file


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every Parquet file of every run of a batch, and of its catalogue."""
    files = [*out.glob("runs/*/*.parquet"), out / "catalogue.parquet"]
    return {f.relative_to(out).as_posix(): sha256_of(f) for f in sorted(files)}


def hashes_of_runs(out: Path) -> dict[str, str]:
    """Hashes of the run directories, without the catalogue."""
    (out / "catalogue.parquet").touch()
    return {name: value for name, value in hashes(out).items() if name.startswith("runs/")}


def until(true: Callable[[], Any], what: str, *, seconds: float = 200) -> Any:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for {what}")


def in_work(cache: Path) -> list[Path]:
    """Folders of artifacts that are being written."""
    return list(cache.glob("artifacts/*/.*"))


def records(out: Path) -> dict[str, dict[str, object]]:
    """What the records of a batch say."""
    return {f.stem: json.loads(f.read_text("utf-8")) for f in sorted((out / "records").glob("*.json"))}


def leftovers(folder: Path) -> list[str]:
    """Half-written things: temporary files and folders, artifacts without a record; and locks that somebody holds."""
    hidden = [p for p in folder.rglob(".*") if p.name != ".lock"]
    artifacts = [
        p for p in folder.glob("artifacts/*/*") if p.is_dir() and not (p / "artifact.json").is_file()
    ]
    locks = [p for p in folder.rglob("*.lock") if _is_held(p)]
    return sorted(str(p.relative_to(folder)) for p in [*hidden, *artifacts, *locks])


def _is_held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


@dataclass
class Cluster:
    """A scheduler and its workers, each a process of its own."""

    folder: Path
    address: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *args: str) -> None:
        """Start a process of dask."""
        log = (self.folder / f"{name}.log").open("wb")
        env = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false"}
        command = [sys.executable, "-m", "dask", *args]
        self.processes[name] = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=self.folder)
        log.close()

    def start_scheduler(self, *args: str) -> None:
        """Start the scheduler and learn its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                   "--scheduler-file", str(file), *args)  # fmt: skip
        deadline = time.monotonic() + 60
        while not file.is_file() or not file.read_text().strip():
            assert time.monotonic() < deadline, (self.folder / "scheduler.log").read_text()
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]

    def start_worker(self, name: str, *args: str) -> None:
        """Start a worker with one thread; its nanny starts it again when it dies."""
        self.start(name, "worker", self.address, "--nthreads", "1", "--no-dashboard",
                   "--local-directory", str(self.folder), *args)  # fmt: skip

    def kill(self, name: str) -> None:
        """End a process that this cluster started, at once."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)

    def stop(self) -> None:
        """End everything: workers first, so that none waits for a scheduler."""
        for name in sorted(self.processes, key=lambda n: n == "scheduler"):
            self.processes[name].terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=20)
        self.processes.clear()


@contextmanager
def cluster(folder: Path, *, workers: int = 2, nanny: bool = True) -> Iterator[Cluster]:
    """A scheduler and some workers over TCP on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(folder)
    try:
        made.start_scheduler()
        for i in range(workers):
            made.start_worker(f"worker-{i}", *([] if nanny else ["--no-nanny"]))
        yield made
    finally:
        made.stop()


def deadly(order: Order) -> Outcome | InTiles:
    """Compute a unit; the city called Bad kills the worker that tries it, as running out of memory does."""
    if order.city == "Bad":
        os.kill(os.getpid(), signal.SIGKILL)
    return compute_unit(order)


def faulty(order: Order) -> Outcome | InTiles:
    """Compute a unit; the city called Bad meets a fault of the product."""
    if order.city == "Bad":
        raise KeyError("streets")
    return compute_unit(order)


def lingering(order: Order) -> Outcome | InTiles:
    """Compute a unit; every one but the first waits until the file ``go`` lies in the folder of the batch."""
    if records(Path(order.out)):
        until((Path(order.out) / "go").exists, "the sign to go on")
    return compute_unit(order)


def in_small_tiles(order: Order) -> Outcome | InTiles:
    """Compute a unit in a worker whose cells are said to be so large that three fit beside the networks."""
    cost.CELL_MB, cost.LEAST_TILE = 1e3, 3
    return compute_unit(order)


FATAL_TILE = 3


def deadly_tile(order: Order, tile: Tile) -> Outcome:
    """Compute a tile; the third one that is begun kills its worker when its table is written and not yet published."""
    begun = Path(order.out) / "begun"
    begun.mkdir(exist_ok=True)
    number = next(n for n in range(1, 10_000) if _make(begun / str(n)))
    if number != FATAL_TILE:
        return compute_tile(order, tile)
    write = tiles.write_parquet

    def last_words(*args: Any) -> None:
        write(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    tiles.write_parquet = last_words  # the process does not live to put it back
    return compute_tile(order, tile)


def _make(path: Path) -> bool:
    """Make a file, and say whether it was not there."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
