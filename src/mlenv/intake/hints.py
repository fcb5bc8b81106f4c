"""Where files hide the CUDA toolkit: local versions, indexes, pins of its components."""

from __future__ import annotations

import re
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

_TAG = re.compile(r"cu(?P<major>\d{2})(?P<minor>\d)", re.ASCII)
_INDEX = re.compile(
    r"https?://download(?:-r2)?\.pytorch\.org/whl/(?:nightly/|test/)?(?P<tag>cu\d{3}|cpu)(?:/|$)"
)
_PYTORCH = re.compile(r"https?://download(?:-r2)?\.pytorch\.org(?:/|$)")
COMPONENT = re.compile(
    r"nvidia-(?:cublas|cuda-(?:runtime|nvrtc|cupti|nvcc|nvtx|cccl|crt|sanitizer-api)|cudnn|cufft|"
    r"cufile|curand|cusolver|cusparse|cusparselt|nccl|npp|nvfatbin|nvjitlink|nvjpeg|nvshmem|nvtx|"
    r"nvvm)(?:-cu\d\d)?"
)
"""The CUDA libraries as wheels: a framework pins them itself."""
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d\d)?|cuda-toolkit")
BROUGHT = re.compile(r"triton|pytorch-triton|jaxlib|jax-cuda\d\d-(?:plugin|pjrt)|cuda-toolkit")
"""Parts of a framework that come with it, in the one version that fits."""


_WHEEL = re.compile(
    r"\s*(?:[\w.-]+\s*@\s*)?https?://download(?:-r2)?\.pytorch\.org/[^\s;#]*/([^\s;#/]+\.whl)"
)


def plain(text: str) -> str:
    """Return ``torch==2.8.0+cu126`` of a wheel's address on PyTorch's index; else the text."""
    found = _WHEEL.match(text)
    if found is None:
        return text
    try:
        name, version, _, _ = parse_wheel_filename(unquote(found[1]))
    except InvalidWheelFilename:
        return text
    return f"{name}=={version}"


def tag_cuda(tag: str) -> str | None:
    """Return the toolkit of ``cu126`` or ``cpu``; None for what is neither."""
    if tag == "cpu":
        return tag
    found = _TAG.fullmatch(tag)
    return f"{found['major']}.{found['minor']}" if found else None


def local_cuda(local: str) -> str | None:
    """Return the toolkit that a local version names: ``cu126``, ``cpu``, ``cu12torch2.5``."""
    if (exact := tag_cuda(local)) is not None:
        return exact
    found = re.match(r"cu(?:da)?(1[1-9])(\d)?(?![0-9])", local)
    if not found:
        return None
    return f"{found[1]}.{found[2]}" if found[2] else found[1]


def index_cuda(url: str) -> str | None:
    """Return the toolkit of one of PyTorch's own indexes; None for any other address."""
    found = _INDEX.match(url)
    return tag_cuda(found["tag"]) if found else None


def is_pytorch(url: str) -> bool:
    """Tell whether an address is PyTorch's, whatever its toolkit."""
    return _PYTORCH.match(url) is not None


def component_cuda(name: str, version: str) -> str | None:
    """Return the toolkit that a pin of its runtime library means: 12.8.90 is 12.8."""
    found = re.match(r"(1[1-9])\.(\d{1,2})(\.|$)", version)
    return f"{found[1]}.{found[2]}" if found and _RUNTIME.fullmatch(name) else None


def minor(version: str) -> str | None:
    """Return ``12.6`` of ``12.6.3``, and ``12`` of ``12``; None for what is no toolkit."""
    found = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2}))?(?:\.[\d*]+)*", version.strip())
    if not found:
        return None
    return f"{found[1]}.{found[2]}" if found[2] else found[1]
