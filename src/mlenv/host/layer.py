"""One layer of an image: a tar archive, gzipped, whose bytes say nothing of who wrote it.

Owner, times and modes are fixed, and the compressor is pinned with its level: what is put in, and
in which order, decides every byte. Nothing is held but one block, so a file may be of any size.
What belongs in a layer is no business of this room.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from typing import IO

EPOCH: Final = 315532800
"""The time of everything in a layer: 1980-01-01, the oldest that a zip archive can hold."""

_LEVEL = 2
"""Of ISA-L's compressor.

Levels 0 to 2 give the same bytes on every x86-64 processor that has SSE 4.2 (so all since 2008);
level 3 does not. Source: isal 1.9.1 under QEMU as Nehalem, Westmere, SandyBridge, Haswell and
`max`, and on an AMD EPYC, 2026-11-22; Conroe, which lacks SSE 4.2, differs at every level below 3.
"""
_BLOCK_BYTES = 1 << 20
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952, 2.3: deflate, no name, no time, unknown system."""
_SECTOR_BYTES = 512
_RECORD_BYTES = tarfile.RECORDSIZE
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A finished layer."""

    digest: str
    """Of the compressed bytes: what a manifest names."""
    diff_id: str
    """Of the tar archive: what an image's config names."""
    size: int
    """Compressed bytes."""
    unpacked: int
    """Bytes of the tar archive."""


class Readable(Protocol):
    """What a file's content is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class LayerWriter:
    """A layer while it is written; its paths are those in the image, from ``/``.

    Folders above a path are made as they are needed, 0755 of root, each once. Of two things at one
    path the first stays: with a fixed order, that is the same each time.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Write to ``out``, which stays open."""
        from isal import isal_zlib  # noqa: PLC0415 - a shared library that only this needs

        self._out = out
        self._deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        self._crc32 = isal_zlib.crc32
        self._crc = 0
        self._tar = hashlib.sha256()
        self._gzip = hashlib.sha256()
        self._unpacked = self._size = 0
        self._block = bytearray()
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._emit(_HEADER)

    def add_file(self, path: str, size: int, stream: Readable, *, executable: bool = False) -> bool:
        """Write a file of just ``size`` bytes; return False where something lies there already.

        Raises:
            ValueError: the path is no plain one, or ``stream`` ends too early.
        """
        info = self._info(path, tarfile.REGTYPE, 0o755 if executable else 0o644)
        info.size = size
        if not self._place(info.name):
            return False
        self._put(_header(info))
        left = size
        while left:
            data = stream.read(min(left, _BLOCK_BYTES - len(self._block)))
            if not data:
                raise ValueError(f"{path} ends {left} bytes too early")
            left -= len(data)
            self._put(data)
        self._put(bytes(-size % _SECTOR_BYTES))
        return True

    def add_bytes(self, path: str, data: bytes, *, executable: bool = False) -> bool:
        """Write a file; return False where something lies there already."""
        return self.add_file(path, len(data), io.BytesIO(data), executable=executable)

    def add_link(self, path: str, target: str) -> bool:
        """Write a symbolic link; return False where something lies there already."""
        info = self._info(path, tarfile.SYMTYPE, 0o777)
        info.linkname = target
        if not self._place(info.name):
            return False
        self._put(_header(info))
        return True

    def add_folder(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> bool:
        """Write a folder; return False where something lies there already."""
        info = self._info(path, tarfile.DIRTYPE, mode)
        info.uid, info.gid = uid, gid
        if info.name in self._folders or info.name in self._files:
            return False
        self._make_parents(info.name)
        self._folders.add(info.name)
        self._put(_header(info))
        return True

    def close(self) -> Layer:
        """Write the end, and return what the layer is."""
        # POSIX.1-2024, pax: two sectors of zeros end it, and the last record is filled with zeros.
        self._put(bytes(2 * _SECTOR_BYTES))
        self._put(bytes(-(self._unpacked + len(self._block)) % _RECORD_BYTES))
        self._compress()
        self._emit(self._deflate.flush())
        self._emit(self._crc.to_bytes(4, "little"))
        self._emit((self._unpacked & _FULL32).to_bytes(4, "little"))
        return Layer(
            digest=f"sha256:{self._gzip.hexdigest()}",
            diff_id=f"sha256:{self._tar.hexdigest()}",
            size=self._size,
            unpacked=self._unpacked,
        )

    @staticmethod
    def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
        name = PurePosixPath(path)
        if not name.is_absolute() or ".." in name.parts or str(name) != path or "\0" in path:
            raise ValueError(f"{path!r} is no plain path from the root of an image")
        info = tarfile.TarInfo(path[1:])
        info.type, info.mode, info.mtime = kind, mode, EPOCH
        return info

    def _place(self, name: str) -> bool:
        """Make the way to ``name``; False where something lies there."""
        if name in self._files or name in self._folders:
            return False
        self._make_parents(name)
        self._files.add(name)
        return True

    def _make_parents(self, name: str) -> None:
        above = name.rpartition("/")[0]
        if not above or above in self._folders:
            return
        if above in self._files:
            raise ValueError(f"/{above} is a file, so nothing can lie below it")
        self.add_folder(f"/{above}")

    def _put(self, data: bytes) -> None:
        """Take bytes of the tar archive.

        What the compressor gives depends on how its input is cut, so it is always cut alike.
        """
        while len(self._block) + len(data) >= _BLOCK_BYTES:
            room = _BLOCK_BYTES - len(self._block)
            self._block += data[:room]
            data = data[room:]
            self._compress()
        self._block += data

    def _compress(self) -> None:
        data, self._block = self._block, bytearray()
        self._tar.update(data)
        self._crc = self._crc32(data, self._crc)
        self._unpacked += len(data)
        self._emit(self._deflate.compress(data))

    def _emit(self, data: bytes) -> None:
        self._gzip.update(data)
        self._size += len(data)
        self._out.write(data)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
