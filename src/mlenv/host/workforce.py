"""Worker processes: each does one task after another, and what one dies of harms no other.

Workers are forked off a server that has no threads and has imported what they need, once for all.
A worker ends with its parent, however that ends, and takes the programs that it started with it.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.forkserver import ensure_running, set_forkserver_preload
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

T = TypeVar("T")
R = TypeVar("R")

_TICK_SECONDS = 0.2
_GRACE_SECONDS = 10.0
_MIB = 1024 * 1024


def cores() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Return the bytes of memory that can be had without swapping; None where nobody says."""
    with suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def fitting(wanted: int, each_mib: int) -> int:
    """Return how many of ``wanted`` workers fit into the memory, if each takes ``each_mib``."""
    free = free_memory()
    return max(1, wanted if free is None else min(wanted, free // (each_mib * _MIB)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A worker that did not answer: what it died of, or the mistake that it met."""

    cause: str


@dataclass(slots=True)
class _Slot:
    executor: ProcessPoolExecutor
    pid: int | None = None
    future: Future[Any] | None = None
    task: Any = None


@dataclass(slots=True)
class _State:
    busy: bool = False
    ending: bool = False


_STATE = _State()


def warm(imports: tuple[str, ...]) -> None:
    """Start the server that workers are forked off, which imports while its parent goes on."""
    set_forkserver_preload([*imports])
    ensure_running()


@dataclass(slots=True, kw_only=True)
class Workforce(Generic[T, R]):
    """A number of worker processes."""

    size: int
    prepare: Callable[[], object]
    """Called once in each worker."""
    imports: tuple[str, ...] = ()
    """Modules that workers need: imported once for all of them."""
    slots: list[_Slot] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start no worker yet: each begins with its first task."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, and what they have started."""
        for slot in self.slots:
            self._end(slot)

    def run(
        self,
        work: Callable[[T], R],
        following: Callable[[], T | None],
        done: Callable[[T, R | Lost], object],
        *,
        begun: Callable[[T], object] = lambda _: None,
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        """Do tasks until none is running and none follows.

        Args:
            work: done in a worker; a function of a module.
            following: returns the next task that may begin now; None where none may.
            done: told of each task that has ended.
            begun: told of each task that begins.
            tick: called several times a second.
        """
        while True:
            for slot in self._idle():
                task = following()
                if task is None:
                    break
                begun(task)
                slot.task, slot.future = task, slot.executor.submit(_called, work, task)
            running = [slot.future for slot in self.slots if slot.future is not None]
            if not running:
                return
            wait(running, timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
            tick()
            for slot in list(self.slots):
                if slot.future is not None and slot.future.done():
                    self._settled(slot, done)

    def _idle(self) -> list[_Slot]:
        """Return slots without a task; a new one is made where there is room, one at a time."""
        idle = [slot for slot in self.slots if slot.future is None]
        while len(self.slots) < self.size:
            self.slots.append(_Slot(self._executor()))
            idle.append(self.slots[-1])
        return idle

    def _executor(self) -> ProcessPoolExecutor:
        set_forkserver_preload([*self.imports])
        context = get_context("forkserver")
        return ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin, initargs=(self.prepare,)
        )

    def _settled(self, slot: _Slot, done: Callable[[T, R | Lost], object]) -> None:
        future, task = slot.future, slot.task
        assert future is not None  # noqa: S101 (only what has one is settled)
        slot.future = slot.task = None
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            slot.executor.shutdown(wait=False)
            slot.executor = self._executor()
            done(task, Lost(cause="its process was killed, or ran out of memory"))
        elif error is not None:
            done(task, Lost(cause=f"{type(error).__name__}: {error}"))
        else:
            done(task, future.result())

    def _end(self, slot: _Slot) -> None:
        processes = list((slot.executor._processes or {}).values())  # noqa: SLF001 (3.14 has a way)
        slot.executor.shutdown(wait=False, cancel_futures=True)
        if slot.future is not None:
            for each in processes:
                with suppress(ProcessLookupError):
                    each.terminate()
        for each in processes:
            each.join(_GRACE_SECONDS)
            if each.is_alive():
                each.kill()
                each.join()


def _called(work: Callable[[T], R], task: T) -> R:
    """Do a task in a worker."""
    _STATE.busy = True
    try:
        return work(task)
    except KeyboardInterrupt:
        os._exit(130)
    finally:
        _STATE.busy = False


def _begin(prepare: Callable[[], object]) -> None:
    """Make this process a worker."""
    # a terminal tells the whole group: the parent acts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _told)
    threading.Thread(target=_watched, daemon=True).start()
    prepare()


def _told(_: int, __: FrameType | None) -> None:
    """End: what runs is told by an interrupt, which kills the programs that it has started."""
    if not _STATE.busy:
        os._exit(130)
    if not _STATE.ending:
        _STATE.ending = True
        raise KeyboardInterrupt


def _watched() -> None:
    """End with the parent: a pipe says when it does, however it ends."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
