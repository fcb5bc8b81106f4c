"""The probe as one file that any Python can run: ``python probe.pyz --plan FILE``.

A zip archive of ``mlenv.smoke`` and nothing else of mlenv. Its bytes are the same wherever it is
packed: nothing in it is compressed, and all of it has one date, so its hash names the probe.
"""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_FILE = 0o100644
_START = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("the probe needs Python 3.8 or newer, and this is %s" % sys.version.split()[0])

from mlenv.smoke.__main__ import main

sys.exit(main())
"""
_PACKAGE = '"""A part of mlenv: what runs inside the environment that is verified."""\n'


def probe_file() -> bytes:
    """Return the bytes of the file."""
    members = {"__main__.py": _START.encode(), "mlenv/__init__.py": _PACKAGE.encode()}
    members.update(_sources(files("mlenv.smoke"), "mlenv/smoke/"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = _UNIX
            member.external_attr = _FILE << 16
            archive.writestr(member, content)
    return packed.getvalue()


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir() and each.name != "__pycache__":
            yield from _sources(each, f"{prefix}{each.name}/")
        elif each.is_file() and not each.name.endswith((".pyc", ".pyi")):
            yield prefix + each.name, each.read_bytes()
