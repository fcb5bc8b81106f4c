"""Which builds of a framework a target can use: filters in a row, and who emptied the set.

Each filter is a fact about the target. The first that leaves nothing is the reason, and what it
was given is the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.errors import StackError
from mlenv.plan import absence, refusals
from mlenv.plan.candidate import Build, Candidate, builds, candidates
from mlenv.plan.fit import alone, cudnn_for, cudnn_package
from mlenv.plan.surmise import surmised
from mlenv.plan.tags import glibc, has_platform, requires_python, takes_python, within

if TYPE_CHECKING:
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
    found = _usable(_worthwhile(found, ground), asked, ground)
    return _offered(found, asked, ground)


def _in_range(asked: Asked, row: FrameworkRow, ground: Ground) -> list[Build] | None:
    majors = {each.major if each else None for each in ground.toolkits}
    if named := absence.named_majors(asked, row):
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
        raise StackError(absence.no_package(asked, row, ground))
    have.sort(key=lambda each: each.release.version)
    wanted = str(asked.requirement.specifier)
    return [build for build in have if within(build, wanted)] or None


def _worthwhile(found: list[Build], ground: Ground) -> list[Build]:
    """Return builds without those that no channel serves, where another of the same release is.

    Else a release that needs what this target lacks would be said to have no build at all: what
    remained of it would be the toolkits that it never was for.
    """
    served = {build for build in found if _is_served(build, ground)}
    releases = {build.release.text for build in served}
    return [b for b in found if b in served or b.release.text not in releases]


def _is_served(build: Build, ground: Ground) -> bool:
    return any(
        candidates(build, toolkit, catalog=ground.catalog, architecture=ground.architecture)
        for toolkit in ground.toolkits
        if toolkit is None or toolkit.major == build.major
    )


def _usable(found: list[Build], asked: Asked, ground: Ground) -> list[Build]:
    stack, cited, arch = ground.stack, ground.catalog.cited, ground.architecture
    kept = [b for b in found if b.release.release.yanked is None]
    if not kept:
        raise StackError(refusals.yanked(found, ground.keys(asked), cited))
    found, kept = kept, [b for b in kept if has_platform(b, arch)]
    if not kept:
        raise StackError(absence.no_file(found, asked, ground))
    found, kept = kept, [b for b in kept if _python_fits(b, ground)]
    if not kept:
        keys = ground.keys(asked, "python")
        what, cause = refusals.span(found), absence.pythons(found[-1], stack.python, arch)
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
    kept = [c for c in every if alone(c, ground.catalog, ground.until)] or _surmised(found, ground)
    if not kept:
        raise StackError(absence.not_offered(found, asked, ground))
    if ground.stack.cudnn is not None:
        kept = _with_cudnn(kept, asked, ground)
    for gpu in ground.gpus:
        kept = _with_gpu(kept, gpu, asked, ground)
    return tuple(kept)


def _surmised(found: list[Build], ground: Ground) -> list[Candidate]:
    """Return builds that only a look at the framework's own index would prove or refute.

    A toolkit that the spec names leads there; where it names none, what comes is what the default
    index serves.
    """
    if ground.stack.cuda is None:
        return []
    every = [
        surmised(build, toolkit, catalog=ground.catalog, architecture=ground.architecture)
        for build in found
        for toolkit in ground.toolkits
        if toolkit is not None and toolkit.major == build.major
    ]
    return [each for each in every if each is not None]


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
