"""Why a stack cannot be, shortest: the lines of the spec that the refusal rests on, and the facts.

A line belongs to the proof where the stack can be without it. Lines are left out one at a time
with the planner as the oracle, so what remains is refused, and no less of it would be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlenv.errors import StackError, UsageError
from mlenv.machine import ARCHITECTURES, Python
from mlenv.plan.decide import plan
from mlenv.plan.evidence import evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.plan.decide import Wish
    from mlenv.plan.evidence import Line
    from mlenv.spec.stack import Stack

    Alternatives = Callable[[Stack], Iterator[Stack]]
    """What a stack can be where a line is not there: one stack, or one for each value of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A minimal set of lines that cannot be together, and the fact that forbids it."""

    lines: tuple[Line, ...]
    therefore: Reason


def proof(stack: Stack, catalog: Catalog, wish: Wish) -> Proof | None:
    """Return the shortest proof against a stack; None where the facts do not refuse it."""
    refused = _refusal(stack, catalog, wish)
    if not refused:
        return None
    lines = _lines(stack)
    found: list[tuple[frozenset[str], Reason]] = []
    for reason in refused:
        start = frozenset(key for key in lines if _is_about(key, reason))
        against = _against(stack, lines, start, catalog, wish)
        if against is None:
            start, against = frozenset(lines), refused[0]
        found.append(_smallest(stack, lines, start, against, catalog, wish))
    kept, therefore = min(found, key=lambda each: len(each[0]))
    return Proof(
        lines=tuple(evidence(key, stack, catalog, wish) for key in lines if key in kept),
        therefore=therefore,
    )


def _smallest(  # noqa: PLR0913, PLR0917 (the oracle's arguments)
    stack: Stack,
    lines: Mapping[str, Alternatives],
    start: frozenset[str],
    reason: Reason,
    catalog: Catalog,
    wish: Wish,
) -> tuple[frozenset[str], Reason]:
    kept = start
    for key in sorted(start, key=lambda each: each.endswith(("python", "platform"))):
        fewer = kept - {key}
        against = _against(stack, lines, fewer, catalog, wish)
        if against is not None:
            kept, reason = fewer, against
    return kept, reason


def _against(
    stack: Stack,
    lines: Mapping[str, Alternatives],
    kept: frozenset[str],
    catalog: Catalog,
    wish: Wish,
) -> Reason | None:
    """Return why not even the lines of ``kept`` can be, or None where they can."""
    reason = None
    for each in _choices(stack, [change for key, change in lines.items() if key not in kept]):
        refused = _refusal(each, catalog, wish)
        if not refused:
            return None
        reason = reason or refused[0]
    return reason


def _choices(stack: Stack, changes: Sequence[Alternatives]) -> Iterator[Stack]:
    if not changes:
        yield stack
        return
    for each in changes[0](stack):
        yield from _choices(each, changes[1:])


def _refusal(stack: Stack, catalog: Catalog, wish: Wish) -> tuple[Reason, ...]:
    try:
        plan(stack, catalog, wish)
    except StackError as error:
        return error.reasons
    except UsageError:
        return ()
    return ()


def _is_about(key: str, reason: Reason) -> bool:
    return any(key == where or key.startswith(f"{where}[") for where in reason.where)


def _lines(stack: Stack) -> dict[str, Alternatives]:
    """Return key -> what the stack is without that line, for the lines that were written."""
    keys = stack.keys
    found: dict[str, Alternatives] = {keys["python"]: _any_python}
    if stack.target is not None and stack.platform != "linux/amd64":
        found[keys["platform"]] = _any_platform
    for asked in (*stack.frameworks, *stack.packages):
        found[asked.key] = _without(asked.key)
    for index, name in enumerate(stack.gpus):
        found[f"{keys['gpus']}[{index}]"] = _without_gpu(name)
    for word in ("cuda", "cudnn", "nccl", "driver", "glibc"):
        if getattr(stack, word) is not None:
            found[keys[word]] = _set(word, None)
    if stack.base != "auto":
        found[keys["base"]] = _set("base", "auto")
    if stack.cuda_compat:
        found[keys["cuda-compat"]] = _set("cuda_compat", False)
    if stack.backend != "uv":
        found[keys["backend"]] = _set("backend", "uv")
    return found


def _set(word: str, value: object) -> Alternatives:
    def change(stack: Stack) -> Iterator[Stack]:
        yield replace(stack, **{word: value})  # type: ignore[arg-type]  # a field of Stack

    return change


def _without(key: str) -> Alternatives:
    def change(stack: Stack) -> Iterator[Stack]:
        yield replace(
            stack,
            frameworks=tuple(each for each in stack.frameworks if each.key != key),
            packages=tuple(each for each in stack.packages if each.key != key),
        )

    return change


def _without_gpu(name: str) -> Alternatives:
    def change(stack: Stack) -> Iterator[Stack]:
        yield replace(stack, gpus=tuple(each for each in stack.gpus if each != name))

    return change


def _any_python(stack: Stack) -> Iterator[Stack]:
    own = stack.python.minor
    for minor in sorted(range(9, 16), key=lambda each: (abs(each - own), -each)):
        yield replace(stack, python=Python(minor))


def _any_platform(stack: Stack) -> Iterator[Stack]:
    for platform in ARCHITECTURES:
        yield replace(stack, platform=platform)
