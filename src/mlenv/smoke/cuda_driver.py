"""The CUDA driver's own interface (libcuda) by ctypes, and the facts that it tells.

Nothing of CUDA needs to be installed in the target for this; what the driver refuses becomes a
``Fail`` whose reason names the refusal. Refuses to guess: a machine without a driver or without
a device is ``Skip``, and nothing is computed elsewhere instead.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from mlenv.smoke.register import Fail, Skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlenv.smoke.register import Given

NO_DEVICE = 100
REASONS = {
    2: "out-of-memory",
    34: "driver-stub",
    35: "driver-too-old",
    36: "driver-too-old",
    46: "device-unavailable",
    100: "no-device",
    200: "invalid-image",
    209: "no-kernel-image",
    214: "ecc-error",
    218: "invalid-ptx",
    221: "no-jit-compiler",
    222: "ptx-too-new",
    700: "illegal-address",
    702: "launch-timeout",
    719: "launch-failed",
    802: "system-not-ready",
    803: "driver-mismatch",
    804: "compat-not-supported",
    # 999 says nothing, unless it is cuInit that says it.
}
"""What a status of the driver means. Source: ``CUresult`` of cuda.h 13.0; 35 is the runtime's."""

# Source: ``CUdevice_attribute`` of cuda.h 13.0.
_CLOCK_KHZ, _MULTIPROCESSORS, _COMPUTE_MODE = 13, 16, 20
_MEMORY_CLOCK_KHZ, _BUS_BITS = 36, 37
_CC_MAJOR, _CC_MINOR = 75, 76
_MODES = {0: "default", 1: "exclusive", 2: "prohibited", 3: "exclusive-process"}
# Source: ``CUjit_option`` of cuda.h 13.0.
_ERROR_LOG, _ERROR_LOG_BYTES = 5, 6
_LOG_BYTES = 8192


class Cuda:
    """The driver's library; a call is ``cuda("cuName", arguments...)`` and raises what it says."""

    def __init__(self) -> None:
        """Load the library.

        Raises:
            Skip: ``no-driver``.
            Fail: ``driver-unloadable``: it is there, and the loader refuses it.
        """
        try:
            self.lib = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            if "No such file" in str(error):
                raise Skip("no-driver", str(error)) from error
            raise Fail("driver-unloadable", str(error)) from error

    def __call__(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 (ctypes takes all)
        """Call one function of the driver.

        Raises:
            Fail: the reason of its status, or ``driver-too-old`` where it has no such function.
        """
        try:
            function = getattr(self.lib, name)
        except AttributeError as error:
            raise Fail("driver-too-old", f"libcuda.so.1 has no {name}", call=name) from error
        self.answered(name, function(*arguments))

    def answered(self, name: str, status: int, log: str = "") -> None:
        """Raise what a status other than success means."""
        if status:
            word, text = self._said(status)
            message = f"{name}: {word} ({status}): {text}" + (f": {log}" if log else "")
            known = {**REASONS, 999: "driver-unknown"} if name == "cuInit" else REASONS
            reason = known.get(status, "driver-call-failed")
            raise Fail(reason, message, call=name, status=status, status_name=word)

    def _said(self, status: int) -> tuple[str, str]:
        word, text = ctypes.c_char_p(), ctypes.c_char_p()
        self.lib.cuGetErrorName(status, ctypes.byref(word))
        self.lib.cuGetErrorString(status, ctypes.byref(text))
        return (word.value or b"unknown").decode(), (text.value or b"no text").decode()

    def start(self) -> Cuda:
        """Initialise the driver.

        Raises:
            Skip: ``no-device``.
            Fail: the reason of its status.
        """
        status = self.lib.cuInit(0)
        if status == NO_DEVICE:
            word, text = self._said(status)
            raise Skip("no-device", f"cuInit: {word} ({status}): {text}")
        self.answered("cuInit", status)
        if not self.count():
            raise Skip("no-device", "cuDeviceGetCount: 0")
        return self

    def count(self) -> int:
        """Return how many devices the driver shows to this process."""
        return self.integer("cuDeviceGetCount")

    def integer(self, name: str, *arguments: Any) -> int:  # noqa: ANN401 (ctypes takes all)
        """Return what a function writes into its first argument, an int."""
        value = ctypes.c_int()
        self(name, ctypes.byref(value), *arguments)
        return value.value

    def attribute(self, number: int, device: int = 0) -> int:
        """Return one attribute of a device."""
        return self.integer("cuDeviceGetAttribute", number, device)

    def capability(self, device: int = 0) -> int:
        """Return the compute capability, as in sm_XY: 90 for 9.0."""
        return 10 * self.attribute(_CC_MAJOR, device) + self.attribute(_CC_MINOR, device)

    def open(self, device: int = 0) -> Cuda:
        """Make the device's primary context this thread's: the first call that needs it to work."""
        context = ctypes.c_void_p()
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self("cuCtxSetCurrent", context)
        return self

    def load(self, image: bytes) -> ctypes.c_void_p:
        """Load a cubin, or PTX, which the driver then compiles.

        Raises:
            Fail: with what the driver's compiler logged.
        """
        log = ctypes.create_string_buffer(_LOG_BYTES)
        options = (ctypes.c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), _LOG_BYTES)
        text = ctypes.create_string_buffer(image, len(image) + 1)
        module = ctypes.c_void_p()
        status = self.lib.cuModuleLoadDataEx(ctypes.byref(module), text, 2, options, values)
        said = log.value.decode(errors="replace").strip()
        self.answered("cuModuleLoadDataEx", status, said)
        return module

    def function(self, module: ctypes.c_void_p, name: str) -> ctypes.c_void_p:
        """Return a kernel of a module by its name."""
        found = ctypes.c_void_p()
        self("cuModuleGetFunction", ctypes.byref(found), module, name.encode())
        return found

    def memory(self, size: int) -> ctypes.c_uint64:
        """Return ``size`` bytes of the device's memory."""
        address = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address

    def put(self, content: bytes) -> ctypes.c_uint64:
        """Return memory of the device that holds ``content``."""
        address = self.memory(len(content))
        self("cuMemcpyHtoD_v2", address, content, ctypes.c_size_t(len(content)))
        return address

    def get(self, address: ctypes.c_uint64, size: int) -> bytes:
        """Return ``size`` bytes from the device."""
        content = ctypes.create_string_buffer(size)
        self("cuMemcpyDtoH_v2", content, address, ctypes.c_size_t(size))
        return content.raw

    def launch(
        self, kernel: ctypes.c_void_p, blocks: int, threads: int, arguments: Sequence[Any]
    ) -> None:
        """Launch a kernel and wait for it."""
        places = (ctypes.c_void_p * len(arguments))(*[ctypes.addressof(each) for each in arguments])
        self("cuLaunchKernel", kernel, blocks, 1, 1, threads, 1, 1, 0, None, places, None)
        self("cuCtxSynchronize")


def driver(given: Given) -> dict[str, Any]:
    """Return what the driver says of itself and of its devices, and open the first one.

    A driver older than ``driver_cuda_min`` of the plan fails here, since whatever is run on it
    would only say the same in other words.

    Raises:
        Skip: ``no-driver`` or ``no-device``.
        Fail: the driver's refusal, or ``driver-too-old``.
    """
    cuda = Cuda()
    facts = _library()
    facts["visible"] = {name: os.environ[name] for name in _HIDING if name in os.environ}
    try:
        _about(cuda, facts, given.expect.get("driver_cuda_min"))
    except (Fail, Skip) as outcome:
        outcome.facts.update(facts)
        raise
    return facts


_HIDING = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")


def _about(cuda: Cuda, facts: dict[str, Any], least: str | None) -> None:
    number = cuda.integer("cuDriverGetVersion")
    facts["driver_cuda"] = "{}.{}".format(*spelt(number))
    cuda.start()
    if least and spelt(number) < tuple(int(part) for part in least.split(".")[:2]):
        said = f"the driver runs CUDA {facts['driver_cuda']}, and the lock needs {least}"
        raise Fail("driver-too-old", said)
    facts["devices"] = [_device(cuda, index) for index in range(cuda.count())]
    cuda.open()


def spelt(number: int) -> tuple[int, int]:
    """Return the CUDA version of a number such as 12020."""
    return number // 1000, number % 1000 // 10


def _library() -> dict[str, Any]:
    """Return which file libcuda is; its name tells the driver's version, unless it is a copy."""
    paths: list[str] = []
    with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            path = line.rstrip("\n").split(None, 5)[5:]
            if path and "/libcuda.so" in path[0] and path[0] not in paths:
                paths.append(path[0])
    real = [os.path.realpath(path) for path in paths]
    versions = re.findall(r"libcuda\.so\.(\d+\.[\d.]+)$", "\n".join(real), re.MULTILINE)
    return {
        "paths": paths,
        "library_version": versions[0] if versions else None,
        "compat": any("/compat/" in path for path in real),
    }


def _device(cuda: Cuda, index: int) -> dict[str, Any]:
    device = cuda.integer("cuDeviceGet", index)
    name, size = ctypes.create_string_buffer(256), ctypes.c_size_t()
    uuid = (ctypes.c_ubyte * 16)()
    cuda("cuDeviceGetName", name, 256, device)
    cuda("cuDeviceTotalMem_v2", ctypes.byref(size), device)
    # Only the second version tells a MIG slice's own; drivers before CUDA 11.4 have the first.
    newer = hasattr(cuda.lib, "cuDeviceGetUuid_v2")
    cuda("cuDeviceGetUuid_v2" if newer else "cuDeviceGetUuid", uuid, device)
    text = name.value.decode(errors="replace")
    mig = bool(re.search(r"\bMIG \d", text))
    return {
        "index": index,
        "name": text,
        "sm": f"sm_{cuda.capability(device)}",
        "memory_bytes": size.value,
        "uuid": ("MIG-" if mig else "GPU-") + _dashed(bytes(uuid).hex()),
        "mig": mig,
        "multiprocessors": cuda.attribute(_MULTIPROCESSORS, device),
        "compute_mode": _MODES.get(cuda.attribute(_COMPUTE_MODE, device), "unknown"),
        **rates(cuda, device),
    }


def rates(cuda: Cuda, device: int = 0) -> dict[str, int]:
    """Return the attributes that say how fast a device can be at best."""
    return {
        "clock_khz": cuda.attribute(_CLOCK_KHZ, device),
        "memory_clock_khz": cuda.attribute(_MEMORY_CLOCK_KHZ, device),
        "bus_bits": cuda.attribute(_BUS_BITS, device),
    }


def _dashed(text: str) -> str:
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
