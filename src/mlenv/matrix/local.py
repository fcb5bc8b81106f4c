"""A run on this machine: stacks are locked, and what is locked is built and verified.

Locking is bounded by cores and memory. An environment is begun only where the disk has room for it
beside those that are being made; where it has not, what no later task needs leaves uv's cache.
"""

from __future__ import annotations

import gc
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import disk, process, tools, workforce
from mlenv.host.room import free_bytes
from mlenv.host.workforce import Lost, Workforce, cores, fitting
from mlenv.matrix import perform
from mlenv.matrix.bench import Bench
from mlenv.matrix.notes import Notes, now
from mlenv.matrix.outcome import Found, result_of
from mlenv.matrix.perform import Job, Step
from mlenv.solve.asking import passes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.matrix.progress import Progress
    from mlenv.matrix.result import Phase
    from mlenv.matrix.task import Task, Terms

LOCK_MIB = 450
"""What a worker that locks takes, its uv with it; measured."""
PROVE_MIB = 3000
"""What a verification takes: it imports frameworks."""
SPARE_BYTES = 2_000_000_000
UNPACKED = 2.2
"""Installed files are so many times the size of their wheels: CUDA's are packed to a half."""
_A_CORE = 4
"""Locks at once for each core: with two, cores were busy by 41 % only; measured 2026-11-28."""
_CLEAN_SECONDS = 600.0
_IMPORTS = ("mlenv.matrix.locking", "mlenv.matrix.perform", "mlenv.imaging.locked")


@dataclass(slots=True, kw_only=True)
class Floor:
    """The tasks of a run, and how far they are."""

    terms: Terms
    progress: Progress
    provers: int
    """So many tasks may be built and verified side by side."""
    waiting: deque[Bench]
    """Tasks that are to be locked."""
    locked: deque[tuple[Bench, Step]] = field(default_factory=deque)
    """Tasks that wait for the rest, with what their locks take."""
    busy: dict[str, int] = field(default_factory=dict)
    """Stack -> bytes that it may still take, of those that are being built or verified."""
    spent: set[str] = field(default_factory=set)
    """Packages of tasks that are done."""

    def following(self) -> Job | None:
        """Return the next job that may begin: locks first."""
        if self.waiting:
            return Job(bench=self.waiting.popleft(), phase="lock")
        if not self.locked or len(self.busy) >= self.provers or not self.has_room():
            return None
        bench, step = self.locked.popleft()
        self.busy[bench.task.stack] = _needed(step)
        self.spent |= set(step.packages)
        return Job(bench=bench, phase="verify")

    def begun(self, job: Job) -> None:
        """Note that a task is being worked at."""
        self.progress.begun(job.bench.task, job.phase)

    def done(self, job: Job, step: Step | Lost) -> None:
        """Note what became of a job."""
        if isinstance(step, Lost):
            put_lost(job.bench, step.cause, job.phase)
        elif step.left:
            self.locked.append((job.bench, step))
            self.progress.locked(job.bench)
            return
        if job.phase == "verify":
            self.busy.pop(job.bench.task.stack)
        self.progress.ended(job.bench)

    def has_room(self) -> bool:
        """Tell whether the next task may begin to install; one that is alone always may."""
        wanted = _needed(self.locked[0][1]) + sum(self.busy.values()) + SPARE_BYTES
        place = disk.cache_folder()
        if free_bytes(place) >= wanted:
            return True
        if self.busy:
            return False
        self.make_room()
        return True

    def make_room(self) -> None:
        """Remove from uv's cache what was needed, and no task that waits needs."""
        needed = {name for _, step in self.locked for name in step.packages}
        names = sorted(self.spent - needed)
        self.spent &= needed
        if names:
            words = [tools.uv(), "cache", "clean", *names]
            process.run(words, cwd=Path("/"), seconds=_CLEAN_SECONDS, inherit=passes)


def _needed(step: Step) -> int:
    return int(step.bytes * UNPACKED)


def warm() -> None:
    """Begin to load what workers need, while the cells are still planned."""
    workforce.warm(_IMPORTS)


def prepare() -> None:
    """Read the facts, once for each worker; what is there then is not looked at for garbage."""
    from mlenv.matrix import locking  # noqa: PLC0415 (in a worker)

    _ = locking.facts().frameworks
    gc.freeze()


def locking_jobs() -> int:
    """Return how many workers lock: many a core, because a solve mostly waits for the index."""
    return fitting(_A_CORE * cores(), LOCK_MIB)


def proving_jobs(terms: Terms) -> int:
    """Return how many tasks are verified side by side; on a GPU one, because it is measured."""
    return 1 if terms.level == "gpu" else fitting(cores(), PROVE_MIB)


def run(tasks: Sequence[Task], terms: Terms, progress: Progress, jobs: int | None = None) -> None:
    """Do all tasks of which something is left.

    Raises:
        HostError: ``disk-failed``: the results folder cannot be written.
    """
    floor = Floor(
        terms=terms,
        progress=progress,
        provers=jobs or proving_jobs(terms),
        waiting=deque(Bench(task=each, terms=terms) for each in tasks),
    )
    size = min(jobs or locking_jobs(), max(1, len(tasks)))
    with Workforce[Job, Step](size=size, prepare=prepare, imports=_IMPORTS) as force:
        force.run(perform.do, floor.following, floor.done, begun=floor.begun, tick=progress.tick)


def put_lost(bench: Bench, cause: str, phase: Phase, lines: Sequence[str] = ()) -> None:
    """Write that a task ended without its results; the run tries it again when it goes on."""
    reason = Reason(
        code="worker-lost",
        what=f"what worked at {bench.task.members[0].cell} gave no answer",
        cause=cause,
        fix="give the same command again, which tries it again; `--jobs 1` takes least memory",
    )
    found = Found.of_error(HostError(reason), phase)
    for each in bench.open_members():
        notes = Notes(began=now(), lines=list(lines))
        bench.results.put(result_of(bench.terms, bench.task, each, found, notes), spec=each.text)
