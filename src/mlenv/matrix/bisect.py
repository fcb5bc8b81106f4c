"""A cell that broke, locked again between its last good and its first bad lock, until one is found.

Every mix is solved by the real solver and verified as the cell was: what comes out is a package
whose arrival alone makes the cell fail, or a set of which none can be left out. A mix that no
solver takes, or that fails in another way than the cell does, says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.changes import moves
from mlenv.errors import HostError, Reason, UsageError
from mlenv.matrix.history import Timeline
from mlenv.matrix.isolate import isolated
from mlenv.matrix.mixing import Mixer, mixer
from mlenv.matrix.planning import order
from mlenv.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from mlenv.changes import Move
    from mlenv.matrix.isolate import Answer, Isolated
    from mlenv.matrix.outcome import Found
    from mlenv.matrix.result import CellResult, Rows, Why
    from mlenv.matrix.results import Results

    class Trial(Protocol):
        """Locks and verifies one mix of a cell; None where no solver takes it."""

        def __call__(self, mixer: Mixer, new: frozenset[str], level: str) -> Found | None:
            """Return what a mix shows, in which the packages ``new`` are those of the bad lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A cell that broke, and the two locks around that."""

    good: CellResult
    bad: CellResult
    mixer: Mixer


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprits:
    """What a search came to."""

    case: Case
    found: Isolated[str]

    @property
    def moves(self) -> tuple[Move, ...]:
        """The packages that it was, as they moved."""
        known = {each.name: each for each in self.case.mixer.moves}
        return tuple(known[name] for name in self.found.items)


def case_of(cell: str, results: Results) -> Case:
    """Return what is to be looked into.

    Raises:
        UsageError: ``matrix-order``: there is nothing to look for; ``result-unreadable``.
        HostError: ``disk-failed``.
    """
    every = [each for run in results.runs() if (each := results.cell(run, cell)) is not None]
    timeline = Timeline(cell=cell, results=tuple(every))
    good, bad = timeline.good, timeline.bad
    if not every:
        raise _idle(
            f"{results.folder} has no result of {cell}",
            "no run in it named such a cell",
            "name a cell as `mlenv matrix report` shows it",
        )
    if good is None or bad is None:
        raise _idle(
            f"{cell} has not broken",
            "it does not fail now" if bad is None else "it was never good in these results",
            "name a cell that was good once and fails now",
        )
    rows = _rows(results, good), _rows(results, bad)
    if "conda" in {each.backend for each in rows}:
        raise _idle(
            f"{cell} is locked by conda",
            "versions of a conda lock cannot be held one by one yet",
            "read what moved on the page of `mlenv matrix report`",
        )
    found = moves(rows[0].package, rows[1].package)
    text = results.spec(bad.cell_spec or "")
    if text is None:
        raise _idle(
            f"the spec of {cell} is not kept in {results.folder}",
            "its `specs/` lacks what the first bad run was asked",
            "take the whole folder from where the runs wrote it",
        )
    mixed = mixer(parse_spec(text, origin=bad.origin or cell), good, bad, rows, found)
    if not mixed.items:
        raise _idle(
            f"no version moved between the last good and the first bad lock of {cell}",
            "; ".join(each.text for each in found) or "both are the same lock",
            "look at the machine and at mlenv's own version; or at the page, where it is flaky",
        )
    return Case(good=good, bad=bad, mixer=mixed)


def _rows(results: Results, result: CellResult) -> Rows:
    found = results.rows(result.lock) if result.lock else None
    if found is None:
        raise _idle(
            f"the lock of {result.night} of {result.cell} is not kept",
            "it came to none that night" if result.lock is None else "`locks/` lacks it",
            "bisect a cell that was locked in both nights",
        )
    return found


def _idle(what: str, cause: str, fix: str) -> UsageError:
    return UsageError(order(what, cause, fix))


def bisect(case: Case, trial: Trial, tell: Callable[[str], None]) -> Culprits:
    """Return the packages that broke the cell; ``tell`` is given a line for each mix.

    Raises:
        HostError: ``bisect-blind``: of a mix nothing could be found out.
    """
    count = len(case.mixer.items)

    def judge(new: frozenset[str]) -> Answer:
        found = trial(case.mixer, new, case.bad.level)
        answer = _answer(case.bad, found)
        why = found.why if found else None
        more = f": {why.what}" if why else ": no solver takes it" if found is None else ""
        tell(f"{len(new):>4} of {count} new: {_WORDS[answer]}{more}")
        return answer

    return Culprits(case=case, found=isolated(case.mixer.items, judge))


_WORDS = {"good": "good", "bad": "fails", "none": "says nothing"}


def _answer(bad: CellResult, found: Found | None) -> Answer:
    if found is None:
        return "none"
    if found.verdict == "ok":
        return "good"
    why = found.why
    if found.verdict != "failed":
        raise HostError(
            Reason(
                code="bisect-blind",
                what="a mix of the two locks could be called neither good nor bad here",
                cause=why.what if why else "its verification did not end",
                fix="run it where the cell itself can be verified",
            )
        )
    # another failure is another fault: it says nothing about the one that is looked for
    return "bad" if bad.why is None or why is None or _alike(bad.why, why) else "none"


def _alike(one: Why, other: Why) -> bool:
    """Tell whether two failures are of one kind, or were seen by one probe."""
    return one.code == other.code or one.what.split()[:1] == other.what.split()[:1]
