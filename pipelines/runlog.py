"""The log of a run: one JSON document a line, written as it happens, so that a killed run has told its story so far."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT = 50
"""Logs of an area that are kept: the newest."""


@dataclass(frozen=True)
class RunLog:
    """
    A log file, or none.

    Attributes
    ----------
    path
        The file; None writes nothing.
    """

    path: Path | None = None

    @classmethod
    def open(cls, cache: Path, name: str) -> RunLog:
        """
        Begin the log of a run: ``<cache>/logs/<name>/<time>-<process>.jsonl``.

        It lies in the cache and not in the run directory: the log of a run that failed is the one that is wanted, and
        a run directory has the same content whenever it was made.
        """
        folder = cache / "logs" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.jsonl"))[: -KEPT + 1]:
            old.unlink(missing_ok=True)
            old.with_suffix(".profile.txt").unlink(missing_ok=True)
        return cls(folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}.jsonl")

    def write(self, event: str, **facts: Any) -> None:
        """Append one line: ``time``, ``event`` and what belongs to it; whole, or not at all."""
        if self.path is None:
            return
        line = json.dumps({"time": datetime.now(UTC).isoformat(), "event": event, **facts}, default=str)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode() + b"\n")
        finally:
            os.close(handle)
