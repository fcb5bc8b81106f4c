"""A planned matrix as one JSON document, of which platforms get their own forms, and as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.matrix.cell import Cell

MATRIX_SCHEMA = "mlenv.matrix/1"


def document(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return ``matrix.json``: the same for the same specs, facts and date."""
    return {
        "schema": MATRIX_SCHEMA,
        "count": len(cells),
        "run": sum(each.runs for each in cells),
        "stacks": stacks(cells),
        "verdicts": dict(sorted(Counter(each.planned for each in cells).items())),
        "cells": [_cell(each) for each in cells],
    }


def stacks(cells: Sequence[Cell]) -> int:
    """Return how many solves these cells take."""
    return len({each.stack for each in cells if each.runs})


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.id,
        "spec": cell.spec,
        "origin": cell.origin,
        "target": cell.target,
        "axes": dict(cell.axes),
        "allow-failure": cell.allow_failure,
        "verdict": cell.planned,
        "reasons": [asdict(each) for each in cell.reasons],
        "toolkit": cell.toolkit,
        "stack": cell.stack,
        "needs": asdict(cell.needs),
    }


def summary(cells: Sequence[Cell]) -> str:
    """Return the line under a table."""
    found = Counter(each.planned for each in cells)
    words = ", ".join(f"{found[each]} {each}" for each in ("ok", "unknown", "impossible"))
    return f"{len(cells)} cells: {words}; {stacks(cells)} stacks to solve"


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield the lines of a table: verdict, id, toolkit, and the first reason why not."""
    if not cells:
        return
    wide = max(len(each.id) for each in cells)
    yield f"{'verdict':<12}{'cell':<{wide}}  {'CUDA':<6}why"
    for each in cells:
        notes = ["may fail"] if each.allow_failure else []
        notes += [f"{reason.code}: {reason.what}" for reason in each.reasons[:1]]
        line = f"{each.planned:<12}{each.id:<{wide}}  {each.toolkit or '':<6}{'; '.join(notes)}"
        yield line.rstrip()
