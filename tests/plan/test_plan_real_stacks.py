"""Stacks that run are not refused: a false refusal counts as much as a false green."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING

from mlenv.catalog.load import load
from mlenv.plan.decide import judged
from planning import WISH, stack_of
from real_stacks import FILE, rows

if TYPE_CHECKING:
    import pytest

    from real_stacks import Real

REFUSED_AT_MOST = 1 / 200
UNKNOWN_AT_MOST = 0.05


def said(real: Real) -> tuple[str, str]:
    """Return the verdict of a stack, and why it is not ``ok``."""
    answer = judged(stack_of(*real.lines), load(), WISH)
    if isinstance(answer, tuple):
        return "impossible", "; ".join(f"{each.code}: {each.what}" for each in answer)
    unknown = [each.what for each in answer.warnings if each.code == "fact-unknown"]
    return answer.verdict, "; ".join(unknown)


def test_every_row_names_a_source_that_is_used() -> None:
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    used = Counter(row["source"] for row in document["stack"])
    assert used.keys() == document["sources"].keys()
    assert len(document["stack"]) >= 200


def test_real_stacks_are_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = [(real, *said(real)) for real in rows()]
    refused = [f"  {r.name}\n    {why}\n    {r.source}" for r, v, why in verdicts if v[0] == "i"]
    unknown = [f"  {r.name}\n    {why}\n    {r.source}" for r, v, why in verdicts if v[0] == "u"]
    with capsys.disabled():
        counts = f"{len(refused)} refused, {len(unknown)} unknown of {len(verdicts)}"
        print("", f"real stacks: {counts}", *refused, sep="\n")  # noqa: T201 (the list is the result)
    assert len(refused) <= len(verdicts) * REFUSED_AT_MOST, "\n".join(refused)
    assert len(unknown) <= len(verdicts) * UNKNOWN_AT_MOST, "\n".join(unknown)
