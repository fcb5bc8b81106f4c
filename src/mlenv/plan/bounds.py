"""A plan as the solver gets it: requirements with their extras, bounds, indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.plan.candidate import DEFAULT, channel_url
from mlenv.plan.fit import cudnn_below, cudnn_package, nccl_package
from mlenv.plan.model import Constraint, IndexUse, Wanted
from mlenv.plan.toolkits import METAPACKAGE, banned, components

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from mlenv.cuda import Cuda
    from mlenv.plan.candidate import Candidate
    from mlenv.plan.ground import Ground
    from mlenv.plan.model import Chosen
    from mlenv.spec.stack import Asked, Stack


def requirements(
    stack: Stack, chosen: Sequence[Chosen], direct: Sequence[str], toolkit: Cuda | None
) -> tuple[Wanted, ...]:
    """Return every requirement of the stack, the frameworks' as the plan names them.

    ``direct`` are members of a framework's family that a solve brought in: an index that is named
    for a package holds for direct requirements only. Source: read off uv 0.13.9, 2026-11-22.
    """
    of_family = _families(chosen)
    frameworks = {each.asked.key: each for each in chosen}
    found = []
    for asked in (*stack.frameworks, *stack.packages):
        own = frameworks.get(asked.key)
        text = _framework(own, toolkit) if own else str(asked.requirement)
        name = canonicalize_name(asked.requirement.name)
        index = _index(own.candidate) if own else of_family.get(name)
        found.append(
            Wanted(
                key=asked.key,
                text=text,
                index=index or named_index(stack, name),
                dev=asked.layer == "dev",
            )
        )
    for each in chosen:
        if all(each.asked.key != known.key for known in found):
            found.append(
                Wanted(
                    key=each.asked.key,
                    text=_framework(each, toolkit),
                    index=_index(each.candidate),
                )
            )
    asked_for = (*stack.frameworks, *stack.packages, *(each.asked for each in chosen))
    known = {canonicalize_name(each.requirement.name) for each in asked_for}
    found += [
        Wanted(key="framework", text=member, index=of_family[member])
        for member in direct
        if member in of_family and member not in known
    ]
    return tuple(found)


def _families(chosen: Sequence[Chosen]) -> Mapping[str, str]:
    return {
        name: each.candidate.channel
        for each in chosen
        if each.candidate and each.candidate.channel != DEFAULT
        for name in each.candidate.build.row.family
    }


def _index(candidate: Candidate | None) -> str | None:
    return candidate.channel if candidate and candidate.channel != DEFAULT else None


def named_index(stack: Stack, name: str) -> str | None:
    """Return the alias of the spec's own index that serves ``name``, or None."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 (only where [indexes] is used)

    for alias, index in stack.spec.indexes.items():
        if any(fnmatchcase(name, canonicalize_name(glob)) for glob in index.packages):
            return alias
    return None


def _framework(chosen: Chosen, toolkit: Cuda | None) -> str:
    wanted = chosen.asked.requirement
    candidate = chosen.candidate
    if candidate is None:
        return str(wanted)
    row = candidate.build.row
    major = toolkit.major if toolkit else None
    # what came in by itself under the name of one major is somebody's choice, libraries included
    own = chosen.asked.layer != "implied" or "any" in row.distribution
    asked = major and own and not candidate.build.extra_missing
    extra = row.extra.get(str(major)) if asked else None
    extras = sorted({*wanted.extras, *((extra,) if extra else ())})
    name = row.package(major) or wanted.name
    return _text(name, extras, wanted)


def _text(name: str, extras: Sequence[str], wanted: Requirement) -> str:
    brackets = f"[{','.join(extras)}]" if extras else ""
    marker = f" ; {wanted.marker}" if wanted.marker else ""
    return f"{name}{brackets}{wanted.specifier}{marker}"


def indexes(stack: Stack, chosen: Sequence[Chosen]) -> tuple[IndexUse, ...]:
    """Return the indexes beside the default one, sorted by alias."""
    found = {
        alias: IndexUse(alias=alias, url=index.url, dated=index.exclude_newer)
        for alias, index in stack.spec.indexes.items()
    }
    for each in chosen:
        if each.candidate is None:
            continue
        url = channel_url(each.candidate.build.row, each.candidate.channel)
        if url:
            # it gives upload times for its newest releases only: pytorch/test-infra#8139
            channel = each.candidate.channel
            found[channel] = IndexUse(alias=channel, url=url, dated=False)
    return tuple(found[alias] for alias in sorted(found))


def bounds(
    ground: Ground,
    groups: Sequence[tuple[Asked, tuple[Candidate, ...] | None]],
    chosen: Sequence[Chosen],
    toolkit: Cuda | None,
) -> tuple[Constraint, ...]:
    """Return all bounds: the toolkit's components, the other majors, cuDNN, NCCL, frameworks."""
    found = list(_frameworks(groups, chosen, toolkit))
    if toolkit is not None:
        found += _toolkit(ground, toolkit)
        found += _libraries(ground, toolkit)
    return tuple(sorted(found, key=lambda each: each.text))


def _toolkit(ground: Ground, toolkit: Cuda) -> Iterator[Constraint]:
    key = ground.stack.keys["cuda"]
    parts = components(ground.catalog, toolkit)
    for part in parts.values():
        yield Constraint(
            key=key,
            text=f"{part.package}{part.specifier}",
            why=f"a component of CUDA {toolkit}",
        )
    if parts:
        yield Constraint(key=key, text=f"{METAPACKAGE}=={toolkit}.*", why="the toolkit itself")
    yield Constraint(
        key=key,
        text=f"cuda-bindings>={toolkit.major},<{toolkit.major + 1}",
        why="bindings of the same major",
    )
    for package in banned(ground.catalog, toolkit.major):
        yield Constraint(
            key=key, text=f"{package}<0", why="of another CUDA major: their files collide"
        )


def _libraries(ground: Ground, toolkit: Cuda) -> Iterator[Constraint]:
    stack = ground.stack
    if stack.cudnn is not None:
        text = f"{cudnn_package(toolkit)}=={stack.cudnn}.*"
        yield Constraint(key=stack.keys["cudnn"], text=text, why="`cudnn` asks for it")
    elif below := cudnn_below(ground.gpus, ground.catalog):
        text = f"{cudnn_package(toolkit)}<{below[0]}"
        yield Constraint(
            key=stack.keys["gpus"], text=text, why=f"newer ones left a GPU behind: {below[1]}"
        )
    if stack.nccl is not None:
        text = f"{nccl_package(toolkit)}=={stack.nccl}.*"
        yield Constraint(key=stack.keys["nccl"], text=text, why="`nccl` asks for it")


def _frameworks(
    groups: Sequence[tuple[Asked, tuple[Candidate, ...] | None]],
    chosen: Sequence[Chosen],
    toolkit: Cuda | None,
) -> Iterator[Constraint]:
    """Yield for each framework the oldest build that serves: below it a solver may not fall."""
    for (asked, group), each in zip(groups, chosen, strict=True):
        if group is None or each.candidate is None:
            continue
        channel = each.candidate.channel
        same = [c for c in group if c.toolkit == toolkit and c.channel == channel]
        oldest = min(same, key=lambda c: c.build.release.version)
        newest = max(same, key=lambda c: c.build.release.version)
        name = oldest.build.release.name
        text = f"{name}>={oldest.version}"
        if channel != DEFAULT:
            text += f",<={newest.version}"
        on = f"CUDA {toolkit}" if toolkit else "the CPU"
        yield Constraint(
            key=asked.key,
            text=text,
            why=f"{name} {oldest.version} is the oldest build for {on} that this target can use",
        )
