"""A kernel that needs nothing but the driver: PTX as text, compiled and run by libcuda.

It proves driver, its compiler and GPU where the target has installed nothing of CUDA. The text is
held in this file, so that it can be reviewed; a binary could not.
"""

from __future__ import annotations

import ctypes
import time

from mlenv.smoke.cuda_driver import Cuda
from mlenv.smoke.oracle import Line
from mlenv.smoke.register import Fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

THREADS = 256
_ENTRY = """
.visible .entry {name}(.param .f32 a, .param .u64 x, .param .u64 y, .param .u64 out, .param .u32 n)
{{
  .reg .pred %done;
  .reg .b32 %i<5>;
  .reg .b64 %at<8>;
  .reg .f32 %v<5>;
  mov.u32 %i1, %ctaid.x;
  mov.u32 %i2, %ntid.x;
  mov.u32 %i3, %tid.x;
  mad.lo.u32 %i4, %i1, %i2, %i3;
  ld.param.u32 %i0, [n];
  setp.ge.u32 %done, %i4, %i0;
  @%done bra END;
  ld.param.f32 %v0, [a];
  ld.param.u64 %at0, [x];
  ld.param.u64 %at1, [y];
  ld.param.u64 %at2, [out];
  cvta.to.global.u64 %at3, %at0;
  cvta.to.global.u64 %at4, %at1;
  cvta.to.global.u64 %at5, %at2;
  mul.wide.u32 %at6, %i4, 4;
  add.u64 %at3, %at3, %at6;
  add.u64 %at4, %at4, %at6;
  add.u64 %at5, %at5, %at6;
  ld.global.f32 %v1, [%at3];
  ld.global.f32 %v2, [%at4];
  {body}
  st.global.f32 [%at5], %v3;
END:
  ret;
}}
"""
PTX = (
    ".version 6.0\n.target sm_50\n.address_size 64\n"
    + _ENTRY.format(name="line", body="fma.rn.f32 %v3, %v0, %v1, %v2;")
    + _ENTRY.format(name="wrong", body="mul.rn.f32 %v3, %v0, %v1;\n  sub.rn.f32 %v3, %v3, %v2;")
    + ".visible .entry empty()\n{\n  ret;\n}\n"
).encode()
"""``line``; ``wrong``, which subtracts; ``empty``, to time what a launch costs.

PTX 6.0 for sm_50 is read by every driver since CUDA 9, and by those of CUDA 13.
"""


def ptx(_: Given) -> dict[str, Any]:
    """Compile the PTX by the driver and run it; and see that a wrong kernel is seen to be wrong.

    Raises:
        Fail: ``wrong-result``, ``blind-oracle`` or what the driver refuses.
    """
    cuda = Cuda().start().open()
    begun = time.perf_counter()
    module = cuda.load(PTX)
    seconds = time.perf_counter() - begun
    facts = run(cuda, cuda.function(module, "line"))
    facts.update(made="by the driver, now", sm=f"sm_{cuda.capability()}", seconds=round(seconds, 4))
    try:
        run(cuda, cuda.function(module, "wrong"))
    except Fail as seen:
        if seen.code != "wrong-result":
            raise
        facts["wrong_kernel_seen"] = seen.facts["wrong"]
        return facts
    raise Fail("blind-oracle", "a kernel that subtracts was taken for one that adds", **facts)


def run_image(cuda: Cuda, image: bytes) -> dict[str, Any]:
    """Load a cubin, run its ``line``, and return how right it was.

    Raises:
        Fail: ``wrong-result`` or what the driver refuses.
    """
    begun = time.perf_counter()
    kernel = cuda.function(cuda.load(image), "line")
    seconds = time.perf_counter() - begun
    return {**run(cuda, kernel), "image_bytes": len(image), "load_seconds": round(seconds, 4)}


def run(cuda: Cuda, kernel: ctypes.c_void_p) -> dict[str, Any]:
    """Run a kernel over a fresh problem.

    Raises:
        Fail: ``wrong-result`` or what the driver refuses.
    """
    line = Line()
    before = line.poisoned()
    x, y, out = cuda.put(line.x.tobytes()), cuda.put(line.y.tobytes()), cuda.put(before)
    arguments = [ctypes.c_float(line.a), x, y, out, ctypes.c_uint(line.count)]
    cuda.launch(kernel, line.blocks(THREADS), THREADS, arguments)
    after = cuda.get(out, len(before))
    for each in (x, y, out):
        cuda("cuMemFree_v2", each)
    return line.judged(after)
