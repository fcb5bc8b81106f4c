"""Text that is about to be written, as a value: nothing here touches a disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


LOCK_NAME = "mlenv.lock"
"""The file in which mlenv keeps what it decided."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A path below a folder, with ``/`` between its parts, and the text for it."""

    path: str
    text: str

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8, in hexadecimal."""
        return sha256(self.text)


def sha256(text: str) -> str:
    """Return the SHA-256 of ``text`` in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(content: object) -> str:
    """Return the SHA-256 of ``content`` as canonical JSON: key order and layout do not count."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), default=str))


def difference(wanted: Iterable[File], found: Mapping[str, str]) -> tuple[str, ...]:
    """Return one line for each file that is missing or differs; ``found`` is path -> text."""
    lines = []
    for each in sorted(wanted):
        if each.path not in found:
            lines.append(f"{each.path} is missing")
        elif found[each.path] != each.text:
            lines.append(f"{each.path} differs")
    return tuple(lines)
