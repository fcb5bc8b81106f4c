"""The layers of an image as tar streams: what is in them, one entry after the other, bounded.

A layer comes from a registry and is not trusted: a header that is larger than any path, a sparse
file, or a stream without an end is refused before it costs memory or time. It writes nothing, and
reads gzip and plain tar only.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar 1.34,
"Basic Tar Format" (long names, base-256 numbers).
"""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["file", "folder", "symlink", "hardlink", "other"]

HEADER_BYTES = 1 << 20
"""Of one extended header; a path has 4 KiB, and what else stands there is not read."""
UNPACKED_BYTES = 1 << 36
"""Of one layer."""

_BLOCK = 512
_CHUNK = 1 << 20
_KINDS: dict[bytes, Kind] = {
    **dict.fromkeys((b"0", b"\0", b"7"), "file"),
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "folder",
}
_EMPTY = frozenset(b"123456"[at : at + 1] for at in range(6))
"""Links, devices, folders, pipes: no content follows, whatever their size says."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class BrokenError(Exception):
    """The layer is not what a layer must be; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in a layer."""

    path: str
    """Below the root of the image, without ``./`` and slashes around it; the root itself is empty.

    An absolute name is one of the image, as engines read it.
    """
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str = ""
    """Of a symlink as it is written; of a hard link a path like ``path``."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Stream:
    """A tar stream, and how far it is read."""

    def __init__(self, source: _Readable) -> None:
        """Stand at the beginning."""
        self._source = source
        self._left = 0
        self._padding = 0
        self.unpacked = 0
        """Bytes read so far; at the end, those of the tar."""

    def read(self, size: int = _CHUNK) -> bytes:
        """Return the next bytes of the current entry; none at its end."""
        data = self._take(min(size, self._left))
        self._left -= len(data)
        return data

    def entries(self) -> Iterator[Entry]:
        """Yield each entry; its content is read before the next, or passed over.

        Raises:
            BrokenError: it is no tar, is cut off, or goes beyond the limits.
        """
        words: dict[str, str] = {}
        while (header := self._header()) is not None:
            kind = header[156:157]
            size = _number(header[124:136])
            self._left = 0 if kind in _EMPTY else size
            self._padding = -self._left % _BLOCK
            if kind in b"xgLK":
                words |= self._extended(kind, size)
                continue
            if kind == b"S" or any(each.startswith("GNU.sparse") for each in words):
                raise BrokenError("it has a sparse file, which no image tool writes")
            if "size" in words and kind not in _EMPTY:
                self._left = _number(words["size"].encode(), base=10)
                self._padding = -self._left % _BLOCK
            yield _entry(header, words, self._left)
            words = {}
        while self._take(_CHUNK, whole=False):
            pass

    def _header(self) -> bytes | None:
        while self.read():
            pass
        self._take(self._padding)
        self._padding = 0
        header = self._take(_BLOCK)
        if not header.strip(b"\0"):
            return None
        counted = sum(header[:148]) + 8 * 32 + sum(header[156:])
        said = header[148:156].strip(b" \0")
        if not said.isdigit() or said.lstrip(b"0") != b"%o" % counted:
            raise BrokenError("it is no tar archive, or damaged")
        return header

    def _extended(self, kind: bytes, size: int) -> dict[str, str]:
        if size > HEADER_BYTES:
            raise BrokenError(f"one of its headers has {size} bytes, more than any path needs")
        data = self.read(size)
        if kind == b"g":  # of the whole archive: a comment, in every layer there is
            return {}
        if kind in b"LK":
            return {"path" if kind == b"L" else "linkpath": _text(data.rstrip(b"\0"))}
        return dict(_records(data))

    def _take(self, size: int, *, whole: bool = True) -> bytes:
        try:
            data = self._source.read(size) if size else b""
        except (zlib.error, OSError, EOFError) as error:
            raise BrokenError(f"it cannot be unpacked ({error})") from error
        self.unpacked += len(data)
        if self.unpacked > UNPACKED_BYTES:
            raise BrokenError(f"it unpacks to more than {UNPACKED_BYTES >> 30} GiB")
        if whole and len(data) != size:
            raise BrokenError("it is cut off")
        return data


def opened(path: Path) -> Iterator[tuple[Stream, Entry]]:
    """Yield the stream of a layer's blob with each entry of it.

    Raises:
        BrokenError: as ``Stream.entries``; also for a compression that is not read here.
        OSError: the file cannot be read.
    """
    from isal import igzip  # noqa: PLC0415 (only where an image is looked into)

    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == _ZSTD:
            raise BrokenError("it is packed with zstd, which this mlenv does not read")
        if not magic.startswith(_GZIP):
            stream = Stream(raw)
            yield from ((stream, each) for each in stream.entries())
            return
        packed = igzip.IGzipFile(fileobj=raw, mode="rb")  # type: ignore[no-untyped-call]
        with closing(packed) as unpacked:
            stream = Stream(unpacked)
            yield from ((stream, each) for each in stream.entries())


def plain(path: str) -> str:
    """Return a path of an entry as the one that it is below the root.

    Raises:
        BrokenError: it leads out of the image.
    """
    parts = [each for each in path.split("/") if each not in {"", "."}]
    if ".." in parts or "\0" in path or len(path) > 4096:
        raise BrokenError(f"{path[:80]!r} leads out of the image")
    return "/".join(parts)


def _entry(header: bytes, words: dict[str, str], size: int) -> Entry:
    name = _text(header[:100].partition(b"\0")[0])
    # GNU's own format keeps other things where POSIX keeps the prefix of a path.
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].partition(b"\0")[0]):
        name = f"{_text(prefix)}/{name}"
    name = words.get("path", name)
    target = words.get("linkpath", _text(header[157:257].partition(b"\0")[0]))
    kind = _KINDS.get(header[156:157], "other")
    if kind == "file" and name.endswith("/"):  # "for backward compatibility": a folder
        kind = "folder"
    return Entry(
        path=plain(name),
        kind=kind,
        size=size,
        executable=bool(_number(header[100:108]) & 0o111),
        target=plain(target) if kind == "hardlink" else target[:4096],
    )


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of a pax header: ``LENGTH KEY=VALUE``, with a line end."""
    at = 0
    while at < len(data):
        length, space, _ = data[at : at + 12].partition(b" ")
        stop = at + (int(length) if length.isdigit() else 0)
        key, equals, value = data[at + len(length) + 1 : stop - 1].partition(b"=")
        if not space or not equals or not at < stop <= len(data):
            raise BrokenError("one of its extended headers is damaged")
        yield _text(key), _text(value)
        at = stop


def _number(field: bytes, *, base: int = 8) -> int:
    if field[:1] >= b"\x80":
        if field[0] & 0x40:
            raise BrokenError("it has a negative size")
        return int.from_bytes(bytes((field[0] & 0x3F,)) + field[1:], "big")
    text = field.strip(b" \0")
    if not text:
        return 0
    if not text.isdigit() or len(text) > 20 or (base == 8 and set(text) & set(b"89")):
        raise BrokenError("one of its headers has no number where it must have one")
    return int(text, base)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
