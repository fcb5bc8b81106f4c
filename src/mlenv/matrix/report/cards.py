"""What somebody has to look at: cells that broke, by what broke them; flaky ones apart."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mlenv.matrix.report import marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlenv.matrix.report.gathered import Report, Told
    from mlenv.matrix.result import Why

_SHOWN = 8
"""Cells that a card names before it says how many more there are."""


def cards(report: Report) -> Iterator[str]:
    """Yield a section for each kind of news; nothing for a kind that there is none of."""
    folder = report.folder
    broken = report.standing("broke", "failing")
    red = [each for each in broken if each.timeline.last and each.timeline.last.red]
    allowed = [each for each in broken if each not in red]
    for head, name, cells, more in (
        ("Broken", "broken", red, lambda first: _hint(first, folder)),
        ("Flaky: one lock, two verdicts", "flaky", report.standing("flaky"), _flips),
        ("Not known", "unknown", report.standing("unknown"), None),
        ("Failed, and allowed to", "allowed", allowed, None),
    ):
        if cells:
            yield f'<section class="news"><h2>{head}</h2>'
            yield from (_card(own, name, more) for own in _groups(cells))
            yield "</section>"
    if mended := report.standing("fixed"):
        yield '<section class="news"><h2>Good again</h2>'
        yield f'<div class="card mended">{_names(mended)}</div></section>'


def _groups(cells: Sequence[Told]) -> list[list[Told]]:
    """Return the cells that one thing broke together, the largest group first."""
    found: dict[tuple[str, str], list[Told]] = {}
    for each in cells:
        suspect, why = each.story.suspect, _why(each)
        told = (why.code, why.what) if why else ("", "")
        key = (suspect.move.text, told[0]) if suspect else told
        found.setdefault(key, []).append(each)
    return sorted(found.values(), key=len, reverse=True)


def _why(told: Told) -> Why | None:
    """Return why a cell fails; of a flaky one that is good now, why it did."""
    last = told.timeline.last
    if last is None or last.why is not None:
        return last.why if last else None
    return next((each.why for each in reversed(told.timeline.same) if each.why), None)


def _card(cells: Sequence[Told], name: str, more: Callable[[Told], str] | None) -> str:
    first = cells[0]
    suspect, why = first.story.suspect, _why(first)
    head = marks.moved(suspect.move) if suspect else escape(why.what if why else "")
    parts = [f"<h3>{head}</h3>"]
    if suspect:
        parts.append(f'<p class="suspect"><b>First suspect</b> {escape(suspect.reason)}</p>')
    if why:
        what = f" {escape(why.what)}" if suspect else ""
        parts.append(f"<p><code>{escape(why.code)}</code>{what}</p>")
        parts.append(f'<p class="cause">{escape(why.cause)}</p>')
    if more:
        parts.append(more(first))
    parts.append(_names(cells))
    return f'<article class="card {name}">{"".join(parts)}</article>'


def _names(cells: Sequence[Told]) -> str:
    items = [f"<li>{marks.link(each, each.title)}</li>" for each in cells[:_SHOWN]]
    rest = [f"<li>{marks.link(each, each.title)}</li>" for each in cells[_SHOWN:]]
    found = f'<ul class="names">{"".join(items)}</ul>'
    if rest:
        found += (
            f"<details><summary>{len(rest)} more</summary>"
            f'<ul class="names">{"".join(rest)}</ul></details>'
        )
    return found


def _hint(told: Told, folder: str) -> str:
    timeline, suspect = told.timeline, told.story.suspect
    good, bad = timeline.good, timeline.bad
    if good is None or bad is None:
        return "<p>It has never been good in these results.</p>"
    nights = f"{timeline.streak} runs" if timeline.streak > 1 else "once"
    text = f"<p>Good on {escape(good.night)}, fails since {escape(bad.night)} ({nights}).</p>"
    if suspect and suspect.grounds != "only":
        text += f"<p>To be sure: <code>{escape(bisect_words(told, folder))}</code></p>"
    if told.story.broke and not told.story.broke.known:
        text += "<p>No lock came of it, so nothing can be compared.</p>"
    return text


def bisect_words(told: Told, folder: str) -> str:
    """Return the command that finds out which package it was."""
    return f"mlenv matrix bisect {told.timeline.cell} --results {folder}"


def _flips(told: Told) -> str:
    same, streak = told.timeline.same, told.timeline.streak
    last = told.timeline.last
    bad = sum(each.verdict == "failed" for each in same)
    now = f"the last {streak}" if streak > 1 else "the last one"
    text = f"<p>Failed in {bad} of {len(same)} runs of one and the same lock"
    text += f"; {escape(last.verdict)} in {now}." if last else "."
    since = told.story.since_last
    if since and since.facts:
        text += f" What else differs: {escape('; '.join(since.facts))}."
    return text + "</p>"
