"""Which binaries of a lock are worth reading: few, for each costs megabytes.

Only packages that carry CUDA code of their own; of these not what their metadata settles already:
a framework's release pins the very libraries it needs, and much GPU code is in the catalog.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from mlenv.catalog.carriers import carrier
from mlenv.machine import ARCHITECTURES
from mlenv.plan.candidate import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlenv.audit.inside import Inside, Locked
    from mlenv.catalog.load import Catalog
    from mlenv.cuda import Code, Cuda
    from mlenv.machine import Python
    from mlenv.plan.model import Chosen, Plan

_TAG = re.compile(r"cu(?:da)?[_-]?(1[1-9])(\d)(?!\d)")
_CPYTHON = re.compile(r"\.cpython-3(\d+)(t?)-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is to be read of one package."""

    package: str
    needs: tuple[str, ...] = ()
    """The files to ask for what they need, the cheapest first."""
    code: tuple[str, ...] = ()
    """The files to look for GPU code in, the likeliest first."""
    flags: bool = False
    """Whether ``code`` lists what the wheel was compiled for in words."""


def readings(plan: Plan, locked: Iterable[Locked], catalog: Catalog) -> tuple[Reading, ...]:
    """Return what is to be read of the packages of a lock, by name."""
    if plan.toolkit is None:
        return ()
    pinned = {name for each in plan.frameworks for name in _pinned(each)}
    kernels = {name for each in plan.frameworks for name in carriers(each, catalog)}
    found = []
    for each in locked:
        if each.inside is None or each.name.startswith("nvidia-"):
            continue
        files = tuple(_own(each.inside, plan.stack.python, plan.toolkit))
        linked = files and each.name not in pinned and _is_candidate(each, catalog)
        scanned = plan.gpus and _has_kernels(each, kernels)
        scanned = scanned and not known_code(each, plan, catalog)[0]
        reading = Reading(
            package=each.name,
            needs=_smallest(files, each.inside) if linked else (),
            code=_likeliest(each, files, plan.toolkit) if scanned else (),
            flags=_flags(each) is not None,
        )
        if reading.needs or reading.code:
            found.append(reading)
    return tuple(found)


def carriers(chosen: Chosen, catalog: Catalog) -> tuple[str, ...]:
    """Return the packages whose wheels hold the GPU code of a framework."""
    row = catalog.framework(chosen.asked.requirement.name)
    if row is None:
        return ()
    return row.carrier or tuple(row.distribution.values())


def known_code(each: Locked, plan: Plan, catalog: Catalog) -> tuple[tuple[Code, ...], str]:
    """Return what the catalog says of a wheel's GPU code, and the source; empty for nothing."""
    version, architecture = Version(each.version), ARCHITECTURES[plan.stack.platform]
    public = Version(version.public)
    if version.local is None:
        rows = (row for row in catalog.releases(each.name) if row.version == public)
        said = next((metadata(row.release, architecture) for row in rows), None)
        if said and said.code:
            return said.code, f"{said.file} ({catalog.cited})"
    return catalog.code(each.name, public, toolkit=plan.toolkit, architecture=architecture)


def _pinned(chosen: Chosen) -> Iterator[str]:
    """Yield the packages of a framework whose metadata names the CUDA libraries they need."""
    if chosen.candidate is not None and chosen.candidate.build.pins:
        yield from (each[-1].name for each in chosen.candidate.build.parts)


def _is_candidate(each: Locked, catalog: Catalog) -> bool:
    row = carrier(each.name)
    if row is not None:
        return row.kernels != "optional"
    if any(each.name in known.packages for known in catalog.frameworks.values()):
        return True
    return any("cuda" in path.lower() for path in _shared(each.inside) if each.inside)


def _has_kernels(each: Locked, frameworks: set[str]) -> bool:
    row = carrier(each.name)
    compiled = row is not None and row.kernels == "compiled"
    return compiled or (each.name in frameworks and row is None)


def _shared(inside: Inside | None) -> Iterator[str]:
    """Yield the shared objects of a wheel; copies of libraries that auditwheel put in are none."""
    for path in inside.files if inside else ():
        name = path.rpartition("/")[2]
        if (name.endswith(".so") or ".so." in name) and ".libs/" not in path:
            yield path


def _own(inside: Inside, python: Python, toolkit: Cuda) -> Iterator[str]:
    """Yield the shared objects that a target loads: of its interpreter, and of its toolkit.

    Some wheels hold one file for each toolkit, and choose among them by name.
    """
    mine = (python.minor, "t" if python.free_threaded else "")
    files = [
        path
        for path in _shared(inside)
        if not (found := _CPYTHON.search(path)) or (int(found[1]), found[2]) == mine
    ]
    tagged = {path: int(found[1]) for path in files if (found := _tag(path))}
    fitting = {path for path, major in tagged.items() if major == toolkit.major}
    yield from (path for path in files if not fitting or path not in tagged or path in fitting)


def _tag(path: str) -> re.Match[str] | None:
    return _TAG.search(path.rpartition("/")[2])


def _smallest(files: Iterable[str], inside: Inside) -> tuple[str, ...]:
    """Return the files in the order in which they tell most for least: by tag, then by size."""

    def place(path: str) -> tuple[int, int, str]:
        tag = _tag(path)
        newest = -int(tag[1] + tag[2]) if tag else 0
        return newest, inside.files[path][0], path

    return tuple(sorted(files, key=place))


def _flags(each: Locked) -> str | None:
    row = carrier(each.name)
    return row.flags if row and each.inside and row.flags in each.inside.files else None


def _likeliest(each: Locked, files: Iterable[str], toolkit: Cuda) -> tuple[str, ...]:
    """Return the files for the very toolkit before the others, and the biggest before the rest."""
    flags, inside = _flags(each), each.inside
    if flags is not None or inside is None:
        return (flags,) if flags else ()

    def place(path: str) -> tuple[bool, int, str]:
        tag = _tag(path)
        exact = tag is not None and (int(tag[1]), int(tag[2])) == (toolkit.major, toolkit.minor)
        return not exact, -inside.files[path][0], path

    return tuple(sorted(files, key=place))
