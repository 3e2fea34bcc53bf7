"""How much memory there is, and how much one piece of work took at its height."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(eq=False)
class Peak:
    """
    Highest resident memory of this process during a piece of work.

    Attributes
    ----------
    mb
        [MB] What is known so far; final when the work has ended.
    """

    mb: float = 0.0


_whole = Peak()
_running = [_whole]
"""The process as a whole, then the pieces of work in progress: the kernel keeps one mark, each of them its own."""


def machine_mb() -> float:
    """[MB] Memory of this machine, or of the container that this process lives in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _GROUPS:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total / 1e6


def free_mb() -> float:
    """[MB] Memory that new processes can have without swapping; where that is unknown, 80 % of all."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.8 * machine_mb()
    known = {line.partition(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    return min(int(known.get("MemAvailable", 0)) * 1024 / 1e6, machine_mb()) or 0.8 * machine_mb()


def start_peak() -> None:
    """Let `peak_mb` begin anew from what is held now; where the system cannot, the peak is the process's."""
    _new_mark()
    _whole.mb = 0.0


def peak_mb() -> float:
    """[MB] Highest resident memory of this process since `start_peak`."""
    _note()
    return _whole.mb


@contextmanager
def peak_of() -> Iterator[Peak]:
    """
    Measure a piece of work; pieces may lie inside one another.

    Examples
    --------
    >>> with peak_of() as peak:
    ...     _ = bytes(50_000_000)
    >>> peak.mb > 50
    True
    """
    _new_mark()
    peak = Peak()
    _running.append(peak)
    try:
        yield peak
    finally:
        _note()
        _running.remove(peak)


def _new_mark() -> None:
    """Let the kernel's mark fall to what is held now, once all pieces of work have taken note of it."""
    _note()
    try:
        _CLEAR.write_text("5")  # proc(5): resets the high-water mark of the resident set
    except OSError:
        return


def _note() -> None:
    mark = _mark_mb()
    for peak in _running:
        peak.mb = max(peak.mb, mark)


def _mark_mb() -> float:
    """[MB] The kernel's mark: highest resident memory since it was last reset."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
