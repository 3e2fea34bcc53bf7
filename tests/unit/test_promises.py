"""What the documentation says is tested is tested: every test that it names is there, and so is every option of one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"tests/[\w/-]+\.py(?:::\w+)*")


def contents(file: Path) -> set[str]:
    """Names of the tests of a file, those in classes after their class."""
    tree = ast.parse(file.read_text("utf-8"))
    classes = [(f"{c.name}::", c.body) for c in tree.body if isinstance(c, ast.ClassDef)]
    return {
        before + f.name
        for before, body in [("", tree.body), *classes]
        for f in body
        if isinstance(f, ast.FunctionDef) and f.name.startswith("test_")
    }


def test_the_pages_name_tests() -> None:
    assert sum(len(NAMED.findall(p.read_text("utf-8"))) for p in PAGES) > 80


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    faults = []
    for name in NAMED.findall(page.read_text("utf-8")):
        file, _, test = name.partition("::")
        there = (ROOT / file).is_file()
        if not there or (test and test not in contents(ROOT / file)):
            faults.append(name)
    assert faults == []


@pytest.mark.parametrize("page", ["docs/promises.md", "SECURITY.md"])
def test_each_promise_names_the_test_itself(page: str) -> None:
    promises = [
        line.strip("| ").split(" | ")
        for line in (ROOT / page).read_text("utf-8").splitlines()
        if line.startswith("|") and "tests/" in line
    ]
    assert len(promises) > 10
    for cells in promises:
        named = NAMED.findall(cells[-1])
        assert named, cells[0]
        assert all("::" in name for name in named), f"{cells[0]}: which test of the file?"
        for option in re.findall(r"PROCHE_\w+(?==)", cells[-1]):
            files = {name.partition("::")[0] for name in named}
            assert any(option in (ROOT / file).read_text("utf-8") for file in files), (
                f"{option}: no such option"
            )
