"""
Measure the reference workloads on us and on every installed peer, and write the table.

Each engine does each workload in a process of its own, one after the other on the same machine. Seconds are CPU
seconds of the whole process, so that other work on the machine matters little; a peer that does a sample of the origins
is scaled by their number, and marked. Every engine's figures are compared with ours for the same origins first::

    python -m tests.bench.peers_table BENCH.npz --peers-python PYTHON [--write docs/benchmarks-reach.md]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = ("scipy", "igraph", "networkit", "routingkit", "pandana", "cityseer")
OURS = ("proche", "proche-searches")
WORKLOADS = {
    "W1": "nearest place of 4 categories, 7,014 origins",
    "W2walk": "places within 5, 10 and 15 min on foot, 7,014 origins",
    "W2bike": "the same by bicycle",
    "W2walk11": "on foot, 48,951 origins",
    "W2bike11": "by bicycle, 48,951 origins",
    "W3": "vertices within 15 min of one origin, on foot",
    "W3polygon": "the outline of that, from the point to degrees",
    "W4": "one place added, all origins brought up to date",
}
MARK = "<!-- measured -->\n"
"""Everything below this line of the page is written anew."""


def run(
    python: str, engine: str, workload: str, bench: str, *, timeout: float, **env: str
) -> dict[str, Any] | None:
    """One measurement; None where the engine is not installed, cannot do the workload or takes too long."""
    command = [python, str(HERE / "peers_reach.py"), engine, workload, bench]
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"} | env
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=quiet, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None


def seconds(result: dict[str, Any]) -> float:
    """CPU seconds of the whole workload."""
    return float(result["work"][0] / result["share"] / result["runs"])


def agrees(result: dict[str, Any], ours: dict[str, Any]) -> str:
    """How the figures of an engine compare with ours for the same origins."""
    mine = ours["check"] if result["share"] == 1.0 else sample_of(result, ours)
    if mine is None or not mine or result["workload"] in ("W3", "W3polygon", "W4"):
        return "–"
    off = abs(result["check"] - mine) / mine
    return "equal" if off == 0 else f"{off:.2%}"


def sample_of(result: dict[str, Any], ours: dict[str, Any]) -> float | None:
    """Our figure for the sample that a peer did."""
    total = 48_951 if result["workload"].endswith("11") else 7_014
    samples = ours["samples"] or {}
    return next((check for n, check in samples.items() if round(result["share"] * total) == int(n)), None)


def measure(
    bench: str, peers_python: str, *, timeout: float = 1200.0
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every engine on every workload: workload → engine → figures."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for workload in WORKLOADS:
        peers = () if workload.endswith("11") else PEERS
        tasks = [(sys.executable, e) for e in OURS] + [(peers_python, e) for e in peers]
        results = {e: run(python, e, workload, bench, timeout=timeout) for python, e in tasks}
        found[workload] = {e: r for e, r in results.items() if r is not None}
        print(
            workload,
            {e: round(seconds(r), 5) for e, r in found[workload].items()},
            file=sys.stderr,
            flush=True,
        )
    return found


def starts(bench: str, *, timeout: float = 600.0) -> list[dict[str, Any]]:
    """First and second start: every kernel compiled into an empty folder, then loaded from it."""
    with tempfile.TemporaryDirectory() as kept:
        both = [
            run(sys.executable, "start", "W1", bench, timeout=timeout, NUMBA_CACHE_DIR=kept) for _ in range(2)
        ]
    return [one for one in both if one is not None]


def start_table(both: list[dict[str, Any]]) -> str:
    """Markdown: what a first and a second start pay."""
    rows = ["### Start", "", "| start | CPU, imports | CPU, kernels |", "|---|---|---|"]
    for name, one in zip(("first: compiled", "second: loaded"), both, strict=True):
        rows.append(f"| {name} | {told(one['prepare'][0])} | {told(one['work'][0])} |")
    return "\n".join(rows)


def table(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown: one section a workload."""
    parts = []
    for workload, engines in found.items():
        ours = engines.get("proche")
        if ours is None:
            continue
        rows = [f"### {workload[:2]}: {WORKLOADS[workload]}", ""]
        rows += [
            "| engine | version | CPU, preparation | CPU, work | of ours | figures |",
            "|---|---|---|---|---|---|",
        ]
        for name, r in engines.items():
            part = "" if r["share"] == 1.0 else f" (from {r['share']:.1%} of the origins)"
            ratio = "" if name == "proche" else f"{seconds(r) / seconds(ours):.1f} ×"
            same = "ours" if name == "proche" else agrees(r, ours)
            cells = (name, r["version"], told(r["prepare"][0]), told(seconds(r)) + part, ratio, same)
            rows.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def told(s: float) -> str:
    """Seconds in a unit that reads well."""
    return f"{s:.2f} s" if s >= 0.1 else f"{s * 1000:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    found = measure(args.bench, args.peers_python)
    text = f"{table(found)}\n\n{start_table(starts(args.bench))}"
    if args.write is None:
        print(text)
        return
    where = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    measured = (
        f"{MARK}\nMeasured on {os.cpu_count()} processors, {where}; `{Path(args.bench).name}`.\n\n{text}\n"
    )
    head = args.write.read_text().partition(MARK)[0] if args.write.exists() else ""
    args.write.write_text(head + measured)


if __name__ == "__main__":
    main()
