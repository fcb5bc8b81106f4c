"""One folder takes the place of another, and what its owner put there comes along.

A swap happens in a hidden work folder beside the target:

    .NAME.mlenv-XXXXXXXX/
        journal.json    the paths that mlenv wrote or is about to; written first
        tree/           the new folder before the trade, the old one after it
        old/            the old folder, only where the file system cannot trade in one step

Whatever lies in ``tree`` or ``old`` and in the journal is mlenv's and may go; all else is the
user's and belongs in the target. So ``settle`` ends a swap, undoes it, and mends what a killed
one left, all with the same steps. It speaks ``OSError``: the words are ``host.disk``'s.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

UNSUPPORTED = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.ENOLCK}
)
"""What a file system answers that lacks an operation; NFS, Lustre and FUSE lack some."""

_JOURNAL = "journal.json"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2


@dataclass(frozen=True, slots=True)
class Ours:
    """The paths below a folder that mlenv wrote."""

    paths: frozenset[str]
    folders: frozenset[str]
    """All the folders above them, below the folder."""

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self:
        """Return ``paths`` with the folders that they lie in."""
        kept = frozenset(paths)
        above = {str(each) for path in kept for each in PurePosixPath(path).parents}
        return cls(kept, frozenset(above - {"."}))


def put(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` in one step, flushed to the disk if ``durable``.

    A file that was there keeps its mode.
    """
    beside = path.with_name(f".{path.name}.mlenv-{os.urandom(4).hex()}")
    try:
        _fill(beside, data, durable=durable)
        if path.exists():
            beside.chmod(stat.S_IMODE(path.stat().st_mode))
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    if durable:
        flush(path.parent)


def flush(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def foreign(folder: Path, ours: Ours, below: str = "") -> Iterator[str]:
    """Yield the topmost paths below ``folder`` that are not mlenv's.

    A folder in which nothing of mlenv's lies is one such path; a folder where mlenv wrote a file
    is the user's too, and so is neither followed nor replaced: a symlink to a folder.
    """
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = below + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and path in ours.folders:
            yield from foreign(Path(entry.path), ours, f"{path}/")
        elif is_folder or path not in ours.paths:
            yield path


def swap(target: Path, files: Iterable[tuple[str, bytes]], ours: Ours) -> None:
    """Put a folder with ``files`` in the place of ``target``; whole, or not at all.

    ``ours`` are the paths of ``files``, and those in ``target`` that mlenv wrote earlier.
    """
    work = target.with_name(f".{target.name}.mlenv-{os.urandom(4).hex()}")
    work.mkdir(mode=0o700)
    try:
        put(work / _JOURNAL, json.dumps(sorted(ours.paths)).encode())
        tree = work / "tree"
        _grow(tree, files)
        if target.exists():
            tree.chmod(stat.S_IMODE(target.stat().st_mode))
            exchange(tree, target, work / "old")
        else:
            tree.rename(target)
        flush(work)
        flush(target.parent)
    finally:
        settle(work, target)


def exchange(
    one: Path, other: Path, aside: Path, *, trade: Callable[[Path, Path], bool] | None = None
) -> None:
    """Let the folders ``one`` and ``other`` trade places.

    Where ``trade`` says that the file system cannot do that in one step, ``other`` goes to
    ``aside`` and stays there: a reader can then meet the moment in which nothing lies at ``other``.
    """
    if not (trade or _trade)(one, other):
        other.rename(aside)
        one.rename(other)


def leftovers(target: Path) -> Iterator[Path]:
    """Yield the work folders that killed swaps of ``target`` left beside it."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.mlenv-[0-9a-f]{{8}}")
    with os.scandir(target.parent) as entries:
        found = sorted(entry.path for entry in entries if ours.fullmatch(entry.name))
    yield from (Path(each) for each in found if Path(each).is_dir())


def settle(work: Path, target: Path) -> None:
    """End a swap, wherever it stopped: nothing of the user's stays in ``work``, nor is lost."""
    journal, tree, old = work / _JOURNAL, work / "tree", work / "old"
    if not journal.exists():  # stopped before the first file, or after the last
        for each in work.glob(f".{_JOURNAL}.mlenv-*"):
            each.unlink()
        _drop(work)
        return
    ours = Ours.of(json.loads(journal.read_bytes()))
    if old.exists() and not os.path.lexists(target):
        old.rename(target)
    for each in (old, tree):
        if each.exists():
            _return(each, target, ours)
    if not (old.exists() or tree.exists()):
        journal.unlink()
        _drop(work)


def _return(source: Path, target: Path, ours: Ours, below: str = "") -> None:
    """Move what is not mlenv's from ``source`` to ``target``, and remove the rest."""
    with os.scandir(source) as entries:
        found = list(entries)
    for entry in found:
        path, to = below + entry.name, target / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and path in ours.folders:
            meets = os.path.lexists(to) and (to.is_symlink() or not to.is_dir())
            _return(Path(entry.path), _free(to) if meets else to, ours, f"{path}/")
        elif is_folder or path not in ours.paths:
            target.mkdir(parents=True, exist_ok=True)
            Path(entry.path).rename(_free(to))
        else:
            Path(entry.path).unlink()
    _drop(source)


def _free(path: Path) -> Path:
    """Return ``path``, or beside it one that is free: what has come since stays as it is."""
    free, number = path, 1
    while os.path.lexists(free):
        free, number = path.with_name(f"{path.name}.kept-{number}"), number + 1
    return free


def _drop(folder: Path) -> None:
    """Remove ``folder`` if it is empty; what came into it meanwhile is for the next call."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _grow(tree: Path, files: Iterable[tuple[str, bytes]]) -> None:
    folders = {tree}
    tree.mkdir()
    for path, data in files:
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        _fill(place, data, durable=True)
        folders.update(each for each in place.parents if each.is_relative_to(tree))
    for folder in folders:
        flush(folder)


def _fill(path: Path, data: bytes, *, durable: bool) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _trade(one: Path, other: Path) -> bool:
    """Trade two folders in one step; False where the file system or the libc cannot.

    Source: renameat2(2), Linux 3.15; rename(2), macOS 10.12.
    """
    import ctypes  # noqa: PLC0415 - most commands need not pay for it

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            status = libc.renamex_np(*names, _RENAME_SWAP)
        else:
            status = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    except AttributeError:
        return False
    number = ctypes.get_errno()
    if status != 0 and number not in UNSUPPORTED:
        raise OSError(number, os.strerror(number), str(other))
    return bool(status == 0)
