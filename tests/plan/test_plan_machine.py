"""Forward compatibility, the gates of base images, and what is said where PTX must be compiled."""

from __future__ import annotations

import pytest

from mlenv.plan.gates import base_toolkit
from planning import planned, refused, warned

TORCH_13 = ('framework = "torch==2.12.0"', 'cuda = "13.0"')
COMPAT = "[image]\ncuda-compat = true\n"


def target(gpu: str, driver: str) -> str:
    gpus = f'gpus = ["{gpu}"]\n' if gpu else ""
    return f'[targets.a]\n{gpus}driver = "{driver}"\n'


def image(base: str) -> str:
    return f'[image]\nbase = "{base}"\n'


CUDA_12_8 = image("nvidia/cuda:12.8.1-base-ubuntu24.04")


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param([*TORCH_13, COMPAT, target("A100", "==535.183.01")], [], id="a branch of it"),
        pytest.param([*TORCH_13, COMPAT, target("sm_90", "==550.54.15")], [], id="sm_90: all are"),
        pytest.param(
            [*TORCH_13, target("A100", "==535.183.01")], ["driver-too-old"], id="not asked for"
        ),
        pytest.param(
            [*TORCH_13, COMPAT, target("A100", "==545.23.08")],
            ["driver-too-old"],
            id="a branch that is not listed",
        ),
        pytest.param(
            [*TORCH_13, COMPAT, target("RTX 4090", "==535.183.01")],
            ["no-forward-compat"],
            id="a GeForce",
        ),
        pytest.param(
            [*TORCH_13, COMPAT, target("TITAN RTX", "==535.183.01")],
            ["no-forward-compat"],
            id="a TITAN",
        ),
        pytest.param(
            ['framework = "torch==2.9.1"', 'cuda = "12.8"', COMPAT, target("RTX 4090", ">=535")],
            ["no-forward-compat"],
            id="it breaks on a GeForce what minor-version mode would run",
        ),
        pytest.param(
            [*TORCH_13, COMPAT, target("RTX 4090", ">=580.65.06")],
            [],
            id="a driver as new as the toolkit: it is not loaded",
        ),
    ],
)
def test_forward_compatibility(lines: list[str], codes: list[str]) -> None:
    assert [each.code for each in refused(*lines)] == codes


def test_with_it_nothing_is_said_of_minor_versions_and_the_driver_names_the_branches() -> None:
    found = planned(*TORCH_13, COMPAT, target("A100", "==535.183.01"))
    assert (found.verdict, warned(found)) == ("ok", [])
    (driver,) = [each for each in found.decisions if each.topic == "driver"]
    assert driver.choice == "branch 535, 550, 565, 570, 575, with cuda-compat 13.0"
    assert "forward-compatibility" in driver.source


@pytest.mark.parametrize(
    ("gpu", "cuda"),
    [
        pytest.param("RTX A6000", "13.0", id="a workstation GPU: only some"),
        pytest.param("sm_89", "13.0", id="an architecture of several brands"),
        pytest.param("", "13.0", id="no GPU is named"),
        pytest.param("A100", "13.2", id="a toolkit of which no row speaks"),
    ],
)
def test_where_no_source_says_it_is_unknown(gpu: str, cuda: str) -> None:
    lines = ('framework = "torch"', f'cuda = "{cuda}"', COMPAT, target(gpu, "==550.54.15"))
    found = planned(*lines)
    assert found.verdict == "unknown"
    (said,) = [each for each in found.warnings if each.code == "fact-unknown"]
    assert f"whether cuda-compat {cuda} works on driver 550.54.15" in said.what


def test_a_toolkit_that_surely_runs_is_preferred_to_one_that_may() -> None:
    found = planned('framework = "torch"', COMPAT, target("RTX A6000", "==550.54.15"))
    assert (found.toolkit and found.toolkit.major, found.verdict) == (12, "ok")


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param([CUDA_12_8, target("RTX 4090", "==535.183.01")], ["base-image-gate"], id="o"),
        pytest.param([CUDA_12_8, target("RTX 4090", "==570.124.06")], [], id="CUDA is as new"),
        pytest.param([CUDA_12_8, target("A100", "==535.183.01")], [], id="a clause admits it"),
        pytest.param([CUDA_12_8, target("RTX A6000", "==535.183.01")], [], id="a workstation GPU"),
        pytest.param(
            [CUDA_12_8, target("A100", "==545.23.08")], ["base-image-gate"], id="no such branch"
        ),
        pytest.param(
            [CUDA_12_8, target("", "==545.23.08")], ["base-image-gate"], id="whatever the GPU"
        ),
        pytest.param(
            [image("nvidia/cuda:12.4.1-base-ubuntu22.04"), target("RTX 4090", "==535.183.01")],
            [],
            id="an older image names GeForce",
        ),
        pytest.param(
            [image("docker.io/nvidia/cuda:12.9.1-runtime-ubi9"), target("RTX 4090", ">=535")],
            ["base-image-gate"],
            id="the lowest driver of a range",
        ),
        pytest.param(
            [image("ubuntu:24.04"), target("RTX 4090", "==535.183.01")], [], id="another base"
        ),
    ],
)
def test_gate_of_the_base_image(lines: list[str], codes: list[str]) -> None:
    found = refused('framework = "torch==2.7.1"', 'cuda = "12.6"', *lines)
    assert [each.code for each in found] == codes
    for each in found:
        assert each.where[:2] == ("image.base", "targets.a.driver")
        assert "NVIDIA_REQUIRE_CUDA" in each.cause
        assert '`base = "auto"`' in each.fix


@pytest.mark.parametrize(
    ("base", "gpu"),
    [
        pytest.param("nvidia/cuda:12.8.1-base-ubuntu24.04", "sm_89", id="several brands"),
        pytest.param("nvidia/cuda:12.5.1-base-ubuntu22.04", "RTX 4090", id="an image nobody read"),
    ],
)
def test_a_gate_that_nobody_knows_is_unknown(base: str, gpu: str) -> None:
    lines = ('framework = "torch==2.7.1"', 'cuda = "12.6"', image(base), target(gpu, "==535.54.03"))
    found = planned(*lines)
    assert found.verdict == "unknown"
    assert any(f"whether {base} starts" in each.what for each in found.warnings)


def test_a_stack_for_the_cpu_passes_every_gate() -> None:
    lines = ('framework = "torch"', 'cuda = "cpu"', CUDA_12_8, target("RTX 4090", "==535.54.03"))
    assert refused(*lines) == ()


@pytest.mark.parametrize(
    ("reference", "toolkit"),
    [
        ("nvidia/cuda:12.8.1-base-ubuntu24.04", "12.8"),
        ("nvcr.io/nvidia/cuda:13.0.1-runtime-ubi9", "13.0"),
        ("nvidia/cuda:12.8.1@sha256:00", "12.8"),
        ("nvidia/cuda:latest", None),
        ("corp.example/nvidia/cuda:12.8", None),
        ("python:3.12", None),
    ],
)
def test_toolkit_of_an_nvidia_image(reference: str, toolkit: str | None) -> None:
    found = base_toolkit(reference)
    assert (str(found) if found else None) == toolkit


def test_ptx_that_an_older_driver_cannot_compile_is_said() -> None:
    lines = ('framework = "tensorflow==2.20.0"', 'cuda = "12.9"', target("RTX 5090", ">=570.26"))
    found = planned(*lines)
    (said,) = [each for each in found.warnings if each.code == "jit-needs-newer-driver"]
    assert "has only PTX for RTX 5090, which driver 570.26 cannot compile" in said.what
    assert '`driver = ">=575.51.03"`' in said.fix
    new = planned(*lines[:2], target("RTX 5090", ">=575.51.03"))
    assert "jit-needs-newer-driver" not in warned(new)
    (code,) = [each for each in new.decisions if each.topic.startswith("RTX 5090")]
    assert (code.choice, code.why[:3]) == ("compute_90", "PTX")


def test_a_toolkit_newer_than_every_known_driver_claims_none_of_them() -> None:
    lines = ('framework = "jax"', 'cuda = "13.5"', target("A100", ">=610.43.02"))
    (said,) = planned(*lines).warnings
    assert said.code == "minor-version-mode"
    assert "may run CUDA 13.5" in said.what
    assert "610.43.02" not in said.fix


CONDA = 'backend = "conda"'


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param(
            ['framework = "torch==2.13.0"', 'cuda = "12.6"'], ["cuda-not-offered"], id="x"
        ),
        pytest.param(['framework = "torch==2.6.0"', 'cuda = "12.6"'], [], id="it is built"),
        pytest.param(['framework = "torch>=2.9,<2.13"', 'cuda = "13"'], [], id="some are built"),
        pytest.param(['framework = "torch==2.15.0"', 'cuda = "12.6"'], [], id="no row covers it"),
        pytest.param(['framework = "torch"', 'cuda = "cpu"'], [], id="for the CPU"),
        pytest.param(['framework = "jax"', 'cuda = "12.6"'], [], id="a framework without rows"),
        pytest.param(
            ['framework = "torch==2.13.0"', 'cuda = "12.6"', '[lock]\nchannels = ["corp"]'],
            [],
            id="another channel",
        ),
        pytest.param(
            ['framework = "torch==2.13.0"', 'cuda = "13.0"', target("A100", "==535.183.01")],
            ["driver-too-old"],
            id="an old driver",
        ),
        pytest.param(
            ['framework = "torch==2.13.0"', target("V100", ">=590")],
            ["driver-dropped-gpu"],
            id="a GPU that the driver dropped",
        ),
    ],
)
def test_conda_is_refused_by_facts_and_never_called_good(
    lines: list[str], codes: list[str]
) -> None:
    assert [each.code for each in refused(CONDA, *lines)] == codes
    if not codes:
        found = planned(CONDA, *lines)
        assert (found.verdict, warned(found)[-1]) == ("unknown", "fact-unknown")


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param(['packages = ["vllm==0.10.0"]'], ["python-unsupported"], id="pinned"),
        pytest.param(['packages = ["vllm>=0.9,<0.10"]'], ["python-unsupported"], id="a range"),
        pytest.param(
            ['dev.packages = ["vllm==0.10.0"]', 'image.variants = ["dev"]'],
            ["python-unsupported"],
            id="dev",
        ),
        pytest.param(['packages = ["vllm"]'], [], id="no range"),
        pytest.param(['packages = ["vllm>=0.10"]'], [], id="a newer one may take it"),
        pytest.param(['packages = ["vllm<0.10.1"]'], [], id="an older one may take it"),
        pytest.param(["packages = [\"vllm==0.10.0; python_version<'3.13'\"]"], [], id="a marker"),
        pytest.param(['packages = ["unheard-of==1.0"]'], [], id="not catalogued"),
        pytest.param(
            [
                'packages = ["vllm==0.10.0"]',
                '[indexes.corp]\nurl = "https://pkgs.corp.example/simple"\npackages = ["vllm"]',
            ],
            [],
            id="from an index of the spec's own",
        ),
    ],
)
def test_a_package_that_takes_no_such_python(lines: list[str], codes: list[str]) -> None:
    assert [each.code for each in refused('python = "3.13"', *lines)] == codes


def test_a_cudnn_major_holds_on_every_index() -> None:
    (reason,) = refused('framework = "torch==2.9.1"', 'cudnn = "8"')
    assert reason.code == "cudnn-mismatch"
    found = planned('framework = "torch==2.9.1"', 'cuda = "12.6"', 'cudnn = "9.10"')
    assert found.verdict == "unknown"
