"""The gate of an nvidia/cuda base image: which drivers its container starts on at all.

It is stricter than what the wheels need. The container toolkit reads NVIDIA_REQUIRE_CUDA of the
image: the driver's own CUDA is as new, or its branch and the GPU's brand are listed.
Source: libnvidia-container, "a space is OR, a comma is AND"; curated rows per image.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.cuda import Cuda
from mlenv.machine import driver
from mlenv.plan import refusals
from mlenv.plan.compat import own_driver
from mlenv.plan.ground import footing, system_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.catalog.rows import BaseGate
    from mlenv.errors import Reason
    from mlenv.plan.ground import Ground

_NVIDIA = re.compile(r"(?:docker\.io/|nvcr\.io/)?nvidia/cuda:(\d+\.\d+)[.\d]*(?:-|@|$)")


def base_toolkit(reference: str) -> Cuda | None:
    """Return the toolkit of an nvidia/cuda image; None for any other image."""
    found = _NVIDIA.match(reference)
    return Cuda.parse(found[1]) if found else None


def gate(ground: Ground) -> Iterator[Reason]:
    """Say so where the base image does not start on the target's oldest driver."""
    toolkit = base_toolkit(ground.stack.base)
    shut = _shut(toolkit, ground, "base") if toolkit else None
    if shut is not None:
        yield shut


def shut(toolkit: Cuda, ground: Ground) -> Reason | None:
    """Return why the image that an ``auto`` base would be for ``toolkit`` does not start.

    None where it starts, or may, and where the base is none of nvidia/cuda.
    """
    key = system_key(ground.stack)
    return _shut(toolkit, ground, key) if key else None


def _shut(toolkit: Cuda, ground: Ground, key: str) -> Reason | None:
    drivers = ground.stack.driver
    for name, brand in _gpus(ground):
        if drivers is None or _opens(toolkit, brand, ground) is not False:
            continue
        words = ("driver", "gpus") if name else ("driver",)
        keys = (ground.stack.keys.get(key, key), *(ground.stack.keys[word] for word in words))
        asks, source = _asks(toolkit, ground)
        on = f"driver {drivers.lowest_text}" + (f" with {name}" if name else "")
        base = footing(ground.stack, ground.catalog, toolkit)
        return refusals.base_image_gate(base.reference, on, asks, keys, source)
    return None


def unsure(ground: Ground, toolkit: Cuda | None) -> bool:
    """Tell whether no source says if the base image starts on the target."""
    asked = toolkit if system_key(ground.stack) else base_toolkit(ground.stack.base)
    if asked is None:
        return False
    return any(_opens(asked, brand, ground) is None for _, brand in _gpus(ground))


def clauses(toolkit: Cuda, ground: Ground) -> tuple[BaseGate, ...]:
    """Return by which clauses the image of ``toolkit`` admits older drivers."""
    return tuple(row for row in ground.catalog.facts.base_gate if row.toolkit == toolkit)


def _gpus(ground: Ground) -> Iterator[tuple[str, str | None]]:
    if ground.toolkits == (None,):  # a CPU stack is started without the container toolkit
        return
    if not ground.gpus:
        yield "", None
    for gpu in ground.gpus:
        yield gpu.name, gpu.brand


def _opens(toolkit: Cuda, brand: str | None, ground: Ground) -> bool | None:
    lowest = ground.stack.driver.lowest if ground.stack.driver else None
    if lowest is None:
        return True
    own = own_driver(toolkit, ground.catalog)
    rows = clauses(toolkit, ground)
    # every driver of a branch says the CUDA that the branch began with, or a newer one
    if own is not None and lowest.major >= driver(own.driver).major:
        return True
    admitting = [row for row in rows if lowest.major in row.branches]
    if any(brand in row.brands for row in admitting):
        return True
    if not rows or brand == "jetson":
        return None
    return None if brand is None and admitting else False


def _asks(toolkit: Cuda, ground: Ground) -> tuple[str, str]:
    rows = clauses(toolkit, ground)
    own = own_driver(toolkit, ground.catalog)
    words = f"its NVIDIA_REQUIRE_CUDA asks for CUDA {toolkit}"
    words += f" (driver {own.driver} or newer)" if own else ""
    for row in rows:
        branches = ", ".join(map(str, row.branches))
        words += f", or branch {branches} on {' or '.join(row.brands)} GPUs"
    return words, rows[0].cited
