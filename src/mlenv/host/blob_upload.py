"""A file to a registry as a blob: not if it is there, else in parts, on from what arrived.

A registry that takes no parts gets the file in one piece. The digest is the registry's to check:
it takes no blob under another.

Source: OCI distribution specification 1.1, "Pushing blobs".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from mlenv.host import disk, registry_outage
from mlenv.host.registry_outage import AbsentError, DeniedError, PassingError
from mlenv.host.registry_wire import Ask, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlenv.errors import HostError
    from mlenv.host.manifests import Descriptor
    from mlenv.host.mirrors import Place
    from mlenv.host.registry_wire import Answer, Wire

TRIES = 5
"""How often in a row it may fail without a byte more having arrived."""

PART_BYTES = 16 << 20
"""What is sent again, at most, where a connection breaks off."""

_PIECE_BYTES = 1 << 16
_QUIET_SECONDS = 30.0
_ASSEMBLY_SECONDS = 300.0
"""Some registries put the parts together before they answer."""
_NO_PARTS = frozenset({400, 405, 411, 413, 415, 501})
"""What a registry answers to the first part that takes none."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """One file to one place."""

    wire: Wire
    place: Place
    what: str
    descriptor: Descriptor
    path: Path
    progress: Callable[[int], None]
    """Called with the bytes that went out; with less than none where some must go again."""
    part_bytes: int = PART_BYTES
    sent: int = 0
    """Bytes that went out, those that went twice counted twice."""
    _location: str | None = None
    _offset: int = 0
    _told: int = 0
    _whole: bool = False
    _resumed: bool = False

    def done(self, mount: str | None) -> int:
        """Return the bytes that had to be sent; none where the registry has the blob.

        Args:
            mount: a repository of the same registry that is said to have it.

        Raises:
            HostError: ``registry-failed``, ``registry-denied``, ``network-off``, ``disk-failed``.
        """
        with disk.spoken(self.path):
            size = self.path.stat().st_size
        if size != self.descriptor.size:
            cause = f"{self.path} has {size} bytes, not {self.descriptor.size}"
            raise registry_outage.failed(self.what, cause, "build the image again")
        if self.is_there() or (mount and self._mounted(mount)):
            return 0
        self._whole = self.descriptor.size <= self.part_bytes
        tries = mark = 0
        while True:
            try:
                self._go_on()
            except PassingError as error:
                tries = 1 if self._offset > mark else tries + 1
                mark = max(mark, self._offset)
                if tries >= TRIES:
                    raise
                pause(error, tries)
                if self._arrived():
                    break
            else:
                break
        self.tell(self.descriptor.size)
        return self.sent

    def is_there(self) -> bool:
        """Tell whether the registry has the blob."""
        return self.wire.has(self.what, self.place, self.descriptor.digest, "pull,push")

    def _mounted(self, mount: str) -> bool:
        """Let the registry take the blob from another repository; else the upload has begun."""
        try:
            answer = self._begun({"mount": self.descriptor.digest, "from": mount}, mount)
        except (AbsentError, DeniedError):  # that repository may be another's, or gone
            return False
        if answer.status == 201:
            return True
        self._location = self._where(answer)
        return False

    def _begun(self, query: dict[str, str], mount: str = "") -> Answer:
        path = f"/v2/{self.place.repository}/blobs/uploads/"
        path += f"?{urlencode(query)}" if query else ""
        return self.wire.say(
            Ask(
                what=self.what,
                place=self.place,
                path=path,
                method="POST",
                rights="pull,push",
                mount=mount,
                good=frozenset({201, 202} if query else {202}),
                tries=TRIES,
            )
        )

    def _there(self) -> str:
        """Return where to go on; begin where nothing has begun."""
        if self._location is None:
            self._offset, self._resumed = 0, False
            self.tell(0)
            self._location = self._where(self._begun({}))
        return self._location

    def _go_on(self) -> None:
        """Send what is missing, and say that it is all."""
        while not self._whole and self._offset < self.descriptor.size:
            self._send_part(self._there())
        answer = self.wire.say(
            self._ask(
                "PUT",
                _with_digest(self._there(), self.descriptor.digest),
                good={200, 201, 204, 400, 404},
                part=(0 if self._whole else self.descriptor.size, self.descriptor.size),
            )
        )
        if answer.status in {400, 404}:
            self._location = None
            raise self._not_taken(answer)

    def _not_taken(self, answer: Answer) -> HostError:
        """Return why the last request failed; after a broken connection it may be mixed up."""
        if self._resumed or answer.status == 404:
            return self._broken(f"it answered {answer.status} to what was sent in parts")
        return registry_outage.of_status(self.what, answer.status, answer.body, self.place.registry)

    def _send_part(self, location: str) -> None:
        start = self._offset
        stop = min(start + self.part_bytes, self.descriptor.size)
        good = {200, 201, 202, 204, 404, 416} | (_NO_PARTS if start == 0 else set())
        answer = self.wire.say(self._ask("PATCH", location, good=good, part=(start, stop)))
        if answer.status in _NO_PARTS:
            self._whole, self._location = True, None
        elif answer.status in {404, 416}:
            self._location = None
            raise self._broken("it lost what was sent")
        else:
            self._location = self._where(answer, location)
            self._offset = self._reached(answer, stop)
            if self._offset <= start:
                raise self._broken("it kept nothing of what was sent")

    def _reached(self, answer: Answer, otherwise: int) -> int:
        """Return how many bytes the registry says it has."""
        said = re.fullmatch(r"(?:bytes=)?0-(\d{1,18})", answer.headers.get("Range", ""), re.ASCII)
        if said is None:
            return otherwise
        # "0-0" is one byte or none: the specification has no way to say none.
        reached = int(said[1]) + 1 if int(said[1]) else 0
        if reached > otherwise:
            raise registry_outage.failed(self.what, f"{self.place.registry} has more than was sent")
        return reached

    def _arrived(self) -> bool:
        """Tell whether the blob is there after all; else learn how much of it is."""
        if self.is_there():
            return True
        self._resumed = True
        if self._whole or self._location is None:
            self._location = None
            return False
        try:
            answer = self.wire.say(self._ask("GET", self._location, good={200, 204}))
        except AbsentError:
            self._location = None
            return False
        if "Range" in answer.headers:
            self._location = self._where(answer, self._location)
            self._offset = self._reached(answer, self.descriptor.size)
            self.tell(self._offset)
        else:
            self._location = None
        return False

    def _where(self, answer: Answer, otherwise: str | None = None) -> str:
        """Return the URL to go on at, which changes with each answer."""
        said = answer.headers.get("Location") or otherwise
        if not said:
            raise registry_outage.failed(self.what, f"{self.place.registry} names no place for it")
        return urljoin(answer.url, said)

    def _ask(
        self, method: str, path: str, *, good: set[int], part: tuple[int, int] | None = None
    ) -> Ask:
        headers: dict[str, str] = {}
        if part is not None:
            headers["Content-Type"] = "application/octet-stream"
        if part is not None and method == "PATCH":
            headers["Content-Range"] = f"{part[0]}-{part[1] - 1}"
        return Ask(
            what=self.what,
            place=self.place,
            path=path,
            method=method,
            rights="pull,push",
            headers=headers,
            body=(lambda: _Part(self, *part)) if part else None,
            good=frozenset(good),
            tries=1 if part else TRIES,
            seconds=_ASSEMBLY_SECONDS if method == "PUT" else _QUIET_SECONDS,
        )

    def _broken(self, cause: str) -> HostError:
        return registry_outage.failed(self.what, cause, kind=PassingError)

    def tell(self, position: int) -> None:
        """Say how far it is."""
        if position != self._told:
            self.progress(position - self._told)
            self._told = position


class _Part:
    """The bytes of a file from ``start`` to ``stop``, read as they are sent."""

    def __init__(self, upload: Upload, start: int, stop: int) -> None:
        self._upload = upload
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[bytes]:
        upload = self._upload
        with disk.spoken(upload.path), upload.path.open("rb") as file:
            file.seek(self._start)
            at = self._start
            while at < self._stop and (piece := file.read(min(_PIECE_BYTES, self._stop - at))):
                yield piece
                at += len(piece)
                upload.sent += len(piece)
                upload.tell(at)


def _with_digest(location: str, digest: str) -> str:
    mark = "&" if urlsplit(location).query else "?"
    return f"{location}{mark}{urlencode({'digest': digest})}"
