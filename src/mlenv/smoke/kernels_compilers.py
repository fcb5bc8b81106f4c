"""The target's own CUDA compilers: NVRTC as a library, nvcc as a program.

Each compiles to a cubin of the very GPU, never to PTX: a driver older than the toolkit runs the
one and refuses the other. Compiling alone needs neither GPU nor driver, so it can be proven
anywhere; whose compiler it was is among the facts.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlenv.smoke.cuda_driver import Cuda
from mlenv.smoke.kernels_driver import run_image
from mlenv.smoke.register import Fail, Skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mlenv.smoke.register import Given

SOURCE = """extern "C" __global__ void line(
    float a, const float *x, const float *y, float *out, unsigned n) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a * x[i] + y[i];
}
"""
"""Plain C++: NVRTC needs no header for it."""
_HALF = """#include <cuda_fp16.h>
extern "C" __global__ void half_line(__half a, const __half *x, __half *y, unsigned n) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = __hfma(a, x[i], y[i]);
}
"""
"""``cuda_fp16.h`` includes a header of another package, which a set of wheels may lack."""
_TOLD = 1500


def archs(given: Given) -> list[str]:
    """Return the GPUs to compile for, as ``sm_90``: of the plan, or none."""
    return list(given.params.get("archs") or given.expect.get("gpus") or ())


def fitting(known: Iterable[int], wanted: int) -> int | None:
    """Return the arch whose cubin runs on ``wanted``: itself, or an older one of its major."""
    return max((each for each in known if wanted - wanted % 10 <= each <= wanted), default=None)


class Nvrtc:
    """NVRTC, found where the target keeps it."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            Skip: ``not-installed``.
            Fail: ``nvrtc-unloadable``.
        """
        self.path = next(iter(_libraries("libnvrtc")), "")
        if not self.path:
            raise Skip("not-installed", "no libnvrtc is here")
        try:
            # That of CUDA 13.0 does not look for its builtins beside itself.
            for each in glob.glob(_beside(self.path, "libnvrtc-builtins.so.*")):
                if ".alt." not in each:
                    ctypes.CDLL(each)
            self.lib = ctypes.CDLL(self.path)
        except OSError as error:
            raise Fail("nvrtc-unloadable", str(error), path=self.path) from error
        self.lib.nvrtcGetErrorString.restype = ctypes.c_char_p
        self.says, self.known = self._version(), self._archs()

    def _version(self) -> str:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._done(self.lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        return f"{major.value}.{minor.value}"

    def _archs(self) -> list[int]:
        count = ctypes.c_int()
        self._done(self.lib.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        known = (ctypes.c_int * count.value)()
        self._done(self.lib.nvrtcGetSupportedArchs(known))
        return sorted(known)

    def facts(self) -> dict[str, Any]:
        """Return which library it is."""
        return {"path": self.path, "says": self.says, "archs": self.known}

    def best(self, wanted: int) -> str:
        """Return the arch to compile for, so that the cubin runs on ``wanted``.

        Raises:
            Fail: ``arch-unsupported``.
        """
        found = fitting(self.known, wanted)
        if found is None:
            said = f"NVRTC {self.says} cannot build for sm_{wanted}"
            raise Fail("arch-unsupported", said, **self.facts())
        return f"sm_{found}"

    def cubin(self, source: str, arch: str) -> bytes:
        """Compile.

        Raises:
            Fail: ``nvrtc-failed``, with the compiler's log.
        """
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        make = self.lib.nvrtcCreateProgram
        self._done(make(ctypes.byref(program), source.encode(), b"line.cu", 0, None, None))
        options = (ctypes.c_char_p * 1)(f"--gpu-architecture={arch}".encode())
        self._done(self.lib.nvrtcCompileProgram(program, 1, options), program)
        self._done(self.lib.nvrtcGetCUBINSize(program, ctypes.byref(size)))
        image = ctypes.create_string_buffer(size.value)
        self._done(self.lib.nvrtcGetCUBIN(program, image))
        self.lib.nvrtcDestroyProgram(ctypes.byref(program))
        return image.raw

    def _done(self, status: int, program: ctypes.c_void_p | None = None) -> None:
        if not status:
            return
        said = (self.lib.nvrtcGetErrorString(status) or b"").decode()
        if program is not None:
            size = ctypes.c_size_t()
            self.lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(max(1, size.value))
            self.lib.nvrtcGetProgramLog(program, log)
            said += ": " + log.value.decode(errors="replace").strip()
        raise Fail("nvrtc-failed", said, path=self.path, status=status)


def _beside(path: str, name: str) -> str:
    return os.path.join(os.path.dirname(path), name)


def _packages() -> list[str]:
    return [each for each in sys.path if each.endswith("-packages")]


def _libraries(stem: str) -> Iterator[str]:
    """Yield where a library lies: wheels first, then a conda prefix, then the machine's toolkit."""
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    patterns = [f"{each}/nvidia/*/lib/{stem}.so.*" for each in _packages()]
    patterns.append(f"{sys.prefix}/lib/{stem}.so.*")
    patterns += [f"{each}/lib64/{stem}.so.*" for each in (*homes, "/usr/local/cuda") if each]
    for pattern in patterns:
        for path in sorted(glob.glob(pattern), reverse=True):
            if re.search(r"\.so\.\d+$", path):
                yield path


def compile_nvrtc(given: Given) -> dict[str, Any]:
    """Compile for every GPU of the target.

    Raises:
        Skip: ``not-installed``.
        Fail: ``arch-unsupported``, ``nvrtc-failed``.
    """
    compiler = Nvrtc()
    facts: dict[str, Any] = {**compiler.facts(), "built": {}}
    for arch in archs(given) or [f"sm_{compiler.known[-1]}"]:
        begun = time.perf_counter()
        image = compiler.cubin(SOURCE, compiler.best(_number(arch)))
        facts["built"][arch] = _built(image, begun)
    return facts


def _number(arch: str) -> int:
    found = re.fullmatch(r"(?:sm_|compute_)?(\d+)[af]?", arch)
    if found is None:
        raise Fail("arch-unsupported", f"{arch} is no GPU architecture")
    return int(found.group(1))


def _built(image: bytes, begun: float) -> dict[str, Any]:
    return {"bytes": len(image), "seconds": round(time.perf_counter() - begun, 3)}


def nvrtc(_: Given) -> dict[str, Any]:
    """Compile for this GPU, and run it.

    Raises:
        Skip: ``not-installed``.
        Fail: ``arch-unsupported``, ``nvrtc-failed``, ``wrong-result`` or what the driver refuses.
    """
    cuda = Cuda().start()
    compiler = Nvrtc()
    arch = compiler.best(cuda.capability())
    begun = time.perf_counter()
    image = compiler.cubin(SOURCE, arch)
    facts = {**compiler.facts(), "made": "by NVRTC, now", "sm": arch, **_built(image, begun)}
    return {**facts, **run_image(cuda.open(), image)}


def find_nvcc() -> str | None:
    """Return the nvcc of the target, before that of the machine."""
    homes = [os.environ.get(name, "") for name in ("CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH")]
    found: list[str] = [os.environ.get("NVCC", "")]
    for each in _packages():
        found += sorted(glob.glob(f"{each}/nvidia/*/bin/nvcc"), reverse=True)
    found += [f"{each}/bin/nvcc" for each in (sys.prefix, *homes) if each]
    found += [shutil.which("nvcc") or "", "/usr/local/cuda/bin/nvcc"]
    return next((each for each in found if each and os.access(each, os.X_OK)), None)


class Nvcc:
    """nvcc, found where the target keeps it."""

    def __init__(self) -> None:
        """Find it and ask for its version.

        Raises:
            Skip: ``not-installed``.
        """
        path = find_nvcc()
        if path is None:
            raise Skip("not-installed", "no nvcc is here")
        self.path = path
        said = _output([path, "--version"])[1]
        self.says = (re.findall(r"release ([\d.]+)", said) or [None])[0]

    def facts(self) -> dict[str, Any]:
        """Return which program it is."""
        return {"path": self.path, "says": self.says, "host": shutil.which("g++")}

    def cubin(self, source: str, arch: str) -> bytes:
        """Compile.

        Raises:
            Fail: ``nvcc-failed``, with what it printed.
        """
        with tempfile.TemporaryDirectory() as folder:
            text, image = Path(folder, "line.cu"), Path(folder, "line.cubin")
            text.write_text(source, encoding="utf-8")
            words = [self.path, "-cubin", f"-arch={arch}", str(text), "-o", str(image)]
            status, said = _output(words)
            if status:
                message = f"nvcc ended with {status}: {said[-_TOLD:]}"
                raise Fail("nvcc-failed", message, arch=arch, **self.facts())
            return image.read_bytes()


def _output(words: Iterable[str]) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 (the target's own compiler)
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def compile_nvcc(given: Given) -> dict[str, Any]:
    """Compile for every GPU of the target, half precision too.

    Raises:
        Skip: ``not-installed``.
        Fail: ``nvcc-failed``.
    """
    compiler = Nvcc()
    facts: dict[str, Any] = {**compiler.facts(), "built": {}}
    for arch in archs(given) or ["sm_90"]:
        begun = time.perf_counter()
        facts["built"][arch] = _built(compiler.cubin(_HALF + SOURCE, arch), begun)
    return facts


def nvcc(_: Given) -> dict[str, Any]:
    """Compile for this GPU, and run it.

    Raises:
        Skip: ``not-installed``.
        Fail: ``nvcc-failed``, ``wrong-result`` or what the driver refuses.
    """
    cuda = Cuda().start()
    compiler, arch = Nvcc(), f"sm_{cuda.capability()}"
    begun = time.perf_counter()
    image = compiler.cubin(SOURCE, arch)
    facts = {**compiler.facts(), "made": "by nvcc, now", "sm": arch, **_built(image, begun)}
    return {**facts, **run_image(cuda.open(), image)}
