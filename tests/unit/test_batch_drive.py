"""Handing out work: whatever dask says when its scheduler is gone, the batch says one thing; a hiccup is no loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipelines.batch import drive as drive_module
from pipelines.batch.drive import SchedulerLostError, drive
from pipelines.batch.unit import DONE, Order, Outcome

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
