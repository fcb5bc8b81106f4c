"""What the binaries of a lock need and hold, against what it brings and what the GPUs are.

A library that a file asks the loader for must be in some wheel of the lock; what a program opens
by itself later stands nowhere and is not judged. What could not be read is unknown, never good.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlenv.audit.readings import carriers, known_code, readings
from mlenv.catalog.carriers import carrier
from mlenv.errors import Reason
from mlenv.plan import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlenv.audit.inside import Locked
    from mlenv.audit.readings import Reading
    from mlenv.catalog.load import Catalog
    from mlenv.cuda import Code
    from mlenv.plan.model import Chosen, Plan

LIBRARIES: Mapping[str, str] = {
    "libcublas": "cublas",
    "libcublasLt": "cublas",
    "libcudart": "cuda-runtime",
    "libcudnn": "cudnn",
    "libcufft": "cufft",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparse": "cusparse",
    "libnccl": "nccl",
    "libnvJitLink": "nvjitlink",
    "libnvrtc": "cuda-nvrtc",
}
"""Library -> the word in the name of the package that brings it. What is not here, such as
libcuda and libnvidia-ml of the driver, is nobody's to bring."""

_SONAME = re.compile(rf"({'|'.join(LIBRARIES)})\.so\.(\d+)(?:\.\d+)*")
_BY_TOOLKIT = {"libcublas", "libcublasLt", "libcudart", "libnvJitLink", "libnvrtc"}
"""Libraries whose number is the toolkit's major."""
_LAST_WITH_SUFFIX = 12
"""From CUDA 13 on only cudnn and nccl carry the major in their package's name."""
_FIX_UNREAD = "lock once without --offline"


def is_cuda_library(soname: str) -> bool:
    """Tell whether a needed name is a CUDA library that a wheel has to bring."""
    return _SONAME.fullmatch(soname) is not None


def examined(
    plan: Plan, locked: Sequence[Locked], catalog: Catalog
) -> tuple[tuple[str, Reason], ...]:
    """Return every finding of the binaries, each with the package whose they are."""
    by_name = {each.name: each for each in locked}
    brought = _brought(locked)
    found: list[tuple[str, Reason]] = []
    for reading in readings(plan, locked, catalog):
        each = by_name[reading.package]
        found += ((each.name, one) for one in _unread(plan, each, reading))
        if reading.needs:
            found += ((each.name, one) for one in _sonames(plan, each, brought))
    for each in locked:
        found += ((each.name, one) for one in _kernels(plan, each, catalog))
    return tuple(found)


def unsettled(plan: Plan, locked: Sequence[Locked], catalog: Catalog) -> tuple[Reason, ...]:
    """Return the plan's warnings without those that the solve and the binaries settle."""
    by_name = {each.name: each for each in locked}
    settled = {
        each.asked.key
        for each in plan.frameworks
        if each.candidate is not None and _runs_everywhere(plan, each, by_name, catalog)
    }
    return tuple(
        each
        for each in plan.warnings
        if each.code != "fact-unknown" or len(each.where) != 1 or each.where[0] not in settled
    )


def _runs_everywhere(
    plan: Plan, chosen: Chosen, by_name: Mapping[str, Locked], catalog: Catalog
) -> bool:
    """Tell whether a framework has code for every GPU, by the catalog or by what was read."""
    held = [
        code
        for name in carriers(chosen, catalog)
        if name in by_name
        for code in _code(plan, by_name[name], catalog)[0]
    ]
    return all(any(code.runs_on(gpu.arch) for code in held) for gpu in plan.gpus)


def _code(plan: Plan, each: Locked, catalog: Catalog) -> tuple[tuple[Code, ...], str, bool]:
    """Return the GPU code of a wheel, who says so, and whether that is all."""
    known, source = known_code(each, plan, catalog)
    if known:
        return known, source, True
    if each.inside is None or each.inside.binaries.code is None:
        return (), "", False
    binaries = each.inside.binaries
    return binaries.code or (), f"the code inside {each.filename}", binaries.whole


def _kernels(plan: Plan, each: Locked, catalog: Catalog) -> Iterator[Reason]:
    row = carrier(each.name)
    frameworks = {name for chosen in plan.frameworks for name in carriers(chosen, catalog)}
    if each.name not in frameworks and (row is None or row.kernels != "compiled"):
        return
    code, source, whole = _code(plan, each, catalog)
    for gpu in plan.gpus:
        if not code or any(one.runs_on(gpu.arch) for one in code):
            continue
        what = f"{each.name} {each.version}"
        keys = _lines(plan, each.name) or (plan.stack.keys["gpus"],)
        if whole:
            yield refusals.no_code(what, code, gpu, keys, source)
        else:
            said = f"whether {what} has code for {gpu.name} is not known"
            cause = f"what was read of {each.filename} has none, and the rest is too long to read"
            yield refusals.fact_unknown(said, cause, keys)
        return


def _unread(plan: Plan, each: Locked, reading: Reading) -> Iterator[Reason]:
    binaries = each.inside.binaries if each.inside else None
    if binaries is None:
        return
    lacks = [
        *(["which CUDA libraries it needs"] if reading.needs and binaries.needs is None else []),
        *(["which GPUs it has code for"] if reading.code and binaries.code is None else []),
    ]
    if lacks:
        what = f"{' and '.join(lacks)} is not known of {each.name} {each.version}"
        cause = f"{each.filename} was never looked into, and no socket may be opened"
        reason = refusals.fact_unknown(what, cause, _lines(plan, each.name))
        yield replace(reason, fix=_FIX_UNREAD)


def _brought(locked: Iterable[Locked]) -> Mapping[str, Mapping[str, str]]:
    """Return library -> soname -> the package that brings it, for CUDA libraries."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for each in locked:
        for path in each.inside.files if each.inside else ():
            name = path.rpartition("/")[2]
            if match := _SONAME.fullmatch(name):
                found[match[1]].setdefault(name, f"{each.name} {each.version}")
    return found


def _sonames(
    plan: Plan, each: Locked, brought: Mapping[str, Mapping[str, str]]
) -> Iterator[Reason]:
    """Yield the libraries that no wheel brings, told once a package.

    Where a wheel has files for several majors, one that fits is enough: it chooses among them.
    """
    needs = each.inside.binaries.needs if each.inside else None
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for path, names in (needs or {}).items():
        for name in names:
            if match := _SONAME.fullmatch(name):
                wanted[match[1]].setdefault(name, path)
    lacking = {
        library: dict(names)
        for library, names in wanted.items()
        if not any(_is_there(name, brought.get(library, {})) for name in names)
    }
    others = {library: names for library, names in lacking.items() if brought.get(library)}
    if others:
        yield _mismatch(plan, each, others, brought)
    elif lacking and plan.stack.gpus and carrier(each.name) is not None:
        yield _nobody(plan, each, lacking)


def _is_there(wanted: str, names: Iterable[str]) -> bool:
    # a copy under its full version is found by those who look for it under their own path
    return any(name == wanted or name.startswith(f"{wanted}.") for name in names)


def _mismatch(
    plan: Plan,
    each: Locked,
    lacking: Mapping[str, Mapping[str, str]],
    brought: Mapping[str, Mapping[str, str]],
) -> Reason:
    library = min(lacking, key=lambda name: (name != "libcudart", name))
    soname, path = max(lacking[library].items())
    other, package = max(brought[library].items())
    fix = f"choose a release of {each.name} that is built for CUDA {plan.toolkit}"
    if library in _BY_TOOLKIT and (match := _SONAME.fullmatch(soname)):
        fix += f', or set `cuda = "{match[2]}"`'
    cause = f"{path} in it needs {soname}; the lock brings {other} ({package})"
    return _reason(plan, each, f"{soname}, which the lock does not bring", cause, fix)


def _nobody(plan: Plan, each: Locked, lacking: Mapping[str, Mapping[str, str]]) -> Reason:
    """Return what it means that no wheel has a library: it may lie in the base, or on a machine."""
    names = ", ".join(sorted(name for names in lacking.values() for name in names))
    path = min(path for names in lacking.values() for path in names.values())
    packages = ", ".join(sorted({_package(plan, library) for library in lacking}))
    fix = f"add {packages} to `packages`"
    cause = f"{path} in it asks the loader for it, and no package that it requires has it"
    stack = plan.stack
    if stack.base == "auto" and stack.glibc is None:
        return _reason(plan, each, f"{names}, which nothing in the lock brings", cause, fix)
    what = f"whether {names} is there, which {each.name} {each.version} needs, is not known"
    cause += "; the base image or the machine may have it"
    return replace(refusals.fact_unknown(what, cause, _lines(plan, each.name)), fix=fix)


def _package(plan: Plan, library: str) -> str:
    word, major = LIBRARIES[library], plan.toolkit.major if plan.toolkit else 0
    suffixed = major <= _LAST_WITH_SUFFIX or word in {"cudnn", "nccl"}
    return f"`nvidia-{word}-cu{major}`" if suffixed else f"`nvidia-{word}=={major}.*`"


def _reason(plan: Plan, each: Locked, what: str, cause: str, fix: str) -> Reason:
    return Reason(
        code="soname-mismatch",
        what=f"{each.name} {each.version} needs {what}",
        cause=cause,
        fix=fix,
        where=_lines(plan, each.name),
        source=f"DT_NEEDED inside {each.filename}",
    )


def _lines(plan: Plan, package: str) -> tuple[str, ...]:
    return tuple(
        each.key
        for each in plan.requirements
        if canonicalize_name(Requirement(each.text).name) == package
    )
