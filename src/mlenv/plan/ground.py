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


def chosen_base(stack: Stack) -> tuple[str | None, str]:
    """Return the base image of a stack, None for none, and why.

    The wheels bring all of CUDA's userland: on an nvidia/cuda base it would lie there twice.
    """
    if stack.base != "auto":
        return stack.base, f"`{stack.keys['base']}` says so"
    if stack.python.free_threaded:
        why = f"no official image has the free-threaded Python {stack.python}: name one that has"
        return None, why
    return (
        f"python:{stack.python.short}-slim-bookworm",
        "the smallest image with this Python and a glibc of 2.36; CUDA comes with the wheels",
    )


def ground_of(
    stack: Stack, catalog: Catalog, *, exclude_newer: str, skip: frozenset[Cuda]
) -> Ground:
    """Return what planning stands on.

    Raises:
        UsageError: ``gpu-unknown``.
    """
    instant = datetime.fromisoformat(exclude_newer)
    reference, _ = chosen_base(stack)
    own = (catalog.base_glibc(reference) if reference else None) or UNKNOWN_GLIBC
    return Ground(
        stack=stack,
        catalog=catalog,
        architecture=ARCHITECTURES[stack.platform],
        until=(instant - timedelta(days=1)).date().isoformat(),
        toolkits=_toolkits(stack, catalog, skip),
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
