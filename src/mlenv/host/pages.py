"""Pages of an index, kept while a long job over many of them is not done.

A job that was stopped finds the pages it had read, for an hour; one that ended leaves none, so
that the next sees what the index says then. What a page means is no business of this room.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.host.http import Web

AGE_SECONDS = 3600.0


class Pages:
    """The pages of one job."""

    def __init__(self, web: Web, folder: Path) -> None:
        """Keep them in ``folder``, which nobody else writes to."""
        self._web = web
        self._folder = folder

    def page(self, url: str) -> tuple[str, str]:
        """Return the content type and the text of a page.

        Raises:
            outage.AbsentError: ``network-failed``: there is no such page.
            HostError: ``network-off``, ``network-failed``, ``disk-failed``.
        """
        path = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.json"
        with suppress(HostError, ValueError, TypeError, OSError):
            if time.time() - path.stat().st_mtime < AGE_SECONDS:
                kind, text = json.loads(disk.text(path))
                return str(kind), str(text)
        kind, text = self._web.page(url)
        disk.write(path, json.dumps([kind, text]), durable=False)
        return kind, text

    def done(self) -> None:
        """Forget them all."""
        with suppress(OSError):
            for path in self._folder.glob("*.json"):
                path.unlink(missing_ok=True)
