"""What planning for one target stands on: the stack, the facts, and what both come down to."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlenv.cuda import Arch, Cuda, Gpu
from mlenv.errors import Reason, UsageError
from mlenv.machine import ARCHITECTURES, Glibc, Prefix
from mlenv.plan.toolkits import toolkits

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog
    from mlenv.spec.stack import Asked, Stack

UNKNOWN_GLIBC = Glibc(2, 28)
"""Assumed of a base image that no row knows: what today's wheels of the frameworks need."""

NVCC = "image.compile"
"""The key that asks for the CUDA compiler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """The image that a stack starts from."""

    reference: str
    why: str
    source: str
    brings_python: bool
    """Whether the interpreter is in it; else a hash-verified one is put beside it."""
    surmised: bool = False
    """Whether no row names this tag, so that there may be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every filter stands on."""

    stack: Stack
    catalog: Catalog
    architecture: str
    until: str
    """The last whole day before ``exclude-newer``, ``YYYY-MM-DD``."""
    toolkits: tuple[Cuda | None, ...]
    """The toolkits that ``cuda`` covers, newest first; None alone for a CPU stack."""
    gpus: tuple[Gpu, ...]
    glibc: Glibc

    def keys(self, asked: Asked, *words: str) -> tuple[str, ...]:
        """Return the key paths of a framework's line and of ``words``, those that were written."""
        stack = self.stack
        written = {
            "cuda": stack.cuda is not None,
            "cudnn": stack.cudnn is not None,
            "driver": stack.driver is not None,
            "glibc": stack.glibc is not None,
            "gpus": bool(stack.gpus),
            "platform": stack.target is not None,
            "python": True,
        }
        return (asked.key, *(stack.keys[word] for word in words if written[word]))


def footing(stack: Stack, catalog: Catalog, toolkit: Cuda | None) -> Footing:
    """Return the base image of a stack.

    The wheels bring all of CUDA's userland: on an nvidia/cuda base it would lie there twice. Such
    a base is taken only for what no wheel brings: nvcc, and NVIDIA's own forward compatibility.
    """
    if stack.base != "auto":
        row = catalog.base(stack.base)
        return Footing(
            reference=stack.base,
            why=f"`{stack.keys['base']}` says so",
            source="the spec",
            brings_python=row is None or row.python,
        )
    key = system_key(stack)
    if key is not None:
        return _system(key, catalog, toolkit)
    if stack.backend == "conda":
        return Footing(
            reference="debian:bookworm-slim",
            why="the smallest image with a glibc of 2.36; conda brings Python and CUDA",
            source="mlenv's base images",
            brings_python=False,
        )
    free = stack.python.free_threaded
    why = "the smallest image with this Python and a glibc of 2.36; CUDA comes with the wheels"
    if free:
        why = f"the smallest image with a glibc of 2.36; no official one has Python {stack.python}"
    return Footing(
        reference="debian:bookworm-slim" if free else f"python:{stack.python.short}-slim-bookworm",
        why=why,
        source="mlenv's base images",
        brings_python=not free,
    )


def system_key(stack: Stack) -> str | None:
    """Return the key by which an ``auto`` base must be one of nvidia/cuda; None for any other."""
    if stack.base != "auto":
        return None
    if stack.spec.image.compile == "nvcc" and stack.backend == "uv":  # conda has a package of it
        return NVCC
    return stack.keys["cuda-compat"] if stack.cuda_compat else None


def _system(key: str, catalog: Catalog, toolkit: Cuda | None) -> Footing:
    rows = catalog.facts.cuda_image
    newest = max(rows, key=lambda each: each.toolkit)
    row = newest if toolkit is None else next((r for r in rows if r.toolkit == toolkit), None)
    release, system = (row.release, row.system) if row else (f"{toolkit}.0", newest.system)
    kind, brought = ("devel", "nvcc") if key == NVCC else ("base", "cuda-compat")
    return Footing(
        reference=f"nvidia/cuda:{release}-{kind}-{system}",
        why=f"`{key}` asks for {brought}, which no wheel brings",
        source=row.cited if row else "the names of the other toolkits' images",
        brings_python=False,
        surmised=row is None,
    )


def ground_of(
    stack: Stack,
    catalog: Catalog,
    *,
    exclude_newer: str,
    skip: frozenset[Cuda],
    held: Cuda | None = None,
) -> Ground:
    """Return what planning stands on; ``held`` is the one toolkit that is left, if there is one.

    Raises:
        UsageError: ``gpu-unknown``.
    """
    instant = datetime.fromisoformat(exclude_newer)
    covered = (held,) if held is not None else _toolkits(stack, catalog, skip)
    bases = {footing(stack, catalog, each).reference for each in covered or (None,)}
    own = min(catalog.base_glibc(each) or UNKNOWN_GLIBC for each in bases)
    return Ground(
        stack=stack,
        catalog=catalog,
        architecture=ARCHITECTURES[stack.platform],
        until=(instant - timedelta(days=1)).date().isoformat(),
        toolkits=covered,
        gpus=_gpus(stack, catalog),
        glibc=min(stack.glibc, own) if stack.glibc else own,
    )


def _toolkits(stack: Stack, catalog: Catalog, skip: frozenset[Cuda]) -> tuple[Cuda | None, ...]:
    if stack.cuda == "cpu":
        return (None,)
    every = [each for each in toolkits(catalog) if each not in skip]
    if isinstance(stack.cuda, Prefix):
        parts = stack.cuda.parts
        covered = tuple(t for t in every if (t.major, t.minor)[: len(parts)] == parts)
        if covered or len(parts) == 1:
            return covered
        return (Cuda(parts[0], parts[1]),)
    return tuple(every)


def _gpus(stack: Stack, catalog: Catalog) -> tuple[Gpu, ...]:
    found = []
    unknown = []
    for index, name in enumerate(stack.gpus):
        row = catalog.gpu(name)
        if row is not None:
            found.append(Gpu(name=name, arch=row.capability, brand=row.brand))
            continue
        try:
            arch = Arch.parse(name)
            found.append(Gpu(name=name, arch=arch, brand=catalog.brand(arch)))
        except ValueError:
            near = difflib.get_close_matches(name, catalog.gpu_names(), n=1)
            unknown.append(
                Reason(
                    code="gpu-unknown",
                    what=f"no GPU is known as {name!r}"
                    + (f" (did you mean {near[0]!r}?)" if near else ""),
                    cause="the catalog has no compute capability for it",
                    fix='write a product name such as "H100", or its architecture such as "sm_90"',
                    where=(f"{stack.keys['gpus']}[{index}]",),
                )
            )
    if unknown:
        raise UsageError(*unknown)
    return tuple(found)
