"""What lies in mlenv's caches and is mlenv's to remove: how much it is, and away with it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.host import disk
from mlenv.host.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DAY_SECONDS = 86400.0
_WHOLE = ("interpreters", "matrix", "verify")
"""Kinds of which each folder goes or stays as one."""

KINDS = {
    "images": "layers of images",
    "interpreters": "Pythons of base images",
    "rootfs": "facts of base images",
    "memory": "what was made and shown of locks",
    "verify": "environments that were verified",
    "matrix": "environments of a matrix's cells",
    "wheels": "directories of wheels",
    "sources": "what building a source package showed",
    "catalog/pages": "pages of a refresh that was stopped",
    "catalog/wheels": "parts of wheels that a refresh read",
}
"""Folder of the cache -> what lies there. The refreshed facts are none of it: they stay."""
_SETTLED_SECONDS = 3600.0
"""A file that is not whole was left by a killed program, if nobody wrote to it for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One kind of thing that was removed, or would be."""

    what: str
    files: int
    bytes: int


def sweep(cache: Path, *, days: float | None, really: bool) -> tuple[Swept, ...]:
    """Remove what was not used for ``days``; all of it where that is None.

    Args:
        cache: mlenv's own.
        days: by the time of a file, which each use renews; the age of a whole interpreter.
        really: whether anything is removed.

    Raises:
        HostError: ``disk-failed``.
    """
    oldest = None if days is None else time.time() - days * _DAY_SECONDS
    found = []
    for name, what in KINDS.items():
        folder = cache / name
        with disk.spoken(folder):
            old = [each for each in _things(folder, name) if oldest is None or _used(each) < oldest]
            sizes = [size for each in old for size in _sizes(each)]
            if really:
                _remove(cache, name, old)
        if sizes:
            found.append(Swept(what=what, files=len(sizes), bytes=sum(sizes)))
    return tuple(found)


def remove_files(folder: Path, names: Iterable[str]) -> int:
    """Remove files that mlenv wrote, and the folders that are empty then; return how many.

    Raises:
        HostError: ``disk-failed``.
    """
    removed = 0
    with disk.spoken(folder):
        parents = {folder}
        for name in names:
            path = folder / name
            if ".." in Path(name).parts or Path(name).is_absolute():
                continue
            if path.parent.resolve() != folder.resolve() / Path(name).parent:
                continue  # a link of the user's leads out of the folder
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
            parents |= {each for each in path.parents if each.is_relative_to(folder)}
        for each in sorted(parents, key=lambda path: -len(path.parts)):
            with suppress(OSError):  # something of the user's is in it
                each.rmdir()
    return removed


def remove_tree(folder: Path) -> None:
    """Remove a folder of mlenv's own; what of it another program uses may stay."""
    shutil.rmtree(folder, ignore_errors=True)


def _things(folder: Path, name: str) -> Iterator[Path]:
    """Yield what goes or stays as one: a file, or a whole interpreter."""
    if not folder.is_dir():
        return
    if name in _WHOLE:
        yield from folder.iterdir()
        return
    for place, _, files in os.walk(folder):
        yield from (path for each in files if not _being_written(path := Path(place, each)))


def _being_written(path: Path) -> bool:
    """Tell whether another mlenv may be at it: what is not whole yet has a name with a dot."""
    return path.name.startswith(".") and _used(path) > time.time() - _SETTLED_SECONDS


def _used(path: Path) -> float:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return time.time()
    return max(found.st_mtime, found.st_atime)


def _sizes(path: Path) -> Iterator[int]:
    inner = path.rglob("*") if path.is_dir() else (path,)
    for each in inner:
        with suppress(FileNotFoundError):
            if each.is_file() and not each.is_symlink():
                yield each.stat().st_size


def _remove(cache: Path, name: str, old: Iterable[Path]) -> None:
    for each in old:
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                each.unlink()
    if name == "images":
        Blobs(cache / name).remove(())  # records of what is gone, and what a killed program left
