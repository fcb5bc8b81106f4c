"""A loopback package index: real wheels, real protocols, no network.

It answers as the indexes that mlenv meets do, and misbehaves on demand. It is an HTTP proxy too, so
a lock names ``index.example`` or ``download.pytorch.org`` and never the port of this machine. What
it publishes is in ``facts``. It speaks no TLS and no CONNECT.

    mode      page            hashes  size, upload time  unknown project
    pypi      PEP 691 JSON    yes     both               404   (HTML for those who accept only that)
    pytorch   PEP 503 HTML    yes     neither            403
    html      PEP 503 HTML    yes     upload time        404
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import html
import http.server
import json
import re
import socket
import socketserver
import sys
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

from archives import Artefact, sdist, wheel
from facts import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from facts import Published

    _Request = socket.socket | tuple[bytes, socket.socket]

__all__ = ["Artefact", "Behaviour", "Hit", "Index", "Root", "environment", "sdist", "wheel"]

JSON_KIND = "application/vnd.pypi.simple.v1+json"
FILE_KIND = "application/octet-stream"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One request that was answered; ``url`` has no port where the index was the proxy."""

    method: str
    url: str
    status: int
    range: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How an index answers: ``broken`` maps a prefix of ``host/path`` or ``/path`` to a status."""

    metadata: bool = True
    ranges: bool = True
    broken: Mapping[str, int] = dataclasses.field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    kind: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


def _json_page(project: str, files: Mapping[str, Published], base: str, *, metadata: bool) -> Reply:
    rows = []
    for name, each in files.items():
        one = each.artefact
        row: dict[str, object] = {
            "filename": name,
            "url": base + quote(name),
            "hashes": {"sha256": hashlib.sha256(one.content).hexdigest()},
            "size": len(one.content),
            "upload-time": each.uploaded,
            "requires-python": one.requires_python or None,
            "yanked": False if each.yanked is None else each.yanked,
        }
        if metadata and name.endswith(".whl"):
            row["core-metadata"] = {"sha256": hashlib.sha256(one.metadata).hexdigest()}
        rows.append(row)
    versions = list(dict.fromkeys(each.artefact.version for each in files.values()))
    page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": rows}
    return Reply(200, json.dumps(page).encode(), JSON_KIND, (("Cache-Control", "max-age=600"),))


def _html_page(files: Mapping[str, Published], base: str, *, metadata: bool, times: bool) -> Reply:
    lines = []
    for name, each in files.items():
        one = each.artefact
        digest = hashlib.sha256(one.metadata).hexdigest()
        shown = {
            "href": f"{base}{quote(name)}#sha256={hashlib.sha256(one.content).hexdigest()}",
            "data-requires-python": one.requires_python or None,
            "data-core-metadata": f"sha256={digest}"
            if metadata and name.endswith(".whl")
            else None,
            "data-upload-time": each.uploaded if times else None,
            "data-yanked": each.yanked,
        }
        marks = " ".join(
            f'{key}="{html.escape(text)}"' for key, text in shown.items() if text is not None
        )
        lines.append(f"<a {marks}>{name}</a><br>")
    return Reply(200, "\n".join(("<!DOCTYPE html>", *lines, "")).encode(), "text/html")


def _part(body: bytes, wanted: str | None) -> Reply:
    """Answer a Range (RFC 9110 14.2: one that is malformed or manifold may be ignored)."""
    kind, whole = FILE_KIND, (("Accept-Ranges", "bytes"),)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if found is None or not any(found.groups()):
        return Reply(200, body, kind, whole)
    first, last = found.groups()
    start = int(first) if first else max(0, len(body) - int(last))
    stop = min(len(body), int(last) + 1) if first and last else len(body)
    if start >= stop:
        return Reply(416, headers=(("Content-Range", f"bytes */{len(body)}"),))
    said = ("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
    return Reply(206, body[start:stop], kind, (*whole, said))


class Index:
    """Several roots on one loopback port, open while the ``with`` block lasts."""

    def __init__(self, *roots: Root) -> None:
        self.roots = {root.url: root for root in roots}
        self.behaviour = Behaviour()
        self.hits: list[Hit] = []

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def behaving(self, behaviour: Behaviour) -> Iterator[Self]:
        """Answer so while the block lasts; ``hits`` starts anew."""
        before, self.behaviour = self.behaviour, behaviour
        self.hits.clear()
        try:
            yield self
        finally:
            self.behaviour = before

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        split, now = urlsplit(target), self.behaviour
        host, path = split.hostname or "", unquote(split.path)
        time.sleep(now.delay_seconds)
        for prefix, status in now.broken.items():
            if path.startswith(prefix) or (host + path).startswith(prefix):
                return Reply(status)
        fits = (r for r in self.roots.values() if f"{path}/".startswith(urlsplit(r.url).path + "/"))
        root = next((r for r in fits if host in ("", urlsplit(r.url).hostname)), None)
        if root is None:
            return Reply(404 if host in ("", *self.hosts) else 502)
        if not root.admits(headers.get("Authorization")):
            return Reply(401, headers=(("WWW-Authenticate", 'Basic realm="loopback"'),))
        rest = path.removeprefix(urlsplit(root.url).path).strip("/").split("/")
        files = root.projects.get(rest[0])
        if not files:
            return Reply(403 if root.mode == "pytorch" else 404)
        if len(rest) == 1:
            return self._page(root, rest[0], headers.get("Accept", ""))
        return self._file(files, "/".join(rest[1:]), headers.get("Range"))

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(urlsplit(url).hostname or "" for url in self.roots))

    def _page(self, root: Root, project: str, accept: str) -> Reply:
        files, metadata = root.projects[project], self.behaviour.metadata
        base = f"{urlsplit(root.url).path}/{project}/"
        if root.mode == "pypi" and JSON_KIND in accept:
            return _json_page(project, files, base, metadata=metadata)
        return _html_page(files, base, metadata=metadata, times=root.mode == "html")

    def _file(self, files: Mapping[str, Published], name: str, wanted: str | None) -> Reply:
        wheel_name = name.removesuffix(".metadata")
        if wheel_name not in files:
            return Reply(404)
        one = files[wheel_name].artefact
        if name != wheel_name:
            served = self.behaviour.metadata and wheel_name.endswith(".whl")
            return Reply(200, one.metadata) if served else Reply(404)
        if not self.behaviour.ranges:
            return Reply(200, one.content, FILE_KIND)
        return _part(one.content, wanted)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128

    def __init__(self, index: Index) -> None:
        self.index = index
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: _Request, client_address: object) -> None:
        if isinstance(request, socket.socket):
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Request) -> None:
        if isinstance(request, socket.socket):
            self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        # A client that keeps its connection would keep its thread: hang up, then join.
        for request in tuple(self.open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: _Request, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        index, wanted = self.server.index, self.headers.get("Range")
        reply = index.answer(self.path, {key.title(): text for key, text in self.headers.items()})
        hit = Hit(method=self.command, url=self.path, status=reply.status, range=wanted)
        index.hits.append(hit)
        self.send_response(reply.status)
        for key, text in (("Content-Type", reply.kind), *reply.headers):
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing: ``hits`` is the log."""


def environment(index: Index, *, cache: Path | None = None) -> dict[str, str]:
    """Return the variables that send uv and requests to ``index``, whose first root is the default.

    Loopback addresses are reached directly, so other servers of a test still answer. Without
    ``cache`` uv keeps none, for what a URL served in one test is not what it serves in the next.
    """
    return {
        "HTTP_PROXY": index.url,
        "http_proxy": index.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "UV_DEFAULT_INDEX": next(iter(index.roots)),
        "UV_INDEX": "",
        "UV_EXTRA_INDEX_URL": "",
        "UV_FIND_LINKS": "",
        "UV_INSECURE_HOST": " ".join(index.hosts),
        "UV_HTTP_RETRIES": "0",
        "UV_PYTHON_DOWNLOADS": "never",
        **({"UV_NO_CACHE": "1"} if cache is None else {"UV_CACHE_DIR": str(cache)}),
    }
