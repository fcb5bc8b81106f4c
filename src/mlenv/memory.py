"""What was last made and shown of a lock on this machine: kept in the cache, as a memory.

It is no proof: where it is gone or damaged nothing is remembered, and a full disk fails nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError
from mlenv.host import disk

if TYPE_CHECKING:
    from pathlib import Path


def remember(cache: Path, artefacts_sha256: str, what: str, **facts: str) -> None:
    """Keep that ``what`` (``image``, ``verified``) was done with the lock of these artefacts."""
    found = recalled(cache, artefacts_sha256) | {what: facts}
    try:
        disk.write(_place(cache, artefacts_sha256), json.dumps(found), durable=False)
    except HostError:
        return


def recalled(cache: Path, artefacts_sha256: str) -> dict[str, Any]:
    """Return what is remembered of a lock; empty where nobody remembers."""
    if not re.fullmatch(r"[0-9a-f]{64}", artefacts_sha256):
        return {}
    try:
        found = json.loads(disk.text(_place(cache, artefacts_sha256)))
    except (HostError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _place(cache: Path, artefacts_sha256: str) -> Path:
    return cache / "memory" / f"{artefacts_sha256}.json"
