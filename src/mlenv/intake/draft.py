"""What a reader makes of a file: requirements and claims with their places, and what it left.

A draft is no spec yet: ``intake.settling`` sorts it by the catalog. A reader takes a text and never
a disk; a file that the text names is asked of ``Source.near``. Whatever a text says ends in a note
on one line, without credentials: it is shown on a terminal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlenv.errors import Reason, UsageError
from mlenv.model import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

_CREDENTIAL = re.compile(r"(://)[^/\s@]*@")
_LONGEST = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that comes in."""

    name: str
    """What notes call it."""
    text: str
    near: Callable[[str], Source | None]
    """Returns the file that this one names, by a path from its own folder; None for none."""
    extras: frozenset[str] = frozenset()
    """Extras, groups and features that are wanted beside what is always installed."""

    def __post_init__(self) -> None:
        """Keep the name on one line too."""
        object.__setattr__(self, "name", one_line(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A word of a file, and where it stands: ``requirements.txt:3``."""

    text: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """A requirement: PEP 508, as far as its file kept to that."""

    text: str
    at: str
    dev: bool = False
    direct: bool = True
    """False for what only another package of the file asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was understood, or what was left and why."""

    at: str
    what: str
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Draft:
    """What a file says of a stack; a reader fills it."""

    file: str
    files: set[str] = field(default_factory=set)
    """This file and those that it names."""
    name: str = ""
    backend: Literal["uv", "conda"] = "uv"
    requirements: list[Required] = field(default_factory=list)
    bounds: list[Required] = field(default_factory=list)
    """Constraints: they count where something else requires the package."""
    pythons: list[Said] = field(default_factory=list)
    """PEP 440 specifiers; all hold."""
    cuda: list[Said] = field(default_factory=list)
    """``12.6``, ``12`` or ``cpu``: the toolkit, as each place has it; the first counts most."""
    cudnn: list[Said] = field(default_factory=list)
    indexes: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Alias -> URL, and the packages it serves."""
    channels: list[str] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)
    apt: list[Said] = field(default_factory=list)
    compile: bool | str = False
    exclude_newer: str = ""
    understood: list[Note] = field(default_factory=list)
    left: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Count the file itself."""
        self.files.add(self.file)

    def at(self, line: int | None) -> str:
        """Return the place of a line."""
        return f"{self.file}:{line}" if line else self.file

    def require(
        self, text: str, line: int | None, *, dev: bool = False, direct: bool = True
    ) -> None:
        """Add a requirement."""
        found = Required(text=one_line(text.strip()), at=self.at(line), dev=dev, direct=direct)
        self.requirements.append(found)

    def claim(self, cuda: str, line: int | None, because: str) -> None:
        """Add a place that says which toolkit is meant."""
        self.cuda.append(Said(text=cuda, at=self.at(line)))
        self.note(line, f'{because} is `cuda = "{cuda}"`')

    def note(self, line: int | None, what: str) -> None:
        """Say that something was understood."""
        self.understood.append(Note(at=self.at(line), what=one_line(what)))

    def leave(self, line: int | None, what: str, why: str) -> None:
        """Say that something was left out, and why."""
        self.left.append(Note(at=self.at(line), what=one_line(what), why=one_line(why)))

    def unasked(self, line: int | None, what: str, extra: str) -> None:
        """Say that an extra, a group or a feature was left since nobody asked for it."""
        self.leave(line, what, f"not asked for: --extra {extra} takes it")

    def take(self, other: Draft) -> None:
        """Add what another file says, which this one names."""
        self.name = self.name or other.name
        self.backend = "conda" if "conda" in {self.backend, other.backend} else "uv"
        self.compile = self.compile or other.compile
        self.exclude_newer = self.exclude_newer or other.exclude_newer
        for word in ("requirements", "bounds", "pythons", "cuda", "cudnn", "channels", "platforms"):
            getattr(self, word).extend(getattr(other, word))
        for word in ("apt", "understood", "left"):
            getattr(self, word).extend(getattr(other, word))
        self.indexes |= other.indexes
        self.files |= other.files


def one_line(text: str) -> str:
    """Return ``text`` without credentials, line breaks and what could hide a part of it."""
    plain = _CREDENTIAL.sub(r"\1…@", CONTROL.sub(" ", text))
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def unreadable(file: str, cause: str, fix: str) -> UsageError:
    """Return the error of a file that is not what it is taken for."""
    return UsageError(
        Reason(
            code="intake-unreadable",
            what=f"{one_line(file)} cannot be read as a stack",
            cause=one_line(cause),
            fix=fix,
        )
    )
