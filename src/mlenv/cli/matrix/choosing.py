"""Which cells: the specs and the options that the commands of ``mlenv matrix`` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.matrix.cell import Cell

SPECS = click.argument(
    "specs",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
    metavar="SPEC|DIR...",
)

_CHOICE = (
    click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="AXIS=PATTERN",
        help="Such cells only: `python=3.12`, `framework=torch*`, `verdict=ok`, or a pattern over "
        "ids. Several of one axis are alternatives.  [repeatable]",
    ),
    click.option(
        "--subset",
        type=click.Choice(["all", "pairwise"]),
        default="all",
        show_default=True,
        help="`pairwise`: fewer cells, in which each two values meet that can; for pull requests.",
    ),
    click.option("--shard", metavar="I/N", help="One of N parts; equal stacks stay together."),
)


def choice(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say which cells it is about."""
    for option in reversed(_CHOICE):
        function = option(function)
    return SPECS(function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The cells that a command line names."""

    specs: tuple[Path, ...]
    filters: tuple[str, ...]
    subset: str
    shard: str | None = None

    def cells(self, *, today: str | None = None) -> tuple[Cell, ...]:
        """Return them, planned at a date: RFC 3339, None for today.

        Raises:
            UsageError: every mistake of every spec, or of the options.
        """
        from mlenv.cli import opening  # noqa: PLC0415 (loaded when used)
        from mlenv.matrix import choice as room  # noqa: PLC0415
        from mlenv.matrix.planning import cells, spec_files  # noqa: PLC0415

        with opening.swift():
            files = spec_files(self.specs, opening.spec_file)
            found = cells(files, opening.catalog(), today or opening.today())
        found = room.filtered(found, self.filters)
        if self.subset == "pairwise":
            found = room.pairwise(found)
        return room.shard(found, self.shard) if self.shard else found
