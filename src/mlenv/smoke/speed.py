"""How long a call takes, told by its median and its quarters, and what follows for a loop.

A launch returns before its kernel has run, so what is timed ends with a wait; and the driver's
queue holds about a thousand launches, so a run that is to time launching stays below that.
"""

from __future__ import annotations

import time
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RUNS = 11
QUEUE = 500
"""Launches in one run: about half of what the driver queues."""


class Timed(NamedTuple):
    """Microseconds a call, over several runs."""

    median: float
    low: float
    high: float

    def facts(self) -> dict[str, float]:
        """Return it for a report."""
        return {each: round(value, 3) for each, value in self._asdict().items()}


def timed(call: Callable[[], Any], wait: Callable[[], Any], *, calls: int = QUEUE) -> Timed:
    """Time calls and one wait at their end.

    Args:
        call: what is timed.
        wait: returns once the device has done all that was asked of it.
        calls: how many are made in one run.
    """
    return _over(lambda: _run(call, wait, calls, inside=True))


def issued(call: Callable[[], Any], wait: Callable[[], Any], *, calls: int = QUEUE) -> Timed:
    """Time only what the CPU has to do for a call; the device is waited for outside of it."""
    return _over(lambda: _run(call, wait, calls, inside=False))


def _over(run: Callable[[], float]) -> Timed:
    run()
    found = sorted(run() for _ in range(RUNS))
    return Timed(found[RUNS // 2], found[RUNS // 4], found[-1 - RUNS // 4])


def _run(call: Callable[[], Any], wait: Callable[[], Any], calls: int, *, inside: bool) -> float:
    wait()
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    if inside:
        wait()
    seconds = time.perf_counter() - begun
    wait()
    return seconds / calls * 1e6


def boundary(what: str, crossing: float, each: float | None) -> dict[str, Any]:
    """Return from which size on a loop measures the GPU, and the sentence that says it.

    Args:
        what: what crosses, such as ``an eager op``.
        crossing: microseconds to cross it once.
        each: microseconds that the device needs for one element more; None: not known.
    """
    if not each or each <= 0:
        return {"elements": None, "sentence": f"{what} costs {crossing:.1f} us here"}
    count = int(crossing / each)
    said = (
        f"{what} costs {crossing:.1f} us here; below {count:,} elements your loop measures Python"
    )
    return {"elements": count, "sentence": said}
