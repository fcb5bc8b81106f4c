from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlenv.errors import HostError
from mlenv.host import process

PIPE_BYTES = 65536

HANGS = """
import subprocess, sys, time
inner = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", inner], stdout=subprocess.PIPE, text=True)
open("pids", "w").write(f"{child.stdout.readline()}")
time.sleep(600)
"""
"""A program that starts another, notes the other's id, and never ends."""


def python(code: str, cwd: Path, seconds: float = 60) -> process.Finished:
    return process.run([sys.executable, "-c", code], cwd=cwd, seconds=seconds)


def alive(number: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return state[0] not in {"Z", "X"}


def noted(folder: Path) -> int:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        path = folder / "pids"
        if path.exists() and (words := path.read_text(encoding="utf-8").split()):
            return int(words[0])
        time.sleep(0.02)
    pytest.fail("the program never started its child")


def ends(number: int) -> bool:
    until = time.monotonic() + 5
    while alive(number) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(number)


def test_the_status_and_both_outputs_come_back(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    finished = python(code, tmp_path)
    assert (finished.status, finished.stdout, finished.stderr) == (3, "out\n", "err\n")
    assert finished.argv == (sys.executable, "-c", code)


def test_a_full_stderr_does_not_hang(tmp_path: Path) -> None:
    code = f"import sys; sys.stderr.write('x' * {4 * PIPE_BYTES}); print('end')"
    finished = python(code, tmp_path, seconds=30)
    assert (finished.stdout, len(finished.stderr)) == ("end\n", 4 * PIPE_BYTES)


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert python("import sys; print(repr(sys.stdin.read()))", tmp_path).stdout == "''\n"


def test_output_that_is_no_utf8_is_replaced(tmp_path: Path) -> None:
    code = r"import sys; sys.stdout.buffer.write(b'a\xffb')"
    assert python(code, tmp_path).stdout == "a\ufffdb"


def test_a_signal_shows_as_a_negative_status(tmp_path: Path) -> None:
    assert python("import os; os.kill(os.getpid(), 9)", tmp_path).status == -signal.SIGKILL


def test_variables_are_added_and_filtered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLENV_TEST_KEPT", "1")
    monkeypatch.setenv("MLENV_TEST_SECRET", "2")
    names = [name for name in os.environ if name.startswith("MLENV_TEST")]
    assert len(names) == 2
    finished = process.run(
        [sys.executable, "-c", "import os; print(sorted(n for n in os.environ if 'TEST_' in n))"],
        cwd=tmp_path,
        seconds=60,
        env={"TEST_ADDED": "3"},
        inherit=lambda name: not name.endswith("SECRET") and not name.startswith("PYTEST"),
    )
    assert finished.stdout == "['MLENV_TEST_KEPT', 'TEST_ADDED']\n"


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        process.run(["no-such-tool", "https://me:pw@example.org/x"], cwd=tmp_path, seconds=1)
    reason = caught.value.reasons[0]
    assert (reason.code, reason.cause) == ("tool-missing", "`no-such-tool` is not on PATH")
    assert "pw" not in str(caught.value)


def test_a_program_without_the_executable_bit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(HostError) as caught:
        process.run([str(path)], cwd=tmp_path, seconds=1)
    assert caught.value.reasons[0].code == "tool-missing"
    assert "does not start" in caught.value.reasons[0].cause


def test_a_missing_folder_is_not_blamed_on_the_program(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        python("", tmp_path / "absent")
    assert caught.value.reasons[0].code == "disk-failed"
    assert "absent" in caught.value.reasons[0].what


def test_a_timeout_kills_the_children_of_children(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(HostError) as caught:
        python(HANGS, tmp_path, seconds=1.5)
    assert caught.value.reasons[0].code == "tool-timeout"
    assert "1.5 s" in caught.value.reasons[0].cause
    assert time.monotonic() - start < 10
    assert ends(noted(tmp_path))


def test_a_child_that_left_the_group_and_holds_the_pipe_does_not_hang(tmp_path: Path) -> None:
    inner = "import os, time; open('pids', 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {inner!r}], start_new_session=True);"
        "time.sleep(60)"
    )
    start = time.monotonic()
    with pytest.raises(HostError):
        python(code, tmp_path, seconds=1.5)
    assert time.monotonic() - start < 10
    os.kill(noted(tmp_path), signal.SIGKILL)


def test_ctrl_c_kills_the_group_and_goes_on_up(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from mlenv.host import process\n"
        f"process.run([sys.executable, '-c', {HANGS!r}], cwd=pathlib.Path('.'), seconds=600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as mlenv:
        grandchild = noted(tmp_path)
        assert alive(grandchild)
        mlenv.send_signal(signal.SIGINT)
        _, stderr = mlenv.communicate(timeout=20)
    assert "KeyboardInterrupt" in stderr
    assert ends(grandchild)
