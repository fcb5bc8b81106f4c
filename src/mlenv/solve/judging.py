"""An answer that fits, judged: by versions and file lists first, then by what binaries say.

Binaries are read only where nothing forbids the lock already, for they cost megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlenv.audit import Locked, audit, examined, forbids, unsettled
from mlenv.errors import StackError
from mlenv.solve.examination import with_binaries
from mlenv.solve.solution import Solution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.audit import Inside
    from mlenv.backends import uv, uv_answer
    from mlenv.backends.uv_lock import Solved
    from mlenv.catalog.load import Catalog
    from mlenv.errors import Reason
    from mlenv.solve.asking import Desk
    from mlenv.solve.solution import Picked


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer, with its question."""

    question: uv.Question
    answer: uv_answer.Answer
    text: str
    packages: tuple[Solved, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuited:
    """What an answer is refused for by its binaries; other releases may have better ones."""

    packages: frozenset[str]
    error: StackError


def judged(
    heard: Heard,
    picked: Sequence[Picked],
    inside: Mapping[str, tuple[int, Inside]],
    *,
    desk: Desk,
    catalog: Catalog,
) -> Solution | Unsuited:
    """Return the solution if no finding forbids it, or the packages whose binaries do.

    Raises:
        StackError: every finding that forbids it whatever the binaries are.
        HostError: a wheel could not be looked into.
    """
    installed = {each.solved.name: each for each in picked if not each.solved.build_only}
    locked = tuple(
        Locked(
            name=name,
            version=each.solved.version,
            filename=each.artefact.filename,
            inside=inside[name][1] if each.wheel else None,
        )
        for name, each in installed.items()
    )
    plan = heard.question.plan
    findings = _allowed(audit(plan, locked, heard.answer.extras, catalog))
    locked = with_binaries(plan, locked, installed, desk=desk, catalog=catalog)
    seen = examined(plan, locked, catalog)
    if against := [(name, each) for name, each in seen if forbids(each)]:
        return Unsuited(
            packages=frozenset(name for name, _ in against),
            error=StackError(*(each for _, each in against)),
        )
    findings += tuple(each for _, each in seen)
    return Solution(
        plan=plan,
        question=replace(heard.question, searching=False),
        lock_text=heard.text,
        picked=tuple(installed.values()),
        build_tools=tuple(each for each in picked if each.solved.build_only),
        warnings=(*unsettled(plan, locked, catalog), *findings),
    )


def _allowed(findings: tuple[Reason, ...]) -> tuple[Reason, ...]:
    refused = [each for each in findings if forbids(each)]
    if refused:
        raise StackError(*refused)
    return findings
