"""What moved between two results of a cell, and which of it is the first suspect. Pure.

A suspect is a guess with its reason: the only package that moved, one that the failure names, or
the heaviest that moved. ``mlenv matrix bisect`` makes a guess sure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.changes import moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlenv.changes import Move
    from mlenv.matrix.history import Timeline
    from mlenv.matrix.result import CellResult, Rows

Grounds = Literal["only", "named", "heaviest"]

_WORDS = {
    "only": "the only package that moved",
    "named": "it moved, and the failure names it",
    "heaviest": "the heaviest that moved, so only a guess",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """The package that is looked at first."""

    move: Move
    grounds: Grounds
    of: int
    """How many packages moved."""

    @property
    def reason(self) -> str:
        """Why it is suspected, in words."""
        return _WORDS[self.grounds] + (f" (of {self.of} that moved)" if self.of > 1 else "")

    @property
    def text(self) -> str:
        """The suspect and the reason, in words."""
        return f"{self.move.text}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What differs between two results."""

    before: CellResult
    after: CellResult
    facts: tuple[str, ...]
    """What differs beside the packages, in words: the toolkit, the machine."""
    moves: tuple[Move, ...]
    known: bool
    """Whether both locks are kept; without, nothing is known of what moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What moved in a cell, since the last run and since it was good."""

    since_last: Movement | None
    since_good: Movement | None
    """Between the last good result and the newest; None where the newest is good."""
    broke: Movement | None
    """Between the last good result and the first failure after it."""
    suspect: Suspect | None


def story(timeline: Timeline, rows: Callable[[str], Rows | None]) -> Story:
    """Return what moved in a cell; ``rows`` gives the packages of a lock by its digest."""
    last, before, good, bad = timeline.last, timeline.before, timeline.good, timeline.bad
    since_last = movement(before, last, rows) if before and last else None
    if last is None or last.verdict != "failed" or good is None or bad is None:
        return Story(since_last=since_last, since_good=None, broke=None, suspect=None)
    broke = since_last if since_last and (good, bad) == (before, last) else None
    broke = broke or movement(good, bad, rows)
    since_good = broke if bad is last else movement(good, last, rows)
    suspect = None if timeline.flaky else _suspect(broke)
    return Story(since_last=since_last, since_good=since_good, broke=broke, suspect=suspect)


def movement(before: CellResult, after: CellResult, rows: Callable[[str], Rows | None]) -> Movement:
    """Return what differs between two results."""
    found: tuple[Move, ...] = ()
    known = before.lock is not None and after.lock is not None
    if known and before.lock != after.lock:
        old, new = rows(before.lock or ""), rows(after.lock or "")
        known = old is not None and new is not None
        found = moves(old.package, new.package) if old and new else ()
    return Movement(
        before=before, after=after, facts=tuple(_facts(before, after)), moves=found, known=known
    )


def _facts(before: CellResult, after: CellResult) -> Iterator[str]:
    for word in ("toolkit", "python", "driver", "gpu"):
        old, new = before.versions.get(word), after.versions.get(word)
        if old != new:
            yield f"{word} {old or 'none'} -> {new or 'none'}"
    for word, old, new in (
        ("level", before.level, after.level),
        ("where", before.where, after.where),
        ("spec", before.cell_spec, after.cell_spec),
    ):
        if old != new and old and new:
            yield "the spec was edited" if word == "spec" else f"{word} {old} -> {new}"


def _suspect(broke: Movement) -> Suspect | None:
    if not broke.moves:
        return None
    if len(broke.moves) == 1:
        return Suspect(move=broke.moves[0], grounds="only", of=1)
    said = _said(broke.after)
    for each in _by_weight(broke.moves):
        if _names(said, each.name):
            return Suspect(move=each, grounds="named", of=len(broke.moves))
    return Suspect(move=_by_weight(broke.moves)[0], grounds="heaviest", of=len(broke.moves))


def _by_weight(found: Sequence[Move]) -> list[Move]:
    order = ("framework", "cudnn", "comm", "cuda")
    rank = {name: number for number, name in enumerate(order)}
    return sorted(found, key=lambda each: (rank.get(each.layer, len(rank)), -each.bytes, each.name))


def _said(result: CellResult) -> str:
    why = result.why
    words = [why.what, why.cause] if why else []
    return "\n".join([*words, result.log]).lower()


def _names(said: str, package: str) -> bool:
    """Tell whether a failure names a package: as itself, or as the module it is likely to hold."""
    word = "[-_.]".join(map(re.escape, re.split(r"[-_.]+", package.lower())))
    return re.search(rf"(?<![\w.-]){word}(?![\w-])", said) is not None
