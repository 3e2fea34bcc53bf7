"""The faults of the mutation check: what is changed, what is not, and that those set aside are still there."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """\
@njit(cache=True)
def f(x: int, y=3) -> float:
    \"\"\"Text 1.\"\"\"
    if x < 2 and not y:
        raise ValueError(x + 1)
    z = min(x, y) * -1.5
    z += 4  # no mutant: for the test
    return f"{z + 1}" if x else z[0]
"""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "mutation"))
    import engine_faults

    yield engine_faults
    sys.modules.pop("engine_faults")


def test_each_thing_that_computes_is_changed_once(faults, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    found = {(m.before, m.after) for m in faults.mutants_of(tmp_path / "code.py", tmp_path)}
    assert found == {
        ("x < 2 and not y", "(x < 2 or not y)"), ("x < 2", "(x <= 2)"), ("2", "(3)"), ("not y", "(y)"),
        ("min(x, y) * -1.5", "(min(x, y) / -1.5)"), ("min(x, y)", "(max(x, y))"), ("-1.5", "(1.5)"), ("1.5", "(2.5)"),
        ('f"{z + 1}" if x else z[0]', "(z[0] if x else f'{z + 1}')"), ("0", "(1)"),
    }  # fmt: skip


def test_a_draw_does_not_hang_on_what_stands_elsewhere(faults, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "a.py").write_text(CODE)
    few = faults.sample(tmp_path, count=99, seed=3)
    (folder / "a.py").write_text("def g(x):\n    return x + 1\n\n\n" + CODE)
    more = faults.sample(tmp_path, count=99, seed=3)
    assert [(m.name, m.before, m.nth) for m in more if m.name != "g"] == [
        (m.name, m.before, m.nth) for m in few
    ]
    assert [m.line for m in more if m.name != "g"] == [m.line + 4 for m in few]
    assert faults.sample(tmp_path, count=3, seed=3) == more[:3] != faults.sample(tmp_path, count=3, seed=4)


def test_what_is_set_aside_is_in_the_code_and_has_a_reason(faults) -> None:
    listed = tomllib.loads((ROOT / "tests" / "mutation" / "equivalent.toml").read_text("utf-8"))["fault"]
    for fault in listed:
        assert len(fault["why"]) > 20
        there = {(m.name, m.before, m.after, m.nth) for m in faults.mutants_of(ROOT / fault["file"], ROOT)}
        assert (fault["name"], fault["before"], fault["after"], fault.get("nth", 0)) in there, fault
    keys = [(f["file"], f["name"], f["before"], f["after"], f.get("nth", 0)) for f in listed]
    assert len(set(keys)) == len(keys)


def test_the_share_is_told_for_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "mutation"))
    import engine_mutants

    fault = {
        "file": "engine/a.py",
        "name": "f",
        "line": 1,
        "before": "1",
        "after": "(2)",
        "nth": 0,
        "ran": 2,
        "calling": 3,
    }
    looks = [("killed", 1), ("killed (time)", 2), ("survived", 2), ("uncalled", 1), ("equivalent", 1)]
    told = engine_mutants.table([fault | {"outcome": outcome, "look": look} for outcome, look in looks])
    assert told.splitlines()[-2:] == ["1 of 4 noticed by look 1: 25.0 %", "2 of 4 noticed by look 2: 50.0 %"]
    assert (
        engine_mutants.key_of(fault)
        == engine_mutants.key_of(fault | {"look": 1})
        != engine_mutants.key_of(fault | {"look": 2})
    )
    for name in ("engine_mutants", "engine_faults", "engine_watch"):
        sys.modules.pop(name)
