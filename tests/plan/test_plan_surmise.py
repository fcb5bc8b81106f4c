"""Builds that no row speaks of: unknown where a look at the index may find them, else refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlenv.catalog.load import load
from mlenv.plan.decide import judged
from mlenv.plan.model import Plan
from planning import ARM64, WISH, stack_of

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog

GH200 = f'{ARM64}\ngpus = ["GH200"]\ndriver = ">=580"'
H100 = '[targets.a]\ngpus = ["H100"]\ndriver = ">=580"'


def with_a_new_torch() -> Catalog:
    """Return a catalog with a release that came after all rows about the index."""
    shipped = load()
    rows = dict(shipped.raw["torch"])
    rows["2.99.0"] = {**rows["2.15.0"], "date": "2026-11-20"}
    return replace(shipped, raw={**shipped.raw, "torch": rows}, _made={})


def with_the_index_read() -> Catalog:
    """Return a catalog with what torch's own index showed."""
    return replace(load(), indexed={"torch": {"2.8.0": {"x86_64": ["12.8"]}}}, _made={})


def verdict(catalog: Catalog, *lines: str) -> tuple[str, list[str]]:
    answer = judged(stack_of(*lines), catalog, WISH)
    if isinstance(answer, Plan):
        return answer.verdict, [e.what for e in answer.warnings if e.code == "fact-unknown"]
    return "impossible", [each.code for each in answer]


@pytest.mark.parametrize(
    ("framework", "cuda", "target", "channel"),
    [
        pytest.param("torch==2.8.0", "12.9", GH200, "pytorch-cu129", id="an older arm64 build"),
        pytest.param("torch==2.9.1", "13", GH200, "pytorch-cu130", id="of a toolkit major"),
        pytest.param("torch==2.99.0", "13.0", H100, "pytorch-cu130", id="a release after the rows"),
    ],
)
def test_what_the_index_may_have_is_unknown(
    framework: str, cuda: str, target: str, channel: str
) -> None:
    lines = (f'framework = "{framework}"', f'cuda = "{cuda}"', target)
    said, words = verdict(with_a_new_torch(), *lines)
    assert said == "unknown"
    version = framework.partition("==")[2]
    assert f"whether the PyTorch index ({channel}) has torch {version} for linux/" in words[0]


def test_it_says_what_would_settle_it() -> None:
    lines = ('framework = "torch==2.8.0"', 'cuda = "12.9"', GH200)
    answer = judged(stack_of(*lines), load(), WISH)
    assert isinstance(answer, Plan)
    (said,) = (each for each in answer.warnings if each.code == "fact-unknown")
    assert "`mlenv catalog refresh`" in said.cause
    assert said.where == ("framework[0]",)
    assert [each.alias for each in answer.indexes] == ["pytorch-cu129"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        pytest.param(
            ['framework = "torch==2.8.0"', GH200], "cpu-only-build", id="no toolkit leads there"
        ),
        pytest.param(
            ['framework = "torch==2.8.0"', 'cuda = "12.4"', GH200],
            "cpu-only-build",
            id="a toolkit that the release has on no architecture",
        ),
        pytest.param(
            ['framework = "torch==2.15.0"', 'cuda = "12.8"'],
            "cuda-not-offered",
            id="the row of the release lacks the toolkit",
        ),
        pytest.param(
            ['framework = "torch==2.99.0"', 'cuda = "11.8"'],
            "cuda-not-offered",
            id="a toolkit that was dropped long before",
        ),
        pytest.param(
            ['framework = "torch==2.99.0"', 'cuda = "12.7"'],
            "cuda-not-offered",
            id="a toolkit that nobody builds for",
        ),
    ],
)
def test_what_it_cannot_have_is_refused(lines: list[str], code: str) -> None:
    assert verdict(with_a_new_torch(), *lines) == ("impossible", [code])


def test_what_an_index_did_not_show_is_not_surmised() -> None:
    lines = ('framework = "torch==2.8.0"', 'cuda = "12.9"')
    assert verdict(with_the_index_read(), *lines, GH200) == ("impossible", ["cpu-only-build"])
    assert verdict(with_the_index_read(), *lines) == ("impossible", ["cuda-not-offered"])
