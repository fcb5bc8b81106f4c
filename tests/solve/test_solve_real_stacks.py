"""What `check` says of real stacks, `lock` says too: solved on the real index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlenv.catalog.load import load
from mlenv.cli import opening
from mlenv.plan.decide import judged
from mlenv.solve.loop import solve
from planning import WISH, stack_of

if TYPE_CHECKING:
    from pathlib import Path

A100 = '[targets.a]\ngpus = ["A100"]\ndriver = ">=535"'
STACKS = [
    pytest.param(
        ['framework = "torch==2.5.1"', 'packages = ["torchvision==0.20.1"]', A100], id="a pair"
    ),
    pytest.param(
        ['python = "3.13"', 'framework = "torch==2.5.1"', A100],
        id="a Python for which a requirement is marked out",
    ),
    pytest.param(['framework = "tensorflow==2.18.0"', 'cuda = "12.5"', A100], id="tensorflow"),
    pytest.param(['framework = "jax==0.6.0"', 'cuda = "12"', A100], id="jax"),
    pytest.param(
        ['framework = "torch==2.10.0"', 'packages = ["xformers==0.0.34"]', A100], id="an extension"
    ),
    pytest.param(
        ['framework = "torch==2.7.1"', 'packages = ["open-clip-torch", "numpy<2"]', A100],
        id="a project",
    ),
]


@pytest.mark.network
@pytest.mark.parametrize("lines", STACKS)
def test_lock_does_not_contradict_check(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stack = stack_of(*lines)
    said = judged(stack, load(), WISH)
    assert not isinstance(said, tuple), said
    with opening.desk(offline=False, verbose=False, indexes={}) as desk:
        found = solve(stack, load(), WISH, desk)
    expected = [each.candidate.version for each in said.frameworks if each.candidate]
    locked = {each.solved.name: each.solved.version for each in found.picked}
    names = [each.candidate.build.release.name for each in said.frameworks if each.candidate]
    assert [locked[name].partition("+")[0] for name in names] == expected
