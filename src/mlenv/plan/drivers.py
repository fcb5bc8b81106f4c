"""Drivers against GPUs and toolkits: what holds whatever the frameworks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.machine import driver
from mlenv.plan import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.rows import Architecture, DriverFloor
    from mlenv.cuda import Cuda, Gpu
    from mlenv.errors import Reason
    from mlenv.plan.candidate import Candidate
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


def starts(toolkit: Cuda | None, ground: Ground) -> bool:
    """Tell whether all drivers of the target start programs of ``toolkit``."""
    lowest = ground.stack.driver.lowest if ground.stack.driver else None
    if toolkit is None or lowest is None:
        return True
    row = floor(toolkit, ground.catalog)
    return row is None or lowest >= driver(row.driver)


def too_old(ground: Ground, groups: Sequence[tuple[Candidate, ...]]) -> Iterable[Reason]:
    """Say so where every toolkit that a framework is built for is too new for the drivers."""
    drivers = ground.stack.driver
    if drivers is None:
        return
    keys = tuple(
        ground.stack.keys[word]
        for word in ("cuda", "driver")
        if word != "cuda" or ground.stack.cuda is not None
    )
    known = [{c.toolkit for c in group} for group in groups]
    for found in known or [set(ground.toolkits)]:
        if found and not any(starts(toolkit, ground) for toolkit in found):
            oldest = min(t for t in found if t is not None)
            row = floor(oldest, ground.catalog)
            if row is not None:
                yield refusals.driver_too_old(oldest, row, drivers, keys)
                return
