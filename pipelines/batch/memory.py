"""How much memory there is, and how much one piece of work took at its height."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


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
    try:
        _CLEAR.write_text("5")  # proc(5): resets the high-water mark of the resident set
    except OSError:
        return


def peak_mb() -> float:
    """[MB] Highest resident memory of this process since `start_peak`."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
