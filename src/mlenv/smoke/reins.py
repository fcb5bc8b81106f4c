"""Hold one child: start it, watch its time and its output, and leave nothing of it running.

What a child leaves behind is killed, in a session of its own too: the harness takes in orphans
where the kernel lets it. A child that cannot be killed (it hangs in a driver) is left, and said.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import FrameType
    from typing import BinaryIO

TAIL = 6000
"""Bytes of each stream that are kept."""
FLOOD = 1 << 24
"""A file of output is emptied when it gets longer than this."""
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGKILL)
_GRACE = 0.7
"""Seconds between the kill of a job's processes, one after the other."""
_DYING = 10.0
_SWEEPING = 2.0
_SUBREAPER = 36


class Ended(NamedTuple):
    """How a child ended."""

    why: str
    """``itself``, ``limit``, ``interrupted`` or ``start``."""
    status: int
    """As of ``subprocess``: negative for a signal."""
    unkillable: bool
    left: int
    """How many processes it left behind."""
    stdout: str
    stderr: str


class Ending:
    """Whether something asked for the end: SIGTERM of an engine, a scheduler's limit."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        """Listen for signals, which then end nothing by themselves."""
        self.asked = False
        for each in signals:
            signal.signal(each, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def adopt_orphans() -> None:
    """Become the parent of what a child leaves behind, so that it can be found."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 (a small build of Python may lack it)

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def work_folder() -> str:
    """Return a new folder that can be written to, even where the root file system cannot."""
    try:
        return tempfile.mkdtemp(prefix="mlenv-probe-")
    except OSError:
        return tempfile.mkdtemp(prefix="mlenv-probe-", dir="/dev/shm")


def drive(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str,
    limit: float,
    ending: Ending,
) -> Ended:
    """Run a child to its end, its limit or ours."""
    with _stream(folder, "stdout") as out, _stream(folder, "stderr") as errors:
        try:
            child = subprocess.Popen(  # noqa: S603 (this interpreter)
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            return Ended("start", 0, False, 0, "", str(error))
        tails = {out: b"", errors: b""}
        why = _watched(child.pid, limit, ending, tails)
        _signal_group(child.pid)
        unkillable = not _is_dead(child.pid, _DYING)
        status = 0 if unkillable else child.wait()
        if why == "itself" and -status in _FROM_OUTSIDE and _asked_soon(ending):
            why = "interrupted"
        left = _swept({child.pid} if unkillable else set())
        return Ended(why, status, unkillable, left, _tail(out, tails), _tail(errors, tails))


def _asked_soon(ending: Ending) -> bool:
    """Tell whether whoever killed the child ends the run too: a scheduler kills the child first.

    If it is this process that is killed meanwhile, nothing wrong is said of the probe.
    """
    until = time.monotonic() + _GRACE
    while not ending.asked and time.monotonic() < until:
        time.sleep(0.02)
    return ending.asked


def signal_name(number: int) -> str:
    """Return the name of a signal; some have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stream(folder: str, name: str) -> BinaryIO:
    # To append: what is emptied in its midst goes on at its new end.
    return open(os.path.join(folder, name), "ab+", buffering=0)


def _watched(number: int, limit: float, ending: Ending, tails: dict[BinaryIO, bytes]) -> str:
    begun = time.monotonic()
    while True:
        spent = time.monotonic() - begun
        if _is_dead(number, 0.0):
            return "itself"
        if ending.asked:
            return "interrupted"
        if spent > limit:
            return "limit"
        for file in tails:
            if os.fstat(file.fileno()).st_size > FLOOD:
                tails[file] = _end(file)
                os.ftruncate(file.fileno(), 0)
        time.sleep(min(0.05, max(0.002, spent / 50)))


def _is_dead(number: int, seconds: float) -> bool:
    """Tell whether a child has ended, and leave it to be waited for: its number stays its own."""
    until = time.monotonic() + seconds
    while True:
        if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.005)


def _signal_group(number: int) -> None:
    with suppress(OSError):
        os.killpg(number, signal.SIGKILL)


def _swept(spared: set[int]) -> int:
    """Kill what was left behind, until nothing is."""
    killed: set[int] = set()
    until = time.monotonic() + _SWEEPING
    while time.monotonic() < until:
        found = _descendants() - spared
        if not found:
            break
        killed |= found
        for number in found:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        _reap(spared)
        time.sleep(0.005)
    return len(killed)


def _reap(spared: set[int]) -> None:
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid in spared:
                return
            os.waitpid(found.si_pid, os.WNOHANG)
        except OSError:
            return


def _descendants() -> set[int]:
    """Return the processes below this one; zombies too, which are to be reaped."""
    below: set[int] = set()
    todo = {os.getpid()}
    while todo:
        more = _children(todo.pop()) - below
        below |= more
        todo |= more
    return below


def _children(number: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError, ValueError):  # it may end while it is read
        for task in os.listdir(f"/proc/{number}/task"):
            with open(f"/proc/{number}/task/{task}/children", "rb") as file:
                found.update(int(each) for each in file.read().split())
    return found


def _end(file: BinaryIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), TAIL, max(0, size - TAIL))


def _tail(file: BinaryIO, tails: dict[BinaryIO, bytes]) -> str:
    text = (tails[file] + _end(file))[-TAIL:].decode(errors="replace")
    cut = tails[file] or os.fstat(file.fileno()).st_size > TAIL
    return ("[...]\n" if cut else "") + text
