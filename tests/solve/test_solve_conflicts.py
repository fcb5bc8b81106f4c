"""Conflicts: the smallest set of the user's own lines, and never uv's prose for a single fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archives import wheel
from drive import TODAY, catalog, desk, solved
from facts import roots
from loopback import Index, environment
from mlenv.errors import HostError, StackError
from mlenv.plan.decide import Wish
from mlenv.solve.loop import solve
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from pathlib import Path

    from mlenv.errors import Reason

PLAIN = 'name = "s"\npython = "3.12"\ncuda = "cpu"\n'
TORCH = 'name = "s"\npython = "3.12"\nframework = "torch==2.8.*"\ncuda = "12.8"\n'
FREE_TORCH = 'name = "s"\npython = "3.12"\nframework = "torch"\ncuda = "12.8"\n'


def refusal(spec: str, cache: Path) -> Reason:
    with pytest.raises(StackError) as caught:
        solved(spec, cache)
    (reason,) = caught.value.reasons
    assert reason.cause == reason.cause.strip()
    return reason


@pytest.mark.parametrize(
    ("spec", "where", "words"),
    [
        pytest.param(
            f'{TORCH}packages = ["filelock", "triton==3.5.1", "rich"]\n',
            ("framework[0]", "packages[1]"),
            ("torch==2.8.*", "triton==3.5.1"),
            id="a framework and a package",
        ),
        pytest.param(
            f'{TORCH}packages = ["rich", "nvidia-cuda-nvcc-cu12==12.9.*", "tqdm"]\n',
            ("cuda", "packages[1]"),
            ("cuda 12.8", "nvidia-cuda-nvcc-cu12==12.9.*"),
            id="the toolkit and a package",
        ),
        pytest.param(
            f'{FREE_TORCH}packages = ["rich", "example-old-torch"]\n',
            ("cuda", "packages[1]"),
            ("cuda 12.8", "example-old-torch"),
            id="the toolkit and what pins an older framework",
        ),
        pytest.param(
            f'{PLAIN}packages = ["rich", "omegaconf<2.3", "tqdm"]\n'
            '[stack]\nconfig = ["hydra-core"]\n[dev]\npackages = ["filelock"]\n',
            ("packages[1]",),
            ("omegaconf<2.3",),
            id="one line that cannot be had at all",
        ),
    ],
)
def test_the_lines_that_conflict_are_named(
    cache: Path, spec: str, where: tuple[str, ...], words: tuple[str, ...]
) -> None:
    reason = refusal(spec, cache)
    assert reason.code == "no-solution"
    assert reason.where == where
    assert all(each in reason.what for each in words)


@pytest.mark.parametrize(
    ("package", "cause"),
    [
        pytest.param(
            "no-such-thing",
            "no package is called no-such-thing on the index",
            id="unknown package",
        ),
        pytest.param("filelock>=99", "filelock", id="unknown version"),
    ],
)
def test_a_line_that_nothing_answers_is_named_alone(cache: Path, package: str, cause: str) -> None:
    reason = refusal(f'{PLAIN}packages = ["rich", "{package}", "tqdm"]\n', cache)
    assert (reason.code, reason.where) == ("no-solution", ("packages[1]",))
    assert reason.what.startswith(f"{package} cannot be had for Python 3.12, linux/amd64")
    assert cause in reason.cause


def test_of_two_conflicts_one_is_told_with_its_own_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, *others = roots()
    for one, other in (("example-a", "example-b"), ("example-c", "example-d")):
        default.add(wheel(one, "1.0", [f"{other}==2.0"]))
        for version in ("1.0", "2.0"):
            default.add(wheel(other, version))
    with Index(default, *others) as index:
        for key, text in environment(index, cache=tmp_path / "uv").items():
            monkeypatch.setenv(key, text)
        lines = '["example-a", "example-b==1.0", "rich", "example-c", "example-d==1.0"]'
        reason = refusal(f"{PLAIN}packages = {lines}\n", tmp_path / "cache")
    told: dict[tuple[str, ...], str] = {
        ("packages[0]", "packages[1]"): "example-a requires example-b==2.0",
        ("packages[3]", "packages[4]"): "example-c requires example-d==2.0",
    }
    assert reason.cause == told[reason.where]


def test_an_unknown_package_in_dev_is_named(cache: Path) -> None:
    spec = f'{PLAIN}packages = ["rich"]\n[dev]\npackages = ["tqdm", "no-such-thing"]\n'
    spec += '[image]\nvariants = ["runtime", "dev"]\n'
    assert refusal(spec, cache).where == ("dev.packages[1]",)


def test_the_words_of_uv_are_told_and_not_said(cache: Path) -> None:
    told: list[str] = []
    (stack,) = stacks(parse_spec(f'{PLAIN}packages = ["no-such-thing"]\n', origin="s").spec)
    with desk(cache, tell=told.append) as at, pytest.raises(StackError) as caught:
        solve(stack, catalog(), Wish(exclude_newer=TODAY), at)
    assert "No solution found" in "\n".join(told)
    assert "deprecated" not in "\n".join(told)
    assert "No solution found" not in str(caught.value)


def test_a_framework_whose_libraries_are_of_another_major_is_told(cache: Path) -> None:
    spec = 'name = "s"\npython = "3.12"\nframework = ["jax", "torch"]\ncuda = "12.8"\n'
    reason = refusal(f'{spec}packages = ["nvidia-cudnn-cu13"]\n', cache)
    assert set(reason.where) == {"cuda", "packages[0]"}
    assert "of CUDA 13; the toolkit is 12.8" in reason.cause


def test_offline_with_an_empty_cache_is_no_conflict(cache: Path) -> None:
    (stack,) = stacks(parse_spec(f'{PLAIN}packages = ["rich"]\n', origin="s").spec)
    with desk(cache, offline=True) as at, pytest.raises(HostError) as caught:
        solve(stack, catalog(), Wish(exclude_newer=TODAY), at)
    assert [each.code for each in caught.value.reasons] == ["network-off"]
