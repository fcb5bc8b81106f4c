"""What a plan decided and what it could not find out, in words for ``explain`` and the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import Reason
from mlenv.machine import driver
from mlenv.plan.candidate import DEFAULT
from mlenv.plan.drivers import starts
from mlenv.plan.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.cuda import Cuda
    from mlenv.plan.ground import Ground
    from mlenv.plan.model import Chosen


def decisions(
    ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda | None, base: tuple[str | None, str]
) -> tuple[Decision, ...]:
    """Return every decision of a plan, in the order of a stack's layers."""
    stack = ground.stack
    found = [
        Decision(
            topic="python",
            choice=str(stack.python),
            why=f"`{stack.keys['python']}` says so",
            source="the spec",
        ),
        Decision(
            topic="platform",
            choice=stack.platform,
            why="`platform` of the target" if stack.target else "the default; no target is named",
            source="the spec" if stack.target else "mlenv",
        ),
        _toolkit(ground, chosen, toolkit),
    ]
    found += [_framework(ground, each, toolkit) for each in chosen]
    if toolkit is not None:
        found += _driver(ground, toolkit)
    found.append(
        Decision(
            topic="base",
            choice=base[0] or "none",
            why=base[1],
            source="mlenv's base images" if stack.base == "auto" else "the spec",
        )
    )
    found.append(_glibc(ground))
    return tuple(found)


def _toolkit(ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda | None) -> Decision:
    stack = ground.stack
    if toolkit is None:
        said = stack.cuda == "cpu"
        return Decision(
            topic="toolkit",
            choice="cpu" if said else "none",
            why='`cuda = "cpu"` says so' if said else "no line of the spec needs CUDA",
            source="the spec",
        )
    if stack.cuda is not None:
        why = f'the newest that `cuda = "{stack.cuda}"` covers and all can share'
    else:
        why = "the newest that the frameworks ship and this target can run"
    offered = {t for each in chosen for t in _offered(ground, each)}
    others = tuple(
        f"{t}: {'needs a newer driver' if not starts(t, ground) else 'not shared by all'}"
        for t in sorted(offered, reverse=True)
        if t > toolkit
    )
    return Decision(
        topic="toolkit",
        choice=str(toolkit),
        why=why,
        source=ground.catalog.cited,
        alternatives=others,
    )


def _offered(ground: Ground, each: Chosen) -> Iterator[Cuda]:
    if each.candidate is None:
        return
    for toolkit in ground.toolkits:
        if toolkit is not None and toolkit.major == each.candidate.build.major:
            built = each.candidate.build.built_for
            if built == str(toolkit):
                yield toolkit


def _framework(ground: Ground, each: Chosen, toolkit: Cuda | None) -> Decision:
    name = each.asked.requirement.name
    if each.candidate is None:
        return Decision(
            topic=name,
            choice=str(each.asked.requirement),
            why="the catalog knows no release in this range; the solver decides",
            source=ground.catalog.cited,
        )
    candidate = each.candidate
    on = f"CUDA {toolkit}" if toolkit else "the CPU"
    where = "the default index" if candidate.channel == DEFAULT else candidate.channel
    others: tuple[str, ...] = ()
    if each.newest and each.newest != candidate.version:
        others = (f"{each.newest}: newer, but not for {on} from {where} beside the rest",)
    return Decision(
        topic=name,
        choice=f"{candidate.build.release.name} {candidate.version} from {where}",
        why=f"the newest for {on}, Python {ground.stack.python} and {ground.stack.platform}"
        + (" that shares its CUDA libraries with the others" if toolkit else ""),
        source=candidate.source,
        alternatives=others,
    )


def _driver(ground: Ground, toolkit: Cuda) -> Iterator[Decision]:
    for row in ground.catalog.facts.driver_floor:
        if row.first <= toolkit <= row.last:
            yield Decision(
                topic="driver",
                choice=f">={row.driver}",
                why=f"the oldest that starts programs of CUDA {toolkit.major}.x",
                source=row.cited,
            )


def _glibc(ground: Ground) -> Decision:
    stack = ground.stack
    if stack.glibc is not None and stack.glibc == ground.glibc:
        return Decision(
            topic="glibc",
            choice=str(ground.glibc),
            why=f"`{stack.keys['glibc']}` says so",
            source="the spec",
        )
    return Decision(
        topic="glibc",
        choice=str(ground.glibc),
        why="what the base image has, or 2.28 where nobody knows",
        source="mlenv's base images",
    )


def warnings(ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda | None) -> tuple[Reason, ...]:
    """Return what is said aloud and changes no verdict, and what no source could tell."""
    if toolkit is None:
        return ()
    return (*_unchecked(ground), *_minor_version(ground, toolkit), *_unknown(ground, chosen))


def _unchecked(ground: Ground) -> Iterator[Reason]:
    stack = ground.stack
    drivers = "`driver`" if stack.driver is None else "lowest `driver`"
    open_below = stack.driver is None or stack.driver.lowest is None
    missing = [w for w, lacks in ((drivers, open_below), ("`gpus`", not stack.gpus)) if lacks]
    if missing:
        names = " and ".join(missing)
        absent = f"{names} are" if len(missing) > 1 else f"{names} is"
        named = f"[targets.{stack.target}]" if stack.target else "a [targets.NAME]"
        yield Reason(
            code="not-checked",
            what=f"{absent} not named: not checked",
            cause="whether the stack runs on a machine depends on both",
            fix=f"add {names} to {named}",
        )


def _minor_version(ground: Ground, toolkit: Cuda) -> Iterator[Reason]:
    drivers = ground.stack.driver
    if drivers is None or drivers.lowest is None:
        return
    known = [row for row in ground.catalog.facts.toolkit_driver if row.toolkit <= toolkit]
    row = max(known, key=lambda each: each.toolkit, default=None)
    if row is None or drivers.lowest >= driver(row.driver):
        return
    came = f"CUDA {row.toolkit} came with driver {row.driver}"
    if row.toolkit != toolkit:
        came += f", and {toolkit} is newer"
    yield Reason(
        code="minor-version-mode",
        what=f"driver {drivers.lowest_text} runs CUDA {toolkit} in minor-version mode",
        cause=f"{came}; compiled kernels run on older ones of its major, "
        "PTX of this toolkit cannot be compiled by them",
        fix=f'for all of it set `driver = ">={row.driver}"`',
        where=(ground.stack.keys["driver"],),
        source=row.cited,
    )


def _unknown(ground: Ground, chosen: Sequence[Chosen]) -> Iterator[Reason]:
    for each in chosen:
        name = each.asked.requirement.name
        if each.candidate is None:
            what = f"the catalog knows no release of {name} in `{each.asked.requirement}`"
            cause = f"it was read on {ground.catalog.scanned[:10]}"
        elif len(chosen) > 1 and not each.candidate.known:
            what = f"what {name} {each.candidate.version} from {each.candidate.channel} pins"
            what += " is not known, so neither is whether the others can share it"
            cause = "the catalog holds the metadata of the default index's wheels"
        elif ground.gpus and not each.candidate.code:
            what = f"no source says for which GPUs {name} {each.candidate.version} has code"
            cause = "its wheel does not declare it"
        else:
            continue
        yield Reason(
            code="fact-unknown",
            what=what,
            cause=cause,
            fix="`mlenv lock` settles what a solver can; what remains, a kernel on the machine",
            where=(each.asked.key,),
        )
