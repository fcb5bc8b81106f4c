"""A wheel, installed into a layer of an image: what ``uv pip install`` would leave, as a tar.

PyPA's ``installer`` reads the wheel; here its files get their places. No file is written to this
machine's disk, and no code of the wheel is run. The same files as uv 0.13.9 leaves, but for the
``RECORD`` and ``INSTALLER`` that each installer writes, bytecode that the wheel brings, and the
``pip3.12`` that uv makes of pip's ``pip3``.

Source of the places and texts: read off what uv 0.13.9 left of real and made-up wheels, 2026-11-22.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import posixpath
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, InvalidRecordEntry, RecordEntry
from installer.utils import construct_record_file
from packaging.utils import canonicalize_name

from mlenv.host import archive, wheels
from mlenv.host.wheel_file import CheckedWheel, Member

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from installer.scripts import ScriptSection
    from installer.utils import Scheme

    from mlenv.host.bytecode import Bytecode
    from mlenv.host.layer import LayerWriter

INSTALLER = b"mlenv\n"

_SHEBANG = b"#!python"
_SCRIPT_BYTES = 16 << 20
"""A script to be rewritten is held in memory; programs are not rewritten."""
_BROKEN = (
    *(archive.BrokenError, InstallerError, InvalidRecordEntry, zipfile.BadZipFile, zlib.error),
    *(EOFError, ValueError, KeyError, NotImplementedError, AssertionError, struct.error),
    *(configparser.Error, csv.Error),
)
"""What a damaged or hostile wheel makes ``zipfile`` and ``installer`` raise."""

_LAUNCHER = """\
#!{python}
# -*- coding: utf-8 -*-
import sys
from {module} import {name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({attr}())
"""


def unpack(
    wheel: Path,
    writer: LayerWriter,
    *,
    prefix: str = "/opt/venv",
    python: str = "3.12",
    bytecode: Bytecode | None = None,
) -> None:
    """Write all that installing ``wheel`` leaves to ``writer``.

    Args:
        wheel: under its own name, with the content that its hash names.
        writer: the layer. What an error leaves in it is of no use.
        prefix: the environment, in the image.
        python: as in ``lib/pythonX.Y``; ``3.14t`` where it is free-threaded.
        bytecode: compiles the modules; None leaves that to each start of a program.

    Raises:
        HostError: ``wheel-unreadable``; and what ``bytecode`` raises.
    """
    try:
        with CheckedWheel.open(wheel) as source:
            assert isinstance(source, CheckedWheel)  # noqa: S101 - what `open` of a class gives
            places = _Places(source, writer, prefix, python)
            install(source, places, {"INSTALLER": INSTALLER, "REQUESTED": b""})
            places.write_folders(source.folders)
            modules = places.modules
    except _BROKEN as error:
        cause = (
            error if isinstance(error, archive.BrokenError) else archive.BrokenError(_said(error))
        )
        raise wheels.unreadable(wheel.name, cause) from error
    if bytecode:
        for path, code in bytecode.compiled(wheel, modules):
            writer.add_bytes(path, code)


class _Places(WheelDestination):
    """Where the files of one wheel go."""

    def __init__(self, source: CheckedWheel, writer: LayerWriter, prefix: str, python: str) -> None:
        site = f"{prefix}/lib/python{python}/site-packages"
        # uv 0.13.9: the folder of headers has the normalised name.
        headers = f"{prefix}/include/site/python{python}/{canonicalize_name(source.distribution)}"
        self._site = site
        self._folders = {
            "purelib": site,
            "platlib": site,
            "headers": headers,
            "scripts": f"{prefix}/bin",
            "data": prefix,
        }
        self._interpreter = f"{prefix}/bin/python"
        self._writer = writer
        self._launchers: set[str] = set()
        self._written: set[str] = set()
        self.modules: dict[str, str] = {}
        """Path as installed -> member, of what can be compiled."""

    def write_script(
        self, name: str, module: str, attr: str, section: ScriptSection
    ) -> RecordEntry:
        """Write what starts an entry point."""
        del section  # a program with a window is started alike, but on Windows
        if name in {"", ".", ".."} or any(each < " " or each in "/\\\x7f" for each in name):
            raise archive.BrokenError(f"{name!a} is no name of a program")
        start = attr.partition(".")[0]
        text = _LAUNCHER.format(
            python=self._interpreter, module=module, name=start, attr=attr
        ).encode()
        self._launchers.add(f"{self._folders['scripts']}/{name}")
        return self._put_bytes("scripts", name, text, executable=True)

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 (the interface is PyPA's)
    ) -> RecordEntry:
        """Write one file of the wheel, or one of the installer's own."""
        path = str(path)
        if not isinstance(stream, Member):
            return self._put_bytes(scheme, path, stream.read(), executable=is_executable)
        if scheme == "scripts":
            return self._put_script(path, stream)
        return self._put_member(scheme, path, stream, executable=is_executable)

    def finalize_installation(
        self,
        scheme: Scheme,
        record_file_path: str,
        records: Iterable[tuple[Scheme, RecordEntry]],
    ) -> None:
        """Write RECORD."""
        rows: dict[str, tuple[Scheme, RecordEntry]] = {}
        for each, entry in records:
            path = posixpath.relpath(f"{self._folders[each]}/{entry.path}", self._site)
            rows.setdefault(path, (each, RecordEntry(path, entry.hash_, entry.size)))
        with construct_record_file(rows.values()) as record:
            self._writer.add_bytes(f"{self._folders[scheme]}/{record_file_path}", record.read())

    def write_folders(self, names: Iterable[str]) -> None:
        """Write the folders of the wheel that have no file."""
        for name in names:
            self._writer.add_folder(f"{self._site}/{name}")

    def _put_script(self, path: str, member: Member) -> RecordEntry:
        if member.head(len(_SHEBANG)) != _SHEBANG:
            return self._put_member("scripts", path, member, executable=True)
        if member.size > _SCRIPT_BYTES:
            raise archive.BrokenError(f"{member.name} is a script of {member.size} bytes")
        text = member.read()
        member.finish()
        # Binary distribution format, "Recommended installer features": the line is replaced.
        rest = text.partition(b"\n")[2]
        rewritten = f"#!{self._interpreter}\n".encode() + rest
        return self._put_bytes("scripts", path, rewritten, executable=True)

    def _put_member(
        self, scheme: str, path: str, member: Member, *, executable: bool
    ) -> RecordEntry:
        target = self._target(scheme, path)
        if self._writer.add_file(target, member.size, member, executable=executable):
            if target.startswith(f"{self._site}/") and target.endswith(".py"):
                self.modules[target] = member.name
        else:
            while member.read(1 << 20):  # it is checked all the same
                pass
        digest, size = member.finish()
        return RecordEntry(path, Hash("sha256", digest), size)

    def _put_bytes(self, scheme: str, path: str, data: bytes, *, executable: bool) -> RecordEntry:
        self._writer.add_bytes(self._target(scheme, path), data, executable=executable)
        hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return RecordEntry(path, Hash("sha256", hashed), len(data))

    def _target(self, scheme: str, path: str) -> str:
        target = f"{self._folders[scheme]}/{path}"
        # uv 0.13.9: of a program and an entry point of one name, the entry point stays.
        if target in self._written and target not in self._launchers:
            raise archive.BrokenError(f"two of its files would be {target}")
        self._written.add(target)
        return target


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
