"""The report as Markdown: for the summary of a CI job, and to be pasted into an issue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.matrix.report import marks
from mlenv.matrix.report.page import headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.matrix.report.gathered import Report, Told

_MOST = 40
"""Rows of a section: a job summary of GitHub may have 1 MiB."""
_SIGNS = {"failed": "🟥", "flaky": "🟪", "unknown": "🟨", "ok": "🟩"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")


def markdown(report: Report, *, link: str = "") -> str:
    """Return the text; ``link`` is where the page lies, so that a cell leads to its place there."""
    return "\n".join(_lines(report, link))


def _lines(report: Report, link: str) -> Iterator[str]:
    last = report.history.runs[-1]
    yield f"## mlenv matrix: {headline(report)}"
    yield ""
    yield f"Night of {last.night}, {len(report.cells)} cells, run {last.on}" + (
        "; without a GPU, no kernel was run" if last.level == "static" else ""
    )
    for head, cells in (
        ("Broken", report.standing("broke", "failing")),
        ("Flaky: one lock, two verdicts", report.standing("flaky")),
        ("Not known", report.standing("unknown", "pending")),
        ("Good again", report.standing("fixed")),
    ):
        if cells:
            yield from ("", f"### {head}", "", *_table(cells, link))
    if found := report.standing("impossible"):
        yield from ("", f"Cannot be, and not run: {len(found)}.")
    yield ""


def _table(cells: Sequence[Told], link: str) -> Iterator[str]:
    yield "| | cell | since | why | first suspect |"
    yield "|---|---|---|---|---|"
    for each in cells[:_MOST]:
        yield _row(each, link)
    if len(cells) > _MOST:
        yield f"| | and {len(cells) - _MOST} more | | | |"


def _row(told: Told, link: str) -> str:
    timeline, suspect = told.timeline, told.story.suspect
    last = timeline.last
    name = plain(told.title)
    why = last.why if last else None
    since = timeline.bad.night if timeline.bad else last.night if last else ""
    columns = (
        _SIGNS.get(marks.group(timeline), "") + " " + marks.letter(timeline).replace("~", r"\~"),
        f"[{name}]({link}#{timeline.cell})" if link else name,
        since,
        plain(f"{why.code}: {why.what}") if why else plain(marks.words(timeline)),
        plain(suspect.text) if suspect else "",
    )
    return f"| {' | '.join(columns)} |"


def plain(text: str) -> str:
    """Return ``text`` so that Markdown reads nothing into it, on one line."""
    return (
        _SPECIAL.sub(r"\\\1", " ".join(text.split()))
        .replace("://", ":\u200b//")
        .replace("@", "@\u200b")
    )
