"""What a CUDA toolkit is made of: the versions of each component, and what must stay out.

NVIDIA's metapackage ``cuda-toolkit`` names the exact version of every component of a toolkit.
Exact versions are too strict (torch 2.7.1 pins nvrtc 12.6.77, the metapackage of 12.6.3 says
12.6.85), so the releases of one minor give a range. Source: research of 2026-11-22 on uv 0.13.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

    @property
    def specifier(self) -> str:
        """The range as PEP 508 writes it."""
        return f">={self.lowest},{self.below}"


@cache
def toolkits(catalog: Catalog) -> tuple[Cuda, ...]:
    """Return every toolkit that the catalog knows, newest first."""
    known = {Cuda(*each.version.release[:2]) for each in catalog.releases(METAPACKAGE)}
    known |= {each for row in catalog.facts.variant for each in row.toolkits}
    return tuple(sorted(known, reverse=True))


@cache
def components(catalog: Catalog, toolkit: Cuda) -> Mapping[str, Component]:
    """Return package -> component of ``toolkit``; empty for one without a metapackage."""
    seen: dict[str, list[Version]] = {}
    for each in catalog.releases(METAPACKAGE):
        if Cuda(*each.version.release[:2]) != toolkit:
            continue
        for package, specifier in each.release.metadata["any"].extras["all"].items():
            found = _EXACT.fullmatch(specifier) or _FLOOR.search(specifier)
            if found:
                seen.setdefault(package, []).append(Version(found[1]))
    return {
        package: Component(
            package=package,
            lowest=min(versions),
            below=_below(package, max(versions), catalog, toolkit),
        )
        for package, versions in sorted(seen.items())
    }


def _below(package: str, highest: Version, catalog: Catalog, toolkit: Cuda) -> str:
    """Return the bound above a component: where the next toolkit's begins.

    Not the metapackage's own newest version: that of 12.5.1 still names the components of 12.5.0,
    and tensorflow 2.18 pins those of 12.5.1. Source: both packages' metadata, read 2026-11-22.
    """
    if highest.release[:2] == (toolkit.major, toolkit.minor):
        return f"<{toolkit.major}.{toolkit.minor + 1}"
    newer = [each for each in toolkits(catalog) if each > toolkit]
    following = components(catalog, min(newer)) if newer else {}
    if package in following and following[package].lowest > highest:
        return f"<{following[package].lowest}"
    return f"<={highest}.99999"


@cache
def banned(catalog: Catalog, major: int) -> tuple[str, ...]:
    """Return the CUDA packages of every other toolkit major, sorted.

    One lock never holds two majors: cudnn, cusparselt, nccl and nvshmem of both overwrite each
    other's files, and of the others a process maps both.
    """
    of_major: dict[str, set[int]] = {}
    for each in catalog.releases(METAPACKAGE):
        for package in each.release.metadata["any"].extras["all"]:
            of_major.setdefault(package, set()).add(each.version.major)
    for other in range(11, 15):
        for stem in CLOBBERING:
            if f"{stem}-cu{other}" in catalog.raw:
                of_major.setdefault(f"{stem}-cu{other}", set()).add(other)
    return tuple(sorted(each for each, majors in of_major.items() if major not in majors))


def cuda_major(package: str, catalog: Catalog) -> int | None:
    """Return the toolkit major of a CUDA package by its name, or None for any other package."""
    stem, _, major = package.rpartition("-cu")
    if stem in CLOBBERING and major.isdigit():
        return int(major)
    for each in reversed(catalog.releases(METAPACKAGE)):
        if package in each.release.metadata["any"].extras["all"]:
            return each.version.major
    return None


@cache
def _versions(catalog: Catalog, package: str, until: str) -> tuple[Version, ...]:
    rows = catalog.releases(package)
    return tuple(r.version for r in rows if r.release.date <= until and r.release.yanked is None)


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


def newest_in(catalog: Catalog, package: str, bits: int, until: str) -> Version | None:
    """Return the newest release that a bit set of ``admitted`` holds."""
    return _versions(catalog, package, until)[bits.bit_length() - 1] if bits else None
