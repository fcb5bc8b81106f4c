"""The main job: each target of a spec to a verdict, and the good ones to their folders."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mlenv.build.folder import UNTRACKED, folder
from mlenv.errors import Exit, HostError, MlenvError, Reason, StackError, UsageError
from mlenv.files import LOCK_NAME, difference
from mlenv.host import disk, tools
from mlenv.lock import Lock, parse_lock
from mlenv.plan.decide import Wish, plan
from mlenv.solve.loop import solve
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlenv.build.folder import Folder
    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk
    from mlenv.spec.parse import SpecFile
    from mlenv.spec.stack import Stack

Verdict = Literal["ok", "impossible", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done with a spec."""

    out: Path
    """The folder that the targets' folders lie in."""
    today: str
    """The date to lock at where neither the spec nor a former lock gives one: RFC 3339, UTC."""
    target: str | None = None
    """One target only."""
    recipe: bool = True
    """Write the image's recipe too."""
    upgrade: bool = False
    """Lock at ``today`` though a former lock has a date."""
    check: bool = False
    """Write nothing; compare with what lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one target."""

    stack: Stack
    verdict: Verdict | None
    """None where nothing is known: network, disk, a tool."""
    reasons: tuple[Reason, ...] = ()
    """Why not."""
    warnings: tuple[Reason, ...] = ()
    plan: Plan | None = None
    lock: Lock | None = None
    folder: Path | None = None
    solved: bool = False
    """Whether a solver has spoken; False where the catalog alone has."""
    changed: bool = False
    """Whether the folder was written, or would be."""

    @property
    def exit_status(self) -> Exit:
        """The status of this target."""
        return self.reasons[0].exit_status if self.reasons else Exit.DONE


def chosen(spec: SpecFile, target: str | None) -> tuple[Stack, ...]:
    """Return the stacks that are asked for.

    Raises:
        UsageError: ``usage``: there is no such target; ``not-built-yet``.
    """
    every = stacks(spec.spec)
    if target is None:
        return every
    found = tuple(each for each in every if each.target == target)
    if not found:
        names = ", ".join(f"`{each.target}`" for each in every if each.target) or "none"
        raise UsageError(
            Reason(
                code="usage",
                what=f"{spec.origin} has no target `{target}`",
                cause=f"its targets: {names}",
                fix="name one of them, or leave --target out for all",
            )
        )
    return found


def unbuilt(spec: SpecFile) -> None:
    """Raise ``not-built-yet`` for what the spec asks and this mlenv cannot do.

    Raises:
        UsageError: one reason for each such line.
    """
    image = spec.spec.image
    asked = [
        (spec.spec.backend == "conda", "backend", 'backend = "conda"', 'backend = "uv"'),
        (image.cuda_compat, "image.cuda-compat", "cuda-compat = true", "cuda-compat = false"),
        (image.compile == "nvcc", "image.compile", 'compile = "nvcc"', "compile = true"),
    ]
    found = [_unbuilt(spec, *words) for wanted, *words in asked if wanted]
    if found:
        raise UsageError(*found)


def _unbuilt(spec: SpecFile, key: str, line: str, instead: str) -> Reason:
    return spec.places(
        Reason(
            code="not-built-yet",
            what=f"`{line}` is understood, but this mlenv cannot do it yet",
            cause="it comes with a later release, and is not ignored until then",
            fix=f"write `{instead}`",
            where=(key,),
        )
    )


def check(spec: SpecFile, catalog: Catalog, order: Order) -> tuple[Outcome, ...]:
    """Return each target's verdict from the catalog alone: nothing is asked, nothing is written."""
    found = []
    for stack in chosen(spec, order.target):
        wish = Wish(exclude_newer=spec.spec.lock.exclude_newer or order.today)
        try:
            planned = plan(stack, catalog, wish)
        except MlenvError as error:
            found.append(_failed(spec, stack, error))
            continue
        warnings = tuple(spec.places(each) for each in planned.warnings)
        found.append(Outcome(stack=stack, verdict=planned.verdict, warnings=warnings, plan=planned))
    return tuple(found)


def build(spec: SpecFile, catalog: Catalog, desk: Desk, order: Order) -> tuple[Outcome, ...]:
    """Solve every target that is asked for, and write the folders of the good ones."""
    unbuilt(spec)
    return tuple(_one(spec, stack, catalog, desk, order) for stack in chosen(spec, order.target))


def _one(spec: SpecFile, stack: Stack, catalog: Catalog, desk: Desk, order: Order) -> Outcome:
    place = order.out / stack.folder
    former = _former(place)
    date = _date(spec, former, order)
    try:
        solution = solve(stack, catalog, Wish(exclude_newer=date), desk)
        made = folder(
            solution,
            catalog,
            spec_sha256=spec.sha256,
            uv_version=tools.uv_version(),
            recipe=order.recipe or _has_recipe(former),
        )
        changed = _write(made, place, former, order, date)
    except MlenvError as error:
        return _failed(spec, stack, error)
    outcome = Outcome(
        stack=stack,
        verdict=made.lock.verdict,
        warnings=tuple(spec.places(each) for each in solution.warnings),
        plan=solution.plan,
        lock=made.lock,
        folder=place,
        solved=True,
        changed=bool(changed),
    )
    return (
        replace(outcome, reasons=(_drift(place, changed),)) if order.check and changed else outcome
    )


def locked(spec: SpecFile, stack: Stack, order: Order) -> Lock | None:
    """Return the lock of a target that lies in ``out``, if it is of this spec."""
    found = _former(order.out / stack.folder)
    return found if found and found.spec_sha256 == spec.sha256 else None


def _failed(spec: SpecFile, stack: Stack, error: MlenvError) -> Outcome:
    if isinstance(error, UsageError):
        raise UsageError(*(spec.places(each) for each in error.reasons)) from None
    return Outcome(
        stack=stack,
        verdict="impossible" if isinstance(error, StackError) else None,
        reasons=tuple(spec.places(each) for each in error.reasons),
        solved=any(each.code == "no-solution" for each in error.reasons),
    )


def _former(place: Path) -> Lock | None:
    text = disk.read(place, [LOCK_NAME]).get(LOCK_NAME)
    if text is None:
        return None
    with suppress(UsageError):  # a damaged lock is replaced, not believed
        return parse_lock(text, origin=str(place / LOCK_NAME))
    return None


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
    if not order.upgrade:
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
        or former.exclude_newer != date
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
