"""The wheels of a lock, fetched: by the URL that uv.lock has, else by what the index lists.

A wheel that is not the one the lock hashes never gets a name on the disk.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from mlenv import simple
from mlenv.host import outage
from mlenv.layers import DEFAULT_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlenv.host.http import Web
    from mlenv.lock import Package

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,250}\.whl")


class Wheels:
    """The wheels of one lock; threads may share it."""

    def __init__(
        self, web: Web, *, urls: Mapping[str, str], indexes: Mapping[str, str], name: str
    ) -> None:
        """Fetch nothing yet.

        Args:
            web: the network.
            urls: SHA-256 -> URL, of what is known to lie somewhere.
            indexes: alias -> URL of every index beside the default one.
            name: of the lock, for errors.
        """
        self._web = web
        self._urls = urls
        self._indexes = dict(indexes)
        self._name = name
        self._lock = threading.Lock()

    def fetch(
        self, package: Package, folder: Path, progress: Callable[[int], None] = lambda _: None
    ) -> Path:
        """Write the wheel of ``package`` into ``folder``; return its path.

        What ``progress`` raises, told of each piece's bytes, ends it.

        Raises:
            HostError: ``network-off``, ``network-failed``, ``hash-differs``, ``disk-failed``.
        """
        if not _FILENAME.fullmatch(package.filename):
            raise ValueError(f"{package.filename!r} is no name of a wheel")
        path = folder / package.filename
        known = self._urls.get(package.sha256)
        if known is not None:
            try:
                self._web.whole(known, path, package.sha256, progress)
            except outage.AbsentError:  # a mirror that is gone: the index knows another
                pass
            else:
                return path
        self._web.whole(self._listed(package), path, package.sha256, progress)
        return path

    def address(self, package: Package) -> str:
        """Return where the file of ``package`` lies: as uv.lock has it, else as the index lists it.

        Raises:
            HostError: ``network-off``, ``network-failed``.
        """
        return self._urls.get(package.sha256) or self._listed(package)

    def _listed(self, package: Package) -> str:
        page = simple.address(self._index(package.index), package.name)
        kind, text = self._web.page(page)
        try:
            files = simple.files(kind, text, page=page)
        except ValueError as error:
            raise outage.failed(page, str(error)) from error
        for each in files:
            if each.filename == package.filename and each.sha256 in {None, package.sha256}:
                return each.url
        raise outage.failed(
            page,
            f"it no longer lists {package.filename}",
            f"lock {self._name} again, or give an index that keeps it",
        )

    def _index(self, alias: str) -> str:
        with self._lock:
            if alias == DEFAULT_INDEX and alias not in self._indexes:
                from mlenv.solve.index import default_index  # noqa: PLC0415 (0.1 s, and rare)

                self._indexes[alias] = default_index()
            return self._indexes[alias]
