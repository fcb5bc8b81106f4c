"""Programs whose output is read as it comes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mlenv.errors import HostError
from mlenv.host import process


def streamed(code: str, folder: Path, seconds: float = 60) -> tuple[int, list[str]]:
    lines: list[str] = []
    status = process.stream(
        [sys.executable, "-uc", code], cwd=folder, seconds=seconds, line=lines.append
    )
    return status, lines


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        pytest.param("print('a'); print('b')", 0, ["a", "b"], id="lines"),
        pytest.param("print('a', end='')", 0, ["a"], id="the last line has no end"),
        pytest.param("print('1%\\r2%')", 0, ["1%", "2%"], id="a carriage return ends a line"),
        pytest.param("import sys; sys.exit('x')", 1, ["x"], id="both pipes are one"),
        pytest.param("import sys; sys.stdout.buffer.write(b'\\xff')", 0, ["\ufffd"], id="no UTF-8"),
    ],
)
def test_gives_each_line(code: str, status: int, expected: list[str], tmp_path: Path) -> None:
    assert streamed(code, tmp_path) == (status, expected)


def test_a_line_without_end_fills_no_memory(tmp_path: Path) -> None:
    code = "for _ in range(100): print('x' * 100_000, end='')"
    status, (line,) = streamed(code, tmp_path)
    assert status == 0
    assert len(line) == 65536


def test_lines_come_while_it_runs(tmp_path: Path) -> None:
    came: list[float] = []
    code = "import time; print('a'); time.sleep(1); print('b')"
    process.stream(
        [sys.executable, "-uc", code],
        cwd=tmp_path,
        seconds=60,
        line=lambda _: came.append(time.monotonic()),
    )
    assert came[1] - came[0] > 0.5


def test_past_its_time_it_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("pid", "w").write(str(child.pid))
time.sleep(600)
"""
    with pytest.raises(HostError) as caught:
        streamed(code, tmp_path, seconds=2)
    assert caught.value.reasons[0].code == "tool-timeout"
    assert gone(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_it_may_put_its_things_away_when_the_user_stops_it(tmp_path: Path) -> None:
    code = """
import signal, sys, time
def put_away(*_):
    open("away", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, put_away)
print("up")
time.sleep(600)
"""

    def interrupt(line: str) -> None:
        assert line == "up"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.stream([sys.executable, "-uc", code], cwd=tmp_path, seconds=60, line=interrupt)
    assert (tmp_path / "away").exists()


def test_a_child_that_holds_the_pipe_holds_nobody_up(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    start = time.monotonic()
    status, (number,) = streamed(code, tmp_path)
    os.kill(int(number), signal.SIGKILL)
    assert status == 0
    assert time.monotonic() - start < 20


def test_what_it_reads_is_given(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read().upper())"
    done = process.run([sys.executable, "-c", code], cwd=tmp_path, seconds=60, text="a\nb")
    assert done.stdout == "A\nB\n"


def gone(number: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        path = Path(f"/proc/{number}/stat")
        if (
            not path.exists()
            or path.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
        ):
            return True
        time.sleep(0.02)
    return False
