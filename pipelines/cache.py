"""
The cache folder as a whole: what lies in it, what may go, and whether it is what it should be.

A run holds a lease (`lease`): a locked file whose lock the system lets go when the process ends, however it ends.
Whatever was used since the oldest living lease began is in use and stays. Using an entry and evicting one take the
same lock, so an entry is either seen as used or already gone, never taken away from under a reader.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from pipelines.quantity import bytes_of
from pipelines.sources.download import check_copy
from pipelines.store import eviction_lock, fault_of, lock_of

LIMIT_VARIABLE = "PROCHE_CACHE_LIMIT"
DEFAULT_LIMIT = "50GB"
EVICTABLE = ("artifact", "download")
"""Kinds of entries that can be had again: these count against the limit and are evicted."""
_LEASES, _DEAD = "leases", ".dead-"
_SLACK_S = 5.0
"""[s] Clocks of a machine and of its file servers differ by no more than this."""
_COLUMNS = ["kind", "name", "state", "size", "used", "path"]


@dataclass(frozen=True)
class Entry:
    """
    One thing in the cache.

    Attributes
    ----------
    kind
        ``artifact`` (a step's result), ``download``, ``lookup`` (answers on place names), ``run``, ``batch``, ``log``,
        ``leftover`` (of a process that was killed) or ``foreign`` (nothing that Proche puts there).
    name
        Step and key, file name, or folder.
    size
        [bytes] Of all its files.
    used
        [s] When it was last used, seconds since 1970.
    state
        ``free``, ``in use``, ``kept`` (never evicted); after `collect` also ``evicted``; after `verify` ``ok`` or
        what is wrong with it.
    """

    kind: str
    name: str
    path: Path
    size: int
    used: float
    state: str = "kept"


def limit_bytes(given: str | None = None) -> int | None:
    """[bytes] The limit of the cache: the one given, else ``$PROCHE_CACHE_LIMIT``, else 50 GB; None for none."""
    if given is not None:
        return bytes_of(given, what="--limit")
    return bytes_of(os.environ.get(LIMIT_VARIABLE) or DEFAULT_LIMIT, what=f"${LIMIT_VARIABLE}")


@contextmanager
def lease(root: Path) -> Iterator[None]:
    """Keep everything in the cache that is used from now on, until the block or the process ends."""
    folder = root / _LEASES
    folder.mkdir(parents=True, exist_ok=True)
    with eviction_lock(root):
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{time.time():.3f}-", suffix=".lease")
        os.close(handle)
        lock = FileLock(name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
        Path(name).unlink(missing_ok=True)


def entries(root: Path) -> list[Entry]:
    """Everything in a cache folder, the least recently used first."""
    if not root.is_dir():
        return []
    with eviction_lock(root):
        since = _oldest_lease(root)
        found = [_stated(e, since) for e in _found(root)]
    return sorted(found, key=lambda e: (e.used, str(e.path)))


def collect(root: Path, *, limit: int | None, dry_run: bool = False) -> list[Entry]:
    """
    Evict what was not used for longest until the cache fits, and sweep what killed processes left.

    Artifacts and downloads count; run directories, batches and logs are yours and stay.

    Parameters
    ----------
    root
        The cache folder.
    limit
        [bytes] Size to come down to; None sweeps only.
    dry_run
        Only say what would go.

    Returns
    -------
    list of Entry
        What went. Where entries in use exceed the limit, they stay.
    """
    gone = []
    known = entries(root)
    total = sum(e.size for e in known if e.kind in EVICTABLE)
    for entry in known:
        surplus = limit is not None and total > limit and entry.kind in EVICTABLE
        if not surplus and entry.kind != "leftover":
            continue
        if entry.state == "free" and (dry_run or _evict(root, entry)):
            gone.append(replace(entry, state="evicted"))
            total -= entry.size if entry.kind in EVICTABLE else 0
    return gone


def verify(root: Path, *, remove: bool = False) -> list[Entry]:
    """
    Hash every artifact and download again.

    Parameters
    ----------
    root
        The cache folder.
    remove
        Take away what is damaged, if nobody is using it: the next run makes it anew.

    Returns
    -------
    list of Entry
        Artifacts, downloads and foreign things; `state` is ``ok``, or says what is wrong.
    """
    checked = []
    for entry in entries(root):
        fault = _fault(entry)
        if fault is None:
            continue
        if fault != "ok" and remove and entry.kind in EVICTABLE and _evict(root, entry):
            fault = f"{fault}; removed"
        checked.append(replace(entry, state=fault))
    return checked


def table_of(found: list[Entry]) -> pd.DataFrame:
    """Entries as a table: ``kind``, ``name``, ``state``, ``size`` [bytes], ``used`` (UTC), ``path``."""
    when = [datetime.fromtimestamp(e.used, UTC).isoformat(timespec="seconds") for e in found]
    rows = [[e.kind, e.name, e.state, e.size, w, str(e.path)] for e, w in zip(found, when, strict=True)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _fault(entry: Entry) -> str | None:
    """``ok``, what is wrong with an entry, or None where there is nothing to compare it with."""
    if entry.kind == "foreign":
        return "is nothing that proche puts here"
    if entry.kind == "artifact":
        return fault_of(entry.path) or "ok"
    if entry.kind == "download":
        return check_copy(entry.path) or "ok"
    return None


def _evict(root: Path, entry: Entry) -> bool:
    """Take an entry away if nobody uses or makes it."""
    try:
        with _own_lock(root, entry).acquire(timeout=0):
            with eviction_lock(root):
                used = entry.kind != "leftover" and _in_use(_last_use(entry.path), _oldest_lease(root))
                if used or not entry.path.exists():
                    return False
                grave = entry.path.with_name(f"{_DEAD}{entry.path.name}-{os.getpid()}")
                entry.path.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)
    except Timeout:
        return False
    return True


def _own_lock(root: Path, entry: Entry) -> FileLock:
    """The lock that whoever makes this entry holds."""
    if entry.kind == "download":
        return FileLock(entry.path / "lock")
    step = entry.path.parent.name
    return lock_of(root, step, entry.path.name.removeprefix(_DEAD).lstrip(".").split(".")[0].split("-")[0])


def _stated(entry: Entry, since: float | None) -> Entry:
    if entry.kind not in (*EVICTABLE, "leftover"):
        return entry
    used = entry.kind in EVICTABLE and _in_use(entry.used, since)
    return replace(entry, state="in use" if used else "free")


def _in_use(used: float, since: float | None) -> bool:
    return since is not None and used >= since - _SLACK_S


def _last_use(path: Path) -> float:
    """[s] When an entry was last used; 0 for one that has just gone."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _oldest_lease(root: Path) -> float | None:
    """When the oldest lease of a living process began; leases of dead ones are removed. The caller holds the lock."""
    starts = []
    for file in (root / _LEASES).glob("*.lease"):
        try:
            with FileLock(file).acquire(timeout=0):
                file.unlink(missing_ok=True)
        except Timeout:
            starts.append(float(file.name.partition("-")[0]))
    return min(starts, default=None)


def _found(root: Path) -> Iterator[Entry]:
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name == "artifacts":
            yield from _artifacts(folder)
        elif folder.name == "http":
            yield from _downloads(folder)
        elif folder.name in _OURS:
            kind = _OURS[folder.name]
            yield from (_entry(kind, p.name, p) for p in sorted(folder.iterdir()))
        elif folder.name not in ("locks", _LEASES, ".gitignore"):
            yield _entry("foreign", folder.name, folder)


_OURS = {"runs": "run", "batches": "batch", "logs": "log"}


def _artifacts(folder: Path) -> Iterator[Entry]:
    for step in sorted(folder.iterdir()):
        if not step.is_dir():
            yield _entry("foreign", f"artifacts/{step.name}", step)
            continue
        for path in sorted(step.iterdir()):
            name = f"{step.name}/{path.name}"
            if path.name.startswith("."):
                yield _entry("leftover", name, path)
            else:
                yield _entry("artifact" if path.is_dir() and not path.is_symlink() else "foreign", name, path)


def _downloads(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.iterdir()):
        if path.name == "nominatim":
            yield _entry("lookup", path.name, path)
        elif path.name == "overpass":
            yield from (_entry(_kind(p), f"overpass/{p.name}", p) for p in sorted(path.iterdir()))
        else:
            yield _entry(_kind(path), f"http/{path.name}", path)


def _kind(path: Path) -> str:
    """What an entry of the downloads is."""
    if path.name.startswith(_DEAD):
        return "leftover"
    return "download" if path.is_dir() and not path.is_symlink() else "foreign"


def _entry(kind: str, name: str, path: Path) -> Entry:
    if path.is_symlink() or not path.is_dir():
        return Entry(kind, name, path, _size(path), _last_use(path))
    inside = (p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    return Entry(kind, name, path, sum(_size(p) for p in inside), _last_use(path))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # another process has just taken it away
        return 0
