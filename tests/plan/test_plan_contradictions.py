"""No verdict contradicts another: rules between a stack and one that asks less, or has less.

A verdict is compared with that of a changed stack, so no expected value has to be known:

    the same question twice          the same answer
    `cuda`, `cudnn`, `glibc`, all or one of `gpus`, `driver`, a framework, or the version of one
    left out; a later date           what could be still can be
    a lowest driver of an older      what could not be still cannot be
    branch
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from mlenv.catalog.load import load
from mlenv.machine import Drivers, Glibc, Platform, Prefix, Python
from mlenv.plan.decide import Wish, judged
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import Asked, Stack, stacks
from planning import WISH, stack_of

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
BASE = stack_of(
    'framework = "torch"\ncuda = "12"\ncudnn = "9"',
    '[targets.a]\ngpus = ["A100"]\ndriver = ">=570"\nglibc = "2.31"',
)
DRIVERS = ("450.80.02", "470.82.01", "525.60.12", "525", "535.54.03", "550", "570.26", "580.65.06")
EARLIER = Wish(exclude_newer="2025-11-22T00:00:00Z")
LIMITS = settings(max_examples=150, deadline=None, derandomize=True)


def names() -> list[str]:
    """Return every framework, bare and at every release that the catalog knows."""
    catalog = load()
    return [
        text
        for row in catalog.frameworks.values()
        for package in dict.fromkeys(row.distribution.values())
        for text in (package, *(f"{package}=={each.text}" for each in catalog.releases(package)))
    ]


@st.composite
def drawn(draw: st.DrawFn) -> Stack:
    """Draw framework x version x cuda x python x gpu x driver x platform x glibc."""
    asked = st.lists(st.sampled_from(names()), min_size=1, max_size=2, unique_by=_package)
    cuda = draw(st.sampled_from((None, "cpu", "11.8", "12", "12.4", "12.6", "12.8", "13", "13.2")))
    cudnn = draw(st.sampled_from((None, None, None, "8.9", "9", "9.10")))
    lowest = draw(st.sampled_from((None, *DRIVERS)))
    below = draw(st.sampled_from(("", ",<581")))
    glibc = draw(st.sampled_from((None, "2.28", "2.35")))
    platforms: tuple[Platform, ...] = ("linux/amd64", "linux/arm64")
    gpus = ("T4", "V100", "A100", "H100", "B200", "RTX 5090", "GTX 1080 Ti")
    return replace(
        BASE,
        frameworks=tuple(
            Asked(key=f"framework[{index}]", layer="framework", requirement=Requirement(text))
            for index, text in enumerate(draw(asked))
        ),
        python=Python.parse(draw(st.sampled_from(("3.10", "3.12", "3.13", "3.13t", "3.14")))),
        cuda=Prefix.parse(cuda) if cuda and cuda != "cpu" else cuda,
        cudnn=Prefix.parse(cudnn) if cudnn else None,
        gpus=tuple(draw(st.lists(st.sampled_from(gpus), max_size=2, unique=True))),
        driver=Drivers.parse(f">={lowest}{below}") if lowest else None,
        glibc=Glibc.parse(glibc) if glibc else None,
        platform=draw(st.sampled_from(platforms)),
    )


def _package(text: str) -> str:
    return text.partition("==")[0].partition("-")[0]


def impossible(stack: Stack) -> bool:
    return isinstance(judged(stack, load(), WISH), tuple)


def wider(stack: Stack) -> list[tuple[str, Stack]]:
    """Return the stacks that ask less than ``stack``, and what each leaves out."""
    found = [
        ("cudnn", replace(stack, cudnn=None)),
        ("gpus", replace(stack, gpus=())),
        ("driver", replace(stack, driver=None)),
        ("glibc", replace(stack, glibc=None)),
    ]
    if stack.cuda != "cpu":  # without it a GPU build is asked for
        found.append(("cuda", replace(stack, cuda=None)))
    found += [
        (f"gpus but {gpu}", replace(stack, gpus=tuple(g for g in stack.gpus if g != gpu)))
        for gpu in stack.gpus
    ]
    for one in stack.frameworks:
        rest = tuple(each for each in stack.frameworks if each is not one)
        bare = replace(one, requirement=Requirement(one.requirement.name))
        if rest:
            found.append((str(one.requirement), replace(stack, frameworks=rest)))
        found.append((f"version of {one.key}", replace(stack, frameworks=(*rest, bare))))
    return found


def check(stack: Stack) -> None:
    """Hold ``stack`` against every rule of this module."""
    answer = judged(stack, load(), WISH)
    assert judged(stack, load(), WISH) == answer
    if isinstance(answer, tuple):
        assert answer
        for each in answer:
            assert each.where, each
            assert each.cause, each
            assert each.source, each
            assert each.fix, each
        older(stack)
        return
    for left_out, other in wider(stack):
        assert not impossible(other), f"without {left_out}: {judged(other, load(), WISH)}"


def older(stack: Stack) -> None:
    """Assert that what could not be does not become possible with an older driver."""
    if stack.driver is None or stack.driver.lowest is None:
        return
    for text in DRIVERS:
        bounds = stack.driver.text.replace(f">={stack.driver.lowest_text}", f">={text}")
        edited = Drivers.parse(bounds)
        if edited.lowest and edited.lowest.major < stack.driver.lowest.major:
            assert impossible(replace(stack, driver=edited)), bounds


@LIMITS
@given(drawn())
def test_no_generated_stack_contradicts_itself(stack: Stack) -> None:
    check(stack)


@LIMITS
@given(drawn())
def test_a_later_date_forbids_nothing(stack: Stack) -> None:
    answer = judged(stack, load(), EARLIER)
    if not isinstance(answer, tuple) and answer.verdict == "ok":  # a release of tomorrow is unknown
        assert not impossible(stack), judged(stack, load(), WISH)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of the research are not beside the tree")
@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.toml")))
def test_no_case_contradicts_itself(name: str) -> None:
    text = (CASES / name).read_text(encoding="utf-8")
    for stack in stacks(parse_spec(text, origin=name).spec):
        check(stack)
