"""Which packages the catalog is about, and what is looked at in a wheel of each.

Only what has to do with CUDA is in it. A name is either a seed here or stands in a Requires-Dist
that was read; none is guessed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

SEEDS: Mapping[str, Version] = {
    name: Version(lowest)
    for name, lowest in {
        "torch": "1.13",
        "torchvision": "0.14",
        "torchaudio": "0.13",
        "triton": "2.0",
        "jax": "0.4.20",
        "jaxlib": "0.4.20",
        "tensorflow": "2.13",
        "cupy-cuda11x": "12.0",
        "cupy-cuda12x": "12.0",
        "cupy-cuda13x": "13.0",
        "flash-attn": "2.0",
        "vllm": "0.2",
        "xformers": "0.0.16",
        "bitsandbytes": "0.40",
        "deepspeed": "0.9",
        "transformer-engine": "1.9",
        "onnxruntime-gpu": "1.16",
        "tensorrt": "8.6",
        "paddlepaddle-gpu": "2.4",
    }.items()
}
"""Package -> the lowest release that is catalogued."""

MOST_PACKAGES = 500
"""No catalog is larger, whatever a wheel requires."""

DISCOVERED = re.compile(
    r"nvidia-.*|cuda-toolkit|cuda-bindings|jax-cuda\d+-(plugin|pjrt)|"
    r"transformer-engine-(cu\d+|torch|jax)|tensorrt-(cu\d+|libs|bindings)|"
    r"tensorrt-cu\d+-(libs|bindings)"
)
"""Names that are followed where a Requires-Dist has them."""

_READ = re.compile(
    r"cuda-toolkit|cuda-bindings|nvidia-(cudnn|nccl)-cu\d+|nvidia-(cublas|cuda-runtime)(-cu\d+)?|"
    r"(jax-cuda|transformer-engine|tensorrt).*"
)
_GPU = re.compile(
    r"(nvidia-|cuda-|triton|pytorch-triton|tensorrt|torch$|torchvision$|torchaudio$|xformers$|"
    r"flash|jaxlib$|jax-cuda|jax$|transformer-engine|vllm|cupy|numpy$|ml-dtypes$|tensorflow|keras$|"
    r"cutensor)"
)
_EXTRA = re.compile(
    r"cuda|cu1\d|gpu|cublas|cudnn|ctk|with|^all$|pytorch|nvcc|cudart|minimum", re.IGNORECASE
)
_LIBRARY = re.compile(r"lib(cudart|cudnn|cublas|nccl|cufft|nvrtc)[-.].*")
_BUNDLED = 12
"""So many names of libraries are enough to know what is in a wheel."""

_SMALL: Mapping[str, str] = {
    "torch": r"torch/version\.py",
    "tensorflow": r"tensorflow/python/platform/build_info\.py",
    "onnxruntime-gpu": r"onnxruntime/capi/build_and_package_info\.py",
    "xformers": r"xformers/cpp_lib\.json",
    "paddlepaddle-gpu": r"paddle/version/__init__\.py|paddle/version\.py",
    "cupy-cuda11x": r"cupy/\.data/_wheel\.json",
    "cupy-cuda12x": r"cupy/\.data/_wheel\.json",
    "cupy-cuda13x": r"cupy/\.data/_wheel\.json",
}


def is_read(package: str) -> bool:
    """Tell whether the metadata of this package's wheels is wanted, not only its page."""
    return package in SEEDS or _READ.fullmatch(package) is not None


def looks_inside(package: str) -> bool:
    """Tell whether more than METADATA is wanted: a small file, or the names of CUDA libraries."""
    return package in _SMALL or package.startswith(("torch", "nvidia-", "bitsandbytes"))


def small_file(package: str) -> str | None:
    """Return the pattern of the one small file that says what a wheel was built for."""
    return _SMALL.get(package)


def is_about_gpus(name: str) -> bool:
    """Tell whether a requirement on ``name`` is worth a place in a row."""
    return _GPU.match(name) is not None


def keeps_extra(package: str, extra: str) -> bool:
    """Tell whether an extra may bring CUDA libraries along."""
    return package == "cuda-toolkit" or _EXTRA.search(extra) is not None


def libraries(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the CUDA libraries among the names of a wheel's files."""
    shared = {name.rpartition("/")[2] for name in names if name.endswith(".so") or ".so." in name}
    return tuple(sorted(each for each in shared if _LIBRARY.fullmatch(each))[:_BUNDLED])
