"""The report as JUnit XML: a suite for each spec, a case for each cell of the last night.

A cell that fails is a failure, one that is not known an error, one that cannot be is skipped. A
cell that is allowed to fail is skipped too, with its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from mlenv.matrix.report import marks
from mlenv.report.junit import attributes, writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.matrix.report.gathered import Report, Told


def junit(report: Report, *, link: str = "") -> str:
    """Return the document; ``link`` is where the page lies."""
    specs: dict[str, list[Told]] = {}
    for each in report.cells:
        specs.setdefault(each.spec, []).append(each)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for spec, cells in specs.items():
        lines += _suite(spec, cells, link)
    return "\n".join((*lines, "</testsuites>", ""))


def _suite(spec: str, cells: Sequence[Told], link: str) -> Iterator[str]:
    kinds = [_kind(each) for each in cells]
    yield (
        "<testsuite"
        + attributes(
            {
                "name": f"mlenv matrix {spec}",
                "tests": len(cells),
                "failures": kinds.count("failure"),
                "errors": kinds.count("error"),
                "skipped": kinds.count("skipped"),
                "time": f"{sum(map(_seconds, cells)):.3f}",
            }
        )
        + ">"
    )
    for each, kind in zip(cells, kinds, strict=True):
        words = {"classname": spec, "name": each.timeline.cell, "time": f"{_seconds(each):.3f}"}
        yield f"<testcase{attributes({**words})}>"
        if kind:
            yield _told(each, kind, link)
        yield "</testcase>"
    yield "</testsuite>"


def _kind(told: Told) -> str:
    last = told.timeline.last
    if last is None or told.timeline.pending or last.verdict == "unknown":
        return "error"
    if last.verdict == "impossible" or (last.verdict == "failed" and not last.red):
        return "skipped"
    return "failure" if last.verdict == "failed" else ""


def _told(told: Told, kind: str, link: str) -> str:
    last = told.timeline.last
    why = last.why if last else None
    words = {"message": why.what if why else marks.words(told.timeline)}
    if kind != "skipped":
        words["type"] = why.code if why else "pending"
    text = [marks.words(told.timeline)]
    text += [f"cause: {why.cause}", f"fix: {why.fix}"] if why else []
    if told.story.suspect:
        text.append(f"first suspect: {told.story.suspect.text}")
    if link:
        text.append(f"{link}#{told.timeline.cell}")
    return f"<{kind}{attributes({**words})}>{escape(writable(chr(10).join(text)))}</{kind}>"


def _seconds(told: Told) -> float:
    return sum(told.timeline.last.seconds.values()) if told.timeline.last else 0.0
