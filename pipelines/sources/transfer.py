"""One HTTP transfer into a file: retried, resumed, bounded and checked on the way."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from shutil import disk_usage
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from pipelines.errors import SourceError

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total, None where the server does not say."""

CHUNK = 1 << 16
"""[bytes] Largest block read at once."""
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that ask for patience (RFC 9110 §15.5.9, §15.6; RFC 6585 §4): tried again, `Retry-After` obeyed."""
MOST_ROUNDS = 200
"""Connections opened for one transfer at most, however little each of them brings."""


def user_agent() -> str:
    """Name and version by which every request introduces itself."""
    try:
        version = metadata.version("proche")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"proche/{version} (15-minute-city accessibility instrument)"


@dataclass(frozen=True)
class Patience:
    """How long a transfer is tried, and by which clock; tests inject theirs."""

    attempts: int = 6
    """Failures in a row, none of which brought a new byte, before giving up."""
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    backoff_s: float = 1.0
    """[s] Wait after the first failure; doubles with each further one."""
    longest_wait_s: float = 300.0
    """[s] A server that asks for more than this ends the transfer with its own words."""
    slowest_bytes_per_s: float = 200.0
    """[bytes/s] A connection below this over a minute is dropped and resumed."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def wait_s(self, failures: int) -> float:
        """[s] Back-off after `failures` failures in a row."""
        return float(min(self.backoff_s * 2 ** max(failures - 1, 0), self.longest_wait_s))


@dataclass(frozen=True)
class Answer:
    """How a transfer ended: ``fresh`` is False where the server said that nothing changed."""

    fresh: bool
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str | None:
        """Entity tag of the answer, if any."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """Date of the last change by the server, if any."""
        return self.headers.get("Last-Modified")


class _TryAgainError(Exception):
    """An attempt failed, another may succeed."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


def public_url(url: str) -> str:
    """Give the address without a user name or password: what may be printed and recorded."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def transfer(
    url: str,
    part: Path,
    *,
    conditions: Mapping[str, str] | None = None,
    max_bytes: int,
    patience: Patience,
    progress: Progress | None = None,
) -> Answer:
    """
    Bring the content of an address into a file, through cuts, slow lines and busy servers.

    A cut is resumed from the byte reached (`Range` with `If-Range`), if the server gave a strong validator;
    else the transfer starts anew. The file is complete when this returns, but not yet checked against a hash.

    Parameters
    ----------
    url
        ``http`` or ``https`` address. TLS certificates are verified; a redirect from https to http is
        refused.
    part
        Where to write; what an earlier, cut transfer left here is resumed. Beside it lies ``<part>.json``
        with the validator of the content.
    conditions
        Headers ``If-None-Match`` and ``If-Modified-Since`` for a copy that is already there.
    max_bytes
        [bytes] Largest content accepted, whatever the server declares.
    patience
        Timeouts, back-off and clock.
    progress
        Called after each block.

    Returns
    -------
    Answer
        ``fresh`` False after 304 (nothing was written), else True.

    Raises
    ------
    SourceError
        Wrong address, TLS failure, refusal, a web page instead of data, too large, or patience exhausted.
    """
    failures = 0
    why = "it was not tried"
    with requests.Session() as session:
        session.headers.update({"User-Agent": user_agent(), "Accept-Encoding": "identity"})
        session.max_redirects = 8
        job = _Job(session, url, part, dict(conditions or {}), max_bytes, patience, progress)
        for _ in range(MOST_ROUNDS):
            reached, _ = _resume_point(part)
            try:
                return _attempt(job)
            except _TryAgainError as failure:
                why = str(failure)
                failures = 1 if _resume_point(part)[0] > reached else failures + 1
                wait = max(failure.retry_after_s or 0.0, patience.wait_s(failures))
            _refuse_to_wait(job, failures, wait, why)
            patience.sleep(wait)
    msg = f"gave up on {public_url(url)} after {MOST_ROUNDS} connections: {why}. Try again later"
    raise SourceError(msg)


@dataclass(frozen=True)
class _Job:
    """What does not change from one attempt to the next."""

    session: requests.Session
    url: str
    part: Path
    conditions: dict[str, str]
    max_bytes: int
    patience: Patience
    progress: Progress | None

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        return public_url(self.url)


def _refuse_to_wait(job: _Job, failures: int, wait: float, why: str) -> None:
    if failures >= job.patience.attempts:
        msg = (
            f"gave up on {job.shown} after {failures} attempts: {why}. Check the connection and the address, "
            f"then run again: what has arrived is kept and resumed"
        )
        raise SourceError(msg)
    if wait > job.patience.longest_wait_s:
        msg = (
            f"{job.shown} asks to wait {wait:.0f} s ({why}); a run waits {job.patience.longest_wait_s:.0f} s "
            f"at most: run again after that"
        )
        raise SourceError(msg)


def _attempt(job: _Job) -> Answer:
    start, headers = _resume_point(job.part)
    with _open(job, headers or job.conditions) as response:
        if response.status_code == requests.codes.not_modified and not headers:
            return Answer(fresh=False, headers=response.headers)
        if response.status_code == requests.codes.requested_range_not_satisfiable and headers:
            forget(job.part)
            raise _TryAgainError("the part kept from an earlier transfer no longer fits the server's file")
        _refuse_bad_status(job, response)
        start = _agreed_start(job, response, start)
        _refuse_html(job, response)
        total = _total_bytes(response, start)
        _refuse_size(job, total)
        _remember_validator(job.part, response)
        _receive(job, response, start, total)
    return Answer(fresh=True, headers=response.headers)


def _open(job: _Job, headers: dict[str, str]) -> requests.Response:
    timeout = (job.patience.connect_timeout_s, job.patience.read_timeout_s)
    try:
        response = job.session.get(job.url, headers=headers, stream=True, timeout=timeout)
    except requests.exceptions.SSLError as error:
        msg = (
            f"the certificate of {job.shown} was refused ({brief(error)}). Check the address and this "
            f"machine's clock and certificates"
        )
        raise SourceError(msg) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _TryAgainError(f"no connection: {brief(error)}") from error
    except requests.TooManyRedirects as error:
        msg = f"{job.shown} redirects in circles: check the address in a browser"
        raise SourceError(msg) from error
    except (requests.RequestException, ValueError) as error:
        msg = f"cannot ask for {job.shown}: {brief(error)}. Expected an http or https address"
        raise SourceError(msg) from error
    hops = [urlsplit(r.url).scheme for r in (*response.history, response)]
    if "https" in hops and "http" in hops[hops.index("https") :]:
        response.close()
        msg = (
            f"{job.shown} redirects from https to plain http ({public_url(response.url)}): refused. "
            f"Use the final https address"
        )
        raise SourceError(msg)
    return response


def _resume_point(part: Path) -> tuple[int, dict[str, str]]:
    """Byte to continue from and the headers that ask for the rest; (0, {}) to start anew."""
    note = _note(part)
    if not part.is_file() or not part.stat().st_size or not note.is_file():
        return 0, {}
    try:
        validator = json.loads(note.read_text(encoding="utf-8"))["validator"]
    except (ValueError, KeyError, TypeError):
        return 0, {}
    size = part.stat().st_size
    return size, {"Range": f"bytes={size}-", "If-Range": str(validator)}


def _remember_validator(part: Path, response: requests.Response) -> None:
    etag = response.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    if validator and "Content-Encoding" not in response.headers:
        _note(part).write_text(json.dumps({"validator": validator}), encoding="utf-8")
    else:
        _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def forget(part: Path) -> None:
    """Remove what a cut transfer left."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _agreed_start(job: _Job, response: requests.Response, start: int) -> int:
    """Byte at which the answer begins: 0 where the server sends the whole again."""
    if response.status_code != requests.codes.partial_content:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found and int(found.group(1)) == start:
        return start
    forget(job.part)
    raise _TryAgainError("the server sent another part than was asked for")


def _total_bytes(response: requests.Response, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    if not length.isdigit() or "Content-Encoding" in response.headers:
        return None
    return start + int(length)


def _refuse_size(job: _Job, total: int | None) -> None:
    if total is None:
        return
    if total > job.max_bytes:
        msg = (
            f"{job.shown} declares {total:,} bytes, the limit is {job.max_bytes:,}: choose a smaller extract "
            f"or raise the limit"
        )
        raise SourceError(msg)
    free = disk_usage(job.part.parent).free
    if total > free:
        msg = (
            f"{job.shown} declares {total:,} bytes, {job.part.parent} has {free:,} free: make room or put "
            f"the cache elsewhere"
        )
        raise SourceError(msg)


_MEANING = {
    401: " (it wants a login)",
    403: " (it refuses)",
    404: " (nothing is there)",
    410: " (it is gone)",
}


def _refuse_bad_status(job: _Job, response: requests.Response) -> None:
    status = response.status_code
    if status in (requests.codes.ok, requests.codes.partial_content):
        return
    said = _words_of(response)
    if status in BUSY:
        wait = retry_after_s(response.headers.get("Retry-After"))
        raise _TryAgainError(f"the server answered {status} {response.reason}{said}", retry_after_s=wait)
    answer = f"{status} {response.reason}{_MEANING.get(status, '')}{said}"
    msg = f"{job.shown} answered {answer}. Check the address in a browser"
    raise SourceError(msg)


def retry_after_s(value: str | None) -> float | None:
    """
    Read a `Retry-After` header: seconds, or a date (RFC 9110 §10.2.3).

    Returns
    -------
    float | None
        [s] Time to wait from now, at least 0; None where the header is absent or unreadable.
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _refuse_html(job: _Job, response: requests.Response) -> None:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise SourceError(_html_message(job, _words_of(response)))


def _html_message(job: _Job, said: str) -> str:
    return (
        f"{job.shown} answered with a web page where data was expected{said}. A login page, a proxy or a "
        f"moved file does this: open the address in a browser and take the address of the file itself"
    )


def _words_of(response: requests.Response) -> str:
    """What the body of a refusal says, in one short printable line."""
    try:
        body = next(response.iter_content(4096), b"")
    except requests.RequestException:
        return ""
    text = body.decode("utf-8", errors="replace")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    message = re.search(r'"(?:message|error)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    if title or message:
        text = (title or message).group(1)  # type: ignore[union-attr]
    elif "<" in text:
        text = ""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f": “{text[:200]}”" if text else ""


def _receive(job: _Job, response: requests.Response, start: int, total: int | None) -> None:
    """Append the body to the file, checking its size and pace, and sync it to the disk."""
    done = start
    try:
        with job.part.open("ab" if start else "wb") as out:
            pace = _Pace(job.patience, done)
            for block in _blocks(response):
                if done == 0 and looks_like_html(block):
                    raise SourceError(_html_message(job, ""))
                done += len(block)
                if done > job.max_bytes:
                    msg = f"{job.shown} sent more than the limit of {job.max_bytes:,} bytes: stopped"
                    raise SourceError(msg)
                out.write(block)
                if job.progress is not None:
                    job.progress(done, total)
                pace.check(done)
            out.flush()
            os.fsync(out.fileno())
    except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise _TryAgainError(f"cut after {done:,} bytes: {brief(error)}") from error
    except OSError as error:
        if isinstance(error, SourceError) or error.errno != errno.ENOSPC:
            raise
        msg = f"no space left in {job.part.parent} after {done:,} bytes: make room or put the cache elsewhere"
        raise SourceError(msg) from error
    if total is not None and done != total:
        if done > total:
            forget(job.part)
        raise _TryAgainError(f"{done:,} bytes arrived, {total:,} were declared")


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: what came before a cut is kept, and a trickle is seen as one."""
    read1 = getattr(response.raw, "read1", None)
    if read1 is None:  # urllib3 before 2.2: blocks are complete or lost
        yield from response.iter_content(CHUNK)
        return
    while block := read1(CHUNK, decode_content=True):
        yield block


class _Pace:
    """Watches that a connection brings at least the slowest pace over each minute."""

    def __init__(self, patience: Patience, done: int) -> None:
        self._patience, self._since, self._from = patience, patience.clock(), done

    def check(self, done: int) -> None:
        """Drop the connection where it has become too slow."""
        now = self._patience.clock()
        elapsed = now - self._since
        if elapsed < 60:
            return
        if (done - self._from) / elapsed < self._patience.slowest_bytes_per_s:
            raise _TryAgainError(f"only {done - self._from} bytes in {elapsed:.0f} s")
        self._since, self._from = now, done


def looks_like_html(block: bytes) -> bool:
    """Whether a file's first bytes are those of a web page."""
    head = block[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head"))


def brief(error: Exception) -> str:
    """The innermost reason of a network error, in one line."""
    reason: BaseException = error
    while reason.__cause__ or (reason.args and isinstance(reason.args[0], BaseException)):
        reason = reason.__cause__ or reason.args[0]
    return " ".join(str(reason).split())[:200] or type(reason).__name__
