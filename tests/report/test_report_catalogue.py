"""The catalogue of failures, over texts that were recorded: each names its cause, first."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mlenv.report.causes import failure_in, failures
from mlenv.smoke import cuda_driver, nvml_facts

RECORDED = tomllib.loads((Path(__file__).parent / "recorded.toml").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = RECORDED["said"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}: {case['text'][:50]}")
def test_a_recorded_text_names_its_cause(case: dict[str, Any]) -> None:
    found = failure_in(case.get("probe", "torch:eager"), case["text"])
    assert found is not None
    assert found[0].id == case["id"]
    assert found[1] in case["text"]


def test_every_row_with_patterns_has_a_recorded_text() -> None:
    told = {case["id"] for case in CASES}
    assert {each.id for each in failures().values() if each.patterns} == told


def test_every_known_failure_of_the_list_has_a_row() -> None:
    assert len(failures()) >= 31
    for each in failures().values():
        assert each.cause
        assert each.fix
        assert "\n" not in each.cause + each.fix
        assert each.seen in {"run", "fake", "cited"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("ZeroDivisionError: division by zero", id="a mistake of a program"),
        pytest.param("the driver is fine and memory is plenty", id="harmless words"),
    ],
)
def test_what_is_unknown_stays_unknown(text: str) -> None:
    assert failure_in("torch:eager", text) is None


def test_a_row_about_one_probe_is_about_no_other() -> None:
    text = "Unsupported .version 9.5; current version is '9.0'"
    assert [failure_in(probe, text)[0].id for probe in ("compile:nvcc", "kernel:ptx")] == [  # type: ignore[index]
        "mixed-compilers",
        "ptx-too-new",
    ]


OPEN = {
    "blind-oracle",  # the probe itself is wrong
    "driver-call-failed",
    "invalid-image",
    "invalid-ptx",
}
"""Codes of which nobody knows a cause: they are told as unknown, with all their words."""
ROOM = Path(cuda_driver.__file__).parent


def codes() -> dict[str, str]:
    """Return every code that a probe fails with, and the beginning of the probes that it may be."""
    found = {}
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Fail" and node.args:
                words = [
                    each.value
                    for each in ast.walk(node.args[0])
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
                found.update(dict.fromkeys(words, "desk:" if "desk" in path.name else "torch:"))
    skips = {"no-device", "no-driver"}
    reasons = {*cuda_driver.REASONS.values(), *nvml_facts.REASONS.values(), "nvml-failed"} - skips
    return found | dict.fromkeys(reasons, "driver")


def test_every_code_of_a_probe_has_a_cause_or_is_said_to_have_none() -> None:
    found = codes()
    assert len(found) > 30
    known = {code for code, probe in found.items() if failure_in(probe, f"{code}\nits words")}
    assert {code for code in found if code not in known} == OPEN & found.keys()
