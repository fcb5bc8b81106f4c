"""A proxy in front of a real registry, whose bad habits a test chooses."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from base64 import b64encode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(repr=False)
class Turn:
    """What happens to requests whose ``METHOD /path`` matches, ``times`` times."""

    pattern: str
    does: int | str
    """A status to answer, or one of:

    ``drop``   take the request in, and hang up
    ``half``   pass on half of its body, and hang up
    ``lost``   pass it on, and hang up instead of the answer
    ``cut``    hang up after half of the answer's body
    ``lie``    send another body of the same length, though with the right digest in its header
    ``drip``   send a byte every 0.2 s
    ``endless``  never stop sending
    ``elsewhere``  redirect to another host, by ``moved``
    ``deaf``   leave out the Range of the request
    """
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(repr=False)
class Proxy:
    """The registry as its clients meet it."""

    behind: int
    address: str = ""
    scheme: str = "http"
    """As the registry is told; a proxy that does not tell has uploads go on in plain http."""
    turns: list[Turn] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """``METHOD /path?query`` and headers of each request so far."""
    moved: str = ""
    token_login: str | None = None
    """``user:password`` without which the token server gives nothing; with it tokens are wanted."""
    realm: str = ""
    tokens: dict[str, list[str]] = field(default_factory=dict)
    """The tokens given, with the scopes each was asked for; a test may take one away."""

    def count(self, pattern: str) -> int:
        """Return how many requests matched."""
        return sum(re.match(pattern, line) is not None for line, _ in self.asked)

    def turn(self, line: str) -> Turn | None:
        """Return what is to be done to a request, and count it."""
        for each in self.turns:
            if each.times and re.match(each.pattern, line):
                each.times -= 1
                return each
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def _any(self) -> None:
        proxy, line = self.proxy, f"{self.command} {self.path}"
        proxy.asked.append((line, dict(self.headers)))
        turn = proxy.turn(line)
        does = turn.does if turn else ""
        size = int(self.headers.get("Content-Length") or 0)
        if does == "half":
            self._pass_half(size)
            return
        body = self.rfile.read(size)
        if turn and isinstance(does, int):
            self._answer(does, b'{"errors":[{"code":"DENIED","message":"hunter2"}]}', turn.headers)
        elif does == "drop":
            self.close_connection = True
        elif does == "elsewhere":
            self._answer(307, b"", {"Location": proxy.moved + self.path})
        elif self.path.startswith("/token"):
            self._give_token(body)
        elif proxy.token_login is not None and not self._has_token():
            realm = proxy.realm or f"http://{proxy.address}/token?a=b"
            said = f'Bearer realm="{realm}",service="loop, back",scope="other:x:pull"'
            self._answer(401, b"{}", {"WWW-Authenticate": said})
        elif does == "endless":
            self._endless()
        else:
            self._pass_on(body, str(does))

    def do_GET(self) -> None:
        self._any()

    def do_HEAD(self) -> None:
        self._any()

    def do_PUT(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def do_PATCH(self) -> None:
        self._any()

    def _pass_on(self, body: bytes, does: str) -> None:
        kept = {key: text for key, text in self.headers.items() if key.lower() not in _HOP}
        if does == "deaf":
            kept.pop("Range", None)
        # A token is the proxy's own business.
        if kept.get("Authorization", "").startswith("Bearer"):
            del kept["Authorization"]
        kept["X-Forwarded-Proto"] = self.proxy.scheme
        there = http.client.HTTPConnection("127.0.0.1", self.proxy.behind, timeout=60)
        try:
            there.request(self.command, self.path, body=body, headers=kept)
            answer = there.getresponse()
            data = answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP}
            length = answer.getheader("Content-Length")
        finally:
            there.close()
        if does == "lost":
            self.close_connection = True
            return
        if does == "lie":
            data = bytes(each ^ 1 for each in data)
        self._answer(answer.status, data, headers, does=does, length=length)

    def _pass_half(self, size: int) -> None:
        there = http.client.HTTPConnection("127.0.0.1", self.proxy.behind, timeout=60)
        there.putrequest(self.command, self.path, skip_host=True)
        for key, text in self.headers.items():
            there.putheader(key, text)
        there.endheaders()
        there.send(self.rfile.read(size // 2))
        there.close()
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while True:
                self.wfile.write(b" " * 65536)

    def _answer(
        self,
        status: int,
        data: bytes,
        headers: dict[str, str],
        *,
        does: str = "",
        length: str | None = None,
    ) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if does == "drip":
            self._drip(data)
            return
        self.wfile.write(data[: len(data) // 2] if does == "cut" else data)
        self.close_connection = self.close_connection or does == "cut"

    def _drip(self, data: bytes) -> None:
        with suppress(OSError):
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                time.sleep(0.2)

    def _give_token(self, body: bytes) -> None:
        asked = parse_qs(urlsplit(self.path).query) | parse_qs(body.decode())
        wanted = "Basic " + b64encode((self.proxy.token_login or "").encode()).decode()
        known = self.headers.get("Authorization") == wanted
        if not known and asked.get("refresh_token") != ["identity"]:
            self._answer(401, b"{}", {})
            return
        name = f"token-{len(self.proxy.tokens)}"
        self.proxy.tokens[name] = [*asked.get("scope", []), *asked.get("service", [])]
        self._answer(200, json.dumps({"token": name, "expires_in": 300}).encode(), {})

    def _has_token(self) -> bool:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self.proxy.tokens

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that breaks off is part of the tests."""


@contextmanager
def faulty(behind: int, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Stand in front of the registry at a loopback port; with ``tls`` as localhost."""
    proxy = Proxy(behind=behind, scheme="https" if tls else "http")
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    proxy.address = f"{'localhost' if tls else '127.0.0.1'}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
