"""Downloads: content of an address, kept in a cache that is checked each time it is used."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.transfer import Answer, Patience, Progress, forget, public_url, transfer

MAX_BYTES = 16 << 30
LOCK_TIMEOUT_S = 3600.0
_FORMATS = ("csv", "geojson", "json", "parquet", "gpkg", "shp", "fgb", "xlsx", "kml")


@dataclass(frozen=True)
class Fetched:
    """A downloaded file in the cache and where it came from: what the manifest records."""

    path: Path
    sha256: str
    size: int
    """[bytes]"""
    url: str
    etag: str | None
    last_modified: str | None
    fetched_at: str
    """When the bytes arrived, ISO 8601, UTC."""
    md5: str
    revalidated: bool = True
    """False where the server could not be asked whether the cached copy is still its newest."""
    note: str = ""
    """What was out of the ordinary: a damaged copy replaced, a server out of reach."""


@dataclass(frozen=True)
class _Expected:
    """What the content must be; None where nothing is known."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    def mismatch(self, digest: _Digest) -> str | None:
        """Say what differs, or None."""
        for name in ("size", "sha256", "md5"):
            want, got = getattr(self, name), getattr(digest, name)
            if want is not None and want != got:
                return f"{name} is {got}, expected {want}"
        return None


@dataclass(frozen=True)
class _Digest:
    sha256: str
    md5: str
    size: int


def fetch(
    url: str,
    *,
    cache_dir: Path,
    sha256: str | None = None,
    md5: str | None = None,
    checksum_url: str | None = None,
    size: int | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
    max_age_s: float = 0.0,
    patience: Patience | None = None,
) -> Fetched:
    """
    Fetch a file, or take it from the cache where the server says that it has not changed.

    The file appears in the cache complete, synced and checked, or not at all; a cut transfer is resumed by
    the next call. Two processes that want the same address share one transfer. A cached file is hashed again
    at each use: a damaged one is fetched anew. With a hash given, a cached file that has it needs no network.

    Parameters
    ----------
    url
        ``http`` or ``https`` address of the file.
    cache_dir
        Folder of the cache; each address has a folder of its own in it.
    sha256, md5, size
        What the content must be, where known.
    checksum_url
        Address of a published checksum in the form of ``md5sum`` or ``sha256sum`` (Geofabrik's ``.md5``).
    offline
        Use the cache only.
    progress
        Called with the bytes so far and the total (or None).
    max_bytes
        [bytes] Largest content accepted.
    max_age_s
        [s] A copy younger than this is used without asking the server.
    patience
        Timeouts, back-off, and the clock.

    Returns
    -------
    Fetched
        Path in the cache, hashes, size, and the server's validators.

    Raises
    ------
    SourceError
        The content cannot be had or is not what was expected.
    ConfigError
        `url` is not an http or https address.

    Examples
    --------
    >>> fetch("https://download.geofabrik.de/europe/monaco-latest.osm.pbf", cache_dir=Path("cache/http"),
    ...       checksum_url="https://download.geofabrik.de/europe/monaco-latest.osm.pbf.md5")  # doctest: +SKIP
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        msg = f"expected an address that begins with http:// or https://, found {public_url(url)!r}"
        raise ConfigError(msg)
    patience = patience or Patience()
    expected = _Expected(sha256.lower() if sha256 else None, md5.lower() if md5 else None, size)
    folder = cache_dir / hashlib.sha256(url.encode()).hexdigest()[:20]
    with locked(folder, url):
        cached, note = read_record(folder)
        if cached is not None and _suffices(cached, expected, max_age_s):
            return replace(cached, note=note)
        if offline:
            return _offline(cached, expected, url, note)
        published = _published(checksum_url, url, cache_dir, patience) if checksum_url else expected
        wanted = _merge(expected, published)
        if cached is not None and checksum_url and wanted.mismatch(_digest_of(cached)) is None:
            return replace(cached, note=note)
        if cached is not None and wanted.mismatch(_digest_of(cached)) is not None:
            cached = None
        order = _Order(url, folder, wanted, max_bytes, patience, progress)
        return replace(_download(order, cached), note=note) if note else _download(order, cached)


@dataclass(frozen=True)
class _Order:
    """One download: from where, to where, and what it must be."""

    url: str
    folder: Path
    wanted: _Expected
    max_bytes: int
    patience: Patience
    progress: Progress | None

    @property
    def part(self) -> Path:
        """Where the bytes collect until they are complete and checked."""
        return self.folder / "part"


def file_name(url: str) -> str:
    """
    Name a download by its address, so that its format can be read from the name.

    Examples
    --------
    >>> file_name("https://download.geofabrik.de/europe/monaco-latest.osm.pbf")
    'monaco-latest.osm.pbf'
    >>> file_name("https://opendata.paris.fr/api/explore/v2.1/catalog/datasets/les-arbres/exports/csv?lang=fr")
    'les-arbres.csv'
    """
    segments = [unquote(s) for s in PurePosixPath(urlsplit(url).path).parts if s != "/"]
    name = segments[-1] if segments else "data"
    if name.lower() in _FORMATS:
        before = [s for s in segments[:-1] if s.lower() not in ("export", "exports", "download")]
        name = f"{before[-1] if before else 'data'}.{name.lower()}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:120]
    return name or "data"


def hash_file(path: Path) -> tuple[str, str, int]:
    """SHA-256 and MD5 (hexadecimal) and size in bytes of a file, read once."""
    sha, md = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            sha.update(block)
            md.update(block)
            size += len(block)
    return sha.hexdigest(), md.hexdigest(), size


def check_file(
    path: Path, *, sha256: str | None = None, md5: str | None = None, size: int | None = None
) -> str:
    """
    Check a local file against what it should be.

    Returns
    -------
    str
        SHA-256 of the file, hexadecimal.

    Raises
    ------
    SourceError
        The file is missing or differs.
    """
    if not path.is_file():
        msg = f"no file at {path}: check the path (paths in a configuration are relative to it)"
        raise SourceError(msg)
    digest = _Digest(*hash_file(path))
    wrong = _Expected(sha256.lower() if sha256 else None, md5.lower() if md5 else None, size).mismatch(digest)
    if wrong:
        msg = f"{path} is not the file that was described: {wrong}. Correct the file or the checksum"
        raise SourceError(msg)
    return digest.sha256


@contextmanager
def locked(folder: Path, url: str) -> Iterator[None]:
    """Hold an entry of the cache, made if need be, and mark it as used now: whoever evicts takes the same lock."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=max(0.0, deadline - time.monotonic()))
        try:
            lock.acquire()
        except FileNotFoundError:  # evicted since the folder was made
            continue
        except Timeout as error:
            msg = f"another process has been fetching {public_url(url)} for an hour: end it, then run again"
            raise SourceError(msg) from error
        if (folder / "lock").exists():
            break
        lock.release()  # evicted while we waited
    try:
        os.utime(folder)
        yield
    finally:
        lock.release()


def read_record(folder: Path) -> tuple[Fetched | None, str]:
    """Read the copy in the cache if it is whole, and a note where it was not."""
    record = folder / "record.json"
    if not record.is_file():
        return None, ""
    fetched = _recorded(record)
    if fetched is None:
        record.unlink()
        return None, "the record of the cached copy was unreadable; fetched anew"
    if _is_whole(fetched):
        return fetched, ""
    record.unlink()
    fetched.path.unlink(missing_ok=True)
    return None, f"the cached copy of {fetched.url} was damaged; fetched anew"


def check_copy(folder: Path) -> str | None:
    """Say what is wrong with a folder of the cache, and leave it as it is; None where nothing is."""
    record = folder / "record.json"
    if not record.is_file():
        return None  # a transfer that may go on
    fetched = _recorded(record)
    if fetched is None:
        return "has no readable record"
    return None if _is_whole(fetched) else f"has a changed {fetched.path.name}"


def _recorded(record: Path) -> Fetched | None:
    """What a record says, None where it cannot be read."""
    try:
        fields = json.loads(record.read_text(encoding="utf-8"))
        fetched = Fetched(path=record.parent / Path(fields.pop("name")).name, **fields)
        datetime.fromisoformat(fetched.fetched_at)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return fetched if isinstance(fetched.url, str) else None


def _is_whole(fetched: Fetched) -> bool:
    found = (fetched.sha256, fetched.md5, fetched.size)
    return fetched.path.is_file() and hash_file(fetched.path) == found


def _digest_of(fetched: Fetched) -> _Digest:
    return _Digest(fetched.sha256, fetched.md5, fetched.size)


def _suffices(cached: Fetched, expected: _Expected, max_age_s: float) -> bool:
    """Whether a copy may be used without asking the server."""
    if expected.mismatch(_digest_of(cached)) is not None:
        return False
    if expected.sha256 is not None or expected.md5 is not None:
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(cached.fetched_at)
    return timedelta(0) <= age < timedelta(seconds=max_age_s)


def _offline(cached: Fetched | None, expected: _Expected, url: str, note: str) -> Fetched:
    if cached is None:
        damaged = " (a damaged copy was removed)" if note else ""
        msg = (
            f"offline, and {public_url(url)} is not in the cache{damaged}: run once with a connection, or "
            f"name a local file"
        )
        raise SourceError(msg)
    wrong = expected.mismatch(_digest_of(cached))
    if wrong:
        msg = (
            f"offline, and the cached copy of {public_url(url)} differs: {wrong}. Run once with a connection"
        )
        raise SourceError(msg)
    return replace(cached, revalidated=False, note=note)


def _published(checksum_url: str, url: str, cache_dir: Path, patience: Patience) -> _Expected:
    """Read a published checksum file."""
    note = fetch(checksum_url, cache_dir=cache_dir, max_bytes=1 << 20, patience=patience)
    text = note.path.read_text(encoding="utf-8", errors="replace")
    return parse_checksum(text, name=unquote(PurePosixPath(urlsplit(url).path).name), where=checksum_url)


def parse_checksum(text: str, *, name: str, where: str) -> _Expected:
    """
    Find a file's hash in the text of ``md5sum`` or ``sha256sum``.

    A line is ``<hash>  <name>`` or ``<hash> *<name>``; a file of one line may name anything or nothing.
    """
    lines = re.findall(r"^\\?([0-9a-fA-F]{64}|[0-9a-fA-F]{32})(?:\s+\*?(\S.*?))?\s*$", text, re.MULTILINE)
    named = [digest for digest, file in lines if PurePosixPath(file).name == name]
    found = named or ([lines[0][0]] if len(lines) == 1 else [])
    if not found:
        start = " ".join(text.split())[:60]
        msg = f"{public_url(where)} holds no hash of {name}: found “{start}”, expected “<hash>  {name}”"
        raise SourceError(msg)
    digest = found[0].lower()
    return _Expected(sha256=digest) if len(digest) == 64 else _Expected(md5=digest)


def _merge(first: _Expected, second: _Expected) -> _Expected:
    return _Expected(first.sha256 or second.sha256, first.md5 or second.md5, first.size or second.size)


def _download(order: _Order, cached: Fetched | None) -> Fetched:
    """Ask the server, and keep what it sends; a good copy outlives a server that is out of reach."""
    patience, conditions = order.patience, {}
    if cached is not None:
        patience = replace(patience, attempts=min(patience.attempts, 2))
        named = {"If-None-Match": cached.etag, "If-Modified-Since": cached.last_modified}
        conditions = {k: v for k, v in named.items() if v}
    try:
        answer = transfer(
            order.url,
            order.part,
            conditions=conditions,
            max_bytes=order.max_bytes,
            patience=patience,
            progress=order.progress,
        )
    except SourceError as error:
        if cached is None:
            raise
        return replace(cached, revalidated=False, note=f"the cached copy was used: {error}")
    if not answer.fresh and cached is not None:
        return cached
    return _keep(order, answer)


def _keep(order: _Order, answer: Answer) -> Fetched:
    """Check what has arrived, give it its name and write its record."""
    digest = _Digest(*hash_file(order.part))
    wrong = order.wanted.mismatch(digest) or (None if digest.size else "the answer was empty")
    if wrong:
        forget(order.part)
        msg = (
            f"{public_url(order.url)} is not what was expected: {wrong}. The file changed at its source, or "
            f"on the way: run again; if it stays so, correct the checksum in the configuration"
        )
        raise SourceError(msg)
    target = order.folder / file_name(order.url)
    (order.folder / "record.json").unlink(missing_ok=True)
    order.part.replace(target)
    forget(order.part)
    fetched = Fetched(
        path=target,
        sha256=digest.sha256,
        size=digest.size,
        url=public_url(order.url),
        etag=answer.etag,
        last_modified=answer.last_modified,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        md5=digest.md5,
    )
    write_record(order.folder, fetched)
    return fetched


def write_record(folder: Path, fetched: Fetched) -> None:
    """Write down what a folder of the cache holds, synced: the last step, which makes the file count."""
    fields = asdict(fetched)
    fields["name"] = fields.pop("path").name
    temporary = folder / "record.tmp"
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(fields, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / "record.json")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
