"""How a cell is marked: a letter, a colour and words, so that none of them is needed alone."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlenv.changes import Move
    from mlenv.matrix.history import Timeline
    from mlenv.matrix.report.gathered import Told
    from mlenv.matrix.result import CellResult

LETTERS = {"ok": "O", "failed": "F", "unknown": "U", "impossible": "I"}
PENDING = "·"

STANDINGS = {
    "broke": "failed",
    "failing": "failed",
    "flaky": "flaky",
    "unknown": "unknown",
    "pending": "pending",
    "fixed": "ok",
    "new": "ok",
    "ok": "ok",
    "impossible": "impossible",
}
"""Standing -> the group that it is counted and filtered by."""

GROUPS = {
    "failed": "something ran and was wrong",
    "flaky": "one lock, good at one time and failed at another",
    "unknown": "could not be found out: a tool, the network, the disk",
    "ok": "all that was asked was shown",
    "impossible": "cannot be, by published facts or by the solver; never run, never red",
    "pending": "named by the last run, which has no result of it",
}
"""In the order of who must look at it."""

_SINCE = {
    "broke": "broke",
    "failing": "has never been good here",
    "fixed": "good again",
    "new": "its first run",
    "pending": "no result yet",
}


def group(timeline: Timeline) -> str:
    """Return the group of a cell."""
    return STANDINGS[timeline.standing]


def letter(timeline: Timeline) -> str:
    """Return the letter of a cell: that of its last verdict; a flaky one has a ``~`` behind it."""
    if timeline.standing == "pending" or timeline.last is None:
        return PENDING
    return LETTERS[timeline.last.verdict] + ("~" if timeline.standing == "flaky" else "")


def words(timeline: Timeline) -> str:
    """Return how a cell stands, in a few words."""
    last = timeline.last
    if last is None:
        return "no result yet"
    verdict = f"{last.verdict}, allowed to fail" if last.allow_failure else last.verdict
    if timeline.standing == "flaky":
        same = timeline.same
        bad = sum(each.verdict == "failed" for each in same)
        return f"{verdict}; flaky: {bad} of {len(same)} runs of this lock failed"
    more = _SINCE.get(timeline.standing, "")
    if timeline.standing == "broke" and timeline.bad:
        more = f"broke on {timeline.bad.night}"
    return f"{verdict}; {more}" if more else verdict


def shade(timeline: Timeline) -> str:
    """Return the class of a cell's colour."""
    found = group(timeline)
    last = timeline.last
    mild = found == "failed" and last is not None and last.allow_failure
    return f"s-{found}" + (" mild" if mild else "")


def shade_of(result: CellResult) -> str:
    """Return the class of a single result's colour."""
    return f"s-{result.verdict}"


def link(told: Told, text: str) -> str:
    """Return a link to a cell's own place on the page."""
    return f'<a href="#{escape(told.timeline.cell)}">{escape(text)}</a>'


def moved(move: Move) -> str:
    """Return a move for the page: name, versions, size."""
    size = f" <small>{move.bytes / 1e6:,.1f} MB</small>" if move.bytes else ""
    return escape(move.text).replace("-&gt;", "→") + size
