"""Drivers against GPUs and toolkits: what holds whatever the frameworks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.machine import driver
from mlenv.plan import compat, gates, refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import Architecture, DriverFloor
    from mlenv.cuda import Cuda, Gpu
    from mlenv.errors import Reason
    from mlenv.plan.ground import Ground


def machine(ground: Ground) -> Iterable[Reason]:
    """Say what is wrong with a target whatever the frameworks: its GPUs against its drivers."""
    stack = ground.stack
    if stack.driver is None:
        return
    keys = (stack.keys["gpus"], stack.keys["driver"])
    for gpu in ground.gpus:
        row = _architecture(gpu, ground.catalog)
        if row is None:
            continue
        lowest, newest = stack.driver.lowest, stack.driver.newest_branch
        if row.first_driver and lowest is not None and lowest.major < row.first_driver:
            yield refusals.gpu_needs_newer_driver(gpu, row, stack.driver, keys)
        if row.last_driver and (newest is None or newest > row.last_driver):
            yield refusals.driver_dropped_gpu(gpu, row, stack.driver, keys)


def _architecture(gpu: Gpu, catalog: Catalog) -> Architecture | None:
    rows = catalog.facts.architecture
    return next((row for row in rows if row.capability == gpu.arch), None)


def floor(toolkit: Cuda, catalog: Catalog) -> DriverFloor | None:
    """Return the row with the oldest driver that starts programs of ``toolkit``."""
    rows = catalog.facts.driver_floor
    return next((row for row in rows if row.first <= toolkit <= row.last), None)


def starts(toolkit: Cuda | None, ground: Ground) -> bool | None:
    """Tell whether all drivers of the target start programs of ``toolkit``.

    None where that hangs on forward compatibility, and no source says whether it works here.
    """
    if toolkit is None:
        return True
    if compat.barred(toolkit, ground) or gates.shut(toolkit, ground) is not None:
        return False
    lowest = ground.stack.driver.lowest_text if ground.stack.driver else None
    row = floor(toolkit, ground.catalog)
    if lowest is None or row is None or _reaches(lowest, row.driver):
        return True
    return compat.carries(toolkit, ground)


def startable(toolkits: Iterable[Cuda | None], ground: Ground) -> list[Cuda | None]:
    """Return the toolkits that the drivers start, in order; those that may start come last."""
    known = [(toolkit, starts(toolkit, ground)) for toolkit in toolkits]
    return [t for t, own in known if own] + [t for t, own in known if own is None]


def _reaches(lowest: str, floor: str) -> bool:
    """Tell whether a driver reaches a floor; a branch alone (``580``) stands for its releases.

    NVIDIA and the frameworks name the floors so: "CUDA 13.x: >=580", where it is 580.65.06.
    Source: https://docs.nvidia.com/deploy/cuda-compatibility/, read 2026-11-22.
    """
    if lowest.isdigit():
        return int(lowest) >= driver(floor).major
    return driver(lowest) >= driver(floor)


def too_old(ground: Ground, offered: Sequence[set[Cuda | None]]) -> Iterable[Reason]:
    """Say so where every toolkit that a framework is built for is too new for the drivers.

    ``offered`` are the toolkits of each framework.
    """
    for found in offered or [set(ground.toolkits)]:
        if not found or startable(found, ground):
            continue
        oldest = min(t for t in found if t is not None)
        reason = _too_old(oldest, ground)
        if reason is not None:
            yield reason
            return


def _too_old(toolkit: Cuda, ground: Ground) -> Reason | None:
    keys, gpu = ground.stack.keys, compat.without(ground)
    if ground.stack.cuda_compat and gpu:
        where = (keys["cuda-compat"], keys["gpus"])
        source = ground.catalog.facts.forward_compatibility[-1].cited
        return refusals.no_forward_compat(gpu, toolkit, where, source)
    row, drivers = floor(toolkit, ground.catalog), ground.stack.driver
    if row is None or drivers is None:
        return None
    lowest = drivers.lowest_text
    if lowest is None or _reaches(lowest, row.driver):  # then only the image is too new
        return gates.shut(toolkit, ground)
    known = compat.rule(toolkit, ground.catalog) if ground.stack.cuda_compat else None
    where = (*((keys["cuda"],) if ground.stack.cuda is not None else ()), keys["driver"])
    return refusals.driver_too_old(toolkit, row, drivers, known, where)
