"""The nearest stacks: what is proposed first, written into the spec, can be."""

from __future__ import annotations

import json
import re
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from packaging.requirements import InvalidRequirement, Requirement

from mlenv.catalog.load import load
from mlenv.errors import CODES
from mlenv.plan.decide import judged
from mlenv.plan.nearest import nearest
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import Stack, stacks
from planning import WISH

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
OF_TARGETS = ("driver", "gpus", "glibc", "platform")
OF_IMAGE = ("base", "cuda-compat")


def only(text: str) -> Stack:
    (stack,) = stacks(parse_spec(text, origin="spec.toml").spec)
    return stack


def applied(text: str, proposal: str) -> str:
    """Return a spec with what a proposal says written into it."""
    document = tomllib.loads(text)
    for each in proposal.split(", and "):
        swap = re.fullmatch(r'("[^"]+") instead of ("[^"]+")', each)
        if swap:
            document = swapped(document, Requirement(swap[2][1:-1]), swap[1][1:-1])
        elif left := re.fullmatch(r"leave `(.+)` out", each):
            holder(document, left[1]).pop(left[1])
        else:
            (key, value), *_ = tomllib.loads(each).items()
            holder(document, key)[key] = value
    return tomli_w.dumps(document)


def swapped(value: Any, old: Requirement, new: str) -> Any:  # noqa: ANN401 (any TOML)
    if isinstance(value, dict):
        return {key: swapped(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [new if is_of(each, old) else swapped(each, old, new) for each in value]
    return value


def is_of(text: object, requirement: Requirement) -> bool:
    try:
        return isinstance(text, str) and Requirement(text) == requirement
    except InvalidRequirement:
        return False


def holder(document: dict[str, Any], key: str) -> dict[str, Any]:
    if key in OF_TARGETS:
        (target,) = document["targets"].values()
        table: dict[str, Any] = target
        return table
    if key in OF_IMAGE:
        found: dict[str, Any] = document.setdefault("image", {})
        return found
    return document


def target(gpu: str, driver: str, **more: str) -> str:
    lines = "".join(f'{key} = "{value}"\n' for key, value in more.items())
    return f'[targets.a]\ngpus = ["{gpu}"]\ndriver = "{driver}"\n{lines}'


IMPOSSIBLE = [
    ("python-unsupported", 'python = "3.14"', 'framework = "tensorflow==2.20.0"', ""),
    ("python-unsupported", 'python = "3.9"', 'framework = "torch==2.9.1"', ""),
    ("python-unsupported", 'python = "3.13"', 'framework = "torch==2.3.1"', ""),
    ("python-unsupported", 'python = "3.13"', 'packages = ["vllm==0.10.0"]', ""),
    ("python-unsupported", 'python = "3.10"', 'packages = ["vllm==0.33.0"]', ""),
    ("python-unsupported", 'python = "3.13"', 'stack.domain = ["vllm>=0.9,<0.10"]', ""),
    ("no-wheel-for-python-abi", 'python = "3.13t"', 'framework = "torch==2.12.1"', ""),
    ("no-wheel-for-python-abi", 'python = "3.13t"', 'framework = "tensorflow"', ""),
    ("python-unsupported", 'python = "3.14t"', 'framework = "tensorflow"', ""),
    (
        "no-wheel-for-platform",
        'python = "3.9"',
        'framework = "tensorflow==2.15.0.post1"',
        '[targets.a]\nplatform = "linux/arm64"',
    ),
    ("glibc-too-old", 'framework = "torch==2.9.1"', '[targets.a]\nglibc = "2.17"', ""),
    ("glibc-too-old", 'framework = "jax==0.12.0.1"', '[targets.a]\nglibc = "2.17"', ""),
    ("yanked", 'framework = "jax==0.4.32"', "", ""),
    ("cuda-not-offered", 'framework = "torch==2.8.0"', 'cuda = "12.4"', ""),
    ("cuda-not-offered", 'framework = "torch==2.15.0"', 'cuda = "12.6"', ""),
    ("cuda-not-offered", 'framework = "torch"', 'cuda = "12.7"', ""),
    ("cuda-not-offered", 'framework = "torch==2.13.0"', 'cuda = "12.6"', 'backend = "conda"'),
    ("cuda-not-offered", 'framework = "torch==2.8.0"', 'cuda = "12.8"', 'backend = "conda"'),
    ("cuda-not-offered", 'framework = "cupy"', 'cuda = "cpu"', ""),
    (
        "cpu-only-build",
        'framework = "torch==2.9.1"',
        target("GH200", ">=580", platform="linux/arm64"),
        "",
    ),
    (
        "cpu-only-build",
        'framework = "torch==2.10.0"',
        target("GB200", "==570.124.06", platform="linux/arm64"),
        "",
    ),
    ("cudnn-mismatch", 'framework = "tensorflow==2.17.0"', 'cuda = "12.3"\ncudnn = "9"', ""),
    ("cudnn-mismatch", 'framework = "torch==2.9.1"', 'cudnn = "8"', ""),
    (
        "gpu-not-in-cudnn",
        'framework = "jax"\ncuda = "12"\ncudnn = "9.17"',
        target("V100", ">=570,<581"),
        "",
    ),
    ("frameworks-disagree", 'framework = ["torch==2.6.0", "tensorflow==2.18.0"]', "", ""),
    ("frameworks-disagree", 'framework = ["tensorflow==2.17.0", "jax==0.4.31"]', "", ""),
    (
        "gpu-not-in-wheel",
        'framework = "torch==2.6.0"\ncuda = "12.4"',
        target("RTX 5090", "==570.124.06"),
        "",
    ),
    ("gpu-not-in-wheel", 'framework = "torch==2.15.0"', target("V100", ">=570,<581"), ""),
    ("gpu-not-in-wheel", 'framework = "torch==2.9.1"\ncuda = "13"', target("V100", "==580.95"), ""),
    (
        "driver-too-old",
        'framework = "torch==2.5.1"\ncuda = "12.4"',
        target("RTX 3080", "==515.65.01"),
        "",
    ),
    ("driver-too-old", 'framework = "torch==2.12.0"\ncuda = "13.0"', target("A100", ">=545"), ""),
    ("driver-too-old", 'framework = "torch==2.12.0"\ncuda = "13.0"', target("A100", ">=535"), ""),
    (
        "driver-too-old",
        'framework = "torch==2.12.0"\ncuda = "13.0"',
        target("A100", "==545.23.08"),
        "image.cuda-compat = true",
    ),
    ("driver-too-old", 'framework = "torch==2.15.0"', target("RTX 4090", ">=535"), ""),
    (
        "no-forward-compat",
        'framework = "torch==2.12.0"\ncuda = "13.0"',
        target("RTX 4090", "==535.183.01"),
        "image.cuda-compat = true",
    ),
    (
        "no-forward-compat",
        'framework = "torch==2.9.1"\ncuda = "12.8"',
        target("TITAN RTX", ">=535"),
        "image.cuda-compat = true",
    ),
    (
        "gpu-needs-newer-driver",
        'framework = "torch==2.9.1"\ncuda = "12.8"',
        target("B200", "==550.54.15"),
        "",
    ),
    ("gpu-needs-newer-driver", 'framework = "jax"', target("RTX 5090", ">=560.28.03"), ""),
    ("driver-dropped-gpu", 'framework = "torch==2.9.1"', target("V100", ">=535"), ""),
    ("driver-dropped-gpu", 'framework = "torch==2.3.1"', target("K80", ">=470"), ""),
    (
        "base-image-gate",
        'framework = "torch==2.7.1"\ncuda = "12.6"',
        target("RTX 4090", "==535.183.01"),
        'image.base = "nvidia/cuda:12.8.1-base-ubuntu24.04"',
    ),
    (
        "base-image-gate",
        'framework = "torch==2.9.1"\ncuda = "12.8"',
        target("A100", "==545.23.08"),
        'image.base = "docker.io/nvidia/cuda:12.8.1-runtime-ubuntu22.04"',
    ),
    ("extra-missing", 'framework = "jax==0.6.0"', 'cuda = "13"', ""),
]


def written(parts: Sequence[str]) -> str:
    lines = "\n".join(parts)
    python = "" if lines.startswith("python") else 'python = "3.12"\n'
    head, bar, table = lines.partition("[targets")
    extra = [each for each in table.splitlines() if each.startswith(("image.", "backend"))]
    kept = "\n".join(each for each in table.splitlines() if each not in extra)
    return f'name = "s"\n{python}{head}\n' + "\n".join(extra) + f"\n{bar}{kept}\n"


@pytest.mark.parametrize(
    ("code", "text"), [(code, written(parts)) for code, *parts in map(tuple, IMPOSSIBLE)]
)
def test_the_first_proposal_written_into_the_spec_can_be(code: str, text: str) -> None:
    stack = only(text)
    answer = judged(stack, load(), WISH)
    assert isinstance(answer, tuple), answer.verdict
    assert [each.code for each in answer] == [code]
    began = time.perf_counter()
    found = nearest(stack, load(), WISH)
    assert time.perf_counter() - began < 5.0
    assert found
    for proposal in found:
        again = judged(only(applied(text, proposal)), load(), WISH)
        assert not isinstance(again, tuple), (proposal, again)
        assert again.verdict == "ok"


def test_every_code_of_a_plan_is_among_them() -> None:
    assert {code for code, *_ in IMPOSSIBLE} <= CODES.keys()
    assert len({code for code, *_ in IMPOSSIBLE}) == 17
    assert len(IMPOSSIBLE) >= 40


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of the research are not beside the tree")
def test_likewise_for_the_cases_of_the_research() -> None:
    expected = json.loads((CASES / "expected.json").read_text(encoding="utf-8"))
    proposed = []
    for path in sorted(CASES.glob("u*.toml")):
        text = path.read_text(encoding="utf-8")
        if not isinstance(judged(only(text), load(), WISH), tuple):
            continue
        first, *_ = nearest(only(text), load(), WISH)
        again = judged(only(applied(text, first)), load(), WISH)
        assert not isinstance(again, tuple), (path.name, first, again)
        assert again.verdict == "ok", (path.name, first)
        proposed.append(path.stem)
    assert len(proposed) >= len([e for e in expected.values() if e["verdict"] == "impossible"]) - 2


def test_nothing_is_proposed_for_what_can_be() -> None:
    assert nearest(only('name = "s"\npython = "3.12"\nframework = "torch"'), load(), WISH) == ()
