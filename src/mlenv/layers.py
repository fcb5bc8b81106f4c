"""A lock, cut into image layers by weight and by how often each part changes.

A layer file is the only thing that its step of the Dockerfile sees, so a package that moves
re-installs and re-pushes its own layer and no other. Nothing is solved here, and nothing moves
between layers because of what a registry or an engine would like.

Why these layers: of torch 2.8.0, transformers, wandb and jupyterlab (4,030 MB of wheels) the
CUDA libraries are 97 %; a moved pure-Python package re-pushes 40 MB, torch 2.8.0 -> 2.9.1
1,517 MB. Source: measured with uv 0.13.9 on 2026-11-22.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlenv.files import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.lock import Package

LAYERS: Mapping[str, str] = {
    "cuda": "CUDA component libraries",
    "cudnn": "cuDNN",
    "comm": "communication between GPUs: NCCL, NVSHMEM",
    "framework": "the frameworks and what is released with them",
    "domain": "other wheels of 5 MB or more",
    "rest": "all other wheels",
    "source": "what is installed from a source package",
    "dev": "wheels of the dev variant only",
    "dev-source": "source packages of the dev variant only",
}
"""Layer -> what it holds, heavy first. The place gives the number in a file's name: append only."""

DEV = ("dev", "dev-source")
"""The layers that the runtime variant does not have."""
SOURCE = ("source", "dev-source")
"""The layers that are built, not only unpacked."""

HEAVY_BYTES = 5_000_000
"""From this size on, a wheel of no better layer is ``domain``."""

DEFAULT_INDEX = "default"
"""The alias of the index whose packages need no file of their own."""

# Reviewed on 2026-11-22 against the dependencies of cuda-toolkit 12.6 to 13.0 and of torch, jax,
# tensorflow and cupy. An `nvidia-` name that is not here is sorted by its size: nvidia-ml-py,
# nvidia-cudnn-frontend, nvidia-modelopt and the like are Python tools with a pace of their own,
# and must not drag 2 GB of libraries through a push.
_COMPONENTS = (
    "cublas|cublasmp|cuda-(cccl|crt|cuobjdump|cupti|culibos|cuxxfilt|nvcc|nvdisasm|nvprune|nvrtc"
    "|opencl|profiler-api|runtime|sanitizer-api)|cudla|cudss|cufft|cufftmp|cufile|curand|cusolver"
    "|cusparse|cusparselt|cutensor|npp|nvcomp|nvfatbin|nvjitlink|nvjpeg|nvjpeg2k|nvml-dev"
    "|nvptxcompiler|nvtiff|nvtx|nvvm"
)
_BY_NAME: Mapping[str, re.Pattern[str]] = {
    "cuda": re.compile(
        rf"nvidia-({_COMPONENTS})(-cu\d+)?|cutensor-cu\d+"
        r"|cuda-toolkit"
    ),
    "cudnn": re.compile(r"nvidia-cudnn(-cu\d+)?"),
    "comm": re.compile(r"nvidia-(nccl|nvshmem)(-cu\d+)?"),
}

# conda's names of the same, as of the 1,523 records of conda-forge read on 2026-11-22: components
# have no prefix in common, and each comes with its headers (-dev), archives (-static) and stubs.
_CONDA_COMPONENTS = (
    "cublas|cudss|cufft|cufile|curand|cusolver|cusparse|npp|nvfatbin|nvjitlink|nvjpeg|nvptxcompiler"
)
_CONDA: Mapping[str, re.Pattern[str]] = {
    "cuda": re.compile(
        r"cuda-(?!(version|python|bindings|core|pathfinder)$).*|cudatoolkit(-dev)?"
        rf"|lib({_CONDA_COMPONENTS})\d?(-dev|-static)?(-linux-.*)?|(lib)?cusparselt(-dev)?|(lib)?cutensor(-dev)?"
    ),
    "cudnn": re.compile(r"(lib)?cudnn(-dev|-jit)?"),
    "comm": re.compile(r"(lib)?nccl|(lib)?nvshmem3?(-dev)?"),
}

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CONDA_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*\.(conda|tar\.bz2)")
_INDEX = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The packages of one layer that one index serves."""

    layer: str
    index: str
    packages: tuple[Package, ...]

    @property
    def file(self) -> File:
        """The hash-pinned requirements, one line a package, sorted by name."""
        # uv asks one index only, so the packages of another one have a file of their own.
        infix = "" if self.index == DEFAULT_INDEX else f".{self.index}"
        lines = sorted(_line(each) for each in self.packages)
        text = "\n".join((f"# mlenv layer {self.layer}: {LAYERS[self.layer]}", *lines))
        return File(f"layers/{_NUMBERS[self.layer]:02}-{self.layer}{infix}.txt", f"{text}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a layer weighs: how many packages, and the bytes of their files."""

    layer: str
    packages: int
    bytes: int


_NUMBERS = {name: number for number, name in enumerate(LAYERS)}


def layer(name: str, *, size: int, framework: bool, source: bool, dev: bool) -> str:
    """Return the layer of one package.

    Args:
        name: as its index spells it.
        size: the bytes of its file.
        framework: it is a member of a framework's family (torch and triton, jax and its plugins).
        source: its file is a source package.
        dev: only [dev] asks for it.
    """
    if source:
        return "dev-source" if dev else "source"
    return "dev" if dev else _by_weight(name, size, framework=framework, names=_BY_NAME)


def conda_layer(name: str, *, size: int, framework: bool, dev: bool) -> str:
    """Return the layer of a package that a conda channel serves; ``name`` is conda's."""
    return "dev" if dev else _by_weight(name, size, framework=framework, names=_CONDA)


def _by_weight(
    name: str, size: int, *, framework: bool, names: Mapping[str, re.Pattern[str]]
) -> str:
    for found, pattern in names.items():
        if pattern.fullmatch(canonicalize_name(name)):
            return found
    if framework:
        return "framework"
    return "domain" if size >= HEAVY_BYTES else "rest"


def slices(packages: Iterable[Package]) -> tuple[Slice, ...]:
    """Return the non-empty slices in the order of the layers, the default index first.

    Raises:
        ValueError: a layer, name, version or index alias is none; none of a parsed spec is.
    """
    found = sorted((_checked(each) for each in packages), key=_place)
    return tuple(
        Slice(layer=name, index=index, packages=tuple(members))
        for (_, _, index, name), members in groupby(found, key=lambda each: _place(each)[:4])
    )


def layer_files(packages: Iterable[Package]) -> tuple[File, ...]:
    """Return ``layers/NN-name.txt`` for each slice; ``layers/NN-name.ALIAS.txt`` off an index.

    A line of a conda channel is the file's place below the channel, and its hash.

    Raises:
        ValueError: like ``slices``.
    """
    return tuple(each.file for each in slices(packages))


def weights(packages: Iterable[Package]) -> tuple[Weight, ...]:
    """Return what each non-empty layer weighs, in the order of the layers."""
    found = tuple(packages)
    members = {name: [each.size for each in found if each.layer == name] for name in LAYERS}
    return tuple(
        Weight(layer=name, packages=len(sizes), bytes=sum(sizes))
        for name, sizes in members.items()
        if sizes
    )


def repush(packages: Iterable[Package], changed: str) -> int:
    """Return the bytes of all files that are pushed again when the package ``changed`` moves.

    Layers are stages of their own, so that is its layer and nothing else.

    Raises:
        ValueError: no package has that name.
    """
    found = tuple(packages)
    name = canonicalize_name(changed)
    touched = {each.layer for each in found if canonicalize_name(each.name) == name}
    if not touched:
        raise ValueError(f"{changed!r} is no package of the lock")
    return sum(each.size for each in found if each.layer in touched)


def _place(package: Package) -> tuple[int, bool, str, str, str]:
    further = package.index != DEFAULT_INDEX
    return _NUMBERS[package.layer], further, package.index, package.layer, package.name


def _checked(package: Package) -> Package:
    if package.layer not in LAYERS:
        raise ValueError(f"{package.layer!r} is no layer")
    if not _INDEX.fullmatch(package.index):
        raise ValueError(f"{package.index!r} is no alias of an index")
    _line(package)
    return package


def _line(package: Package) -> str:
    if package.subdir is not None:
        if not _CONDA_FILE.fullmatch(package.filename):
            raise ValueError(f"{package.filename!r} is no file of a conda channel")
        return f"{package.subdir}/{package.filename} --hash=sha256:{package.sha256}"
    name = canonicalize_name(package.name)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{package.name!r} is no name of a package")
    try:
        version = Version(package.version)
    except InvalidVersion as error:
        raise ValueError(f"{package.version!r} is no version of {name}") from error
    return f"{name}=={version} --hash=sha256:{package.sha256}"
