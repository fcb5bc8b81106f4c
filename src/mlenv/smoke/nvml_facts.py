"""What the management library (NVML) says of the GPUs, by ctypes.

It sees what CUDA hides: MIG, a GPU that fell off the bus, errors of the memory, why clocks are
low. Read only; nothing is set, and a question that a driver does not know is answered by None.
"""

from __future__ import annotations

import ctypes

from mlenv.smoke.register import Fail, Skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

REASONS = {
    4: "no-permission",
    9: "driver-not-loaded",
    12: "no-driver",
    15: "gpu-lost",
    16: "gpu-reset-required",
    18: "driver-mismatch",
    999: "nvml-unknown",
}
"""What a status means. Source: ``nvmlReturn_t`` of nvml.h 13.0."""
_NAMES = {
    4: "NVML_ERROR_NO_PERMISSION",
    9: "NVML_ERROR_DRIVER_NOT_LOADED",
    12: "NVML_ERROR_LIBRARY_NOT_FOUND",
    15: "NVML_ERROR_GPU_IS_LOST",
    16: "NVML_ERROR_RESET_REQUIRED",
    18: "NVML_ERROR_LIB_RM_VERSION_MISMATCH",
    999: "NVML_ERROR_UNKNOWN",
}
THROTTLES = (
    (0x1, "idle"),
    (0x2, "application-clocks"),
    (0x4, "power-cap"),
    (0x8, "hardware-slowdown"),
    (0x10, "sync-boost"),
    (0x20, "software-thermal"),
    (0x40, "hardware-thermal"),
    (0x80, "power-brake"),
    (0x100, "display-clocks"),
)
"""Source: ``nvmlClocksThrottleReason*`` of nvml.h 13.0."""
_MODES = {0: "default", 1: "exclusive", 2: "prohibited", 3: "exclusive-process"}
_SM, _MEMORY = 1, 2
_UNCORRECTED, _SINCE_BOOT = 1, 0


class Nvml:
    """The library, started; every question answers None where the driver cannot tell."""

    def __init__(self) -> None:
        """Load and start it.

        Raises:
            Skip: ``no-driver``.
            Fail: what its status means.
        """
        try:
            self.lib = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError as error:
            raise Skip("no-driver", str(error)) from error
        self.lib.nvmlErrorString.restype = ctypes.c_char_p
        self.answered("nvmlInit_v2", self.lib.nvmlInit_v2())

    def answered(self, name: str, status: int) -> None:
        """Raise what a status other than success means."""
        if status:
            text = (self.lib.nvmlErrorString(status) or b"").decode(errors="replace")
            word = _NAMES.get(status, "NVML_ERROR")
            reason = REASONS.get(status, "nvml-failed")
            raise Fail(reason, f"{name}: {word} ({status}): {text}", call=name, status=status)

    def text(self, name: str, *arguments: Any) -> str | None:  # noqa: ANN401 (ctypes takes all)
        """Return a text."""
        said = ctypes.create_string_buffer(96)
        done = self._asked(name, *arguments, said, ctypes.c_uint(96))
        return said.value.decode(errors="replace") if done else None

    def number(self, name: str, *arguments: Any, wide: bool = False) -> int | None:  # noqa: ANN401 (ctypes takes all)
        """Return a number, of 64 bits where ``wide``."""
        value = ctypes.c_ulonglong() if wide else ctypes.c_uint()
        return int(value.value) if self._asked(name, *arguments, ctypes.byref(value)) else None

    def pair(self, name: str, handle: ctypes.c_void_p) -> list[int] | None:
        """Return two numbers: mostly what is, and what will be after a reboot."""
        now, then = ctypes.c_uint(), ctypes.c_uint()
        done = self._asked(name, handle, ctypes.byref(now), ctypes.byref(then))
        return [now.value, then.value] if done else None

    def _asked(self, name: str, *arguments: Any) -> bool:  # noqa: ANN401 (ctypes takes all)
        function = getattr(self.lib, name, None)
        return function is not None and function(*arguments) == 0


def nvml(_: Given) -> dict[str, Any]:
    """Return what NVML says of the driver and of every GPU of the machine.

    Raises:
        Skip: ``no-driver``.
        Fail: ``driver-mismatch``, ``gpu-lost`` and whatever else its statuses mean.
    """
    library = Nvml()
    number = library.number("nvmlSystemGetCudaDriverVersion_v2")
    facts: dict[str, Any] = {
        "driver": library.text("nvmlSystemGetDriverVersion"),
        "driver_cuda": f"{number // 1000}.{number % 1000 // 10}" if number else None,
        "devices": [],
    }
    lost: list[Fail] = []
    for index in range(library.number("nvmlDeviceGetCount_v2") or 0):
        handle = ctypes.c_void_p()
        status = library.lib.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
        try:
            library.answered("nvmlDeviceGetHandleByIndex_v2", status)
        except Fail as outcome:
            facts["devices"].append({"index": index, "error": outcome.code})
            lost.append(outcome)
        else:
            facts["devices"].append({"index": index, **_device(library, handle)})
    library.lib.nvmlShutdown()
    if lost:
        lost[0].facts.update(facts)
        raise lost[0]
    return facts


def _device(library: Nvml, handle: ctypes.c_void_p) -> dict[str, Any]:
    def number(name: str, *arguments: int, wide: bool = False) -> int | None:
        return library.number(name, handle, *arguments, wide=wide)

    mig = library.pair("nvmlDeviceGetMigMode", handle)
    ecc = library.pair("nvmlDeviceGetEccMode", handle)
    throttle = number("nvmlDeviceGetCurrentClocksThrottleReasons", wide=True)
    capability = library.pair("nvmlDeviceGetCudaComputeCapability", handle)
    errors = number("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _SINCE_BOOT, wide=True)
    return {
        "name": library.text("nvmlDeviceGetName", handle),
        "uuid": library.text("nvmlDeviceGetUUID", handle),
        "sm": "sm_{}{}".format(*capability) if capability else None,
        "mig": bool(mig[0]) if mig else False,
        "mig_devices": _slices(library, handle) if mig and mig[0] else [],
        "ecc": bool(ecc[0]) if ecc else None,
        "ecc_uncorrected": errors,
        "throttle": [word for bit, word in THROTTLES if throttle is not None and throttle & bit],
        "compute_mode": _MODES.get(number("nvmlDeviceGetComputeMode") or 0, "unknown"),
        "persistence": number("nvmlDeviceGetPersistenceMode") == 1,
        **_memory(library, handle),
        "sm_mhz": number("nvmlDeviceGetClockInfo", _SM),
        "sm_mhz_max": number("nvmlDeviceGetMaxClockInfo", _SM),
        "memory_mhz": number("nvmlDeviceGetClockInfo", _MEMORY),
        "memory_mhz_max": number("nvmlDeviceGetMaxClockInfo", _MEMORY),
        "celsius": number("nvmlDeviceGetTemperature", 0),
        "power_mw": number("nvmlDeviceGetPowerUsage"),
        "power_limit_mw": number("nvmlDeviceGetEnforcedPowerLimit"),
        "pcie": [
            number("nvmlDeviceGetCurrPcieLinkGeneration"),
            number("nvmlDeviceGetCurrPcieLinkWidth"),
        ],
    }


def _memory(library: Nvml, handle: ctypes.c_void_p) -> dict[str, int | None]:
    sizes = (ctypes.c_ulonglong * 3)()  # nvmlMemory_t: total, free, used
    known = library.lib.nvmlDeviceGetMemoryInfo(handle, sizes) == 0
    return {
        "memory_bytes": sizes[0] if known else None,
        "memory_used_bytes": sizes[2] if known else None,
    }


def _slices(library: Nvml, handle: ctypes.c_void_p) -> list[dict[str, Any]]:
    """Return the MIG devices of a GPU, each by the UUID that CUDA_VISIBLE_DEVICES takes."""
    found = []
    for index in range(library.number("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        each = ctypes.c_void_p()
        get = library.lib.nvmlDeviceGetMigDeviceHandleByIndex
        if get(handle, index, ctypes.byref(each)) == 0:
            uuid = library.text("nvmlDeviceGetUUID", each)
            found.append({"uuid": uuid, **_memory(library, each)})
    return found
