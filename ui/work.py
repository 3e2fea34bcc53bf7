"""Long work in the background: how far it is, and how it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Generic, TypeVar

from engine.errors import EngineError
from pipelines.errors import PipelineError
from pipelines.progress import Progress

T = TypeVar("T")


class StoppedError(PipelineError):
    """Somebody pressed Stop."""


@dataclass
class StoppableProgress(Progress):
    """Counts the steps that are done, and ends the work at the next one once it is to stop."""

    steps: int = 0
    stopped: Event = field(default_factory=Event)

    def say(self, line: str) -> None:
        """Count a step, or end the work."""
        if self.stopped.is_set():
            msg = "stopped"
            raise StoppedError(msg)
        self.steps += bool(line)

    def skip_to(self, step: int) -> None:
        """Count the steps up to `step` as done, also those that somebody else's work has spared."""
        self.steps = max(self.steps, step)


@dataclass(frozen=True)
class Job(Generic[T]):
    """Work under way: its result to come, and how far it is."""

    future: Future[T]
    progress: StoppableProgress

    @property
    def waiting(self) -> bool:
        """Whether there is no result yet; work that was stopped never has one."""
        return self.progress.stopped.is_set() or not self.future.done()

    def stop(self) -> None:
        """End the work: at once if it has not begun, else at its next step, and nothing of it is kept."""
        self.progress.stopped.set()
        self.future.cancel()

    @classmethod
    def begin(cls, pool: Executor, work: Callable[..., T], *given: Any) -> Job[T]:
        """Start work that takes a `progress`; what breaks it down unforeseen goes to the server's log."""
        progress = StoppableProgress()
        future = pool.submit(work, *given, progress=progress)
        future.add_done_callback(_log)
        return cls(future, progress)


def foreseen(error: BaseException) -> bool:
    """Whether an error is a sentence for people, not a fault of the product."""
    return isinstance(error, EngineError | PipelineError)


def _log(future: Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None and not foreseen(error):
        logging.getLogger(__name__).error("work in the background broke down", exc_info=error)
