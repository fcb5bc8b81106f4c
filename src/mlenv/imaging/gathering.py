"""What an export is made from, gathered: a locked folder, and what only the network knows.

Addresses and metadata belong to files that their hashes name, so what is told of a lock is the
same whoever asks, and whenever.
"""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import Version

from mlenv.backends import uv
from mlenv.cuda import Arch
from mlenv.export.about import About, about
from mlenv.export.source import Source
from mlenv.host import disk, http, parts
from mlenv.imaging.fetching import Wheels
from mlenv.imaging.locked import addresses, artefacts, lock_in
from mlenv.simple import Published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlenv.catalog.load import Catalog
    from mlenv.export.formats import Need
    from mlenv.host.http import Web
    from mlenv.lock import Lock, Package

Opened = tuple["Web", "Path"]
"""The network, and the folder of the caches."""
_METADATA = parts.Wanted(metadata=True, inside=False, small=None, names=lambda found: found)


def gathered(
    folder: Path,
    catalog: Callable[[], Catalog],
    open_web: Callable[[Mapping[str, str]], AbstractContextManager[Opened]],
    needs: Iterable[Need],
) -> Source:
    """Return what lies in ``folder``, and of the network what a format ``needs``.

    Args:
        folder: with a lock.
        catalog: gives the facts; asked where the target names GPUs.
        open_web: gives the network, of indexes alias -> URL; opened where something is needed.
        needs: of the formats.

    Raises:
        UsageError: ``not-locked``, ``lock-unreadable``.
        HostError: ``network-off``, ``network-failed``, ``disk-failed``.
        ValueError: a word of the lock is outside its alphabet.
    """
    lock = lock_in(folder)
    found = disk.read(folder, [uv.PROJECT, uv.ANSWER])
    project = found.get(uv.PROJECT, "")
    indexes = uv.indexes(project)
    told = Source(lock=lock, indexes=indexes, asked=_asked(project), archs=_archs(lock, catalog))
    wanted = set(needs) & {"urls", "about"}
    if not wanted:
        return told
    if lock.backend == "conda":
        places = {digest: each.url for digest, each in artefacts(folder, lock).items()}
        return replace(told, urls=places)
    known = addresses(found.get(uv.ANSWER))
    with open_web(indexes) as (web, cache):
        wheels = Wheels(web, urls=known, indexes=indexes, name=lock.title)
        with ThreadPoolExecutor(http.THREADS) as pool:
            held = [*lock.package, *([lock.init] if lock.init and "about" in wanted else [])]
            urls = dict(pool.map(lambda each: (each.sha256, wheels.address(each)), held))
            read = held if "about" in wanted else []
            said = dict(pool.map(lambda p: (p.sha256, _about(web, cache, p, urls)), read))
    return Source(
        lock=lock, indexes=indexes, asked=told.asked, archs=told.archs, urls=urls, about=said
    )


def _about(web: Web, cache: Path, package: Package, urls: Mapping[str, str]) -> About:
    if not package.filename.endswith(".whl"):
        return About()  # what a source package says is known once it is built
    file = Published(
        filename=package.filename,
        version=Version(package.version),
        wheel=True,
        requires_python=None,
        uploaded=None,
        yanked=False,
        url=urls[package.sha256],
        sha256=package.sha256,
    )
    return about(parts.read(web, cache, file, _METADATA).metadata)


def _asked(project: str) -> tuple[str, ...]:
    """Return the requirements that uv was asked for; none of a damaged file."""
    try:
        document = tomllib.loads(project)
        rows = [*document["project"]["dependencies"]]
        return (*rows, *document.get("dependency-groups", {}).get("dev", ()))
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return ()


def _archs(lock: Lock, catalog: Callable[[], Catalog]) -> tuple[Arch, ...]:
    """Return the compute capabilities of the target's GPUs; without those nobody knows."""
    found = []
    for name in lock.target.gpus:
        row = catalog().gpu(name)
        if row is not None:
            found.append(row.capability)
        elif name.startswith("sm_"):
            found.append(Arch.parse(name))
    return tuple(found)
