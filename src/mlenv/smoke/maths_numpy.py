"""The libraries below JAX and CuPy, each against float64 by NumPy on the CPU.

Both speak NumPy's language, so the problems are put once; the references never touch the GPU.
"""

from __future__ import annotations

import os

from mlenv.smoke import kernels_frameworks
from mlenv.smoke.oracle import agreed, near
from mlenv.smoke.register import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mlenv.smoke.register import Given

    # Of the target's packages, which have no types here.
    Array = Any
    Module = Any

_BOUNDS = {"float32": 1e-5, "float16": 3e-3, "bfloat16": 1e-2}


def _drawn() -> tuple[Any, dict[str, Any]]:
    seed = int.from_bytes(os.urandom(4), "little")
    errors: dict[str, float] = {}
    return load("numpy").random.default_rng(seed), {"errors": errors, "seed": seed}


def _off(got: Array, reference: Array) -> float:
    norm = load("numpy").linalg.norm
    return float(norm((got - reference).ravel()) / norm(reference.ravel()))


def jax(_: Given) -> dict[str, Any]:
    """Multiply, convolve, solve and transform by JAX.

    Raises:
        Fail: ``wrong-result`` with every wrong one, or whatever jax raises.
    """
    return jax_computed("cuda")


def jax_computed(platform: str) -> dict[str, Any]:
    """Compute on a platform."""
    module = kernels_frameworks.jax_on(platform)
    kernels_frameworks.jax_device(module, platform)
    module.config.update("jax_enable_x64", True)
    drawn, facts = _drawn()
    said = list(_jax_dense(module, drawn, facts["errors"]))
    said += list(_solved(module.numpy, load("numpy").asarray, drawn, facts["errors"]))
    return agreed(said, facts)


def _jax_dense(module: Module, drawn: Module, errors: dict[str, float]) -> Iterator[str]:
    numpy, own = load("numpy"), module.numpy
    for name, bound in _BOUNDS.items():
        kind = getattr(own, name)
        a, b = (own.asarray(drawn.standard_normal(side)).astype(kind) for side in _SIDES)
        x, w = (own.asarray(drawn.standard_normal(side)).astype(kind) for side in _IMAGES)
        wide = [numpy.asarray(each.astype(own.float64)) for each in (a, b, x, w)]
        product = module.jit(lambda a, b: own.matmul(a, b, precision="highest"))(a, b)
        image = module.jit(lambda x, w: module.lax.conv(x, w, (1, 1), "SAME", precision="highest"))(
            x, w
        )
        for what, got, reference in (
            ("matmul", product, wide[0] @ wide[1]),
            ("conv2d", image, convolved(*wide[2:])),
        ):
            off = _off(numpy.asarray(got.astype(own.float64)), reference)
            yield near(f"{what}.{name}", off, bound, errors)


_SIDES = ((257, 509), (509, 331))
_IMAGES = ((3, 17, 33, 29), (23, 17, 3, 3))


def convolved(x: Array, w: Array) -> Array:
    """Return the convolution of images with 3 x 3 kernels, as deep learning calls it, padded."""
    numpy = load("numpy")
    high, wide = x.shape[2:]
    padded = numpy.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifts = ((i, j) for i in range(3) for j in range(3))
    return sum(
        numpy.einsum("nchw,oc->nohw", padded[:, :, i : i + high, j : j + wide], w[:, :, i, j])
        for i, j in shifts
    )


def cupy(_: Given) -> dict[str, Any]:
    """Multiply, solve, transform and multiply sparsely by CuPy.

    Raises:
        Fail: ``wrong-result`` with every wrong one, or whatever CuPy raises.
    """
    module = load("cupy")
    drawn, facts = _drawn()
    errors = facts["errors"]
    said = list(_solved(module, module.asnumpy, drawn, errors))
    a, b = (drawn.standard_normal(side) for side in _SIDES)
    single = [each.astype("float32") for each in (a, b)]
    product = module.asnumpy(module.asarray(single[0]) @ module.asarray(single[1]))
    reference = single[0].astype("float64") @ single[1].astype("float64")
    said.append(near("matmul.float32", _off(product, reference), _BOUNDS["float32"], errors))
    sparse = a * (a > 1.5)
    rows = load("cupyx.scipy.sparse").csr_matrix(module.asarray(sparse))
    product = module.asnumpy(rows @ module.asarray(b))
    said.append(near("spmm.float64", _off(product, sparse @ b), 1e-13, errors))
    return agreed(said, facts)


def _solved(
    own: Module,
    back: Module,
    drawn: Module,
    errors: dict[str, float],
) -> Iterator[str]:
    """Multiply, solve and transform in float64."""
    numpy = load("numpy")
    a, b = (drawn.standard_normal(side) for side in _SIDES)
    m = a[:, :257] + 32 * numpy.eye(257)
    product = back(own.asarray(a) @ own.asarray(b))
    solution = back(own.linalg.solve(own.asarray(m), own.asarray(a[:, :7])))
    spectrum = back(own.fft.fft(own.asarray(a)))
    yield near("matmul.float64", _off(product, a @ b), 1e-13, errors)
    yield near("solve.float64", _off(m @ solution, a[:, :7]), 1e-12, errors)
    yield near("fft.float64", _off(spectrum, numpy.fft.fft(a)), 1e-13, errors)
