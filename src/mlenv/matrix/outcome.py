"""What a phase showed, as the result of a cell: pure, from errors, locks and verdicts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from mlenv.errors import Exit
from mlenv.matrix.result import LOG_BYTES, CellResult, Row, Rows, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.build.verdict import Outcome
    from mlenv.build.verdict import Verdict as Planned
    from mlenv.errors import MlenvError
    from mlenv.lock import Lock
    from mlenv.matrix.notes import Notes
    from mlenv.matrix.result import Phase, Verdict
    from mlenv.matrix.task import Member, Task, Terms
    from mlenv.report.verdict import Verdict as Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A verdict, and why."""

    verdict: Verdict
    phase: Phase
    why: Why | None = None
    also: int = 0
    where: str = ""

    @classmethod
    def of_error(cls, error: MlenvError, phase: Phase) -> Self:
        """Return what an error means: a wrong image failed, else nothing is known."""
        failed = error.exit_status in {Exit.IMAGE, Exit.FAILED}
        return cls(
            verdict="failed" if failed else "unknown",
            phase=phase,
            why=Why(**asdict(error.reasons[0])),
            also=len(error.reasons) - 1,
        )

    @classmethod
    def of_refusal(cls, outcome: Outcome, *, planned: Planned, before: bool) -> Self:
        """Return what it means that a cell could not be locked.

        A solver's proof is ``impossible`` where the facts left it open and the cell was never good;
        where it was, or the facts promised it, something broke.
        """
        verdict: Verdict = "unknown"
        if outcome.verdict == "impossible":
            verdict = "failed" if before or planned == "ok" else "impossible"
        return cls(
            verdict=verdict,
            phase="lock",
            why=Why(**asdict(outcome.reasons[0])),
            also=len(outcome.reasons) - 1,
        )

    @classmethod
    def of_verdict(cls, shown: Shown, *, where: str) -> Self:
        """Return what a verification means."""
        words: dict[str, Verdict] = {"verified": "ok", "static-ok": "ok", "failed": "failed"}
        root = shown.root
        why = Why(code=root.id, what=root.what, cause=root.cause, fix=root.fix) if root else None
        verdict = words.get(shown.word, "unknown")
        return cls(
            verdict=verdict,
            phase="verify",
            why=why if verdict != "ok" else None,
            also=max(0, sum(each.weight != "warning" for each in shown.findings) - 1),
            where=where,
        )


def result_of(  # noqa: PLR0913 (each is a part of it)
    terms: Terms,
    task: Task,
    member: Member,
    found: Found,
    notes: Notes,
    *,
    lock: Lock | None = None,
    shared: str | None = None,
) -> CellResult:
    """Return the result of a cell."""
    return CellResult(
        run=terms.run,
        night=terms.night,
        cell=member.cell,
        spec=member.spec,
        origin=member.origin,
        target=member.target,
        axes=member.axes,
        allow_failure=member.allow_failure,
        level=terms.level,
        verdict=found.verdict,
        phase=found.phase,
        why=found.why,
        also=found.also,
        versions=versions_of(lock) if lock else {},
        lock=lock.artefacts_sha256 if lock else None,
        cell_spec=member.sha256,
        stack=task.stack,
        shared=shared,
        began=notes.began,
        seconds=notes.seconds,
        where=found.where,
        log="\n".join(notes.lines)[-LOG_BYTES:],
    )


def versions_of(lock: Lock) -> dict[str, str]:
    """Return the versions that a reader looks for first."""
    found = {"python": lock.target.python, "toolkit": lock.stack.toolkit}
    found |= {each.name: each.version for each in lock.package if each.layer == "framework"}
    for name in ("cudnn", "nccl"):
        version = getattr(lock.stack, name)
        if version is not None:
            found[name] = version
    return found


def rows_of(lock: Lock, indexes: Mapping[str, str], places: Mapping[str, str]) -> Rows:
    """Return the packages of a lock, with the alias and URL of each index beside the default.

    ``places`` says where the files of conda packages lie: SHA-256 -> URL.
    """
    return Rows(
        artefacts_sha256=lock.artefacts_sha256,
        backend=lock.backend,
        indexes={alias: without_login(url) for alias, url in indexes.items()},
        package=tuple(
            Row(
                name=each.name,
                version=each.version,
                layer=each.layer,
                size=each.size,
                index=each.index,
                filename=each.filename,
                sha256=each.sha256,
                url=places.get(each.sha256),
            )
            for each in lock.package
        ),
    )


def without_login(url: str) -> str:
    """Return a URL without a user and a password."""
    return re.sub(r"//[^/@]*@", "//", url)
