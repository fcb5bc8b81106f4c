"""Specs to cells: every point of their matrices, with its verdict from published facts at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlenv.build.verdict import Order, check
from mlenv.errors import Exit, MlenvError, Reason, UsageError
from mlenv.files import digest
from mlenv.matrix.cell import Cell, Needs, cell_id
from mlenv.matrix.points import content, of_point, points
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlenv.build.verdict import Outcome
    from mlenv.catalog.load import Catalog
    from mlenv.matrix.points import Point
    from mlenv.plan.model import Plan
    from mlenv.spec.parse import SpecFile
    from mlenv.spec.stack import Stack


def cells(files: Iterable[SpecFile], catalog: Catalog, today: str) -> tuple[Cell, ...]:
    """Return the cells of all specs; ``today`` is the date to lock at, RFC 3339, UTC.

    Raises:
        UsageError: every mistake of every spec; ``matrix-order`` where two specs have one name.
    """
    found: dict[str, Cell] = {}
    wrong: list[Reason] = []
    for file in files:
        for point in points(file.spec):
            try:
                cell = _cell(file, point, catalog, today)
            except UsageError as error:
                wrong += [each for each in error.reasons if each not in wrong]
                continue
            if cell.id in found:
                wrong.append(_twice(cell, found[cell.id]))
            found[cell.id] = cell
    if wrong:
        raise UsageError(*wrong)
    return tuple(found.values())


def _cell(file: SpecFile, point: Point, catalog: Catalog, today: str) -> Cell:
    own = of_point(file, point)
    (stack,) = stacks(own.spec)
    (outcome,) = check(own, catalog, Order(out=Path(), today=today, near=False))
    texts = point.texts
    return Cell(
        id=cell_id(file.spec.name, point.target, texts),
        spec=file.spec.name,
        origin=file.origin,
        target=point.target,
        axes=texts,
        allow_failure=point.allow_failure,
        file=own,
        planned=outcome.verdict or "unknown",
        # of an unknown cell: what is not known, and not what is said besides
        reasons=outcome.reasons
        or tuple(each for each in outcome.warnings if each.exit_status is Exit.UNPROVEN),
        stack=_stack_digest(own, stack, outcome, today),
        needs=_needs(stack, outcome, own),
        toolkit=outcome.plan.toolkit_text if outcome.plan else None,
    )


def _stack_digest(own: SpecFile, stack: Stack, outcome: Outcome, today: str) -> str:
    """Return the digest of all that decides what a cell's lock and image hold."""
    spec = own.spec
    asked: dict[str, Any] = {
        "date": spec.lock.exclude_newer or today,
        "free": stack.cuda is None,  # such a stack may end at another toolkit than is planned
        "target": [stack.platform, stack.gpus, str(stack.driver), str(stack.glibc), stack.base],
        "python": str(stack.python),
        "nccl": str(stack.nccl),
        # what is not in a plan, or is more than what is in it
        "rest": content(spec, without=_PLANNED),
    }
    if outcome.plan is None:
        return digest([asked, content(spec)])
    return digest([asked, _planned(outcome.plan)])


_PLANNED = ("matrix", "name", "python", "framework", "cuda", "cudnn", "nccl", "packages", "targets")
"""Keys of a spec that a plan holds as what they come to."""


def _planned(plan: Plan) -> list[object]:
    return [
        plan.toolkit_text,
        plan.channel,
        plan.base,
        plan.exclude_newer,
        sorted((each.text, str(each.index), each.dev) for each in plan.requirements),
        sorted({each.text for each in plan.constraints}),
        sorted((each.alias, each.url, str(each.dated)) for each in plan.indexes),
    ]


def _needs(stack: Stack, outcome: Outcome, own: SpecFile) -> Needs:
    gpus = outcome.plan.gpus if outcome.plan else ()
    lowest = stack.driver.lowest_text if stack.driver else None
    return Needs(
        platform=stack.platform,
        gpus=tuple(sorted({each.arch.sm for each in gpus})),
        count=max((1 if gpus else 0, *(each.gpus for each in own.spec.smoke))),
        driver=lowest.partition(".")[0] if lowest else None,
    )


def _twice(cell: Cell, other: Cell) -> Reason:
    return order(
        f"two cells are called {cell.id}",
        f"{cell.origin} and {other.origin} have one name: {cell.spec}",
        "give each spec a name of its own",
    )


def order(what: str, cause: str, fix: str) -> Reason:
    """Return why a matrix cannot be planned or run as it was asked."""
    return Reason(code="matrix-order", what=what, cause=cause, fix=fix)


def spec_files(paths: Iterable[Path], parse: Callable[[Path], SpecFile]) -> tuple[SpecFile, ...]:
    """Return the specs of files and folders, or every mistake of all of them.

    Raises:
        UsageError: they are wrong, or a folder holds none (``matrix-order``).
    """
    found: list[SpecFile] = []
    wrong: list[Reason] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            wrong.append(
                order(
                    f"{path} holds no spec",
                    "no file in it ends in .toml",
                    "name a spec, or a folder of specs; `mlenv init` writes one",
                )
            )
        for each in inside:
            try:
                found.append(parse(each))
            except MlenvError as error:
                wrong += error.reasons
    if wrong:
        raise UsageError(*wrong)
    return tuple(found)
