"""Where what was found is not what the lock says: packages, mapped libraries, GPUs, the driver.

The probe may have said so too; here the facts themselves are held against the lock, since what a
probe concludes is not what is judged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlenv.report.libraries import mapped, spoken
from mlenv.report.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.plan import Plan
    from mlenv.report.probed import ProbeReport

_SOME = 5
_REBUILD = "install the environment from its lock again (`uv sync --locked`, or build the image)"


def differences(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    """Yield what differs between the lock and what was found."""
    yield from _distributions(plan, report)
    yield from _machine(plan, report)
    yield from _python(plan, report)
    yield from _libraries(plan, report)
    yield from _gpus(plan, report)
    yield from _driver(plan, report)


def _distributions(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    said = report.facts("distributions").get("distributions")
    if not isinstance(said, dict):
        return
    found: dict[str, str] = {
        canonicalize_name(str(name)): str(version) for name, version in said.items()
    }
    wrong = [
        f"{name} is {found.get(name, 'not installed')}, the lock has {version}"
        for name, version in sorted(plan.distributions.items())
        if not same(found.get(name), version)
    ]
    own = report.facts("distributions").get("conda") or {}
    wrong += [
        f"{name} is {own.get(name, 'not installed')}, the lock has {file}"
        for name, file in sorted(plan.conda.items())
        if own.get(name) != file
    ]
    if wrong:
        more = f"; and {len(wrong) - _SOME} more" if len(wrong) > _SOME else ""
        yield Finding(
            id="distribution-differs",
            weight="error",
            probe="distributions",
            what="; ".join(wrong[:_SOME]) + more,
            cause="what is installed is not what was locked",
            fix=_REBUILD,
        )


def same(found: str | None, locked: str) -> bool:
    """Tell whether a version that is installed is the locked one, however each is spelt."""
    if found is None:
        return False
    try:
        one, other = Version(found), Version(locked)
    except InvalidVersion:
        return found == locked
    return one == other or (other.local is None and one.public == other.public)


def _python(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    said = str(report.host.get("python") or "")
    wanted = plan.python.removesuffix("t")
    if said and said.split(".")[:2] != wanted.split(".")[:2]:
        yield Finding(
            id="python-differs",
            weight="error",
            probe="host",
            what=f"the interpreter is Python {said}, the lock is for {plan.python}",
            cause="another Python ran than the one that the stack is locked for",
            fix="name the interpreter of the environment with --python",
        )
    elif plan.python.endswith("t") and report.facts("host").get("free_threaded") is False:
        yield Finding(
            id="python-differs",
            weight="error",
            probe="host",
            what=f"the interpreter is a Python {said} with the GIL, the lock is for {plan.python}",
            cause="another build of Python ran than the one that the stack is locked for",
            fix=f"make the environment with the free-threaded build (`uv venv -p {plan.python}`)",
        )


def _machine(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    said = str(report.host.get("machine") or plan.machine)
    if said != plan.machine:
        yield Finding(
            id="machine-differs",
            weight="error",
            probe="host",
            what=f"the machine is {said}, the lock is for {plan.machine}",
            cause="wheels of one architecture do not run on another",
            fix="verify it on a machine of the lock's platform, or lock a target with this one",
        )


def _libraries(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    for probe, each in mapped(report):
        if each.owner is None or each.driver or each.system:
            continue  # whose it is not, `structure` tells
        locked = plan.version(each.owner)
        if locked is None:
            yield Finding(
                id="library-not-locked",
                weight="error",
                probe=probe,
                what=f"{each.name} is of {each.owner} {each.owner_version}",
                cause="it belongs to a package that is not in the lock",
                fix=_REBUILD,
                seen=each.path,
            )
        elif each.record_ok is False:
            yield Finding(
                id="library-changed",
                weight="error",
                probe=probe,
                what=f"{each.name} is not the file that {each.owner} {each.owner_version} brought",
                cause="something has overwritten it: another package with the same path, or a hand",
                fix=_REBUILD,
                seen=each.path,
            )
        elif not spoken(each, locked):
            yield Finding(
                id="library-differs",
                weight="error",
                probe=probe,
                what=f"{each.name} says that it is {each.says}, the lock has {each.owner} {locked}",
                cause="a part of another version answers in its place",
                fix="unset LD_LIBRARY_PATH and LD_PRELOAD; install the environment from its lock",
                seen=each.path,
            )


def _devices(report: ProbeReport) -> list[dict[str, Any]]:
    found = report.facts("driver").get("devices")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _gpus(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    driver = report.named("driver")
    if plan.scope == "static" or driver is None or driver.status != "pass":
        return
    devices = _devices(report)
    other = [each for each in devices if plan.gpus and each.get("sm") not in plan.gpus]
    if other:
        names = ", ".join(f"{each.get('name')} ({each.get('sm')})" for each in other)
        yield Finding(
            id="gpu-outside-target",
            weight="unproven",
            probe="driver",
            what=f"it ran on {names}, and the target names {', '.join(plan.gpus)}",
            cause="what runs on one GPU says little about another",
            fix="run it on a GPU of the target, or name this one in `gpus` and lock again",
        )
    if len(devices) < plan.min_gpus:
        yield Finding(
            id="too-few-gpus",
            weight="unproven",
            probe="driver",
            what=f"{len(devices)} GPUs can be seen, and {plan.min_gpus} are needed",
            cause="the machine, the engine or the scheduler gives this process no more",
            fix="ask for more GPUs; under MIG a process sees one slice",
        )


def _driver(plan: Plan, report: ProbeReport) -> Iterator[Finding]:
    said = report.facts("driver").get("driver_cuda")
    if plan.driver_cuda_min and isinstance(said, str) and _older(said, plan.driver_cuda_min):
        yield Finding(
            id="driver-too-old",
            weight="error",
            probe="driver",
            what=f"the driver runs CUDA {said}, and the lock needs {plan.driver_cuda_min}",
            cause="the driver is older than the CUDA of the environment takes",
            fix=f'upgrade the driver, or lock again with `cuda = "{said.split(".")[0]}"`',
        )
    number = report.facts("nvml").get("driver") or report.facts("driver").get("library_version")
    if plan.driver and isinstance(number, str) and not _within(number, plan.driver):
        yield Finding(
            id="driver-outside-target",
            weight="unproven",
            probe="nvml",
            what=f"the driver is {number}, and the target says {plan.driver}",
            cause="what runs on one driver says little about another",
            fix="run it on a driver of the target, or change `driver` and lock again",
        )


def _older(one: str, other: str) -> bool:
    numbers = [tuple(map(int, re.findall(r"\d+", each)[:2])) for each in (one, other)]
    return numbers[0] < numbers[1]


def _within(number: str, specifier: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(Version(number), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True
