"""The network: pages of an index, parts of a file, a whole file with its hash.

Proxies, ``~/.netrc`` and CA bundles count as ``requests`` reads them, and SSL_CERT_FILE and the
system's certificates as uv does. No more is kept in memory than was asked for, and an answer is
taken only if it is what was asked for. What a page or a file means is no business of this room.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, TypeVar

from mlenv.errors import HostError, Reason
from mlenv.host import body, disk, outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from mlenv.host.session import Sessions

    T = TypeVar("T")

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
)
"""PEP 691: JSON is preferred, HTML is taken."""

THREADS = 16
"""How many threads can use one ``Web`` without opening connections anew."""

PAGE_BYTES = 64 << 20
"""The longest page of an index that is taken."""

FILE_BYTES = 16 << 30

_TRIES = 3
_TIMEOUT_SECONDS = (10.0, 30.0)
_BACKOFF_SECONDS = 0.3
_PATIENCE_SECONDS = 5.0
_PASSING = frozenset({429, 500, 502, 503, 504})
_NO_SUFFIX = frozenset({400, 405, 416, 501})
"""What servers answer that serve ranges, though none from the end."""
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    data: bytes
    size: int
    """The bytes of the whole file."""


class Web:
    """What is on the network; for up to ``THREADS`` threads at a time."""

    def __init__(
        self, *, offline: bool, credentials: Callable[[str], tuple[str, str] | None]
    ) -> None:
        """Open nothing yet; where ``offline``, never.

        Args:
            offline: every read raises ``network-off``.
            credentials: URL -> user and password, or None to leave it to ``~/.netrc``
                (``host.login.login`` does as uv does).
        """
        self._offline = offline
        self._credentials = credentials
        self._lock = threading.Lock()
        self._sessions: Sessions | None = None
        self._bodies: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and forget every body."""
        for url in tuple(self._bodies):
            self.forget(url)
        if self._sessions is not None:
            self._sessions.close()

    def page(self, url: str) -> tuple[str, str]:
        """Return the content type, without parameters, and the text of a page of an index.

        Raises:
            outage.AbsentError: ``network-failed``: there is no such page.
            HostError: ``network-off``, ``network-failed``.
        """

        def take(answer: requests.Response) -> tuple[str, str]:
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            data = b"".join(_bounded(url, answer, PAGE_BYTES))
            return kind, data.decode("utf-8", "replace")

        return self._get(url, {"Accept": ACCEPT}, take)

    def tail(self, url: str, bytes: int) -> tuple[bytes, int]:  # noqa: A002 - the unit
        """Return the last ``bytes`` of a file, or all of a shorter one, and its whole size.

        A server without range reads costs the whole file: it goes to a temporary file, and later
        reads of that URL are served from there until ``forget``.

        Raises:
            outage.AbsentError: ``network-failed``: there is no such file.
            HostError: ``network-off``, ``network-failed``.
        """
        if url not in self._bodies:
            part = self._part(url, f"-{bytes}", bytes, refusals=_NO_SUFFIX)
            if part is not None:
                if part.start + len(part.data) != part.size:
                    raise outage.failed(url, "it answered with other bytes than were asked for")
                return part.data, part.size
        if url not in self._bodies:  # no range from the end: learn the size, then count from there
            first = self._part(url, "0-0", 1)
            if first is not None:
                return self.range(url, max(0, first.size - bytes), first.size), first.size
        size = os.fstat(self._bodies[url].fileno()).st_size
        return self.range(url, max(0, size - bytes), size), size

    def range(self, url: str, start: int, stop: int) -> bytes:
        """Return the bytes of a file from ``start`` up to, but not including, ``stop``.

        Raises:
            outage.AbsentError: ``network-failed``: there is no such file.
            HostError: ``network-off``, ``network-failed``; also where the file ends before.
        """
        if not 0 <= start < stop:
            return b""
        data = b""
        if url not in self._bodies:
            part = self._part(url, f"{start}-{stop - 1}", stop - start)
            if part is not None and part.start == start:
                data = part.data
        if url in self._bodies:
            data = os.pread(self._bodies[url].fileno(), stop - start, start)
        if len(data) != stop - start:
            raise outage.failed(url, "it answered with other bytes than were asked for")
        return data

    def forget(self, url: str) -> None:
        """Remove the temporary file of a server that serves no ranges; without one, do nothing."""
        with self._lock:
            body = self._bodies.pop(url, None)
        if body is not None:
            body.close()

    def whole(
        self, url: str, path: Path, sha256: str, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write a file to ``path`` in one step, if its SHA-256 is ``sha256``.

        ``progress`` is told of the bytes of each piece; what it raises ends the matter.

        Raises:
            outage.AbsentError: ``network-failed``: there is no such file.
            HostError: ``network-off``, ``network-failed``, ``hash-differs``, ``disk-failed``;
                what lay at ``path`` is untouched.
        """
        with disk.spoken(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.mlenv-{os.urandom(4).hex()}")

        def take(answer: requests.Response) -> str:
            with disk.spoken(beside):
                file = beside.open("wb")
            with file:
                return _saved(answer, file, beside, progress)

        try:
            found = self._get(url, {"Accept-Encoding": "identity"}, take)
            if found != sha256:
                raise hash_differs(url, sha256, found)
            with disk.spoken(path):
                beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()

    def _part(
        self, url: str, bounds: str, limit: int, refusals: frozenset[int] = frozenset()
    ) -> _Part | None:
        """Return a part of a file; None where a whole body came and was kept, or on a refusal."""

        def take(answer: requests.Response) -> _Part | None:
            if answer.status_code in refusals:
                return None
            if answer.status_code != 206:
                self._keep(url, answer)
                return None
            told = re.fullmatch(
                r"bytes (\d+)-(\d+)/(\d+)",
                answer.headers.get("Content-Range", "").strip(),
                re.ASCII,
            )
            if told is None:
                raise outage.failed(url, "it does not say which bytes it answered with")
            return _Part(int(told[1]), b"".join(_bounded(url, answer, limit)), int(told[3]))

        headers = {"Range": f"bytes={bounds}", "Accept-Encoding": "identity"}
        return self._get(url, headers, take, refusals)

    def _keep(self, url: str, answer: requests.Response) -> None:
        folder = Path(tempfile.gettempdir())
        with ExitStack() as closing:
            with disk.spoken(folder):
                body = closing.enter_context(tempfile.TemporaryFile())
            _saved(answer, body, folder, lambda _: None)
            with self._lock:
                if url not in self._bodies:
                    self._bodies[url] = body
                    closing.pop_all()  # from now on, forget closes it

    def _get(
        self,
        url: str,
        headers: dict[str, str],
        take: Callable[[requests.Response], T],
        refusals: frozenset[int] = frozenset(),
    ) -> T:
        """Return what ``take`` makes of the answer; on what may pass, try again."""
        if self._offline:
            raise outage.off(url)
        from requests import RequestException  # noqa: PLC0415 - 0.1 s that few commands need pay

        tries = 0
        while True:
            tries += 1
            wait = _BACKOFF_SECONDS * tries
            try:
                with self._send(url, headers) as answer:
                    status = answer.status_code
                    if status in {200, 206} | refusals:
                        return take(answer)
                    asked = answer.headers.get("Retry-After", "")
            except RequestException as error:
                if tries == _TRIES or not outage.may_pass(error):
                    raise outage.of_error(url, error) from error
            else:
                if tries == _TRIES or status not in _PASSING:
                    raise outage.of_status(url, status)
                wait = min(_PATIENCE_SECONDS, max(wait, int(asked) if asked.isdecimal() else 0))
            time.sleep(wait)

    def _send(self, url: str, headers: dict[str, str]) -> requests.Response:
        from mlenv.host import session  # noqa: PLC0415 - it imports requests

        with self._lock:
            self._sessions = self._sessions or session.Sessions(THREADS)
        login = self._credentials(url)
        return self._sessions.mine().get(
            url,
            headers=headers,
            auth=session.Basic(*login) if login else None,
            stream=True,
            timeout=_TIMEOUT_SECONDS,
        )


def _bounded(url: str, answer: requests.Response, limit: int) -> Iterator[bytes]:
    return body.pieces(answer, limit, lambda cause: outage.failed(url, cause))


def _saved(
    answer: requests.Response, file: IO[bytes], path: Path, progress: Callable[[int], None]
) -> str:
    """Write the body of ``answer`` to ``file``; return its SHA-256."""
    digest = hashlib.sha256()
    for chunk in _bounded(answer.url, answer, FILE_BYTES):
        digest.update(chunk)
        with disk.spoken(path):
            file.write(chunk)
        progress(len(chunk))
    with disk.spoken(path):
        file.flush()
    return digest.hexdigest()


def hash_differs(url: str, wanted: str, found: str) -> HostError:
    """Return the ``hash-differs`` about what lies at ``url``."""
    return HostError(
        Reason(
            code="hash-differs",
            what=f"{outage.shown(url)} is not the file that was locked",
            cause=f"its SHA-256 is {found}, not {wanted}",
            fix="find out who changed it; lock again only if you trust what is there now",
        )
    )
