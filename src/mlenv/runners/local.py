"""The probe in an interpreter of this machine: a named one, or that of a locked folder's venv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import disk, process, tools
from mlenv.report.runner import ENDED_EARLY, PLAN_FILE, REPORT_FILE, Ran, runner_failed, tail

if TYPE_CHECKING:
    from mlenv.report.runner import Task

_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """An interpreter of this machine."""

    python: str

    @property
    def name(self) -> str:
        """``local``."""
        return "local"

    def run(self, task: Task) -> Ran:
        """Run a task in this interpreter, in the environment that mlenv was called in.

        Raises:
            HostError: ``tool-missing``, ``disk-failed``, ``runner-failed``.
        """
        lines: list[str] = []
        with tools.scratch() as folder:
            plan, report = folder / PLAN_FILE, folder / REPORT_FILE
            disk.write(plan, task.plan, durable=False)
            words = [self.python, str(task.probe), "--plan", str(plan), "--out", str(report)]
            try:
                status = process.stream(words, cwd=folder, seconds=task.seconds, line=lines.append)
                trouble = ended(status, "the probe")
            except HostError as error:
                if error.reasons[0].code != "tool-timeout":
                    raise
                trouble = f"it did not end within {task.seconds:g} s, and was told to end"
            text = disk.text(report) if report.is_file() else None
        if text is None:
            raise runner_failed(
                f"the probe could not run in {self.python}",
                (lines or [trouble or "it left no report"])[-1].strip(),
                "name a CPython 3.8 or newer with --python; run it by hand to see what it says",
            )
        return Ran(report=text, trouble=trouble, log=tail(lines), where=self.python)


def ended(status: int, who: str) -> str:
    """Say how a program ended, where it did not end by itself; nothing where it did."""
    if status == 0:
        return ""
    if status == ENDED_EARLY:
        return f"{who} was told to end before it was done"
    # A shell and an engine say 128 and the number of the signal.
    number = -status if status < 0 else status - 128
    if number in _SIGNALS:
        return f"{who} was killed ({_SIGNALS[number]})"
    return f"{who} ended with status {status}"


_SIGNALS = {2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


def interpreter(path: Path) -> str:
    """Return the interpreter that ``path`` names: itself, or that of a venv.

    Raises:
        HostError: ``runner-failed``: it is none.
    """
    # Not resolved: a venv's interpreter is a link, and its place is what makes it the venv's.
    found = next((each for each in (path / "bin" / "python", path) if each.is_file()), None)
    fix = "name an interpreter, or the folder of a venv"
    if found is None:
        raise runner_failed(f"{path} is no interpreter", "there is no such program", fix)
    found = Path.cwd() / found
    done = process.run([str(found), "-I", "-c", "import sys"], cwd=Path("/"), seconds=_SECONDS)
    if done.status:
        said = (done.stderr.strip() or f"status {done.status}").splitlines()[-1]
        raise runner_failed(f"{path} is no interpreter that runs", said, fix)
    return str(found)
