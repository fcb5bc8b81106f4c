"""Archives of a few bytes that install and build: wheels and sdists, the same bytes each time.

What is published, and where, is in ``facts``.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import inspect
import io
import itertools
import re
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A wheel or an sdist, whole."""

    project: str
    """The normalised name."""
    version: str
    filename: str
    content: bytes
    metadata: bytes
    """METADATA or PKG-INFO."""
    requires_python: str


def core_metadata(
    name: str,
    version: str,
    requires: Sequence[str],
    requires_python: str,
    extras: Sequence[str] = (),
) -> bytes:
    named = (each for line in requires for each in re.findall(r"extra == ['\"]([\w.-]+)", line))
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Provides-Extra: {extra}" for extra in dict.fromkeys((*extras, *named))]
    lines += [f"Requires-Dist: {line}" for line in requires]
    return "\n".join((*lines, "")).encode()


def pack_wheel(
    name: str, version: str, tag: str, metadata: bytes, files: Mapping[str, bytes]
) -> tuple[str, bytes]:
    stem = re.sub(r"[-_.]+", "_", name).lower() + f"-{version}"
    tags = [
        "-".join(one) for one in itertools.product(*(part.split(".") for part in tag.split("-")))
    ]
    purelib = "true" if tag.endswith("-none-any") else "false"
    lines = ["Wheel-Version: 1.0", "Generator: loopback", f"Root-Is-Purelib: {purelib}"]
    members = dict(files)
    members[f"{stem}.dist-info/METADATA"] = metadata
    members[f"{stem}.dist-info/WHEEL"] = "\n".join(
        (*lines, *map("Tag: {}".format, tags), "")
    ).encode()
    record = ""
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    members[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in members.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data)
    return f"{stem}-{tag}.whl", buffer.getvalue()


def pack_sdist(name: str, version: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    stem = re.sub(r"[-_.]+", "_", name).lower() + f"-{version}"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    tar = buffer.getvalue()
    # RFC 1951 3.2.4, stored blocks: every zlib writes these bytes; compressed ones differ.
    blocks = [tar[at : at + 65535] for at in range(0, len(tar), 65535)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 65535) + block
        for block in blocks
    )
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return f"{stem}.tar.gz", head + stored + struct.pack("<II", zlib.crc32(tar), len(tar))


_BACKEND = '''"""An in-tree build backend (PEP 517) that needs nothing installed."""
from __future__ import annotations
import base64, hashlib, io, itertools, re, struct, sys, sysconfig, tarfile, zipfile, zlib
from pathlib import Path

NAME, VERSION, PURE = {name!r}, {version!r}, {pure!r}


def _tree(top):
    found = (path for path in sorted(Path(top).rglob("*")) if "__pycache__" not in path.parts)
    return {{p.relative_to(top).as_posix(): p.read_bytes() for p in found if p.is_file()}}


def build_sdist(sdist_directory, config_settings=None):
    filename, content = pack_sdist(NAME, VERSION, _tree("."))
    Path(sdist_directory, filename).write_bytes(content)
    return filename


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files, tag = _tree("src"), "py3-none-any"
    if not PURE:
        python = f"cp{{sys.version_info[0]}}{{sys.version_info[1]}}"
        threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        tag = f"{{python}}-{{python}}{{threads}}-{{platform}}"
        files["_" + re.sub(r"[-_.]+", "_", NAME).lower() + ".so"] = tag.encode()
    metadata = Path("PKG-INFO").read_bytes()
    filename, content = pack_wheel(NAME, VERSION, tag, metadata, files)
    Path(wheel_directory, filename).write_bytes(content)
    return filename
'''


def wheel(
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    tag: str = "py3-none-any",
    requires_python: str = ">=3.9",
    files: Mapping[str, str | bytes] | None = None,
    extras: Sequence[str] = (),
) -> Artefact:
    """Return a wheel that installs; without ``files`` it is a module that knows its version."""
    module = {f"{canonicalize_name(name).replace('-', '_')}.py": f'__version__ = "{version}"\n'}
    contents = {
        path: text if isinstance(text, bytes) else text.encode()
        for path, text in (module if files is None else files).items()
    }
    metadata = core_metadata(name, version, requires, requires_python, extras)
    return _artefact(
        name, version, pack_wheel(name, version, tag, metadata, contents), metadata, requires_python
    )


def sdist(name: str, version: str, *, pure: bool, requires: Sequence[str] = ()) -> Artefact:
    """Return an sdist that builds without build requirements; unless ``pure``, for one platform."""
    metadata = core_metadata(name, version, requires, ">=3.9")
    head = _BACKEND.format(name=name, version=version, pure=pure)
    backend = "\n\n".join((head, inspect.getsource(pack_wheel), inspect.getsource(pack_sdist)))
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    module = f"src/{canonicalize_name(name).replace('-', '_')}.py"
    files = {
        "PKG-INFO": metadata,
        "pyproject.toml": system.encode(),
        "backend.py": backend.encode(),
        module: f'__version__ = "{version}"\n'.encode(),
    }
    return _artefact(name, version, pack_sdist(name, version, files), metadata, ">=3.9")


def _artefact(
    name: str, version: str, packed: tuple[str, bytes], metadata: bytes, requires_python: str
) -> Artefact:
    return Artefact(
        project=canonicalize_name(name),
        version=version,
        filename=packed[0],
        content=packed[1],
        metadata=metadata,
        requires_python=requires_python,
    )
