"""The libraries below PyTorch, each against float64 on the CPU: cuBLAS, cuDNN, cuSOLVER and more.

A shape has no round side, so that no kernel gets the easy case. What a GPU has no units for is
left out and said: tf32 and bf16 before compute capability 8.0, fp8 before 8.9.
"""

from __future__ import annotations

import os

from mlenv.smoke import kernels_torch
from mlenv.smoke.oracle import agreed, near
from mlenv.smoke.register import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Tensor = Any

_KINDS = (
    # dtype of torch, the relative error that it may have, oldest compute capability
    ("float32", 1e-5, 0),  # cuDNN may convolve by Winograd's way, which errs more than a sum
    ("float16", 3e-3, 0),
    ("bfloat16", 1e-2, 80),
)
_TF32, _FP8 = (3e-3, 80), (3e-2, 89)


def maths(_: Given) -> dict[str, Any]:
    """Multiply, convolve, solve, transform and multiply sparsely.

    Raises:
        Fail: ``cpu-only-build``, ``wrong-result`` with every wrong one, or what torch raises.
    """
    torch = kernels_torch.cuda()
    major, minor = torch.cuda.get_device_capability()
    return computed("cuda", 10 * major + minor)


def computed(device: str, capability: int) -> dict[str, Any]:
    """Compute on a device; on a ``cpu`` what needs units of a GPU is left out."""
    torch = load("torch")
    seed = int.from_bytes(os.urandom(4), "little")
    torch.manual_seed(seed)
    errors: dict[str, float] = {}
    facts: dict[str, Any] = {"errors": errors, "seed": seed, "left_out": []}
    said: list[str] = []
    for name, bound, oldest in _KINDS:
        if capability < oldest:
            facts["left_out"].append(name)
            continue
        said += _dense(device, name, bound, errors)
    for name, (bound, oldest), function in (("tf32", _TF32, _tf32), ("fp8", _FP8, _fp8)):
        if capability < oldest or (name == "fp8" and not hasattr(torch, "_scaled_mm")):
            facts["left_out"].append(name)
            continue
        said.append(near(f"matmul.{name}", function(device), bound, errors))
    said += _solved(device, errors)
    return agreed(said, facts)


def _off(got: Tensor, reference: Tensor) -> float:
    """Return the relative error, in the Frobenius norm; NaN where there is one."""
    torch = load("torch")
    got = torch.view_as_real(got) if got.is_complex() else got
    reference = torch.view_as_real(reference) if reference.is_complex() else reference
    got = got.detach().to("cpu").to(torch.float64)
    return float((got - reference).norm() / reference.norm())


def _dense(device: str, name: str, bound: float, errors: dict[str, float]) -> list[str]:
    """Multiply (cuBLAS) and convolve (cuDNN); float32 in full, without tf32."""
    torch = load("torch")
    kind = getattr(torch, name)
    torch.set_float32_matmul_precision("highest")
    a, b = torch.randn(257, 509).to(kind), torch.randn(509, 331).to(kind)
    x, w = torch.randn(3, 17, 33, 29).to(kind), torch.randn(23, 17, 3, 3).to(kind)
    product = a.to(device) @ b.to(device)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        image = torch.nn.functional.conv2d(x.to(device), w.to(device), padding=1)
    reference = torch.nn.functional.conv2d(x.double(), w.double(), padding=1)
    return [
        near(f"matmul.{name}", _off(product, a.double() @ b.double()), bound, errors),
        near(f"conv2d.{name}", _off(image, reference), bound, errors),
    ]


def _tf32(device: str) -> float:
    torch = load("torch")
    a, b = torch.randn(257, 509), torch.randn(509, 331)
    torch.set_float32_matmul_precision("high")
    try:
        return _off(a.to(device) @ b.to(device), a.double() @ b.double())
    finally:
        torch.set_float32_matmul_precision("highest")


def _fp8(device: str) -> float:
    """Multiply with sides that 16 divides: cuBLAS takes no others."""
    torch = load("torch")
    one = torch.ones((), device=device)
    a = torch.randn(272, 528).to(torch.float8_e4m3fn)
    b = torch.randn(336, 528).to(torch.float8_e4m3fn)  # its transpose is the column-major one
    product = torch._scaled_mm(  # noqa: SLF001 (there is no public one)
        a.to(device), b.to(device).t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16
    )
    return _off(product, a.double() @ b.double().t())


def _solved(device: str, errors: dict[str, float]) -> list[str]:
    """Solve (cuSOLVER), transform (cuFFT) and multiply sparsely (cuSPARSE), in float64."""
    torch = load("torch")
    a = torch.randn(257, 509, dtype=torch.float64)
    m = a[:, :257] + 32 * torch.eye(257, dtype=torch.float64)
    sparse = a * (a > 1.5)
    dense = torch.randn(509, 31, dtype=torch.float64)
    solution = torch.linalg.solve(m.to(device), a[:, :7].to(device))
    values = torch.linalg.eigvalsh((m + m.t()).to(device))
    spectrum = torch.fft.fft(a.to(device))
    product = sparse.to(device).to_sparse_csr() @ dense.to(device)
    return [
        # The residual, not the solution: it needs no other solver to be right.
        near("solve.float64", _off(m @ solution.to("cpu"), a[:, :7]), 1e-12, errors),
        near("eigvalsh.float64", _off(values.sum(), (2 * m).trace()), 1e-12, errors),
        near("fft.float64", _off(spectrum, torch.fft.fft(a)), 1e-13, errors),
        near("spmm.float64", _off(product, sparse @ dense), 1e-13, errors),
    ]
