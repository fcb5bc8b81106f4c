"""What a machine can build and run, judged from what was seen of it and from the facts.

Pure: the machine comes in as a value. A finding is no error; it says what is, and how to mend it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.machine import driver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from mlenv.catalog.load import Catalog
    from mlenv.host.this import Engine, Machine

State = Literal["good", "note", "mend"]

LITTLE_BYTES = 10_000_000_000
"""A PyTorch environment is 3 GB of wheels and 5 GB installed."""
OLD_DAYS = 60
"""After which a scan of published metadata is said to be old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found."""

    topic: str
    state: State
    says: str
    fix: str = ""
    """How to mend it; empty where nothing is to mend."""


def findings(machine: Machine, catalog: Catalog, today: date) -> tuple[Finding, ...]:
    """Return everything that was found, in the order of a machine's layers."""
    return (
        *_driver(machine, catalog),
        *_gpus(machine, catalog),
        *_system(machine),
        *_space(machine),
        *_engines(machine),
        *_toolkit(machine),
        Finding(topic="uv", state="good", says=f"{machine.uv}, installed with mlenv"),
        Finding(topic="python", state="good", says=machine.python),
        *_facts(catalog, today),
    )


def _driver(machine: Machine, catalog: Catalog) -> Iterator[Finding]:
    floors = catalog.facts.driver_floor
    if machine.driver is None:
        wants = ", ".join(f"{row.driver} runs CUDA {row.first.major}" for row in floors[-2:])
        yield Finding(
            topic="driver",
            state="note",
            says="no NVIDIA driver: stacks for GPUs can be locked and built here, not run"
            + (f" (NVML: {machine.nvml_says})" if machine.nvml_says else ""),
            fix=f"on a machine with an NVIDIA GPU install its driver: {wants}",
        )
        return
    own = driver(machine.driver)
    runs = sorted({row.first.major for row in floors if driver(row.driver) <= own})
    full = [row.toolkit for row in catalog.facts.toolkit_driver if driver(row.driver) <= own]
    says = f"{machine.driver} ({machine.driver_from}): runs CUDA {', '.join(map(str, runs)) or '-'}"
    says += f", all of it up to {max(full)}" if full else ""
    newer = next((row for row in floors if driver(row.driver) > own), None)
    fix = f"CUDA {newer.first.major} needs driver {newer.driver} or newer" if newer else ""
    yield Finding(topic="driver", state="note" if newer else "good", says=says, fix=fix)
    if machine.kernel_driver and driver(machine.kernel_driver) != own:
        yield _mismatch(f"the kernel runs {machine.kernel_driver}, the library is {machine.driver}")
    elif machine.driver_from != "NVML" and machine.nvml_says:
        yield _mismatch(f"NVML: {machine.nvml_says}")


def _mismatch(says: str) -> Finding:
    return Finding(
        topic="driver",
        state="mend",
        says=f"driver and library do not agree, so no CUDA program starts: {says}",
        fix="restart the machine after an update of the driver; in a container take out any "
        "libcuda or libnvidia-ml that the image brings",
    )


def _gpus(machine: Machine, catalog: Catalog) -> Iterator[Finding]:
    if machine.driver is None:
        return
    if not machine.devices:
        yield Finding(
            topic="gpu",
            state="mend",
            says="there is a driver, and no GPU answers",
            fix="see `nvidia-smi` and `dmesg`; in a container start it with `--gpus all`",
        )
    if machine.nvml_says and machine.driver_from == "NVML":
        fix = "see `nvidia-smi` and `dmesg` for what became of them"
        yield Finding(topic="gpu", state="mend", says=machine.nvml_says, fix=fix)
    rows = {str(row.capability): row for row in catalog.facts.architecture}
    own = driver(machine.driver).major
    for each in machine.devices:
        row = rows.get(each.capability or "")
        memory = f", {each.mib / 1024:.0f} GiB" if each.mib else ""
        says = f"{each.name} (compute capability {each.capability or 'not known'}{memory})"
        state, fix = ("good", "") if row else ("note", "`mlenv catalog refresh`, or a newer mlenv")
        if row and row.last_driver and own >= row.last_driver:
            state, fix = "note", f"{row.name} ends with driver R{row.last_driver}: go no further"
        says += "" if row else ": the facts do not know it"
        yield Finding(topic="gpu", state="note" if state == "note" else "good", says=says, fix=fix)


def _system(machine: Machine) -> Iterator[Finding]:
    if machine.glibc is None:
        says = f"{machine.system} {machine.architecture}, no glibc: stacks are locked here, not run"
        yield Finding(topic="system", state="note", says=says, fix="run them on Linux with glibc")
    else:
        says = f"{machine.system} {machine.architecture}, glibc {machine.glibc}"
        yield Finding(topic="system", state="good", says=says)


def _space(machine: Machine) -> Iterator[Finding]:
    for each in machine.space:
        little = each.free_bytes < LITTLE_BYTES
        yield Finding(
            topic="disk",
            state="mend" if little else "good",
            says=f"{each.free_bytes / 1e9:.0f} GB free for {each.of} ({each.path})",
            fix="a PyTorch environment takes 3 GB of wheels and 5 GB installed: make room, or move "
            "the cache with MLENV_CACHE_DIR"
            if little
            else "",
        )


def _engines(machine: Machine) -> Iterator[Finding]:
    there = [each for each in machine.engines if each.version]
    if not there:
        yield Finding(
            topic="engine",
            state="note",
            says="no docker, podman or buildah: recipes are written here, images are not built",
            fix="install one of them, or build the folder that `mlenv build` writes elsewhere",
        )
    yield from (_engine(each) for each in there)


def _engine(engine: Engine) -> Finding:
    says = f"{engine.name} {engine.version}"
    if engine.answers:
        return Finding(topic="engine", state="good", says=says)
    return Finding(
        topic="engine",
        state="mend",
        says=f"{says} does not answer: {engine.why_not}",
        fix=f"start its daemon (`systemctl start {engine.name}`), or ask to be in its group",
    )


def _toolkit(machine: Machine) -> Iterator[Finding]:
    engines = [each for each in machine.engines if each.version and each.name != "buildah"]
    if machine.driver is None or not engines:
        return
    if machine.nvidia_ctk is None and not machine.cdi:
        yield Finding(
            topic="containers",
            state="mend",
            says="the NVIDIA container toolkit is not installed: no container sees a GPU",
            fix="install nvidia-container-toolkit, then `nvidia-ctk runtime configure`",
        )
        return
    runtime = any(each.nvidia_runtime for each in engines)
    ways = [*(["the runtime `nvidia`"] if runtime else []), *machine.cdi]
    says = f"NVIDIA container toolkit {machine.nvidia_ctk or 'not on PATH'}"
    if ways:
        says += f", by {', '.join(ways)}"
        yield Finding(topic="containers", state="good", says=says)
        return
    yield Finding(
        topic="containers",
        state="mend",
        says=f"{says}, but no engine knows it: neither a runtime nor a CDI spec is there",
        fix="`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, or for docker "
        "`nvidia-ctk runtime configure --runtime=docker` and a restart of it",
    )


def _facts(catalog: Catalog, today: date) -> Iterator[Finding]:
    from datetime import date as day  # noqa: PLC0415 (a value)

    age = (today - day.fromisoformat(catalog.scanned[:10])).days
    yield Finding(
        topic="catalog",
        state="note" if age > OLD_DAYS else "good",
        says=f"published metadata, read {catalog.scanned[:10]}",
        fix="`mlenv catalog refresh`" if age > OLD_DAYS else "",
    )
    for group, by in catalog.facts.stale(today):
        yield Finding(
            topic="facts",
            state="note",
            says=f"`{group}` was to be looked at again by {by}: what came since is not in it",
            fix="take a newer mlenv; until then such verdicts may be `unknown` or old",
        )
