"""The archives of the loopback index install and build, and are the same bytes each time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
import uv

from archives import sdist, wheel
from loopback import environment

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index


def run_uv(index: Index, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    argv = (uv.find_uv_bin(), *argv, "--python", sys.executable)
    env = {**os.environ, "NO_COLOR": "1", **environment(index)}
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_archives_are_the_same_bytes_each_time() -> None:
    assert wheel("example-tiny", "1.0") == wheel("example-tiny", "1.0")
    assert sdist("example-pure", "1.0", pure=True) == sdist("example-pure", "1.0", pure=True)


def test_a_tiny_wheel_installs_and_imports(index: Index, tmp_path: Path) -> None:
    wanted = ("example-tiny", "example-clash-a", "example-yanked")
    done = run_uv(index, tmp_path, "pip", "install", "--target", "there", *wanted)
    assert done.returncode == 0, done.stderr
    code = "import example_tiny, example_yanked; print(example_yanked.__version__)"
    argv, env = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(tmp_path / "there")}
    assert subprocess.check_output(argv, env=env, text=True) == "1.0\n"


@pytest.mark.parametrize(
    ("pure", "tag"),
    [pytest.param(True, "py3-none-any", id="pure"), pytest.param(False, "linux", id="compiled")],
)
def test_sdists_build(index: Index, tmp_path: Path, *, pure: bool, tag: str) -> None:
    artefact = sdist("example-made", "1.0", pure=pure, requires=["numpy"])
    (tmp_path / artefact.filename).write_bytes(artefact.content)
    done = run_uv(index, tmp_path, "build", "--wheel", "--out-dir", "out", artefact.filename)
    assert done.returncode == 0, done.stderr
    (built,) = (tmp_path / "out").glob("*.whl")
    assert tag in built.name
    with zipfile.ZipFile(built) as archive:
        said = archive.read("example_made-1.0.dist-info/WHEEL").decode()
        assert archive.testzip() is None
    assert f"Root-Is-Purelib: {str(pure).lower()}" in said


def test_an_sdist_builds_itself_again(index: Index, tmp_path: Path) -> None:
    artefact = sdist("example-made", "1.0", pure=True)
    with tarfile.open(fileobj=io.BytesIO(artefact.content)) as archive:
        archive.extractall(tmp_path, filter="data")
    done = run_uv(index, tmp_path, "build", "--out-dir", "out", "example_made-1.0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / artefact.filename).read_bytes() == artefact.content
