"""The decisions of a plan as a tree: what hangs on what, each ending in its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mlenv.plan.model import Decision, Plan

_UNDER = {"driver": "toolkit", "cudnn": "toolkit", "glibc": "base"}
"""Topic -> the topic it follows from; a framework and a GPU are told by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A decision, and the decisions that follow from it."""

    decision: Decision
    below: tuple[Branch, ...]


def tree(plan: Plan) -> tuple[Branch, ...]:
    """Return the decisions of a plan: Python and platform, toolkit, frameworks, base image."""
    topics = {each.topic for each in plan.decisions}
    parents = {each.topic: _parent(each.topic, topics) for each in plan.decisions}
    return tuple(_branches(plan.decisions, parents, None))


def _parent(topic: str, topics: Collection[str]) -> str | None:
    framework = topic.rpartition(" with ")[2]
    if framework != topic and framework in topics:
        return framework
    parent = _UNDER.get(topic)
    return parent if parent in topics else None


def _branches(
    decisions: Sequence[Decision], parents: dict[str, str | None], parent: str | None
) -> Iterator[Branch]:
    for each in decisions:
        if parents[each.topic] == parent:
            below = tuple(_branches(decisions, parents, each.topic))
            yield Branch(decision=each, below=below)


def drawn(branches: Sequence[Branch], margin: str = "") -> Iterator[str]:
    """Yield the lines of a tree as a person reads them."""
    for index, branch in enumerate(branches):
        last = index == len(branches) - 1
        stem, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        decision = branch.decision
        yield f"{margin}{stem}{decision.topic}: {decision.choice}"
        inner = f"{margin}{rest}" + ("│  " if branch.below else "   ")
        yield f"{inner}because {decision.why}"
        yield from (f"{inner}not     {other}" for other in decision.alternatives)
        yield f"{inner}source  {decision.source}"
        yield from drawn(branch.below, f"{margin}{rest}")
