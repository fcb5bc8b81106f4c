"""Every spec of specs/ on the real index, as uv is configured on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import parse_wheel_filename

from drive import desk
from mlenv.build.job import build
from mlenv.build.verdict import Order
from mlenv.catalog.load import load
from mlenv.errors import Exit
from mlenv.host.tools import uv
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.lock import Lock

    Build = Callable[[str], tuple[Lock, Path]]

pytestmark = pytest.mark.network

SPECS = Path(__file__).parents[2] / "specs"
TODAY = "2026-11-22T00:00:00Z"
UNREACHABLE = {"torch-cuda126", "torch-conda", "jax-conda"}
"""Specs whose index or channel is another one; what there is of it is served on loopback."""
NAMED = sorted(each.stem for each in SPECS.glob("*.toml") if each.stem not in UNREACHABLE)
OF_TOOLKIT = re.compile(r"nvidia-(cuda-(runtime|nvcc|nvrtc|cupti)|nvtx|nvjitlink)-cu12")
TORCH_TF = 'name = "both"\npython = "3.12"\nframework = ["torch", "tensorflow"]\n'


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function: the name of a spec, or a spec -> its lock and folder, built once."""
    folder = tmp_path_factory.mktemp("real")
    known: dict[str, tuple[Lock, Path]] = {}

    def lock(spec: str) -> tuple[Lock, Path]:
        if spec not in known:
            text = spec if "\n" in spec else (SPECS / f"{spec}.toml").read_text(encoding="utf-8")
            order = Order(out=folder / "out", today=TODAY)
            with desk(folder / "cache") as at:
                (made,) = build(parse_spec(text, origin="spec.toml"), load(), at, order)
            assert made.exit_status is Exit.DONE, "\n".join(e.text() for e in made.reasons)
            assert made.lock is not None
            assert made.folder is not None
            known[spec] = made.lock, made.folder
        return known[spec]

    return lock


def versions(lock: Lock) -> dict[str, str]:
    return {each.name: each.version for each in lock.package}


def plain_uv(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run uv as somebody without mlenv does."""
    # a shim of pyenv that started these tests tells all it starts to use its own version
    dropped = {"VIRTUAL_ENV", "PYTHONPATH", "PYENV_VERSION"}
    env = {name: text for name, text in os.environ.items() if name not in dropped}
    env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env["PATH"]))
    return subprocess.run(
        [uv(), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", NAMED)
def test_the_spec_locks(real: Build, name: str) -> None:
    lock, folder = real(name)
    assert (lock.name, lock.exclude_newer) == (name, TODAY)
    assert {each.index for each in lock.package} == {"default"}
    assert (folder / "uv.lock").is_file()
    assert (folder / "Dockerfile").is_file()
    assert all(each.size > 0 for each in lock.package)


@pytest.mark.parametrize("name", ["torch", "train", "cpu"])
def test_plain_uv_agrees(real: Build, name: str) -> None:
    lock, folder = real(name)
    done = plain_uv(folder, "lock", "--check")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    if plain_uv(folder, "python", "find", "--no-python-downloads").returncode != 0:
        pytest.skip(f"no Python {lock.target.python} is on this machine")
    done = plain_uv(folder, "sync", "--locked", "--dry-run", "--no-python-downloads")
    assert done.returncode == 0, done.stderr
    assert not (folder / ".venv").exists()


def test_three_frameworks_are_of_one_cuda(real: Build) -> None:
    lock, _ = real("torch-jax-tensorflow")
    held = versions(lock)
    toolkit = {name: of for name, of in held.items() if OF_TOOLKIT.fullmatch(name)}
    assert {name.split("-")[-2] for name in toolkit} >= {"runtime", "nvcc", "nvrtc", "cupti"}
    assert {name: of for name, of in toolkit.items() if not of.startswith("12.8")} == {}
    assert not [name for name in held if name.endswith(("-cu11", "-cu13"))]
    for library in ("cudnn", "nccl"):
        assert len([name for name in held if name.startswith(f"nvidia-{library}-cu")]) == 1
    assert lock.stack.toolkit == "12.8"


def test_torch_and_tensorflow_never_have_two_majors(real: Build) -> None:
    lock, _ = real(TORCH_TF)
    held = versions(lock)
    majors = {name.rpartition("-cu")[2] for name in held if re.search(r"-cu\d\d$", name)}
    unsuffixed = {"nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cufft"} & held.keys()
    assert len(majors) == 1
    assert not (unsuffixed and majors == {"12"})
    assert {"torch", "tensorflow"} <= held.keys()


@pytest.mark.parametrize(
    ("name", "abis", "platform"),
    [
        pytest.param("free-threaded", {"cp314t", "none"}, "x86_64", id="free-threaded"),
        pytest.param("arm64", {"cp312", "abi3", "none"}, "aarch64", id="arm64"),
    ],
)
def test_every_file_is_for_the_target(
    real: Build, name: str, abis: set[str], platform: str
) -> None:
    lock, _ = real(name)
    for each in lock.package:
        if each.filename.endswith(".whl"):
            tags = parse_wheel_filename(each.filename)[3]
            assert any(
                tag.abi in abis and (tag.platform == "any" or tag.platform.endswith(platform))
                for tag in tags
            ), each.filename


def test_what_was_locked_is_locked_again_without_a_byte_changed(
    real: Build, tmp_path: Path
) -> None:
    _, folder = real("cpu")
    text = (SPECS / "cpu.toml").read_text(encoding="utf-8")
    with desk(tmp_path / "cache") as at:
        build(parse_spec(text, origin="x"), load(), at, Order(out=tmp_path / "out", today=TODAY))
    for each in ("mlenv.lock", "uv.lock", "pyproject.toml", "Dockerfile"):
        assert (tmp_path / "out" / "cpu" / each).read_bytes() == (folder / each).read_bytes()
