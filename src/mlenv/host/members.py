"""One file inside a wheel on a server, from its beginning and as far as somebody asks.

Members of a wheel are deflated, so that what lies at an offset is known only by unpacking all
before it. Here they come as a stream, or are kept in a temporary file up to where was read. The
memory is some twenty megabytes, whatever the member's size.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from mlenv.host import archive, disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from mlenv.host.http import Web

PART_BYTES = 4 << 20
"""The most that is asked for at once."""
AHEAD = 4
"""How many parts are on their way while one is worked on: one connection alone is slow."""
_FIRST_BYTES = 1 << 18
_HEAD_BYTES = 1 << 10
"""More than a local header takes, as a rule."""
_INPUT_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20
"""The longest chunk that unpacking yields."""
SPOOL_BYTES = 4 << 20
"""What of a member that is read by offsets is kept in memory; the rest is on disk."""


class Member(NamedTuple):
    """One file of a wheel on a server."""

    url: str
    """Where the wheel lies."""
    size: int
    """The bytes of the wheel."""
    name: str
    """What the file is called, for a complaint."""
    entry: archive.Entry


def _nobody(_: int) -> None:
    """Tell nobody."""


def chunks(web: Web, member: Member, *, got: Callable[[int], None] = _nobody) -> Iterator[bytes]:
    """Yield the content of a member in chunks; who stops early reads no more of the network.

    Args:
        web: the network.
        member: what to read.
        got: is told the bytes of each part that came.

    Raises:
        archive.BrokenError: it is damaged; its checksum is looked at where all of it was read.
        HostError: ``network-off``, ``network-failed``.
    """
    name, entry = member.name, member.entry
    told = crc = 0
    for chunk in _unpacked(_parts(web, member, got), name, entry):
        told, crc = told + len(chunk), zlib.crc32(chunk, crc)
        if told > entry.size:
            raise archive.BrokenError(f"{name} is longer than its directory says")
        yield chunk
    if (told, crc) != (entry.size, entry.crc):
        raise archive.BrokenError(f"{name} is damaged (its checksum differs)")


def _parts(web: Web, member: Member, got: Callable[[int], None]) -> Iterator[bytes]:
    """Yield a member as it is packed; the next part is on its way while one is worked on."""
    url, size, name, entry = member
    begin = min(entry.offset, size)
    first = web.range(url, begin, min(size, begin + min(_FIRST_BYTES, entry.packed + _HEAD_BYTES)))
    got(len(first))
    head = archive.lead(first, name)
    stop = min(size, begin + head + entry.packed)
    if head <= len(first):
        yield first[head : head + entry.packed]
    spans = _spans(max(begin + head, begin + len(first)), stop)
    if not spans:
        return
    coming: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(min(AHEAD, len(spans))) as pool:
        try:
            while coming or spans:
                while spans and len(coming) < AHEAD:
                    coming.append(pool.submit(web.range, url, *spans.popleft()))
                part = coming.popleft().result()
                got(len(part))
                yield part
        finally:
            for each in coming:
                each.cancel()


def _spans(start: int, stop: int) -> deque[tuple[int, int]]:
    size, spans = _FIRST_BYTES, deque[tuple[int, int]]()
    while start < stop:
        spans.append((start, min(stop, start + size)))
        start, size = spans[-1][1], min(size * 2, PART_BYTES)
    return spans


def _unpacked(parts: Iterator[bytes], name: str, entry: archive.Entry) -> Iterator[bytes]:
    if entry.method == archive.STORED:
        yield from parts
        return
    if entry.method != archive.DEFLATED:
        raise archive.unknown_method(name, entry)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for part in parts:
            for at in range(0, len(part), _INPUT_BYTES):
                waiting = part[at : at + _INPUT_BYTES]
                while waiting:
                    yield unpack.decompress(waiting, CHUNK_BYTES)
                    waiting = unpack.unconsumed_tail
        while rest := unpack.decompress(b"", CHUNK_BYTES):
            yield rest
    except zlib.error as error:
        raise archive.BrokenError(f"{name} is damaged ({error})") from error


class Reader:
    """A member that is read by offsets: unpacked as far as was asked, and kept that far."""

    def __init__(self, content: Iterator[bytes], limit: int) -> None:
        """Know the ``content``; beyond ``limit`` bytes of it nothing is read."""
        self._content = content
        self._limit = limit
        self._size = 0
        self._folder = Path(tempfile.gettempdir())
        self._kept: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (closed by __exit__)
            SPOOL_BYTES
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was kept."""
        self._kept.close()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; fewer where the member or the limit ends.

        Raises:
            archive.BrokenError: it is damaged.
            HostError: ``network-off``, ``network-failed``, ``disk-failed``.
        """
        stop = min(stop, self._limit)
        while self._size < stop:
            chunk = next(self._content, None)
            if chunk is None:
                break
            with disk.spoken(self._folder):
                self._kept.seek(self._size)
                self._kept.write(chunk)
            self._size += len(chunk)
        self._kept.seek(start)
        return self._kept.read(max(0, min(stop, self._size) - start))
