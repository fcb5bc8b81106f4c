"""The binaries of a lock, read where the audit asks for it: what they need, the code they hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from mlenv.audit import Binaries, readings
from mlenv.audit.binaries import is_cuda_library
from mlenv.cuda import Code
from mlenv.host import binaries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.audit import Locked, Reading
    from mlenv.catalog.load import Catalog
    from mlenv.cuda import Gpu
    from mlenv.host.binaries import Place, Wheel
    from mlenv.plan.model import Plan
    from mlenv.solve.asking import Desk
    from mlenv.solve.solution import Picked

AT_ONCE = 4
"""Wheels that are asked side by side for what they need; their code is read one by one."""


def with_binaries(
    plan: Plan,
    locked: Sequence[Locked],
    picked: Mapping[str, Picked],
    *,
    desk: Desk,
    catalog: Catalog,
) -> tuple[Locked, ...]:
    """Return ``locked`` with what was read from binaries; from the cache where it was read before.

    Raises:
        HostError: ``wheel-unreadable``, ``network-failed``, ``disk-failed``.
    """
    wanted = readings(plan, locked, catalog)
    if not wanted:
        return tuple(locked)
    place = binaries.Place(web=desk.web, cache=desk.cache, offline=desk.offline, say=desk.say)

    def needed(reading: Reading) -> tuple[str, Mapping[str, tuple[str, ...]] | None]:
        wheel = _wheel(picked[reading.package])
        files = reading.needs
        return reading.package, (
            binaries.needs(place, wheel, files, tells=is_cuda_library) if files else None
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        needs = dict(pool.map(needed, wanted))
    found = {
        reading.package: _held(
            place, _wheel(picked[reading.package]), reading, plan.gpus, needs[reading.package]
        )
        for reading in wanted
    }
    return tuple(
        replace(each, inside=replace(each.inside, binaries=found[each.name]))
        if each.inside and each.name in found
        else each
        for each in locked
    )


def _wheel(picked: Picked) -> Wheel:
    return binaries.Wheel(
        name=f"{picked.solved.name} {picked.solved.version}",
        url=picked.artefact.url,
        sha256=picked.artefact.sha256,
        size=picked.size,
    )


def _held(
    place: Place,
    wheel: Wheel,
    reading: Reading,
    gpus: Sequence[Gpu],
    needs: Mapping[str, tuple[str, ...]] | None,
) -> Binaries:
    def enough(names: frozenset[str]) -> bool:
        code = _parsed(names)
        return all(any(one.runs_on(gpu.arch) for one in code) for gpu in gpus)

    if not reading.code:
        return Binaries(needs=needs)
    held = binaries.code(place, wheel, reading.code, flags=reading.flags, enough=enough)
    if held is None:
        return Binaries(needs=needs)
    return Binaries(needs=needs, code=_parsed(held.code), whole=held.whole)


def _parsed(names: frozenset[str]) -> tuple[Code, ...]:
    code = [Code.parse(each) for each in names]
    return tuple(sorted(code, key=lambda one: (one.kind != "sm", one.arch, one.suffix)))
