"""What crossing into the driver costs, and which part of the device's own speed a copy reaches.

The device's attributes are the measure, so no table of products is needed. Facts only: a shared
machine is slow without being wrong.
"""

from __future__ import annotations

import ctypes

from mlenv.smoke import cuda_driver, speed
from mlenv.smoke.cuda_driver import Cuda
from mlenv.smoke.kernels_driver import PTX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mlenv.smoke.register import Given

NODES = 100
_MOST = 2 << 30
_RELAXED = 2
"""``CU_STREAM_CAPTURE_MODE_RELAXED`` of cuda.h 13.0."""


class Stream:
    """A stream, and the empty kernel that is launched on it."""

    def __init__(self, cuda: Cuda) -> None:
        """Make it, with nothing of the default stream's waiting."""
        self.cuda, self.stream = cuda, ctypes.c_void_p()
        self._kernel = cuda.function(cuda.load(PTX), "empty")
        self._none = (ctypes.c_void_p * 1)()
        cuda("cuStreamCreate", ctypes.byref(self.stream), 1)

    def launch(self) -> None:
        """Launch; straight through ctypes, whose own part is told beside the figures."""
        self.cuda.lib.cuLaunchKernel(
            self._kernel, 1, 1, 1, 32, 1, 1, 0, self.stream, self._none, None
        )

    def wait(self) -> None:
        """Wait for all that was launched."""
        self.cuda("cuStreamSynchronize", self.stream)

    def launch_and_wait(self) -> None:
        """Go there and back."""
        self.launch()
        self.wait()

    def graph(self) -> Callable[[], None]:
        """Return what launches a graph of ``NODES`` kernels."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self.cuda("cuStreamBeginCapture_v2", self.stream, _RELAXED)
        for _ in range(NODES):
            self.launch()
        self.cuda("cuStreamEndCapture", self.stream, ctypes.byref(graph))
        flags = ctypes.c_ulonglong(0)
        self.cuda("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, flags)
        return lambda: self.cuda("cuGraphLaunch", ready, self.stream)

    def copying(self) -> tuple[float, int]:
        """Return the microseconds of a copy within the device, by its own clock, and its bytes."""
        cuda, free, total = self.cuda, ctypes.c_size_t(), ctypes.c_size_t()
        cuda("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        size = max(4096, min(_MOST, free.value // 4) // 4096 * 4096)
        source, target = cuda.memory(size), cuda.memory(size)
        # Not zeros, which memory may compress.
        cuda("cuMemsetD32_v2", source, 0x3F9D70A4, ctypes.c_size_t(size // 4))
        times = sorted(self._copied(source, target, size) for _ in range(speed.RUNS + 1))
        for each in (source, target):
            cuda("cuMemFree_v2", each)
        return times[speed.RUNS // 2], size

    def _copied(self, source: ctypes.c_uint64, target: ctypes.c_uint64, size: int) -> float:
        cuda, first, last = self.cuda, ctypes.c_void_p(), ctypes.c_void_p()
        for event in (first, last):
            cuda("cuEventCreate", ctypes.byref(event), 0)
        cuda("cuEventRecord", first, self.stream)
        cuda("cuMemcpyDtoDAsync_v2", target, source, ctypes.c_size_t(size), self.stream)
        cuda("cuEventRecord", last, self.stream)
        cuda("cuEventSynchronize", last)
        milliseconds = ctypes.c_float()
        cuda("cuEventElapsedTime", ctypes.byref(milliseconds), first, last)
        for event in (first, last):
            cuda("cuEventDestroy_v2", event)
        return milliseconds.value * 1e3


def driver(given: Given) -> dict[str, Any]:
    """Time a launch, a launch with its wait, a node of a graph, and a copy.

    Raises:
        Fail: what the driver refuses.
    """
    cuda = Cuda().start().open()
    stream = Stream(cuda)
    calls = speed.QUEUE // 5 if given.quick else speed.QUEUE
    facts: dict[str, Any] = {"ctypes_us": _ctypes(cuda).facts()}
    launch = speed.issued(stream.launch, stream.wait, calls=calls)
    both = speed.timed(stream.launch_and_wait, stream.wait, calls=calls)
    graph = speed.timed(stream.graph(), stream.wait, calls=calls // 10)
    node = speed.Timed(*(value / NODES for value in graph))
    facts.update(
        launch_us=launch.facts(), launch_and_wait_us=both.facts(), graph_node_us=node.facts()
    )
    facts.update(_copy(stream))
    rate = facts["copy_bytes_per_us"]
    # An element of a float32 map is read and written: a copy of four bytes.
    facts["boundary"] = speed.boundary("a launch", launch.median, 4 / rate if rate else None)
    return facts


def _ctypes(cuda: Cuda) -> speed.Timed:
    number = ctypes.c_int()
    return speed.timed(lambda: cuda.lib.cuDriverGetVersion(ctypes.byref(number)), lambda: None)


def _copy(stream: Stream) -> dict[str, Any]:
    microseconds, size = stream.copying()
    rates = cuda_driver.rates(stream.cuda)
    # Two transfers a clock; a copy reads and writes.
    peak = 2e3 * rates["memory_clock_khz"] * rates["bus_bits"] / 8 / 1e6
    rate = size / microseconds if microseconds else 0.0
    return {
        "copy_bytes": size,
        "copy_bytes_per_us": round(rate, 1),
        "peak_bytes_per_us": round(peak, 1),
        "copy_fraction": float(f"{2 * rate / peak:.3g}") if peak else None,
    }
