"""The shortest proof that a stack cannot be, and the tree of one that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlenv.catalog.load import load
from mlenv.plan.proof import proof
from mlenv.plan.tree import drawn, tree
from planning import B200, H100, V100, WISH, planned, stack_of

if TYPE_CHECKING:
    from mlenv.plan.tree import Branch

MANY = ('packages = ["rich"]', 'stack.logger = ["wandb"]')


@pytest.mark.parametrize(
    ("lines", "code", "keys"),
    [
        pytest.param(
            [*MANY, 'framework = ["jax", "torch==2.8.0"]', 'cuda = "12.4"'],
            "cuda-not-offered",
            ["framework[1]", "cuda"],
            id="a toolkit and a release, of many lines",
        ),
        pytest.param(
            [*MANY, 'framework = "torch"', 'cuda = "12.8"', B200, 'driver = "==550.54.15"'],
            "gpu-needs-newer-driver",
            ["targets.a.gpus[0]", "targets.a.driver"],
            id="whatever the frameworks",
        ),
        pytest.param(
            ['framework = "jax==0.4.32"', 'cuda = "12"', H100],
            "yanked",
            ["framework[0]"],
            id="one line",
        ),
        pytest.param(
            ['python = "3.14"', 'framework = ["tensorflow==2.20.0"]', 'cuda = "12"'],
            "python-unsupported",
            ["python", "framework[0]"],
            id="Python and a release",
        ),
        pytest.param(
            ['framework = ["torch==2.6.0", "tensorflow==2.18.0", "cupy"]'],
            "frameworks-disagree",
            ["framework[0]", "framework[1]"],
            id="two of three frameworks",
        ),
        pytest.param(
            ['framework = "torch"', '[targets.a]\ngpus = ["H100", "V100"]\ndriver = ">=535"'],
            "driver-dropped-gpu",
            ["targets.a.gpus[1]", "targets.a.driver"],
            id="one of two GPUs",
        ),
        pytest.param(
            ['backend = "conda"', 'framework = "torch==2.13.0"', 'cuda = "12.6"'],
            "cuda-not-offered",
            ["framework[0]", "cuda", "backend"],
            id="a conda channel",
        ),
        pytest.param(
            [
                'framework = "torch==2.7.1"',
                'image.base = "nvidia/cuda:12.8.1-base-ubuntu24.04"',
                '[targets.a]\ngpus = ["RTX 4090"]\ndriver = "==535.54.03"',
            ],
            "base-image-gate",
            ["targets.a.gpus[0]", "targets.a.driver", "image.base"],
            id="a gate",
        ),
        pytest.param(
            [
                'framework = "torch==2.12.0"',
                "image.cuda-compat = true",
                '[targets.a]\ngpus = ["RTX 4090"]\ndriver = "==535.54.03"',
            ],
            "no-forward-compat",
            ["targets.a.gpus[0]", "image.cuda-compat"],
            id="forward compatibility",
        ),
    ],
)
def test_proof_is_minimal_and_ends_in_sources(lines: list[str], code: str, keys: list[str]) -> None:
    found = proof(stack_of(*lines), load(), WISH)
    assert found is not None
    assert found.therefore.code == code
    assert sorted(each.key for each in found.lines) == sorted(keys)
    assert all(each.says and each.fact and each.source for each in found.lines)
    assert found.therefore.source


def test_what_can_be_has_no_proof_against_it() -> None:
    assert proof(stack_of('framework = "torch"'), load(), WISH) is None


def topics(branches: tuple[Branch, ...]) -> list[object]:
    return [[each.decision.topic, *topics(each.below)] for each in branches]


def test_tree_hangs_each_decision_below_what_it_follows_from() -> None:
    found = planned('framework = "jax"', V100, 'driver = ">=575.51.03,<581"')
    assert topics(tree(found)) == [
        ["python"],
        ["platform"],
        ["toolkit", ["driver"], ["cudnn"]],
        ["jax", ["V100 with jax"]],
        ["base", ["glibc"]],
    ]
    lines = list(drawn(tree(found)))
    assert lines[0] == "├─ python: 3.12"
    assert sum("source  " in line for line in lines) == len(found.decisions)
    assert not any(line != line.rstrip() for line in lines)
