"""A small web server on loopback, whose bad habits a test chooses."""

from __future__ import annotations

import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(repr=False)
class Site:
    """What the server serves, how it behaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    kind: str = "application/octet-stream"
    ranges: bool = True
    suffixes: bool = True
    login: str | None = None
    """The Authorization header that it wants."""
    first: deque[int | str] = field(default_factory=deque)
    """Statuses to answer first; ``cut`` breaks a body off, ``drop`` closes the connection."""
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def ranges_asked(self) -> list[str | None]:
        """Return the Range header of each request so far, and forget them."""
        found = [headers.get("Range") for _, headers in self.asked]
        self.asked.clear()
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site, path = self.site, self.path.partition("?")[0]
        site.asked.append((self.path, dict(self.headers)))
        turn = site.first.popleft() if site.first else 200
        if turn == "drop":
            self.close_connection = True
        elif isinstance(turn, int) and turn != 200:
            self._answer(turn, b"no")
        elif site.login is not None and self.headers.get("Authorization") != site.login:
            self._answer(401, b"who?")
        elif path in site.moved:
            self._answer(302, b"", Location=site.moved[path])
        elif path not in site.files:
            self._answer(404, b"no such file")
        else:
            self._serve(site.files[path], cut=turn == "cut")

    def _serve(self, data: bytes, *, cut: bool) -> None:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None or not self.site.ranges:
            self._answer(200, data, cut=cut)
            return
        if not asked[1] and not self.site.suffixes:
            self._answer(416, b"")
            return
        start = int(asked[1]) if asked[1] else max(0, len(data) - int(asked[2]))
        stop = min(len(data), int(asked[2]) + 1) if asked[1] and asked[2] else len(data)
        self._answer(
            206,
            data[start:stop],
            cut=cut,
            **{"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"},
        )

    def _answer(self, status: int, data: bytes, *, cut: bool = False, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.site.kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that breaks off is part of the tests."""


@contextmanager
def serving(**habits: object) -> Iterator[Site]:
    """Serve a ``Site`` with these ``habits`` on a free port."""
    site = Site(**habits)  # type: ignore[arg-type]
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
