"""What a CUDA toolkit is made of: the versions of each component, and what must stay out.

NVIDIA's metapackage ``cuda-toolkit`` names the exact version of every component of a toolkit.
Exact versions are too strict (torch 2.7.1 pins nvrtc 12.6.77, the metapackage of 12.6.3 says
12.6.85), so the releases of one minor give a range. Source: research of 2026-11-22 on uv 0.13.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mlenv.cuda import Cuda

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.catalog.load import Catalog

METAPACKAGE = "cuda-toolkit"
CLOBBERING = ("nvidia-cudnn", "nvidia-cusparselt", "nvidia-nccl", "nvidia-nvshmem")
"""Packages whose ``-cu12`` and ``-cu13`` wheels write the same paths: each pair was compared.
Source: zip directories of the wheels, read 2026-11-22."""

_EXACT = re.compile(r"==([\d.]+?)(\.\*)?")
_FLOOR = re.compile(r">=([\d.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component of a toolkit: its package, and the versions that belong to it."""

    package: str
    lowest: Version
    below: str
    """A PEP 440 upper bound, operator included."""
    specifier: str = field(init=False)
    """The range as PEP 508 writes it."""

    def __post_init__(self) -> None:
        """Write the range once: a plan asks for it some thousand times."""
        object.__setattr__(self, "specifier", f">={self.lowest},{self.below}")


@cache
def toolkits(catalog: Catalog) -> tuple[Cuda, ...]:
    """Return every toolkit that the catalog knows, newest first."""
    known = {Cuda(*version.release[:2]) for version, _ in _metapackages(catalog)}
    known |= {each for row in catalog.facts.variant for each in row.toolkits}
    return tuple(sorted(known, reverse=True))


@cache
def components(catalog: Catalog, toolkit: Cuda) -> Mapping[str, Component]:
    """Return package -> component of ``toolkit``; empty for one without a metapackage."""
    newer = [each for each in toolkits(catalog) if each > toolkit]
    following = _named(catalog, min(newer)) if newer else {}
    return {
        package: Component(
            package=package,
            lowest=min(versions),
            below=_below(max(versions), following.get(package, ()), toolkit),
        )
        for package, versions in sorted(_named(catalog, toolkit).items())
    }


@cache
def _named(catalog: Catalog, toolkit: Cuda) -> Mapping[str, tuple[Version, ...]]:
    """Return package -> the versions of it that the metapackages of a toolkit name."""
    seen: dict[str, tuple[Version, ...]] = {}
    for version, parts in _metapackages(catalog):
        if Cuda(*version.release[:2]) != toolkit:
            continue
        for package, specifier in parts.items():
            found = _EXACT.fullmatch(specifier) or _FLOOR.search(specifier)
            if found:
                seen[package] = (*seen.get(package, ()), Version(found[1]))
    return seen


def _below(highest: Version, following: tuple[Version, ...], toolkit: Cuda) -> str:
    """Return the bound above a component: where the next toolkit's begins.

    Not the metapackage's own newest version: that of 12.5.1 still names the components of 12.5.0,
    and tensorflow 2.18 pins those of 12.5.1. Source: both packages' metadata, read 2026-11-22.
    """
    if highest.release[:2] == (toolkit.major, toolkit.minor):
        return f"<{toolkit.major}.{toolkit.minor + 1}"
    if following and min(following) > highest:
        return f"<{min(following)}"
    return f"<={highest}.99999"


@cache
def banned(catalog: Catalog, major: int) -> tuple[str, ...]:
    """Return the CUDA packages of every other toolkit major, sorted.

    One lock never holds two majors: cudnn, cusparselt, nccl and nvshmem of both overwrite each
    other's files, and of the others a process maps both.
    """
    of_major: dict[str, set[int]] = {}
    for version, parts in _metapackages(catalog):
        for package in parts:
            of_major.setdefault(package, set()).add(version.major)
    for other in range(11, 15):
        for stem in CLOBBERING:
            if f"{stem}-cu{other}" in catalog.raw:
                of_major.setdefault(f"{stem}-cu{other}", set()).add(other)
    return tuple(sorted(each for each, majors in of_major.items() if major not in majors))


@cache
def cuda_major(package: str, catalog: Catalog) -> int | None:
    """Return the toolkit major of a CUDA package by its name, or None for any other package."""
    stem, _, major = package.rpartition("-cu")
    if stem in CLOBBERING and major.isdigit():
        return int(major)
    for version, parts in reversed(_metapackages(catalog)):
        if package in parts:
            return version.major
    return None


@cache
def _metapackages(catalog: Catalog) -> tuple[tuple[Version, Mapping[str, str]], ...]:
    """Return the metapackage's releases, ascending, each with its components."""
    rows = catalog.releases(METAPACKAGE)
    return tuple((each.version, each.release.metadata["any"].extras["all"]) for each in rows)


@cache
def _versions(catalog: Catalog, package: str, until: str) -> tuple[Version, ...]:
    # read raw: of some sixty component packages nothing but these three words is ever asked
    rows = catalog.raw.get(package, {}).items()
    kept = (text for text, row in rows if row["date"] <= until and row.get("yanked") is None)
    return tuple(sorted(map(Version, kept)))


@cache
def admitted(catalog: Catalog, package: str, specifier: str, until: str) -> int | None:
    """Return the releases of ``package`` in ``specifier`` as a bit set; None if uncatalogued.

    Args:
        catalog: the facts.
        package: its normalised name.
        specifier: PEP 440; ``*`` is any.
        until: nothing published after this day counts, ``YYYY-MM-DD``.
    """
    versions = _versions(catalog, package, until)
    if not versions:
        return None
    if specifier in {"", "*"}:
        return (1 << len(versions)) - 1
    exact = _EXACT.fullmatch(specifier)
    if exact and not exact[2]:
        wanted = Version(exact[1])
        return sum(1 << i for i, each in enumerate(versions) if each == wanted)
    allowed = SpecifierSet(specifier)
    return sum(1 << i for i, each in enumerate(versions) if allowed.contains(each))
