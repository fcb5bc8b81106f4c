"""One target's plan: toolkit, releases, index and bounds, each with why and source.

Pure: the same stack, catalog and date give the same plan. All reasons against a stack are told
at once; nothing here asks the network or this machine.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import MlenvError, Reason, StackError, UsageError
from mlenv.plan import conda, refusals
from mlenv.plan.bounds import bounds, indexes, requirements
from mlenv.plan.candidate import DEFAULT, Candidate
from mlenv.plan.cautions import of_image, warnings
from mlenv.plan.drivers import machine, startable, too_old
from mlenv.plan.fit import quarrel, together
from mlenv.plan.gates import gate
from mlenv.plan.ground import footing, ground_of
from mlenv.plan.model import Chosen, Plan
from mlenv.plan.offers import offers
from mlenv.plan.packages import unfit
from mlenv.plan.words import decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import FrameworkRow
    from mlenv.cuda import Cuda
    from mlenv.plan.ground import Ground
    from mlenv.plan.model import Constraint, Preferred
    from mlenv.spec.stack import Asked, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of planning beside the stack."""

    exclude_newer: str
    """RFC 3339, UTC."""
    implied: tuple[Asked, ...] = ()
    """Frameworks that a solve brought in though no line names them."""
    direct: tuple[str, ...] = ()
    """Family members that a solve brought in, to be taken from the framework's index."""
    skip: frozenset[Cuda] = frozenset()
    """Toolkits that a solve has refused already."""
    moved: tuple[tuple[str, str], ...] = ()
    """Packages that may be newer than the rest: name, and the time until which; RFC 3339."""
    releases_until: str | None = None
    """The time until which releases of the catalog count; None: ``exclude_newer``."""
    held: Cuda | None = None
    """The toolkit that a solve found, where no line of the spec names one."""
    pins: tuple[Constraint, ...] = ()
    """Versions that are held, whatever else the index has."""
    preferred: tuple[Preferred, ...] = ()
    """What is taken where nothing speaks against it: the answer to the same question before."""


def plan(stack: Stack, catalog: Catalog, wish: Wish) -> Plan:
    """Return what is to be solved for one target.

    Raises:
        StackError: every reason, from the facts, why it cannot be.
        UsageError: ``gpu-unknown`` or ``framework-unknown``.
    """
    rows, unknown = _rows(stack, catalog)
    ground = _ground(stack, catalog, wish, unknown)
    refused: list[Reason] = [*machine(ground), *gate(ground)]
    if stack.backend == "conda":
        return conda.planned(ground, wish.exclude_newer, rows, refused, held=wish.held is not None)
    refused += unfit(ground)
    groups: list[tuple[Asked, tuple[Candidate, ...] | None]] = []
    for asked, row in [*rows, *_implied(wish, catalog)]:
        try:
            groups.append((asked, offers(asked, row, ground)))
        except StackError as error:
            refused += error.reasons
    if not refused:
        offered = [{c.toolkit for c in g} for _, g in groups if g is not None]
        refused += too_old(ground, offered)
    if refused:
        raise StackError(*refused)
    chosen, toolkit = _choose(groups, ground)
    return _plan(ground, wish, chosen, toolkit, groups)


def _ground(stack: Stack, catalog: Catalog, wish: Wish, unknown: Sequence[Reason]) -> Ground:
    try:
        until = wish.releases_until or wish.exclude_newer
        ground = ground_of(stack, catalog, exclude_newer=until, skip=wish.skip, held=wish.held)
    except UsageError as error:
        raise UsageError(*unknown, *error.reasons) from None
    if unknown:
        raise UsageError(*unknown)
    return ground


def _rows(stack: Stack, catalog: Catalog) -> tuple[list[tuple[Asked, FrameworkRow]], list[Reason]]:
    found = []
    unknown = []
    for asked in stack.frameworks:
        row = catalog.framework(asked.requirement.name)
        if row is None:
            unknown.append(_unknown_framework(asked, catalog))
        else:
            found.append((asked, row))
    for asked in stack.packages:
        row = catalog.framework(asked.requirement.name)
        if row is not None and all(known is not row for _, known in found):
            found.append((asked, row))
    return found, unknown


def _unknown_framework(asked: Asked, catalog: Catalog) -> Reason:
    name = asked.requirement.name
    near = difflib.get_close_matches(name, catalog.frameworks, n=1)
    return Reason(
        code="framework-unknown",
        what=f"`{name}` is no framework that the catalog knows"
        + (f" (did you mean `{near[0]}`?)" if near else ""),
        cause=f"it knows {', '.join(sorted(catalog.frameworks))}",
        fix=f"write `{near[0]}`" if near else f'move it: `packages = ["{asked.requirement}"]`',
        where=(asked.key,),
    )


def _implied(wish: Wish, catalog: Catalog) -> Iterable[tuple[Asked, FrameworkRow]]:
    for asked in wish.implied:
        row = catalog.framework(asked.requirement.name)
        if row is not None:
            yield asked, row


def _choose(
    groups: Sequence[tuple[Asked, tuple[Candidate, ...] | None]], ground: Ground
) -> tuple[dict[str, Candidate], Cuda | None]:
    known = [(asked, group) for asked, group in groups if group is not None]
    toolkits_ = startable(ground.toolkits, ground)
    if not known:
        named = ground.stack.cuda is not None or bool(groups)
        return {}, (toolkits_[0] if toolkits_ and named else None)
    for own in (False, True):
        for toolkit in toolkits_:
            usable = [_newest_first(group, toolkit, own=own) for _, group in known]
            found = together(usable, ground.catalog, ground.until) if all(usable) else None
            if found:
                keys = [asked.key for asked, _ in known]
                return dict(zip(keys, found, strict=True)), toolkit
    raise StackError(_disagree(known, toolkits_, ground))


def _newest_first(
    group: Sequence[Candidate], toolkit: Cuda | None, *, own: bool
) -> list[Candidate]:
    usable = [c for c in group if c.toolkit == toolkit and (own or c.channel == DEFAULT)]
    return sorted(
        usable, key=lambda c: (c.build.release.version, c.channel == DEFAULT), reverse=True
    )


def _disagree(
    known: Sequence[tuple[Asked, Sequence[Candidate]]],
    toolkits_: Sequence[Cuda | None],
    ground: Ground,
) -> Reason:
    keys = tuple(asked.key for asked, _ in known)
    keys += (ground.stack.keys["cuda"],) if ground.stack.cuda is not None else ()
    names = " and ".join(str(asked.requirement) for asked, _ in known)
    shared = [t for t in toolkits_ if all(any(c.toolkit == t for c in g) for _, g in known)]
    if not shared:
        each = "; ".join(f"{asked.requirement.name}: CUDA {_span(g)}" for asked, g in known)
        cause = f"no toolkit has builds of all: {each}"
    else:
        newest = [_newest_first(group, shared[0], own=True) for _, group in known]
        cause = _quarrels([group[0] for group in newest], ground)
    return refusals.frameworks_disagree(
        f"{names} cannot share one set of CUDA libraries", cause, keys, ground.catalog.cited
    )


def _quarrels(newest: Sequence[Candidate], ground: Ground) -> str:
    words = []
    for index, first in enumerate(newest):
        for second in newest[index + 1 :]:
            found = quarrel(first, second, ground.catalog, ground.until)
            if found:
                package, one, two = found
                words.append(
                    f"{first.build.release.name} {first.version} wants {package}{one}, "
                    f"{second.build.release.name} {second.version} wants {package}{two}"
                )
    return "; ".join(words) or "no releases of them pin versions that all of them take"


def _span(group: Sequence[Candidate]) -> str:
    found = sorted({c.toolkit for c in group if c.toolkit is not None})
    return ", ".join(map(str, found)) or "none"


def _plan(
    ground: Ground,
    wish: Wish,
    picked: dict[str, Candidate],
    toolkit: Cuda | None,
    groups: Sequence[tuple[Asked, tuple[Candidate, ...] | None]],
) -> Plan:
    stack = ground.stack
    channels = {c.channel for c in picked.values() if c.channel != DEFAULT}
    chosen = tuple(
        Chosen(
            asked=asked,
            candidate=picked.get(asked.key),
            newest=max(group, key=lambda c: c.build.release.version).version if group else None,
        )
        for asked, group in groups
    )
    base = footing(stack, ground.catalog, toolkit)
    said = (*warnings(ground, chosen, toolkit), *of_image(ground, base))
    return Plan(
        stack=stack,
        verdict="unknown" if any(each.code == "fact-unknown" for each in said) else "ok",
        toolkit=toolkit,
        cpu=stack.cuda == "cpu",
        channel=min(channels, default=DEFAULT),
        gpus=ground.gpus,
        glibc=ground.glibc,
        base=base.reference,
        brings_python=base.brings_python,
        exclude_newer=wish.exclude_newer,
        moved=wish.moved,
        frameworks=chosen,
        requirements=requirements(stack, chosen, wish.direct, toolkit),
        constraints=(*bounds(ground, groups, chosen, toolkit), *wish.pins),
        indexes=indexes(stack, chosen),
        decisions=decisions(ground, chosen, toolkit, base),
        warnings=said,
    )


def judged(stack: Stack, catalog: Catalog, wish: Wish) -> Plan | tuple[Reason, ...]:
    """Return the plan, or the reasons against it, as a value."""
    try:
        return plan(stack, catalog, wish)
    except MlenvError as error:
        return error.reasons
