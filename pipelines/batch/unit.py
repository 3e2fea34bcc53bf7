"""
One city and setting, computed in a worker: claimed, run, recorded; never by two at once.

A city whose cells do not fit into the worker beside its networks comes back as tiles (`InTiles`), which any worker
computes (`compute_tile`); the same city is then asked for once more, finds its tiles in the cache and joins them.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from engine.errors import EngineError, InputError
from pipelines.config import parse_config
from pipelines.errors import PipelineError
from pipelines.memory import peak_mb, start_peak
from pipelines.rundir import MANIFEST, RunDirectory
from pipelines.steps.context import code_digest
from pipelines.store import sha256_of, write_atomic

if TYPE_CHECKING:
    from pipelines.steps.context import Context
    from pipelines.steps.tiles import Tile

DONE, FAILED, ELSEWHERE = "done", "failed", "elsewhere"
"""States of a unit: finished, given up with a reason, being computed by another batch."""

FOREIGN = "ForeignWorker"
"""Kind of the failure of a worker that has other code or does not see the folder."""

TICKET = "ticket.txt"
"""File by which a worker recognises the folder of the batch."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_EXPLAINED = (PipelineError, EngineError, MemoryError, OSError)
"""What a configuration, an input or a disk explains; anything else is a fault of the product."""


@dataclass(frozen=True)
class Spent:
    """
    What the pieces of a unit took that are finished.

    Attributes
    ----------
    built
        Steps that were computed.
    seconds
        Wall time of all pieces together.
    peak_mb
        Highest memory of a process meanwhile.
    """

    built: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0

    def plus(self, built: Iterable[str], seconds: float, peak_mb: float) -> Spent:
        """With one piece more."""
        return Spent((*self.built, *built), self.seconds + seconds, max(self.peak_mb, peak_mb))


@dataclass(frozen=True)
class Order:
    """
    What a worker is asked to do; plain values, so that it travels.

    Attributes
    ----------
    id, city, setting, label, tables
        As in `Unit`.
    base, out, cache
        Folders, absolute; every worker must see them under these names.
    code
        Code digest of the one who asks: a worker with other code would give other bytes.
    ticket
        Content of ``ticket.txt`` in `out`: a worker that does not find it does not share the folder.
    force, offline
        As in `pipelines.compute.run`.
    memory_mb
        [MB] What the run may take of the worker's memory: a large area is computed in tiles, with the same results.
    patient
        Wait for another batch that computes this unit, and take its result; else say `ELSEWHERE`.
    share_tiles
        Give the tiles of a large area back, so that several workers compute them.
    spent
        What earlier pieces of this unit took.
    """

    id: str
    city: str
    setting: Mapping[str, Any]
    label: str
    tables: Mapping[str, Any]
    base: str
    out: str
    cache: str
    code: str
    ticket: str
    force: bool = False
    offline: bool = False
    memory_mb: float | None = None
    patient: bool = False
    share_tiles: bool = False
    spent: Spent = Spent()

    @property
    def folder(self) -> Path:
        """The run directory."""
        return Path(self.out) / "runs" / self.id

    @property
    def record(self) -> Path:
        """The file that says how it went."""
        return record_path(Path(self.out), self.id)


@dataclass(frozen=True)
class Outcome:
    """
    How a unit went: what the status table shows and the record keeps.

    Attributes
    ----------
    status
        `DONE`, `FAILED` or `ELSEWHERE`.
    reason, kind, exit_code
        Of a failure: the message, the class of the error, and what `proche run` would end with.
    seconds, peak_mb
        Wall time, that of tiles added, and the highest memory of a worker process meanwhile.
    built
        Steps that were computed; the others were known.
    config_digest, code, manifest
        What was computed, with which code, and the hash of its manifest.
    worker
        Host and process.
    fatal
        Whether every other unit would fail too: a disk is full, or the worker is not ours.
    taken_over
        Whether another batch computed it just now; `built` is empty then.
    """

    id: str
    city: str
    label: str
    setting: Mapping[str, Any]
    status: str
    reason: str = ""
    kind: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    built: tuple[str, ...] = ()
    config_digest: str = ""
    code: str = ""
    manifest: str = ""
    worker: str = ""
    finished: str = ""
    fatal: bool = False
    taken_over: bool = False


@dataclass(frozen=True, eq=False)
class InTiles:
    """
    What is left of a unit before it can be finished.

    Attributes
    ----------
    tiles
        To be computed, in any order and anywhere.
    spent
        What the unit took so far.
    """

    tiles: tuple[Tile, ...]
    spent: Spent


def record_path(out: Path, unit: str) -> Path:
    """Where a unit's record lies."""
    return out / "records" / f"{unit}.json"


def read_record(path: Path) -> Outcome | None:
    """A record, None where there is none that can be read."""
    try:
        table = json.loads(path.read_text("utf-8"))
        table["built"] = tuple(table["built"])
        return Outcome(**table)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        return None


def is_finished(outcome: Outcome | None, *, config_digest: str, code: str, folder: Path) -> bool:
    """Whether a record says that this very configuration was computed by this very code, and the run is there."""
    return (
        outcome is not None
        and outcome.status == DONE
        and outcome.config_digest == config_digest
        and outcome.code == code
        and (folder / MANIFEST).is_file()
        and sha256_of(folder / MANIFEST) == outcome.manifest
    )


def compute_unit(order: Order) -> Outcome | InTiles:
    """
    Compute a unit and record how it went, or say which tiles it wants first.

    Parameters
    ----------
    order
        What to compute.

    Returns
    -------
    Outcome or InTiles
        Errors that a configuration, an input or a full disk explains are outcomes; anything else is a fault of
        the product and raised.
    """
    start = time.perf_counter()
    fault = _foreign(order)
    if fault:
        return _outcome(order, FAILED, start, reason=fault, kind=FOREIGN, exit_code=2, fatal=True)
    with _claimed(order) as mine:
        if not mine:
            return _outcome(order, ELSEWHERE, start)
        if order.patient:
            known = read_record(order.record)
            digest = parse_config(order.tables).digest
            if known is not None and known.config_digest == digest and known.code == order.code:
                return replace(known, built=(), taken_over=True)
        outcome = _computed(order, start)
        if isinstance(outcome, InTiles):
            return outcome
        for left in order.record.parent.glob(f".{order.record.name}.*"):
            left.unlink(missing_ok=True)  # of a writer that was killed; the lock is ours
        if not outcome.built and _same(outcome, read_record(order.record)):
            return outcome  # the record tells what it took to compute: that stays
        try:
            write_atomic(order.record, json.dumps(asdict(outcome), indent=1, ensure_ascii=False).encode())
        except OSError as error:
            if outcome.status == DONE or error.errno not in _FULL:
                return _failed(order, start, error)
        return outcome


def _same(outcome: Outcome, known: Outcome | None) -> bool:
    """Whether a record already says that this was finished."""
    return (
        known is not None
        and (known.status, outcome.status) == (DONE, DONE)
        and (known.config_digest, known.code, known.manifest)
        == (outcome.config_digest, outcome.code, outcome.manifest)
    )


def _foreign(order: Order) -> str:
    """Why this worker must not compute for the one who asks; empty where it may."""
    ticket = Path(order.out) / TICKET
    here = f"the worker {_worker()}"
    try:
        if ticket.read_text("utf-8") == order.ticket:
            if code_digest() == order.code:
                return ""
            return f"{here} runs other code than this command: install the same version of proche on every worker"
    except OSError:
        pass
    return f"{here} does not see the folder {order.out}: put --out and the cache on a disk that all workers share"


@contextmanager
def _claimed(order: Order) -> Iterator[bool]:
    """Hold the unit's lock; the system lets it go when the process dies."""
    folder = Path(order.out) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{order.id}.lock", timeout=-1 if order.patient else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def compute_tile(order: Order, tile: Tile) -> Outcome:
    """
    Compute a tile of a unit; it lies in the cache then, for whoever asks.

    Returns
    -------
    Outcome
        Of this piece alone. It is not recorded: the unit finds its tile in the cache, or makes it.
    """
    from pipelines.steps.tiles import make_tile  # heavy: only workers need it

    start = time.perf_counter()
    fault = _foreign(order)
    if fault:
        return _outcome(order, FAILED, start, reason=fault, kind=FOREIGN, exit_code=2, fatal=True)
    order = replace(order, spent=Spent())
    start_peak()
    try:
        with _opened(order) as ctx:
            make_tile(ctx, tile)
    except _EXPLAINED as error:
        return _failed(order, start, error)
    return _outcome(order, DONE, start, built=tuple(ctx.built))


def _opened(order: Order) -> AbstractContextManager[Context]:
    from pipelines.compute import opened  # heavy: only workers need it

    return opened(
        order.tables,
        base=order.base,
        out=order.folder,
        cache=order.cache,
        force=order.force,
        offline=order.offline,
        memory_limit=None if order.memory_mb is None else round(order.memory_mb * 1e6),
    )


def _computed(order: Order, start: float) -> Outcome | InTiles:
    from pipelines.compute import finish  # heavy: only workers need it
    from pipelines.steps.ground import lay_ground
    from pipelines.steps.reach import tiles_to_make

    start_peak()
    try:
        with _opened(order) as ctx:
            ground = lay_ground(ctx)
            tiles = tiles_to_make(ctx, ground) if order.share_tiles else []
            if len(tiles) > 1:
                spent = order.spent.plus(ctx.built, time.perf_counter() - start, peak_mb())
                return InTiles(tuple(tiles), spent)
            finished = finish(ctx, ground)
    except _EXPLAINED as error:
        return _failed(order, start, error)
    return _outcome(order, DONE, start, built=(*order.spent.built, *ctx.built), **_finished(finished))


def _finished(finished: RunDirectory) -> dict[str, Any]:
    return {
        "config_digest": finished.manifest["config_digest"],
        "manifest": sha256_of(finished.path / MANIFEST),
    }


def _failed(order: Order, start: float, error: Exception) -> Outcome:
    full = _is_full(error)
    reason = str(error) or "out of memory: choose a smaller area or a coarser resolution"
    if full:
        reason = f"a disk is full ({error}): free space for {order.cache} and {order.out}, then --resume"
    code = getattr(error, "exit_code", 3 if isinstance(error, InputError | OSError) else 4)
    return _outcome(
        order,
        FAILED,
        start,
        reason=reason,
        kind=type(error).__name__,
        exit_code=code,
        fatal=full,
        config_digest=parse_config(order.tables).digest,
    )


def _is_full(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that a disk is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return "No space left on device" in str(error)


def _outcome(order: Order, status: str, start: float, **more: Any) -> Outcome:
    return Outcome(
        id=order.id,
        city=order.city,
        label=order.label,
        setting=dict(order.setting),
        status=status,
        seconds=round(order.spent.seconds + time.perf_counter() - start, 3),
        peak_mb=round(max(order.spent.peak_mb, peak_mb()), 1),
        code=order.code,
        worker=_worker(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    )


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"
