"""Which of the things that changed make it fail, found in few tries. Pure: the trying is a port.

The change is taken as a row of items, each with an old and a new state. A binary search over how
many of them are new finds the first whose arrival turns good into bad; tried by itself it is the
answer, or it needs others before it, which are looked for in the same way. One culprit among n
takes ``ceil(log2 n) + 1`` tries; a set of r that only together do harm about r times that.

A try may have no answer (no solver accepts that mix). Then its neighbours are tried; what cannot
be parted is named together. What it cannot find: a failure that comes and goes by itself, and one
that a further new item mends again, other than by chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Answer = Literal["good", "bad", "none"]
"""``none``: the mix cannot be made, so nothing is known of it."""
Item = TypeVar("Item", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated(Generic[Item]):
    """What was found."""

    kind: Literal["found", "good-fails", "bad-passes"]
    """``good-fails``: all as it was, and it fails today; ``bad-passes``: all new, and it passes."""
    items: tuple[Item, ...]
    """The smallest set found that fails with all else as it was; none where the ends differ."""
    together: tuple[Item, ...]
    """Those of them that no solver takes one without the other."""
    tries: int
    """Mixes that were made and judged."""
    refused: int
    """Mixes that could not be made."""


def isolated(items: Sequence[Item], judge: Callable[[frozenset[Item]], Answer]) -> Isolated[Item]:
    """Return which of ``items`` make it fail; ``judge`` is asked with those that are new."""
    return _Search(items=tuple(items), judge=judge).run()


@dataclass(slots=True, kw_only=True)
class _Search(Generic[Item]):
    items: tuple[Item, ...]
    judge: Callable[[frozenset[Item]], Answer]
    known: dict[frozenset[Item], Answer] = field(default_factory=dict)
    together: set[Item] = field(default_factory=set)

    def run(self) -> Isolated[Item]:
        held: frozenset[Item] = frozenset()
        end = len(self.items)
        while end:
            end, block = self.arrival(held, end)
            held |= block
            if not end or self.ask(held) == "bad":
                break
            if "bad" not in self.known.values() and self.ask(frozenset(self.items)) != "bad":
                return self.answer("bad-passes", frozenset())
        held = self.least(held)
        if "good" not in self.known.values() and self.ask(frozenset()) != "good":
            return self.answer("good-fails", frozenset())
        return self.answer("found", held)

    def answer(
        self, kind: Literal["found", "good-fails", "bad-passes"], held: frozenset[Item]
    ) -> Isolated[Item]:
        answers = list(self.known.values())
        return Isolated(
            kind=kind,
            items=tuple(each for each in self.items if each in held),
            together=tuple(each for each in self.items if each in self.together & held),
            tries=len(answers) - answers.count("none"),
            refused=answers.count("none"),
        )

    def ask(self, new: frozenset[Item]) -> Answer:
        if new not in self.known:
            self.known[new] = self.judge(new)
        return self.known[new]

    def arrival(self, held: frozenset[Item], end: int) -> tuple[int, frozenset[Item]]:
        """Find what turns good into bad, of the first ``end`` items; return where, and it."""
        low, high = 0, end
        while high - low > 1:
            for middle in _outward(low, high):
                answer = self.ask(held | frozenset(self.items[:middle]))
                if answer != "none":
                    break
            else:
                return low, self.parted(held, low, high)
            low, high = (low, middle) if answer == "bad" else (middle, high)
        return low, frozenset(self.items[low:high])

    def parted(self, held: frozenset[Item], low: int, high: int) -> frozenset[Item]:
        """Leave out of a block what it fails without; what stays cannot be parted in this row."""
        before = held | frozenset(self.items[:low])
        row = list(self.items[low:high])
        size = len(row) // 2
        while size and len(row) > 1:
            for chunk in [row[at : at + size] for at in range(0, len(row), size)]:
                rest = [each for each in row if each not in chunk]
                if rest and self.ask(before | frozenset(rest)) == "bad":
                    row = rest
            size = min(size, len(row)) // 2
        if len(row) > 1:
            self.together |= set(row)
        return frozenset(row)

    def least(self, held: frozenset[Item]) -> frozenset[Item]:
        """Leave out of several what the rest fails without."""
        if len(held) > 1:
            for each in self.items:
                if each in held - self.together and self.ask(held - {each}) == "bad":
                    held -= {each}
        return held


def _outward(low: int, high: int) -> Iterator[int]:
    """Yield places between, from the middle outward in steps that double, and those at the ends."""
    middle, step = (low + high) // 2, 1
    found = [middle]
    while step < high - low:
        found += [middle - step, middle + step]
        step *= 2
    yield from dict.fromkeys(e for e in (*found, low + 1, high - 1) if low < e < high)
