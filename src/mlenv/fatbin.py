"""The GPU code that compiled bytes hold: read off fatbin headers and architecture flags.

nvcc puts machine code (SASS) and PTX into containers ("fatbins"): a header, then entries, each
with a header of its own that names the architecture. Only headers are looked at, so it does not
matter whether or how the code is compressed. Nothing here runs, unpacks or keeps code, and bytes
that are no fatbin after all cost nothing but time.

    container   magic, u16 version, u16 header bytes, u64 payload bytes
    entry       u16 kind (1 PTX, 2 SASS), u16 version, u32 header bytes, u64 payload bytes, …,
                at 28: u32 architecture, …, at 40: u64 flags

Source: no document of NVIDIA says this. Read off what nvcc 13.0.88 makes of one kernel for
``sm_90``, ``sm_90a``, ``sm_100``, ``sm_100a``, ``sm_100f`` and ``sm_103a`` (2026-11-22); what it
finds in torch 2.15.0 and xformers 0.0.35 is what these declare.
"""

from __future__ import annotations

import re
import struct
from typing import Final

_MAGIC: Final = b"\x50\xed\x55\xba"
_CONTAINER = struct.Struct("<4sHHQ")
_ENTRY = struct.Struct("<HHIQ12xI8xQ")
_HEADER_BYTES = 4096
"""The longest header of an entry that is believed; those seen have 64 to 112."""
_KINDS = {1: "compute", 2: "sm"}
_ONLY, _FAMILY = 1 << 20, 1 << 21
"""Flags: code for exactly this architecture (``sm_90a``), or for its family (``sm_100f``)."""

_NAME = rb"(?:sm|compute)_[1-9]\d{1,2}[af]?"
_RUN = re.compile(_NAME + rb"(?: " + _NAME + rb")*\0")
_RUN_BYTES = 512
"""The longest run of flags that is found where two chunks meet."""


class Fatbins:
    """Finds the code in a stream of bytes; it keeps a few bytes of it, whatever comes."""

    def __init__(self) -> None:
        """Begin at the first byte."""
        self.found: set[str] = set()
        """``sm_90``, ``compute_80`` …"""
        self._rest = b""
        self._skip = 0
        self._left = 0
        """Bytes of the container that are still to come; 0 outside of one."""

    def feed(self, chunk: bytes) -> None:
        """Look at the bytes that follow."""
        if self._skip >= len(chunk) and not self._rest:
            self._skip -= len(chunk)
            return
        data, at = self._rest + chunk, 0
        while True:
            if self._skip:
                step = min(self._skip, len(data) - at)
                at, self._skip = at + step, self._skip - step
                if self._skip:
                    self._rest = b""
                    return
            begin = self._entry(data, at) if self._left else self._container(data, at)
            if begin is None:
                return
            at = begin

    def _container(self, data: bytes, at: int) -> int | None:
        """Return where to go on, at a container's first entry if there is one; None for later."""
        found = data.find(_MAGIC, at)
        if found < 0 or len(data) - found < _CONTAINER.size:
            self._rest = data[max(at, len(data) - len(_MAGIC) + 1) if found < 0 else found :]
            return None
        _, version, header, payload = _CONTAINER.unpack_from(data, found)
        if header != _CONTAINER.size or version not in {1, 2} or not payload:
            return found + len(_MAGIC)
        self._left = payload
        return found + _CONTAINER.size

    def _entry(self, data: bytes, at: int) -> int | None:
        """Return where an entry's payload begins; None where its header is not all there yet."""
        if self._left < _ENTRY.size:
            self._left = 0
            return at
        if len(data) - at < _ENTRY.size:
            self._rest = data[at:]
            return None
        kind, _, header, payload, arch, flags = _ENTRY.unpack_from(data, at)
        whole = header + payload
        if (
            kind not in _KINDS
            or not _ENTRY.size <= header <= _HEADER_BYTES
            or not 10 <= arch <= 999
            or whole > self._left
        ):
            self._left = 0  # no fatbin after all, or damaged: look for the next from here
            return at
        suffix = "a" if flags & _ONLY else "f" if flags & _FAMILY else ""
        self.found.add(f"{_KINDS[kind]}_{arch}{suffix}")
        self._left -= whole
        self._skip = whole
        return at


class Flags:
    """Finds the longest run of architecture flags, as ``torch.cuda.get_arch_list()`` gives it."""

    def __init__(self) -> None:
        """Begin at the first byte."""
        self.found: set[str] = set()
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Look at the bytes that follow."""
        data = self._rest + chunk
        at = min(
            each for each in (data.find(b"sm_"), data.find(b"compute_"), len(data)) if each >= 0
        )
        for run in _RUN.finditer(data, max(0, at)):
            names = {name.decode("ascii") for name in run[0].rstrip(b"\0").split()}
            self.found = max(self.found, names, key=len)
        self._rest = data[-_RUN_BYTES:]
