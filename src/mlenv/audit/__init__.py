"""The rules that make a lock good: a plan, what was solved, and what the wheels hold -> reasons.

A solver accepts every one of these without a word. Pure: what was read from wheels comes in as
``Inside``; nothing is fetched here.

    closure     versions, file lists, small texts: enough for most, and read for every lock
    readings    which binaries are worth reading, and which files of them
    binaries    what those need and hold, against what the lock brings and the GPUs are
"""

from __future__ import annotations

from mlenv.audit.binaries import examined, unsettled
from mlenv.audit.closure import closure as audit
from mlenv.audit.inside import Binaries, Inside, Locked
from mlenv.audit.readings import Reading, readings
from mlenv.errors import Exit, Reason

__all__ = [
    "Binaries",
    "Inside",
    "Locked",
    "Reading",
    "audit",
    "examined",
    "forbids",
    "readings",
    "unsettled",
]


def forbids(reason: Reason) -> bool:
    """Tell whether a finding forbids the lock; the others are said aloud."""
    return reason.exit_status is Exit.IMPOSSIBLE
