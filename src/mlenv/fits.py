"""Which specs a machine can run, by the facts: each planned with the machine as its target."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mlenv.cuda import Arch
from mlenv.errors import MlenvError
from mlenv.machine import Drivers, Glibc
from mlenv.plan.decide import judged
from mlenv.spec.stack import stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.host.this import Machine
    from mlenv.machine import Platform
    from mlenv.plan.decide import Wish
    from mlenv.plan.model import Plan
    from mlenv.spec.parse import SpecFile
    from mlenv.spec.stack import Stack

_PLATFORMS: dict[str, Platform] = {
    "x86_64": "linux/amd64",
    "aarch64": "linux/arm64",
    "arm64": "linux/arm64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a machine can run a spec."""

    spec: str
    runs: Literal["yes", "no", "unknown"]
    with_lines_of: str | None = None
    """The target whose overrides make it run; None for the spec as it stands."""
    because: str = ""
    """Why not, or what is not known, or under what condition."""
    fix: str = ""
    reasons: tuple[Reason, ...] = ()


def fit(spec: SpecFile, machine: Machine, catalog: Catalog, wish: Wish) -> Fit:
    """Return whether ``machine`` can run a spec: as it stands, or as one of its targets has it."""
    if machine.system != "Linux" or machine.architecture not in _PLATFORMS:
        because = f"this is {machine.system} {machine.architecture}; stacks run on Linux"
        return Fit(spec=spec.origin, runs="no", because=because, fix="run it on Linux")
    try:
        found = [_one(spec, each, machine, catalog, wish) for each in _variants(spec)]
    except MlenvError as error:
        return wrong(spec.origin, error)
    ranks = {"yes": 0, "unknown": 1, "no": 2}
    return min(found, key=lambda each: ranks[each.runs])


def wrong(origin: str, error: MlenvError) -> Fit:
    """Return what is said of a spec that is wrong itself."""
    first = error.reasons[0]
    because = f"{first.what}: {first.cause}"
    return Fit(spec=origin, runs="no", because=because, fix=first.fix, reasons=error.reasons)


def _variants(spec: SpecFile) -> Iterator[Stack]:
    yield from stacks(spec.spec.model_copy(update={"targets": {}}))
    yield from stacks(spec.spec) if spec.spec.targets else ()


def _one(spec: SpecFile, stack: Stack, machine: Machine, catalog: Catalog, wish: Wish) -> Fit:
    here = replace(
        stack,
        target="this machine",
        platform=_PLATFORMS[machine.architecture],
        gpus=gpu_names(machine, catalog),
        driver=_drivers(machine),
        glibc=None,
    )
    answer = judged(here, catalog, wish)
    if isinstance(answer, tuple):
        first, *others = answer
        more = f" (and {len(others)} more)" if others else ""
        return Fit(
            spec=spec.origin,
            runs="no",
            because=f"{first.what}: {first.cause}{more}",
            fix=first.fix,
            reasons=tuple(spec.places(each) for each in answer),
        )
    return _planned(spec, stack, answer, machine, catalog, wish)


def _planned(  # noqa: PLR0913, PLR0917 (what a plan is judged by)
    spec: SpecFile, stack: Stack, plan: Plan, machine: Machine, catalog: Catalog, wish: Wish
) -> Fit:
    if plan.toolkit is not None and not machine.devices:
        because = f"it is for CUDA {plan.toolkit}, and this machine has no GPU that answers"
        return Fit(spec=spec.origin, runs="no", because=because, fix="run it where there is one")
    said = [each.what for each in plan.warnings if each.code == "fact-unknown"]
    because = "; ".join(said)
    if machine.glibc and re.fullmatch(r"2\.\d+", machine.glibc):
        bare = replace(plan.stack, glibc=Glibc.parse(machine.glibc), base="auto")
        outside = judged(bare, catalog, wish)
        if isinstance(outside, tuple):
            because = "; ".join([*said, f"in an image only: {outside[0].what}"])
    return Fit(
        spec=spec.origin,
        runs="yes" if plan.verdict == "ok" else "unknown",
        with_lines_of=stack.target,
        because=because,
    )


def gpu_names(machine: Machine, catalog: Catalog) -> tuple[str, ...]:
    """Return the GPUs of a machine as a spec would name them: products, else architectures."""
    found = []
    for each in machine.devices:
        words = re.sub(r"[-_]", " ", each.name).split()
        known = (" ".join(words[:count]) for count in range(len(words), 0, -1))
        name = next((n for n in known if _is(n, each.capability, catalog)), None)
        if name is None and each.capability:
            name = Arch.parse(each.capability).sm
        found += [name] if name else []
    return tuple(dict.fromkeys(found))


def _is(name: str, capability: str | None, catalog: Catalog) -> bool:
    row = catalog.gpu(name)
    return row is not None and capability in {None, str(row.capability)}


def _drivers(machine: Machine) -> Drivers | None:
    found = re.match(r"\d+(\.\d+)+", machine.driver or "")
    return Drivers.parse(f"=={found[0]}") if found else None
