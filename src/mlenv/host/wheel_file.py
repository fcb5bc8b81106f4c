"""A wheel on the disk, opened for an installer: each byte is checked on its way out.

Its hash was checked by whoever fetched it. Here what it says of itself must hold: sizes,
checksums, RECORD. A path that leaves its folder, a link, a second file of one name and a zip bomb
are refused before anything is read. What a wheel's files mean is no business of this room.
"""

from __future__ import annotations

import base64
import hashlib
import io
import stat
import zipfile
from functools import cached_property
from typing import TYPE_CHECKING, cast

from installer.records import RecordEntry, parse_record_file
from installer.sources import WheelFile

from mlenv.host import archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from installer.sources import WheelContentElement

RATIO = 250
"""What all of a wheel may unpack to, as a multiple of itself; CUDA's libraries reach 6."""
FREE_BYTES = 256 << 20
"""What any wheel may unpack to."""

_ENCRYPTED = 0x1
_STRONG = frozenset({"sha256", "sha384", "sha512"})
"""Binary distribution format, "RECORD": SHA-256 or better; MD5 and SHA-1 are not permitted."""
_OURS = frozenset({"INSTALLER", "REQUESTED"})
"""Files of ``.dist-info`` that an installer writes, whatever the wheel has."""


class Member(io.RawIOBase):
    """A file of a wheel, read once from its beginning to its end."""

    def __init__(self, name: str, size: int, stream: BinaryIO, record: RecordEntry | None) -> None:
        """Know what the archive's directory and RECORD say of it."""
        self.name = name
        self.size = size
        self._stream = stream
        self._record = record
        hashed = record.hash_.name if record and record.hash_ else "sha256"
        self._said = hashlib.new(hashed)
        self._own = self._said if hashed == "sha256" else hashlib.sha256()
        self._ahead = b""
        self._left = size

    def head(self, size: int) -> bytes:
        """Return the first bytes, which stay there to be read."""
        self._ahead = self._next(min(size, self._left))
        return self._ahead

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes; all that are left, if it is negative.

        Raises:
            BrokenError: the bytes are not those that the wheel says.
        """
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead if size >= 0 else ahead + self._next(self._left)
        return self._next(self._left if size < 0 else min(size, self._left))

    def finish(self) -> tuple[str, int]:
        """Return the SHA-256, as RECORD has it, and the size; after all was read.

        Raises:
            BrokenError: it has more bytes, or others, than the wheel says.
        """
        if self._left or self._stream.read(1):
            raise archive.BrokenError(f"{self.name} has not the size that its directory says")
        said = self._record
        if said and said.size is not None and said.size != self.size:
            raise archive.BrokenError(f"{self.name} has {self.size} bytes; RECORD says {said.size}")
        if said and said.hash_ and said.hash_.value.rstrip("=") != _text(self._said.digest()):
            raise archive.BrokenError(f"{self.name} is not the file that RECORD hashes")
        return _text(self._own.digest()), self.size

    def _next(self, size: int) -> bytes:
        data = self._stream.read(size) if size else b""
        if size and not data:
            raise archive.BrokenError(f"{self.name} is shorter than its directory says")
        self._left -= len(data)
        self._said.update(data)
        if self._own is not self._said:
            self._own.update(data)
        return data


class CheckedWheel(WheelFile):
    """A wheel whose members can be trusted to be what it says they are.

    They come sorted by name. Bytecode that a wheel brings is left out: nobody can see what it does.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        """Check the directory of the archive.

        Raises:
            BrokenError: no wheel has such a directory.
        """
        super().__init__(file)
        self._members = _members(file)

    @property
    def data_dir(self) -> str:
        """The folder of files that go elsewhere: beside ``.dist-info``, and spelt like it."""
        return f"{self.dist_info_dir.removesuffix('.dist-info')}.data"

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of ``site-packages`` that the archive names itself; they may be empty."""
        names = (
            each.orig_filename.rstrip("/") for each in self._zipfile.infolist() if each.is_dir()
        )
        elsewhere = {self.data_dir, "__pycache__"}
        return tuple(sorted(name for name in names if not elsewhere & set(name.split("/"))))

    def get_contents(self) -> Iterator[WheelContentElement]:
        """Yield each file, to be read to its end and finished before the next."""
        left_out = {f"{self.dist_info_dir}/{name}" for name in _OURS}
        for name in sorted(self._members):
            if name in left_out or "__pycache__" in name.split("/")[:-1]:
                continue
            info = self._members[name]
            with self._zipfile.open(info) as stream:
                member = Member(name, info.file_size, cast("BinaryIO", stream), self._said(name))
                executable = bool((info.external_attr >> 16) & 0o111)
                yield (name, "", ""), cast("BinaryIO", member), executable

    def _said(self, name: str) -> RecordEntry | None:
        """Return the line of RECORD; a file without one is taken, as pip and uv do."""
        return self._entries.get(name)

    @cached_property
    def _entries(self) -> dict[str, RecordEntry]:
        found = {}
        for row in parse_record_file(self.read_dist_info("RECORD").splitlines()):
            entry = RecordEntry.from_elements(*row)
            if entry.hash_ and entry.hash_.name not in _STRONG:
                raise archive.BrokenError(f"RECORD hashes {entry.path} with {entry.hash_.name}")
            found[entry.path] = entry
        return found


def _members(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return name -> member of all files.

    Raises:
        BrokenError: one is none that a wheel may have, or all are too much.
    """
    infos = file.infolist()
    if len(infos) > archive.ENTRIES:
        raise archive.BrokenError(f"it holds {len(infos)} files, more than any wheel")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _check(info)
        if info.is_dir():
            continue
        if info.filename in found:
            raise archive.BrokenError(f"it holds {info.filename} twice")
        found[info.filename] = info
    for name in found:
        parts = name.split("/")
        if above := next(
            (p for n in range(1, len(parts)) if (p := "/".join(parts[:n])) in found), ""
        ):
            raise archive.BrokenError(f"{above} is a file, and {name} lies below it")
    packed = sum(info.compress_size for info in found.values())
    whole = sum(info.file_size for info in found.values())
    size = _size(file)
    if packed > size or whole > max(FREE_BYTES, RATIO * size):
        raise archive.BrokenError(f"its {size} bytes would unpack to {whole}")
    return found


def _check(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    if {"", ".", ".."} & set(parts) or any(each < " " or each in "\\\x7f" for each in name):
        raise archive.BrokenError(f"{name!a} is no path that a wheel may hold")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG}:
        raise archive.BrokenError(f"{name} is a link or a device")
    if info.flag_bits & _ENCRYPTED:
        raise archive.BrokenError(f"{name} is encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise archive.BrokenError(
            f"{name} is packed with method {info.compress_type}, which no wheel may use"
        )


def _size(file: zipfile.ZipFile) -> int:
    raw = file.fp
    assert raw is not None  # noqa: S101 - it is open
    at = raw.tell()
    size = raw.seek(0, io.SEEK_END)
    raw.seek(at)
    return size


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
