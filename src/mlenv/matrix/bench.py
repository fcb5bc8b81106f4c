"""Where a task is done: its folders, what a phase left there, and which of its cells are open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mlenv.host import disk
from mlenv.lock import Sha256
from mlenv.matrix.result import Phase
from mlenv.matrix.results import Results
from mlenv.model import Model

if TYPE_CHECKING:
    from mlenv.matrix.task import Member, Task, Terms

LOCKED = "locked.json"


class Locked(Model):
    """What the first phase left."""

    leader: str
    """The cell whose lock it is."""
    folder: str
    lock: Sha256
    bytes: int
    """Of all files that will be installed."""
    packages: tuple[str, ...] = ()
    seconds: dict[Phase, float] = Field(default_factory=dict)
    log: str = ""
    began: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a task is done."""

    task: Task
    terms: Terms

    @property
    def results(self) -> Results:
        """The results folder."""
        return Results(folder=Path(self.terms.results))

    @property
    def folder(self) -> Path:
        """What lies here is the task's own, and gone when it is done."""
        return self.results.run_folder(self.terms.run) / "underway" / self.task.stack[:16]

    @property
    def cache(self) -> Path:
        """Where its environment lies: beside the other caches, so that uv can link files."""
        return disk.cache_folder() / "matrix" / f"{self.terms.run}-{self.task.stack[:16]}"

    def open_members(self) -> tuple[Member, ...]:
        """Return the cells of which there is still something to find out."""
        results, run = self.results, self.terms.run
        return tuple(each for each in self.task.members if results.is_open(run, each.cell))

    def locked(self) -> Locked | None:
        """Return what the first phase left; None where it is still to be done."""
        path = self.folder / LOCKED
        return Locked.model_validate_json(disk.contents(path)) if path.is_file() else None
