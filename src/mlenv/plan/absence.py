"""Why none of a framework's builds will do, in words: what a filter was given is the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.plan import refusals
from mlenv.plan.channels import newest_for, toolkits_of
from mlenv.plan.tags import refusing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.rows import FrameworkRow
    from mlenv.errors import Reason
    from mlenv.machine import Python
    from mlenv.plan.candidate import Build
    from mlenv.plan.ground import Ground
    from mlenv.spec.stack import Asked


def named_majors(asked: Asked, row: FrameworkRow) -> frozenset[int]:
    """Return the toolkit majors of a package that is named itself: cupy-cuda12x is for 12 alone."""
    name = canonicalize_name(asked.requirement.name)
    return frozenset(int(m) for m, each in row.distribution.items() if each == name and m != "any")


def no_package(asked: Asked, row: FrameworkRow, ground: Ground) -> Reason:
    """Return why the framework has no package for the toolkits that are asked for."""
    named = {str(each) for each in named_majors(asked, row)}
    majors = sorted(named or row.distribution.keys() - {"any"} or row.extra)
    return refusals.cuda_not_offered(
        f"{asked.requirement.name} has no build for {_asked_cuda(ground)}",
        f"its packages are for CUDA {', '.join(majors)}",
        f'set `cuda = "{majors[-1]}"`',
        ground.keys(asked, "cuda"),
        f"{row.source} ({row.checked})",
    )


def _asked_cuda(ground: Ground) -> str:
    if ground.stack.cuda == "cpu":
        return "the CPU alone"
    return f"CUDA {ground.stack.cuda}" if ground.stack.cuda else "any CUDA"


def no_file(found: Sequence[Build], asked: Asked, ground: Ground) -> Reason:
    """Return why no build has a wheel for the architecture, or which part has none for any."""
    cited, newest = ground.catalog.cited, found[-1]
    sources = (each[-1] for each in newest.parts if not any(p.release.wheels for p in each))
    if part := next(sources, None):
        name = f"{newest.release.name} {newest.release.text}"
        return refusals.needs_build(
            f"{name} requires {part.name} {part.text}, which is published as source only",
            "of what a framework requires, mlenv takes wheels alone",
            "choose another release in `framework`",
            ground.keys(asked),
            cited,
        )
    keys, platform = ground.keys(asked, "platform"), ground.stack.platform
    cause = "its makers publish none"
    return refusals.no_wheel_for_platform(refusals.span(found), platform, cause, keys, cited)


def pythons(build: Build, python: Python, architecture: str) -> str:
    """Return for which Pythons that part of a build is which refuses ``python``."""
    part = refusing(build, python, architecture)
    wheels = part.release.wheels
    tags = [t for key in ("any", architecture) if key in wheels for t in wheels[key].python]
    whose = "its wheels"
    if part is not build.release:
        whose = f"it requires {part.name} {part.text}, whose wheels"
    requires = part.release.requires_python
    return f"{whose} are for {', '.join(dict.fromkeys(tags))}" + (
        f"; Requires-Python is {requires}" if requires else ""
    )


def not_offered(found: list[Build], asked: Asked, ground: Ground) -> Reason:
    """Return why no channel serves any of the builds for the toolkits that are asked for."""
    newest = found[-1]
    name, version = newest.release.name, newest.release.text
    keys = ground.keys(asked, "cuda")
    cited = ground.catalog.cited
    if all(b.built_for == "cpu" for b in found) and ground.toolkits != (None,):
        keys = ground.keys(asked, "platform", "gpus", "cuda")
        return refusals.cpu_only(
            f"{refusals.span(found)} on {ground.stack.platform} is a CPU build",
            "its wheel for this architecture was compiled without CUDA",
            keys,
            f"{newest.row.proof.file if newest.row.proof else 'its wheel'} inside it ({cited})",
            'choose a release with a CUDA build, or say `cuda = "cpu"`',
        )
    if all(b.extra_missing for b in found):
        what = f"{name} {version}"
        return refusals.extra_missing(what, str(newest.extra_missing), keys, cited)
    served = _served(asked, newest.row, found, ground)
    return refusals.cuda_not_offered(
        f"{refusals.span(found)} has no build for {_asked_cuda(ground)}",
        served[0],
        served[1],
        keys,
        f"{cited}; {newest.row.source} ({newest.row.checked})",
    )


def _served(
    asked: Asked, row: FrameworkRow, found: Sequence[Build], ground: Ground
) -> tuple[str, str]:
    """Return what is built for what, and the edit: for the release, and for the toolkit."""
    release = found[-1].release
    has = toolkits_of(release, row, ground)
    cause = f"{release.name} {release.text} is built for CUDA {_listed(has)}"
    last = newest_for(row, ground)
    on = [f"{version} on {channel}" for channel, version in last]
    if on:
        cause += f"; the newest {row.name} for {_asked_cuda(ground)} is " + ", and ".join(on)
    fixes = [f'`cuda = "{has[0].partition(" ")[0]}"`'] if has else []
    fixes += [f'`framework = "{row.name}=={last[0][1]}"`'] if last else []
    return cause, "set " + ", or ".join(fixes) if fixes else f"leave {asked.requirement.name} out"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "none that this target can use"
