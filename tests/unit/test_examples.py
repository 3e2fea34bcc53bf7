"""The examples in the docstrings of the engine are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import engine

MODULES = sorted(part.name for part in pkgutil.walk_packages(engine.__path__, "engine.") if not part.ispkg)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    tried = sum(len(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name)))
    assert tried > 80
