"""Each target of a spec to a verdict: from the catalog alone, or as a solve leaves it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from mlenv.catalog.carriers import carrier
from mlenv.errors import Exit, MlenvError, Reason, StackError, UsageError
from mlenv.files import LOCK_NAME
from mlenv.host import disk
from mlenv.lock import Lock, parse_lock
from mlenv.plan import refusals
from mlenv.plan.decide import Wish, judged, plan
from mlenv.plan.model import Plan
from mlenv.plan.nearest import nearest
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlenv.catalog.load import Catalog
    from mlenv.plan.model import Constraint
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
    repin: bool = False
    """Ask anew which images the recipe starts from; all else stays as it is locked."""
    only: str | None = None
    """A package that is moved to ``today`` alone; all else stays as it is locked."""
    check: bool = False
    """Write nothing; compare with what lies there."""
    near: bool = True
    """Look for the nearest stacks that can be, where one cannot."""
    pins: tuple[Constraint, ...] = ()
    """Versions that are held, whatever else the index has."""


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
        UsageError: ``usage``: there is no such target.
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


def check(spec: SpecFile, catalog: Catalog, order: Order) -> tuple[Outcome, ...]:
    """Return each target's verdict from the catalog alone: nothing is asked, nothing is written."""
    found = []
    for stack in chosen(spec, order.target):
        wish = Wish(exclude_newer=spec.spec.lock.exclude_newer or order.today)
        try:
            planned = plan(stack, catalog, wish)
        except MlenvError as error:
            found.append(failed(spec, stack, error, catalog, wish, near=order.near))
            continue
        open_ = tuple(_open(stack, planned))
        warnings = tuple(spec.places(each) for each in (*planned.warnings, *open_))
        verdict: Verdict = "unknown" if open_ else planned.verdict
        found.append(Outcome(stack=stack, verdict=verdict, warnings=warnings, plan=planned))
    return tuple(found)


def _open(stack: Stack, planned: Plan) -> Iterator[Reason]:
    """Yield what only a solve can tell: what comes with CUDA code, its needs and its binaries."""
    if stack.backend == "conda":
        return
    for asked in stack.packages:
        name = canonicalize_name(asked.requirement.name)
        row = carrier(name)
        if row is None or row.kernels != "compiled" or planned.cpu:
            continue
        yield refusals.fact_unknown(
            f"what {name} brings along, and which libraries it was linked to, only a solve tells",
            "its wheels hold CUDA code of their own, and the catalog has not looked into them",
            (asked.key,),
        )


def failed(  # noqa: PLR0913 (each is named at the call)
    spec: SpecFile,
    stack: Stack,
    error: MlenvError,
    catalog: Catalog,
    wish: Wish,
    *,
    near: bool = True,
) -> Outcome:
    """Return what an error means for one target; a wrong spec ends the command instead."""
    if isinstance(error, UsageError):
        raise UsageError(*(spec.places(each) for each in error.reasons)) from None
    reasons = [spec.places(each) for each in error.reasons]
    facts = judged(stack, catalog, wish)
    planned = facts if isinstance(facts, Plan) else None
    if isinstance(error, StackError):
        if near and not reasons[0].nearest:
            reasons[0] = replace(reasons[0], nearest=nearest(stack, catalog, wish))
        # what the facts allow and yet cannot be, a solver has spoken against
        known: Verdict | None = "impossible"
    else:  # the index is out of reach: what the facts alone say, and not that it was solved
        reached = any(each.code.startswith("network-") for each in error.reasons)
        known = planned.verdict if planned and reached else None
    return Outcome(
        stack=stack,
        verdict=known,
        reasons=tuple(reasons),
        plan=planned if known != "impossible" else None,
        solved=known == "impossible" and planned is not None,
    )


def former_lock(place: Path) -> Lock | None:
    """Return the lock that lies in a folder; None for none, or for a damaged one."""
    text = disk.read(place, [LOCK_NAME]).get(LOCK_NAME)
    if text is None:
        return None
    with suppress(UsageError):  # a damaged lock is replaced, not believed
        return parse_lock(text, origin=str(place / LOCK_NAME))
    return None


def locked(spec: SpecFile, stack: Stack, order: Order) -> Lock | None:
    """Return the lock of a target that lies in ``out``, if it is of this spec."""
    found = former_lock(order.out / stack.folder)
    return found if found and found.spec_sha256 == spec.sha256 else None
