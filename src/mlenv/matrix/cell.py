"""A cell: one point of a matrix, as a spec of its own, with what planning says about it.

Its id stays the same from night to night: it is made of the spec's name and the cell's own words,
never of what they resolve to. Cells with one ``stack`` plan to the same, and are solved once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.files import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.errors import Reason
    from mlenv.spec.parse import SpecFile

Planned = Literal["ok", "impossible", "unknown"]
"""What the facts say before anything is solved."""

SLUG = 72
"""Characters of the readable part of an id; with its digest a file name has room for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The machine that a cell wants."""

    platform: str
    gpus: tuple[str, ...]
    """Architectures, such as ``sm_90``; nothing where no GPU is named."""
    count: int
    """How many GPUs at once."""
    driver: str | None
    """The oldest driver branch of its machines, such as ``535``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point of a matrix."""

    id: str
    spec: str
    """The name of the spec it comes from."""
    origin: str
    """The file of that spec."""
    target: str | None
    axes: Mapping[str, str]
    """Axis -> value, in the order of the spec's keys; empty where there is no ``[matrix]``."""
    allow_failure: bool
    file: SpecFile
    """The cell as a spec of its own."""
    planned: Planned
    reasons: tuple[Reason, ...] = ()
    """Why it cannot be, or why nothing is known."""
    stack: str
    """A digest of what was planned; equal stacks are solved once."""
    needs: Needs
    toolkit: str | None = None
    """The CUDA toolkit of the plan."""

    @property
    def runs(self) -> bool:
        """Whether there is anything to run."""
        return self.planned != "impossible"


def cell_id(spec: str, target: str | None, axes: Mapping[str, str]) -> str:
    """Return the stable id of a cell: ``train-h100-py3.12-torch2.8-cu12.8-1f3a9c20``."""
    words = [spec, *([target] if target else []), *map(_word, axes, axes.values())]
    plain = re.sub(r"[^a-z0-9.]+|\.{2,}", "-", "-".join(words).lower())
    slug = re.sub(r"-{2,}", "-", plain)[:SLUG].strip("-.")
    return f"{slug}-{digest([spec, target, dict(axes)])[:8]}"


def _word(axis: str, value: str) -> str:
    short = {"python": "py", "cuda": "cu", "cudnn": "cudnn"}.get(axis, "")
    # `torch==2.8.*` reads as torch2.8; what the digest tells apart need not be read.
    return short + re.sub(r"[=~*<>!]+|\.(?=\*)", "", value)
