"""The catalogue of failures, over texts that were recorded: each names its cause, first."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mlenv.report.causes import failure_in, failures

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
