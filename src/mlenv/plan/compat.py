"""Forward compatibility: a newer libcuda from cuda-compat, where driver and GPU allow it.

NVIDIA supports it on data-centre GPUs, for listed driver branches. On GeForce and TITAN the newer
libcuda is loaded and refuses, so asking for it there breaks what would run without.
Source: https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.machine import driver

if TYPE_CHECKING:
    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import ForwardCompatibility, ToolkitDriver
    from mlenv.cuda import Cuda, Gpu
    from mlenv.plan.ground import Ground

WITHOUT = frozenset({"geforce", "titan"})
"""The brands that never have it."""


def rule(toolkit: Cuda, catalog: Catalog) -> ForwardCompatibility | None:
    """Return on what cuda-compat of ``toolkit`` works, or None where nobody says."""
    rows = catalog.facts.forward_compatibility
    return next((row for row in rows if row.toolkit == toolkit), None)


def own_driver(toolkit: Cuda, catalog: Catalog) -> ToolkitDriver | None:
    """Return the driver that came with ``toolkit``, or None where nobody says."""
    rows = catalog.facts.toolkit_driver
    return next((row for row in rows if row.toolkit == toolkit), None)


def without(ground: Ground) -> Gpu | None:
    """Return a GPU of the target that never has forward compatibility, or None."""
    return next((gpu for gpu in ground.gpus if gpu.brand in WITHOUT), None)


def barred(toolkit: Cuda, ground: Ground) -> bool:
    """Tell whether cuda-compat of ``toolkit`` would be loaded on a GPU that refuses it.

    The container toolkit leaves it out where the machine's own driver branch is as new.
    Source: nvidia-container-toolkit d34b3046, hook ``enable-cuda-compat``.
    """
    if not ground.stack.cuda_compat or without(ground) is None:
        return False
    lowest = ground.stack.driver.lowest if ground.stack.driver else None
    row = own_driver(toolkit, ground.catalog)
    return lowest is None or row is None or lowest.major < driver(row.driver).major


def carries(toolkit: Cuda, ground: Ground) -> bool | None:
    """Tell whether cuda-compat runs ``toolkit`` on the target; None where no source says."""
    lowest = ground.stack.driver.lowest if ground.stack.driver else None
    if not ground.stack.cuda_compat or lowest is None or without(ground):
        return False
    row = rule(toolkit, ground.catalog)
    if row is None:
        return None
    if lowest.major not in row.branches:
        return False
    brands = {gpu.brand for gpu in ground.gpus}
    return True if brands and brands <= set(row.brands) else None
