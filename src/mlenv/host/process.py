"""Other programs: run one, wait for it, and never leave any of it behind.

Each gets a process group of its own. When time is up, or mlenv is interrupted, the whole group
is killed, children of children too. What a program's status means is no business of this room,
and it offers no shell, no standard input and no program in the background.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import HostError, Reason
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_DRAIN_SECONDS = 1.0
"""How long a killed program's pipes are drained; who left the group may hold them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that ended by itself."""

    argv: tuple[str, ...]
    status: int
    """Its exit status; minus the number of the signal that ended it."""
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    seconds: float,
    env: Mapping[str, str] | None = None,
    inherit: Callable[[str], bool] = all,
) -> Finished:
    """Run ``argv`` in ``cwd``, without a shell and without a standard input.

    Both pipes are drained at once, so a program that fills one of them cannot hang. What is no
    UTF-8 in its output is replaced.

    Args:
        argv: the program and its arguments; the program is looked for on the PATH that it gets.
        cwd: the folder to run in.
        seconds: wall-clock limit; past it the program and all that it started are killed.
        env: variables to add.
        inherit: tells by name which of this process's own variables pass; ``all`` is true for
            every name.

    Raises:
        HostError: ``tool-missing``, ``tool-timeout``, or ``disk-failed`` where ``cwd`` cannot be
            entered. A status other than 0 is no error here.
    """
    variables = {name: value for name, value in os.environ.items() if inherit(name)}
    variables.update(env or {})
    process = _started(argv, cwd, variables)
    ended = False
    try:
        stdout, stderr = process.communicate(timeout=seconds)
        ended = True
    except subprocess.TimeoutExpired as error:
        raise _late(argv, seconds) from error
    finally:
        if not ended:  # also on Ctrl-C: the group is not the terminal's, so nobody else tells it
            _kill(process)
    return Finished(argv=tuple(argv), status=process.returncode, stdout=stdout, stderr=stderr)


def _started(argv: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # noqa: S603 - argv is a list; there is no shell to inject into
            argv,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        if not (cwd.is_dir() and os.access(cwd, os.X_OK)):
            raise disk.failed(cwd, error) from error
        raise _missing(argv, error) from error


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone already, or another user's
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_DRAIN_SECONDS)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


def _shown(argv: Sequence[str]) -> str:
    return re.sub(r"://[^/\s'\"@]*@", "://", shlex.join(argv))


def _missing(argv: Sequence[str], error: OSError) -> HostError:
    absent = isinstance(error, FileNotFoundError)
    cause = "is not on PATH" if absent else f"does not start: {error.strerror}"
    return HostError(
        Reason(
            code="tool-missing",
            what=f"cannot run `{_shown(argv)}`",
            cause=f"`{argv[0]}` {cause}",
            fix=f"install {argv[0]}, or put its folder on PATH",
        )
    )


def _late(argv: Sequence[str], seconds: float) -> HostError:
    return HostError(
        Reason(
            code="tool-timeout",
            what=f"`{_shown(argv)}` did not end",
            cause=f"it ran longer than its limit of {seconds:g} s, and was killed",
            fix="run the command by hand to see what it waits for, then try again",
        )
    )
