"""The process of one probe: import what it is written in, run it, and say what came of it.

The result is there from one moment to the next, by a rename; after it the process ends at once,
since what frameworks do at their end hangs and crashes now and then.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time

from mlenv.smoke import register
from mlenv.smoke.register import Fail, Given, Skip, Tried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MESSAGE = 4000
_FRAMES = 6
_DEATH_SIGNAL = 1


def main() -> None:
    """Run the probe that the words name: root, what is given, where the result goes."""
    _, _, given, result = sys.argv
    sys.argv = [""]
    _die_with_parent()
    if not faulthandler.is_enabled():
        faulthandler.enable()
    with open(given, encoding="utf-8") as file:
        asked = json.load(file)
    said = _said(asked)
    beside = result + ".new"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(said, file, default=str, skipkeys=True)
    os.replace(beside, result)
    for stream in (sys.stdout, sys.stderr):
        with Tried():
            stream.flush()
    os._exit(0)


def _die_with_parent() -> None:
    """Ask the kernel for it: a harness that is killed can kill nothing, and a GPU stays taken."""
    with Tried():
        register.load("ctypes").CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    begun = time.monotonic()
    said: dict[str, Any] = {"status": "pass"}
    with Tried() as tried:
        said["facts"] = _run(asked) or {}
    error = tried.error
    if isinstance(error, (Fail, Skip)):
        said = {
            "status": "fail" if isinstance(error, Fail) else "skip",
            "reason": error.code,
            "message": str(error)[:_MESSAGE],
            "facts": error.facts,
        }
    elif error is not None:
        said = {
            "status": "fail",
            "reason": "exception",
            "message": f"{type(error).__name__}: {error}"[:_MESSAGE],
            "facts": {
                "exception": type(error).__name__,
                "where": _where(error),
                "mapped": _mapped(),
            },
        }
    said["facts"].setdefault("own_seconds", round(time.monotonic() - begun, 3))
    return said


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    found = register.find(asked["name"])
    assert found is not None  # noqa: S101 (the parent has looked)
    for module in found.needs:
        if not _is_there(module):
            raise Skip("not-installed", f"the module {module} is not installed")
    module, _, function = found.where.partition(":")
    given = Given(asked["params"], asked["expect"], asked["quick"])
    facts: dict[str, Any] = getattr(register.load("mlenv.smoke." + module), function)(given)
    return facts


def _is_there(module: str) -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 (costs more than the rest of the start)

    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _mapped() -> list[str]:
    """Return the CUDA libraries there were when it went wrong: one of them may be the cause."""
    with Tried():
        found: list[str] = register.load("mlenv.smoke.mapped").mapped_paths()
        return found
    return []


def _where(error: BaseException) -> list[str]:
    import traceback  # noqa: PLC0415 (most probes go well)

    frames = traceback.extract_tb(error.__traceback__)
    return [f"{each.filename}:{each.lineno} {each.name}" for each in frames[-_FRAMES:]]
