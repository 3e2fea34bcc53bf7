"""
A web server on this machine that answers as the real services do, and misbehaves on demand.

Each path has a list of replies: one is used for each request, the last one for all further requests.
A reply is `Content` (a file with validators and ranges, as a good server gives it) or `Fault` (exactly the
bytes and headers written down). A callable makes a reply from the request.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Content:
    """A file as nginx would serve it: ETag, Last-Modified, Range, If-Range, If-None-Match."""

    body: bytes
    content_type: str = "application/octet-stream"
    etag: str | None = '"v1"'
    last_modified: str | None = "Wed, 04 Oct 2023 20:21:32 GMT"
    ranges: bool = True
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """An answer written out: any status, headers and body, with or without a true length."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """Content-Length to declare; None declares the true one, -1 declares none and closes at the end."""
    chunked: bool = False
    cut_after: int | None = None
    pause_s: float = 0.0
    """Wait so long before each kilobyte of the body."""


Reply = Content | Fault | Callable[[Asked], "Content | Fault"]


class Loopback:
    """The server; use it through `serve()`."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[Asked] = []
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                _answer(self, outer)

            do_POST = do_GET  # noqa: N815 - named by http.server
            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *args: object) -> None:
                """A client that hangs up is part of the tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def put(self, path: str, *replies: Reply) -> str:
        """Set the replies of a path; returns the address."""
        self.replies[path] = list(replies)
        self._used.pop(path, None)
        return self.url + path

    def next_reply(self, asked: Asked) -> Content | Fault:
        with self._lock:
            self.asked.append(asked)
            replies = self.replies.get(asked.path)
            if not replies:
                return Fault(
                    404,
                    b"<html><head><title>404 Not Found</title></head></html>",
                    {"Content-Type": "text/html"},
                )
            turn = self._used.get(asked.path, 0)
            self._used[asked.path] = turn + 1
        reply = replies[min(turn, len(replies) - 1)]
        return reply if isinstance(reply, Content | Fault) else reply(asked)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(a.path == path for a in self.asked)


@contextmanager
def serve() -> Iterator[Loopback]:
    """Run a server for the length of a ``with`` block."""
    loopback = Loopback()
    thread = threading.Thread(
        target=loopback.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield loopback
    finally:
        loopback.server.shutdown()
        loopback.server.server_close()
        thread.join()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answer(handler: BaseHTTPRequestHandler, loopback: Loopback) -> None:
    parts = urlsplit(handler.path)
    length = int(handler.headers.get("Content-Length", 0))
    asked = Asked(handler.command, parts.path, parts.query, dict(handler.headers), handler.rfile.read(length))
    reply = loopback.next_reply(asked)
    if isinstance(reply, Content):
        _send_content(handler, reply, asked)
    else:
        _send_fault(handler, reply)


def _send_content(handler: BaseHTTPRequestHandler, content: Content, asked: Asked) -> None:
    validators = {"ETag": content.etag, "Last-Modified": content.last_modified}
    common = (
        {k: v for k, v in validators.items() if v} | {"Content-Type": content.content_type} | content.headers
    )
    if content.etag and asked.headers.get("If-None-Match") == content.etag:
        _head(handler, 304, common)
        return
    unchanged = asked.headers.get("If-Modified-Since") == content.last_modified
    if content.last_modified and "If-None-Match" not in asked.headers and unchanged:
        _head(handler, 304, common)
        return
    start, status = 0, 200
    wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("Range", ""))
    condition = asked.headers.get("If-Range")
    if content.ranges and wanted and condition in (None, content.etag, content.last_modified):
        start, status = int(wanted.group(1)), 206
        if start >= len(content.body):
            _head(
                handler,
                416,
                common | {"Content-Range": f"bytes */{len(content.body)}", "Content-Length": "0"},
            )
            return
        common["Content-Range"] = f"bytes {start}-{len(content.body) - 1}/{len(content.body)}"
    body = content.body[start:]
    _head(handler, status, common | {"Content-Length": str(len(body)), "Accept-Ranges": "bytes"})
    _write(handler, body, content.cut_after, 0.0)


def _send_fault(handler: BaseHTTPRequestHandler, fault: Fault) -> None:
    headers = dict(fault.headers)
    if fault.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif fault.length != -1:
        headers["Content-Length"] = str(len(fault.body) if fault.length is None else fault.length)
    else:
        headers["Connection"] = "close"
    _head(handler, fault.status, headers)
    body = fault.body
    if fault.chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    _write(handler, body, fault.cut_after, fault.pause_s)
    if fault.length is not None or fault.cut_after is not None:
        handler.close_connection = True


def _head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def _write(handler: BaseHTTPRequestHandler, body: bytes, cut_after: int | None, pause_s: float) -> None:
    if handler.command == "HEAD":
        return
    if cut_after is not None:
        handler.wfile.write(body[:cut_after])
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
        return
    if not pause_s:
        handler.wfile.write(body)
        return
    for start in range(0, len(body), 1024):
        time.sleep(pause_s)
        handler.wfile.write(body[start : start + 1024])
        handler.wfile.flush()
