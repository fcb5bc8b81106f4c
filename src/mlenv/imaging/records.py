"""What was made last of a name, kept in the cache: so that one can say what a change pushed again.

A record is a memory and no proof: where it is gone or damaged, nothing is said.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError
from mlenv.files import digest
from mlenv.host import disk

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.imaging.order import Made


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One layer of an image that was made."""

    text: str
    digest: str
    size: int | None
    """Bytes to download; None where an engine built it."""
    unpacked: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An image that was made."""

    route: str
    base: str
    size: int
    layers: tuple[Kept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The last image of a name, and the one before that differed."""

    now: Record
    before: Record | None

    @property
    def again(self) -> tuple[Kept, ...]:
        """The layers that the last change has pushed again; all of a first image."""
        known = {each.digest for each in self.before.layers} if self.before else set()
        return tuple(each for each in self.now.layers if each.digest not in known)


def remember(cache: Path, made: Made, variant: str) -> None:
    """Keep what was made; that a disk is full is no reason to fail here."""
    now = Record(
        route=made.route,
        base=made.base,
        size=made.size,
        layers=tuple(
            Kept(text=each.text, digest=each.digest, size=each.size, unpacked=each.unpacked)
            for each in made.layers
        ),
    )
    known = recalled(cache, made.name, variant)
    before = None
    if known is not None:
        before = known.before if known.now == now else known.now
    text = json.dumps({"now": asdict(now), "before": asdict(before) if before else None})
    try:
        disk.write(_place(cache, made.name, variant), text, durable=False)
    except HostError:
        return


def recalled(cache: Path, name: str, variant: str) -> Records | None:
    """Return what was made of ``name``; None where nobody remembers."""
    try:
        found = json.loads(disk.text(_place(cache, name, variant)))
        before = found["before"]
        return Records(now=_record(found["now"]), before=_record(before) if before else None)
    except (HostError, ValueError, TypeError, KeyError):
        return None


def _record(row: dict[str, Any]) -> Record:
    return Record(**{**row, "layers": tuple(Kept(**each) for each in row["layers"])})


def _place(cache: Path, name: str, variant: str) -> Path:
    return cache / "images" / "made" / f"{digest([name, variant])}.json"
