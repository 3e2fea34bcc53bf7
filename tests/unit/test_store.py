"""Artifacts are whole, verified, and built once."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from pipelines.errors import ArtifactError
from pipelines.progress import Progress
from pipelines.steps import context
from pipelines.steps.context import Context
from pipelines.store import RECORD, Store, digest_of, write_atomic


def builder(text: str, log: list[str] | None = None):
    def build(folder: Path) -> dict[str, int]:
        if log is not None:
            log.append(text)
        (folder / "a.txt").write_text(text)
        (folder / "b.txt").write_text(text * 2)
        return {"letters": len(text)}

    return build


def test_a_second_request_builds_nothing(tmp_path: Path) -> None:
    store, log = Store(tmp_path), []
    first, built = store.make("step", "k" * 40, builder("one", log))
    again, rebuilt = store.make("step", "k" * 40, builder("two", log))
    assert (built, rebuilt, log) == (True, False, ["one"])
    assert again.file("a.txt").read_text() == "one"
    assert first.info == again.info == {"letters": 3}


def test_force_builds_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make("step", "k", builder("one"))
    artifact, built = store.make("step", "k", builder("two"), force=True)
    assert built
    assert artifact.file("a.txt").read_text() == "two"


@pytest.mark.parametrize("harm", ["change", "truncate", "remove", "record", "foreign", "garbage"])
def test_a_damaged_artifact_is_named_and_made_anew(tmp_path: Path, harm: str) -> None:
    store = Store(tmp_path)
    artifact, _ = store.make("step", "k", builder("good"))
    target = artifact.path / "a.txt"
    if harm == "change":
        target.write_text("gooD")
    elif harm == "truncate":
        target.write_text("go")
    elif harm == "remove":
        target.unlink()
    elif harm == "record":
        (artifact.path / RECORD).unlink()
    elif harm == "foreign":
        text = (artifact.path / RECORD).read_text().replace('"step": "step"', '"step": "other"')
        (artifact.path / RECORD).write_text(text)
    else:
        (artifact.path / RECORD).write_bytes(b"\xff\x00{")
    assert store.find("step", "k") is None
    assert str(artifact.path) in store.faults[0]
    again, built = store.make("step", "k", builder("good"))
    assert built
    assert again.file("a.txt").read_text() == "good"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> dict[str, int]:
        (folder / "half.txt").write_text("half")
        raise ValueError("the disk is full")

    store = Store(tmp_path)
    with pytest.raises(ValueError, match="disk"):
        store.make("step", "k", build)
    assert store.find("step", "k") is None
    assert not [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file()]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left = tmp_path / "artifacts" / "step" / ".k.abcd"
    left.mkdir(parents=True)
    (left / "half.txt").write_text("half")
    store.make("step", "k", builder("whole"))
    assert not left.exists()


def test_two_at_once_build_once(tmp_path: Path) -> None:
    log: list[str] = []
    threads = [
        threading.Thread(target=lambda: Store(tmp_path).make("step", "k", builder("one", log)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["one"]


def test_an_unknown_file_is_named(tmp_path: Path) -> None:
    artifact, _ = Store(tmp_path).make("step", "k", builder("one"))
    with pytest.raises(ArtifactError, match=r"no file 'c.txt'.*a.txt"):
        artifact.file("c.txt")


def test_the_digest_does_not_depend_on_order() -> None:
    assert digest_of({"a": 1, "b": [2, 3]}) == digest_of({"b": [2, 3], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_an_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomic(path, b"old")

    def broken(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("pipelines.store.os.fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_other_code_or_another_library_makes_every_result_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by a product that differs in a byte, then with another version of a library."""
    log: list[str] = []

    def ask() -> int:
        """How often the step was built so far, asked once more by a run that begins now."""
        context.code_digest.cache_clear()
        Context(None, tmp_path, tmp_path / "cache", Progress()).artifact("step", ["x"], builder("one", log))
        return len(log)

    product = tmp_path / "product"
    for package in ("engine", "pipelines"):
        shutil.copytree(
            context._PACKAGES / package, product / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    versions = context.library_versions()
    try:
        assert [ask(), ask()] == [1, 1]
        monkeypatch.setattr(context, "_PACKAGES", product)
        assert ask() == 1, "the same code elsewhere is the same code"
        with (product / "engine" / "scoring.py").open("a") as file:
            file.write("#")
        assert [ask(), ask()] == [2, 2]
        (product / "pipelines" / "more.py").touch()
        assert [ask(), ask()] == [3, 3]
        monkeypatch.setattr(context, "library_versions", lambda: versions | {"shapely": "0"})
        assert [ask(), ask()] == [4, 4]
    finally:
        context.code_digest.cache_clear()
