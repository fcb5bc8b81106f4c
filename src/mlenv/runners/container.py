"""The probe in a container of this machine: the image as it is shipped, the probe beside it.

The probe is mounted, never baked in: what is verified is the very image. Where the engine cannot
give it a GPU, it runs without one, and its report says what that leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk, tools
from mlenv.host.sandbox import Sandbox, Visit
from mlenv.report.runner import PLAN_FILE, PROBE_FILE, REPORT_FILE, Ran, runner_failed, tail
from mlenv.runners.local import ended

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.report.runner import Task

_PLACE = "/run/mlenv"
_OUT = "/run/mlenv-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An image, in an engine of this machine."""

    sandbox: Sandbox
    image: str
    program: str = "python"
    """The interpreter, on the image's PATH."""

    @property
    def name(self) -> str:
        """``container``."""
        return "container"

    def run(self, task: Task) -> Ran:
        """Run a task in a fresh container.

        Raises:
            HostError: ``engine-failed``, ``disk-failed``, ``runner-failed``.
        """
        lines: list[str] = []
        with tools.scratch() as scratch:
            plan, out = scratch / PLAN_FILE, scratch / "out"
            disk.write(plan, task.plan, durable=False)
            disk.write(out / ".kept", "", durable=False)
            for each in (scratch, out):
                each.chmod(0o755)
            trouble, note = self._visited(task, plan, out, lines)
            report = out / REPORT_FILE
            text = disk.text(report) if report.is_file() else None
        if text is None:
            raise runner_failed(
                f"the probe left no report in {self.image}",
                (lines or [trouble or "it said nothing"])[-1].strip(),
                f"run `{self.sandbox.name} run --entrypoint {self.program} {self.image}` by hand",
            )
        log = tail([*([note] if note else []), *lines])
        where = f"{self.image} in {self.sandbox.name}"
        return Ran(report=text, trouble=trouble, log=log, where=where)

    def _visited(self, task: Task, plan: Path, out: Path, lines: list[str]) -> tuple[str, str]:
        """Return what went wrong, and what else is to be known."""
        note = ""
        try:
            done = self.sandbox.visit(
                self._visit(task, plan, out, gpus=task.gpus > 0), lines.append
            )
            if done.without_gpu:
                note = f"started without a GPU: {done.without_gpu}"
                done = self.sandbox.visit(self._visit(task, plan, out, gpus=False), lines.append)
        except HostError as error:
            if error.reasons[0].code != "tool-timeout":
                raise
            return f"it did not end within {task.seconds:g} s, and was told to end", note
        return ended(done.status, "the container"), note

    def _visit(self, task: Task, plan: Path, out: Path, *, gpus: bool) -> Visit:
        probe = f"{_PLACE}/{PROBE_FILE}"
        words = (probe, "--plan", f"{_PLACE}/{PLAN_FILE}", "--out", f"{_OUT}/{REPORT_FILE}")
        return Visit(
            image=self.image,
            program=self.program,
            words=words,
            seconds=task.seconds,
            reads={probe: task.probe, f"{_PLACE}/{PLAN_FILE}": plan},
            writes={_OUT: out},
            gpus=gpus,
        )
