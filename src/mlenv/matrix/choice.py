"""Which cells of a matrix are taken: by filters, as a pairwise subset, or as one shard of several.

Filters of one axis are alternatives, filters of several all count. A shard takes whole stacks, so
that what is solved once stays together.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING

from mlenv.errors import UsageError
from mlenv.matrix.planning import order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlenv.matrix.cell import Cell


def filtered(cells: Sequence[Cell], filters: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells that match; a filter is ``AXIS=PATTERN``, or a pattern over ids.

    Raises:
        UsageError: ``matrix-order``: no cell has such an axis.
    """
    wanted: dict[str, list[str]] = {}
    known = sorted({word for each in cells for word in _words(each)})
    for text in filters:
        axis, equals, pattern = text.partition("=")
        if not equals or not axis.replace("-", "").isalpha():
            axis, pattern = "cell", text
        if axis not in known and cells:
            raise UsageError(
                order(
                    f"`--filter {text}` names no axis of these cells",
                    f"they have {', '.join(known)}",
                    "write AXIS=PATTERN, or a pattern over the ids of cells",
                )
            )
        wanted.setdefault(axis, []).append(pattern)
    return tuple(each for each in cells if _holds(_words(each), wanted))


def _words(cell: Cell) -> Mapping[str, str]:
    return {
        "cell": cell.id,
        "spec": cell.spec,
        "target": cell.target or "",
        "verdict": cell.planned,
        **cell.axes,
    }


def _holds(words: Mapping[str, str], wanted: Mapping[str, Sequence[str]]) -> bool:
    return all(
        any(fnmatchcase(words.get(axis, ""), each) for each in patterns)
        for axis, patterns in wanted.items()
    )


def shard(cells: Sequence[Cell], text: str) -> tuple[Cell, ...]:
    """Return shard ``i/n``, ``1/4`` being the first of four.

    Raises:
        UsageError: ``matrix-order``: it is no such pair.
    """
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UsageError(
            order(
                f"`--shard {text}` is no shard",
                "it is to be I/N, with I from 1 to N",
                "write it like `--shard 1/4`",
            )
        )
    numbers: dict[str, int] = {}
    for each in cells:
        numbers.setdefault(each.stack, len(numbers))
    return tuple(each for each in cells if numbers[each.stack] % int(last) == int(first) - 1)


def pairwise(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return fewer cells in which each two values that can meet do meet, for each spec.

    Cells that cannot be are left out: nothing of them is ever run. A cell whose axes are not
    those of the others (it was included) stays.
    """
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for each in cells:
        if each.runs:
            groups.setdefault((each.spec, *each.axes), []).append(each)
    kept = {each.id for group in groups.values() for each in _covering(group)}
    return tuple(each for each in cells if each.id in kept)


def _covering(group: Sequence[Cell]) -> Iterable[Cell]:
    from covertable import make  # noqa: PLC0415 (only where it is asked for)

    rows = {(each.target or "", *each.axes.values()): each for each in group}
    values = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    if len(values) < 2:
        return group
    columns = range(len(values))
    # One for each set of columns, so that a value is refused as soon as no cell goes on from there.
    together = [_together(rows, each) for n in columns for each in combinations(columns, n + 1)]
    return [rows[tuple(row)] for row in make(values, constraints=together)]


def _together(rows: Iterable[tuple[str, ...]], columns: tuple[int, ...]) -> Mapping[str, object]:
    """Return the constraint that some cell has these values of ``columns`` together."""
    known = {tuple(row[each] for each in columns) for row in rows}
    return {
        "operator": "fn",
        "requires": list(columns),
        "evaluate": lambda row: tuple(row[each] for each in columns) in known,
    }
