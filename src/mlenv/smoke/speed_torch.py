"""What crossing the boundary between Python and the GPU costs through PyTorch.

A single op, a value read back, and a chain of forty ops: as it stands, compiled into one kernel,
and replayed as a graph. The last two are what a researcher gains by leaving the first.
"""

from __future__ import annotations

import functools

from mlenv.smoke import cuda_driver, kernels_torch, speed
from mlenv.smoke.cuda_driver import Cuda
from mlenv.smoke.register import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Tensor = Any

CHAIN = 40
_SMALL = 251
_LARGE = 1 << 26
_SIDE = 8192
FLOPS_A_CLOCK = {80: 2048, 90: 4096, 100: 8192}
"""Dense bfloat16 operations of one multiprocessor in one clock, by compute capability.

Source: NVIDIA's white papers of A100 (312 TFLOP/s: 108 at 1410 MHz), H100 (989: 132 at 1830 MHz)
and B200 (2250: 148 at 1850 MHz). Others are told without a fraction.
"""


def torch(given: Given) -> dict[str, Any]:
    """Time ops, chains and a large multiplication.

    Raises:
        Fail: ``cpu-only-build``, or whatever torch raises.
    """
    module = kernels_torch.cuda()
    facts = crossed("cuda", module.cuda.synchronize, _LARGE, quick=given.quick)
    facts["chain_us"]["graph"] = _graph().facts()
    facts["gain"] = _gain(facts["chain_us"])
    if not given.quick:
        facts.update(_multiplied())
    return facts


def crossed(
    device: str, wait: Callable[[], Any], large: int, *, quick: bool = False
) -> dict[str, Any]:
    """Time ops and a chain on a device.

    Args:
        device: ``cuda``; or ``cpu``, which has no boundary to cross.
        wait: returns once the device has done all that was asked of it.
        large: so many elements that the device is busy with one op.
        quick: compile nothing.
    """
    module = load("torch")
    x = module.rand(_SMALL, device=device)
    op = speed.issued(functools.partial(module.add, x, 1.0), wait)
    both = speed.timed(lambda: (x + 1.0, wait()), wait, calls=100)
    item = speed.timed(x[0].item, wait, calls=100)
    chain = {"eager": speed.timed(lambda: _chain(x), wait, calls=10).facts()}
    if not quick:
        compiled = module.compile(_chain, fullgraph=True)
        compiled(x)
        chain["compiled"] = speed.timed(lambda: compiled(x), wait, calls=100).facts()
    each = _each(device, wait, large)
    return {
        "says": module.__version__,
        "op_us": op.facts(),
        "op_and_wait_us": both.facts(),
        "item_us": item.facts(),
        "chain_us": chain,
        "chain_ops": CHAIN,
        "gain": _gain(chain),
        "element_ns": round(1e3 * each, 6),
        "boundary": speed.boundary("crossing the boundary", op.median, each),
    }


def _gain(chain: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how many times as fast as op by op the others are."""
    slow = chain["eager"]["median"]
    return {
        name: round(slow / took["median"], 1)
        for name, took in chain.items()
        if name != "eager" and took["median"]
    }


def _chain(x: Tensor) -> Tensor:
    for _ in range(CHAIN // 2):
        x = x * 1.0001 + 0.0001
    return x


def _each(device: str, wait: Callable[[], Any], large: int) -> float:
    """Return the microseconds for one element more: two sizes, so that the launch falls out."""
    module = load("torch")
    took = []
    for count in (large // 2, large):
        x, out = (module.rand(count, device=device) for _ in range(2))
        add = functools.partial(module.add, x, 1.0, out=out)
        took.append(speed.timed(add, wait, calls=10))
    return (took[1].median - took[0].median) / (large - large // 2)


def _graph() -> speed.Timed:
    """Time the chain as a CUDA graph."""
    module = load("torch")
    x = module.rand(_SMALL, device="cuda")
    aside = module.cuda.Stream()
    aside.wait_stream(module.cuda.current_stream())
    with module.cuda.stream(aside):
        _chain(x)  # a first run may allocate, which a capture may not
    module.cuda.current_stream().wait_stream(aside)
    graph = module.cuda.CUDAGraph()
    with module.cuda.graph(graph):
        _chain(x)
    return speed.timed(graph.replay, module.cuda.synchronize, calls=100)


def _multiplied() -> dict[str, Any]:
    """Multiply large bfloat16 matrices, as a fraction of what the device could at its clock."""
    module = load("torch")
    capability = Cuda().start().capability()
    if capability < 80:
        return {"matmul_tflops": None, "matmul_fraction": None}
    a, b = (module.randn(_SIDE, _SIDE, device="cuda", dtype=module.bfloat16) for _ in range(2))
    out = module.empty_like(a)
    took = speed.timed(lambda: module.mm(a, b, out=out), module.cuda.synchronize, calls=5)
    rate = 2 * _SIDE**3 / took.median / 1e6
    count = module.cuda.get_device_properties(0).multi_processor_count
    clock = cuda_driver.rates(Cuda().start())["clock_khz"] * 1e3
    peak = FLOPS_A_CLOCK.get(capability, 0) * count * clock / 1e12
    fraction = round(rate / peak, 3) if peak else None
    return {"matmul_tflops": round(rate, 1), "matmul_fraction": fraction}
