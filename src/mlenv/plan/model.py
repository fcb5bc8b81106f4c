"""What planning answers: a ``Plan``, with a reason and a source for everything in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlenv.cuda import Cuda, Gpu
    from mlenv.errors import Reason
    from mlenv.machine import Glibc
    from mlenv.plan.candidate import Candidate
    from mlenv.spec.stack import Asked, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that was decided."""

    topic: str
    choice: str
    why: str
    source: str
    alternatives: tuple[str, ...] = ()
    """What else would have done, or what was nearly chosen, and why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A requirement for the solver, and the line of the spec it stands for."""

    key: str
    text: str
    """PEP 508, with the extras of the plan."""
    index: str | None = None
    """The alias of the index it must come from; None for any."""
    dev: bool = False


PINS = "pins"
"""The key of a constraint that stands for no line of the spec: a version is held from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A bound that the plan puts on the solver, and the line of the spec it stands for."""

    key: str
    text: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """A package of a former answer."""

    name: str
    version: str
    index: str
    """The alias of the index that served it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexUse:
    """An index beside the default one: it serves what names it, and only that."""

    alias: str
    url: str
    dated: str | bool | None = None
    """``False`` where it gives no upload times, or a date of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A framework of the plan, and the release the facts lead to expect."""

    asked: Asked
    candidate: Candidate | None
    """None where the catalog knows no release in the range."""
    newest: str | None
    """The newest release that fits this target by itself, for comparison with what comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be solved for one target."""

    stack: Stack
    verdict: Literal["ok", "unknown"]
    toolkit: Cuda | None
    """None for a CPU stack, and where nothing of the spec names CUDA."""
    cpu: bool
    """Whether the spec asked for no CUDA at all."""
    channel: str
    gpus: tuple[Gpu, ...]
    glibc: Glibc
    base: str
    """The base image."""
    brings_python: bool
    """Whether the base image has the interpreter; else the recipe fetches one by hash."""
    exclude_newer: str
    """RFC 3339, UTC."""
    frameworks: tuple[Chosen, ...]
    requirements: tuple[Wanted, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[IndexUse, ...]
    decisions: tuple[Decision, ...]
    warnings: tuple[Reason, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    """Packages that may be newer than ``exclude_newer``: name, and the time until which."""

    @property
    def toolkit_text(self) -> str:
        """``12.8``, ``cpu``, or ``none``."""
        return str(self.toolkit) if self.toolkit else "cpu" if self.cpu else "none"
