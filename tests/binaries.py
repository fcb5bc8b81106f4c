"""Compiled files of a few bytes: fatbins and shared objects, made without a compiler."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = {"compute": 1, "sm": 2}
SUFFIXES = {"": 0, "a": 1 << 20, "f": 1 << 21}
LOAD, DYNAMIC = 1, 2
BASE = 0x400000
"""Where a shared object's only segment is mapped."""


def entry(code: str, payload: bytes = b"\0" * 40, header: int = 64) -> bytes:
    """Return one entry of a fatbin: ``sm_90a`` or ``compute_80``."""
    kind, _, rest = code.partition("_")
    arch = rest.rstrip("af")
    flags = 0x11 | SUFFIXES[rest[len(arch) :]]
    head = struct.pack("<HHIQ12xI8xQ", KINDS[kind], 0x101, header, len(payload), int(arch), flags)
    return head.ljust(header, b"\0") + payload


def fatbin(*codes: str) -> bytes:
    """Return a container with an entry for each code."""
    payload = b"".join(entry(code) for code in codes)
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(payload)) + payload


def shared_object(
    needed: Sequence[str], *, soname: str = "", order: str = "<", middle: bytes = b""
) -> bytes:
    """Return an ELF64 file that needs libraries; its dynamic section lies after ``middle``."""
    table, places = b"\0", []
    for name in (*needed, soname):
        places.append(len(table))
        table += name.encode() + b"\0"
    strings_at = 64 + 2 * 56
    dynamic_at = strings_at + len(table) + len(middle)
    tags = [(1, place) for place in places[: len(needed)]]
    tags += [(14, places[-1])] if soname else []
    tags += [(5, BASE + strings_at), (0, 0)]
    dynamic = b"".join(struct.pack(f"{order}qQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)
    head = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]).ljust(12, b"\0")
    head += struct.pack(f"{order}2HI3QI6H", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack(f"{order}2I6Q", LOAD, 4, 0, BASE, BASE, size, size, 4096)
    at = BASE + dynamic_at
    linking = struct.pack(
        f"{order}2I6Q", DYNAMIC, 4, dynamic_at, at, at, len(dynamic), len(dynamic), 8
    )
    return head + load + linking + table + middle + dynamic
