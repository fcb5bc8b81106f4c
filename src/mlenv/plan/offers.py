"""Which builds of a framework a target can use: filters in a row, and who emptied the set.

Each filter is a fact about the target. The first that leaves nothing is the reason, and what it
was given is the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from mlenv.errors import Reason, StackError
from mlenv.plan import refusals
from mlenv.plan.candidate import Build, Candidate, builds, candidates
from mlenv.plan.channels import newest_for, toolkits_of
from mlenv.plan.fit import alone, cudnn_for, cudnn_package
from mlenv.plan.tags import glibc, has_platform, requires_python, takes_python, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.catalog.rows import FrameworkRow
    from mlenv.cuda import Gpu
    from mlenv.machine import Prefix
    from mlenv.plan.ground import Ground
    from mlenv.spec.stack import Asked


def offers(asked: Asked, row: FrameworkRow, ground: Ground) -> tuple[Candidate, ...] | None:
    """Return what the target can use of a framework; None where the catalog knows no release.

    Raises:
        StackError: nothing is left; the reason of the filter that took the last.
    """
    found = _in_range(asked, row, ground)
    if found is None:
        return None
    found = _usable(found, asked, ground)
    return _offered(found, asked, ground)


def _in_range(asked: Asked, row: FrameworkRow, ground: Ground) -> list[Build] | None:
    majors = {each.major if each else None for each in ground.toolkits}
    if named := _named_majors(asked, row):
        majors &= named
    have = [
        build
        for major in sorted(majors, key=lambda m: m or 0)
        for build in builds(
            row,
            major,
            catalog=ground.catalog,
            architecture=ground.architecture,
            until=ground.until,
        )
    ]
    if not have:
        raise StackError(_no_package(asked, row, ground))
    have.sort(key=lambda each: each.release.version)
    wanted = str(asked.requirement.specifier)
    return [build for build in have if within(build, wanted)] or None


def _named_majors(asked: Asked, row: FrameworkRow) -> frozenset[int]:
    """Return the toolkit majors of a package that is named itself: cupy-cuda12x is for 12 alone."""
    name = canonicalize_name(asked.requirement.name)
    return frozenset(int(m) for m, each in row.distribution.items() if each == name and m != "any")


def _no_package(asked: Asked, row: FrameworkRow, ground: Ground) -> Reason:
    named = {str(each) for each in _named_majors(asked, row)}
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


def _usable(found: list[Build], asked: Asked, ground: Ground) -> list[Build]:
    stack, cited, arch = ground.stack, ground.catalog.cited, ground.architecture
    kept = [b for b in found if b.release.release.yanked is None]
    if not kept:
        raise StackError(refusals.yanked(found, ground.keys(asked), cited))
    found, kept = kept, [b for b in kept if has_platform(b, arch)]
    if not kept:
        keys = ground.keys(asked, "platform")
        raise StackError(
            refusals.no_wheel_for_platform(
                refusals.span(found), stack.platform, "its makers publish none", keys, cited
            )
        )
    found, kept = kept, [b for b in kept if _python_fits(b, ground)]
    if not kept:
        keys = ground.keys(asked, "python")
        what, cause = refusals.span(found), _pythons(found[-1], arch)
        raise StackError(refusals.python_unsupported(what, stack.python, cause, keys, cited))
    found, kept = kept, [b for b in kept if takes_python(b, stack.python, arch)]
    if not kept:
        keys = ground.keys(asked, "python")
        what = refusals.span(found)
        cause = f"no tag of it, or of what it requires, is {stack.python.abi}"
        raise StackError(refusals.no_wheel_for_abi(what, stack.python, cause, keys, cited))
    found, kept = kept, [b for b in kept if (glibc(b, arch) or ground.glibc) <= ground.glibc]
    if not kept:
        what, needs = refusals.span(found), str(glibc(found[0], arch))
        keys = ground.keys(asked, "glibc")
        raise StackError(refusals.glibc_too_old(what, needs, str(ground.glibc), keys, cited))
    return kept


def _python_fits(build: Build, ground: Ground) -> bool:
    python = ground.stack.python
    if not requires_python(build, python):
        return False
    plain = type(python)(python.minor)
    arch = ground.architecture
    return takes_python(build, plain, arch) or takes_python(build, python, arch)


def _pythons(build: Build, architecture: str) -> str:
    tags = [
        tag
        for alternatives in build.parts
        for part in alternatives
        for key in ("any", architecture)
        if key in part.release.wheels
        for tag in part.release.wheels[key].python
        if tag != "py3"
    ]
    requires = build.release.release.requires_python
    return f"its wheels are for {', '.join(dict.fromkeys(tags))}" + (
        f"; Requires-Python is {requires}" if requires else ""
    )


def _offered(found: list[Build], asked: Asked, ground: Ground) -> tuple[Candidate, ...]:
    every = [
        candidate
        for build in found
        for toolkit in ground.toolkits
        if toolkit is None or toolkit.major == build.major
        for candidate in candidates(
            build, toolkit, catalog=ground.catalog, architecture=ground.architecture
        )
    ]
    kept = [c for c in every if alone(c, ground.catalog, ground.until)]
    if not kept:
        raise StackError(_not_offered(found, asked, ground))
    if ground.stack.cudnn is not None:
        kept = _with_cudnn(kept, asked, ground)
    for gpu in ground.gpus:
        kept = _with_gpu(kept, gpu, asked, ground)
    return tuple(kept)


def _with_cudnn(found: list[Candidate], asked: Asked, ground: Ground) -> list[Candidate]:
    prefix = ground.stack.cudnn
    if prefix is None:
        return found
    kept = [c for c in found if alone(c, ground.catalog, ground.until, cudnn=prefix)]
    kept = [c for c in kept if c.known or _of_major(c, prefix)]
    if not kept:
        pin = found[-1].build.pins.get(cudnn_package(found[-1].toolkit), "of another version")
        keys = ground.keys(asked, "cudnn")
        raise StackError(refusals.cudnn_mismatch(found, prefix, pin, keys))
    return kept


def _of_major(candidate: Candidate, prefix: Prefix) -> bool:
    """Tell whether a build whose pins are not known may be of the cuDNN major that is asked for.

    A release is written against one cuDNN major, on whichever index it is.
    """
    pins = candidate.build.pins.items()
    exact = [s for name, s in pins if name.startswith("nvidia-cudnn-cu") and s.startswith("==")]
    return not exact or any(int(s[2:].partition(".")[0]) == prefix.parts[0] for s in exact)


def _with_gpu(found: list[Candidate], gpu: Gpu, asked: Asked, ground: Ground) -> list[Candidate]:
    keys = ground.keys(asked, "gpus")
    kept = [c for c in found if not c.code or any(each.runs_on(gpu.arch) for each in c.code)]
    if not kept:
        raise StackError(refusals.gpu_not_in_wheel(found, gpu, keys))
    found = kept
    cudnn = ground.stack.cudnn
    kept = [c for c in kept if cudnn_for(c, gpu, ground.catalog, ground.until, cudnn=cudnn) != 0]
    if not kept:
        newest = found[-1]
        pin = newest.build.pins.get(cudnn_package(newest.toolkit), "")
        what = f"the cuDNN {pin.removeprefix('==')} of {newest.build.release.name} {newest.version}"
        if cudnn is not None:
            what, keys = f"cuDNN {cudnn}", (*keys, ground.stack.keys["cudnn"])
        row = ground.catalog.facts.cudnn[-1]
        raise StackError(refusals.gpu_not_in_cudnn(what, gpu, keys, row.cited))
    return kept


def _not_offered(found: list[Build], asked: Asked, ground: Ground) -> Reason:
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
