"""Progress for people: one line a step on stderr, a live line on a terminal, nothing on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """
    Says what is being done, how long it took and what was taken from the cache.

    Parameters
    ----------
    stream
        Where lines go; None is silent.
    """

    stream: TextIO | None = None
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def to_stderr(cls) -> Progress:
        """Progress lines on standard error."""
        return cls(stream=sys.stderr)

    def say(self, line: str) -> None:
        """Write one line."""
        if self.stream is not None:
            self.stream.write(f"{line}\n")
            self.stream.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one piece of work; on a terminal its name stands there while it runs."""
        live = self.stream is not None and self.stream.isatty()
        if live and self.stream is not None:
            self.stream.write(f"  … {name}\r")
            self.stream.flush()
        start = time.perf_counter()
        yield
        self.say(f"  ✓ {name:<44} {time.perf_counter() - start:7.2f} s")

    def cached(self, name: str) -> None:
        """Say that a step was not run because its result is known."""
        self.say(f"  = {name:<44}  cached")
