"""A conda stack at the level of the catalog: what is proven against it, and what is decided.

Which builds a channel has for a Python and a machine its records say, and a conda solver reads
them; neither is asked here. Facts can refuse such a stack, and never call it good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from mlenv.errors import Reason, StackError
from mlenv.plan import refusals
from mlenv.plan.cautions import machine_unknown, minor_version, of_image, unchecked
from mlenv.plan.drivers import startable, too_old
from mlenv.plan.ground import footing
from mlenv.plan.model import Chosen, Decision, Plan
from mlenv.plan.words import decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlenv.catalog.rows import CondaVariant, FrameworkRow
    from mlenv.cuda import Cuda
    from mlenv.plan.ground import Ground
    from mlenv.spec.stack import Asked, Stack


def planned(
    ground: Ground,
    exclude_newer: str,
    rows: Sequence[tuple[Asked, FrameworkRow]],
    refused: Iterable[Reason],
    *,
    held: bool,
) -> Plan:
    """Return what is decided of a conda stack; ``held``: its channels have told the toolkit.

    Raises:
        StackError: ``refused``, and every further reason against it.
    """
    against = list(refused)
    offered: list[set[Cuda | None]] = []
    decided: list[Decision] = []
    for asked, row in rows:
        variants = _variants(asked, row, ground)
        if not variants:
            continue
        # a build runs with the libraries of its own minor and of newer ones of its major, which is
        # what its record asks for: `cuda-version >=12.6,<13` of a build for 12.6
        found = {t for each in variants for t in each.toolkits}
        fitting = {t for t in ground.toolkits if t and any(_runs(own, t) for own in found)}
        if fitting:
            offered.append({*fitting})
            decided.append(_decision(asked, variants))
        elif ground.toolkits != (None,):
            against.append(_not_offered(asked, variants, ground))
    against += () if against else too_old(ground, offered)
    if against:
        raise StackError(*against)
    shared = set(ground.toolkits).intersection(*offered)
    possible = startable([t for t in ground.toolkits if t in shared], ground)
    known = offered or ground.stack.cuda is not None or held
    toolkit = possible[0] if possible and known else None
    return _plan(ground, exclude_newer, rows, toolkit, decided)


def _variants(asked: Asked, row: FrameworkRow, ground: Ground) -> tuple[CondaVariant, ...]:
    """Return the rows that cover every release in the range; none where one is left open."""
    if ground.stack.spec.lock.channels != ("conda-forge",):
        return ()
    rows = [r for r in ground.catalog.facts.conda_variant if r.framework == row.name]
    found = []
    for package in dict.fromkeys(row.distribution.values()):
        for each in ground.catalog.releases(package):
            if not asked.requirement.specifier.contains(each.version):
                continue
            own = [r for r in rows if each.version in SpecifierSet(r.versions)]
            if not own:
                return ()
            found += own
    return tuple(dict.fromkeys(found))


def _runs(build: Cuda, toolkit: Cuda) -> bool:
    return build.major == toolkit.major and build <= toolkit


def _listed(variants: Sequence[CondaVariant]) -> str:
    return ", ".join(map(str, sorted({t for each in variants for t in each.toolkits})))


def _not_offered(asked: Asked, variants: Sequence[CondaVariant], ground: Ground) -> Reason:
    last = variants[-1]
    return refusals.cuda_not_offered(
        f"`{asked.requirement}` has no build for CUDA {ground.stack.cuda} on {last.channel}",
        f"{last.channel} builds {last.package} in that range for CUDA {_listed(variants)}",
        f'set `cuda = "{max(last.toolkits)}"`, or `backend = "uv"`',
        (*ground.keys(asked, "cuda"), ground.stack.keys["backend"]),
        last.cited,
    )


def _decision(asked: Asked, variants: Sequence[CondaVariant]) -> Decision:
    last = variants[-1]
    return Decision(
        topic=asked.requirement.name,
        choice=f"{asked.requirement} from {last.channel}",
        why=f"{last.channel} builds {last.package} in that range for CUDA {_listed(variants)}",
        source=last.cited,
    )


def _plan(
    ground: Ground,
    exclude_newer: str,
    rows: Sequence[tuple[Asked, FrameworkRow]],
    toolkit: Cuda | None,
    decided: Sequence[Decision],
) -> Plan:
    stack = ground.stack
    base = footing(stack, ground.catalog, toolkit)
    return Plan(
        stack=stack,
        verdict="unknown",
        toolkit=toolkit,
        cpu=stack.cuda == "cpu",
        channel=stack.spec.lock.channels[0],
        gpus=ground.gpus,
        glibc=ground.glibc,
        base=base.reference,
        brings_python=base.brings_python,
        exclude_newer=exclude_newer,
        frameworks=tuple(Chosen(asked=asked, candidate=None, newest=None) for asked, _ in rows),
        requirements=(),
        constraints=(),
        indexes=(),
        decisions=(*decisions(ground, (), toolkit, base), *decided),
        warnings=(*of_image(ground, base), *_said(ground, toolkit)),
    )


def _said(ground: Ground, toolkit: Cuda | None) -> Iterator[Reason]:
    if toolkit is not None:
        yield from unchecked(ground)
        yield from minor_version(ground, toolkit)
        yield from machine_unknown(ground, toolkit)
    yield unread(ground.stack)


def unread(stack: Stack) -> Reason:
    """Say that no channel was read, so that nothing is known of its builds."""
    channels = ", ".join(stack.spec.lock.channels)
    return refusals.fact_unknown(
        f"which builds {channels} has for Python {stack.python} was not read",
        "a conda stack is settled by its channel's records, which `mlenv lock` reads",
        (stack.keys["backend"],),
    )
