"""The nights of each cell: its verdicts in order, how it stands, and what is only flaky.

Pure. Broken and flaky are told apart by the lock: where one lock was good one night and failed in
another, what is locked cannot be the cause. What cannot be is shown and is never red.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.matrix.result import CellResult, Run

Standing = Literal[
    "broke", "failing", "flaky", "unknown", "pending", "fixed", "new", "ok", "impossible"
]
"""``broke``: fails, and was good before; ``failing``: fails, and never was good here; ``pending``:
a run named it and left no result; ``fixed``: good again; ``new``: good at its first run."""

MEMORY = 30
"""How many of the last results of a cell count for flakiness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One cell over the nights."""

    cell: str
    results: tuple[CellResult, ...]
    """Oldest first; none where a run named it and left no result."""
    pending: bool = False
    """Whether the last night named it and has no result of it."""

    @property
    def last(self) -> CellResult | None:
        """The newest result."""
        return self.results[-1] if self.results else None

    @property
    def before(self) -> CellResult | None:
        """The result of the run before the last one."""
        return self.results[-2] if len(self.results) > 1 else None

    @property
    def good(self) -> CellResult | None:
        """The last good result before the newest; the newest itself is not meant."""
        return next((each for each in reversed(self.results[:-1]) if each.verdict == "ok"), None)

    @property
    def bad(self) -> CellResult | None:
        """The first failure after the last good result, where it still fails."""
        if self.last is None or self.last.verdict != "failed":
            return None
        start = 0
        for number, each in enumerate(self.results):
            start = number + 1 if each.verdict == "ok" else start
        return next(each for each in self.results[start:] if each.verdict == "failed")

    @property
    def same(self) -> tuple[CellResult, ...]:
        """The latest results of the lock that it has now, oldest first."""
        lock = self.last.lock if self.last else None
        found = [e for e in self.results[-MEMORY:] if e.lock == lock and e.verdict in _PROVEN]
        return tuple(found) if lock else ()

    @property
    def flaky(self) -> bool:
        """Whether its lock, of which nothing moved, was good at one time and failed at another."""
        return len({each.verdict for each in self.same}) > 1

    @property
    def standing(self) -> Standing:  # noqa: PLR0911 (a line a word)
        """How it stands after the last run."""
        if self.last is None or self.pending:
            return "pending"
        if self.last.verdict == "impossible":
            return "impossible"
        if self.last.verdict == "unknown":
            return "unknown"
        if self.flaky:
            return "flaky"
        if self.last.verdict == "failed":
            return "broke" if self.good else "failing"
        if self.before is None:
            return "new"
        return "ok" if self.before.verdict == "ok" else "fixed"

    @property
    def streak(self) -> int:
        """How many results in a row, the newest among them, have its verdict."""
        count = 0
        for each in reversed(self.results):
            if self.last is None or each.verdict != self.last.verdict:
                break
            count += 1
        return count


_PROVEN = frozenset(("ok", "failed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All cells over the nights."""

    runs: tuple[Run, ...]
    """Oldest first."""
    cells: tuple[Timeline, ...]
    """Those of the last night, in the order of its runs: shards are runs of one night."""
    left: tuple[Timeline, ...]
    """Those of earlier nights that the last one did not name."""


def history(runs: Sequence[Run], results: Iterable[CellResult]) -> History:
    """Return the nights of every cell; ``runs`` and ``results`` are oldest first."""
    found: dict[str, list[CellResult]] = defaultdict(list)
    for each in results:
        found[each.cell].append(each)
    night = runs[-1].night if runs else ""
    now = dict.fromkeys(name for run in runs if run.night == night for name in run.cells)
    now |= {name: None for name, own in found.items() if own[-1].night == night}
    cells = []
    for name in now:
        own = tuple(found.get(name, ()))
        late = not own or own[-1].night != night
        cells.append(Timeline(cell=name, results=own, pending=late))
    left = [
        Timeline(cell=name, results=tuple(own))
        for name, own in sorted(found.items())
        if name not in now
    ]
    return History(runs=tuple(runs), cells=tuple(cells), left=tuple(left))
