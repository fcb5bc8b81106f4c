"""Which Pythons, platforms and glibc the wheels of a build are for: their tags, both bounds.

A build is one release with all that it needs, so every answer is that of all its parts.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from mlenv.machine import Glibc

if TYPE_CHECKING:
    from mlenv.catalog.rows import VersionedRelease
    from mlenv.machine import Python
    from mlenv.plan.candidate import Build


@cache
def within(build: Build, specifier: str) -> bool:
    """Tell whether a build's release is in a PEP 440 range; prereleases never are."""
    return _range(specifier).contains(build.release.version, prereleases=False)


@cache
def _range(specifier: str) -> SpecifierSet:
    return SpecifierSet(specifier)


@cache
def takes_python(build: Build, python: Python, architecture: str) -> bool:
    """Tell whether every part has a wheel whose tag admits ``python``.

    Where its makers publish a wheel for just this ABI, what has none there is marked out in it:
    torch 2.5.1 is there for Python 3.13, and requires triton below 3.13 alone.
    """
    if python.abi in _tags(build.release, architecture):
        return True
    return all(any(_takes(e, python, architecture) for e in each) for each in build.parts)


def refusing(build: Build, python: Python, architecture: str) -> VersionedRelease:
    """Return the part of a build that has nothing for ``python``; the release where all have."""
    for each in build.parts:
        fits = (p for p in each if _takes(p, python, architecture) and _requires(p, python))
        if next(fits, None) is None:
            return each[-1]
    return build.release


@cache
def requires_python(build: Build, python: Python) -> bool:
    """Tell whether every part's Requires-Python admits ``python``, by both bounds."""
    return all(any(_requires(part, python) for part in each) for each in build.parts)


def _requires(part: VersionedRelease, python: Python) -> bool:
    return any(part.python.contains(f"{python.short}.{patch}") for patch in (0, 99))


@cache
def has_platform(build: Build, architecture: str) -> bool:
    """Tell whether every part has any wheel for ``architecture``."""
    return all(
        any(not {"any", architecture}.isdisjoint(part.release.wheels) for part in each)
        for each in build.parts
    )


@cache
def _takes(part: VersionedRelease, python: Python, architecture: str) -> bool:
    return any(_admits(tag, python) for tag in _tags(part, architecture))


def _tags(part: VersionedRelease, architecture: str) -> tuple[str, ...]:
    wheels = part.release.wheels
    return tuple(t for key in ("any", architecture) if key in wheels for t in wheels[key].python)


def _admits(tag: str, python: Python) -> bool:
    if tag in {python.abi, "py3"}:
        return True
    if stable := re.fullmatch(r"abi3>=cp3(\d+)", tag):
        return not python.free_threaded and int(stable[1]) <= python.minor
    generic = re.fullmatch(r"py3(\d+)", tag)
    return generic is not None and int(generic[1]) <= python.minor


@cache
def glibc(build: Build, architecture: str) -> Glibc | None:
    """Return the glibc that the wheels of all parts need, or None where none needs one."""
    found = []
    for alternatives in build.parts:
        wheels = [part.release.wheels.get(architecture) for part in alternatives]
        floors = [Glibc.parse(each.glibc[0]) if each and each.glibc else None for each in wheels]
        if None not in floors:
            found.append(min(floor for floor in floors if floor))
    return max(found, default=None)
