"""One task to its results: lock, build and verify, by what the commands of these names do.

The first phase leaves a file, so that a task that was killed goes on where it was; two that are at
one task wait for each other. What stays is a ``CellResult`` for each cell, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlenv.backends import uv
from mlenv.errors import MlenvError
from mlenv.host import disk, sweeping
from mlenv.matrix.bench import LOCKED, Bench, Locked
from mlenv.matrix.notes import Notes, now
from mlenv.matrix.outcome import Found, result_of, rows_of, without_login

if TYPE_CHECKING:
    from mlenv.build.verdict import Outcome
    from mlenv.matrix.task import Member

_PATIENCE_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a worker tells about a step of a task."""

    left: bool
    """Whether something of the task is still to be done."""
    bytes: int = 0
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A step of a task that a worker is to do."""

    bench: Bench
    phase: Literal["lock", "verify"]


def do(job: Job) -> Step:
    """Do a step of a task."""
    return lock(job.bench) if job.phase == "lock" else prove(job.bench)


def lock(bench: Bench) -> Step:
    """Do the first phase: lock, and write the results of what ends there.

    Raises:
        HostError: ``disk-failed``: the results folder cannot be written.
    """
    with disk.alone(bench.folder, _PATIENCE_SECONDS):
        if not bench.open_members():
            return _ended(bench)
        found = bench.locked()
        for member in bench.open_members() if found is None else ():
            found = _locked(bench, member)
            if found is not None:
                break
        if found is None:
            return _ended(bench)
        if bench.terms.level == "none" and not bench.terms.image:
            notes = _notes(found)
            _write(bench, found, Found(verdict="ok", phase="lock"), notes)
            return _ended(bench)
        return Step(left=True, bytes=found.bytes, packages=found.packages)


def prove(bench: Bench) -> Step:
    """Do the rest: build and verify what was locked, and write the results.

    Raises:
        HostError: ``disk-failed``: the results folder cannot be written.
    """
    from mlenv.matrix.proving import forget_image, proven  # noqa: PLC0415 (loaded when used)

    with disk.alone(bench.folder, _PATIENCE_SECONDS):
        found = bench.locked()
        if found is None or not bench.open_members():
            return _ended(bench)
        notes = _notes(found)
        try:
            notes.phase = "build"
            shown = proven(bench, Path(found.folder), notes)
        except MlenvError as error:
            shown = Found.of_error(error, notes.phase)
        _write(bench, found, shown, notes)
        if bench.terms.image and not bench.terms.keep:
            forget_image(bench)
        return _ended(bench)


def whole(bench: Bench) -> Step:
    """Do all of a task: what a node of a cluster does."""
    step = lock(bench)
    return prove(bench) if step.left else step


def _notes(found: Locked) -> Notes:
    return Notes(began=found.began, seconds=dict(found.seconds), lines=found.log.splitlines())


def _ended(bench: Bench) -> Step:
    if not bench.terms.keep:
        sweeping.remove_tree(bench.cache)
        sweeping.remove_tree(bench.folder)
    return Step(left=False)


def _locked(bench: Bench, member: Member) -> Locked | None:
    """Lock one cell for all of the task; None, and its result is written, where it cannot be."""
    from mlenv.matrix.locking import outcome_of  # noqa: PLC0415 (loaded when used)

    notes = Notes(began=now())
    refused: Found | None = None
    outcome: Outcome | None = None
    with notes.during("lock"):
        try:
            outcome = outcome_of(bench.terms, member, bench.folder / "locks", notes.say)
        except MlenvError as error:
            refused = Found.of_error(error, "lock")
    if outcome is not None and outcome.reasons:
        refused = Found.of_refusal(outcome, planned=member.planned, before=_was_good(bench, member))
    if refused is not None or outcome is None or outcome.lock is None:
        found = refused or Found(verdict="unknown", phase="lock")
        bench.results.put(
            result_of(bench.terms, bench.task, member, found, notes), spec=member.text
        )
        return None
    locked = Locked(
        leader=member.cell,
        folder=str(outcome.folder),
        lock=outcome.lock.artefacts_sha256,
        bytes=sum(each.size for each in outcome.lock.package),
        packages=tuple(each.name for each in outcome.lock.package),
        seconds=notes.seconds,
        log="\n".join(notes.lines),
        began=notes.began,
    )
    disk.write(bench.folder / LOCKED, locked.model_dump_json(by_alias=True))
    return locked


def _was_good(bench: Bench, member: Member) -> bool:
    """Tell whether any run of this results folder found the cell good."""
    results = bench.results
    return any(
        found.verdict == "ok"
        for run in results.runs()
        if (found := results.cell(run, member.cell)) is not None
    )


def _write(bench: Bench, locked: Locked, found: Found, notes: Notes) -> None:
    from mlenv.imaging.locked import artefacts, lock_in  # noqa: PLC0415 (loaded when used)

    folder = Path(locked.folder)
    kept = lock_in(folder)
    project = disk.read(folder, [uv.PROJECT]).get(uv.PROJECT, "")
    places = {sha: without_login(each.url) for sha, each in artefacts(folder, kept).items()}
    rows = rows_of(kept, uv.indexes(project), places)
    for each in bench.open_members():
        shared = None if each.cell == locked.leader else locked.leader
        result = result_of(bench.terms, bench.task, each, found, notes, lock=kept, shared=shared)
        bench.results.put(result, rows, each.text)
