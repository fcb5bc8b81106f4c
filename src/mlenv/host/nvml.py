"""NVIDIA's management library: which driver and GPUs this machine has, as NVML says it.

Only this module loads it. Without a driver there is no such library, and that is an answer too.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU of this machine."""

    name: str
    capability: str | None
    """Its compute capability, ``9.0``; None where the driver is too old to say."""
    mib: int | None = None
    """Its memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What NVML says, or why it says nothing."""

    driver: str | None
    devices: tuple[Device, ...] = ()
    why_not: str | None = None


class Memory(Protocol):
    """The memory of a device, in bytes."""

    total: int


class Library(Protocol):
    """The part of nvidia-ml-py that is used here."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None:  # noqa: N802 (NVIDIA's name, as all below)
        """Load the library and speak to the driver."""

    def nvmlShutdown(self) -> None:  # noqa: N802
        """End that."""

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        """Return ``550.54.15``."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """Return how many GPUs there are."""

    def nvmlDeviceGetHandleByIndex(self, index: int) -> object:  # noqa: N802
        """Return a GPU by its number."""

    def nvmlDeviceGetName(self, handle: object) -> str:  # noqa: N802
        """Return ``NVIDIA H100 80GB HBM3``."""

    def nvmlDeviceGetCudaComputeCapability(self, handle: object) -> tuple[int, int]:  # noqa: N802
        """Return ``(9, 0)``."""

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> Memory:  # noqa: N802
        """Return its memory."""


def library() -> Library:
    """Return nvidia-ml-py, which needs no driver to be imported."""
    import pynvml  # type: ignore[import-untyped]  # noqa: PLC0415 (for doctor only)

    return cast("Library", pynvml)


def ask(nvml: Library) -> Answer:
    """Return what NVML says of this machine."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Answer(driver=None, why_not=str(error))
    try:
        driver = nvml.nvmlSystemGetDriverVersion()
        count = nvml.nvmlDeviceGetCount()
        devices = tuple(found for index in range(count) if (found := _device(nvml, index)))
        lost = count - len(devices)
        why_not = f"{lost} of {count} GPUs do not answer" if lost else None
        return Answer(driver=driver, devices=devices, why_not=why_not)
    except nvml.NVMLError as error:
        return Answer(driver=None, why_not=str(error))
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _device(nvml: Library, index: int) -> Device | None:
    capability = mib = None
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name = nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError:  # fallen off the bus, or another user's: said as a count
        return None
    with suppress(nvml.NVMLError):
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        capability = f"{major}.{minor}"
    with suppress(nvml.NVMLError):  # unified memory has none of its own
        mib = nvml.nvmlDeviceGetMemoryInfo(handle).total // 2**20
    return Device(name=name, capability=capability, mib=mib)
