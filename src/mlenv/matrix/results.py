"""The results folder: files that are added and never changed, so that CI can carry and merge it.

    runs/RUN/run.json           what was to be run
    runs/RUN/cells/CELL.json    what became of a cell: ``CellResult``
    runs/RUN/artifacts.json     which files of locks are no longer served, where that was asked
    runs/RUN/told               its end was told; a run without it goes on when asked again
    locks/DIGEST.json           the packages of a lock: ``Rows``
    specs/DIGEST.toml           a cell as a spec of its own

Two folders are merged by copying one over the other. A file that is there is whole: each is
written in one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from mlenv.errors import Reason, UsageError
from mlenv.host import disk
from mlenv.matrix.result import CellResult, Rows, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlenv.model import Model

T = TypeVar("T", CellResult, Rows, Run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A results folder."""

    folder: Path

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run."""
        return self.folder / "runs" / run

    def runs(self) -> tuple[str, ...]:
        """Return the ids of all runs, oldest first: an id begins with its time."""
        top = self.folder / "runs"
        found = top.iterdir() if top.is_dir() else ()
        return tuple(sorted(each.name for each in found if (each / "run.json").is_file()))

    def run(self, run: str) -> Run:
        """Return what a run was about.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        return _parsed(self.run_folder(run) / "run.json", Run)

    def cells(self, run: str) -> Iterator[CellResult]:
        """Yield the results of a run, by the name of their cell.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        top = self.run_folder(run) / "cells"
        for path in sorted(top.glob("*.json")):
            yield _parsed(path, CellResult)

    def cell(self, run: str, cell: str) -> CellResult | None:
        """Return the result of a cell in a run; None where there is none.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        path = self.run_folder(run) / "cells" / f"{cell}.json"
        return _parsed(path, CellResult) if path.is_file() else None

    def was_told(self, run: str) -> bool:
        """Tell whether somebody has waited for the end of a run, and was told of it."""
        return (self.run_folder(run) / "told").is_file()

    def put_told(self, run: str) -> None:
        """Note that the end of a run was told.

        Raises:
            HostError: ``disk-failed``.
        """
        disk.write(self.run_folder(run) / "told", "")

    def is_open(self, run: str, cell: str) -> bool:
        """Tell whether a run has still to find out about a cell: nothing, or only that it broke.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        found = self.cell(run, cell)
        return found is None or found.broken

    def rows(self, digest: str) -> Rows | None:
        """Return the packages of a lock; None where they are not kept here.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        path = self.folder / "locks" / f"{digest}.json"
        return _parsed(path, Rows) if path.is_file() else None

    def locks(self) -> Iterator[Rows]:
        """Yield the packages of every lock that is kept here.

        Raises:
            HostError: ``disk-failed``.
            UsageError: ``result-unreadable``.
        """
        for path in sorted((self.folder / "locks").glob("*.json")):
            yield _parsed(path, Rows)

    def spec(self, digest: str) -> str | None:
        """Return the text of a cell's own spec; None where it is not kept here.

        Raises:
            HostError: ``disk-failed``.
        """
        path = self.folder / "specs" / f"{digest}.toml"
        return disk.text(path) if path.is_file() else None

    def put_run(self, run: Run) -> None:
        """Write what a run is about.

        Raises:
            HostError: ``disk-failed``.
        """
        disk.write(self.run_folder(run.run) / "run.json", _text(run))

    def put(self, result: CellResult, rows: Rows | None = None, spec: str | None = None) -> None:
        """Write a result, after what it speaks of: whoever sees it finds the rest.

        Raises:
            HostError: ``disk-failed``: nothing of the result is there.
        """
        if rows is not None:
            _once(self.folder / "locks" / f"{rows.artefacts_sha256}.json", _text(rows))
        if spec is not None:
            _once(self.folder / "specs" / f"{result.cell_spec}.toml", spec)
        folder = self.run_folder(result.run) / "cells"
        disk.write(folder / f"{result.cell}.json", _text(result))


def _once(path: Path, text: str) -> None:
    if not path.is_file():
        disk.write(path, text)


def _text(content: Model) -> str:
    return content.model_dump_json(by_alias=True, exclude_defaults=False, exclude_none=True) + "\n"


def _parsed(path: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(disk.contents(path))
    except ValidationError as error:
        raise UsageError(
            Reason(
                code="result-unreadable",
                what=f"{path} cannot be read",
                cause=str(error).splitlines()[0],
                fix="remove that file, or take the folder from where it was kept",
            )
        ) from None
