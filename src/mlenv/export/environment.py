"""An ``environment.yml`` that conda, mamba and micromamba solve to the builds of the lock.

Every package is named with its version and its build, so there is nothing to choose; that a file
is the locked one is said by ``conda-PLATFORM.lock``, and not by this. Wheels on top have hashes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlenv.files import File
from mlenv.repodata import ALIAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlenv.export.source import Source
    from mlenv.lock import Package


def environment(source: Source) -> tuple[File, ...]:
    """Return the file for ``conda env create``.

    Raises:
        ValueError: nobody knows where a package lies.

    Source: conda's user guide, "Creating an environment file manually".
    """
    conda = [each for each in source.packages if each.subdir is not None]
    wheels = [each for each in source.packages if each.subdir is None]
    lines = [source.note(), f"name: {source.stem}", "channels:"]
    lines += [f"  - {json.dumps(each)}" for each in (*_channels(source, conda), "nodefaults")]
    lines += ["dependencies:", *(f"  - {json.dumps(_spec(each))}" for each in conda)]
    if wheels:
        if all(each.name != "pip" for each in conda):
            lines.append("  - pip  # not of the lock: conda wants it for what follows")
        lines.append("  - pip:")
        lines += [f"      - {json.dumps(_pinned(each))}" for each in wheels]
    return (File("environment.yml", "\n".join(lines) + "\n"),)


def _channels(source: Source, packages: Iterable[Package]) -> Iterator[str]:
    """Yield the channels, the one with the most packages first, as a spec would name them."""
    found: dict[str, int] = {}
    for each in packages:
        url = source.urls.get(each.sha256)
        if url is None:
            raise ValueError(f"nobody knows where {each.filename} lies")
        channel = url.rsplit("/", 2)[0]
        found[channel] = found.get(channel, 0) + 1
    for channel in sorted(found, key=lambda each: (-found[each], each)):
        yield channel.removeprefix(f"{ALIAS}/")


def _spec(package: Package) -> str:
    """Return the exact match: ``numpy=2.3.5=py312h72c5963_0``."""
    stem = package.filename.removesuffix(".conda").removesuffix(".tar.bz2")
    return "=".join((package.name, package.version, stem.rsplit("-", 1)[1]))


def _pinned(package: Package) -> str:
    return f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
