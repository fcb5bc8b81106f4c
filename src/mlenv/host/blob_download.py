"""A blob from a registry to a file: from where it broke off, hashed, and there in one step."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from mlenv.host import disk, registry_outage
from mlenv.host.registry_body import pieces
from mlenv.host.registry_outage import PassingError
from mlenv.host.registry_wire import Ask, pause

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from mlenv.errors import HostError
    from mlenv.host.manifests import Descriptor
    from mlenv.host.mirrors import Place
    from mlenv.host.registry_wire import Wire

TRIES = 5
"""How often in a row the connection may break off with less than ``_STEP_BYTES`` gained."""

_STEP_BYTES = 1 << 20


@dataclass(slots=True, kw_only=True)
class Download:
    """One blob from one place to one file."""

    wire: Wire
    place: Place
    what: str
    descriptor: Descriptor
    progress: Callable[[int], None]
    """Called with the bytes that came; with less than none where it starts over."""
    _done: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def to(self, path: Path) -> None:
        """Write ``path``, if the bytes are what the descriptor says.

        Raises:
            HostError: ``registry-failed``, ``registry-denied``, ``network-off``, ``disk-failed``;
                what lay at ``path`` is untouched.
        """
        with disk.spoken(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name[:100]}.mlenv-{os.urandom(4).hex()}")
        done = False
        try:
            with disk.spoken(beside):
                file = beside.open("wb")
            with file:
                self._fill(file, beside)
            with disk.spoken(path):
                beside.replace(path)
            done = True
        finally:
            if not done:  # what is thrown away did not come
                self._forget()
            with suppress(FileNotFoundError):
                beside.unlink()

    def _fill(self, file: IO[bytes], path: Path) -> None:
        tries = mark = 0
        while self._done < self.descriptor.size:
            try:
                self._go_on(file, path)
            except PassingError as error:
                tries = 1 if self._done >= mark + _STEP_BYTES else tries + 1
                mark = self._done if tries == 1 else mark
                if tries >= TRIES:
                    raise
                pause(error, tries)
        with disk.spoken(path):
            file.flush()
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self.descriptor.digest:
            cause = f"{self.place.registry} sent other bytes: their digest is {found}"
            raise registry_outage.failed(self.what, cause)

    def _go_on(self, file: IO[bytes], path: Path) -> None:
        """Ask for what is missing, and write what comes of it."""
        headers = {"Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"

        def take(answer: requests.Response) -> None:
            said = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""), re.ASCII)
            fits = answer.status_code == 206 and said is not None and int(said[1]) == self._done
            if self._done and not fits:
                self._start_over(file, path)
                if answer.status_code != 200:
                    raise self._ended("it sent another part than was asked for")
            for piece in pieces(answer, self.descriptor.size - self._done, self.what):
                self._hash.update(piece)
                with disk.spoken(path):
                    file.write(piece)
                self._done += len(piece)
                self.progress(len(piece))
            if self._done < self.descriptor.size:
                raise self._ended(f"it ended after {self._done} of {self.descriptor.size} bytes")

        self.wire.ask(
            Ask(
                what=self.what,
                place=self.place,
                path=f"/v2/{self.place.repository}/blobs/{self.descriptor.digest}",
                headers=headers,
                good=frozenset({200, 206, 416}) if self._done else frozenset({200}),
                tries=1,
            ),
            take,
        )

    def _ended(self, cause: str) -> HostError:
        return registry_outage.failed(self.what, cause, kind=PassingError)

    def _start_over(self, file: IO[bytes], path: Path) -> None:
        with disk.spoken(path):
            file.seek(0)
            file.truncate()
        self._forget()

    def _forget(self) -> None:
        """Take back what was told: it has to come anew."""
        self.progress(-self._done)
        self._done = 0
        self._hash = hashlib.sha256()
