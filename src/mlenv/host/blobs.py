"""The layers on this machine: blobs named by their digest, and which recipe gave which.

A record says what a key's layer is; it is believed only where the blob lies there with its length.
Whatever is damaged, cut off or gone is written anew. A blob appears whole or not at all, though
several programs write the same one, or one of them is killed. Nothing is fetched here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.host import disk, swap
from mlenv.host.layer import Layer, LayerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Blobs", "Kept", "Layer", "LayerWriter"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_READ_BYTES = 1 << 20
_SETTLED_SECONDS = 60.0
"""A file this old has its lock, if anybody writes to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A blob that lies in the store."""

    digest: str
    size: int
    used: float
    """When it was last asked for, in seconds since 1970."""


class Blobs:
    """The store below ``folder``; threads and programs may share it."""

    def __init__(self, folder: Path) -> None:
        """Know the folder; it need not exist."""
        self._blobs = folder / "blobs" / "sha256"
        self._records = folder / "layers"

    def path(self, digest: str) -> Path:
        """Return where the blob of ``digest`` lies, or would lie.

        Raises:
            ValueError: it is no digest by SHA-256.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256 digest")
        return self._blobs / digest.removeprefix("sha256:")

    def layer(self, key: str) -> Layer | None:
        """Return the layer of ``key``, and note its use; None where there is none, or none whole.

        Only its length is looked at; ``whole`` reads it all.
        """
        record = self._record(key)
        try:
            found = _parsed(record.read_bytes())
            blob = self.path(found.digest)
            if blob.stat().st_size != found.size:
                return None
            for each in (record, blob):
                os.utime(each)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    def keep(self, key: str, write: Callable[[LayerWriter], None]) -> Layer:
        """Return the layer of ``key``; where it is not there, let ``write`` write it.

        Args:
            key: the SHA-256, in hexadecimal, of all that decides the layer's bytes.
            write: puts everything into the layer; what it raises ends the matter, and leaves
                nothing behind.

        Raises:
            HostError: ``disk-failed``.
        """
        if found := self.layer(key):
            return found
        with disk.spoken(self._blobs):
            self._blobs.mkdir(parents=True, exist_ok=True)
            made = self._written(write)
            data = json.dumps(asdict(made), indent=1).encode()
            self._records.mkdir(parents=True, exist_ok=True)
            swap.put(self._record(key), data, durable=False)
        return made

    def whole(self, layer: Layer) -> bool:
        """Tell whether the blob of ``layer`` has its content, by reading it all."""
        hashed = hashlib.sha256()
        try:
            with self.path(layer.digest).open("rb") as blob:
                while data := blob.read(_READ_BYTES):
                    hashed.update(data)
        except OSError:
            return False
        return f"sha256:{hashed.hexdigest()}" == layer.digest

    def kept(self) -> tuple[Kept, ...]:
        """Return what lies there, the longest unused first."""
        found = []
        for path in _files(self._blobs):
            if _KEY.fullmatch(path.name):
                with suppress(FileNotFoundError):  # another program removes it
                    state = path.stat()
                    digest = f"sha256:{path.name}"
                    found.append(Kept(digest=digest, size=state.st_size, used=state.st_mtime))
        return tuple(sorted(found, key=lambda each: (each.used, each.digest)))

    def remove(self, digests: Iterable[str]) -> int:
        """Remove blobs, their records and what a killed program left; return the bytes freed.

        Raises:
            HostError: ``disk-failed``.
        """
        with disk.spoken(self._blobs):
            freed = sum(_removed(self.path(each)) for each in digests)
            freed += sum(_removed(each) for each in self._abandoned())
            for record in _files(self._records):
                if _KEY.fullmatch(record.stem) and self._orphaned(record):
                    _removed(record)
        return freed

    def _record(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a layer")
        return self._records / f"{key}.json"

    def _written(self, write: Callable[[LayerWriter], None]) -> Layer:
        # The lock tells others that somebody still writes here; it goes with its holder.
        with tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".part-", delete=False) as part:
            made = None
            try:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                writer = LayerWriter(part)
                write(writer)
                made = writer.close()
                part.flush()
                os.fchmod(part.fileno(), 0o644)
                Path(part.name).replace(self.path(made.digest))
            finally:
                if made is None:
                    Path(part.name).unlink(missing_ok=True)
        return made

    def _abandoned(self) -> Iterator[Path]:
        for path in _files(self._blobs):
            if not path.name.startswith(".part-"):
                continue
            with suppress(OSError), path.open("rb") as part:  # locked by who writes, or gone
                if time.time() - os.fstat(part.fileno()).st_mtime < _SETTLED_SECONDS:
                    continue
                fcntl.flock(part, fcntl.LOCK_SH | fcntl.LOCK_NB)
                yield path

    def _orphaned(self, record: Path) -> bool:
        try:
            return not self.path(_parsed(record.read_bytes()).digest).exists()
        except (OSError, ValueError, KeyError, TypeError):
            return True


def _parsed(data: bytes) -> Layer:
    said = json.loads(data)
    digest, diff_id = str(said["digest"]), str(said["diff_id"])
    if not _DIGEST.fullmatch(digest) or not _DIGEST.fullmatch(diff_id):
        raise ValueError("it names no digest")
    size, unpacked = int(said["size"]), int(said["unpacked"])
    return Layer(digest=digest, diff_id=diff_id, size=size, unpacked=unpacked)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()


def _removed(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size
