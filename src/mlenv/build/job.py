"""The main job: each target of a spec to a verdict, and the good ones to their folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mlenv.build import moving
from mlenv.build.folder import UNTRACKED, folder
from mlenv.build.starting import begin
from mlenv.build.verdict import Order, Outcome, chosen, failed, former_lock
from mlenv.errors import HostError, MlenvError, Reason, UsageError
from mlenv.files import LOCK_NAME, difference
from mlenv.host import disk, tools
from mlenv.image.pins import unasked
from mlenv.solve.loop import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mlenv.build.folder import Folder
    from mlenv.catalog.load import Catalog
    from mlenv.image.pins import Pinning
    from mlenv.lock import Lock
    from mlenv.plan.decide import Wish
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk
    from mlenv.spec.parse import SpecFile
    from mlenv.spec.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What every target of one spec is built with."""

    spec: SpecFile
    catalog: Catalog
    desk: Desk
    order: Order
    pinning: Pinning


def build(
    spec: SpecFile, catalog: Catalog, desk: Desk, order: Order, pinning: Pinning = unasked
) -> tuple[Outcome, ...]:
    """Solve every target that is asked for, and write the folders of the good ones."""
    job = _Job(spec=spec, catalog=catalog, desk=desk, order=order, pinning=pinning)
    return tuple(_one(job, stack) for stack in chosen(spec, order.target))


def _one(job: _Job, stack: Stack) -> Outcome:
    spec, catalog, order = job.spec, job.catalog, job.order
    place = order.out / stack.folder
    former = former_lock(place)
    date = _date(spec, former, order)
    wish = moving.wish(spec, stack, former, order, catalog, date)
    recipe = order.recipe or _has_recipe(former)
    kept = former if _has_recipe(former) and not (order.upgrade or order.repin) else None
    try:
        version = tools.uv_version()
        asks = job.pinning if recipe else unasked
        settle = begin(stack, catalog, kept, asks, uv_version=version)
        planned, warnings, finish = _solved(job, stack, wish)
        pins = settle(planned) if recipe else None
        made = finish(catalog, spec_sha256=spec.sha256, uv_version=version, pins=pins)
        changed = _write(made, place, former, order, date)
    except MlenvError as error:
        return failed(spec, stack, error, catalog, wish)
    outcome = Outcome(
        stack=stack,
        verdict=made.lock.verdict,
        warnings=tuple(spec.places(each) for each in (*warnings, *(pins.warnings if pins else ()))),
        plan=planned,
        lock=made.lock,
        folder=place,
        solved=True,
        changed=bool(changed),
    )
    return (
        replace(outcome, reasons=(_drift(place, changed),)) if order.check and changed else outcome
    )


def _solved(
    job: _Job, stack: Stack, wish: Wish
) -> tuple[Plan, tuple[Reason, ...], Callable[..., Folder]]:
    """Return what a backend answers: the plan, what is said aloud, and who makes the folder."""
    if stack.backend == "conda":
        from mlenv.build.channel_folder import channel_folder  # noqa: PLC0415 (heavy)
        from mlenv.solve import channel  # noqa: PLC0415

        found = channel.solve(stack, job.catalog, wish, job.desk)
        return found.plan, found.warnings, partial(channel_folder, found)
    solution = solve(stack, job.catalog, wish, job.desk)
    return solution.plan, solution.warnings, partial(folder, solution)


def _date(spec: SpecFile, former: Lock | None, order: Order) -> str:
    written = spec.spec.lock.exclude_newer
    if written is not None:
        return written
    return former.exclude_newer if former and not order.upgrade else order.today


def _has_recipe(former: Lock | None) -> bool:
    return former is not None and any(each.path == "Dockerfile" for each in former.written)


def _write(
    made: Folder, place: Path, former: Lock | None, order: Order, date: str
) -> tuple[str, ...]:
    found = disk.read(place, [each.path for each in made.files])
    changed = difference(
        (each for each in made.files if each.path not in UNTRACKED or each.path in found), found
    )
    if order.check:
        return changed
    if former is None and not disk.read(place, [LOCK_NAME]):
        _not_ours(place, changed, found)
    if not (order.upgrade or order.only):
        _same_artefacts(made, former, date)
    owned = [each.path for each in former.written] if former else []
    disk.replace(place, made.files, owned=[*owned, *UNTRACKED, LOCK_NAME])
    return changed


def _not_ours(place: Path, changed: Iterable[str], found: Iterable[str]) -> None:
    """Raise where files lie in a folder that mlenv did not write and would overwrite.

    Raises:
        UsageError: ``not-ours``.
    """
    theirs = [path for path in found if any(line == f"{path} differs" for line in changed)]
    if theirs:
        raise UsageError(
            Reason(
                code="not-ours",
                what=f"{place} holds files that mlenv did not write",
                cause=f"it would overwrite {', '.join(sorted(theirs))}",
                fix="move them away, or choose another folder with --out",
            )
        )


def _same_artefacts(made: Folder, former: Lock | None, date: str) -> None:
    """Raise where the same question, asked again, has another answer.

    Raises:
        HostError: ``solve-drifted``.
    """
    if (
        former is None
        or (former.exclude_newer, former.moved) != (date, made.lock.moved)
        or former.spec_sha256 != made.lock.spec_sha256
        or former.tools != made.lock.tools
        or former.artefacts_sha256 == made.lock.artefacts_sha256
    ):
        return
    before = {(p.name, p.version, p.sha256) for p in former.package}
    after = {(p.name, p.version, p.sha256) for p in made.lock.package}
    moved = sorted({name for name, _, _ in before ^ after})
    raise HostError(
        Reason(
            code="solve-drifted",
            what=f"a solve at {date} gives other artefacts than {LOCK_NAME} holds",
            cause=f"the index serves others now: {', '.join(moved[:6])}",
            fix="keep the lock, or accept the new artefacts with --upgrade",
        )
    )


def _drift(place: Path, changed: Iterable[str]) -> Reason:
    return Reason(
        code="out-of-date",
        what=f"{place} is not what the spec gives",
        cause="; ".join(changed),
        fix="run the same command without --check",
    )
