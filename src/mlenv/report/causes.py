"""The catalogue of known failures: from the words of a probe to a cause and a fix.

The rows are data (``catalogue.toml``). What no row matches is said to be unknown, never guessed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.report.verdict import Weight

_SEEN_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row of the catalogue."""

    id: str
    cause: str
    fix: str
    seen: str
    """How its words were come by: ``run``, ``fake`` or ``cited``."""
    patterns: tuple[re.Pattern[str], ...] = ()
    probes: tuple[str, ...] = ()
    weight: Weight = "error"

    def found(self, probe: str, text: str) -> str | None:
        """Return the words of ``text`` that give this failure away, else None."""
        if self.probes and not probe.startswith(self.probes):
            return None
        for each in self.patterns:
            match = each.search(text)
            if match:
                return _line(text, match)[:_SEEN_LIMIT]
        return None


def _line(text: str, match: re.Match[str]) -> str:
    begin = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[begin : end if end >= 0 else len(text)].strip()


@cache
def failures() -> Mapping[str, Failure]:
    """Return the rows by their ids, most telling first."""
    text = files("mlenv.report").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {row["id"]: _row(row) for row in tomllib.loads(text)["failure"]}


def _row(row: dict[str, object]) -> Failure:
    patterns = row.pop("patterns", [])
    probes = row.pop("probes", [])
    return Failure(
        patterns=tuple(re.compile(each, re.IGNORECASE | re.MULTILINE) for each in patterns),  # type: ignore[attr-defined]
        probes=tuple(probes),  # type: ignore[arg-type]
        **row,  # type: ignore[arg-type]
    )


def failure_in(probe: str, text: str) -> tuple[Failure, str] | None:
    """Return the first failure that the words of a probe give away, and those words."""
    for each in failures().values():
        words = each.found(probe, text)
        if words is not None:
            return each, words
    return None
