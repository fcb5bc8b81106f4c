"""Threads that work on one image: where one fails, or the user stops, the others end soon.

What is half done then is nobody's: each piece of work removes it by itself.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    T = TypeVar("T")


class OverError(Exception):
    """The work was given up; nobody waits for this part of it."""


class Crew:
    """A pool of threads for the length of a ``with`` block."""

    def __init__(self, threads: int) -> None:
        """Start nothing yet."""
        self._pool = ThreadPoolExecutor(threads)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait for all; where the block failed, begin nothing more and stop what runs."""
        if kind is not None:
            self._over.set()
        self._pool.shutdown(cancel_futures=kind is not None)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` done."""
        return self._pool.submit(work)

    def go_on(self, _: int = 0) -> None:
        """Return where the work goes on; long work asks often, as its progress is told.

        Raises:
            OverError: it does not.
        """
        if self._over.is_set():
            raise OverError
