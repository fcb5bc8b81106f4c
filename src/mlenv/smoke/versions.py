"""What a CUDA library answers when it is asked for its version; none of them needs a GPU."""

from __future__ import annotations

import ctypes
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STEM = re.compile(
    r"/(lib(?:cuda|cudart|cudnn\w*|cublas\w*|nvrtc[\w-]*|nvJitLink|nccl|cufft\w*|curand|cusolver\w*"
    r"|cusparse\w*|cupti|nvvm|cufile\w*|nvshmem\w*|nvidia-[\w-]+|cutensor\w*|nvinfer\w*))"
    r"\.so[.\d]*$"
)
_MAJOR, _MINOR, _PATCH = 0, 1, 2
_CUDNN_9, _NCCL_2_9 = 90000, 10000


def stem_of(path: str) -> str:
    """Return ``libcudnn`` of ``/x/libcudnn.so.9``; nothing for what is no library of CUDA."""
    found = _STEM.search(path)
    return found.group(1) if found else ""


def _numbers(library: ctypes.CDLL, function: str, count: int = 1) -> list[int]:
    values = [ctypes.c_int(-1) for _ in range(count)]
    _good(function, getattr(library, function)(*[ctypes.byref(each) for each in values]))
    return [each.value for each in values]


def _good(function: str, status: int) -> None:
    if status:
        raise OSError(f"{function} returned {status}")


def _property(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(library: ctypes.CDLL) -> str:
        parts = []
        for which in (_MAJOR, _MINOR, _PATCH):
            value = ctypes.c_int(-1)
            _good(function, getattr(library, function)(which, ctypes.byref(value)))
            parts.append(str(value.value))
        return ".".join(parts)

    return ask


def _toolkit(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(library: ctypes.CDLL) -> str:
        number = _numbers(library, function)[0]
        return f"{number // 1000}.{number % 1000 // 10}"

    return ask


def _pair(function: str) -> Callable[[ctypes.CDLL], str]:
    return lambda library: ".".join(str(each) for each in _numbers(library, function, 2))


def _large(library: ctypes.CDLL, function: str) -> int:
    ask = getattr(library, function)
    ask.restype = ctypes.c_size_t
    return int(ask())


def _three(number: int, *, wide: bool) -> str:
    first = 10000 if wide else 1000
    return f"{number // first}.{number % first // 100}.{number % 100}"


def _cudnn(library: ctypes.CDLL) -> str:
    number = _large(library, "cudnnGetVersion")
    return _three(number, wide=number >= _CUDNN_9)


def _cublas_lt(library: ctypes.CDLL) -> str:
    return _three(_large(library, "cublasLtGetVersion"), wide=True)


def _nccl(library: ctypes.CDLL) -> str:
    number = _numbers(library, "ncclGetVersion")[0]
    return _three(number, wide=number >= _NCCL_2_9)


SAYS: dict[str, Callable[[ctypes.CDLL], str]] = {
    "libcudart": _toolkit("cudaRuntimeGetVersion"),
    "libcudnn": _cudnn,
    "libcudnn_graph": _cudnn,
    "libcublas": _property("cublasGetProperty"),
    "libcublasLt": _cublas_lt,
    "libnccl": _nccl,
    "libnvrtc": _pair("nvrtcVersion"),
    "libnvJitLink": _pair("nvJitLinkVersion"),
    "libcufft": _property("cufftGetProperty"),
    "libcurand": _property("curandGetProperty"),
    "libcusolver": _property("cusolverGetProperty"),
    "libcusparse": _property("cusparseGetProperty"),
    "libcusparseLt": _property("cusparseLtGetProperty"),
}
"""Name of a library -> its question. CUPTI's number is no version of its package."""


def begins(version: str, says: str) -> bool:
    """Tell whether a library's own number is the beginning of its package's."""
    parts = says.split(".")
    return version.split(".")[: len(parts)] == parts
