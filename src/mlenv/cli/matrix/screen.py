"""The progress of a run, drawn: a live table on a terminal, else one line for each cell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from mlenv.cli import words
from mlenv.matrix.progress import cell_line, running_lines

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from mlenv.matrix.progress import Progress
    from mlenv.matrix.result import CellResult

_ROWS = 16


class LineScreen:
    """A line on stderr for each cell."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def draw(self, progress: Progress) -> None:
        """Show nothing: only what has ended is told."""

    def line(self, result: CellResult, progress: Progress) -> None:
        """Tell of a cell."""
        words.say(f"[{progress.done}/{progress.total}] {cell_line(result)}")

    def waits(self, text: str) -> None:
        """Tell what is waited for."""
        if text:
            words.say(f"tasks wait for the cluster: {text}")


class LiveScreen:
    """A table that is drawn anew, below the lines of what has ended."""

    def __init__(self) -> None:
        """Prepare it; nothing is shown yet."""
        from rich.console import Console  # noqa: PLC0415 (only on a terminal)
        from rich.live import Live  # noqa: PLC0415

        self._waits = ""
        self._live: Live = Live(console=Console(stderr=True), refresh_per_second=5)

    def __enter__(self) -> Self:
        """Show it."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._live.stop()

    def draw(self, progress: Progress) -> None:
        """Draw how things stand."""
        self._live.update(_table(progress, self._waits))

    def waits(self, text: str) -> None:
        """Show what is waited for, below the table."""
        self._waits = f"wait for the cluster: {text}" if text else ""

    def line(self, result: CellResult, progress: Progress) -> None:
        """Tell of a cell, above the table."""
        from rich.text import Text  # noqa: PLC0415 (only on a terminal)

        style = {"ok": "green", "failed": "red", "unknown": "yellow"}.get(result.verdict, "dim")
        self._live.console.print(
            Text(f"[{progress.done}/{progress.total}] ") + Text(cell_line(result), style=style)
        )


def _table(progress: Progress, caption: str) -> Table:
    from rich.table import Table  # noqa: PLC0415 (only on a terminal)

    counts = ", ".join(f"{n} {word}" for word, n in sorted(progress.counts.items())) or "none yet"
    title = f"{progress.done} of {progress.total} cells: {counts}"
    table = Table("cell", "phase", "seconds", title=title, title_justify="left", box=None)
    table.caption, table.caption_justify = caption or None, "left"
    rows = list(running_lines(progress))
    for cell, phase, seconds in rows[:_ROWS]:
        table.add_row(words.fitted(cell, 60), phase, f"{seconds:.0f}")
    if len(rows) > _ROWS:
        table.add_row(f"and {len(rows) - _ROWS} more", "", "")
    return table


def screen() -> LineScreen | LiveScreen:
    """Return the one that fits where stderr goes."""
    return LiveScreen() if sys.stderr.isatty() else LineScreen()
