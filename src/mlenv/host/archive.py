"""A zip archive on a server: its directory and single members, by range reads.

All that comes off the wire is checked and bounded: a hostile archive costs no more memory than
the limits here. It unpacks nothing to the disk, and knows no method but stored and deflate.

Source: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.14 and 4.3.15
(zip64), 4.3.16 (end record).
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlenv.host.http import Web

TAIL_BYTES = (1 << 16) + 22
"""The longest end record with its comment; most wheels' directories lie in it too."""
DIRECTORY_BYTES = 32 << 20
ENTRIES = 100_000
MEMBER_BYTES = 4 << 20

_LEAD_BYTES = 1 << 16
"""What is read before a directory: the metadata of most wheels lies there."""
_GAP_BYTES = 1 << 16
"""Members that lie closer to each other are read together."""
_SLACK_BYTES = 64
"""The extra field of a local header is seldom longer."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_UTF8 = 0x800
_ZIP64 = 1
STORED, DEFLATED = 0, 8
"""The methods that a wheel may pack its files with."""


class BrokenError(Exception):
    """The archive is not what a zip archive must be; its text says why."""


class Entry(NamedTuple):
    """One file of a directory."""

    size: int
    crc: int
    offset: int
    """Where its local header begins."""
    packed: int
    """The bytes that it takes in the archive."""
    method: int


class Source:
    """The bytes of a file on a server; what was read lately is not read again."""

    def __init__(self, web: Web, url: str, size: int, tail: bytes = b"") -> None:
        """Know the ``size`` of the file, and its last bytes."""
        self.size = size
        self.tail = tail
        self._web = web
        self._url = url
        self._spans = [(size - len(tail), tail)]

    @classmethod
    def opened(cls, web: Web, url: str) -> Self:
        """Read the end of the file.

        Raises:
            HostError: ``network-off``, ``network-failed``.
        """
        tail, size = web.tail(url, TAIL_BYTES)
        return cls(web, url, size, tail)

    def part(self, start: int, stop: int, lead: int = 0) -> memoryview:
        """Return the bytes from ``start`` to ``stop``; on a read, ``lead`` more before them.

        Raises:
            BrokenError: they are not all in the file.
            HostError: ``network-off``, ``network-failed``.
        """
        if not 0 <= start <= stop <= self.size:
            raise BrokenError("it points to bytes that it does not have")
        for begin, data in self._spans:
            if begin <= start and stop <= begin + len(data):
                return memoryview(data)[start - begin : stop - begin]
        begin = max(0, start - lead)
        data = self._web.range(self._url, begin, stop)
        self._spans = [self._spans[0], (begin, data)]
        return memoryview(data)[start - begin :]


def directory(source: Source) -> dict[str, Entry]:
    """Return name -> entry of all files of an archive; of two of one name, the later.

    Raises:
        BrokenError: it is no archive, or larger than the limits.
        HostError: ``network-off``, ``network-failed``.
    """
    count, size, offset = _end(source)
    if size > DIRECTORY_BYTES or count > ENTRIES:
        raise BrokenError(f"its directory of {count} files is larger than any wheel's")
    view = source.part(offset, offset + size, _LEAD_BYTES)
    entries, found, at = {}, 0, 0
    while at < size:
        if size - at < _ENTRY.size:
            raise BrokenError("its directory is cut off")
        fields = _ENTRY.unpack_from(view, at)
        name_bytes, extra_bytes, comment_bytes = fields[12:15]
        name_at = at + _ENTRY.size
        extra_at = name_at + name_bytes
        at = extra_at + extra_bytes + comment_bytes
        found += 1
        if fields[0] != b"PK\1\2" or at > size or found > ENTRIES:
            raise BrokenError("its directory is damaged")
        name = _name(bytes(view[name_at:extra_at]), fields[5])
        if not name.endswith("/"):
            packed, full, start = _wide(fields, view[extra_at : extra_at + extra_bytes])
            entries[name] = Entry(full, fields[9], start, packed, fields[6])
    if found & _FULL16 != count & _FULL16:
        raise BrokenError(f"its directory holds {found} files, not {count}")
    return entries


def members(source: Source, wanted: Mapping[str, Entry]) -> dict[str, bytes]:
    """Return name -> content of the ``wanted`` entries; neighbours cost one request.

    Raises:
        BrokenError: one is damaged, or larger than the limit.
        HostError: ``network-off``, ``network-failed``.
    """
    for name, entry in wanted.items():
        if max(entry.size, entry.packed) > MEMBER_BYTES:
            raise BrokenError(f"{name} has {entry.size} bytes, more than is read of one file")
    found = {}
    for start, stop, names in _runs(source, wanted):
        source.part(start, stop)
        found.update({name: _member(source, name, wanted[name]) for name in names})
    return found


def _end(source: Source) -> tuple[int, int, int]:
    """Return the number of files, and the size and the offset of the directory."""
    tail = source.tail
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise BrokenError("it has no end record, so it is no zip archive, or cut off")
    *_, count, size, offset, comment_bytes = _END.unpack_from(tail, at)
    if at + _END.size + comment_bytes != len(tail):
        # some readers would take a record within a comment for the real one, so none is trusted
        raise BrokenError("its end record is not at its end")
    end = source.size - len(tail) + at
    if count == _FULL16 or _FULL32 in {size, offset}:
        count, size, offset = _end64(source, end) or (count, size, offset)
    if offset + size > end:
        raise BrokenError("its directory does not lie before its end record")
    return count, size, offset


def _end64(source: Source, end: int) -> tuple[int, int, int] | None:
    if end < _LOCATOR.size:
        return None
    mark, _, at, _ = _LOCATOR.unpack(source.part(end - _LOCATOR.size, end))
    if mark != b"PK\6\7":
        return None
    fields = _END64.unpack(source.part(at, at + _END64.size))
    if fields[0] != b"PK\6\6":
        raise BrokenError("its zip64 end record is damaged")
    return fields[7], fields[8], fields[9]


def _name(raw: bytes, flags: int) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "cp437").partition("\0")[0]
    except UnicodeDecodeError as error:
        raise BrokenError("a name in its directory is no UTF-8") from error


def _wide(fields: tuple[int, ...], extra: memoryview) -> tuple[int, int, int]:
    """Return the packed size, the size and the offset of an entry.

    APPNOTE 4.5.3: the zip64 field holds only those that are full, in the order size, packed
    size, offset.
    """
    packed, size, offset = fields[10], fields[11], fields[18]
    if _FULL32 not in (packed, size, offset):
        return packed, size, offset
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64:
            field = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            try:
                size = next(wide) if size == _FULL32 else size
                packed = next(wide) if packed == _FULL32 else packed
                offset = next(wide) if offset == _FULL32 else offset
            except StopIteration:
                raise BrokenError("a zip64 field of its directory is too short") from None
            break
        at += 4 + length
    return packed, size, offset


def _runs(
    source: Source, wanted: Mapping[str, Entry]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the start and stop of what to read at once, and the names in it."""
    names: tuple[str, ...] = ()
    start = stop = 0
    for name in sorted(wanted, key=lambda name: wanted[name].offset):
        entry = wanted[name]
        ends = entry.offset + _LOCAL.size + len(name.encode()) + _SLACK_BYTES + entry.packed
        if names and entry.offset - stop > _GAP_BYTES:
            yield start, stop, names
            names = ()
        start = start if names else entry.offset
        stop = min(ends, source.size)
        names = (*names, name)
    if names:
        yield start, stop, names


def lead(head: memoryview | bytes, name: str) -> int:
    """Return how many bytes of ``head``, where an entry's offset points, lie before its content.

    Raises:
        BrokenError: no file begins there.
    """
    if len(head) < _LOCAL.size or bytes(head[:4]) != b"PK\3\4":
        raise BrokenError(f"{name} does not begin where its directory says")
    header = _LOCAL.unpack_from(head)
    return int(_LOCAL.size + header[9] + header[10])


def unknown_method(name: str, entry: Entry) -> BrokenError:
    """Return what is said of a file that is packed otherwise than wheels are."""
    return BrokenError(f"{name} is packed with method {entry.method}, which no wheel may use")


def _member(source: Source, name: str, entry: Entry) -> bytes:
    start = entry.offset + lead(source.part(entry.offset, entry.offset + _LOCAL.size), name)
    packed = source.part(start, start + entry.packed)
    if entry.method == STORED:
        data = bytes(packed)
    elif entry.method == DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise BrokenError(f"{name} is damaged ({error})") from error
    else:
        raise unknown_method(name, entry)
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise BrokenError(f"{name} is damaged (its checksum differs)")
    return data
