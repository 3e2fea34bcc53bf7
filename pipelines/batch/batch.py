"""A batch from its files to its catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import geopandas as gpd
import pandas as pd
from filelock import FileLock

from pipelines.batch.catalogue import CATALOGUE, STATUS, WAITING, status_table, write_tables
from pipelines.batch.cluster import WORKER_MB, Workers, connected, cores, memory_mb, size_workers
from pipelines.batch.drive import drive
from pipelines.batch.estimate import Estimate, estimate, sizes_of
from pipelines.batch.plan import BatchPlan, Unit, merged, read_batch
from pipelines.batch.split import SPLIT_MB, Cuts, cut_first
from pipelines.batch.unit import (
    DONE,
    FAILED,
    TICKET,
    Order,
    Outcome,
    compute_unit,
    is_finished,
    read_record,
    record_path,
)
from pipelines.config import parse_config
from pipelines.cost import LEAST_TILE, Size, cost_of, peak_mb_of
from pipelines.errors import ArtifactError
from pipelines.pace import pace as machine_pace
from pipelines.progress import Progress
from pipelines.steps.context import code_digest
from pipelines.store import write_atomic


@dataclass(frozen=True)
class BatchDirectory:
    """
    The folder of a batch, read lazily.

    Attributes
    ----------
    path
        Holds ``catalogue.parquet``, ``status.parquet``, ``runs/`` (one run directory a unit) and ``records/``.
    """

    path: Path

    @cached_property
    def catalogue(self) -> gpd.GeoDataFrame:
        """``catalogue.parquet``: one row a finished city and setting."""
        return gpd.read_parquet(self._file(CATALOGUE))

    @cached_property
    def status(self) -> pd.DataFrame:
        """``status.parquet``: one row a city and setting, whatever became of it."""
        return pd.read_parquet(self._file(STATUS))

    @property
    def failures(self) -> pd.DataFrame:
        """What failed, and why."""
        return self.status[self.status["status"] == FAILED].reset_index(drop=True)

    def _file(self, name: str) -> Path:
        if not (self.path / name).is_file():
            made = f"`proche batch FILE --out {self.path}`"
            msg = f"{self.path} has no {name}: it is no finished batch; make it with {made}"
            raise ArtifactError(msg)
        return self.path / name


def run_batch(
    files: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    cache: str | Path | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    retry_failed: bool = False,
    force: bool = False,
    offline: bool = False,
    split_mb: float = SPLIT_MB,
    progress: Progress | None = None,
) -> BatchDirectory:
    """
    Compute every city and setting of a batch.

    Every unit goes through `pipelines.compute.run`: known steps are taken from the cache. A unit that fails is listed
    with its reason; the others go on. The same batch may be started twice at once: each unit is computed by one.

    Parameters
    ----------
    files
        Batch files, tables of areas, or plain configurations: see `pipelines.batch.plan.read_batch`.
    out
        Folder of the batch; default ``<cache>/batches/<name>``.
    cache
        Cache folder; default `pipelines.compute.cache_folder`.
    scheduler
        Address of a dask scheduler; None: processes of this machine.
    workers
        Number of local processes; None: as many as cores and memory allow.
    memory_gb
        [GB] Memory of all local processes together; None: 80 % of what is free.
    overrides
        ``section.key=value`` for every unit.
    resume
        Take units that are recorded as finished, or as failed, as they are, without looking at their inputs.
    retry_failed
        As `resume`, but try again what failed.
    force
        Compute every step anew.
    offline
        Never reach for the internet.
    split_mb
        [MB] A file that several areas share is cut for them in one reading where this much would be read again.
    progress
        Where progress is said.

    Returns
    -------
    BatchDirectory

    Raises
    ------
    ConfigError
        A file cannot be honoured.
    SchedulerLostError, BatchStoppedError
        The batch stopped early; what is finished is kept, and the tables are written.

    Examples
    --------
    >>> run_batch(["cities.toml"]).catalogue.sort_values("walk_score_mean")  # doctest: +SKIP
    """
    plan = read_batch([Path(f) for f in files], overrides=overrides)
    folder, target = _folders(plan, cache, out)
    progress = progress or Progress()
    ticket = open_folder(target, plan)
    code = code_digest()
    outcomes = {
        u.id: _before(u, target, code, keep=resume or retry_failed, retry=retry_failed) for u in plan.units
    }
    todo = [u for u in plan.units if outcomes[u.id].status == WAITING]
    kept = len(plan.units) - len(todo)
    progress.say(
        f"{plan.name}: {len(plan.units)} cities and settings" + (f", {kept} as recorded" if kept else "")
    )
    orders = [_order(u, target, folder, code, ticket, force=force, offline=offline) for u in todo]
    sizes = sizes_of(orders, {u.id: u.outline for u in todo}, count_from_mb=_COUNT_FROM_MB)
    orders = in_turn(orders, {o.id: cost_of(sizes[o.id]).core_s for o in orders})
    cuts = Cuts(folder)

    def heard(outcome: Outcome) -> None:
        outcomes[outcome.id] = outcome
        cuts.release(outcome.id)
        n = sum(o.status != WAITING for o in outcomes.values())
        progress.say(_line(outcome, n, len(outcomes)))

    def divided(order: Order, tiles: int) -> None:
        progress.say(f"  ▦ {order.city}: {tiles} tiles")

    try:
        if orders:
            with connected(scheduler, _workers(sizes, workers, memory_gb)) as client:
                orders = limited(orders, memory_mb(client))
                for file in cut_first(client, orders, cuts, least_mb=split_mb):
                    progress.say(f"  ✂ {file}: read once for all of its areas")
                drive(client, orders, heard=heard, compute=compute_unit, divided=divided)
    finally:
        cuts.clear()
        write_tables(target, list(outcomes.values()), keys=plan.keys)
    return BatchDirectory(target)


def estimate_batch(
    files: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    memory_gb: float | None = None,
    overrides: Sequence[str] = (),
    split_mb: float = SPLIT_MB,
) -> Estimate:
    """
    What a batch will take; nothing is computed, downloaded or written.

    Parameters
    ----------
    files, out, cache, workers, memory_gb, overrides, split_mb
        As in `run_batch`. Units that an earlier run of the batch computed are told as it measured them.

    Raises
    ------
    ConfigError
        A file cannot be honoured.
    """
    plan = read_batch([Path(f) for f in files], overrides=overrides)
    folder, target = _folders(plan, cache, out)
    units = [u for u in plan.units if not u.fault]
    orders = [_order(u, target, folder, "", "", force=False, offline=True) for u in units]
    sizes = sizes_of(orders, {u.id: u.outline for u in units})
    records = {o.id: read_record(o.record) for o in orders}
    measured = {
        o.id: r
        for o in orders
        if (r := records[o.id]) and r.built and r.config_digest == parse_config(o.tables).digest
    }
    return estimate(
        orders,
        sizes,
        measured,
        workers=_workers(sizes, workers, memory_gb),
        split_mb=split_mb,
        pace=machine_pace(),
    )


def read_status(
    files: Sequence[str | Path], *, out: str | Path | None = None, cache: str | Path | None = None
) -> pd.DataFrame:
    """How far a batch is, from its records: what `status_table` tells, also while it runs."""
    plan = read_batch([Path(f) for f in files])
    _, target = _folders(plan, cache, out)
    return status_table(_known(u, target) for u in plan.units)


def _folders(plan: BatchPlan, cache: str | Path | None, out: str | Path | None) -> tuple[Path, Path]:
    """The cache, and the folder of the batch."""
    folder = Path(cache or os.environ.get("PROCHE_CACHE") or "cache").resolve()
    return folder, Path(out).resolve() if out else folder / "batches" / plan.name


def exit_code(status: pd.DataFrame) -> int:
    """What the command ends with: 0, or the code on which all failures agree, else 4."""
    codes = set(status.loc[status["status"] == FAILED, "exit_code"])
    return 0 if not codes else int(codes.pop()) if len(codes) == 1 else 4


def _known(unit: Unit, target: Path) -> Outcome:
    return read_record(record_path(target, unit.id)) or (_faulty(unit) if unit.fault else _waiting(unit))


def open_folder(target: Path, plan: BatchPlan) -> str:
    """
    Make the folder of a batch, with the outlines of split areas.

    Returns
    -------
    str
        The ticket by which workers recognise the folder.
    """
    (target / "records").mkdir(parents=True, exist_ok=True)
    ticket = target / TICKET
    with FileLock(target / ".lock"):
        if not ticket.is_file():
            write_atomic(ticket, uuid4().hex.encode())
        for unit in plan.units:
            path, data = outline_path(target, unit), (unit.outline or "").encode()
            if data and (not path.is_file() or path.read_bytes() != data):
                write_atomic(path, data)
    return ticket.read_text("utf-8")


def outline_path(target: Path, unit: Unit) -> Path:
    """Where the outline of a unit lies that comes from a split file."""
    return target / "areas" / f"{unit.id}.geojson"


_COUNT_FROM_MB = 20.0
"""[MB] Before a batch begins, the streets of smaller extracts are not counted: order and memory do not hang on them."""
U = TypeVar("U", Unit, Order)


def in_turn(units: Sequence[U], cost: Mapping[str, float] | None = None) -> list[U]:
    """
    The order in which units begin: every city once, then every city's second setting, and so on; long ones first.

    Settings of one city share inputs and networks, which one process makes while the others would wait for it. A long
    city that began last would leave the other processes without work.

    Parameters
    ----------
    units
        Units or orders.
    cost
        [s] What each takes, by its id.
    """
    rank: dict[str, int] = {}
    ranked = []
    for unit in units:
        rank[unit.city] = rank.get(unit.city, -1) + 1
        ranked.append((rank[unit.city], -(cost or {}).get(unit.id, 0.0), unit))
    return [unit for _, _, unit in sorted(ranked, key=lambda entry: entry[:2])]


def limited(orders: Sequence[Order], worker_mb: float | None) -> list[Order]:
    """
    Have every unit keep to the memory of a worker: in tiles where that helps, refused with its reason where none would.

    Parameters
    ----------
    orders
        The units.
    worker_mb
        [MB] Memory of a worker; None where it is not limited.
    """
    if worker_mb is None:
        return list(orders)
    return [replace(o, memory_mb=max(worker_mb - WORKER_MB, 1.0), share_tiles=not o.force) for o in orders]


def _order(
    unit: Unit, target: Path, cache: Path, code: str, ticket: str, *, force: bool, offline: bool
) -> Order:
    return Order(
        id=unit.id,
        city=unit.city,
        setting=unit.setting,
        label=unit.label,
        tables=_tables(unit, target),
        base=str(unit.base),
        out=str(target),
        cache=str(cache),
        code=code,
        ticket=ticket,
        force=force,
        offline=offline,
    )


def _tables(unit: Unit, target: Path) -> dict[str, object]:
    """The unit's configuration tables, with the file that its outline was written to."""
    if unit.outline is None:
        return unit.tables
    return merged(unit.tables, {"area": {"boundary": str(outline_path(target, unit))}})


def _before(unit: Unit, target: Path, code: str, *, keep: bool, retry: bool) -> Outcome:
    """What is known of a unit before the batch begins."""
    if unit.fault:
        return _faulty(unit, code)
    record = read_record(record_path(target, unit.id)) if keep else None
    if record is None:
        return _waiting(unit)
    digest = parse_config(_tables(unit, target)).digest
    failed = record.status == FAILED and record.config_digest == digest and not retry
    if failed or is_finished(record, config_digest=digest, code=code, folder=target / "runs" / unit.id):
        return record
    return _waiting(unit)


def _faulty(unit: Unit, code: str = "") -> Outcome:
    """A unit whose configuration cannot be honoured."""
    return _outcome(unit, FAILED, reason=unit.fault, kind="ConfigError", exit_code=2, code=code)


def _waiting(unit: Unit) -> Outcome:
    return _outcome(unit, WAITING)


def _outcome(unit: Unit, status: str, **more: Any) -> Outcome:
    return Outcome(
        id=unit.id, city=unit.city, label=unit.label, setting=dict(unit.setting), status=status, **more
    )


def _workers(sizes: Mapping[str, Size], number: int | None, memory_gb: float | None) -> Workers:
    """Processes for the units that are left."""
    return size_workers(
        cores=cores(),
        need_mb=WORKER_MB + max((peak_mb_of(size) for size in sizes.values()), default=0.0),
        tiled_mb=WORKER_MB
        + max((peak_mb_of(size, tile_cells=LEAST_TILE) for size in sizes.values()), default=0.0),
        budget_mb=None if memory_gb is None else memory_gb * 1000,
        number=number,
        units=len(sizes),
    )


def _line(outcome: Outcome, n: int, total: int) -> str:
    """One line of progress."""
    name = f"{outcome.city} ({outcome.label})" if outcome.label else outcome.city
    if outcome.status == DONE:
        how = (
            "computed elsewhere"
            if outcome.taken_over
            else f"{len(outcome.built)} steps"
            if outcome.built
            else "known"
        )
        return f"  ✓ {name:<44} {outcome.seconds:7.2f} s {outcome.peak_mb:6.0f} MB  {how}  ({n} of {total})"
    return f"  ✗ {name}: {outcome.reason}  ({n} of {total})"
