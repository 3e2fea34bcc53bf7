"""
The artifact store: results kept by content, published whole or not at all.

An artifact is a folder ``<cache>/artifacts/<step>/<key>/`` with its files and an ``artifact.json`` that names
each file's size and SHA-256. It is written under a temporary name, synced, and renamed: a reader sees all of it
or none. A folder that does not match its own record is named, set aside and made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipelines.errors import ArtifactError
from pipelines.memory import peak_of

RECORD = "artifact.json"
_FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """A published result: its folder and its record."""

    step: str
    key: str
    path: Path
    record: dict[str, Any]

    def file(self, name: str) -> Path:
        """Path of one of its files."""
        if name not in self.record["files"]:
            msg = (
                f"artifact {self.step}/{self.key} has no file {name!r}; it has {sorted(self.record['files'])}"
            )
            raise ArtifactError(msg)
        return self.path / name

    @property
    def info(self) -> dict[str, Any]:
        """What the step reported: counts, what was dropped and why."""
        return dict(self.record["info"])

    @property
    def cost(self) -> dict[str, float]:
        """What it took to make it, whenever that was: ``seconds``, ``peak_mb`` of the process."""
        return dict(self.record.get("cost", {}))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 of a value that JSON can hold, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync it and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Have the disk hold a file's content before it is renamed."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Have the disk hold a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Store:
    """
    Artifacts of one cache folder.

    Parameters
    ----------
    root
        The cache folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []
        """What was found damaged and set aside, in words."""

    def folder(self, step: str, key: str) -> Path:
        """Where an artifact lies."""
        return self.root / "artifacts" / step / key[:32]

    def find(self, step: str, key: str) -> Artifact | None:
        """
        The artifact with this key, verified, or None.

        A damaged one is moved out of the way, and said so in `faults`.
        """
        path = self.folder(step, key)
        if not self._use(path):
            return None
        fault = fault_of(path, step, key)
        if fault is None:
            return Artifact(step, key, path, json.loads((path / RECORD).read_text("utf-8")))
        self.faults.append(f"cache entry {path} {fault}: it was set aside and is made anew")
        with self._lock(step, key):
            if path.is_dir() and fault_of(path, step, key) is not None:
                _discard(path)
        return None

    def make(
        self, step: str, key: str, build: Callable[[Path], Mapping[str, Any]], *, force: bool = False
    ) -> tuple[Artifact, bool]:
        """
        The artifact with this key, built if it is not there.

        Parameters
        ----------
        build
            Writes its files into the folder that it is given and returns what it has to report.
        force
            Build even if it is there.

        Returns
        -------
        tuple of Artifact and bool
            The artifact, and whether it was built now.
        """
        found = None if force else self.find(step, key)
        if found is not None:
            return found, False
        with self._lock(step, key):
            found = None if force else self.find_locked(step, key)
            if found is not None:
                return found, False
            return self._publish(step, key, build), True

    def find_locked(self, step: str, key: str) -> Artifact | None:
        """As `find`, for a caller that holds the lock: another process may have built it meanwhile."""
        path = self.folder(step, key)
        if not path.is_dir() or fault_of(path, step, key) is not None:
            return None
        return Artifact(step, key, path, json.loads((path / RECORD).read_text("utf-8")))

    def _publish(self, step: str, key: str, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        path = self.folder(step, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            start = time.perf_counter()
            with peak_of() as peak:
                info = dict(build(work))
            cost = {"seconds": round(time.perf_counter() - start, 3), "peak_mb": round(peak.mb, 1)}
            files = {}
            for file in sorted(p for p in work.iterdir() if p.is_file()):
                sync_file(file)
                files[file.name] = {"size": file.stat().st_size, "sha256": sha256_of(file)}
            record = {"format": _FORMAT, "step": step, "key": key, "files": files, "info": info, "cost": cost}
            write_atomic(
                work / RECORD, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False).encode()
            )
            sync_folder(work)
            if path.exists():
                _discard(path)
            work.rename(path)
            sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return Artifact(step, key, path, record)

    def _use(self, path: Path) -> bool:
        """Mark an artifact as used now, if it is there; whoever evicts sees the mark (`pipelines.cache`)."""
        if not path.is_dir():
            return False
        with eviction_lock(self.root):
            if not path.is_dir():
                return False
            os.utime(path)
        return True

    @contextmanager
    def _lock(self, step: str, key: str) -> Iterator[None]:
        with lock_of(self.root, step, key):
            yield


def lock_of(root: Path, step: str, key: str) -> FileLock:
    """The lock that whoever makes this artifact holds."""
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{step}-{key[:32]}.lock")


@contextmanager
def eviction_lock(root: Path) -> Iterator[None]:
    """Hold the lock under which artifacts are marked as used or taken away; for moments only."""
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "eviction.lock", poll_interval=0.005):
        yield


def fault_of(path: Path, step: str | None = None, key: str | None = None) -> str | None:
    """
    What is wrong with an artifact folder, in words, or None.

    Parameters
    ----------
    path
        The folder.
    step, key
        What it should be; default: what the folder's own place says.
    """
    try:
        record = json.loads((path / RECORD).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return f"has no readable {RECORD}"
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        return "was written by another version"
    if record.get("step") != (step or path.parent.name) or not _is_key(record.get("key"), key, path.name):
        return "belongs to another step"
    files = record.get("files")
    if not isinstance(files, dict) or not isinstance(record.get("info"), dict):
        return f"has no readable {RECORD}"
    for name, expected in files.items():
        if not is_plain_name(name) or not isinstance(expected, dict):
            return f"has no readable {RECORD}"
        file = path / name
        if not file.is_file() or file.is_symlink():
            return f"lacks {name}"
        if file.stat().st_size != expected.get("size") or sha256_of(file) != expected.get("sha256"):
            return f"has a changed {name}"
    return None


def _is_key(found: object, key: str | None, folder: str) -> bool:
    """Whether a record's key is the one expected, or the one that its folder is named after."""
    return found == key if key is not None else isinstance(found, str) and found[:32] == folder


def is_plain_name(name: str) -> bool:
    """
    Whether a name that was read from a file stays in its folder.

    Examples
    --------
    >>> [is_plain_name(n) for n in ("cells.parquet", "../thesis.tex", "/etc/passwd", "..", "")]
    [True, False, False, False, False]
    """
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\\0")


def _discard(path: Path) -> None:
    """Move a folder away at once, then delete it."""
    grave = path.with_name(f".dead-{path.name}-{os.getpid()}")
    path.rename(grave)
    shutil.rmtree(grave)


def _sweep(path: Path) -> None:
    """Delete what a killed process left of this very artifact; the caller holds its lock."""
    for left in (*path.parent.glob(f".{path.name}.*"), *path.parent.glob(f".dead-{path.name}-*")):
        shutil.rmtree(left, ignore_errors=True)
