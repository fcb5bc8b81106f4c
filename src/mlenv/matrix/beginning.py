"""A run begins, or one that was stopped goes on: which id it has, at which date it locks.

A run that was stopped goes on where the same cells are asked for again within twelve hours: what
has a result is not repeated, unless that result is that a tool, the network or the disk failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv import __version__
from mlenv.errors import UsageError
from mlenv.files import digest
from mlenv.host import sweeping
from mlenv.matrix.planning import order
from mlenv.matrix.result import CellResult, Run, Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.errors import Reason
    from mlenv.matrix.cell import Cell
    from mlenv.matrix.result import Level
    from mlenv.matrix.results import Results

_FRESH = timedelta(hours=12)
_RUN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command line says of a run."""

    level: Level
    on: str
    specs: tuple[str, ...]
    date: str | None = None
    """The day to lock at; None: today, or that of the run that goes on."""
    run: str | None = None
    """Its id; None: a new one, or that of the run that goes on."""
    new: bool = False
    """Begin anew, though one was stopped."""


def date_of(asked: Asked, results: Results, now: datetime) -> str:
    """Return the day that a run locks at: as asked, as an earlier part of it has it, or today.

    Raises:
        UsageError: ``matrix-order``: it is no day, or no id.
    """
    if asked.run is not None and not re.fullmatch(_RUN, asked.run):
        raise UsageError(
            order(
                f"`--run {asked.run}` cannot name a folder",
                "it is made of letters, digits, '.', '_' and '-', at most 64",
                "write it like `--run 2026-11-28`, or leave it out",
            )
        )
    if asked.date is not None:
        try:
            return str(datetime.strptime(asked.date, "%Y-%m-%d").replace(tzinfo=UTC).date())
        except ValueError:
            raise UsageError(_no_day(asked.date)) from None
    former = _former(asked, results, now)
    return former.night if former else str(now.date())


def _no_day(text: str) -> Reason:
    return order(f"`--date {text}` is no day", "it is to be a day", "write it like 2026-11-28")


def _former(asked: Asked, results: Results, now: datetime) -> Run | None:
    """Return the run that may go on: the one that is named, or the last, if it began lately."""
    known = results.runs()
    if asked.run is not None:
        return results.run(asked.run) if asked.run in known else None
    if asked.new or not known:
        return None
    last = results.run(known[-1])
    alike = (last.level, last.on, last.specs) == (asked.level, asked.on, asked.specs)
    alike = alike and asked.date in {None, last.night}
    return last if alike and now - _began(last) < _FRESH else None


def begin(cells: Sequence[Cell], asked: Asked, results: Results, now: datetime) -> tuple[Run, bool]:
    """Return the run of these cells, and whether it goes on; one that begins is written.

    Raises:
        HostError: ``disk-failed``.
        UsageError: ``matrix-order``: the run that is named has other cells, or another day.
    """
    matrix = digest([asked.level, sorted([each.id, each.file.sha256] for each in cells)])
    former = _former(asked, results, now)
    if former is not None and asked.run is not None:
        _check_same(former, asked, matrix, len(cells))
        return former, True
    if former is not None and former.matrix_sha256 == matrix and not _over(former, results):
        return former, True
    run = Run(
        run=asked.run or now.strftime("%Y%m%dT%H%M%SZ"),
        night=date_of(asked, results, now),
        began=now.strftime(_STAMP),
        mlenv=__version__,
        level=asked.level,
        on=asked.on,
        specs=asked.specs,
        cells=tuple(each.id for each in cells),
        matrix_sha256=matrix,
    )
    results.put_run(run)
    _tidy(results, known=run.run, now=now)
    return run, False


def _check_same(former: Run, asked: Asked, matrix: str, count: int) -> None:
    """Raise where a run that is named is not what is asked for."""
    if asked.date not in {None, former.night}:
        raise UsageError(
            order(
                f"the run {former.run} locks at {former.night}",
                f"`--date {asked.date}` is another day, and a run has one",
                "leave --date out, or give another id with --run",
            )
        )
    if former.matrix_sha256 != matrix:
        raise UsageError(
            order(
                f"the run {former.run} is about other cells",
                f"it began at {former.began} with {len(former.cells)} cells; these are "
                f"{count}, or ask for something else",
                "give it another id with --run, or leave --run out",
            )
        )


def _tidy(results: Results, *, known: str, now: datetime) -> None:
    """Remove what runs left that were stopped, and that will not go on."""
    for each in results.runs():
        work = results.run_folder(each) / "underway"
        if each != known and work.is_dir() and now - _began(results.run(each)) >= _FRESH:
            sweeping.remove_tree(work)


def _began(run: Run) -> datetime:
    return datetime.strptime(run.began, _STAMP).replace(tzinfo=UTC)


def _over(run: Run, results: Results) -> bool:
    """Tell whether a run has told all that it found out."""
    return results.was_told(run.run) and not any(results.is_open(run.run, e) for e in run.cells)


def open_cells(cells: Iterable[Cell], run: Run, results: Results) -> tuple[Cell, ...]:
    """Return the cells that a run has still to find out about."""
    return tuple(each for each in cells if results.is_open(run.run, each.id))


def put_impossible(cells: Iterable[Cell], run: Run, results: Results) -> None:
    """Write the results of cells that cannot be: they are shown, and never run.

    Raises:
        HostError: ``disk-failed``.
    """
    for each in cells:
        if each.runs:
            continue
        first = each.reasons[0]
        why = Why(
            code=first.code,
            what=first.what,
            cause=first.cause,
            fix=first.fix,
            where=first.where,
            source=first.source,
        )
        results.put(
            CellResult(
                run=run.run,
                night=run.night,
                cell=each.id,
                spec=each.spec,
                origin=Path(each.origin).as_posix(),
                target=each.target,
                axes=dict(each.axes),
                allow_failure=each.allow_failure,
                level=run.level,
                verdict="impossible",
                phase="plan",
                why=why,
                also=len(each.reasons) - 1,
                stack=each.stack,
                began=run.began,
            )
        )
