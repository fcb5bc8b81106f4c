"""Source packages: built once, to learn whether they are pure Python and what builds them.

Building runs the package's own code, as installing it would. What was learnt is kept by the
hash of the source package, so it is built once for all specs.
"""

from __future__ import annotations

import json
import tarfile
import tomllib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk, tools

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.host.http import Web
    from mlenv.host.process import Finished

LEGACY = ("setuptools>=40.8.0",)
"""What builds a package that names nothing. Source: PEP 517, "Source trees"."""

_PYPROJECT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What building a source package showed."""

    size: int
    """The bytes of the source package."""
    pure: bool
    """Whether the wheel runs on every platform."""
    requires: tuple[str, ...]
    """PEP 508 requirements of its build."""
    failure: str = ""
    """Why it did not build; empty where it did."""


def examine(  # noqa: PLR0913 (what to build, and how)
    web: Web,
    cache: Path,
    *,
    url: str,
    filename: str,
    sha256: str,
    build: Callable[[Path, Path], Finished],
) -> Source:
    """Return what building the source package at ``url`` shows; from the cache where it was done.

    Args:
        web: the network.
        cache: the folder of mlenv's caches.
        url: where the source package lies.
        filename: its name.
        sha256: its hash, in hexadecimal.
        build: archive, folder -> the program that built a wheel into the folder, ended.

    Raises:
        HostError: ``network-failed``, ``network-off``, ``hash-differs``, ``disk-failed``, and what
            ``build`` raises. That it does not build is no error here.
    """
    kept = cache / "sources" / f"{sha256}.json"
    with suppress(HostError, ValueError, TypeError, KeyError):
        row = json.loads(disk.text(kept))
        return Source(**{**row, "requires": tuple(row["requires"])})
    with tools.scratch() as folder:
        archive = folder / filename
        web.whole(url, archive, sha256)
        found = _shown(archive, folder / "out", build)
        if not found.failure:
            disk.write(kept, json.dumps(asdict(found)))
        return found


def _shown(archive: Path, out: Path, build: Callable[[Path, Path], Finished]) -> Source:
    done = build(archive, out)
    wheels = sorted(out.glob("*.whl")) if done.status == 0 else []
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return Source(
        size=archive.stat().st_size,
        pure=bool(wheels) and wheels[0].name.endswith("-none-any.whl"),
        requires=_requires(archive),
        failure="" if wheels else (lines[-1].strip() if lines else "no wheel came out"),
    )


def _requires(archive: Path) -> tuple[str, ...]:
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                depth = member.name.count("/")
                if member.isfile() and depth == 1 and member.name.endswith("/pyproject.toml"):
                    handle = tar.extractfile(member)
                    data = handle.read(_PYPROJECT_BYTES) if handle else b""
                    system = tomllib.loads(data.decode())["build-system"]
                    return tuple(str(each) for each in system["requires"])
    except (tarfile.TarError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError):
        return LEGACY
    return LEGACY
