"""The programs that come with mlenv, the interpreter that runs it, and folders for an hour."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Iterator


def uv() -> str:
    """Return the path of the uv that was installed with mlenv, never that of PATH by accident."""
    from uv import find_uv_bin  # noqa: PLC0415 (only where something is solved)

    try:
        return str(find_uv_bin())
    except FileNotFoundError:  # running it then says which program is missing
        return str(Path(sysconfig.get_path("scripts")) / "uv")


def uv_version() -> str:
    """Return the version of that uv, without running it."""
    return version("uv")


def rattler_version() -> str | None:
    """Return the version of py-rattler; None where it is not installed."""
    try:
        return version("py-rattler")
    except PackageNotFoundError:
        return None


def python() -> str:
    """Return the interpreter that runs mlenv."""
    return sys.executable


@contextmanager
def scratch(within: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards; ``within``: in this one, by a name of ours.

    Raises:
        HostError: ``disk-failed``.
    """
    parent = within or Path(tempfile.gettempdir())
    with disk.spoken(parent), tempfile.TemporaryDirectory(prefix="mlenv-", dir=parent) as folder:
        yield Path(folder)
