"""A server that is slow, cut, wrong, busy, gone or somebody else: what a download does about it."""

from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SourceError
from pipelines.sources import transfer as transfer_module
from pipelines.sources.download import Fetched, fetch
from pipelines.sources.transfer import Patience, retry_after_s
from tests.loopback import Asked, Content, Fault, Loopback, free_port, serve

BODY = bytes(range(251)) * 3000
GOOD = Content(BODY)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as loopback:
        yield loopback


def get(url: str, cache: Path, waits: list[float] | None = None, **options: Any) -> Fetched:
    times = {
        k: options.pop(k)
        for k in list(options)
        if k in ("attempts", "clock", "read_timeout_s", "longest_wait_s")
    }
    patience = Patience(
        sleep=(waits if waits is not None else []).append, **({"read_timeout_s": 5.0} | times)
    )
    return fetch(url, cache_dir=cache, patience=patience, **options)


def left_in(cache: Path) -> set[str]:
    return {p.name for p in cache.rglob("*") if p.is_file()} - {"lock"}


# --- cuts


def test_a_cut_is_resumed_from_the_byte_reached(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY, cut_after=100_000), Content(BODY, cut_after=200_000), GOOD)
    waits: list[float] = []
    fetched = get(url, tmp_path, waits)
    assert fetched.path.read_bytes() == BODY
    ranges = [a.headers.get("Range") for a in server.asked]
    assert ranges == [None, "bytes=100000-", "bytes=300000-"]
    assert [a.headers.get("If-Range") for a in server.asked[1:]] == ['"v1"', '"v1"']
    assert waits == [1.0, 1.0], "each cut brought bytes: patience starts anew"


def test_the_next_run_continues_where_a_run_gave_up(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY, cut_after=123_456), Fault(503))
    with pytest.raises(SourceError, match=r"gave up .*503.*what has arrived is kept and resumed"):
        get(url, tmp_path)
    server.put("/a.pbf", GOOD)
    assert get(url, tmp_path).path.read_bytes() == BODY
    assert server.asked[-1].headers["Range"] == "bytes=123456-"


def test_a_file_that_changed_between_the_parts_is_fetched_whole(server: Loopback, tmp_path: Path) -> None:
    newer = BODY[::-1]
    url = server.put("/a.pbf", Content(BODY, cut_after=50_000), Content(newer, etag='"v2"'))
    fetched = get(url, tmp_path)
    assert fetched.path.read_bytes() == newer, "never the head of one file with the tail of another"
    assert fetched.etag == '"v2"'


def test_without_a_strong_validator_a_cut_starts_anew(server: Loopback, tmp_path: Path) -> None:
    weak = {"etag": 'W/"x"', "last_modified": None}
    url = server.put("/a.csv", Content(BODY, cut_after=50_000, **weak), Content(BODY, **weak))
    assert get(url, tmp_path).path.read_bytes() == BODY
    assert server.asked[1].headers.get("Range") is None


def test_a_server_without_ranges_sends_the_whole_again(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY, cut_after=50_000, ranges=False), Content(BODY, ranges=False))
    assert get(url, tmp_path).path.read_bytes() == BODY


def test_a_part_that_is_longer_than_the_file_is_dropped(server: Loopback, tmp_path: Path) -> None:
    url = server.put(
        "/a.pbf", Content(BODY, cut_after=500_000), Content(BODY[:400_000]), Content(BODY[:400_000])
    )
    assert get(url, tmp_path).path.read_bytes() == BODY[:400_000]


def test_a_wrong_part_is_not_glued_on(server: Loopback, tmp_path: Path) -> None:
    wrong = Fault(206, BODY[:10], {"Content-Range": f"bytes 0-9/{len(BODY)}"})
    url = server.put("/a.pbf", Content(BODY, cut_after=100_000), wrong, GOOD)
    assert get(url, tmp_path).path.read_bytes() == BODY


def test_a_cut_chunked_answer_is_noticed(server: Loopback, tmp_path: Path) -> None:
    url = server.put(
        "/a.csv", Fault(200, BODY, chunked=True, cut_after=90_000), Fault(200, BODY, chunked=True)
    )
    assert get(url, tmp_path).path.read_bytes() == BODY


# --- wrong lengths


def test_fewer_bytes_than_declared(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Fault(200, BODY[:1000], length=2000))
    with pytest.raises(SourceError, match=r"gave up .* after 3 attempts"):
        get(url, tmp_path, attempts=3)
    assert "a.pbf" not in left_in(tmp_path)


def test_more_bytes_than_the_limit(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/declared.pbf", GOOD)
    with pytest.raises(SourceError, match=r"declares 753,000 bytes, the limit is 1,000"):
        get(url, tmp_path, max_bytes=1000)
    url = server.put("/endless.pbf", Fault(200, BODY, length=-1))
    with pytest.raises(SourceError, match="sent more than the limit of 1,000 bytes: stopped"):
        get(url, tmp_path, max_bytes=1000)
    assert not {"declared.pbf", "endless.pbf"} & left_in(tmp_path)


def test_an_empty_answer_is_no_file(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.csv", Fault(200, b""))
    with pytest.raises(SourceError, match="the answer was empty"):
        get(url, tmp_path)
    assert left_in(tmp_path) == set()


def test_more_than_the_disk_holds_is_refused_before_it_starts(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_module, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(SourceError, match=r"declares 753,000 bytes, .* has 1,000 free: make room"):
        get(server.put("/a.pbf", GOOD), tmp_path)


def test_a_disk_that_fills_up_is_named(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, block: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def opening(self: Path, *args: Any, **kwargs: Any) -> Any:
        return Full() if self.name == "part" else opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opening)
    with pytest.raises(SourceError, match=r"no space left in .*make room"):
        get(server.put("/a.pbf", GOOD), tmp_path)


# --- busy, slow, gone


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: Loopback, tmp_path: Path, code: int) -> None:
    url = server.put("/a.pbf", Fault(code, b"busy"), Fault(code), GOOD)
    waits: list[float] = []
    assert get(url, tmp_path, waits).size == len(BODY)
    assert waits == [1.0, 2.0]


def test_retry_after_is_obeyed_as_seconds_and_as_a_date(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Fault(429, b"", {"Retry-After": "17"}), GOOD)
    waits: list[float] = []
    get(url, tmp_path, waits)
    assert waits == [17.0]
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    assert retry_after_s(soon) == pytest.approx(40, abs=3)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert (retry_after_s(past), retry_after_s("later"), retry_after_s(None)) == (0.0, None, None)


def test_a_wait_that_is_too_long_is_handed_to_the_person(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Fault(503, b"", {"Retry-After": "86400"}))
    waits: list[float] = []
    with pytest.raises(SourceError, match=r"asks to wait 86400 s .*run again after that"):
        get(url, tmp_path, waits)
    assert waits == []


def test_patience_has_an_end(server: Loopback, tmp_path: Path) -> None:
    url = server.put(
        "/a.pbf", Fault(500, b'{"message": "out of cheese"}', {"Content-Type": "application/json"})
    )
    waits: list[float] = []
    with pytest.raises(SourceError, match=r"gave up on .* after 6 attempts: .*500.*“out of cheese”"):
        get(url, tmp_path, waits)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_drop_at_a_time_is_not_forever(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_module, "MOST_ROUNDS", 30)
    url = server.put("/a.pbf", Content(BODY, cut_after=1))
    with pytest.raises(SourceError, match="after 30 connections"):
        get(url, tmp_path)


def test_nobody_there(tmp_path: Path) -> None:
    waits: list[float] = []
    with pytest.raises(SourceError, match=r"gave up .* after 3 attempts: no connection: .*refused"):
        get(f"http://127.0.0.1:{free_port()}/a.pbf", tmp_path, waits, attempts=3)


def test_a_silent_server_is_left(server: Loopback, tmp_path: Path) -> None:
    silent = threading.Event()

    def stall(asked: Asked) -> Fault:
        silent.wait(5)
        return Fault(200, BODY)

    url = server.put("/a.pbf", stall, GOOD)
    try:
        assert get(url, tmp_path, read_timeout_s=0.2).size == len(BODY)
    finally:
        silent.set()


def test_a_trickle_is_dropped_and_resumed(server: Loopback, tmp_path: Path) -> None:
    # by this clock two minutes pass before the second look, and no time after it
    clock = iter([0.0, 0.0, 120.0])
    url = server.put(
        "/a.pbf", Fault(200, BODY[:9000], {"ETag": '"v1"'}, length=len(BODY), pause_s=0.01), GOOD
    )
    fetched = get(url, tmp_path, clock=lambda: next(clock, 120.0))
    assert fetched.path.read_bytes() == BODY
    assert server.count("/a.pbf") == 2
    resumed = int(server.asked[1].headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < resumed < 9000, "dropped before the trickle ended, continued from there"


# --- something else than the file


@pytest.mark.parametrize(
    "page",
    [
        Fault(
            200,
            b"<html><head><title>Sign in to Wi-Fi</title></head></html>",
            {"Content-Type": "text/html; charset=utf-8"},
        ),
        Fault(200, b"\xef\xbb\xbf \n<!DOCTYPE HTML><html>Maintenance</html>", {"Content-Type": "text/csv"}),
        Fault(200, b"<HTML>Moved</HTML>"),
        Fault(200, b"<html></html>", {"Content-Type": "application/xhtml+xml"}),
    ],
)
def test_a_web_page_is_not_data(server: Loopback, tmp_path: Path, page: Fault) -> None:
    with pytest.raises(
        SourceError, match=r"answered with a web page where data was expected.*open the address"
    ):
        get(server.put("/a.csv", page), tmp_path)
    assert left_in(tmp_path) <= {"part"}
    server.put("/a.csv", GOOD)
    assert get(f"{server.url}/a.csv", tmp_path).path.read_bytes() == BODY


def test_a_web_page_does_not_replace_a_good_copy(server: Loopback, tmp_path: Path) -> None:
    login = Fault(200, b"<html><title>Login</title></html>", {"Content-Type": "text/html"})
    url = server.put("/a.csv", GOOD, login)
    get(url, tmp_path)
    second = get(url, tmp_path)
    assert second.path.read_bytes() == BODY
    assert "“Login”" in second.note


@pytest.mark.parametrize(
    ("code", "meaning"), [(401, "login"), (403, "refuses"), (404, "nothing is there"), (410, "gone")]
)
def test_a_plain_refusal_is_not_repeated(server: Loopback, tmp_path: Path, code: int, meaning: str) -> None:
    url = server.put("/a.csv", Fault(code, b"<html><title>No</title></html>", {"Content-Type": "text/html"}))
    with pytest.raises(SourceError, match=rf"answered {code} .*{meaning}.*“No”"):
        get(url, tmp_path)
    assert server.count("/a.csv") == 1


def test_the_words_of_the_portal_are_passed_on(server: Loopback, tmp_path: Path) -> None:
    body = b'{"error_code": "ODSQLError", "message": "ODSQL query is malformed: Unknown field: annee\\u0007"}'
    with pytest.raises(SourceError, match=r"400 .*ODSQL query is malformed: Unknown field: annee"):
        get(server.put("/a.csv", Fault(400, body, {"Content-Type": "application/json"})), tmp_path)


def test_control_characters_of_a_server_do_not_reach_the_terminal(server: Loopback, tmp_path: Path) -> None:
    body = b"<title>\x1b[2J\x1b[31mpwned\x00</title>"
    with pytest.raises(SourceError) as error:
        get(server.put("/a.csv", Fault(404, body)), tmp_path)
    assert str(error.value).isprintable()


def test_redirects_are_followed_but_not_in_circles(server: Loopback, tmp_path: Path) -> None:
    server.put("/new.pbf", GOOD)
    old = server.put("/old.pbf", Fault(302, b"", {"Location": "/new.pbf"}))
    assert get(old, tmp_path).size == len(BODY)
    circle = server.put("/circle.pbf", Fault(302, b"", {"Location": "/circle.pbf"}))
    with pytest.raises(SourceError, match="redirects in circles"):
        get(circle, tmp_path)


def test_a_redirect_from_https_to_http_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import requests

    def downgraded(self: requests.Session, url: str, **kwargs: object) -> requests.Response:
        first, last = requests.Response(), requests.Response()
        first.url, last.url, last.status_code = url, "http://mirror.example/a.pbf", 200
        last.history, last.raw = [first], io.BytesIO(BODY)
        return last

    monkeypatch.setattr(requests.Session, "get", downgraded)
    with pytest.raises(SourceError, match=r"redirects from https to plain http .*refused"):
        get("https://good.example/a.pbf", tmp_path)


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    import ssl
    import subprocess

    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with serve() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        server.put("/a.pbf", GOOD)
        waits: list[float] = []
        with pytest.raises(SourceError, match=r"certificate of https://127.* was refused"):
            get(server.url.replace("http:", "https:") + "/a.pbf", tmp_path / "cache", waits)
        assert waits == [], "no retry makes a certificate true"
        assert server.asked == []


def test_a_wrong_checksum_leaves_nothing(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", GOOD)
    sums = server.put("/a.pbf.md5", Content(b"0" * 32 + b"  a.pbf\n", etag='"m"'))
    with pytest.raises(SourceError, match=r"md5 is .*, expected 0000"):
        get(url, tmp_path, checksum_url=sums)
    assert "a.pbf" not in left_in(tmp_path)


@pytest.mark.parametrize("text", [b"<xml/>", b"not a hash  a.pbf", b"abcd", b"\xff\xfe\x00"])
def test_a_checksum_file_that_is_none(server: Loopback, tmp_path: Path, text: bytes) -> None:
    url = server.put("/a.pbf", GOOD)
    with pytest.raises(SourceError, match=r"holds no hash of a.pbf"):
        get(url, tmp_path, checksum_url=server.put("/a.md5", Content(text)))
    assert server.count("/a.pbf") == 0


# --- processes


def _fetch_in_process(url: str, cache: str, results: Any) -> None:
    results.put(fetch(url, cache_dir=Path(cache)).sha256)


def test_two_processes_share_one_transfer(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Fault(200, BODY, {"ETag": '"v1"'}, pause_s=0.0005), GOOD)
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    workers = [
        context.Process(target=_fetch_in_process, args=(url, str(tmp_path), results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert {results.get(timeout=5) for _ in workers} == {hashlib.sha256(BODY).hexdigest()}
    assert [w.exitcode for w in workers] == [0, 0]
    bodies = [a for a in server.asked if "If-None-Match" not in a.headers]
    assert len(bodies) == 1, "the second waited, then asked whether the file had changed"


@pytest.mark.parametrize("kill_after_kib", [16, 100, 400])
def test_a_killed_process_leaves_no_half_file(server: Loopback, tmp_path: Path, kill_after_kib: int) -> None:
    reached = threading.Event()

    def watched(asked: Asked) -> Content:
        reached.set()
        return Content(BODY, cut_after=kill_after_kib * 1024) if "Range" not in asked.headers else GOOD

    def stalled(asked: Asked) -> Fault:
        threading.Event().wait(0.2)
        return Fault(503, b"", {"Retry-After": "30"})

    url = server.put("/a.pbf", watched, stalled)
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    worker = context.Process(target=_fetch_in_process, args=(url, str(tmp_path), results))
    worker.start()
    assert reached.wait(60)
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while server.count("/a.pbf") < 2 and datetime.now(UTC) < deadline:
        threading.Event().wait(0.05)
    worker.kill()
    worker.join()
    assert "a.pbf" not in left_in(tmp_path), "a file appears complete or not at all"
    server.put("/a.pbf", GOOD)
    assert get(url, tmp_path).path.read_bytes() == BODY
    assert server.asked[-1].headers["Range"] == f"bytes={kill_after_kib * 1024}-"
