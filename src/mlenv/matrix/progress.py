"""What a run tells while it goes on: a table on a terminal, a line for each cell elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlenv.matrix.bench import Bench
    from mlenv.matrix.result import CellResult
    from mlenv.matrix.task import Task


class Screen(Protocol):
    """Where progress is shown."""

    def draw(self, progress: Progress) -> None:
        """Show how things stand."""
        ...

    def line(self, result: CellResult, progress: Progress) -> None:
        """Show a cell that has its result."""
        ...

    def waits(self, text: str) -> None:
        """Show what is waited for; nothing where nothing is."""
        ...


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    total: int
    screen: Screen
    clock: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter)
    running: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    """Stack -> cell, phase, since when."""
    told: set[str] = field(default_factory=set)
    """Cells whose result was told."""
    waiting: frozenset[str] = frozenset()
    """Why tasks wait that a cluster has not started."""

    @property
    def done(self) -> int:
        """How many cells have their result."""
        return sum(self.counts.values())

    def count(self, result: CellResult) -> None:
        """Count a result that was there already, or is not run."""
        self.told.add(result.cell)
        self.counts[result.verdict] += 1

    def begun(self, task: Task, phase: str) -> None:
        """Note that a task is being worked at."""
        self.running[task.stack] = (task.members[0].cell, phase, self.clock())
        self.tick()

    def locked(self, bench: Bench) -> None:
        """Note that a task waits for the rest; a result that it has is of an earlier call."""
        self.running.pop(bench.task.stack, None)
        self.tick()

    def ended(self, bench: Bench) -> None:
        """Note that a task has ended, and tell of its cells, which have results now."""
        self.running.pop(bench.task.stack, None)
        for member in bench.task.members:
            found = bench.results.cell(bench.terms.run, member.cell)
            if found is not None and found.cell not in self.told:
                self.count(found)
                self.screen.line(found, self)
        self.tick()

    def waits(self, reasons: Counter[str]) -> None:
        """Note why how many tasks wait; told again only where the reasons are others."""
        if frozenset(reasons) != self.waiting:
            self.waiting = frozenset(reasons)
            self.screen.waits(", ".join(f"{n} ({why})" for why, n in reasons.most_common()))

    def tick(self) -> None:
        """Draw anew."""
        self.screen.draw(self)


def cell_line(result: CellResult) -> str:
    """Return a cell's result as a line."""
    seconds = sum(result.seconds.values())
    words = f"{result.verdict:<10} {result.cell}  {result.phase} {seconds:.1f} s"
    if result.shared:
        words += f"  (the same stack as {result.shared})"
    return words + (f"\n           {result.why.code}: {result.why.what}" if result.why else "")


def running_lines(progress: Progress) -> Iterator[tuple[str, str, float]]:
    """Yield cell, phase and seconds of what is being worked at."""
    now = progress.clock()
    for cell, phase, since in progress.running.values():
        yield cell, phase, now - since
