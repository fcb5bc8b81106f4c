"""Lines of a spec to plans and refusals, by the catalog that mlenv is shipped with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mlenv.catalog.load import Catalog, load
from mlenv.plan.decide import Wish, judged, plan
from mlenv.spec.parse import parse_spec
from mlenv.spec.stack import Stack, stacks

if TYPE_CHECKING:
    from mlenv.errors import Reason
    from mlenv.plan.model import Plan

DAY = "2026-11-22T00:00:00Z"
WISH = Wish(exclude_newer=DAY)
A100 = '[targets.a]\ngpus = ["A100"]'
V100 = '[targets.a]\ngpus = ["V100"]'
H100 = '[targets.a]\ngpus = ["H100"]'
B200 = '[targets.a]\ngpus = ["B200"]'
ARM64 = '[targets.a]\nplatform = "linux/arm64"'


def spec_of(*lines: str) -> str:
    """Return the text of a spec for Python 3.12, unless the lines name another."""
    own = () if any(each.startswith("python") for each in lines) else ('python = "3.12"',)
    return "\n".join(('name = "train"', *own, *lines))


def stack_of(*lines: str, target: int = 0) -> Stack:
    """Return the stack of a spec for Python 3.12, unless the lines name another."""
    return stacks(parse_spec(spec_of(*lines), origin="spec.toml").spec)[target]


def planned(
    *lines: str, target: int = 0, wish: Wish = WISH, catalog: Catalog | None = None
) -> Plan:
    """Return the plan of a spec."""
    return plan(stack_of(*lines, target=target), catalog or load(), wish)


def refused(*lines: str) -> tuple[Reason, ...]:
    """Return the reasons against a spec; none where it can be."""
    answer = judged(stack_of(*lines), load(), WISH)
    return answer if isinstance(answer, tuple) else ()


def texts(found: Plan) -> list[str]:
    """Return what the solver is asked for."""
    return [each.text for each in found.requirements]


def releases(found: Plan) -> list[str | None]:
    """Return the releases that the facts lead to expect."""
    return [each.candidate.version if each.candidate else None for each in found.frameworks]


def bounds(found: Plan) -> dict[str, str]:
    """Return package -> specifier of all bounds."""
    parsed = [Requirement(each.text) for each in found.constraints]
    return {each.name: str(each.specifier) for each in parsed}


def warned(found: Plan) -> list[str]:
    """Return the codes of what is said aloud."""
    return [each.code for each in found.warnings]
