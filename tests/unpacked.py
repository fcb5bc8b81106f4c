"""Wheels made for a test, and layers read back: what tests of unpacking and bytecode share."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archives import core_metadata, pack_wheel
from mlenv.host.bytecode import Bytecode
from mlenv.host.layer import LayerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
VERSION = f"{MINOR}.{sys.version_info[2]}"


def own_bytecode(*, hash_seed: str = "0") -> Bytecode:
    """Return the interpreter of the tests, as one that compiles."""
    return Bytecode(python=VERSION, argv=(sys.executable,), env={"PYTHONHASHSEED": hash_seed})


@dataclass(frozen=True, slots=True)
class Thing:
    """What lies at a path of a layer."""

    mode: int
    content: bytes | None = None
    target: str = ""


def things(write: Callable[[LayerWriter], object]) -> dict[str, Thing]:
    """Return path -> what ``write`` puts there; folders left out."""
    out = io.BytesIO()
    writer = LayerWriter(out)
    write(writer)
    writer.close()
    found = {}
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        for each in archive:
            if each.isdir():
                continue
            stream = archive.extractfile(each) if each.isreg() else None
            content = stream.read() if stream else None
            found[f"/{each.name}"] = Thing(each.mode, content, each.linkname)
    return found


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str = "My.Pkg",
    change: Callable[[zipfile.ZipInfo], None] = lambda _: None,
) -> Path:
    """Write a wheel of version 1.0; ``change`` alters what its directory says of each file."""
    metadata = core_metadata(name, "1.0", [], ">=3.9")
    filename, packed = pack_wheel(name, "1.0", "py3-none-any", metadata, files)
    path = folder / filename
    with zipfile.ZipFile(io.BytesIO(packed)) as plain, zipfile.ZipFile(path, "w") as altered:
        for info in plain.infolist():
            data = plain.read(info)
            change(info)
            altered.writestr(info, data)
    return path


def record_hash(data: bytes) -> str:
    """Return what RECORD says of ``data``."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
