"""What is decided: toolkit, index, releases and requirements, by the shipped catalog."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.requirements import Requirement

from mlenv.catalog.load import load
from mlenv.cuda import Cuda
from mlenv.errors import MlenvError
from mlenv.plan.decide import Wish
from mlenv.spec.stack import Asked
from planning import A100, ARM64, DAY, H100, V100, WISH, bounds, planned, releases, texts, warned

DRIVER = 'driver = ">=570,<581"'


@pytest.mark.parametrize(
    ("lines", "toolkit", "channel", "expected", "wanted"),
    [
        pytest.param(
            ['framework = "torch"'],
            *("13.2", "default", ["2.15.0"], ["torch"]),
            id="the newest torch is for the newest toolkit it ships for",
        ),
        pytest.param(
            ['framework = ["torch", "jax", "tensorflow"]', 'cuda = "12.8"'],
            *("12.8", "default", ["2.10.0", "0.12.0.1", "2.20.0"]),
            ["torch", "jax[cuda12]", "tensorflow[and-cuda]"],
            id="three frameworks share one set of CUDA libraries",
        ),
        pytest.param(
            ['framework = ["tensorflow", "torch"]'],
            *("12.8", "default", ["2.20.0", "2.10.0"], ["tensorflow[and-cuda]", "torch"]),
            id="two frameworks without a toolkit get the newest that both have",
        ),
        pytest.param(
            ['framework = "jax"', 'cuda = "12"'],
            *("12.9", "default", ["0.12.0.1"], ["jax[cuda12]"]),
            id="jax for CUDA 12 has an extra",
        ),
        pytest.param(
            ['framework = "jax>=0.6"', 'cuda = "13"'],
            *("13.5", "default", ["0.12.0.1"], ["jax[cuda13]>=0.6"]),
            id="jax for CUDA 13 has another",
        ),
        pytest.param(
            ['framework = "cupy>=14"', 'cuda = "12"'],
            *("12.9", "default", ["14.2.0"], ["cupy-cuda12x[ctk]>=14"]),
            id="cupy is called by its toolkit's major",
        ),
        pytest.param(
            ['framework = "cupy"', 'cuda = "13"'],
            *("13.5", "default", ["14.2.0"], ["cupy-cuda13x[ctk]"]),
            id="cupy for CUDA 13 is another package",
        ),
        pytest.param(
            ['framework = "cupy-cuda12x"'],
            *("12.9", "default", ["14.2.0"], ["cupy-cuda12x[ctk]"]),
            id="cupy by the name of one major stays with that major",
        ),
        pytest.param(
            ['framework = "cupy"', 'cuda = "11"', 'python = "3.11"'],
            *("11.8", "default", ["13.6.0"], ["cupy-cuda11x"]),
            id="cupy for CUDA 11 has no extra",
        ),
        pytest.param(
            ['framework = "torch"', 'cuda = "cpu"'],
            *("cpu", "pytorch-cpu", ["2.15.0"], ["torch"]),
            id="a CPU build of torch is on an index of its own",
        ),
        pytest.param(
            ['framework = ["tensorflow", "jax"]', 'cuda = "cpu"'],
            *("cpu", "default", ["2.21.0", "0.12.0.1"], ["tensorflow", "jax"]),
            id="CPU builds of the others are on the default index, without extras",
        ),
        pytest.param(
            ['framework = "torch==2.8.*"', 'cuda = "12.6"'],
            *("12.6", "pytorch-cu126", ["2.8.0"], ["torch==2.8.*"]),
            id="a toolkit that only the framework's own index has",
        ),
        pytest.param(
            ['framework = "torch"', 'cuda = "12.8"'],
            *("12.8", "default", ["2.10.0"], ["torch"]),
            id="the default index comes before a newer release on the own one",
        ),
        pytest.param(
            ['framework = "torch"', V100, DRIVER],
            *("12.8", "default", ["2.10.0"], ["torch"]),
            id="an old GPU takes an older toolkit",
        ),
        pytest.param(
            ['framework = "torch"', A100, 'driver = ">=535"'],
            *("12.8", "default", ["2.10.0"], ["torch"]),
            id="an old driver takes an older toolkit",
        ),
        pytest.param(
            ['framework = "torch"', 'python = "3.10"'],
            *("13.0", "default", ["2.14.1"], ["torch"]),
            id="a Python that the newest left takes the release before",
        ),
        pytest.param(
            ['framework = "torch"', 'python = "3.13t"'],
            *("13.0", "default", ["2.12.0"], ["torch"]),
            id="a free-threaded Python that the newest left likewise",
        ),
        pytest.param(
            ['framework = "torch"', '[targets.old]\nglibc = "2.17"'],
            *("12.4", "default", ["2.6.0"], ["torch"]),
            id="an old glibc takes the last release that starts there",
        ),
        pytest.param(
            ['framework = "torch"', ARM64, 'gpus = ["GH200"]'],
            *("13.2", "default", ["2.15.0"], ["torch"]),
            id="arm64 has CUDA builds on the default index now",
        ),
        pytest.param(
            ['framework = "torch<2.11"', 'cuda = "cpu"', ARM64],
            *("cpu", "default", ["2.10.0"], ["torch<2.11"]),
            id="where the default index has the CPU build it is taken from there",
        ),
        pytest.param(
            ['packages = ["torch==2.9.*"]'],
            *("12.8", "default", ["2.9.1"], ["torch==2.9.*"]),
            id="a framework among the packages decides as well",
        ),
        pytest.param(
            ['packages = ["rich"]'], "none", "default", [], ["rich"], id="nothing names CUDA"
        ),
        pytest.param(
            ['packages = ["rich"]', 'cuda = "12.8"'],
            *("12.8", "default", [], ["rich"]),
            id="CUDA without a framework",
        ),
    ],
)
def test_choice(
    lines: list[str], toolkit: str, channel: str, expected: list[str], wanted: list[str]
) -> None:
    found = planned(*lines)
    assert (found.toolkit_text, found.channel, found.verdict) == (toolkit, channel, "ok")
    assert releases(found) == expected
    assert [Requirement(each) for each in texts(found)] == [Requirement(each) for each in wanted]


def test_the_family_comes_from_the_framework_s_own_index() -> None:
    packages = 'packages = ["torchvision==0.23.*", "rich"]'
    wish = Wish(exclude_newer=DAY, direct=("torchvision", "torchaudio"))
    found = planned('framework = "torch==2.8.*"', 'cuda = "12.6"', packages, wish=wish)
    assert [(each.text, each.index) for each in found.requirements] == [
        ("torch==2.8.*", "pytorch-cu126"),
        ("torchvision==0.23.*", "pytorch-cu126"),
        ("rich", None),
        ("torchaudio", "pytorch-cu126"),
    ]
    (own,) = found.indexes
    # it gives no upload times, so a date would hide all that it has
    assert (own.alias, own.url.rpartition("/")[2], own.dated) == ("pytorch-cu126", "cu126", False)
    assert bounds(found)["torch"] == "<=2.8.0,>=2.8.0"


def test_an_index_of_the_user_serves_what_it_is_named_for() -> None:
    index = '[indexes.corp]\nurl = "https://corp.example/simple"\npackages = ["Corp_*"]'
    found = planned('packages = ["corp-model", "rich"]', index, "exclude-newer = false")
    assert [(each.text, each.index) for each in found.requirements] == [
        ("corp-model", "corp"),
        ("rich", None),
    ]
    assert [(each.alias, each.dated) for each in found.indexes] == [("corp", False)]


def test_a_target_decides_for_itself() -> None:
    lines = (
        'framework = "torch>=2.9"',
        f'{H100}\ndriver = ">=595.45.04"',
        '[targets.v100]\ngpus = ["V100"]\ndriver = ">=570,<581"\npython = "3.11"',
        'framework = "torch==2.8.*"\ncuda = "12.8"\nbase = "ubuntu:22.04"',
    )
    first, second = planned(*lines), planned(*lines, target=1)
    assert (first.toolkit_text, releases(first), first.base) == (
        *("13.2", ["2.15.0"]),
        "python:3.12-slim-bookworm",
    )
    assert (second.toolkit_text, releases(second), second.base) == (
        "12.8",
        ["2.8.0"],
        "ubuntu:22.04",
    )
    assert str(second.glibc) == "2.35"
    keys = {each.key for each in second.constraints}
    assert keys == {"targets.v100.cuda", "targets.v100.gpus", "targets.v100.framework[0]"}


def test_dev_requirements_are_marked() -> None:
    lines = ('packages = ["rich"]', '[dev]\npackages = ["ruff"]', '[image]\nvariants = ["dev"]')
    assert [(each.text, each.dev) for each in planned(*lines).requirements] == [
        ("rich", False),
        ("ruff", True),
    ]


def test_nothing_newer_than_the_date_is_seen() -> None:
    found = planned('framework = "torch"', wish=Wish(exclude_newer="2025-10-01T00:00:00Z"))
    assert (found.toolkit_text, releases(found)) == ("12.8", ["2.8.0"])
    that_day = planned('framework = "torch"', wish=Wish(exclude_newer="2025-08-06T00:00:00Z"))
    assert releases(that_day) == ["2.7.1"]  # 2.8.0 came in the course of it


def test_a_toolkit_that_a_solve_refused_is_left_out() -> None:
    wish = replace(WISH, skip=frozenset({Cuda(13, 2)}))
    found = planned('framework = "torch"', wish=wish)
    assert (found.toolkit_text, releases(found)) == ("13.0", ["2.14.1"])


def test_a_framework_that_a_solve_brought_in_is_asked_for() -> None:
    implied = (Asked(key="packages", layer="implied", requirement=Requirement("torch==2.9.0")),)
    found = planned('packages = ["vllm==0.12.0"]', wish=replace(WISH, implied=implied))
    assert (found.toolkit_text, texts(found)) == ("12.8", ["vllm==0.12.0", "torch==2.9.0"])


def test_a_free_threaded_python_has_no_official_image() -> None:
    found = planned('framework = "torch"', 'python = "3.14t"')
    assert (found.base, found.brings_python) == ("debian:bookworm-slim", False)
    assert (str(found.glibc), releases(found)) == ("2.36", ["2.15.0"])
    topics = {each.topic: each.choice for each in found.decisions}
    assert topics["interpreter"] == "python-build-standalone 3.14t"


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        pytest.param(
            ['framework = "torch==9.9.9"'], "torch==9.9.9", id="a release that nobody has seen"
        ),
        pytest.param(
            ['framework = "cupy-cuda11x"', A100],
            "has code",
            id="a wheel of which nobody says what GPU code it has",
        ),
        pytest.param(
            ['framework = "cupy==13.*"', 'cuda = "13"'],
            "brings the CUDA libraries",
            id="a release from before its extra, whose wheel holds the GPU code itself",
        ),
    ],
)
def test_what_no_source_says_is_unknown(lines: list[str], what: str) -> None:
    found = planned(*lines)
    (said,) = [each for each in found.warnings if each.code == "fact-unknown"]
    assert found.verdict == "unknown"
    assert what in said.what
    assert said.where == ("framework[0]",)


def test_every_decision_has_a_why_and_a_source() -> None:
    found = planned('framework = ["torch", "jax"]', f'cuda = "12.8"\n{H100}\ndriver = ">=570.26"')
    topics = [each.topic for each in found.decisions]
    frameworks = ["torch", "H100 with torch", "jax", "H100 with jax"]
    assert topics == ["python", "platform", "toolkit", *frameworks, "driver", "base", "glibc"]
    assert all(each.choice and each.why and each.source for each in found.decisions)
    assert "fact-unknown" not in warned(found)


def test_planning_is_a_function_of_its_arguments() -> None:
    lines = ('framework = ["torch", "jax", "tensorflow"]', 'cuda = "12"', A100, 'driver = ">=535"')
    shipped = load()
    turned = {
        name: {text: rows[text] for text in reversed(list(rows))}
        for name, rows in reversed(list(shipped.raw.items()))
    }
    other = replace(shipped, raw=turned, _made={})
    one, again, two = planned(*lines), planned(*lines), planned(*lines, catalog=other)
    for first, second in ((one, again), (one, two)):
        assert first.requirements == second.requirements
        assert first.constraints == second.constraints
        assert first.decisions == second.decisions
        assert first.warnings == second.warnings
        assert releases(first) == releases(second)


def test_a_refusal_is_an_error_too() -> None:
    with pytest.raises(MlenvError) as caught:
        planned('framework = "torch==2.8.0"', 'cuda = "12.4"')
    assert caught.value.exit_status == 3


def test_code_counts_where_every_release_that_may_come_has_the_same() -> None:
    target = '[targets.a]\ngpus = ["L4"]\ndriver = ">=550"'
    assert planned('framework = "jax==0.4.35"', 'cuda = "12"', target).verdict == "ok"
