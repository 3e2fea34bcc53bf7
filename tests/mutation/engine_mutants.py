"""
Mutation check of the engine: small faults put into a copy of the code, one at a time; the tests must notice each.

    python tests/mutation/engine_mutants.py --count 120 --seed 1 --out mutants.jsonl

Draws statements of engine/ at random (the same for the same seed and code), changes one operator, number, condition or
return in a copy, and runs the tests of that room until the first failure. Prints every survivor with its line, and the
share that was noticed. A mutant whose tests run beyond the time limit counts as noticed (an endless loop).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("geopandas", "h3", "igraph", "networkx", "numba", "osmium", "osmnx", "pyarrow", "pydantic",
             "rasterio", "scipy.optimize", "sklearn.cluster")  # fmt: skip
"""Loaded once: nothing of these is changed."""
COPIED = ("engine", "pipelines", "ui", "tests", "configs", "pyproject.toml", "app.py")

TESTS = {
    "engine/network": ("unit/test_network_*.py", "property/test_network_laws.py", "unit/test_route.py"),
    "engine/places": ("unit/test_places*.py", "unit/test_green*.py", "unit/test_categories.py",
                      "property/test_places_laws.py"),
    "engine/reach": ("unit/test_reach_*.py", "unit/test_isochrone*.py", "property/test_reach_laws.py",
                     "differential/test_reach_*.py", "unit/test_proposals*.py"),
    "engine/sites": ("unit/test_sites*.py", "property/test_sites*.py"),
    "engine/proposals": ("unit/test_proposal*.py", "property/test_proposal*.py", "pipeline/test_proposal*.py",
                         "pipeline/test_compare*.py"),
    "engine/cells": ("unit/test_cells.py", "differential/test_reach_cells.py", "property/test_reach_laws.py"),
    "engine/scoring": ("unit/test_scoring*.py", "property/test_scoring_laws.py"),
    "engine/sensitivity": ("unit/test_scoring_sensitivity.py",),
    "engine/published": ("unit/test_scoring_published.py",),
    "engine/projection": ("unit/test_network_geodesy.py", "unit/test_cells.py", "unit/test_snapping.py",
                          "unit/test_green.py", "unit/test_population.py"),
    "engine/osm_extract": ("unit/test_osm_file.py",),
    "engine/typology": ("unit/test_gaps_typology.py",),
    "engine/explain": ("unit/test_explain.py", "pipeline/test_explain.py"),
    "engine/fix": ("unit/test_explain.py", "pipeline/test_explain.py"),
    "engine/surroundings": ("unit/test_explain.py", "pipeline/test_explain.py"),
}  # fmt: skip
"""Tests of a room; for a module that is not named, those that are named after it."""


@dataclass(frozen=True)
class Mutant:
    """One fault: the text between two offsets of a file, replaced."""

    file: str
    line: int
    start: int
    stop: int
    before: str
    after: str


_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.Pow: ast.Mult,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
          "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin"}  # fmt: skip


def changed(node: ast.AST) -> ast.AST | None:
    """A node with one fault, or None where there is nothing to change."""
    twin = deepcopy(node)
    match twin:
        case ast.Compare(ops=[op, *_]) if type(op) in _COMPARE:
            twin.ops[0] = _COMPARE[type(op)]()
        case ast.BinOp(op=op) if type(op) in _BINARY and not isinstance(
            twin.left, ast.Constant | ast.JoinedStr
        ):
            twin.op = _BINARY[type(op)]()
        case ast.BoolOp(op=ast.And()):
            twin.op = ast.Or()
        case ast.BoolOp(op=ast.Or()):
            twin.op = ast.And()
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            twin.value = not value
        case ast.Constant(value=int(value) | float(value)):
            twin.value = value + 1
        case ast.IfExp():
            twin.body, twin.orelse = twin.orelse, twin.body
        case ast.Call(func=ast.Name(id=name) as func) if name in _CALLS:
            func.id = _CALLS[name]
        case ast.Call(func=ast.Attribute(attr=name) as func) if name in _CALLS:
            func.attr = _CALLS[name]
        case _:
            return None
    return twin


def computing(tree: ast.Module) -> Iterator[ast.AST]:
    """Expressions inside functions that compute: no annotations, decorators, docstrings, defaults or messages."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        out: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef):
            out = [node.args, node.returns, *node.decorator_list]
        elif isinstance(node, ast.AnnAssign):
            out = [node.annotation]
        elif isinstance(node, ast.Raise | ast.JoinedStr | ast.Subscript | ast.Assert):
            kept = isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Tuple | ast.Name)
            out = [] if kept else [node] if not isinstance(node, ast.Subscript) else []
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "msg" for t in node.targets
        ):
            out = [node]
        for part in out:
            skipped |= {id(n) for n in ast.walk(part)} if part is not None else set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and id(function) not in skipped:
            for statement in function.body:
                yield from (n for n in ast.walk(statement) if id(n) not in skipped)


def mutants_of(path: Path) -> list[Mutant]:
    """Every fault that can be put into a file."""
    text = path.read_text("utf-8")
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, seen = [], set()
    raw = text.encode()
    for node in computing(ast.parse(text)):
        twin = changed(node) if isinstance(node, ast.expr) else None
        if twin is None or not isinstance(node, ast.expr):
            continue
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before, after = raw[start:stop].decode(), f"({ast.unparse(twin)})"
        if (start, stop) not in seen and ast.unparse(node) != ast.unparse(twin):
            seen.add((start, stop))
            found.append(Mutant(path.relative_to(ROOT).as_posix(), node.lineno, start, stop, before, after))
    return found


def sample(count: int, seed: int) -> list[Mutant]:
    """Faults all over the engine, as many in a file as its length asks for."""
    every = [m for path in sorted((ROOT / "engine").rglob("*.py")) for m in mutants_of(path)]
    return sorted(random.Random(seed).sample(every, min(count, len(every))), key=lambda m: (m.file, m.start))


def tests_of(file: str, root: Path) -> list[str]:
    """Test files that look at a module: named after it first, then those of its room."""
    stem = Path(file).stem
    room = next((r for r in TESTS if file.startswith(f"{r}/") or file == f"{r}.py"), None)
    patterns = [f"*/test_{stem}*.py", f"*/test_*_{stem}.py", *(TESTS[room] if room else ())]
    found: dict[str, None] = {}
    for pattern in patterns:
        for path in sorted((root / "tests").glob(pattern)):
            if path.parent.name not in ("bench", "e2e", "app", "mutation"):
                found[path.relative_to(root).as_posix()] = None
    return list(found)


@cache
def passes(tests: tuple[str, ...], root: Path) -> bool:
    """Whether the tests pass on the code as it is; else a mutant's failure would mean nothing."""
    if tests and ended(tests, root, seconds=None) == 0:
        return True
    told = (root.parent / "pytest.txt").read_text("utf-8")[-1500:] if tests else "there are none"
    print(f"these tests say nothing: {' '.join(tests)}\n{told}", flush=True)
    return False


def ended(tests: tuple[str, ...], root: Path, *, seconds: float | None) -> int:
    """Run some tests up to the first failure, in a fork that has the libraries loaded already; pytest's exit code."""
    child = os.fork()
    if child == 0:
        with (root.parent / "pytest.txt").open("w") as told:
            os.dup2(told.fileno(), 1)
            os.dup2(told.fileno(), 2)
        os.chdir(root)
        sys.path[:] = [str(root), *(p for p in sys.path if p not in (str(ROOT), str(Path(__file__).parent)))]
        os.environ |= {"PROCHE_WARM": "off", "NUMBA_CACHE_DIR": str(root / "kernels")}
        os._exit(int(pytest.main(["-n", "0", "-x", "-q", "-p", "no:cacheprovider", *tests])))
    begun = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if seconds is not None and time.monotonic() - begun > seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError
        time.sleep(0.05)
    code = os.waitstatus_to_exitcode(status)
    if code > 3:
        raise SystemExit(f"pytest ended with {code}:\n{(root.parent / 'pytest.txt').read_text()[-2000:]}")
    return code


def outcome(mutant: Mutant, root: Path, *, seconds: float) -> str:
    """``killed``, ``killed (time)``, ``survived``, or ``untested`` where the tests fail anyway or there are none."""
    tests = tuple(tests_of(mutant.file, root))
    if not passes(tests, root):
        return "untested"
    path = root / mutant.file
    whole = path.read_bytes()
    path.write_bytes(whole[: mutant.start] + mutant.after.encode() + whole[mutant.stop :])
    try:
        return "survived" if ended(tests, root, seconds=seconds) == 0 else "killed"
    except TimeoutError:
        return "killed (time)"
    finally:
        path.write_bytes(whole)


def main() -> None:
    """Try the mutants and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600, help="time limit of one mutant's tests")
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument("--skip", default="-", help="files whose path begins so are left out")
    parser.add_argument(
        "--out", type=Path, help="a line of JSON for each mutant; known ones are not tried again"
    )
    args = parser.parse_args()
    for library in LIBRARIES:
        importlib.import_module(library)
    chosen = [
        m
        for m in sample(args.count, args.seed)
        if m.file.startswith(args.only) and not m.file.startswith(args.skip)
    ]
    known = {}
    if args.out and args.out.exists():
        rows = (json.loads(line) for line in args.out.read_text("utf-8").splitlines())
        known = {
            (r["file"], r["start"], r["after"]): r["outcome"] for r in rows if r["outcome"] != "untested"
        }
    with TemporaryDirectory(prefix="proche-mutants-") as name:
        root = Path(name) / "proche"
        root.mkdir()
        for part in COPIED:
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, root / part)
        shared = ROOT.parent / "shared"
        if shared.exists():
            (root.parent / "shared").symlink_to(shared)
        results = [tried(m, root, known, args) for m in chosen]
    tested = [r for r in results if r != "untested"]
    killed = sum(r.startswith("killed") for r in tested)
    print(f"{killed} of {len(tested)} mutants noticed ({100 * killed / max(len(tested), 1):.0f} %), "
          f"{len(results) - len(tested)} not tested")  # fmt: skip


def tried(
    mutant: Mutant, root: Path, known: dict[tuple[str, int, str], str], args: argparse.Namespace
) -> str:
    """The outcome of one mutant, told as it comes."""
    key = (mutant.file, mutant.start, mutant.after)
    start = time.monotonic()
    result = known.get(key) or outcome(mutant, root, seconds=args.seconds)
    if args.out and key not in known:
        with args.out.open("a", encoding="utf-8") as log:
            log.write(json.dumps({**asdict(mutant), "outcome": result}) + "\n")
    print(f"{result:14} {mutant.file}:{mutant.line}  {mutant.before!r} → {mutant.after!r}  "
          f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
    return result


if __name__ == "__main__":
    main()
