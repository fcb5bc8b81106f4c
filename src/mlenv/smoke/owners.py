"""Which installed distribution a shared library belongs to, and whether it is still what it was.

By the RECORD of a wheel; where no wheel owns a file, by conda's metadata. The system's own package
manager is asked only about what nobody else owns.
"""

from __future__ import annotations

import base64
import binascii
import csv
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_LIBRARY = re.compile(r"\.so(\.\d+)*$")
_CHUNK = 1 << 20


class Owned(NamedTuple):
    """A shared library as its distribution wrote it down."""

    path: str
    """The real one: what the kernel says is mapped."""
    name: str
    version: str
    sha256: str
    """In hex; empty where nothing was written down."""
    size: int
    """Likewise -1."""


def spelt(name: str) -> str:
    """Return the normal spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def libraries() -> dict[str, list[Owned]]:
    """Return every shared library of the environment, by real path; two owners are two entries."""
    found: dict[str, list[Owned]] = {}
    for each in _wheels():
        found.setdefault(each.path, []).append(each)
    for each in _conda():
        found.setdefault(each.path, [each])
    return found


def _wheels() -> Iterator[Owned]:
    seen = set()
    for each in metadata.distributions():
        name = spelt(each.metadata["Name"] or "")
        base = os.path.realpath(str(each.locate_file("")))
        # The same folder may be in the path twice: that is no second owner.
        if not name or (name, each.version, base) in seen:
            continue
        seen.add((name, each.version, base))
        for row in csv.reader((each.read_text("RECORD") or "").splitlines()):
            if row and _LIBRARY.search(row[0]):
                path = os.path.realpath(os.path.join(base, row[0]))
                digest = row[1] if len(row) > 1 else ""
                size = int(row[2]) if len(row) > 2 and row[2].isdigit() else -1
                yield Owned(path, name, each.version, _hex(digest), size)


def _hex(digest: str) -> str:
    kind, _, text = digest.partition("=")
    if kind != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except (ValueError, binascii.Error):
        return "0"  # a digest that nothing has


def conda_files() -> dict[str, str]:
    """Return conda package -> the name of the file that it came in: its version and its build."""
    return {said["name"]: said.get("fn", "") for said in _records()}


def conda_version(file: str) -> str:
    """Return the version in the name of a conda package's file."""
    return file.rsplit("-", 2)[1] if file.count("-") > 1 else file


def expectation(expect: dict[str, Any], name: str) -> str | None:
    """Return the version of a package that is expected, whichever tool installed it."""
    file: str | None = expect.get("conda", {}).get(name)
    version: str | None = expect.get("distributions", {}).get(name)
    return conda_version(file) if file else version


def _records() -> Iterator[dict[str, Any]]:
    for path in glob.glob(os.path.join(sys.prefix, "conda-meta", "*.json")):
        try:
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
            said["paths_data"]["paths"], said["name"], said["version"]  # what is read of it
        except (OSError, ValueError, KeyError):
            continue
        yield said


def _conda() -> Iterator[Owned]:
    for said in _records():
        for each in said["paths_data"]["paths"]:
            # What a link leads to has a row of its own; that of the link tells the target's hash.
            if _LIBRARY.search(each["_path"]) and each.get("path_type") != "softlink":
                real = os.path.realpath(os.path.join(sys.prefix, each["_path"]))
                digest = each.get("sha256_in_prefix") or each.get("sha256") or ""
                size = -1 if each.get("prefix_placeholder") else each.get("size_in_bytes", -1)
                yield Owned(real, said["name"], said["version"], digest, size)


def intact(owned: Owned, *, by_size: bool = False) -> bool | None:
    """Tell whether a file is what was recorded; nothing where nothing was.

    Raises:
        OSError: it cannot be read.
    """
    if owned.size >= 0 and os.stat(owned.path).st_size != owned.size:
        return False
    if by_size or not owned.sha256:
        return None
    digest = hashlib.sha256()
    with open(owned.path, "rb", buffering=0) as file:
        block = bytearray(_CHUNK)
        while True:
            count = file.readinto(block)
            if not count:
                return digest.hexdigest() == owned.sha256
            digest.update(memoryview(block)[:count])


def of_system(path: str) -> str | None:
    """Return the package of the system that owns a file, with its version."""
    found = said(("dpkg-query", "-S", path))
    if found:
        package = found.split(":")[0].split(",")[0]
        return f"deb:{package}={said(('dpkg-query', '-W', '-f', '${Version}', package))}"
    found = said(("rpm", "-qf", path))
    return "rpm:" + found.split()[0] if found else None


def said(words: tuple[str, ...]) -> str:
    """Return what a program of the system says; nothing where there is none, or it fails."""
    program = shutil.which(words[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603, UP022 (of a file's name)
            [program, *words[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
