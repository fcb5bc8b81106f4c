"""Checks that are commands: the type checkers of a desk, and the user's own ``[[smoke]]``."""

from __future__ import annotations

import os
import subprocess
import sys

from mlenv.smoke.register import Fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlenv.smoke.register import Given

_TAIL = 2000
_FILE = "checked.py"
_TEXT = "def double(number: int) -> int:\n    return number * 2\n\n\nprint(double({}))\n"
_GOOD, _BAD = "2", "'two'"


def mypy(_given: Given) -> dict[str, Any]:
    """Let it pass a good file and refuse a bad one."""
    return _checker([sys.executable, "-m", "mypy", "--cache-dir", "cache", _FILE])


def pyright(_given: Given) -> dict[str, Any]:
    """Likewise; its wheel fetches Node.js when it is first used, unless ``nodejs`` was asked for.

    Raises:
        Fail: ``wrong-result``.
    """
    return _checker([sys.executable, "-m", "pyright", "--pythonpath", sys.executable, _FILE])


def check(given: Given) -> dict[str, Any]:
    """Run the user's words as they stand; this environment's programs come first.

    Raises:
        Fail: ``check-failed``: it ended with another status than 0, or could not be started.
    """
    words = [str(each) for each in given.params.get("run", ())]
    if not words:
        raise Fail("check-failed", "the plan names no command for it")
    seconds = given.params.get("seconds")
    try:
        done = _run(words, None if seconds is None else float(seconds))
    except OSError as error:
        text = f"{words[0]} cannot be started: {error.strerror}"
        raise Fail("check-failed", text, run=words) from error
    except subprocess.TimeoutExpired as error:
        text = f"{words[0]} was not done in {seconds} s"
        raise Fail("check-failed", text, run=words, output=_tail(error.stdout)) from error
    facts: dict[str, Any] = {
        "run": words,
        "exit_status": done.returncode,
        "output": _tail(done.stdout),
    }
    if done.returncode:
        lines = facts["output"].strip().splitlines() or [""]
        text = f"{words[0]} ended with status {done.returncode}: {lines[-1]}"
        raise Fail("check-failed", text, **facts)
    return facts


def _checker(words: list[str]) -> dict[str, Any]:
    statuses, output = [], ""
    for argument in (_GOOD, _BAD):
        with open(_FILE, "w", encoding="utf-8") as file:
            file.write(_TEXT.format(argument))
        done = _run(words, None)
        statuses.append(done.returncode)
        output = output if statuses == [0] else output + _tail(done.stdout)
    if statuses != [0, 1]:
        text = f"a good and a bad file gave the statuses {statuses}, not 0 and 1: {output.strip()}"
        raise Fail("wrong-result", text)
    return {}


def _run(words: Sequence[str], seconds: float | None) -> subprocess.CompletedProcess[bytes]:
    programs = os.path.dirname(sys.executable)
    path = programs + os.pathsep + os.environ.get("PATH", os.defpath)
    return subprocess.run(  # noqa: S603 (no shell reads it)
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path},
        executable=_found(words[0], path),
        timeout=seconds,
        check=False,
    )


def _found(program: str, path: str) -> str:
    from shutil import which  # noqa: PLC0415 (of the child's PATH, not of ours)

    return which(program, path=path) or program


def _tail(data: bytes | None) -> str:
    return (data or b"")[-_TAIL:].decode(errors="replace")
