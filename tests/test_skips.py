"""Tests that lack their program are skipped with the reason, and fail where none may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
CASES = """
import pytest
engine, gpu = pytest.mark.engine, pytest.mark.gpu
@engine
def test_engine(): pytest.skip("no engine")
@engine
@gpu
def test_gpu(): pytest.skip("no GPU")
def test_plain(): pytest.skip("not here")
@engine
@pytest.mark.xfail(strict=True)
def test_xfail(): raise AssertionError
"""


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param("", "3 skipped, 1 xfailed", id="skips are shown"),
        pytest.param("1", "1 failed, 2 skipped, 1 xfailed", id="skips of needed programs fail"),
    ],
)
def test_no_skip(tmp_path: Path, setting: str, said: str) -> None:
    (tmp_path / "test_cases.py").write_text(CASES, encoding="utf-8")
    rules = ("-c", str(REPOSITORY / "pyproject.toml"), "-p", "conftest", "-p", "no:cacheprovider")
    argv = [sys.executable, "-m", "pytest", *rules, "test_cases.py"]
    env = {**os.environ, "MLENV_NO_SKIP": setting, "PYTHONPATH": str(REPOSITORY / "tests")}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert said in done.stdout, done.stdout + done.stderr
