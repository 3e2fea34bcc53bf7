"""
Mutation check of the engine: small faults put into a copy of the code, one at a time; the tests must notice each.

    python tests/mutation/engine_mutants.py --count 140 --seed 1

1. The code is copied into ``--work``; nothing is changed where it came from.
2. Once, the TESTS run with the profiler, which says which functions each test calls, kernels included. A test that
   fails or skips on the code as it is says nothing and is left out.
3. Faults are drawn (see engine_faults.py); each is put into the copy, and the tests that call its function run, those
   named after its module and then the cheap and narrow ones first, to the first failure, within ``--budget`` seconds
   of computing. Compiled kernels that the fault may touch are compiled anew. Hypothesis tries the same examples.
   What survives is looked at a second time, with every test that calls the function (unless ``--looks 1``).
4. ``killed``: a test failed, or the code could not be imported. ``killed (time)``: the tests computed for more than
   ``--seconds`` beyond three times what they need: an endless loop. ``survived``: they passed. ``uncalled``: no test
   calls the function; it counts as survived.
5. A fault that changes nothing anyone can see is listed in ``equivalent.toml`` with the reason, and is not counted.
6. Every test that killed runs once more on the code as it is: if one fails there, its kills are withdrawn.

It ends with a table of rooms, the survivors, and the share that was noticed at the first look and at both. What is
known from an earlier run is not tried again: a kill as long as its file and the test that noticed it stay, a survivor
as long as all tests do.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numba
import pytest
from engine_faults import Mutant, sample
from engine_watch import WRITTEN, Chosen, Watch
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("unit/test_*.py", "property/test_*.py", "differential/test_*.py", "pipeline/test_compare.py",
         "pipeline/test_explain.py", "pipeline/test_hand_solved.py", "pipeline/test_measures.py",
         "pipeline/test_opportunity_keys.py", "pipeline/test_site_keys.py")  # fmt: skip
NOT_ABOUT_IT = ("unit/test_dependencies.py",)
LIBRARIES = ("geopandas", "h3", "igraph", "networkx", "osmium", "osmnx", "pyarrow", "pydantic",
             "rasterio", "scipy.optimize", "sklearn.cluster")  # fmt: skip
"""Loaded once: nothing of these is changed."""
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
GROUP = 6
"""Test files whose calls are noted in one process; what is noted is kept after each."""
MISSED = ("survived", "uncalled")
PINNED = ("engine/reach/compiled.py", "engine/proposals/compiled.py")
"""These compile every kernel of their room anew when any file of it changes; here only what a fault can touch."""


class Copy:
    """A copy of the code that may be changed, with the compiled kernels that belong to it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.root = work / "proche"
        self.kernels = work / "kernels"
        self.scratch = work / "kernels-of-mutant"
        self.told = work / "told"
        self.said = work / "pytest.txt"
        self.changes = 0
        self.written = 0

    def make(self) -> None:
        """Copy what git knows or would know, and keep the compiled kernels if they are of this engine."""
        shutil.rmtree(self.root, ignore_errors=True)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        (self.root / "cache").mkdir(exist_ok=True)
        shared = ROOT.parent / "shared"
        if shared.exists() and not (self.work / "shared").exists():
            (self.work / "shared").symlink_to(shared)
        digest = digest_of(self.root / "engine")
        for name in PINNED:
            path, stamp = self.root / name, (self.root / name).stat()
            path.write_text(f'{path.read_text("utf-8")}\n_SOURCES = "{digest}"\n', "utf-8")
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        of = self.work / "kernels-of"
        if not of.exists() or of.read_text("utf-8") != digest:
            shutil.rmtree(self.kernels, ignore_errors=True)
            of.write_text(digest, "utf-8")
        self.kernels.mkdir(exist_ok=True)

    def changed(self, mutant: Mutant, touched: set[str]) -> bytes:
        """Put a fault in; the kernels that it touches are missing from the scratch folder. Gives what to put back."""
        path = self.root / mutant.file
        whole, self.written = path.read_bytes(), path.stat().st_mtime_ns
        path.write_bytes(whole[: mutant.start] + mutant.after.encode() + whole[mutant.stop :])
        self.changes += 1  # two faults of one second and length must not pass for one another
        os.utime(path, (time.time(), time.time() + 10 * self.changes))
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self.kernels, self.scratch, copy_function=os.link)
        gone = tuple(f"{Path(file).stem}.{name}-" for file, name in (t.rsplit(":", 1) for t in touched))
        for kept in self.scratch.rglob("*.nb[ic]"):
            if kept.name.startswith(gone):
                kept.unlink()
        return whole

    def restore(self, mutant: Mutant, whole: bytes) -> None:
        """Take the fault out."""
        path = self.root / mutant.file
        path.write_bytes(whole)
        os.utime(path, ns=(self.written, self.written))

    def pytest(
        self, plugin: object, files: list[str], *, kernels: Path, seconds: float | None, first: bool
    ) -> int:
        """
        Run tests in a fork that has the libraries loaded already; pytest's exit code.

        Raises
        ------
        TimeoutError
            After `seconds` of computing, or thirty times that by the clock.
        """
        child = os.fork()
        if child == 0:
            os.setsid()
            with self.said.open("w") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            os.chdir(self.root)
            here = (str(ROOT), str(Path(__file__).parent), "")
            sys.path[:] = [str(self.root), *(p for p in sys.path if p not in here)]
            os.environ |= {
                "PROCHE_WARM": "off",
                "NUMBA_CACHE_DIR": str(kernels),
                "PYTHONPATH": str(self.root),
            }
            numba.core.config.CACHE_DIR = str(kernels)
            # A process that a test spawns imports the main module first: it shall find pytest, not this file
            sys.modules["__main__"] = importlib.import_module("pytest.__main__")
            stop = ["-x"] if first else []
            os._exit(int(pytest.main(
                ["-n", "0", "-q", "--tb=line", "-p", "no:cacheprovider", *stop, *files], plugins=[plugin]
            )))  # fmt: skip
        begun = time.monotonic()
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if seconds and (computed(child) > seconds or time.monotonic() - begun > 30 * seconds):
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise TimeoutError
            time.sleep(0.05)
        code = os.waitstatus_to_exitcode(status)
        if code in (3, 4, 5):
            raise SystemExit(f"pytest ended with {code}:\n{self.said.read_text()[-2000:]}")
        return code


def computed(process: int) -> float:
    """[s] What a process and its ended children have computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def digest_of(*places: Path) -> str:
    """SHA-256 of Python files."""
    files = sorted(p for place in places for p in (place.rglob("*.py") if place.is_dir() else [place]))
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()


def mapped(copy: Copy) -> dict[str, Any]:
    """
    Which functions each test calls, and what it takes; noted anew where the test file or what it shares has changed.

    What is noted may miss a call that changed code makes since: then fewer tests are tried, and no kill is claimed.
    """
    kept = copy.work / "map.json"
    known = (
        json.loads(kept.read_text("utf-8")) if kept.exists() else {"engine": "", "kernels": {}, "files": {}}
    )
    common = digest_of(*(copy.root / "tests").glob("*.py"))
    files = {
        p.relative_to(copy.root).as_posix(): common + digest_of(p)
        for pattern in TESTS for p in sorted((copy.root / "tests").glob(pattern))
        if not p.as_posix().endswith(NOT_ABOUT_IT)
    }  # fmt: skip
    engine = digest_of(copy.root / "engine")
    noted = known["files"]
    new = [f for f, digest in files.items() if f not in noted or noted[f]["digest"] != digest]
    if not new and known["engine"] != engine:
        new = [next(iter(files))]  # for the calls between kernels
    if new:
        print(f"which functions {len(new)} test files call: this takes a while", flush=True)
    for begin in range(0, len(new), GROUP):
        some = new[begin : begin + GROUP]
        copy.pytest(Watch(copy.root, copy.told), some, kernels=copy.kernels, seconds=None, first=False)
        found = json.loads(copy.told.read_text("utf-8"))
        for file in some:
            tests = {t: v for t, v in found["tests"].items() if t.split("::", 1)[0] == file}
            noted[file] = {"digest": files[file], "tests": tests}
        for test in found["failed"]:
            print(f"left out, it does not pass on the code as it is: {test}", flush=True)
        known |= {"engine": engine, "kernels": found["kernels"]}
        kept.write_text(json.dumps(known), "utf-8")
    known["files"] = {f: noted[f] for f in files}
    kept.write_text(json.dumps(known), "utf-8")
    tests = {t: v for f in known["files"].values() for t, v in f["tests"].items()}
    return {"tests": tests, "kernels": {k: set(c) for k, c in known["kernels"].items()}, "files": files}


def tests_of(function: str, tests: dict[str, Any], *, budget: float) -> tuple[list[str], float, int]:
    """Tests that call a function, best first and within the budget, what they take [s], and how many call it."""
    calling = {t: v for t, v in tests.items() if function in v["functions"]}
    chosen: list[str] = []
    paid: dict[str, float] = {}
    spent = 0.0

    subject = set(Path(function.rsplit(":", 1)[0]).with_suffix("").parts)
    subject |= {word for part in subject for word in part.split("_")}

    def promise(test: str) -> tuple[int, float, str]:
        """Tests named after the module come first; a test says more the cheaper and narrower it is."""
        words = Path(test.split("::", 1)[0]).stem.split("_")
        seconds = tests[test]["seconds"] + sum(tests[test]["fixtures"].values())
        return -len(subject.intersection(words)), (seconds + 0.02) * len(tests[test]["functions"]), test

    cheapest = min(
        calling, key=lambda t: calling[t]["seconds"] + sum(calling[t]["fixtures"].values()), default=""
    )
    for test in sorted(calling, key=promise):
        fixtures = {f: s for f, s in tests[test]["fixtures"].items() if f not in paid}
        cost = tests[test]["seconds"] + sum(fixtures.values())
        if spent + cost > max(budget, cost if test == cheapest else 0.0):
            continue
        chosen.append(test)
        paid |= fixtures
        spent += cost
    return chosen, spent, len(calling)


def touched(function: str, kernels: dict[str, set[str]]) -> set[str]:
    """
    Kernels whose compiled code holds that of a function: itself and whatever calls it.

    Python that runs while kernels are compiled stands in files of intrinsics: it may be in any of theirs.
    """
    written = {k for k, called in kernels.items() if ":".join(WRITTEN) in called}
    found = {function} | {k for k in written if k.split(":", 1)[0] == function.split(":", 1)[0]}
    while more := {k for k, called in kernels.items() if called & found} - found:
        found |= more
    return found


def tried(mutant: Mutant, copy: Copy, chosen: list[str], need: float, kernels: dict[str, set[str]],
          seconds: float) -> tuple[str, str]:  # fmt: skip
    """The outcome of one fault, and the test that failed."""
    if not chosen:
        return "uncalled", ""
    copy.told.unlink(missing_ok=True)
    whole = copy.changed(mutant, touched(f"{mutant.file}:{mutant.name}", kernels))
    files = list(dict.fromkeys(t.split("::", 1)[0] for t in chosen))
    try:
        code = copy.pytest(
            Chosen(chosen, copy.told), files, kernels=copy.scratch, seconds=seconds + 3 * need, first=True
        )
    except TimeoutError:
        return "killed (time)", ""
    finally:
        copy.restore(mutant, whole)
    if code == 0:
        return "survived", ""
    if code < 0:
        return "killed", f"signal {-code}"
    return "killed", copy.told.read_text("utf-8") if copy.told.exists() else "import"


def told(mutant: Mutant, known: dict[Any, Any], copy: Copy, found: dict[str, Any], args: argparse.Namespace,
         look: int) -> dict[str, Any]:  # fmt: skip
    """Give what is known of a fault at one look; try it if nothing is, or what it rests on has changed."""
    why = equivalents().get((mutant.file, mutant.name, mutant.before, mutant.after, mutant.nth))
    if why is not None:
        return asdict(mutant) | {"outcome": "equivalent", "killer": "", "ran": 0, "calling": 0, "look": look}
    budget = args.budget if look == 1 else math.inf
    chosen, need, calling = tests_of(f"{mutant.file}:{mutant.name}", found["tests"], budget=budget)
    row = known.get(key_of(asdict(mutant) | {"look": look}))
    if row is not None and row["state"] == state_of(row, chosen, found["files"], copy):
        return row | asdict(mutant)
    begun = time.monotonic()
    outcome, killer = tried(mutant, copy, chosen, need, found["kernels"], args.seconds)
    print(f"{outcome:14} {mutant.file}:{mutant.line} {mutant.before!r} → {mutant.after!r} look {look}, "
          f"{time.monotonic() - begun:.0f} s, {need:.0f} s of {len(chosen)} tests, {killer}", flush=True)  # fmt: skip
    row = asdict(mutant) | {"outcome": outcome, "killer": killer, "ran": len(chosen), "calling": calling}
    row |= {"look": look, "state": state_of(row, chosen, found["files"], copy)}
    with (args.work / f"seed-{args.seed}.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")
    return row


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one fault, and one look at it, from others."""
    return *(row[k] for k in ("file", "name", "before", "after", "nth")), row.get("look", 1)


@cache
def equivalents() -> dict[tuple[str, str, str, str, int], str]:
    """Faults that nobody can notice, and why."""
    listed = tomllib.loads(EQUIVALENT.read_text("utf-8")).get("fault", [])
    return {(m["file"], m["name"], m["before"], m["after"], m.get("nth", 0)): m["why"] for m in listed}


def state_of(row: dict[str, Any], chosen: list[str], files: dict[str, str], copy: Copy) -> str:
    """What an outcome rests on: the changed file, and the test that failed or else all those that did not."""
    tests = chosen if not row["outcome"].startswith("killed") else [t for t in (row["killer"],) if "::" in t]
    parts = {f: files.get(f, "") for f in (t.split("::", 1)[0] for t in tests)}
    told = [digest_of(copy.root / row["file"]), *tests, *(parts[f] for f in sorted(parts))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def withdrawn(killers: set[str], copy: Copy) -> set[str]:
    """Tests among those that killed which fail on the code as it is, run in such an order."""
    left = sorted(k for k in killers if "::" in k)
    failing: set[str] = set()
    while left:
        copy.told.unlink(missing_ok=True)
        files = list(dict.fromkeys(t.split("::", 1)[0] for t in left))
        if copy.pytest(Chosen(left, copy.told), files, kernels=copy.kernels, seconds=None, first=True) == 0:
            break
        failing.add(copy.told.read_text("utf-8"))
        left = [t for t in left if t not in failing]
    return failing


def table(results: list[dict[str, Any]]) -> str:
    """The outcomes of each room, the survivors, and the share that was noticed."""
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for r in results:
        parts = r["file"].split("/")
        rooms["/".join(parts[:2]) if len(parts) > 2 else "engine/*.py"][r["outcome"]] += 1
    kinds = ("killed", "killed (time)", "survived", "uncalled", "equivalent")
    lines = [f"{'room':20}" + "".join(f"{k:>15}" for k in kinds)]
    total: Counter[str] = Counter()
    for room, counts in sorted(rooms.items()):
        lines.append(f"{room:20}" + "".join(f"{counts[k]:15}" for k in kinds))
        total += counts
    lines.append(f"{'all':20}" + "".join(f"{total[k]:15}" for k in kinds))
    lines += [
        f"{r['outcome']}: {r['file']}:{r['line']} {r['name']}: {r['before']!r} → {r['after']!r}"
        f" ({r['ran']} of {r['calling']} tests)"
        for r in results
        if r["outcome"] in MISSED
    ]
    counted = len(results) - total["equivalent"]
    for look in sorted({r["look"] for r in results}):
        noticed = sum(r["outcome"].startswith("killed") and r["look"] <= look for r in results)
        lines.append(
            f"{noticed} of {counted} noticed by look {look}: {100 * noticed / max(counted, 1):.1f} %"
        )
    return "\n".join(lines)


def main() -> None:
    """Try the faults and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=140)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--budget", type=float, default=25, help="[s] of tests for one fault, at the first look"
    )
    parser.add_argument(
        "--looks", type=int, default=2, choices=(1, 2), help="2: survivors once more, all tests"
    )
    parser.add_argument(
        "--seconds", type=float, default=45, help="[s] of computing beyond 3 × what tests need"
    )
    parser.add_argument(
        "--part", default="1/1", help="2/3: the second of three parts, each with its own --work"
    )
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "cache" / "mutants", help="where the copy is made"
    )
    args = parser.parse_args()
    for library in LIBRARIES:
        importlib.import_module(library)
    part, parts = map(int, args.part.split("/"))
    args.work.mkdir(parents=True, exist_ok=True)
    only = FileLock(args.work / "lock", timeout=0)  # one at a time: they would change the same copy
    only.acquire()
    copy = Copy(args.work.resolve())
    copy.make()
    found = mapped(copy)
    log = args.work / f"seed-{args.seed}.jsonl"
    known = {}
    if log.exists():
        for row in map(json.loads, log.read_text("utf-8").splitlines()):
            known[key_of(row)] = {"look": 1} | row
    results = []
    try:
        for m in sample(copy.root, count=args.count, seed=args.seed)[part - 1 :: parts]:
            if m.file.startswith(args.only):
                for look in range(1, args.looks + 1):
                    row = told(m, known, copy, found, args, look)
                    if row["outcome"] not in MISSED or row["ran"] == row["calling"]:
                        break
                results.append(row)
    except KeyboardInterrupt:
        print(f"interrupted after {len(results)}; the same command goes on from here", flush=True)
    results.sort(key=lambda r: (r["file"], r["start"], r["after"]))
    bad = withdrawn({r["killer"] for r in results}, copy)
    for r in results:
        if r["killer"] in bad:
            print(f"withdrawn: {r['killer']} fails on the code as it is")
            r["outcome"] = "survived"
    print(table(results))


if __name__ == "__main__":
    main()
