"""A run on SLURM: one array for each kind of node, a task of it for each stack.

The cluster schedules; here tasks are handed over, and waited for. A task writes its own results, so
a run whose mlenv was killed goes on: its next call waits for the arrays that are still there and
submits what is left. A task that is lost with its node is started again by SLURM itself.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mlenv.host import disk, tools
from mlenv.host.slurm import GONE, Slurm, Stand
from mlenv.matrix.bench import Bench
from mlenv.matrix.local import put_lost
from mlenv.matrix.task import Task, Terms
from mlenv.model import Model
from mlenv.runners.slurm import Patience, trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlenv.matrix.hosts import Runner
    from mlenv.matrix.progress import Progress

ARRAY = "array.json"
_JOB = "job"
_TASKS = 1000
"""Tasks of an array at most: SLURM's own limit (MaxArraySize) is 1001 unless it is set."""
_LOOK_SECONDS = (0.5, 10.0)
_GONE_LOOKS = 5
_SYNC_SECONDS = 5.0
_TERM_SECONDS = 30


class Array(Model):
    """What a job array is to do: ``runs/RUN/arrays/NAME/array.json``, written before it is one."""

    schema_: Annotated[Literal["mlenv.array/1"], Field(alias="schema")] = "mlenv.array/1"
    name: str
    terms: Terms
    tasks: tuple[Task, ...]


@dataclass(slots=True, kw_only=True)
class Waited:
    """An array that was submitted."""

    folder: Path
    array: Array
    job: str
    open: set[int]
    """Tasks of which no end is known yet."""
    patience: Patience
    gone: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    """Why tasks wait, in SLURM's words, and how many."""

    def bench(self, index: int) -> Bench:
        """Return where a task is done."""
        return Bench(task=self.array.tasks[index], terms=self.array.terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A cluster, and how tasks are handed to it."""

    slurm: Slurm
    runner_of: Callable[[Task], Runner]
    """The kind of node for a task."""
    jobs: int | None = None
    """So many tasks of an array at once; None: as many as the cluster gives."""


def run(tasks: Sequence[Task], terms: Terms, progress: Progress, site: Site) -> None:
    """Do all tasks of which something is left.

    Raises:
        HostError: ``scheduler-failed``, ``disk-failed``.
    """
    top = Bench(task=tasks[0], terms=terms).results.run_folder(terms.run) / "arrays"
    waited = _still_there(top, site.slurm)
    at_work = {each.array.tasks[n].stack for each in waited for n in each.open}
    left = [each for each in tasks if each.stack not in at_work]
    try:
        for runner, members in _kinds(left, site.runner_of):
            for first in range(0, len(members), _TASKS):
                array = _array(top, members[first : first + _TASKS], terms)
                waited.append(_submitted(top, array, runner, site))
        _wait(waited, site.slurm, progress)
    except KeyboardInterrupt:
        for each in waited:
            site.slurm.cancel(each.job)
        raise


def _kinds(
    tasks: Sequence[Task], runner_of: Callable[[Task], Runner]
) -> list[tuple[Runner, list[Task]]]:
    """Return the tasks by their kind of node, and how many GPUs they want."""
    found: dict[tuple[Runner, int], list[Task]] = {}
    for each in tasks:
        found.setdefault((runner_of(each), each.count), []).append(each)
    return [(runner, members) for (runner, _), members in found.items()]


def _array(top: Path, tasks: Sequence[Task], terms: Terms) -> Array:
    number = len(list(top.iterdir())) if top.is_dir() else 0
    array = Array(name=f"mlenv-{terms.run}-{number}", terms=terms, tasks=tuple(tasks))
    disk.write(top / array.name / ARRAY, array.model_dump_json(by_alias=True))
    return array


def _submitted(top: Path, array: Array, runner: Runner, site: Site) -> Waited:
    folder = top / array.name
    script = folder / "job.sh"
    disk.write(script, _script(folder))
    job = site.slurm.submit(script, _options(folder, array, runner, site.jobs))
    disk.write(folder / _JOB, job)
    open_ = set(range(len(array.tasks)))
    return Waited(
        folder=folder, array=array, job=job, open=open_, patience=Patience(slurm=site.slurm)
    )


def _script(folder: Path) -> str:
    words = [tools.python(), "-m", "mlenv", "matrix", "task", str(folder)]
    # exec: signals that are for the script reach mlenv.
    return f'#!/bin/bash\nexec {shlex.join(words)} "$SLURM_ARRAY_TASK_ID"\n'


def _options(folder: Path, array: Array, runner: Runner, jobs: int | None) -> list[str]:
    last = len(array.tasks) - 1
    count = max(each.count for each in array.tasks)
    words = ["--job-name", array.name, "--output", f"{folder}/%a.log", "--nodes", "1"]
    words += ["--array", f"0-{last}" + (f"%{jobs}" if jobs else "")]
    words += ["--requeue", "--open-mode", "append", f"--signal=B:TERM@{_TERM_SECONDS}"]
    words += ["--time", runner.time or "120"]
    for name in ("partition", "constraint", "account"):
        value = getattr(runner, name)
        words += [f"--{name}={value}"] if value else []
    words += ["--gres", f"gpu:{count}"] if count and array.terms.level == "gpu" else []
    return [*words, *runner.options]


def _still_there(top: Path, slurm: Slurm) -> list[Waited]:
    """Return the arrays of an earlier call whose tasks wait or run."""
    found = []
    for folder in sorted(top.iterdir()) if top.is_dir() else ():
        if not (folder / ARRAY).is_file():
            continue
        array = Array.model_validate_json(disk.contents(folder / ARRAY))
        kept = folder / _JOB
        # a call that was killed between sbatch and the note of its number has left a name
        job = disk.text(kept) if kept.is_file() else slurm.find_job(array.name)
        if job is None:
            continue
        stands = slurm.stands(job, len(array.tasks))
        open_ = {index for index, each in stands.items() if not each.ended}
        if open_:
            patience = Patience(slurm=slurm)
            found.append(Waited(folder=folder, array=array, job=job, open=open_, patience=patience))
    return found


def _wait(waited: Sequence[Waited], slurm: Slurm, progress: Progress) -> None:
    pause = _LOOK_SECONDS[0]
    while any(each.open for each in waited):
        before = sum(len(each.open) for each in waited)
        for each in waited:
            if each.open:
                _look(each, slurm, progress)
        progress.waits(sum((each.waiting for each in waited), Counter()))
        progress.tick()
        moved = sum(len(each.open) for each in waited) < before
        pause = _LOOK_SECONDS[0] if moved else min(_LOOK_SECONDS[1], pause * 1.3)
        if any(each.open for each in waited):
            time.sleep(pause)


def _look(each: Waited, slurm: Slurm, progress: Progress) -> None:
    """See how the tasks of an array stand, and settle those that have ended."""
    stands = slurm.stands(each.job, len(each.array.tasks))
    stands |= each.patience.given_up(each.job, {n: stands[n] for n in each.open})
    each.waiting = Counter(
        stands[n].reason or "not looked at yet" for n in each.open if stands[n].state == "PENDING"
    )
    lost = any(stands[index].state == GONE for index in each.open)
    each.gone = each.gone + 1 if lost else 0
    for index in sorted(each.open):
        stand, bench = stands[index], each.bench(index)
        if stand.state == "RUNNING" and bench.task.stack not in progress.running:
            progress.begun(bench.task, "node")
        if not stand.ended or (stand.state == GONE and each.gone < _GONE_LOOKS):
            continue
        each.open.discard(index)
        _settle(each, index, stand)
        progress.ended(bench)


def _settle(each: Waited, index: int, stand: Stand) -> None:
    """Write what SLURM says of a task that has left no result."""
    bench = each.bench(index)
    until = time.monotonic() + _SYNC_SECONDS
    while stand.state == "COMPLETED" and bench.open_members() and time.monotonic() < until:
        time.sleep(0.2)
    if not bench.open_members():
        return
    log = each.folder / f"{index}.log"
    lines = disk.contents(log).decode(errors="replace").splitlines() if log.is_file() else []
    name = f"{each.job}_{index}"
    cause = trouble(name, stand) or f"job {name} left no result"
    put_lost(bench, cause, "lock", lines)


def task(folder: Path, index: int) -> Bench:
    """Return where a task of an array is done; what a node calls.

    Raises:
        HostError: ``disk-failed``.
    """
    array = Array.model_validate_json(disk.contents(folder / ARRAY))
    return Bench(task=array.tasks[index], terms=array.terms)
