"""A results folder, read: every cell over the nights, and what moved in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mlenv.errors import UsageError
from mlenv.matrix.history import History, Timeline, history
from mlenv.matrix.movement import Story, story

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.matrix.result import CellResult
    from mlenv.matrix.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One cell: its nights, and its story."""

    timeline: Timeline
    story: Story

    @property
    def axes(self) -> Mapping[str, str]:
        """Axis -> value, the target among them where it has one; none where nothing ran yet."""
        last = self.timeline.last
        if last is None:
            return {}
        target = {"target": last.target} if last.target else {}
        return {**target, **last.axes}

    @property
    def spec(self) -> str:
        """The name of its spec; of a cell without a result, what its id says."""
        last = self.timeline.last
        return last.spec if last else self.timeline.cell

    @property
    def title(self) -> str:
        """The cell in words: ``train: h100, Python 3.12, CUDA 12.8``."""
        words = ", ".join(axis_words(axis, value) for axis, value in self.axes.items())
        return f"{self.spec}: {words}" if words else self.spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that is reported on."""

    history: History
    folder: str
    """The results folder, as it was named."""
    cells: tuple[Told, ...]
    left: tuple[Told, ...]
    """Cells that the last run did not name."""
    nights: tuple[tuple[str, Mapping[str, int]], ...]
    """Of every night, oldest first: the day, and verdict -> how many cells had it."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Standing -> how many cells of the last run stand so."""
        return Counter(each.timeline.standing for each in self.cells)

    def standing(self, *words: str) -> tuple[Told, ...]:
        """Return the cells that stand so, in the order of the run."""
        return tuple(each for each in self.cells if each.timeline.standing in words)


_NAMES = {"python": "Python", "cuda": "CUDA", "cudnn": "cuDNN"}


def axis_words(axis: str, value: str) -> str:
    """Return a value as a person reads it: ``Python 3.12``."""
    return f"{_NAMES[axis]} {value}" if axis in _NAMES and value != "cpu" else value


def gathered(results: Results) -> Report:
    """Read a results folder.

    Raises:
        UsageError: ``matrix-order``: it holds no run; ``result-unreadable``.
        HostError: ``disk-failed``.
    """
    names = results.runs()
    if not names:
        from mlenv.matrix.planning import order  # noqa: PLC0415 (heavy, and only an error's)

        raise UsageError(
            order(
                f"{results.folder} holds no results of a matrix",
                "there is no `runs/RUN/run.json` in it",
                "name the folder that `mlenv matrix run` wrote to",
            )
        )
    runs = [results.run(name) for name in names]
    every = [each for name in names for each in results.cells(name)]
    found = history(runs, every)
    rows = cache(results.rows)

    def told(timelines: Sequence[Timeline]) -> tuple[Told, ...]:
        return tuple(Told(timeline=each, story=story(each, rows)) for each in timelines)

    return Report(
        history=found,
        folder=str(results.folder),
        cells=told(found.cells),
        left=told(found.left),
        nights=tuple(_counted(every).items()),
    )


def _counted(results: Sequence[CellResult]) -> Mapping[str, Mapping[str, int]]:
    last = {(each.night, each.cell): each.verdict for each in results}
    found: dict[str, Counter[str]] = {}
    for (night, _), verdict in last.items():
        found.setdefault(night, Counter())[verdict] += 1
    return dict(sorted(found.items()))
