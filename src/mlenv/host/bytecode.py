"""Bytecode for the modules of wheels, by the interpreter that will run them.

What an image holds is read-only, and read by users that cannot write: without bytecode each start
compiles everything. It is of the kind that no time stamp makes stale (PEP 552, unchecked hash), so
its bytes depend on the source, the path and the interpreter only. Which interpreter that is, and
where it comes from, is no business of this room.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mlenv.errors import ImageError, Reason
from mlenv.host import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO, Self

_PROGRAM = Path(__file__).with_name("compiling.py")
_FLAGS = ("-s", "-S", "-B", "-W", "ignore", "-X", "utf8")
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
"""3.10 orders frozensets by their hash, and -I would not let it read this."""
_NOT_COMPILED = 0xFFFFFFFF
_LENGTH = struct.Struct("<L")
_SECONDS: Final = 900.0
"""For one wheel; torch 2.13 takes 60 s."""


class _BrokenError(Exception):
    """The interpreter does not do what it is asked; its text says what."""


@dataclass(slots=True)
class _Worker:
    """An interpreter that waits for work."""

    running: subprocess.Popen[bytes]
    ask: IO[bytes]
    answer: IO[bytes]
    tag: str = ""

    def end(self) -> None:
        """Kill it, if it still runs, and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.running.pid, signal.SIGKILL)
        for pipe in (self.ask, self.answer):
            with suppress(OSError):  # what was not sent to a dead one
                pipe.close()
        self.running.wait()


@dataclass(slots=True, kw_only=True)
class Bytecode:
    """An interpreter, and how to start it; threads may share it, and each gets a process.

    Use it in a ``with``: a process stays for the next wheel, until the end.
    """

    python: str
    """Its full version: ``3.12.12``."""
    argv: tuple[str, ...]
    """What starts it; a dynamic linker and its words may stand before the interpreter."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that it needs; it inherits none."""
    _idle: list[_Worker] = field(default_factory=list)
    _all: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self.close()

    def close(self) -> None:
        """End every process; what is asked after that starts a new one."""
        while self._all:
            self._all.pop().end()
        self._idle.clear()

    def compiled(self, wheel: Path, modules: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Yield the path in the image and the bytes of each module's bytecode, sorted by module.

        A module that does not compile has none, as with every installer.

        Args:
            wheel: the archive.
            modules: path in the image -> member of the archive.

        Raises:
            HostError: ``tool-missing``.
            ImageError: ``bytecode-failed``.
        """
        if not modules:
            return
        try:
            with self._worker() as worker:
                paths = sorted(modules)
                wanted = [each.encode() for path in paths for each in (modules[path], path)]
                words = (os.fsencode(wheel.absolute()), b"%d" % len(paths), *wanted)
                worker.ask.write(b"".join(_LENGTH.pack(len(each)) + each for each in words))
                worker.ask.flush()
                for path in paths:
                    (length,) = _LENGTH.unpack(_exactly(worker.answer, _LENGTH.size))
                    if length != _NOT_COMPILED:
                        yield _beside(path, worker.tag), _exactly(worker.answer, length)
        except (_BrokenError, BrokenPipeError) as error:
            raise self._failed(str(error) or "it ended", wheel) from error

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        """Lend a process to one caller; one that was left in the midst of an answer is ended."""
        worker = self._idle.pop() if self._idle else self._started()
        late = threading.Timer(_SECONDS, worker.end)
        late.daemon = True
        late.start()
        done = False
        try:
            yield worker
            done = True
        finally:
            late.cancel()
            if done:
                self._idle.append(worker)
            else:
                self._all.remove(worker)
                worker.end()

    def _started(self) -> _Worker:
        argv = (*self.argv, *_FLAGS, "-c", _PROGRAM.read_text(encoding="utf-8"))
        try:
            running = subprocess.Popen(  # noqa: S603 - a list, and no shell
                argv,
                env={**_ENVIRONMENT, **self.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise process.missing(self.argv, error) from error
        if running.stdin is None or running.stdout is None:
            raise AssertionError("both are pipes")
        worker = _Worker(running, running.stdin, running.stdout)
        self._all.append(worker)
        try:
            worker.tag = self._greeted(worker.answer.readline())
        finally:
            if not worker.tag:
                self._all.remove(worker)
                worker.end()
        return worker

    def _greeted(self, line: bytes) -> str:
        version, _, tag = line.decode("ascii", "replace").rstrip("\n").partition(" ")
        if not version or not line.endswith(b"\n"):
            raise _BrokenError("it does not start")
        wanted = re.match(r"\d+\.\d+\.\d+", self.python)
        if wanted is None or version != wanted[0]:
            raise _BrokenError(f"it is Python {version}, not {self.python}")
        if not re.fullmatch(r"[a-z]+-\d+t?", tag):
            raise _BrokenError("it keeps no bytecode")
        return tag

    def _failed(self, cause: str, wheel: Path) -> ImageError:
        return ImageError(
            Reason(
                code="bytecode-failed",
                what=f"cannot compile the modules of {wheel.name} with {self.argv[-1]}",
                cause=cause,
                fix="try again, or build with an engine (`--engine docker`)",
            )
        )


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _BrokenError("it ended in the midst of its answer")
    return data


def _beside(path: str, tag: str) -> str:
    """Return where PEP 3147 puts the bytecode of a module."""
    module = PurePosixPath(path)
    return str(module.parent / "__pycache__" / f"{module.stem}.{tag}.pyc")
