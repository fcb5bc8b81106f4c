"""Two specs in words: which lines differ, and what that means for verdicts and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.build.verdict import Outcome
    from mlenv.spec.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What differs for one target."""

    target: str | None
    verdict: tuple[str, str]
    """Before and after; ``none`` where there is no such target."""
    reasons: tuple[str, ...]
    """Why it cannot be, after; where it could be before, or for other reasons."""
    decisions: tuple[str, ...]
    """What was decided otherwise, the toolkit first."""
    lines: tuple[str, ...]
    """What was asked otherwise."""

    def __bool__(self) -> bool:
        """Tell whether anything differs."""
        moved = self.verdict[0] != self.verdict[1]
        return moved or bool(self.reasons or self.decisions or self.lines)


def contrasts(before: Sequence[Outcome], after: Sequence[Outcome]) -> tuple[Contrast, ...]:
    """Return what differs, target by target; a lone one is compared whatever its name."""
    if len(before) == len(after) == 1:
        return (_contrast(before[0], after[0]),)
    old = {each.stack.target: each for each in before}
    new = {each.stack.target: each for each in after}
    return tuple(_contrast(old.get(name), new.get(name)) for name in old | new)


def _contrast(before: Outcome | None, after: Outcome | None) -> Contrast:
    known = after or before
    return Contrast(
        target=known.stack.target if known else None,
        verdict=(_verdict(before), _verdict(after)),
        reasons=tuple(_reasons(before, after)),
        decisions=tuple(_decisions(before, after)),
        lines=tuple(_lines(before.stack if before else None, after.stack if after else None)),
    )


def _verdict(outcome: Outcome | None) -> str:
    return (outcome.verdict or "not known") if outcome else "none"


def _reasons(before: Outcome | None, after: Outcome | None) -> Iterator[str]:
    known = {each.what for each in before.reasons} if before else set()
    for each in after.reasons if after else ():
        if each.what not in known:
            yield f"{each.code}: {each.what}"


def _decisions(before: Outcome | None, after: Outcome | None) -> Iterator[str]:
    if before is None or after is None or before.plan is None or after.plan is None:
        return
    facts = [
        ("toolkit", before.plan.toolkit_text, after.plan.toolkit_text),
        ("index", before.plan.channel, after.plan.channel),
        ("base", before.plan.base, after.plan.base),
    ]
    old = {each.topic: each.choice for each in before.plan.decisions}
    new = {each.topic: each.choice for each in after.plan.decisions}
    told = {topic for topic, _, _ in facts}
    facts += [
        (topic, old.get(topic, "none"), new.get(topic, "none"))
        for topic in old | new
        if topic not in told
    ]
    yield from (f"{topic}: {a} -> {b}" for topic, a, b in facts if a != b)


def _lines(before: Stack | None, after: Stack | None) -> Iterator[str]:
    if before is None or after is None:
        return
    for word in ("python", "cuda", "cudnn", "nccl", "platform", "gpus", "driver", "glibc"):
        old, new = _text(getattr(before, word)), _text(getattr(after, word))
        if old != new:
            yield f"{word} {old} -> {new}"
    was, now = _asked(before), _asked(after)
    for name in sorted(was.keys() | now.keys()):
        if name not in was:
            yield f"{now[name]} is new"
        elif name not in now:
            yield f"{was[name]} is gone"
        elif was[name] != now[name]:
            yield f"{was[name]} -> {now[name]}"


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _asked(stack: Stack) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for each in (*stack.frameworks, *stack.packages):
        name = str(canonicalize_name(each.requirement.name))
        found.setdefault(name, []).append(str(each.requirement))
    return {name: ", ".join(texts) for name, texts in found.items()}
