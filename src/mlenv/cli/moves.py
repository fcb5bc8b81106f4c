"""What moved from one lock to another, in words, as JSON and as Markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlenv.cli import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.changes import Changes

_FEW = 20
"""Packages that an update names; `mlenv diff` names all."""


def lines(found: Changes, *, few: bool = False) -> Iterator[str]:
    """Yield what moved, CUDA libraries first; ``few``: of many packages only the first."""
    yield from found.facts
    shown = found.moves[:_FEW] if few else found.moves
    for each in shown:
        size = f", {words.megabytes(each.bytes)}" if each.bytes else ""
        yield f"{each.text} ({each.layer}{size})"
    if len(shown) < len(found.moves):
        yield f"and {len(found.moves) - len(shown)} more packages"
    total = sum(found.repush.values())
    if total:
        layers = ", ".join(f"{name} {words.megabytes(n)}" for name, n in found.repush.items())
        yield f"to push again: {words.megabytes(total)} of wheels ({layers})"


def document(found: Changes) -> dict[str, Any]:
    """Return what moved as JSON has it."""
    return {
        "same": not found,
        "facts": list(found.facts),
        "moves": [asdict(each) for each in found.moves],
        "repush": dict(found.repush),
    }


def markdown(found: Changes) -> Iterator[str]:
    """Yield what moved as Markdown, for a pull request."""
    yield from (f"- {each}" for each in found.facts)
    if found.moves:
        yield ""
        yield "| package | before | after | layer | new bytes |"
        yield "|---|---|---|---|---:|"
    for each in found.moves:
        size = words.megabytes(each.bytes) if each.bytes else ""
        row = (each.name, each.before or "", each.after or "", each.layer, size)
        yield f"| {' | '.join(row)} |"
    if found.repush:
        yield ""
        yield "| layer | to push again |"
        yield "|---|---:|"
        for name, count in found.repush.items():
            yield f"| {name} | {words.megabytes(count)} |"
