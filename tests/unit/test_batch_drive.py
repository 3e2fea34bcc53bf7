"""Handing out work: whatever dask says when its scheduler is gone, the batch says one thing; a hiccup is no loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pipelines.batch import drive as drive_module
from pipelines.batch.drive import SchedulerLostError, drive
from pipelines.batch.unit import DONE, InTiles, Order, Outcome, Spent

pytest.importorskip("distributed", reason="dask.distributed comes with the extra 'batch'")


def silence() -> list[BaseException]:
    """Every way in which dask is known to say that it did not get through."""
    from distributed import CancelledError
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return [
        ConnectionResetError(104, "Connection reset by peer"),
        ConnectionRefusedError(111, "Connection refused"),
        BrokenPipeError(32, "Broken pipe"),
        CommClosedError("in <TCP (closed)>: Stream is closed"),
        TimeoutError("timed out after 30 s."),
        CancelledError("alba"),
        FutureCancelledError("alba", "scheduler-connection-lost"),
        asyncio.CancelledError(),
    ]


@dataclass(eq=False)
class Future:
    """A future that fails to be fetched some times."""

    client: Client
    value: Outcome
    failures: int

    @property
    def status(self) -> str:
        return "finished" if self.client.status == "running" else "cancelled"

    def result(self) -> Outcome:
        if self.failures > 0:
            self.failures -= 1
            self.client.after_failure()
            raise self.client.error
        return self.value

    def cancel(self, *, force: bool) -> None:
        raise self.client.error


@dataclass(eq=False)
class Client:
    """A client with one worker, as far as the batch uses it."""

    error: BaseException
    failures: int = 0
    after_failure: Callable[[], None] = lambda: None
    status: str = "running"
    silent_workers: bool = False
    asked: list[str] = field(default_factory=list)

    def nthreads(self) -> dict[str, int]:
        if self.silent_workers:
            raise self.error
        return {"tcp://127.0.0.1:1": 1}

    def submit(self, compute: Callable[[Order], Outcome], order: Order, **_: Any) -> Future:
        self.asked.append(order.id)
        return Future(self, compute(order), self.failures)


def order(name: str) -> Order:
    return Order(
        id=name, city=name, setting={}, label="", tables={}, base="", out="", cache="", code="", ticket=""
    )


def done(order: Order) -> Outcome:
    return Outcome(id=order.id, city=order.city, label="", setting={}, status=DONE)


@pytest.mark.parametrize("error", silence(), ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("told", ["running", "connecting", "closed"])
def test_a_scheduler_that_is_gone_is_said_in_one_sentence(
    error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while a result is fetched; dask's client may not know it yet, try to connect again, or have given up."""
    monkeypatch.setattr(drive_module, "_LOST_S", 0.1)
    client = Client(error, failures=10_000)
    client.after_failure = lambda: setattr(client, "status", told)
    with pytest.raises(SchedulerLostError, match="--resume"):
        drive(client, [order("alba"), order("bram")], heard=lambda _: None, compute=done)
    assert client.asked == ["alba"]


@pytest.mark.parametrize("error", silence(), ids=lambda e: type(e).__name__)
def test_a_hiccup_is_no_loss(error: BaseException) -> None:
    client = Client(error, failures=2, silent_workers=True)
    heard: list[str] = []
    drive(client, [order("alba"), order("bram")], heard=lambda o: heard.append(o.id), compute=done)
    assert heard == ["alba", "bram"]


class KilledWorker(Exception):  # noqa: N818 - as dask calls it
    """What dask raises for each piece that several dying workers held, whether they worked on it or not."""


@dataclass(eq=False)
class Piece:
    """A future that has ended: with a value, or given up by dask."""

    client: Deadly
    name: str
    value: Any

    @property
    def status(self) -> str:
        return "finished" if self.value is not None else "error"

    def result(self) -> Any:
        self.client.open.remove(self.name)
        return self.value

    def exception(self) -> BaseException:
        self.client.open.remove(self.name)
        return KilledWorker(self.name)


@dataclass(eq=False)
class Deadly:
    """
    Two workers, as far as the batch uses them.

    `deaths` says how often each piece is given up before it is computed; `open` names what is handed out and not taken
    back, `beside` what was open when each piece was handed out.
    """

    deaths: dict[str, int]
    status: str = "running"
    open: list[str] = field(default_factory=list)
    beside: list[tuple[str, list[str]]] = field(default_factory=list)

    def nthreads(self) -> dict[str, int]:
        return {"one": 1, "two": 1}

    def submit(self, compute: Callable[..., Any], order: Order, *tile: str, **_: Any) -> Piece:
        name = tile[0] if tile else order.id
        self.beside.append((name, list(self.open)))
        self.open.append(name)
        self.deaths[name] = self.deaths.get(name, 0) - 1
        return Piece(self, name, None if self.deaths[name] >= 0 else compute(order, *tile))


def test_what_waited_at_a_dying_worker_is_tried_again_alone() -> None:
    """Alba waited behind Bad, which kills every worker: dask gives up both, the batch only the guilty one."""
    client = Deadly({"alba": 1, "bad": 9})
    heard: dict[str, str] = {}
    drive(client, [order("alba"), order("bad"), order("cori")], compute=done,
          heard=lambda o: heard.update({o.id: o.status}))  # fmt: skip
    assert heard == {"cori": "done", "alba": "done", "bad": "failed"}
    assert client.beside[-2:] == [("alba", []), ("bad", [])]


def in_tiles(order: Order) -> Outcome | InTiles:
    """Bram is computed in three tiles; what it took for them stands in its outcome."""
    if order.id == "bram" and order.share_tiles:
        return InTiles(("north", "middle", "south"), Spent(("field",), 1.0, 50.0))  # type: ignore[arg-type]
    return replace(done(order), built=(*order.spent.built, "join"), seconds=order.spent.seconds)


def tile(order: Order, name: str) -> Outcome:
    return replace(done(order), built=(name,), seconds=2.0)


def test_tiles_come_first_and_their_unit_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive_module, "compute_tile", tile)
    client, heard = Deadly({"middle": 1}), list[Outcome]()
    units = [replace(order(name), share_tiles=True) for name in ("alba", "bram", "cori")]
    drive(client, units, heard=heard.append, compute=in_tiles)
    begun = [name for name, _ in client.beside]
    assert begun[:2] == ["alba", "bram"]
    assert {"north", "middle", "south"} <= set(begun[2:6])
    assert begun.count("middle") == 2
    assert begun[-1] == "bram"
    bram = next(o for o in heard if o.id == "bram")
    assert sorted(bram.built) == ["field", "join", "middle", "north", "south"]
    assert bram.seconds == 7.0


def test_a_tile_that_kills_every_worker_ends_its_unit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive_module, "compute_tile", tile)
    client, heard = Deadly({"north": 9}), dict[str, Outcome]()
    units = [replace(order(name), share_tiles=True) for name in ("bram", "cori")]
    drive(client, units, heard=lambda o: heard.update({o.id: o}), compute=in_tiles)
    assert (heard["bram"].status, heard["cori"].status) == ("failed", "done")
    assert "died again and again" in heard["bram"].reason
    assert client.open == []
