"""Kernels compiled now by JAX, TensorFlow, CuPy and Numba, each judged by the one oracle.

JAX and TensorFlow compute on the CPU where they find no GPU, and end well; both are told not to.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from mlenv.smoke.kernels_compilers import SOURCE
from mlenv.smoke.kernels_driver import THREADS
from mlenv.smoke.oracle import Line
from mlenv.smoke.register import Fail, Tried, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Array = Any
    Module = Any

_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")
_NUMBA_MODULE = "mlenv_numba_line"
_NUMBA = """from numba import cuda

@cuda.jit
def line(a, x, y, out, n):
    i = cuda.grid(1)
    if i < n:
        out[i] = a * x[i] + y[i]
"""


def array(content: bytes) -> Array:
    """Return float32 as NumPy holds it, writable."""
    numpy = load("numpy")
    return numpy.frombuffer(bytearray(content), dtype=numpy.float32)


def jax_on(platform: str) -> Module:
    """Return jax, bound to one platform: without that it falls back to the CPU."""
    os.environ["JAX_PLATFORMS"] = platform
    return load("jax")


def jax_device(module: Module, platform: str) -> Module:
    """Return the first device; what jax says of its absence is often nothing at all.

    Raises:
        Fail: ``cpu-only-build``, ``no-gpu-in-framework``.
    """
    with Tried() as tried:
        return module.devices(platform)[0]
    plugins = [each for each in _PLUGINS if find_spec(each) is not None]
    said = f"jax {module.__version__} opens no {platform}: {type(tried.error).__name__}"
    said += f": {tried.error}; its plugins: {', '.join(plugins) or 'none'}"
    raise Fail("no-gpu-in-framework" if plugins else "cpu-only-build", said, plugins=plugins)


def jax(_: Given) -> dict[str, Any]:
    """Let XLA compile a function for this GPU.

    Raises:
        Fail: ``no-gpu-in-framework``, ``wrong-result``, or whatever jax raises.
    """
    return jax_line("cuda")


def jax_line(platform: str) -> dict[str, Any]:
    """Compile a function on a platform, and see that it ran there."""
    module, line = jax_on(platform), Line()
    device = jax_device(module, platform)
    x, y = (module.device_put(array(each.tobytes()), device) for each in (line.x, line.y))
    a = load("numpy").float32(line.a)
    begun = time.perf_counter()
    out = module.jit(lambda a, x, y: a * x + y)(a, x, y)
    facts = line.judged(load("numpy").asarray(out).tobytes(), guarded=False)
    seconds = time.perf_counter() - begun
    facts.update(says=module.__version__, made="by XLA, now", first_seconds=seconds)
    facts["ran_on"] = sorted(str(each) for each in out.devices())
    facts["kind"] = device.device_kind
    if device not in out.devices():
        said = f"jax computed on {facts['ran_on']}, and not on {device}"
        raise Fail("no-gpu-in-framework", said, **facts)
    return facts


def tensorflow(_: Given) -> dict[str, Any]:
    """Run a graph with kernels of the wheel, and one that XLA compiles now.

    Raises:
        Fail: ``cpu-only-build``, ``no-gpu-in-framework``, ``wrong-result``, or what it raises.
    """
    module = load("tensorflow")
    if not module.sysconfig.get_build_info().get("is_cuda_build"):
        said = f"tensorflow {module.__version__} is a CPU-only build"
        raise Fail("cpu-only-build", said, says=module.__version__)
    found = module.config.list_physical_devices("GPU")
    if not found:
        said = "tensorflow finds no GPU; its stderr names the library that it could not open"
        raise Fail("no-gpu-in-framework", said, says=module.__version__)
    for each in found:
        module.config.experimental.set_memory_growth(each, True)
    return tensorflow_line("/GPU:0")


def tensorflow_line(device: str) -> dict[str, Any]:
    """Run a function on a device, with and without XLA."""
    module, numpy = load("tensorflow"), load("numpy")
    module.config.set_soft_device_placement(False)
    facts: dict[str, Any] = {"says": module.__version__}
    for name, now in (("beforehand", False), ("now", True)):
        line = Line()
        with module.device(device):
            function = module.function(lambda a, x, y: a * x + y, jit_compile=now)
            given = (numpy.float32(line.a), array(line.x.tobytes()), array(line.y.tobytes()))
            begun = time.perf_counter()
            out = function(*[module.constant(each) for each in given])
        facts[name] = line.judged(numpy.asarray(out).tobytes(), guarded=False)
        facts[name]["first_seconds"] = time.perf_counter() - begun
        facts[name]["ran_on"] = out.device
    return facts


def cupy(_: Given) -> dict[str, Any]:
    """Let CuPy compile C++ for this GPU.

    Raises:
        Fail: ``wrong-result``, or whatever CuPy raises.
    """
    module, numpy, line = load("cupy"), load("numpy"), Line()
    kernel = module.RawKernel(SOURCE, "line")
    out = module.asarray(array(line.poisoned()))
    x, y = (module.asarray(array(each.tobytes())) for each in (line.x, line.y))
    begun = time.perf_counter()
    given_ = (numpy.float32(line.a), x, y, out, numpy.uint32(line.count))
    kernel((line.blocks(THREADS),), (THREADS,), given_)
    facts = line.judged(module.asnumpy(out).tobytes())
    seconds = time.perf_counter() - begun
    facts.update(says=module.__version__, made="by NVRTC through CuPy, now", first_seconds=seconds)
    return facts


def numba(_: Given) -> dict[str, Any]:
    """Let Numba compile Python for this GPU.

    Raises:
        Fail: ``simulated``, ``wrong-result``, or whatever Numba raises.
    """
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") != "0":
        raise Fail("simulated", "NUMBA_ENABLE_CUDASIM is set, so Numba computes on the CPU")
    return numba_line(Line())


def numba_line(line: Line) -> dict[str, Any]:
    """Compile a function and launch it; under Numba's simulator a small problem is wise."""
    numpy, kernel = load("numpy"), _numba_kernel()
    cuda = load("numba.cuda")
    out = cuda.to_device(array(line.poisoned()))
    x, y = (cuda.to_device(array(each.tobytes())) for each in (line.x, line.y))
    begun = time.perf_counter()
    launch = kernel[line.blocks(THREADS), THREADS]
    launch(numpy.float32(line.a), x, y, out, numpy.uint32(line.count))
    cuda.synchronize()
    facts = line.judged(out.copy_to_host().tobytes())
    seconds = time.perf_counter() - begun
    says = load("numba").__version__
    facts.update(says=says, made="by Numba, now", first_seconds=seconds)
    return facts


def _numba_kernel() -> Module:
    # A module of its own: the simulator takes the place of `cuda` in the kernel's module.
    folder = tempfile.mkdtemp(dir=".")
    Path(folder, _NUMBA_MODULE + ".py").write_text(_NUMBA, encoding="utf-8")
    sys.path.append(folder)
    return load(_NUMBA_MODULE).line
