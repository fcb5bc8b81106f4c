"""Which probes there are for what a lock holds: rows of data, read from ``probes.toml``.

A probe itself is code of ``mlenv.smoke`` and knows nothing of locks; here stands when it is asked.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import filter as filter_names
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

Compiler = Literal["none", "cc", "nvcc"]

_RANK: dict[str, int] = {"none": 0, "cc": 1, "nvcc": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What of a lock the rows ask about."""

    packages: Collection[str]
    cuda: bool
    """Whether its toolkit is CUDA."""
    compiler: Compiler
    free: bool
    """Whether its Python is free-threaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """When a probe is asked."""

    name: str
    packages: tuple[str, ...] = ()
    """One of them must be in the lock (``*``: any ending); none named: any lock."""
    cuda: bool = False
    """Only where the toolkit is CUDA."""
    gpu: bool = False
    """It needs a GPU, so the static part leaves it out."""
    compiler: Compiler = "none"
    """What the image must have for it."""
    threads: Literal["any", "free"] = "any"
    """Only where the Python is free-threaded."""
    required: bool = True
    """Whether an answer without it proves less than was asked."""
    quick: bool = True
    """Whether ``--quick`` asks it too."""

    def applies(self, stack: Stack) -> bool:
        """Tell whether a stack has what this probe is about."""
        return self.lacks_nothing_but_a_compiler(stack) and self.has_compiler(stack)

    def has_compiler(self, stack: Stack) -> bool:
        """Tell whether the image has the compiler for it."""
        return _RANK[stack.compiler] >= _RANK[self.compiler]

    def lacks_nothing_but_a_compiler(self, stack: Stack) -> bool:
        """Tell whether a stack has all the rest."""
        return (
            (stack.cuda or not self.cuda)
            and (stack.free or self.threads == "any")
            and (
                not self.packages
                or any(filter_names(stack.packages, each) for each in self.packages)
            )
        )


@cache
def wanted() -> tuple[Wanted, ...]:
    """Return the rows, in the order in which probes run."""
    text = files("mlenv.report").joinpath("probes.toml").read_text(encoding="utf-8")
    return tuple(
        Wanted(**{**row, "packages": tuple(row.get("packages", ()))})
        for row in tomllib.loads(text)["probe"]
    )
