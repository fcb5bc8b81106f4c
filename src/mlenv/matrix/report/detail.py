"""A cell's own panel: why, what moved, its nights, versions, times, and the end of its log."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mlenv.matrix.history import MEMORY
from mlenv.matrix.report import marks
from mlenv.matrix.report.cards import bisect_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlenv.changes import Move
    from mlenv.matrix.movement import Movement, Suspect
    from mlenv.matrix.report.gathered import Told
    from mlenv.matrix.result import CellResult

_ROWS = 12
"""Moved packages that are shown before the rest is folded away."""
_STRIP = 60
"""Nights that the strip shows."""


def detail(told: Told, folder: str) -> str:
    """Return the panel, at the anchor that is the cell's id."""
    name = escape(told.timeline.cell)
    head = (
        f'<section class="detail" id="{name}" role="dialog" aria-labelledby="h-{name}">'
        f'<header><h2 id="h-{name}" tabindex="-1">'
        f'<span class="mark {marks.shade(told.timeline)}" aria-hidden="true">'
        f"{marks.letter(told.timeline)}</span> {escape(told.title)}</h2>"
        f'<a class="close" href="#grid" aria-label="Close">✕</a></header>'
    )
    return "".join((head, *_body(told, folder), "</section>"))


def _body(told: Told, folder: str) -> Iterator[str]:
    timeline, story = told.timeline, told.story
    last = timeline.last
    yield f'<p class="stand">{escape(marks.words(timeline))}</p>'
    if last is None:
        return
    yield from _why(last)
    if story.suspect:
        moved, reason = marks.moved(story.suspect.move), escape(story.suspect.reason)
        yield f'<p class="suspect"><b>First suspect</b> {moved}: {reason}</p>'
        yield f"<p><code>{escape(bisect_words(told, folder))}</code></p>"
    if story.since_good:
        yield from _movement("Since it was good", story.since_good, story.suspect)
    if story.since_last and story.since_last is not story.since_good:
        yield from _movement("Since the run before", story.since_last)
    yield from _nights(told)
    yield from _facts(last)
    if last.log and last.verdict != "ok":
        yield f'<h3>End of the log</h3><pre tabindex="0">{escape(last.log)}</pre>'


def _why(last: CellResult) -> Iterator[str]:
    why = last.why
    if why is None:
        return
    rows = [("cause", why.cause), ("fix", why.fix), ("at", ", ".join(why.where))]
    rows += [("source", why.source or ""), *(("nearest", each) for each in why.nearest)]
    rows += [("also", f"{last.also} further reasons")] if last.also else []
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    yield f'<div class="why"><p><code>{escape(why.code)}</code> {escape(why.what)}</p>'
    yield f"<dl>{told}</dl></div>"


def _movement(head: str, found: Movement, suspect: Suspect | None = None) -> Iterator[str]:
    yield f"<h3>{head} ({escape(found.before.night)})</h3>"
    if not found.known:
        yield "<p>One of the two has no lock, so packages cannot be compared.</p>"
    elif not found.moves:
        yield "<p>No package moved.</p>"
    if found.facts:
        yield f"<p>{escape('; '.join(found.facts))}</p>"
    first = suspect.move.name if suspect else ""
    moves = sorted(found.moves, key=lambda each: each.name != first)
    if moves:
        yield _moves(moves[:_ROWS], first)
    if rest := moves[_ROWS:]:
        yield f"<details><summary>{len(rest)} more packages moved</summary>"
        yield f"{_moves(rest, first)}</details>"


def _moves(found: Sequence[Move], first: str) -> str:
    mark = ' class="first"'
    rows = "".join(
        f'<tr{mark if each.name == first else ""}><th scope="row">{escape(each.name)}</th>'
        f"<td>{escape(each.before or 'new')} → {escape(each.after or 'gone')}</td>"
        f'<td>{escape(each.layer)}</td><td class="number">{_size(each.bytes)}</td></tr>'
        for each in found
    )
    heads = "".join(f'<th scope="col">{word}</th>' for word in ("package", "version", "layer"))
    return (
        f'<table class="moves"><thead><tr>{heads}<th scope="col" class="number">size</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else ""


def _nights(told: Told) -> Iterator[str]:
    results = told.timeline.results[-_STRIP:]
    counts = {word: sum(each.verdict == word for each in results) for word in marks.LETTERS}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    locks = len({each.lock for each in results if each.lock})
    yield f"<h3>{len(results)} runs</h3><p>{said}; {locks} {'lock' if locks == 1 else 'locks'}"
    yield f"{_flaky(told)}.</p>"
    yield f'<p class="strip" role="img" aria-label="Oldest first: {said}">'
    former: str | None = None
    marked = []
    for each in results:
        moved = former is not None and each.lock is not None and each.lock != former
        former = each.lock or former
        note = f"{each.night}: {each.verdict}" + ("; the lock moved" if moved else "")
        classes = marks.shade_of(each) + (" moved" if moved else "")
        letter = marks.LETTERS[each.verdict]
        marked.append(f'<i class="{classes}" title="{escape(note)}">{letter}</i>')
    yield "".join(marked) + "</p>"


def _flaky(told: Told) -> str:
    if not told.timeline.flaky:
        return ""
    bad = sum(each.verdict == "failed" for each in told.timeline.same)
    return f"; of the last {MEMORY} runs, {bad} with the lock of today failed and others did not"


def _facts(last: CellResult) -> Iterator[str]:
    times = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in last.seconds.items())
    rows = [
        ("reached", f"{last.phase} ({_LEVELS[last.level]})"),
        ("run", f"{last.run}, begun {last.began}" if last.began else last.run),
        ("times", times),
        ("where", last.where),
        ("instead", f"run as {last.shared}, which is the same stack" if last.shared else ""),
        ("lock", (last.lock or "")[:16]),
        ("spec", last.origin),
    ]
    rows += list(last.versions.items())
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    yield f'<h3>Versions and times</h3><dl class="facts">{told}</dl>'


_LEVELS = {
    "none": "nothing was run",
    "static": "without a GPU: no kernel was run",
    "gpu": "on a GPU",
}
