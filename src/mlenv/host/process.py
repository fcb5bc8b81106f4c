"""Other programs: run one, wait for it, and never leave any of it behind.

Each gets a process group of its own. When time is up, or mlenv is interrupted, the whole group
is killed, children of children too. What a program's status means is no business of this room,
and it offers no shell and no program in the background.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from mlenv.errors import HostError, Reason
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_DRAIN_SECONDS = 1.0
"""How long a killed program's pipes are drained; who left the group may hold them for ever."""
_GRACE_SECONDS = 5.0
"""How long a program that is told to end may take to put its things away."""
_LOOK_SECONDS = 0.2
_LINE_BYTES = 65536
"""What is kept of one line: a program that writes without end must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that ended by itself."""

    argv: tuple[str, ...]
    status: int
    """Its exit status; minus the number of the signal that ended it."""
    stdout: str
    stderr: str


def run(  # noqa: PLR0913 (each is named at the call)
    argv: Sequence[str],
    *,
    cwd: Path,
    seconds: float,
    env: Mapping[str, str] | None = None,
    inherit: Callable[[str], bool] = all,
    text: str | None = None,
) -> Finished:
    """Run ``argv`` in ``cwd``, without a shell.

    Both pipes are drained at once, so a program that fills one of them cannot hang. What is no
    UTF-8 in its output is replaced.

    Args:
        argv: the program and its arguments; the program is looked for on the PATH that it gets.
        cwd: the folder to run in.
        seconds: wall-clock limit; past it the program and all that it started are killed.
        env: variables to add.
        inherit: tells by name which of this process's own variables pass; ``all`` is true for
            every name.
        text: what it reads on its standard input; None: nothing.

    Raises:
        HostError: ``tool-missing``, ``tool-timeout``, or ``disk-failed`` where ``cwd`` cannot be
            entered. A status other than 0 is no error here.
    """
    variables = {name: value for name, value in os.environ.items() if inherit(name)}
    variables.update(env or {})
    stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
    words = {"stdin": stdin, "stderr": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    process: subprocess.Popen[str] = _started(argv, cwd, variables, words)
    ended = False
    try:
        stdout, stderr = process.communicate(text, timeout=seconds)
        ended = True
    except subprocess.TimeoutExpired as error:
        raise _late(argv, seconds) from error
    finally:
        if not ended:  # also on Ctrl-C: the group is not the terminal's, so nobody else tells it
            _kill(process)
    return Finished(argv=tuple(argv), status=process.returncode, stdout=stdout, stderr=stderr)


def stream(
    argv: Sequence[str],
    *,
    cwd: Path,
    seconds: float,
    line: Callable[[str], None],
    env: Mapping[str, str] | None = None,
) -> int:
    """Run ``argv`` like ``run``, and give each line of its output away as it comes.

    Both pipes are one. A carriage return ends a line too, and of a long line only the beginning
    is given. When time is up, or ``line`` raises, the program is told to end, and then its group
    is killed.

    Returns:
        Its exit status; minus the number of the signal that ended it.

    Raises:
        HostError: as ``run``.
    """
    words = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    process: subprocess.Popen[bytes] = _started(argv, cwd, {**os.environ, **(env or {})}, words)
    until = time.monotonic() + seconds
    ended = False
    try:
        for each in _lines(process, until):
            line(each)
        process.wait(max(0.0, until - time.monotonic()))
        ended = True
    except subprocess.TimeoutExpired as error:
        raise _late(argv, seconds) from error
    finally:
        if not ended:
            _end(process)
            _kill(process)
        elif process.stdout is not None:
            process.stdout.close()
    return process.returncode


def _lines(process: subprocess.Popen[bytes], until: float) -> Iterator[str]:
    pipe: IO[bytes] = process.stdout  # type: ignore[assignment]
    kept, gone = b"", None
    while True:
        if time.monotonic() > until:
            raise subprocess.TimeoutExpired(process.args, 0)
        if select.select([pipe], [], [], _LOOK_SECONDS)[0]:
            data = os.read(pipe.fileno(), _LINE_BYTES)
            if not data:
                break
            *whole, rest = (kept + data).replace(b"\r", b"\n").split(b"\n")
            yield from (_text(each) for each in whole)
            # Of a line too long only the beginning: the rest is let go as it comes.
            kept = rest[:_LINE_BYTES]
        elif process.poll() is not None:  # its child may hold the pipe for ever
            gone = gone or time.monotonic()
            if time.monotonic() - gone > _DRAIN_SECONDS:
                break
    if kept:
        yield _text(kept)


def _text(data: bytes) -> str:
    return data[:_LINE_BYTES].decode(errors="replace")


def _started(
    argv: Sequence[str], cwd: Path, variables: Mapping[str, str], words: Mapping[str, Any]
) -> subprocess.Popen[Any]:
    try:
        return subprocess.Popen(  # noqa: S603 - argv is a list; there is no shell to inject into
            argv, cwd=cwd, env=variables, stdout=subprocess.PIPE, start_new_session=True, **words
        )
    except OSError as error:
        if not (cwd.is_dir() and os.access(cwd, os.X_OK)):
            raise disk.failed(cwd, error) from error
        raise missing(argv, error) from error


def _end(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):  # its pipe is drained: else it might wait for us
        process.communicate(timeout=_GRACE_SECONDS)


def _kill(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone already, or another user's
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired, ValueError):  # ValueError: drained already
        process.communicate(timeout=_DRAIN_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    process.wait()


def _shown(argv: Sequence[str]) -> str:
    return re.sub(r"://[^/\s'\"@]*@", "://", shlex.join(argv))


def missing(argv: Sequence[str], error: OSError) -> HostError:
    """Return the ``tool-missing`` about a program that does not start."""
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
