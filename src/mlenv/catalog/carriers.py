"""Packages whose wheels carry CUDA code of their own, beside the frameworks: which, and how.

Rows kept by hand (tier K), in ``carriers.toml``: a wheel's metadata does not say any of this.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

from mlenv.catalog.curated import curated
from mlenv.catalog.rows import Fact
from mlenv.model import Model


class Carrier(Fact):
    """A package that comes with CUDA code."""

    package: str
    """Its normalised name; ``*`` stands for anything."""
    kernels: Literal["compiled", "at-run-time", "optional"]
    """``compiled``: without code for a GPU it fails there. ``at-run-time``: it has a compiler, so
    its files say nothing about GPUs. ``optional``: it works without its CUDA files."""
    flags: str | None = None
    """The file that lists, in words, what the others were compiled for."""


class Carriers(Model):
    """The file of carrier rows."""

    carrier: tuple[Carrier, ...]


def carrier(package: str) -> Carrier | None:
    """Return the row of a package, by its normalised name; the first that fits."""
    return next((row for row in _rows() if fnmatchcase(package, row.package)), None)


@cache
def _rows() -> tuple[Carrier, ...]:
    return Carriers.model_validate(curated("carriers")).carrier
