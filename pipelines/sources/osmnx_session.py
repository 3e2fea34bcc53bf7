"""OSMnx, its global settings set and put back in one place, its requests bounded, named and patient."""

from __future__ import annotations

import json
import re
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import osmnx
import requests

from pipelines.errors import PipelineError, SourceError
from pipelines.sources.transfer import BUSY, Patience, brief, public_url, retry_after_s, user_agent

T = TypeVar("T")

MOST_ANSWER_BYTES = 1 << 30
"""[bytes] Largest answer of Overpass or Nominatim."""


class BusyError(PipelineError):
    """The service asks for patience: try again after `wait_s`."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class TooMuchError(PipelineError):
    """Overpass ran out of time or memory over a query: ask for a smaller area."""


class _OfflineError(PipelineError):
    """A request was about to be sent although the run is offline."""


@contextmanager
def osmnx_session(
    cache: Path,
    *,
    offline: bool = False,
    overpass_url: str | None = None,
    nominatim_url: str | None = None,
    timeout_s: float = 180.0,
    max_area_m2: float | None = None,
    cache_only: bool = False,
) -> Iterator[None]:
    """
    Use OSMnx with this project's settings, and leave its settings as they were.

    Within, an answer that asks for patience raises `BusyError`, one that says that Overpass ran out of time or
    memory raises `TooMuchError`, and any other that is no JSON raises SourceError; OSMnx itself neither waits
    nor retries.

    Parameters
    ----------
    cache
        Folder of OSMnx's own cache of answers; damaged answers in it are removed first.
    offline
        Refuse every request that the cache cannot answer.
    overpass_url, nominatim_url
        Addresses of the services, None for OSMnx's own.
    timeout_s
        [s] How long Overpass may work on one query.
    max_area_m2
        [m²] Area of one query; a larger one is cut.
    cache_only
        Stop after the answers are in the cache: OSMnx raises ``CacheOnlyInterruptError``.

    Notes
    -----
    Settings are global to the process: use one session at a time. OSMnx also replaces ``socket.getaddrinfo``
    to stay with one server behind a name; that is put back as well.
    """
    settings = osmnx.settings
    before = {k: v for k, v in vars(settings).items() if not k.startswith("_")}
    lookup = socket.getaddrinfo
    cache.mkdir(parents=True, exist_ok=True)
    _drop_damaged(cache)
    wanted: dict[str, Any] = {
        "use_cache": True,
        "cache_folder": str(cache),
        "cache_only_mode": cache_only,
        "log_console": False,
        "log_file": False,
        "http_user_agent": user_agent(),
        "http_referer": "",
        "doh_url_template": None,
        "overpass_rate_limit": False,
        "requests_timeout": timeout_s,
        "requests_kwargs": {"hooks": {"response": _inspect}},
    }
    if offline:
        wanted["requests_kwargs"] = {"auth": _refuse}
    if overpass_url is not None:
        wanted["overpass_url"] = overpass_url.rstrip("/")
    if nominatim_url is not None:
        wanted["nominatim_url"] = nominatim_url.rstrip("/") + "/"
    if max_area_m2 is not None:
        wanted["max_query_area_size"] = max_area_m2
    try:
        for key, value in wanted.items():
            setattr(settings, key, value)
        with warnings.catch_warnings():
            # a small area of one query is on purpose: it follows a query that was too much
            warnings.filterwarnings(
                "ignore", message="This area is .* times your configured", category=UserWarning
            )
            yield
    except _OfflineError as error:
        msg = "offline, and the answer is not in the cache: run once with a connection, or name a local file"
        raise SourceError(msg) from error
    finally:
        socket.getaddrinfo = lookup
        for key, value in before.items():
            setattr(settings, key, value)


def patiently(action: Callable[[], T], *, url: str, patience: Patience) -> T:
    """
    Repeat what meets a busy service or a broken line, waiting as long as the service asks.

    Raises
    ------
    SourceError
        Patience is exhausted, or the service asks for more time than a run waits.
    """
    why, failures = "", 0
    while failures < patience.attempts:
        wait = 0.0
        try:
            return action()
        except BusyError as error:
            why, wait = str(error), error.wait_s or 0.0
        except (requests.ConnectionError, requests.Timeout) as error:
            why = f"no answer: {brief(error)}"
        failures += 1
        wait = max(wait, patience.wait_s(failures))
        if wait > patience.longest_wait_s:
            msg = f"{public_url(url)} asks to wait {wait:.0f} s ({why}): run again after that"
            raise SourceError(msg)
        if failures < patience.attempts:
            patience.sleep(wait)
    msg = (
        f"gave up on {public_url(url)} after {failures} attempts: {why}. Try again later, choose another server, "
        f"or use a downloaded extract; answers that arrived are kept"
    )
    raise SourceError(msg)


def _drop_damaged(cache: Path) -> None:
    """Remove answers that a killed process left half written: OSMnx would trip over them."""
    for path in cache.glob("*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            path.unlink()


def _refuse(request: requests.PreparedRequest) -> NoReturn:
    msg = f"offline: {request.url} is not asked"
    raise _OfflineError(msg)


def _inspect(response: requests.Response, *args: object, **kwargs: object) -> None:
    """Read an answer, bounded, before OSMnx does, and turn what it would mishandle into errors."""
    url = public_url(str(response.request.url)).split("?")[0]
    if response.is_redirect:
        target = response.headers.get("Location", "")
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
            msg = f"{url} redirects from https to plain http: refused. Use the final https address"
            raise SourceError(msg)
        return
    body = _bounded_body(response, url)
    if response.status_code in BUSY:
        wait = retry_after_s(response.headers.get("Retry-After"))
        why = f"the server answered {response.status_code} {response.reason}{_said(body)}"
        raise BusyError(why, wait)
    if not response.ok:
        msg = f"{url} answered {response.status_code} {response.reason}{_said(body)}: check the address"
        raise SourceError(msg)
    try:
        content = json.loads(body)
    except ValueError as error:
        msg = f"{url} answered with something else than JSON{_said(body)}: check the address"
        raise SourceError(msg) from error
    remark = content.get("remark") if isinstance(content, dict) else None
    if remark is not None:
        if re.search(r"timed out|out of memory", str(remark)):
            raise TooMuchError(str(remark))
        msg = f"{url} did not finish: {remark}"
        raise SourceError(msg)


def _bounded_body(response: requests.Response, url: str) -> bytes:
    body = bytearray()
    for block in response.iter_content(1 << 18):
        body += block
        if len(body) > MOST_ANSWER_BYTES:
            msg = f"{url} sent more than {MOST_ANSWER_BYTES:,} bytes: choose a smaller area"
            raise SourceError(msg)
    # requests reads a body once; what was read is handed on in the place where requests keeps it
    response._content = bytes(body)
    return bytes(body)


def _said(body: bytes) -> str:
    """What a page says, tags taken away, in one short line."""
    text = body[:20_000].decode("utf-8", errors="replace")
    text = re.sub(r"<(script|style|head)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f": “{text[:300]}”" if text else ""


def overpass_wait_s(url: str, patience: Patience) -> float:
    """
    Ask Overpass when it has a free slot for this machine.

    Returns
    -------
    float
        [s] Time to wait; 0 where a slot is free, there is no limit, or the server does not tell.

    Raises
    ------
    SourceError
        The next slot is further away than a run waits.

    References
    ----------
    https://dev.overpass-api.de/overpass-doc/en/preface/commons.html: ``/api/status`` names the free slots, or
    the seconds until each one is.
    """
    timeout = (patience.connect_timeout_s, patience.read_timeout_s)
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/status", headers={"User-Agent": user_agent()}, timeout=timeout
        )
    except requests.RequestException:
        return 0.0  # the query itself will say what is wrong
    text = answer.text[:10_000] if answer.ok else ""
    free = re.search(r"(\d+) slots? available now", text)
    if (free and int(free[1]) > 0) or re.search(r"Rate limit: 0\b", text):
        return 0.0
    waits = [float(w) for w in re.findall(r"Slot available after: .*?, in (-?\d+) seconds", text)]
    wait = max(min(waits), 1.0) if waits else 0.0
    if wait > patience.longest_wait_s:
        msg = f"{public_url(url)} has no free slot for {wait:.0f} s: run again after that"
        raise SourceError(msg)
    return wait
