"""Whether a disk has room for what is to come: asked before the work, not in its midst."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import disk

if TYPE_CHECKING:
    from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Return what this user may still write where ``folder`` lies, or will lie.

    Raises:
        HostError: ``disk-failed``.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    with disk.spoken(place):
        found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def check_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin where less than ``needed`` bytes are free.

    Raises:
        HostError: ``disk-full``, ``disk-failed``.
    """
    free = free_bytes(folder)
    if free >= needed:
        return
    raise HostError(
        Reason(
            code="disk-full",
            what=f"{folder} has no room for {what}",
            cause=f"it takes up to {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            fix="free some space (`mlenv clean`), or move the cache with MLENV_CACHE_DIR",
        )
    )
