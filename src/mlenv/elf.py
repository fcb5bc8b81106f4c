"""Which shared libraries an ELF file asks the loader for, from a few parts of it.

A shared object says what it needs in its dynamic section: DT_NEEDED entries, which are offsets
into a string table. The file may be read lazily, and is not trusted: what is asked of it is
bounded, whatever its headers say. What it loads by itself later (``dlopen``) stands nowhere.

Source: System V ABI, "Object Files" and "Program Loading and Dynamic Linking" (ELF64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM_HEADERS = 512
DYNAMIC_BYTES = 1 << 20
LIBRARIES = 1024
NAME_BYTES = 4096

_MAGIC = b"\x7fELF"
_ORDERS = {1: "<", 2: ">"}
_CLASS64 = 2
_HEADER_BYTES = 64
_PROGRAM_BYTES = 56
_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _SONAME = 0, 1, 5, 14


class DamagedError(Exception):
    """It begins as an ELF file and is none; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What a shared object is called, and what it needs."""

    soname: str | None
    needed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def linked(read: Callable[[int, int], bytes]) -> Linked | None:
    """Return what an ELF64 file needs; None for any other file, and for one that is static.

    Args:
        read: start and stop -> the bytes between them, fewer where the file ends before.

    Raises:
        DamagedError: its headers point to what is not there, or to more than is believed.
    """
    head = read(0, _HEADER_BYTES)
    if head[:4] != _MAGIC or len(head) < _HEADER_BYTES or head[4] != _CLASS64:
        return None
    order = _ORDERS.get(head[5])
    if order is None:
        return None
    segments = _segments(read, head, order)
    dynamic = next((each for each in segments if each.kind == _DYNAMIC), None)
    if dynamic is None:
        return None
    tags = _tags(read, dynamic, order)
    if not any(tag in {_NEEDED, _SONAME} for tag, _ in tags):
        return Linked(soname=None, needed=())
    strings = _offset(segments, next((value for tag, value in tags if tag == _STRTAB), None))
    needed = [value for tag, value in tags if tag == _NEEDED]
    soname = next((value for tag, value in tags if tag == _SONAME), None)
    if len(needed) > LIBRARIES:
        raise DamagedError(f"it needs {len(needed)} libraries, more than is believed")
    return Linked(
        soname=None if soname is None else _name(read, strings + soname),
        needed=tuple(_name(read, strings + each) for each in needed),
    )


def _segments(read: Callable[[int, int], bytes], head: bytes, order: str) -> tuple[_Segment, ...]:
    (start,) = struct.unpack_from(f"{order}Q", head, 32)
    size, count = struct.unpack_from(f"{order}2H", head, 54)
    if size != _PROGRAM_BYTES or count > PROGRAM_HEADERS:
        raise DamagedError(f"it has {count} program headers of {size} bytes")
    table = _all(read, start, size * count)
    return tuple(
        _Segment(kind, offset, address, length)
        for kind, offset, address, length in struct.iter_unpack(f"{order}I4x2Q8xQ16x", table)
    )


def _tags(
    read: Callable[[int, int], bytes], dynamic: _Segment, order: str
) -> tuple[tuple[int, int], ...]:
    if dynamic.size > DYNAMIC_BYTES:
        raise DamagedError(f"its dynamic section has {dynamic.size} bytes")
    table = _all(read, dynamic.offset, dynamic.size - dynamic.size % 16)
    found = []
    for tag, value in struct.iter_unpack(f"{order}qQ", table):
        if tag == _NULL:
            break
        found.append((tag, value))
    return tuple(found)


def _offset(segments: tuple[_Segment, ...], address: int | None) -> int:
    """Return where in the file lies what is mapped to ``address``."""
    for each in segments:
        if (
            each.kind == _LOAD
            and address is not None
            and each.address <= address < each.address + each.size
        ):
            return each.offset + address - each.address
    raise DamagedError("its string table is not in it")


def _name(read: Callable[[int, int], bytes], start: int) -> str:
    text, end, _ = read(start, start + NAME_BYTES).partition(b"\0")
    if not end:
        raise DamagedError("a name in its string table has no end")
    return text.decode("utf-8", "replace")


def _all(read: Callable[[int, int], bytes], start: int, size: int) -> bytes:
    data = read(start, start + size)
    if len(data) != size:
        raise DamagedError("it is cut off")
    return data
