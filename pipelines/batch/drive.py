"""Handing out units: as many at a time as there are workers, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import uuid4

from pipelines.batch.unit import ELSEWHERE, FAILED, FOREIGN, InTiles, Order, Outcome, Spent, compute_tile
from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from pipelines.steps.tiles import Tile

T = TypeVar("T")

UNREACHED = (OSError, CancelledError, asyncio.CancelledError)
"""
How dask says that it did not get through to a scheduler or to a worker.

A connection that was refused, reset or cut in the middle of an answer, and a time that ran out, are kinds of OSError
(``CommClosedError`` and ``TimeoutError`` included); what hung on a lost connection is cancelled.
"""

KILLED = "KilledWorker"
"""Class of the error with which dask gives up what several workers died of."""
_POLL_S = 0.05
_LOST_S = 20.0
"""[s] A scheduler that has not answered for this long is lost."""
_IDLE_S = 120.0
"""[s] A cluster that has had no worker for this long will not get one."""


class SchedulerLostError(PipelineError, ConnectionError):
    """The scheduler is gone; what was finished is kept."""


class BatchStoppedError(PipelineError, RuntimeError):
    """Something that every unit needs is missing: space on a disk, or a worker with this code and this folder."""


class _Piece(NamedTuple):
    """What one worker is asked to do: a unit, or a tile of it; `alone` where it is suspected of killing workers."""

    order: Order
    tile: Tile | None = None
    alone: bool = False


@dataclass
class _Joining:
    """A unit whose tiles are being computed: what it took so far, and how many are left."""

    spent: Spent
    left: int


def drive(
    client: Any,
    orders: Sequence[Order],
    *,
    heard: Callable[[Outcome], None],
    compute: Callable[[Order], Outcome | InTiles],
    divided: Callable[[Order, int], None] = lambda *_: None,
) -> None:
    """
    Have all units computed; one that fails does not stop the others.

    Only as many pieces are handed out as there are workers, so a worker that dies takes few with it, which are
    then handed out again, a few times at most. dask holds what waited at a dying worker for as guilty as what it worked
    on: a piece that it gives up is therefore tried once more when nothing else runs, and given up if workers die again.
    A unit that another batch is computing is asked for again at the end, when all others are done.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    orders
        The units, in the order of their beginning.
    heard
        Called with each outcome as it comes.
    compute
        What a worker runs for a unit.
    divided
        Called with a unit that is computed in tiles, and their number.

    Raises
    ------
    SchedulerLostError
        The scheduler went away.
    BatchStoppedError
        A disk is full, or a worker is not ours: nothing further was begun.
    """
    work = _Work(client, orders, heard=heard, compute=compute, divided=divided)
    try:
        work.run()
    finally:
        work.give_up()


class _Work:
    """What is waiting, what is running, and what is done with each end; parameters as those of `drive`."""

    def __init__(
        self,
        client: Any,
        orders: Sequence[Order],
        *,
        heard: Callable[[Outcome], None],
        compute: Callable[[Order], Outcome | InTiles],
        divided: Callable[[Order, int], None],
    ) -> None:
        self.client, self.heard, self.compute, self.divided = client, heard, compute, divided
        self.waiting = deque(_Piece(order) for order in orders)
        self.elsewhere, self.suspected = deque[_Piece](), deque[_Piece]()
        self.running: dict[Any, _Piece] = {}
        self.joining: dict[str, _Joining] = {}
        self.fatal: Outcome | None = None

    def run(self) -> None:
        """Until nothing is left."""
        while self.waiting or self.elsewhere or self.suspected or self.running or self.fatal:
            if self.fatal is None:
                self._hand_out()
            elif not self.running:
                raise BatchStoppedError(self.fatal.reason)
            for end, piece in finished(self.client, self.running):
                self._take(end, piece)

    def give_up(self) -> None:
        """Call back what is still being computed, where there is a scheduler to tell."""
        for future in self.running:
            if self.client.status == "running":
                with suppress(*UNREACHED):
                    future.cancel(force=True)

    def _hand_out(self) -> None:
        """Give every idle worker a piece; nothing while the scheduler does not answer."""
        n = max(1, n_workers(self.client))
        while len(self.running) < n and self.client.status == "running":
            piece = self._next()
            if piece is None:
                return
            order, tile, _ = piece
            # a key of its own: another start of this batch on the same scheduler may cancel its pieces, not ours
            how = {"key": f"{order.id}-{uuid4().hex}", "pure": False}
            future = (
                self.client.submit(self.compute, order, **how)
                if tile is None
                else self.client.submit(compute_tile, order, tile, **how)
            )
            self.running[future] = piece

    def _next(self) -> _Piece | None:
        if any(piece.alone for piece in self.running.values()):
            return None
        if self.waiting:
            return self.waiting.popleft()
        if self.suspected and not self.running:
            return self.suspected.popleft()
        return self.elsewhere.popleft() if self.elsewhere and not self.suspected else None

    def _take(self, end: Ended, piece: _Piece) -> None:
        """Go on from how a piece ended."""
        order = piece.order
        if piece.tile is not None and order.id not in self.joining:
            return  # its unit was given up meanwhile
        if isinstance(end.value, InTiles):
            self._divide(order, end.value)
        elif type(end.error).__name__ == KILLED and not piece.alone:
            self.suspected.append(piece._replace(alone=True))
        elif piece.tile is not None and end.error is None and not end.value.fatal:
            self._join(order, end.value)
        else:
            self._settle(_outcome_of(end, order), order)

    def _settle(self, outcome: Outcome, order: Order) -> None:
        """Tell how a unit ended."""
        if outcome.status == ELSEWHERE:
            self.elsewhere.append(_Piece(replace(order, patient=True)))
            return
        if self.joining.pop(order.id, None) is not None:  # a tile ended it: the others are of no use
            self.waiting = deque(p for p in self.waiting if p.order.id != order.id)
            self.suspected = deque(p for p in self.suspected if p.order.id != order.id)
        self.fatal = outcome if outcome.fatal else self.fatal
        if outcome.kind != FOREIGN:
            self.heard(outcome)

    def _divide(self, order: Order, found: InTiles) -> None:
        """Put the tiles of a unit first in the row."""
        self.divided(order, len(found.tiles))
        self.joining[order.id] = _Joining(found.spent, len(found.tiles))
        self.waiting.extendleft(_Piece(order, tile) for tile in reversed(found.tiles))

    def _join(self, order: Order, outcome: Outcome) -> None:
        """After the last of its tiles a unit is finished; what a tile failed for, the unit will meet and say."""
        unit = self.joining[order.id]
        unit.spent = unit.spent.plus(outcome.built, outcome.seconds, outcome.peak_mb)
        unit.left -= 1
        if not unit.left:
            del self.joining[order.id]
            self.waiting.appendleft(_Piece(replace(order, share_tiles=False, spent=unit.spent)))


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
    if kind == KILLED:
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
