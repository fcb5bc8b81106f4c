"""Whether builds can share one set of CUDA libraries: bit sets over published versions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mlenv.plan.toolkits import METAPACKAGE, admitted, components

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.version import Version

    from mlenv.catalog.load import Catalog
    from mlenv.cuda import Cuda, Gpu
    from mlenv.machine import Prefix
    from mlenv.plan.candidate import Candidate

Bits = dict[str, int]
"""CUDA package -> the set of its releases that still fit."""


def cudnn_package(toolkit: Cuda | None) -> str:
    """Return the name of the cuDNN package for a toolkit."""
    return f"nvidia-cudnn-cu{toolkit.major}" if toolkit else ""


def nccl_package(toolkit: Cuda | None) -> str:
    """Return the name of the NCCL package for a toolkit."""
    return f"nvidia-nccl-cu{toolkit.major}" if toolkit else ""


@cache
def bits(candidate: Candidate, catalog: Catalog, until: str) -> Mapping[str, int]:
    """Return the releases of each CUDA package that a candidate and its toolkit admit."""
    toolkit = candidate.toolkit
    if toolkit is None or not candidate.known:
        return {}
    parts = components(catalog, toolkit)
    found: Bits = {}
    for package, specifier in candidate.build.pins.items():
        allowed = admitted(catalog, package, specifier, until)
        if allowed is None:
            continue
        if package == METAPACKAGE and parts:
            allowed &= admitted(catalog, package, f"=={toolkit}.*", until) or 0
        elif package in parts:
            allowed &= admitted(catalog, package, parts[package].specifier, until) or 0
        found[package] = allowed
    return found


@cache
def alone(
    candidate: Candidate, catalog: Catalog, until: str, *, cudnn: Prefix | None = None
) -> bool:
    """Tell whether a candidate fits its toolkit, and a cuDNN prefix, by itself."""
    found = bits(candidate, catalog, until)
    package = cudnn_package(candidate.toolkit)
    if cudnn is not None and package in found:
        held = found[package] & (admitted(catalog, package, f"=={cudnn}.*", until) or 0)
        return held != 0 and all(found.values())
    return all(found.values())


@cache
def cudnn_for(
    candidate: Candidate, gpu: Gpu, catalog: Catalog, until: str, *, cudnn: Prefix | None = None
) -> int | None:
    """Return the cuDNN releases of a candidate that have kernels for ``gpu``; None if it has none.

    Of those that the prefix ``cudnn`` covers, where the spec holds one.

    A release between two support matrices counts as without: nothing says that it has them.
    """
    package = cudnn_package(candidate.toolkit)
    found = bits(candidate, catalog, until).get(package)
    if cudnn is not None:
        held = admitted(catalog, package, f"=={cudnn}.*", until) or 0
        found = held or None if found is None else found & held
    if found is None:
        return None
    served = 0
    for row in catalog.facts.cudnn:
        if row.capability_first is None or gpu.arch < row.capability_first:
            continue
        specifier = f">={row.first}" + (f",<{row.below}" if row.below else "")
        served |= admitted(catalog, package, specifier, until) or 0
    return found & served


def together(
    groups: Sequence[Sequence[Candidate]], catalog: Catalog, until: str
) -> tuple[Candidate, ...] | None:
    """Return the first candidate of each group, in order, that all share their CUDA libraries.

    The groups come newest first, so the first framework of a spec is the newest that can be.
    """
    return _extend((), {}, groups, catalog, until)


def _extend(
    chosen: tuple[Candidate, ...],
    held: Mapping[str, int],
    groups: Sequence[Sequence[Candidate]],
    catalog: Catalog,
    until: str,
) -> tuple[Candidate, ...] | None:
    if not groups:
        return chosen
    for candidate in groups[0]:
        own = bits(candidate, catalog, until)
        both = {package: held.get(package, -1) & own[package] for package in own}
        if all(both.values()):
            found = _extend((*chosen, candidate), {**held, **both}, groups[1:], catalog, until)
            if found:
                return found
    return None


def quarrel(
    first: Candidate, second: Candidate, catalog: Catalog, until: str
) -> tuple[str, str, str] | None:
    """Return a CUDA package that two candidates cannot share, and what each wants of it."""
    one, two = bits(first, catalog, until), bits(second, catalog, until)
    for package in sorted(one.keys() & two.keys(), key=_weight):
        if not one[package] & two[package]:
            return package, first.build.pins[package], second.build.pins[package]
    return None


def _weight(package: str) -> tuple[bool, bool, str]:
    return ("cudnn" not in package, "nccl" not in package, package)


def cudnn_below(gpus: Sequence[Gpu], catalog: Catalog) -> tuple[Version | str, str] | None:
    """Return the first cuDNN that no longer serves all GPUs, and the source of that."""
    for row in catalog.facts.cudnn:
        first = row.capability_first
        if row.below and first is not None and _left_behind(gpus, catalog):
            return row.below, row.cited
    return None


def _left_behind(gpus: Sequence[Gpu], catalog: Catalog) -> bool:
    newest = catalog.facts.cudnn[-1].capability_first
    return newest is not None and any(gpu.arch < newest for gpu in gpus)
