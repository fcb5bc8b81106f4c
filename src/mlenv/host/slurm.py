"""SLURM, by its own programs: submit a job array, say how each of its tasks stands, cancel it.

Accounting is asked where there is any, the controller where there is none or it knows nothing
yet; a job that neither knows any more is said to be gone, and nobody waits for it for ever.
Output is parsed in the forms that are made for that (``--parsable2``, ``--oneliner``).

Source: the manuals of sbatch, sacct, squeue, scontrol; run with 22.05.8 on 2026-11-22.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENDED = frozenset(
    (
        *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"),
        *("PREEMPTED", "BOOT_FAIL", "DEADLINE", "REVOKED", "SPECIAL_EXIT"),
    )
)
"""States that a task does not leave. Source: squeue's manual, "Job State Codes"."""
GONE = "GONE"
"""Neither accounting nor the controller knows the task."""
NOT_STARTED = "NOT_STARTED"
"""It waited for what does not come, and was given up."""
_HELD = re.compile(r"launch.failed.requeued.held|JobHeldAdmin|job_requeued_in_held", re.IGNORECASE)
"""Why a task waits that could not be started. Source: squeue's manual, "Job Reason Codes"."""
_NODELESS = re.compile(r"Nodes_required_for_job_are_DOWN|NodeNotAvail|NodeDown", re.IGNORECASE)
"""Why a task waits that has no node; the first was seen on a drained node of 22.05.8."""
_LASTING = frozenset(("drained", "draining", "fail", "failing", "error", "inval"))
"""States of a node that an administrator ends. Source: sinfo's manual, "Node State Codes"."""
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How a task of an array stands."""

    state: str
    """SLURM's word, or ``GONE``, or ``NOT_STARTED``."""
    code: str = ""
    """``STATUS:SIGNAL``."""
    node: str = ""
    why: str = ""
    """SLURM's reason: why it waits, or why it failed."""
    partition: str = ""

    @property
    def reason(self) -> str:
        """``why`` as words."""
        return self.why.replace("_", " ")

    @property
    def held(self) -> bool:
        """Whether it waits for an administrator, because it could not be started."""
        return self.state == "PENDING" and _HELD.search(self.why) is not None

    @property
    def nodeless(self) -> bool:
        """Whether it waits for nodes that do not take jobs now."""
        return self.state == "PENDING" and _NODELESS.search(self.why) is not None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED | {GONE, NOT_STARTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A partition of which no node takes jobs."""

    cause: str
    lasting: bool
    """Whether that lasts until an administrator ends it; a node that is down may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """The programs of SLURM on this machine."""

    def submit(self, script: Path, options: Sequence[str]) -> str:
        """Submit a script; return the number of the job.

        Raises:
            HostError: ``scheduler-failed``, ``tool-missing``, ``tool-timeout``.
        """
        done = self._asked("sbatch", "--parsable", *options, str(script))
        number = done.stdout.strip().split(";")[0]
        if done.status or not number.isdigit():
            raise _failed(
                "sbatch did not take the job",
                done,
                "see `sinfo`; name the partition, the account and the like with --sbatch",
            )
        return number

    def find_job(self, name: str) -> str | None:
        """Return the number of this user's job of that name that waits or runs; None for none."""
        done = self._asked("squeue", "--me", "--noheader", "--name", name, "--format", "%A %F")
        # of an array `%A` is another number for each task that runs, and `%F` that of the array
        numbers = [line.split()[-1] for line in done.stdout.splitlines() if line.split()]
        return numbers[0] if numbers and done.status == 0 else None

    def stands(self, job: str, count: int) -> dict[int, Stand]:
        """Return how each task of an array of ``count`` stands.

        Raises:
            HostError: ``scheduler-failed``: the controller does not answer.
        """
        found = self._accounted(job)
        open_ = [each for each in range(count) if each not in found or not found[each].ended]
        if open_:  # accounting lags behind, and may know nothing: the controller's word is newer
            found.update(self._controlled(job))
        return {each: found.get(each, Stand(state=GONE)) for each in range(count)}

    def closed(self, partition: str) -> Closed | None:
        """Return why no node of a partition takes jobs; None where one does, or nobody knows."""
        words = ("--noheader", "--partition", partition, "--format", "%T|%N|%E")
        done = self._asked("sinfo", *words)
        rows = [line.strip().split("|", 2) for line in done.stdout.splitlines() if "|" in line]
        if done.status or not rows:
            return None
        # a mark behind the word: `*` does not answer; `@`, `^` and the like come back by themselves
        nodes = [(state.rstrip("*"), names, why) for state, names, why in rows]
        states = {state for state, _, _ in nodes}
        if not states <= _LASTING | {"down"}:
            return None
        said = "; ".join(f"{names} is {state} ({why})" for state, names, why in nodes)
        return Closed(
            cause=f"no node of the partition {partition} takes jobs: {said}",
            lasting=states <= _LASTING,
        )

    def cancel(self, job: str) -> None:
        """Take a job away; that it is gone already is no error."""
        self._asked("scancel", "--full", job)

    def containers(self) -> str | None:
        """Return what runs an image on the nodes, as far as this machine shows it."""
        done = self._asked("srun", "--help")
        if "--container-image" in done.stdout:
            return "pyxis"
        return next((each for each in ("apptainer", "enroot") if shutil.which(each)), None)

    def _accounted(self, job: str) -> dict[int, Stand]:
        words = ["--noheader", "--allocations", "--parsable2", "--jobs", job]
        done = self._asked("sacct", *words, "--format", "JobID,State,ExitCode,NodeList,Reason")
        return dict(_of_sacct(done.stdout.splitlines())) if done.status == 0 else {}

    def _controlled(self, job: str) -> dict[int, Stand]:
        done = self._asked("scontrol", "--oneliner", "show", "job", job)
        if done.status and not re.search(r"Invalid job id", done.stderr + done.stdout):
            raise _failed("the controller of SLURM does not answer", done, "see `scontrol ping`")
        return dict(_of_scontrol(done.stdout.splitlines()))

    def _asked(self, *words: str) -> process.Finished:
        return process.run(words, cwd=Path.cwd(), seconds=_SECONDS)


def _of_sacct(lines: Iterable[str]) -> Iterable[tuple[int, Stand]]:
    for line in lines:
        number, state, code, node, why = [*line.split("|"), *[""] * 5][:5]
        index = number.partition("_")[2]
        if index.isdigit():  # `7_[0-3]` are tasks that wait; the controller tells them one by one
            yield (
                int(index),
                Stand(state=state.split()[0], code=code, node=_node(node), why=_why(why)),
            )


def _of_scontrol(lines: Iterable[str]) -> Iterable[tuple[int, Stand]]:
    for line in lines:
        facts = dict(re.findall(r"(\w+)=(\S*)", line))
        stand = Stand(
            state=facts.get("JobState", GONE),
            code=facts.get("ExitCode", ""),
            node=_node(facts.get("NodeList", "")),
            why=_why(facts.get("Reason", "")),
            partition=facts.get("Partition", ""),
        )
        for index in _indices(facts.get("ArrayTaskId", "")):
            yield index, stand


def _indices(text: str) -> list[int]:
    """Return the numbers of ``0-3,7%2``."""
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found += range(int(first), int(last or first) + 1)
    return found


def _node(text: str) -> str:
    return "" if text in {"(null)", "None assigned"} else text


def _why(text: str) -> str:
    return "" if text in {"None", "(null)"} else text


def _failed(what: str, done: process.Finished, fix: str) -> HostError:
    said = (done.stderr.strip() or done.stdout.strip() or f"status {done.status}").splitlines()
    return HostError(Reason(code="scheduler-failed", what=what, cause=said[-1].strip(), fix=fix))


def find_slurm() -> Slurm:
    """Return SLURM, where its programs are on PATH.

    Raises:
        HostError: ``scheduler-failed``: they are not.
    """
    if shutil.which("sbatch") is None:
        none = process.Finished(
            argv=("sbatch",), status=127, stdout="", stderr="sbatch is not on PATH"
        )
        raise _failed("SLURM cannot be used here", none, "run mlenv on a login node of the cluster")
    return Slurm()
