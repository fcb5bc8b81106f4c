"""Triton: compiled ahead of time for a GPU that is not here, or now for the one that is.

Ahead of time it needs neither GPU, driver, torch nor a C compiler, so its own assembler is proven
anywhere. Its launcher is C, compiled at the first launch: that one needs gcc and Python.h.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from mlenv.smoke import kernels_torch
from mlenv.smoke.kernels_compilers import archs
from mlenv.smoke.oracle import Line
from mlenv.smoke.register import Fail, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Module = Any

BLOCK = 1024
_MODULE = "mlenv_triton_line"
_SOURCE = """import triton
import triton.language as tl

@triton.jit
def line(a, x, y, out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(out + i, a * tl.load(x + i, mask=mask) + tl.load(y + i, mask=mask), mask=mask)
"""
"""Triton reads a kernel's source from its file, so it must lie in one."""
_SIGNATURE = {"a": "fp32", "x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32"}


def compile_triton(given: Given) -> dict[str, Any]:
    """Compile for every GPU of the target.

    Raises:
        Fail: ``arch-unsupported``, or whatever Triton raises.
    """
    facts: dict[str, Any] = {"says": load("triton").__version__, "built": {}}
    for arch in archs(given) or ["sm_90"]:
        number = re.fullmatch(r"sm_(\d+)", arch)
        if number is None:
            raise Fail("arch-unsupported", f"{arch} is no GPU architecture")
        begun = time.perf_counter()
        facts["built"][arch] = _ahead(int(number.group(1)))
        facts["built"][arch]["seconds"] = round(time.perf_counter() - begun, 3)
    return facts


def _ahead(number: int) -> dict[str, Any]:
    backends, compiler = load("triton.backends.compiler"), load("triton.compiler")
    values = {"BLOCK": BLOCK}
    try:
        source = compiler.ASTSource(
            _kernel(), signature={**_SIGNATURE, "BLOCK": "constexpr"}, constexprs=values
        )
    except TypeError:  # before Triton 3.2
        source = compiler.ASTSource(_kernel(), signature=dict(_SIGNATURE), constants=values)
    target = backends.GPUTarget("cuda", number, 32)
    made = load("triton").compile(source, target=target)
    found = re.search(r"\.version ([\d.]+)\s+\.target (\w+)", made.asm["ptx"])
    version, name = found.groups() if found else (None, None)
    return {"bytes": len(made.asm["cubin"]), "ptx": version, "target": name}


def _kernel() -> Module:
    if _MODULE not in sys.modules:
        folder = tempfile.mkdtemp(dir=".")
        Path(folder, _MODULE + ".py").write_text(_SOURCE, encoding="utf-8")
        sys.path.append(folder)
    return load(_MODULE).line


def kernel(_: Given) -> dict[str, Any]:
    """Compile a kernel for this GPU and its launcher for this Python, and run it.

    Raises:
        Fail: ``cpu-only-build``, ``wrong-result``, or whatever Triton raises.
    """
    kernels_torch.cuda()
    return launched("cuda")


def launched(device: str) -> dict[str, Any]:
    """Launch it over a fresh problem; on a ``cpu`` only under Triton's interpreter."""
    line, torch = Line(), load("torch")
    x, y, out = (
        kernels_torch.tensor(each, device)
        for each in (line.x.tobytes(), line.y.tobytes(), line.poisoned())
    )
    begun = time.perf_counter()
    _kernel()[(line.blocks(BLOCK),)](line.a, x, y, out, line.count, BLOCK=BLOCK)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    facts = line.judged(kernels_torch.content(out))
    facts.update(says=load("triton").__version__, made="by Triton, now", first_seconds=seconds)
    return facts
