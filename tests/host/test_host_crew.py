"""Threads that work together: all to the end, or none for long."""

from __future__ import annotations

import threading
import time

import pytest

from mlenv.host.crew import Crew, OverError

BROKEN = "it broke"


def test_all_that_is_given_is_done() -> None:
    def work() -> int:
        crew.go_on()
        return 7

    with Crew(2) as crew:
        waiting = [crew.submit(work) for _ in range(5)]
    assert [each.result() for each in waiting] == [7] * 5


def test_where_one_fails_the_others_stop_and_what_waits_is_not_begun() -> None:
    begun = threading.Event()

    def long() -> None:
        begun.set()
        for _ in range(3000):
            crew.go_on()
            time.sleep(0.01)

    def broken() -> None:
        begun.wait()
        raise RuntimeError(BROKEN)

    started = time.monotonic()
    with pytest.raises(RuntimeError, match=BROKEN), Crew(2) as crew:  # noqa: PT012
        ran, failed = crew.submit(long), crew.submit(broken)
        waits = [crew.submit(long) for _ in range(3)]
        failed.result()
    assert time.monotonic() - started < 10
    assert isinstance(ran.exception(), OverError)
    assert all(each.cancelled() or isinstance(each.exception(), OverError) for each in waits)


def test_an_interruption_stops_all() -> None:
    def long() -> None:
        while True:
            crew.go_on()
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), Crew(1) as crew:  # noqa: PT012
        ran = crew.submit(long)
        raise KeyboardInterrupt
    assert ran.cancelled() or isinstance(ran.exception(), OverError)
