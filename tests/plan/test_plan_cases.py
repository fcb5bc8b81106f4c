"""The cases of the research, against what the facts alone can say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlenv.catalog.load import load
from mlenv.plan.decide import judged
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import stacks
from planning import WISH

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"

NOT_BY_FACTS_ALONE = {
    "u15": "the glibc of what a package requires: told by a solve",
    "u25": "the library names inside an extension module: told by a solve",
}
"""Case -> why a plan cannot give its verdict."""


def said(path: Path) -> tuple[str, list[str]]:
    spec = parse_spec(path.read_text(encoding="utf-8"), origin=path.name).spec
    (stack,) = stacks(spec)
    answer = judged(stack, load(), WISH)
    if isinstance(answer, tuple):
        return "impossible", [each.code for each in answer]
    return answer.verdict, []


def names() -> list[str]:
    return sorted(path.stem for path in CASES.glob("*.toml"))


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of the research are not beside the tree")
class TestCases:
    """All of it is skipped where only the repository was cloned."""

    def test_there_are_cases(self) -> None:
        assert len(names()) == 20
        assert set(names()) >= NOT_BY_FACTS_ALONE.keys()

    @pytest.mark.parametrize("name", [each for each in names() if each not in NOT_BY_FACTS_ALONE])
    def test_verdict(self, name: str) -> None:
        expected = json.loads((CASES / "expected.json").read_text(encoding="utf-8"))[name]
        verdict, codes = said(CASES / f"{name}.toml")
        assert verdict == expected["verdict"], expected["why"]
        assert codes == ([expected["code"]] if "code" in expected else []), expected["why"]

    @pytest.mark.parametrize("name", NOT_BY_FACTS_ALONE)
    def test_no_other_reason_is_invented(self, name: str) -> None:
        expected = json.loads((CASES / "expected.json").read_text(encoding="utf-8"))[name]
        _, codes = said(CASES / f"{name}.toml")
        assert set(codes) <= {expected.get("code")}
