"""What a plan decided, in words for ``explain`` and the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.plan import compat
from mlenv.plan.candidate import DEFAULT
from mlenv.plan.drivers import starts
from mlenv.plan.fit import cudnn_below
from mlenv.plan.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.cuda import Cuda
    from mlenv.plan.ground import Footing, Ground
    from mlenv.plan.model import Chosen


def decisions(
    ground: Ground, chosen: Sequence[Chosen], toolkit: Cuda | None, base: Footing
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
    for each in chosen:
        found.append(_framework(ground, each, toolkit))
        found += _code(ground, each)
    if toolkit is not None:
        found += _driver(ground, toolkit)
        found += _cudnn(ground)
    found.append(
        Decision(
            topic="base",
            choice=base.reference,
            why=base.why,
            source=base.source,
        )
    )
    if not base.brings_python and stack.backend == "uv":
        found.append(_interpreter(ground, base))
    found.append(_glibc(ground))
    return tuple(found)


def _interpreter(ground: Ground, base: Footing) -> Decision:
    return Decision(
        topic="interpreter",
        choice=f"python-build-standalone {ground.stack.python}",
        why=f"{base.reference} has no Python {ground.stack.python}: the newest release that the "
        "locked uv knows by its hash",
        source="the list of releases and hashes inside uv",
    )


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


def _code(ground: Ground, each: Chosen) -> Iterator[Decision]:
    candidate = each.candidate
    for gpu in ground.gpus if candidate and candidate.code else ():
        fitting = [code for code in candidate.code if code.runs_on(gpu.arch)] if candidate else []
        if candidate is None or not fitting:
            continue
        ready = [code for code in fitting if code.kind == "sm"]
        best = max(ready or fitting, key=lambda code: code.arch)
        what = "machine code" if ready else "PTX, which the driver compiles"
        yield Decision(
            topic=f"{gpu.name} with {each.asked.requirement.name}",
            choice=f"{best.kind}_{best.arch.major}{best.arch.minor}{best.suffix}",
            why=f"{what} in the wheel that {gpu.arch.sm} runs",
            source=candidate.source,
        )


def _driver(ground: Ground, toolkit: Cuda) -> Iterator[Decision]:
    rule = compat.rule(toolkit, ground.catalog)
    if rule is not None and compat.carries(toolkit, ground):
        branches = ", ".join(map(str, rule.branches))
        yield Decision(
            topic="driver",
            choice=f"branch {branches}, with cuda-compat {toolkit}",
            why="`cuda-compat = true`: forward compatibility on data-centre GPUs",
            source=rule.cited,
        )
        return
    for row in ground.catalog.facts.driver_floor:
        if row.first <= toolkit <= row.last:
            yield Decision(
                topic="driver",
                choice=f">={row.driver}",
                why=f"the oldest that starts programs of CUDA {toolkit.major}.x",
                source=row.cited,
            )


def _cudnn(ground: Ground) -> Iterator[Decision]:
    stack = ground.stack
    if stack.cudnn is not None:
        yield Decision(
            topic="cudnn",
            choice=f"{stack.cudnn}.*",
            why=f"`{stack.keys['cudnn']}` says so",
            source="the spec",
        )
    elif below := cudnn_below(ground.gpus, ground.catalog):
        yield Decision(
            topic="cudnn",
            choice=f"<{below[0]}",
            why="newer ones left a GPU of the target behind",
            source=below[1],
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
