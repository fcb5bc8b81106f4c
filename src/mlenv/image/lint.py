"""The gate that no Dockerfile of mlenv's own passes with a mistake in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.errors import ImageError, Reason
from mlenv.image.rules import RULES, Level, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlenv.files import File


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one line."""

    rule: str
    level: Level
    line: int
    what: str

    def __str__(self) -> str:
        """Return ``line 3: ... (rule)``."""
        return f"line {self.line}: {self.what} ({self.rule})"


def lint(text: str, files: Iterable[File]) -> tuple[Finding, ...]:
    """Return what is wrong with a Dockerfile, by line.

    Args:
        text: the Dockerfile.
        files: what it mounts from its folder: the layer files.
    """
    recipe = read(text, files)
    found = [
        Finding(rule=rule, level=level, line=line, what=what)
        for rule, (level, check) in RULES.items()
        for line, what in check(recipe)
    ]
    return tuple(sorted(found, key=lambda each: (each.line, each.rule)))


def approve(text: str, files: Iterable[File]) -> None:
    """Let a Dockerfile of mlenv's own pass, or stop it.

    Raises:
        ImageError: ``recipe-unsafe``.
    """
    wrong = [each for each in lint(text, files) if each.level == "error"]
    if wrong:
        raise ImageError(
            Reason(
                code="recipe-unsafe",
                what="the Dockerfile that was to be written breaks a rule that it must keep",
                cause="; ".join(map(str, wrong[:4])),
                fix="this is a mistake of mlenv's: please report it, with the spec",
            )
        )
