"""Worker processes: what one of them dies of, and what becomes of all when the parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlenv.host.workforce import Lost, Workforce, fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).parent.parent


def act(task: str) -> str:
    """Do what a test wants of a worker."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "err":
        raise KeyError(task)
    return f"{task} {os.getpid()}"


def nothing() -> None:
    """Prepare nothing."""


def ran(tasks: Sequence[str], size: int) -> dict[str, str | Lost]:
    found: dict[str, str | Lost] = {}
    left = deque(tasks)
    with Workforce[str, str](size=size, prepare=nothing) as force:
        force.run(
            act,
            lambda: left.popleft() if left else None,
            lambda task, answer: found.update({task: answer}),
        )
    return found


def test_one_that_dies_harms_no_other() -> None:
    found = ran(["a", "die", "b", "err", "c"], 2)
    assert set(found) == {"a", "die", "b", "err", "c"}
    assert found["die"] == Lost(cause="its process was killed, or ran out of memory")
    assert found["err"] == Lost(cause="KeyError: 'err'")
    for each in "abc":
        assert str(found[each]).startswith(each)


def test_a_worker_does_many_tasks() -> None:
    found = ran(["a", "b", "c", "d"], 1)
    assert len({str(each).split()[1] for each in found.values()}) == 1


def test_what_fits_into_the_memory_is_at_least_one() -> None:
    assert fitting(4, 1) == 4
    assert fitting(4, 10**9) == 1


PARENT = """
import sys
from collections import deque
from mlenv.host.workforce import Workforce
import held

if __name__ == "__main__":
    left = deque(range(2))
    with Workforce(size=2, prepare=held.nothing) as force:
        force.run(held.hold, lambda: left.popleft() if left else None, print)
"""
HELD = f"""
import sys
from pathlib import Path
from mlenv.host import process

def nothing():
    pass

def hold(task):
    code = f"import time; open('{{task}}.here', 'w').close(); time.sleep(600)"
    process.run([{sys.executable!r}, "-c", code], cwd=Path.cwd(), seconds=600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_parent(number: int, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    (tmp_path / "held.py").write_text(HELD, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "parent.py"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: len(list(tmp_path.glob("*.here"))) == 2)
        assert inhabited(tmp_path)
        parent.send_signal(number)
        parent.wait(20)
        until(lambda: not inhabited(tmp_path))
    finally:
        for pid in inhabited(tmp_path):
            os.kill(pid, signal.SIGKILL)


def inhabited(folder: Path) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if each.resolve() == folder:
                found.append(int(each.parent.name))
        except OSError:  # ended meanwhile, or not ours
            continue
    return found


def until(true: object, seconds: float = 30) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
