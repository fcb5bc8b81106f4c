"""Frameworks, their indexes and their toolkits, solved by real uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archives import wheel
from drive import solved
from facts import DEFAULT, roots
from loopback import Index, environment
from mlenv.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.solve.solution import Solution

TORCH = 'name = "s"\npython = "3.12"\nframework = "torch==2.8.*"\n'
PLAIN = 'name = "s"\npython = "3.12"\n'
ARM = '[targets.gh200]\nplatform = "linux/arm64"\ngpus = ["GH200"]\ndriver = ">=580"\n'


def picked(solution: Solution) -> dict[str, tuple[str, str]]:
    """Return package -> version and the alias of the index that serves it."""
    return {e.solved.name: (e.solved.version, e.solved.index) for e in solution.picked}


def test_the_default_index_serves_its_own_toolkit(cache: Path) -> None:
    found = solved(f'{TORCH}cuda = "12.8"\n', cache)
    held = picked(found)
    assert (held["torch"], found.plan.channel) == (("2.8.0", "default"), "default")
    assert held["nvidia-cuda-runtime-cu12"][0] == "12.8.90"
    assert {index for _, index in held.values()} == {"default"}
    assert "download.pytorch.org" not in found.lock_text


@pytest.mark.parametrize(
    "package",
    [
        pytest.param("torchvision", id="a member that is named"),
        pytest.param("example-vision-user", id="a member that something needs"),
    ],
)
def test_another_toolkit_comes_from_the_index_of_the_framework(cache: Path, package: str) -> None:
    found = solved(f'{TORCH}cuda = "12.6"\npackages = ["{package}"]\n', cache)
    held = picked(found)
    assert held["torch"] == ("2.8.0+cu126", "pytorch-cu126")
    assert held["torchvision"] == ("0.23.0+cu126", "pytorch-cu126")
    assert held["nvidia-cuda-runtime-cu12"] == ("12.6.77", "default")
    assert held["numpy"][1] == "default"
    (filename,) = (e.artefact.filename for e in found.picked if e.solved.name == "torch")
    assert filename == "torch-2.8.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_one_file_of_each_package_is_picked_for_the_target(cache: Path) -> None:
    found = solved(f'{TORCH}cuda = "12.8"\npackages = ["numpy"]\n', cache)
    names = [e.solved.name for e in found.picked]
    assert names == sorted(set(names))
    assert all(e.wheel and e.size > 0 for e in found.picked)
    tags = {e.artefact.filename.partition("-cp")[2][:2] for e in found.picked} - {""}
    assert tags == {"31"}
    assert not [e for e in found.picked if "aarch64" in e.artefact.filename]


@pytest.mark.parametrize(
    ("cuda", "torch", "toolkit"),
    [
        pytest.param("", "2.9.1", "12.8", id="the newest, where no toolkit is asked"),
        pytest.param('cuda = "12.8"\n', "2.9.1", "12.8", id="of the toolkit that is asked"),
    ],
)
def test_a_framework_that_something_needs_is_planned(
    cache: Path, cuda: str, torch: str, toolkit: str
) -> None:
    found = solved(f'{PLAIN}{cuda}packages = ["lightning"]\n', cache)
    assert picked(found)["torch"][0] == torch
    assert str(found.plan.toolkit) == toolkit
    assert [c.asked.layer for c in found.plan.frameworks] == ["implied"]
    assert picked(found)["nvidia-cuda-runtime-cu12"][0].startswith(toolkit)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param('framework = "torch"\npackages = ["example-old-torch"]\n', id="named"),
        pytest.param('packages = ["example-old-torch"]\n', id="implied"),
    ],
)
def test_toolkits_are_tried_in_turn(cache: Path, lines: str) -> None:
    found = solved(f"{PLAIN}{lines}", cache)
    assert str(found.plan.toolkit) == "12.6"
    assert picked(found)["torch"] == ("2.7.1", "default")
    assert picked(found)["nvidia-cuda-runtime-cu12"][0] == "12.6.77"


def test_a_framework_held_back_is_said_aloud(cache: Path) -> None:
    found = solved(f'{PLAIN}framework = "torch"\npackages = ["example-old-torch"]\n', cache)
    assert "older-than-newest" in [each.code for each in found.warnings]


def test_three_frameworks_share_one_toolkit(cache: Path) -> None:
    found = solved(f'{PLAIN}framework = ["torch", "jax", "tensorflow"]\n', cache)
    held = picked(found)
    assert str(found.plan.toolkit) == "12.8"
    assert {"torch", "jax", "jax-cuda12-plugin", "tensorflow"} <= held.keys()
    of_toolkit = ("cuda-runtime", "cuda-nvcc", "cuda-nvrtc", "cuda-cupti", "nvjitlink")
    assert {held[f"nvidia-{each}-cu12"][0][:4] for each in of_toolkit} == {"12.8"}
    assert not [name for name in held if name.endswith("-cu13")]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param('framework = "tensorflow"\n', id="named"),
        pytest.param('packages = ["example-tensorflow-user"]\n', id="implied"),
    ],
)
def test_a_cpu_wheel_is_refused_where_a_gpu_is_asked(cache: Path, lines: str) -> None:
    with pytest.raises(StackError) as caught:
        solved(f"{PLAIN}{lines}{ARM}", cache)
    assert [each.code for each in caught.value.reasons] == ["cpu-only-build"]


def test_a_cpu_wheel_in_the_place_of_a_cuda_wheel_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, *others = roots()
    tag = "cp312-cp312-manylinux_2_28_x86_64"
    files = {"torch/version.py": "cuda: Optional[str] = None\n"}
    default.projects["torch"] = {}
    default.add(wheel("torch", "2.8.0", tag=tag, files=files), uploaded="2025-08-06")
    with Index(default, *others) as index:
        for name, text in environment(index, cache=tmp_path / "uv").items():
            monkeypatch.setenv(name, text)
        with pytest.raises(StackError) as caught:
            solved(f'{TORCH}cuda = "12.8"\n', tmp_path)
    assert [each.code for each in caught.value.reasons] == ["cpu-only-build"]
    assert caught.value.reasons[0].where == ("framework[0]",)
    assert DEFAULT not in str(caught.value)


@pytest.mark.parametrize(
    ("python", "target"),
    [
        pytest.param("3.12", "", id="3.12"),
        pytest.param("3.14t", "", id="free-threaded"),
        pytest.param("3.13", '[targets.a]\nplatform = "linux/arm64"\n', id="arm64"),
    ],
)
def test_locking_needs_no_interpreter_of_the_target(
    cache: Path, monkeypatch: pytest.MonkeyPatch, python: str, target: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    spec = f'name = "s"\npython = "{python}"\nframework = "torch"\n{target}'
    if target:
        spec = spec.replace('framework = "torch"', 'cuda = "cpu"\npackages = ["numpy"]')
    found = solved(spec, cache)
    abi = f"cp{python.replace('.', '')}"
    arch = "aarch64" if target else "x86_64"
    compiled = [e.artefact.filename for e in found.picked if "-cp3" in e.artefact.filename]
    assert compiled
    assert all(f"-{abi}-" in each and each.endswith(f"{arch}.whl") for each in compiled)
