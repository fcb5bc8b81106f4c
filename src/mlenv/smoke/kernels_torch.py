"""Kernels through PyTorch: one that came compiled in the wheel, one compiled here and now.

``is_available()`` hides why there is no GPU, so it is never asked; and nothing is computed on the
CPU instead.
"""

from __future__ import annotations

import ctypes
import time

from mlenv.smoke.oracle import Line
from mlenv.smoke.register import Fail, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Module = Any
    Tensor = Any


def cuda() -> Module:
    """Return torch with its CUDA started.

    Raises:
        Fail: ``cpu-only-build``; what torch itself raises tells why it finds no GPU.
    """
    torch = load("torch")
    if not torch.version.cuda:
        said = f"torch {torch.__version__} is a CPU-only build"
        raise Fail("cpu-only-build", said, says=torch.__version__)
    torch.cuda.init()
    return torch


def tensor(content: bytes, device: str) -> Tensor:
    """Return float32 on a device, bit by bit; NumPy need not be there."""
    torch = load("torch")
    # A copy as integers, so that no NaN is made quiet on the way.
    return torch.frombuffer(bytearray(content), dtype=torch.int32).to(device).view(torch.float32)


def content(tensor_: Tensor) -> bytes:
    """Return a tensor's bytes."""
    held = tensor_.detach().to("cpu").contiguous()
    return ctypes.string_at(held.data_ptr(), held.numel() * held.element_size())


def eager(_: Given) -> dict[str, Any]:
    """Run a kernel that the wheel brought compiled.

    Raises:
        Fail: ``cpu-only-build``, ``wrong-result``, or whatever torch raises.
    """
    torch = cuda()
    facts = added("cuda")
    facts["arch_list"] = torch.cuda.get_arch_list()
    facts["sm"] = "sm_{}{}".format(*torch.cuda.get_device_capability())
    return facts


def added(device: str) -> dict[str, Any]:
    """Let torch add into a poisoned output."""
    torch, line = load("torch"), Line()
    out = tensor(line.poisoned(), device)
    x, y = tensor(line.x.tobytes(), device), tensor(line.y.tobytes(), device)
    torch.add(y, x, alpha=line.a, out=out[: line.count])
    facts = line.judged(content(out))
    facts.update(says=torch.__version__, made="beforehand, in the wheel")
    return facts


def compiled(_: Given) -> dict[str, Any]:
    """Let torch.compile make a kernel now, with cold caches.

    Raises:
        Fail: ``cpu-only-build``, ``wrong-result``, or whatever torch raises.
    """
    cuda()
    return fused("cuda")


def fused(device: str) -> dict[str, Any]:
    """Compile a function and judge what it writes into a poisoned output."""
    torch, line = load("torch"), Line()

    def function(a: Tensor, x: Tensor, y: Tensor, out: Tensor) -> Tensor:
        return out.copy_(a * x + y)

    out = tensor(line.poisoned(), device)
    x, y = tensor(line.x.tobytes(), device), tensor(line.y.tobytes(), device)
    begun = time.perf_counter()
    torch.compile(function, fullgraph=True)(line.a, x, y, out[: line.count])
    facts = line.judged(content(out))
    seconds = time.perf_counter() - begun
    counted = load("torch._dynamo.utils").counters["stats"]
    facts.update(says=torch.__version__, made="by torch.compile, now", first_seconds=seconds)
    facts["graphs"] = counted["unique_graphs"]
    if not facts["graphs"]:
        raise Fail("not-compiled", "torch.compile ran the function as it stood", **facts)
    return facts
