"""What a shared object says it needs, read from its dynamic section; 64-bit ELF of this byte order.

No program is run for it: a slim image has no ``readelf``.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _SIZE, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29
_ROW = 56
_MOST = 1 << 24
"""Bytes of a dynamic section or its names; what says more is no object we know."""


class Wants(NamedTuple):
    """The dynamic section in words."""

    soname: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


def read(path: str) -> Wants | None:
    """Return what an object wants, or nothing for what is none (a linker script is called so too).

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _wants(file)
        except (struct.error, ValueError):
            return None


def _wants(file: BinaryIO) -> Wants | None:
    head = file.read(64)
    if head[:6] != b"\x7fELF\x02\x01":
        return None
    at, size, count = struct.unpack_from("<Q14xHH", head, 32)
    if size != _ROW:
        return None
    file.seek(at)
    table = file.read(size * count)
    rows = [struct.unpack_from("<II6Q", table, size * index) for index in range(count)]
    dynamic = [row for row in rows if row[0] == _DYNAMIC and row[5] < _MOST]
    if not dynamic:
        return Wants("", (), (), ())
    file.seek(dynamic[0][2])
    data = file.read(dynamic[0][5])
    pairs = [struct.unpack_from("<qQ", data, at) for at in range(0, len(data) - 15, 16)]
    ends = [index for index, (tag, _) in enumerate(pairs) if tag == 0]
    pairs = pairs[: ends[0]] if ends else pairs
    one = dict(pairs)
    texts = _texts(file, rows, one)
    return Wants(
        soname=_text(texts, one.get(_SONAME)),
        needed=tuple(_text(texts, value) for tag, value in pairs if tag == _NEEDED),
        rpath=_folders(_text(texts, one.get(_RPATH))),
        runpath=_folders(_text(texts, one.get(_RUNPATH))),
    )


def _texts(file: BinaryIO, rows: list[tuple[int, ...]], one: dict[int, int]) -> bytes:
    address, size = one.get(_STRINGS, 0), one.get(_SIZE, 0)
    for kind, _, offset, virtual, _, held, _, _ in rows:
        if kind == _LOAD and virtual <= address < virtual + held:
            file.seek(offset + address - virtual)
            return file.read(min(size or virtual + held - address, _MOST))
    return b""


def _text(texts: bytes, at: int | None) -> str:
    return "" if at is None else texts[at : texts.find(b"\0", at)].decode()


def _folders(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(":") if each)
