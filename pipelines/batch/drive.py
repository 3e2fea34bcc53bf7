"""Handing out units: as many at a time as there are workers, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pipelines.batch.unit import ELSEWHERE, FAILED, FOREIGN, Order, Outcome
from pipelines.errors import PipelineError

T = TypeVar("T")

UNREACHED = (OSError, CancelledError, asyncio.CancelledError)
"""
How dask says that it did not get through to a scheduler or to a worker.

A connection that was refused, reset or cut in the middle of an answer, and a time that ran out, are kinds of OSError
(``CommClosedError`` and ``TimeoutError`` included); what hung on a lost connection is cancelled.
"""

_POLL_S = 0.05
_LOST_S = 20.0
"""[s] A scheduler that has not answered for this long is lost."""
_IDLE_S = 120.0
"""[s] A cluster that has had no worker for this long will not get one."""


class SchedulerLostError(PipelineError, ConnectionError):
    """The scheduler is gone; what was finished is kept."""


class BatchStoppedError(PipelineError, RuntimeError):
    """Something that every unit needs is missing: space on a disk, or a worker with this code and this folder."""


def drive(
    client: Any,
    orders: Sequence[Order],
    *,
    heard: Callable[[Outcome], None],
    compute: Callable[[Order], Outcome],
) -> None:
    """
    Have all units computed; one that fails does not stop the others.

    Only as many units are handed out as there are workers, so a worker that dies takes one unit with it, which is
    then handed out again, a few times at most. A unit that another batch is computing is asked for again
    at the end, when all others are done.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    orders
        The units, in the order of their beginning.
    heard
        Called with each outcome as it comes.
    compute
        What a worker runs.

    Raises
    ------
    SchedulerLostError
        The scheduler went away.
    BatchStoppedError
        A disk is full, or a worker is not ours: nothing further was begun.
    """
    waiting, later = deque(orders), deque[Order]()
    running: dict[Any, Order] = {}
    fatal: Outcome | None = None
    try:
        while waiting or later or running or fatal:
            if fatal is None:
                _hand_out(client, waiting or later, running, compute)
            elif not running:
                raise BatchStoppedError(fatal.reason)
            for end, order in finished(client, running):
                outcome = _outcome_of(end, order)
                if outcome.status == ELSEWHERE:
                    later.append(replace(order, patient=True))
                    continue
                fatal = outcome if outcome.fatal else fatal
                if outcome.kind != FOREIGN:
                    heard(outcome)
    finally:
        _give_up(client, running)


def _hand_out(
    client: Any, orders: deque[Order], running: dict[Any, Order], compute: Callable[[Order], Outcome]
) -> None:
    """Give every idle worker a unit; nothing while the scheduler does not answer."""
    n = max(1, n_workers(client))
    while orders and len(running) < n and client.status == "running":
        order = orders.popleft()
        future = client.submit(compute, order, key=f"{order.id}-{order.ticket}-{order.patient}", pure=False)
        running[future] = order


def _give_up(client: Any, running: Iterable[Any]) -> None:
    """Call back what is still being computed, where there is a scheduler to tell."""
    for future in running:
        if client.status == "running":
            with suppress(*UNREACHED):
                future.cancel(force=True)


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended: with a value, or with an error that its worker met."""

    value: Any = None
    error: BaseException | None = None


def finished(client: Any, running: dict[Any, T]) -> Iterator[tuple[Ended, T]]:
    """
    Wait until something is finished, fetch how it ended, and take it off the list.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    running
        Future → what it stands for; what is yielded is removed.

    Raises
    ------
    SchedulerLostError
        The scheduler went away, or the cluster has had no worker for minutes.
    """
    answered = manned = looked = time.monotonic()
    while True:
        some, gone = False, client.status != "running"
        for future in [f for f in running if f.status in ("finished", "error") and not gone]:
            end = _fetched(future)
            if end is None:
                gone = True
                break
            some = True
            yield end, running.pop(future)
        if some:
            return
        now = time.monotonic()
        gone = gone or any(f.status in ("cancelled", "lost") for f in running)
        answered = answered if gone else now
        if client.status == "closed" or now - answered > _LOST_S:
            msg = "the scheduler was lost; what is finished is kept: start it, then run the same command with --resume"
            raise SchedulerLostError(msg)
        if not gone and now - looked > _IDLE_S / 10:
            looked = now
            manned = now if n_workers(client) else manned
        if now - manned > _IDLE_S:
            msg = f"the cluster has had no worker for {_IDLE_S:.0f} s; start some, then run this again with --resume"
            raise SchedulerLostError(msg)
        time.sleep(_POLL_S)


def _fetched(future: Any) -> Ended | None:
    """How a finished future ended; None where the scheduler did not hand it over."""
    try:
        if future.status == "finished":
            return Ended(value=future.result())
        error = future.exception()
    except UNREACHED:
        return None
    return None if error is None or isinstance(error, UNREACHED[1:]) else Ended(error=error)


def n_workers(client: Any) -> int:
    """Number of workers that the scheduler knows; 0 where it does not answer."""
    if client.status != "running":
        return 0
    try:
        return len(client.nthreads())
    except UNREACHED:
        return 0


def _outcome_of(end: Ended, order: Order) -> Outcome:
    """The outcome that a worker sent, or what became of the worker."""
    if end.error is None:
        outcome: Outcome = end.value
        return outcome
    error = end.error
    kind = type(error).__name__
    if kind == "KilledWorker":
        reason = (
            "the worker died again and again while computing this city: it needs more memory than a worker has, or was "
            "ended from outside; give it more with --memory-gb or fewer --workers"
        )
    else:
        reason = f"{kind}: {error} (a fault of the product: `proche run` it with --debug and report it)"
    return Outcome(
        id=order.id,
        city=order.city,
        label=order.label,
        setting=dict(order.setting),
        status=FAILED,
        reason=reason,
        kind=kind,
        exit_code=4,
        code=order.code,
    )
