"""What is thought of an environment, as values: findings, each with its cause and its fix.

Four words. ``verified`` and ``static-ok`` mean that all that was asked was shown; ``failed`` that
something ran and was wrong; ``not-verified`` that nothing wrong was seen and not all was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv.errors import Exit

if TYPE_CHECKING:
    from mlenv.report.plan import Plan
    from mlenv.report.probed import ProbeReport

Word = Literal["verified", "static-ok", "failed", "not-verified"]
Weight = Literal["error", "unproven", "warning"]
"""``error``: something is wrong; ``unproven``: something could not be found out; ``warning``:
worth knowing, and changes no verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was seen, in the reader's words."""

    id: str
    """Kebab-case and stable: the row of the catalogue, or the kind of difference."""
    weight: Weight
    probe: str
    """Which probe saw it; nothing where it is about the whole run."""
    what: str
    cause: str
    fix: str
    seen: str = ""
    """The words or facts that gave it away."""
    also: tuple[str, ...] = ()
    """Further probes that ended in the same, or waited for this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is thought of an environment, and why."""

    word: Word
    findings: tuple[Finding, ...]
    """The root first; warnings last."""
    missing: tuple[str, ...]
    """Required probes that have not passed."""
    plan: Plan
    report: ProbeReport

    @property
    def root(self) -> Finding | None:
        """What to mend first; None where nothing is wrong or open."""
        return next((each for each in self.findings if each.weight != "warning"), None)

    @property
    def exit_status(self) -> Exit:
        """The status that a command ends with: never 0 where something was not shown."""
        if self.word in {"verified", "static-ok"}:
            return Exit.DONE
        return Exit.FAILED if self.word == "failed" else Exit.UNPROVEN
