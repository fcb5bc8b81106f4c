"""What a run on this machine tells, and when: a result of an earlier call is not one of this."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlenv.matrix.bench import Bench
from mlenv.matrix.local import Floor, put_lost
from mlenv.matrix.perform import Job, Step
from mlenv.matrix.progress import Progress
from mlenv.matrix.task import Member, Task, Terms

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.matrix.result import CellResult


@dataclass
class Told:
    """A screen that keeps what it is told."""

    lines: list[str] = field(default_factory=list)

    def draw(self, progress: Progress) -> None:
        """Draw nothing."""

    def line(self, result: CellResult, progress: Progress) -> None:
        """Keep the reason of a cell."""
        assert progress.done
        self.lines.append(result.why.cause if result.why else "")

    def waits(self, text: str) -> None:
        """Show nothing."""


def test_a_cell_that_is_tried_again_is_told_once_it_has_ended(tmp_path: Path) -> None:
    member = Member(cell="a", spec="a", origin="a.toml", planned="ok", sha256="0" * 64, text="")
    terms = Terms(
        run="r",
        night="2026-11-28",
        today="2026-11-28T00:00:00Z",
        level="static",
        results=str(tmp_path),
    )
    bench, screen = Bench(task=Task(stack="0" * 64, members=(member,)), terms=terms), Told()
    put_lost(bench, "the first call", "lock")
    floor = Floor(
        terms=terms,
        progress=Progress(total=1, screen=screen),
        provers=1,
        waiting=deque([bench]),
    )
    job = floor.following()
    assert job is not None
    floor.begun(job)
    floor.done(job, Step(left=True, bytes=1))
    assert not floor.progress.running
    assert screen.lines == []
    rest = floor.following()
    assert rest == Job(bench=bench, phase="verify")
    floor.begun(rest)
    put_lost(bench, "the second call", "verify")
    floor.done(rest, Step(left=False))
    assert screen.lines == ["the second call"]
    assert floor.progress.counts == {"unknown": 1}
