"""What is handed to a worker, here or on a node: cells that plan to one stack, as a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mlenv.matrix.points import spec_text
from mlenv.matrix.result import Level
from mlenv.model import Model
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.matrix.cell import Cell, Needs
    from mlenv.spec.parse import SpecFile


class Member(Model):
    """A cell of a task, as a spec of its own."""

    cell: str
    spec: str
    origin: str
    target: str | None = None
    axes: dict[str, str] = Field(default_factory=dict)
    allow_failure: bool = False
    planned: Literal["ok", "impossible", "unknown"]
    sha256: str
    text: str
    lines: dict[str, int] = Field(default_factory=dict)
    """Where its keys were written in the spec that it comes from."""

    def file(self) -> SpecFile:
        """Return it as a spec, whose lines are those that its user wrote."""
        return replace(
            parse_spec(self.text, origin=self.origin), origin=self.origin, lines=self.lines
        )


class Terms(Model):
    """What all tasks of a run have in common."""

    run: str
    night: str
    today: str
    """The date to lock at, RFC 3339."""
    level: Level
    offline: bool = False
    results: str
    """The results folder, as this machine and its nodes see it."""
    image: bool = False
    """Whether the image is made, and verified in a container of it."""
    engine: str | None = None
    keep: bool = False
    """Whether environments and images are kept."""


class Task(Model):
    """Cells that plan to one stack: the first is run, and the others share what comes of it."""

    stack: str
    count: int = 0
    """How many GPUs it needs."""
    members: tuple[Member, ...]


def tasks(cells: Iterable[Cell]) -> tuple[Task, ...]:
    """Return one task for each stack that can be, in the order of the cells."""
    found: dict[str, list[Member]] = {}
    needs: dict[str, Needs] = {}
    for each in cells:
        if each.runs:
            found.setdefault(each.stack, []).append(_member(each))
            needs.setdefault(each.stack, each.needs)
    return tuple(
        Task(stack=stack, count=needs[stack].count, members=tuple(members))
        for stack, members in found.items()
    )


def _member(cell: Cell) -> Member:
    return Member(
        cell=cell.id,
        spec=cell.spec,
        origin=cell.origin,
        target=cell.target,
        axes=dict(cell.axes),
        allow_failure=cell.allow_failure,
        planned=cell.planned,
        sha256=cell.file.sha256,
        text=spec_text(cell.file.spec),
        lines=dict(cell.file.lines),
    )
