"""What an audit is given of each package: the file that is installed, and what was read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.cuda import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """What was read from the compiled files of a wheel."""

    needs: Mapping[str, tuple[str, ...]] | None = None
    """Installed path -> the libraries that it asks the loader for; None where none was read."""
    code: tuple[Code, ...] | None = None
    """The GPU code that was seen; None where nothing was read."""
    whole: bool = False
    """Whether ``code`` is all that the wheel holds."""


UNREAD = Binaries()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What was read from the one file of a package that the target installs."""

    files: Mapping[str, tuple[int, int]]
    """Installed path -> (bytes, CRC-32)."""
    requires_python: str | None
    texts: Mapping[str, str]
    """The small files that were asked for."""
    requires: tuple[str, ...] = ()
    """Its requirements, PEP 508, those of its extras too."""
    binaries: Binaries = UNREAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A package of the answer, with the one file that the target installs."""

    name: str
    version: str
    filename: str
    inside: Inside | None
    """None for a source package."""
