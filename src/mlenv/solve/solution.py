"""What solving ends with, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlenv.backends import uv
    from mlenv.backends.uv_lock import Artefact, Solved
    from mlenv.errors import Reason
    from mlenv.plan.model import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A package and the one file of it that the target installs."""

    solved: Solved
    artefact: Artefact
    size: int
    """The bytes of the file."""
    wheel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a target installs, and how it was found."""

    plan: Plan
    question: uv.Question
    lock_text: str
    """The canonical ``uv.lock``."""
    picked: tuple[Picked, ...]
    build_tools: tuple[Picked, ...]
    """What the source packages are built with, and nothing else needs."""
    warnings: tuple[Reason, ...]

    @property
    def verdict(self) -> Literal["ok", "unknown"]:
        """``unknown`` where something is left that no source, solver or wheel could tell."""
        return "unknown" if any(each.code == "fact-unknown" for each in self.warnings) else "ok"
