"""Which image a stack starts from, where the interpreter is, and what of it floats."""

from __future__ import annotations

import pytest

from mlenv.catalog.load import shipped
from mlenv.cuda import Cuda
from mlenv.machine import Glibc
from mlenv.plan.ground import footing
from planning import planned, refused, stack_of

NVCC = '[image]\ncompile = "nvcc"'
COMPAT = "[image]\ncuda-compat = true"
TORCH = 'framework = "torch==2.8.0"'


def target(gpu: str, driver: str) -> str:
    return f'[targets.a]\ngpus = ["{gpu}"]\ndriver = "{driver}"'


@pytest.mark.parametrize(
    ("lines", "base", "brings"),
    [
        pytest.param([TORCH], "python:3.12-slim-bookworm", True, id="wheels bring CUDA"),
        pytest.param(
            [TORCH, "[image]\ncompile = true"], "python:3.12-slim-bookworm", True, id="a C compiler"
        ),
        pytest.param(
            [TORCH, NVCC], "nvidia/cuda:12.8.1-devel-ubuntu24.04", False, id="nvcc of the toolkit"
        ),
        pytest.param(
            [TORCH, 'cuda = "12.6"', NVCC],
            "nvidia/cuda:12.6.3-devel-ubuntu24.04",
            False,
            id="nvcc of the toolkit that is asked",
        ),
        pytest.param(
            ['framework = "torch==2.5.1"', 'cuda = "12.4"', NVCC],
            "nvidia/cuda:12.4.1-devel-ubuntu22.04",
            False,
            id="an older system where there is no other",
        ),
        pytest.param(
            [TORCH, COMPAT, target("A100", "==535.183.01")],
            "nvidia/cuda:12.8.1-base-ubuntu24.04",
            False,
            id="cuda-compat",
        ),
        pytest.param(
            ['packages = ["numpy"]', NVCC],
            "nvidia/cuda:13.3.0-devel-ubuntu24.04",
            False,
            id="nvcc, and no line names CUDA",
        ),
        pytest.param(
            ['framework = "torch"', 'python = "3.14t"'],
            "debian:bookworm-slim",
            False,
            id="free-threaded",
        ),
        pytest.param([TORCH, '[image]\nbase = "ubuntu:24.04"'], "ubuntu:24.04", False, id="ubuntu"),
        pytest.param(
            [TORCH, '[image]\nbase = "corp.example/ml:1"'], "corp.example/ml:1", True, id="unknown"
        ),
    ],
)
def test_the_base_is(lines: list[str], base: str, brings: bool) -> None:  # noqa: FBT001
    found = planned(*lines)
    assert (found.base, found.brings_python) == (base, brings)
    assert ("interpreter" in {each.topic for each in found.decisions}) is not brings


def test_the_oldest_glibc_of_what_it_may_be_counts() -> None:
    assert planned(TORCH, NVCC).glibc == Glibc(2, 35)
    assert planned(TORCH, 'cuda = "12.8"', NVCC).glibc == Glibc(2, 39)


def test_a_toolkit_without_a_row_is_surmised() -> None:
    stack = stack_of(TORCH, NVCC)
    found = footing(stack, shipped(), Cuda(13, 9))
    assert (found.reference, found.surmised) == ("nvidia/cuda:13.9.0-devel-ubuntu24.04", True)


def test_the_gate_of_the_image_counts() -> None:
    lines = (TORCH, 'cuda = "12.8"', NVCC, target("RTX 4090", "==535.183.01"))
    (found,) = refused(*lines)
    assert (found.code, found.where[0]) == ("base-image-gate", "image.compile")
    assert "nvidia/cuda:12.8.1-devel-ubuntu24.04" in found.what
    assert "image.compile" in found.fix
    assert refused(TORCH, 'cuda = "12.8"', target("RTX 4090", "==535.183.01")) == ()


def test_another_toolkit_is_taken_where_the_gate_of_the_newest_is_shut() -> None:
    lines = ('framework = "torch==2.5.1"', target("RTX 4090", "==545.23.08"))
    assert (planned(*lines).toolkit_text, planned(*lines, NVCC).toolkit_text) == ("12.4", "12.1")


def test_a_driver_below_the_floor_is_said_first() -> None:
    lines = (TORCH, 'cuda = "12.8"', NVCC, target("A100", "==470.82.01"))
    assert [each.code for each in refused(*lines)] == ["driver-too-old"]


@pytest.mark.parametrize(
    ("lines", "floats"),
    [
        pytest.param([TORCH], [], id="nothing"),
        pytest.param([TORCH, '[image]\napt = ["git"]'], ["image.apt"], id="a bare name"),
        pytest.param([TORCH, '[image]\napt = ["git=1:2.39.5-0+deb12u2"]'], [], id="a version"),
        pytest.param([TORCH, "[image]\ncompile = true"], ["image.compile"], id="the compiler"),
    ],
)
def test_what_floats_is_said(lines: list[str], floats: list[str]) -> None:
    found = [each for each in planned(*lines).warnings if each.code == "apt-floats"]
    assert [key for each in found for key in each.where] == floats
