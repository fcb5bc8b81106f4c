"""CUDA toolkits, GPUs and drivers, as values.

Three numbers are called "the CUDA version". mlenv names each after who owns it:

    toolkit   what the environment holds           nvcc --version           12.6
    variant   what a wheel was built against       torch 2.8.0+cu126        12.6
    driver    the newest CUDA this driver runs     nvidia-smi, top right    13.0

A ``Cuda`` is only the pair; which of the three it is, the name of the field or parameter says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

# A major of one digit has minors of one digit: `cu920` would read two ways.
_PAIR = re.compile(r"(?!\d\.\d\d)([1-9]\d?)\.(0|[1-9]\d?)", re.ASCII)
_ARCH = re.compile(r"(?:sm_([1-9]\d?)|([1-9]\d?)\.)(\d)", re.ASCII)
_SM = re.compile(r"(sm|compute)_([1-9]\d?)(\d)([af]?)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cuda:
    """A CUDA version to its minor: ``12.8``."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``text``, such as ``12.8``, as a value.

        Raises:
            ValueError: it is no ``major.minor``.
        """
        found = _PAIR.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no CUDA version such as 12.8")
        return cls(int(found[1]), int(found[2]))

    @property
    def tag(self) -> str:
        """The name PyTorch gives the variant; ``cu126`` reads one way only."""
        return f"cu{self.major}{self.minor}"

    def __str__(self) -> str:
        """Return ``12.8``."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, order=True)
class Arch:
    """A GPU architecture: a compute capability such as 9.0."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``9.0`` or ``sm_90`` as a value.

        Raises:
            ValueError: it is neither.
        """
        found = _ARCH.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no compute capability such as 9.0 or sm_90")
        return cls(int(found[1] or found[2]), int(found[3]))

    @property
    def sm(self) -> str:
        """The name of its machine code, ``sm_90``."""
        return f"sm_{self.major}{self.minor}"

    def __str__(self) -> str:
        """Return ``9.0``."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class Code:
    """One piece of compiled code in a wheel: ``sm_90``, ``sm_90a`` or ``compute_80``."""

    kind: str
    arch: Arch
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``sm_90a`` or ``compute_80`` as a value.

        Raises:
            ValueError: it is neither.
        """
        found = _SM.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no code name such as sm_90 or compute_80")
        return cls(found[1], Arch(int(found[2]), int(found[3])), found[4])

    def __str__(self) -> str:
        """Return ``sm_90a``."""
        return f"{self.kind}_{self.arch.major}{self.arch.minor}{self.suffix}"

    def runs_on(self, gpu: Arch) -> bool:
        """Tell whether ``gpu`` can run it.

        SASS runs on its own major with an equal or higher minor; ``sm_90a`` on exactly its own
        architecture, ``sm_100f`` on its own major; PTX is compiled for anything as new or newer.
        Source: CUDA C++ Programming Guide, "Application Compatibility", read 2026-11-22.
        """
        if self.suffix == "a":
            return gpu == self.arch
        if self.kind == "compute" and not self.suffix:
            return gpu >= self.arch
        return gpu.major == self.arch.major and gpu.minor >= self.arch.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU a stack must run on: how the spec called it, and what it is."""

    name: str
    arch: Arch
    brand: str | None = None
    """As ``catalog.rows.Brand`` has it; None where nobody says."""
