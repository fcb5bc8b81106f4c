"""What every runner takes and gives: a plan and the probe's file in, whatever report there is out.

A runner judges nothing. That a container was killed or a node was lost is told in words beside
what the probe had written by then; only where nothing at all came back is it an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlenv.errors import HostError, Reason

if TYPE_CHECKING:
    from pathlib import Path

PLAN_FILE = "plan.json"
PROBE_FILE = "probe.pyz"
REPORT_FILE = "report.json"

ENDED_EARLY = 1
"""The probe's own status where a signal ended it: its report is there, and not complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One plan to be run."""

    plan: str
    """As JSON."""
    probe: Path
    """The one file of the probe."""
    seconds: float
    """Of the whole run; past it, it is told to end."""
    gpus: int = 0
    """How many GPUs it wants; none for a static part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a task."""

    report: str | None
    """As JSON; of a run that was cut short, what there was of it."""
    trouble: str = ""
    """Why it was cut short, in words; nothing where the probe ended by itself."""
    log: str = ""
    """The end of what was said beside the report."""
    where: str = ""
    """Where it ran: an interpreter, an image, a node."""


class Runner(Protocol):
    """Something that can run a probe."""

    @property
    def name(self) -> str:
        """``local``, ``container`` or ``slurm``."""
        ...

    def run(self, task: Task) -> Ran:
        """Run a task to its end, or to the end of its time.

        Raises:
            HostError: ``tool-missing``, ``disk-failed``, ``runner-failed``.
        """
        ...


def runner_failed(what: str, cause: str, fix: str) -> HostError:
    """Return the error of a runner from which nothing came back."""
    return HostError(Reason(code="runner-failed", what=what, cause=cause, fix=fix))


def tail(lines: list[str], count: int = 40) -> str:
    """Return the last lines of a log as a text."""
    return "\n".join(lines[-count:])
