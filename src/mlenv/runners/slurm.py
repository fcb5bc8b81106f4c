"""The probe on nodes of a SLURM cluster: one job array, and the report of each task in a folder.

The folder must be one that the nodes see too. A report is rewritten there after every probe, so a
task that is cancelled, runs out of time or loses its node leaves what it had. Nobody waits for a
task that SLURM has lost.
"""

from __future__ import annotations

import math
import shlex
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlenv.host import disk, tools
from mlenv.host.slurm import GONE, NOT_STARTED, Slurm, Stand
from mlenv.report.runner import PLAN_FILE, PROBE_FILE, REPORT_FILE, Ran, runner_failed, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlenv.report.runner import Task

_LOOK_SECONDS = (0.2, 5.0)
_GRACE_SECONDS = 120.0
"""How long a task may be over its time before it is cancelled: SLURM counts in minutes."""
_GONE_LOOKS = 5
"""So often in a row nobody knows a task before it is given up: at first nobody may know it yet."""
_LASTING_SECONDS, _DOWN_SECONDS = 15.0, 600.0
"""How long a task waits for nodes that are drained, and for nodes that are down: these come back
with their daemon."""
_SYNC_SECONDS = 3.0
"""How long a file of a node may take to be seen here."""
_TERM_SECONDS = 30
"""So long before its time is up a task is told to end."""


def _silent(_: str) -> None:
    """Show nothing."""


@dataclass(slots=True, kw_only=True)
class Patience:
    """Which tasks that wait will not be started, so that nobody waits for them for ever."""

    slurm: Slurm
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None
    """When all nodes were first seen to take no jobs."""

    def given_up(self, job: str, stands: Mapping[int, Stand]) -> dict[int, Stand]:
        """Take the tasks of an array away that will not be started; return them with the cause."""
        causes = {n: f"held: {each.reason}" for n, each in stands.items() if each.held}
        causes |= self._nodeless(stands)
        for index in causes:
            self.slurm.cancel(f"{job}_{index}")
        return {n: replace(stands[n], state=NOT_STARTED, why=why) for n, why in causes.items()}

    def _nodeless(self, stands: Mapping[int, Stand]) -> dict[int, str]:
        waiting = {index: each for index, each in stands.items() if each.nodeless}
        closed = None
        partition = next((each.partition for each in waiting.values()), "")
        if partition and not any(each.state == "RUNNING" for each in stands.values()):
            closed = self.slurm.closed(partition)
        if closed is None:
            self._since = None
            return {}
        self._since = self.clock() if self._since is None else self._since
        limit = _LASTING_SECONDS if closed.lasting else _DOWN_SECONDS
        return dict.fromkeys(waiting, closed.cause) if self.clock() - self._since >= limit else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnSlurm:
    """A cluster, and how a probe is started on its nodes."""

    slurm: Slurm
    shared: Path
    """A folder that the nodes see too."""
    python: str
    """The interpreter on the node, or in the image."""
    image: str | None = None
    options: tuple[str, ...] = ()
    """Further options of sbatch."""
    say: Callable[[str], None] = field(default=_silent)
    parallel: int = 0
    """So many tasks of an array at once; 0: as many as the cluster gives."""

    @property
    def name(self) -> str:
        """``slurm``."""
        return "slurm"

    def run(self, task: Task) -> Ran:
        """Run one task.

        Raises:
            HostError: ``scheduler-failed``, ``runner-failed``: nothing came back; ``disk-failed``.
        """
        (found,) = self.run_all([task])
        if found.report is None:
            raise runner_failed(
                "the job left no report",
                found.trouble or (found.log.splitlines() or ["it said nothing"])[-1],
                "see the log of the job (--verbose), and whether the nodes see this folder",
            )
        return found

    def run_all(self, tasks: Sequence[Task]) -> list[Ran]:
        """Run tasks as one array; one that left nothing has no report, and is no error here.

        Raises:
            HostError: ``scheduler-failed``, ``disk-failed``.
        """
        start = self._start()
        with tools.scratch(self.shared) as folder:
            for index, task in enumerate(tasks):
                disk.write(folder / str(index) / PLAN_FILE, task.plan, durable=False)
                probe = disk.contents(task.probe)
                disk.write(folder / str(index) / PROBE_FILE, probe, durable=False)
            script = folder / "job.sh"
            disk.write(script, _script(folder, start), durable=False)
            job = self.slurm.submit(script, self._options(tasks, folder))
            stands: dict[int, Stand] = {}
            try:
                stands = self._waited(job, tasks)
            finally:
                if not stands or not all(each.ended for each in stands.values()):
                    self.slurm.cancel(job)
            return [_ran(folder, job, n, stands[n]) for n in range(len(tasks))]

    def _options(self, tasks: Sequence[Task], folder: Path) -> list[str]:
        last = len(tasks) - 1
        gpus = max(each.gpus for each in tasks)
        minutes = max(1, math.ceil(max(each.seconds for each in tasks) / 60))
        words = ["--job-name", "mlenv-verify", "--output", f"{folder}/%a/log"]
        words += ["--array", f"0-{last}" + (f"%{self.parallel}" if self.parallel else "")]
        # Told to end in good time: what the probe has by then is a report.
        words += ["--time", str(minutes), f"--signal=B:TERM@{_TERM_SECONDS}"]
        # Started again on another node, it would write over what the first had seen.
        words += ["--no-requeue", "--nodes", "1"]
        words += ["--gres", f"gpu:{gpus}"] if gpus else []
        return [*words, *self.options]

    def _start(self) -> list[str]:
        """Return what comes before the interpreter on the node; ``@`` stands for the folder.

        Raises:
            HostError: ``runner-failed``: an image is asked for, and nothing runs one.
        """
        if self.image is None:
            return [self.python]
        kind = self.slurm.containers()
        inside = [self.python]
        if kind == "pyxis":
            words = ["srun", f"--container-image={self.image}", "--container-mounts=@:@"]
            return [*words, "--no-container-entrypoint", *inside]
        if kind == "apptainer":
            source = self.image if self.image.endswith(".sif") else f"docker://{self.image}"
            return ["apptainer", "exec", "--nv", "--bind", "@", source, *inside]
        if kind == "enroot":
            return ["enroot", "start", "--mount", "@:@", self.image, *inside]
        raise runner_failed(
            f"no node can run {self.image}",
            "neither pyxis nor apptainer nor enroot is here",
            "leave --image out: then the environment of the lock is used, without an image",
        )

    def _waited(self, job: str, tasks: Sequence[Task]) -> dict[int, Stand]:
        """Wait until every task has ended, or nobody knows it any more, or it is far over time."""
        pause, gone, patience = _LOOK_SECONDS[0], 0, Patience(slurm=self.slurm)
        running: float | None = None
        stuck: dict[int, Stand] = {}
        limit = max(each.seconds for each in tasks) + 60 + _GRACE_SECONDS
        while True:
            stands = self.slurm.stands(job, len(tasks)) | stuck
            stuck |= patience.given_up(job, stands)
            stands |= stuck
            states = sorted({each.state for each in stands.values()})
            self.say(f"job {job}: {', '.join(states).lower()}")
            lost = any(each.state == GONE for each in stands.values())
            gone = gone + 1 if lost else 0
            if all(each.ended for each in stands.values()) and (not lost or gone >= _GONE_LOOKS):
                return stands
            if "RUNNING" in states:
                running = running or time.monotonic()
            elif "PENDING" in states:
                running = None  # what waits for a node does not use up its time
            if running is not None and time.monotonic() - running > limit * len(tasks):
                return stands
            time.sleep(pause)
            pause = min(_LOOK_SECONDS[1], pause * 1.3)


def _script(folder: Path, start: Sequence[str]) -> str:
    place = f"{shlex.quote(str(folder))}/$SLURM_ARRAY_TASK_ID"
    words = " ".join(shlex.quote(each).replace("@", '"$place"') for each in start)
    files = f'"$place/{PROBE_FILE}" --plan "$place/{PLAN_FILE}" --out "$place/{REPORT_FILE}"'
    # exec: signals that are for the script reach the probe.
    return f"#!/bin/bash\nplace={place}\nexec {words} {files}\n"


def _ran(folder: Path, job: str, index: int, stand: Stand) -> Ran:
    report, log = folder / str(index) / REPORT_FILE, folder / str(index) / "log"
    until = time.monotonic() + _SYNC_SECONDS
    while not report.is_file() and stand.state == "COMPLETED" and time.monotonic() < until:
        time.sleep(0.1)
    said = disk.text(log).splitlines() if log.is_file() else []
    where = f"job {job}" + (f" on {stand.node}" if stand.node else "")
    return Ran(
        report=disk.text(report) if report.is_file() else None,
        trouble=trouble(job, stand),
        log=tail(said),
        where=where,
    )


def trouble(job: str, stand: Stand) -> str:
    """Say in words how a task ended, where it did not end well."""
    words = {
        "COMPLETED": "",
        "CANCELLED": "was cancelled",
        "TIMEOUT": "ran out of its time",
        "NODE_FAIL": "lost its node",
        "OUT_OF_MEMORY": "used more memory than it was given",
        "PREEMPTED": "had to make room for another job",
        NOT_STARTED: "was not started",
        GONE: "is not known to SLURM any more: it was cancelled before it began, or is forgotten",
    }
    text = words.get(stand.state, f"ended as {stand.state.lower()}")
    if not text:
        return ""
    node = f" on {stand.node}" if stand.node else ""
    more = [each for each in (stand.code if stand.code != "0:0" else "", stand.why) if each]
    return f"job {job} {text}{node}" + (f" ({', '.join(more)})" if more else "")
