"""
Pytest plugins of the mutation check: one notes which functions of engine/ each test calls, one runs chosen tests.

Compiled kernels are seen as well: numba reports the call of a kernel to the profiler as Python does, and the kernels
that it calls in turn are read from its names.
"""

from __future__ import annotations

import cProfile
import importlib
import json
import os
import pkgutil
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest
from numba.core.extending import _Intrinsic

Function = tuple[str, str]
"""A file of engine/ and the name of a function, with those around it."""
WRITTEN: Function = ("", "machine code")


def steady() -> None:
    """Make property tests try the same examples each time, and end at the first failure instead of simplifying it."""
    from hypothesis import Phase, settings  # not before pytest has begun: it wants to rewrite it

    settings.register_profile(
        "mutants",
        parent=settings.default,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("mutants")


class Chosen:
    """Run the tests that are named, in the order in which they are, and keep the name of the first that fails."""

    def __init__(self, tests: list[str], told: Path) -> None:
        self.place = {name: i for i, name in enumerate(tests)}
        self.told = told

    def pytest_sessionstart(self) -> None:
        steady()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda i: self.place[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.told.write_text(report.nodeid, "utf-8")


class Watch:
    """Note the functions of engine/ that each test calls, what it takes, and whether it passes."""

    def __init__(self, root: Path, told: Path) -> None:
        self.engine = f"{root / 'engine'}{os.sep}"
        self.root = root
        self.told = told
        self.called: dict[str, set[Function]] = defaultdict(set)
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        self.fixtures: dict[str, list[str]] = {}
        self.owners: list[str] = []
        self.begun = 0.0
        self.profile = cProfile.Profile(subcalls=False, builtins=False)
        self.elsewhere: set[CodeType] = set()

    def function(self, code: CodeType) -> Function | None:
        """Give the function of engine/ that some code belongs to."""
        if not code.co_filename.startswith(self.engine):
            return None
        name = code.co_qualname.replace(".<locals>", "").split(".<", 1)[0]
        return os.path.relpath(code.co_filename, self.root), name

    def _in_thread(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.elsewhere.add(frame.f_code)

    def _harvest(self) -> None:
        """Give what was seen since the last time to the test, or wider fixture, that is at work."""
        self.profile.disable()
        codes = {e.code for e in self.profile.getstats() if not isinstance(e.code, str)} | self.elsewhere
        self.profile.clear()
        self.elsewhere.clear()
        now = sum(os.times()[:4])
        if self.owners:
            self.called[self.owners[-1]] |= {f for c in codes if (f := self.function(c))}
            self.seconds[self.owners[-1]] += now - self.begun
        self.begun = now
        threading.setprofile(self._in_thread)
        self.profile.enable()

    def pytest_sessionstart(self) -> None:
        steady()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for name, module in list(sys.modules.items()):
            if name.startswith(("engine", "pipelines")):
                _forget(module)
        wide = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 (pytest has no public name for it)
        self.fixtures[item.nodeid] = [
            _fixture(d) for defs in wide.values() for d in defs[-1:] if d.scope != "function"
        ]
        self._harvest()
        self.owners.append(item.nodeid)
        try:
            return (yield)
        finally:
            self._harvest()
            self.owners.pop()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        self._harvest()
        self.owners.append(_fixture(fixturedef))
        try:
            return (yield)
        finally:
            self._harvest()
            self.owners.pop()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:  # skipped ones say nothing either
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.profile.disable()
        threading.setprofile(None)
        import engine  # the copy's

        for part in pkgutil.walk_packages(engine.__path__, "engine."):
            importlib.import_module(part.name)
        within = calls(self)
        tests = {}
        for test, fixtures in self.fixtures.items():
            if test in self.failed:
                continue
            seen = set(self.called[test]).union(*(self.called[f] for f in fixtures))
            todo = list(seen)
            while todo:
                more = within.get(todo.pop(), set()) - seen
                seen |= more
                todo += more
            tests[test] = {
                "seconds": round(self.seconds[test], 3),
                "fixtures": {f: round(self.seconds[f], 3) for f in fixtures},
                "functions": sorted(f"{file}:{name}" for file, name in seen),
            }
        kernels = {f"{f[0]}:{f[1]}": sorted(f"{a}:{b}" for a, b in c) for f, c in within.items()}
        self.told.write_text(
            json.dumps({"tests": tests, "failed": sorted(self.failed), "kernels": kernels}), "utf-8"
        )


def _fixture(fixturedef: Any) -> str:
    return f"fixture {fixturedef.baseid}::{fixturedef.argname}"


def _forget(module: ModuleType) -> None:
    """Empty the caches of a module's functions, so that a test computes what an earlier one did."""
    for value in list(vars(module).values()):
        clear = getattr(value, "cache_clear", None)
        if callable(clear) and getattr(value, "__module__", None) == module.__name__:
            clear()


def calls(watch: Watch) -> dict[Function, set[Function]]:
    """Give for each compiled kernel those that it calls by name; what writes machine code calls `WRITTEN`."""
    found: dict[Function, set[Function]] = {}
    for name, module in list(sys.modules.items()):
        if not name.startswith("engine"):
            continue
        for value in list(vars(module).values()):
            compiled = _source(value)
            here = watch.function(compiled.__code__) if compiled is not None else None
            if here is None:
                continue
            if not hasattr(value, "py_func"):
                found[here] = {WRITTEN}
                continue
            known = compiled.__globals__
            named = [known.get(n) for n in compiled.__code__.co_names]
            named += [
                getattr(m, n, None)
                for m in named
                if isinstance(m, ModuleType)
                for n in compiled.__code__.co_names
            ]
            there = map(_source, named)
            found[here] = {f for v in there if v is not None and (f := watch.function(v.__code__))}
    return found


def _source(value: Any) -> Any:
    """Give the Python function behind a kernel or an intrinsic."""
    return getattr(value, "py_func", None) or (value._defn if isinstance(value, _Intrinsic) else None)
