"""Drivers against toolkits and GPUs: floors, windows, and what is only said aloud."""

from __future__ import annotations

import pytest

from planning import A100, H100, V100, bounds, planned, refused, releases, warned

TORCH_12_4 = ('framework = "torch==2.5.1"', 'cuda = "12.4"')


@pytest.mark.parametrize(
    ("lines", "codes", "fix"),
    [
        pytest.param(
            [*TORCH_12_4, A100, 'driver = ">=525.60.12"'],
            ["driver-too-old"],
            '`driver = ">=525.60.13"`',
            id="one patch below the floor of CUDA 12",
        ),
        pytest.param([*TORCH_12_4, A100, 'driver = ">=525.60.13"'], [], "", id="just on the floor"),
        pytest.param(
            ['framework = "torch"', 'cuda = "13"', A100, 'driver = ">=580.65.05"'],
            ["driver-too-old"],
            '`driver = ">=580.65.06"`',
            id="one patch below the floor of CUDA 13",
        ),
        pytest.param(
            ['framework = "torch"', 'cuda = "13"', A100, 'driver = ">=580"'],
            [],
            "",
            id="a branch alone is NVIDIA's own name for the floor of CUDA 13",
        ),
        pytest.param(
            ['framework = "torch==2.3.1"', 'cuda = "11.8"', A100, 'driver = ">=450.80.02"'],
            [],
            "",
            id="a driver with a leading zero in its patch",
        ),
        pytest.param(
            ['framework = "torch==2.15.0"', A100, 'driver = ">=535"'],
            ["driver-too-old"],
            '`driver = ">=580.65.06"`',
            id="no `cuda`, but the release is for CUDA 13 only",
        ),
        pytest.param(
            ['packages = ["rich"]', 'cuda = "13"', A100, 'driver = ">=535"'],
            ["driver-too-old"],
            '`driver = ">=580.65.06"`',
            id="CUDA without a framework has a floor too",
        ),
        pytest.param(
            ['framework = "torch"', V100, 'driver = ">=535"'],
            ["driver-dropped-gpu"],
            '`driver = ">=535,<581"`',
            id="a range without an end reaches drivers that dropped the GPU",
        ),
        pytest.param(
            ['framework = "torch"', V100, 'driver = ">=590"'],
            ["driver-dropped-gpu"],
            '`driver = "<581"`',
            id="every driver of the range dropped the GPU",
        ),
        pytest.param(
            ['framework = "torch"', V100, 'driver = ">=570,<581"'], [], "", id="a window that fits"
        ),
        pytest.param(
            ['framework = "torch"', V100, 'driver = "==580.65.06"'], [], "", id="the last branch"
        ),
        pytest.param(
            ['framework = "torch"', H100, 'driver = ">=515"'],
            ["gpu-needs-newer-driver"],
            '`driver = ">=520"`',
            id="a range that begins before the GPU",
        ),
    ],
)
def test_floor_and_window(lines: list[str], codes: list[str], fix: str) -> None:
    found = refused(*lines)
    assert [each.code for each in found] == codes
    assert fix in "".join(each.fix for each in found)
    assert all(each.where[-1] == "targets.a.driver" for each in found)


@pytest.mark.parametrize(
    ("major", "old", "new"),
    [
        pytest.param(12, "525.60.12", "525.60.13", id="CUDA 12"),
        pytest.param(13, "580.65.05", "580.65.06", id="CUDA 13"),
    ],
)
def test_the_fix_of_a_floor_works(major: int, old: str, new: str) -> None:
    spec = ('framework = "torch"', f'cuda = "{major}"', A100)
    (reason,) = refused(*spec, f'driver = ">={old}"')
    assert f'"`driver = ">={new}"`' in f'"{reason.fix.removeprefix("set ")}'
    assert refused(*spec, f'driver = ">={new}"') == ()


@pytest.mark.parametrize(
    ("lines", "codes", "words"),
    [
        pytest.param(
            [*TORCH_12_4, A100, 'driver = ">=535"'],
            ["minor-version-mode"],
            "CUDA 12.4 came with driver 550.54.14",
            id="a driver of an earlier minor",
        ),
        pytest.param([*TORCH_12_4, A100, 'driver = ">=550.54.14"'], [], "", id="its own driver"),
        pytest.param(
            ['framework = "jax"', 'cuda = "13.5"', A100, 'driver = ">=595.45.04"'],
            ["minor-version-mode"],
            "CUDA 13.3 came with driver 610.43.02, and 13.5 is newer",
            id="a toolkit that is newer than any known driver",
        ),
        pytest.param(TORCH_12_4, ["not-checked"], "`driver`", id="no machine"),
        pytest.param([*TORCH_12_4, A100], ["not-checked"], "`driver`", id="no driver"),
        pytest.param(
            [*TORCH_12_4, '[targets.a]\ndriver = ">=550.54.14"'],
            ["not-checked"],
            "`gpus`",
            id="no GPU",
        ),
        pytest.param(
            [*TORCH_12_4, A100, 'driver = "<600"'],
            ["not-checked"],
            "lowest `driver`",
            id="a range of drivers that is open below",
        ),
        pytest.param(
            ['framework = "torch"', 'cuda = "cpu"'], [], "", id="without CUDA nothing is to check"
        ),
    ],
)
def test_said_aloud(lines: list[str], codes: list[str], words: str) -> None:
    found = planned(*lines)
    assert (warned(found), found.verdict) == (codes, "ok")
    assert words in "".join(f"{each.what} {each.cause}" for each in found.warnings)


def test_an_old_gpu_holds_cudnn_back() -> None:
    found = planned('framework = "jax"', V100, 'driver = ">=575.51.03,<581"')
    assert (found.toolkit_text, releases(found)) == ("12.9", ["0.12.0.1"])
    assert bounds(found)["nvidia-cudnn-cu12"] == "<9.11"
    (bound,) = [each for each in found.constraints if each.text.startswith("nvidia-cudnn-cu12")]
    assert bound.key == "targets.a.gpus"


def test_a_newer_gpu_does_not() -> None:
    found = planned('framework = "jax"', 'cuda = "12"', H100, 'driver = ">=575.51.03"')
    assert "nvidia-cudnn-cu12" not in bounds(found)


def test_cudnn_and_nccl_are_held_where_asked() -> None:
    found = planned('framework = "torch==2.9.0"', 'cudnn = "9.10"', 'nccl = "2.27"')
    held = bounds(found)
    assert (held["nvidia-cudnn-cu12"], held["nvidia-nccl-cu12"]) == ("==9.10.*", "==2.27.*")
