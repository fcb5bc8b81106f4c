"""Files and folders: read as UTF-8, and written so that a kill or a full disk harms nothing.

A folder of mlenv's is replaced whole (``host.swap``): a reader meets the old one or the new one.
This room decodes nothing but UTF-8, follows no path out of a folder, and deletes no file that is
neither written now nor named as mlenv's own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import swap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlenv.files import File

_STEP_SECONDS = 0.05
_READ_TRIES = 100

_FIXES: Mapping[int | None, str] = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EACCES: "make it yours, or choose a place that you may write to",
    errno.EPERM: "make it yours, or choose a place that you may write to",
    errno.EROFS: "choose a place that you may write to (MLENV_CACHE_DIR names the cache)",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file: move it away, or choose another path",
    errno.EXDEV: "choose a folder that lies on one file system",
}


def text(path: Path) -> str:
    """Return the text of a file, its line ends untouched.

    Raises:
        HostError: ``disk-failed``; also where it is no UTF-8.
    """
    return _decoded(path, contents(path))


def contents(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        HostError: ``disk-failed``.
    """
    with spoken(path):
        return path.read_bytes()


def read(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return path -> text of those of ``names`` that are files below ``folder``.

    All are of one state of the folder, though another mlenv may replace it meanwhile.

    Raises:
        HostError: ``disk-failed``; also where one is no UTF-8, or its name leaves the folder.
    """
    paths = {name: _inside(folder, name) for name in names}
    found: dict[str, bytes] = {}
    with spoken(folder):
        for _ in range(_READ_TRIES):
            before = _identity(folder)
            found = {name: data for name, path in paths.items() for data in _contents(path)}
            if _identity(folder) == before:
                break
    return {name: _decoded(folder / name, data) for name, data in found.items()}


def write(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write one file in one step, and the folders above it; a symlink is followed.

    Args:
        path: where to. A file that is there keeps its mode.
        content: text, written as UTF-8, or bytes.
        durable: flush it to the disk; a cache need not be.

    Raises:
        HostError: ``disk-failed``; what was there is untouched.
    """
    target = Path(os.path.realpath(path))
    with spoken(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        swap.put(target, data, durable=durable)


def replace(
    folder: Path,
    files: Iterable[File],
    *,
    owned: Iterable[str] = (),
    patience_seconds: float = 10.0,
) -> None:
    """Make ``folder`` hold ``files``, and of what it held only what mlenv did not write.

    Nothing is touched where it holds just that already. A symlink to a folder is followed.

    Args:
        folder: where to; made, with its parents, where it is not there.
        files: all the files that mlenv writes there.
        owned: paths that an earlier mlenv wrote there; those not among ``files`` go.
        patience_seconds: how long to wait for another mlenv that writes there.

    Raises:
        HostError: ``folder-busy``, or ``disk-failed``: the old folder is as it was. (Only where
            something of the user's that could be moved a moment ago no longer can, the new folder
            lies there, and the next call brings it back.)
    """
    wanted = {each.path: each.text.encode() for each in files}
    ours = swap.Ours.of((*wanted, *owned))
    for path in ours.paths:
        _inside(folder, path)
    target = Path(os.path.realpath(folder))
    with spoken(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent, patience_seconds) as alone:
            for leftover in swap.leftovers(target) if alone else ():
                swap.settle(leftover, target)
            if not _holds(target, wanted, ours):
                _check_movable(target, ours)
                swap.swap(target, wanted.items(), ours)


@contextmanager
def alone(folder: Path, patience_seconds: float) -> Iterator[None]:
    """Make ``folder``, and let no other mlenv be here meanwhile; who dies here lets the next in."""
    with ExitStack() as stack:
        for _ in range(_READ_TRIES):  # who was here before may remove it just now
            with spoken(folder):
                folder.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    stack.enter_context(_locked(folder, patience_seconds))
                    break
        yield


def cache_folder() -> Path:
    """Return the folder of mlenv's caches; it need not exist.

    Raises:
        HostError: ``disk-failed``: no variable names one, and there is no home.

    Source: XDG Base Directory 0.8: a relative XDG_CACHE_HOME is to be ignored.
    """
    if own := os.environ.get("MLENV_CACHE_DIR"):
        return Path(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if not shared.is_absolute():
        shared = Path(os.path.expanduser("~/.cache"))  # noqa: PTH111 - Path's raises RuntimeError
    if not shared.is_absolute():
        raise refused(shared, "this user has no home folder", "set MLENV_CACHE_DIR to a folder")
    return shared / "mlenv"


@contextmanager
def spoken(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` about ``path``, or about what it names itself, into words."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from error


def failed(path: Path, error: OSError) -> HostError:
    """Return the ``disk-failed`` that ``error`` is."""
    named = error.filename if isinstance(error.filename, str) else path
    cause = error.strerror or type(error).__name__
    return refused(Path(named), cause, _FIXES.get(error.errno, "mend that, then try again"))


def refused(path: Path, cause: str, fix: str) -> HostError:
    """Return a ``disk-failed`` about ``path``."""
    return HostError(
        Reason(code="disk-failed", what=f"cannot read or write {path}", cause=cause, fix=fix)
    )


def _busy(folder: Path, seconds: float) -> HostError:
    return HostError(
        Reason(
            code="folder-busy",
            what=f"cannot write to {folder}",
            cause=f"another program has had its lock for {seconds:g} s",
            fix="wait until the other mlenv has ended, then try again",
        )
    )


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == "." or "\0" in name:
        raise refused(
            folder / name.replace("\0", "?"),
            f"{name!r} is no plain path below a folder",
            f"give a path below {folder}, without `..`",
        )
    return folder / path


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise refused(
            path, f"it is no UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from error


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _contents(path: Path) -> Iterator[bytes]:
    if path.is_file():
        try:
            yield path.read_bytes()
        except FileNotFoundError:  # the folder is being replaced: the caller reads again
            return


@contextmanager
def _locked(folder: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock of ``folder``; False where its file system has no locks."""
    until = time.monotonic() + seconds
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while (held := _lock(handle)) is None:
            if time.monotonic() > until:
                raise _busy(folder, seconds)
            time.sleep(_STEP_SECONDS)
        yield held
    finally:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in swap.UNSUPPORTED:
            raise
        return False
    return True


def _holds(target: Path, wanted: Mapping[str, bytes], ours: swap.Ours) -> bool:
    """Tell whether ``target`` holds just what is ``wanted`` of the paths that are mlenv's."""
    return (
        target.is_dir()
        and all(
            (target / path).is_file()
            and not (target / path).is_symlink()
            and (target / path).read_bytes() == data
            for path, data in wanted.items()
        )
        and not any(os.path.lexists(target / path) for path in ours.paths - wanted.keys())
    )


def _check_movable(target: Path, ours: swap.Ours) -> None:
    """Refuse before anything has changed what would fail after it.

    A folder that moves to another parent is written to itself (its ``..`` changes), so one that a
    container's root left in the user's folder cannot be moved by the user.
    """
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise refused(target, "a file lies there", "move it away, or choose another folder")
    for path in ("", *ours.folders, *swap.foreign(target, ours)):
        each = target / path
        if each.is_symlink() or not each.is_dir():
            continue
        if each.is_mount():
            raise refused(
                each, "it is a mount point, so it cannot be moved", "choose a folder below"
            )
        if not os.access(each, os.W_OK):
            raise refused(
                each,
                "you may not write to it, so it cannot be moved with the folder around it",
                "make it yours (chown), or move it out",
            )
