"""The page: one file that needs nothing else, and says all without its script.

A cell is a link to a panel of its own, which shows where the address names it: so a link from
elsewhere opens the page at that cell, and a viewer that runs no script still does. The script adds
the filter, the arrow keys and where the focus goes. Every word of a spec, a log or an index is
escaped, and the page's policy admits this one style and this one script.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from mlenv.matrix.report import marks
from mlenv.matrix.report.cards import cards
from mlenv.matrix.report.detail import detail
from mlenv.matrix.report.grid import grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.matrix.report.gathered import Report

_NIGHTS = 30
"""Nights that the chart shows."""
_HIGH = 48


def page(report: Report, *, title: str = "mlenv matrix") -> str:
    """Return the page."""
    return "\n".join(_parts(report, title))


def _parts(report: Report, title: str) -> Iterator[str]:
    style, script = _data("page.css"), _data("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}: {escape(headline(report))}</title>"
    yield f"<style>{style}</style></head><body>"
    yield '<main id="main">'
    yield from _head(report, title)
    yield from cards(report)
    yield from _grid(report)
    yield "</main>"
    folder = report.folder
    yield from (detail(each, folder) for each in (*report.cells, *report.left))
    yield f"<script>{script}</script></body></html>"
    yield ""


def headline(report: Report) -> str:
    """Return what matters in a few words: ``2 failed, 1 flaky, 9 ok``."""
    counts = group_counts(report)
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no cells"


def group_counts(report: Report) -> dict[str, int]:
    """Return group -> cells of the last night, in the order of who must look at it."""
    found = dict.fromkeys(marks.GROUPS, 0)
    for each in report.cells:
        found[marks.group(each.timeline)] += 1
    return found


def _head(report: Report, title: str) -> Iterator[str]:
    last = report.history.runs[-1]
    yield f'<header class="top"><div><h1>{escape(title)}</h1>'
    nights = len(report.nights)
    facts = [f"night of {last.night}", f"{len(report.cells)} cells", f"run {last.on}"]
    facts += [f"mlenv {last.mlenv}", f"{nights} {'night' if nights == 1 else 'nights'} kept"]
    yield f"<p>{escape(' · '.join(facts))}</p>"
    if note := _LEVELS.get(last.level):
        yield f'<p class="note">{note}</p>'
    yield "</div>"
    if nights > 1:
        yield _chart(report)
    yield "</header>"


_LEVELS = {
    "static": "Run without a GPU: “ok” means locked, installed and as locked. No kernel was run.",
    "none": "Locked only: “ok” means that a lock was found. Nothing was installed or run.",
}


def _chart(report: Report) -> str:
    """Return the nights as bars: how many cells of each verdict."""
    nights = report.nights[-_NIGHTS:]
    most = max(sum(counts.values()) for _, counts in nights) or 1
    bars = []
    for number, (night, counts) in enumerate(nights):
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        top, parts = float(_HIGH), []
        for word in ("ok", "impossible", "unknown", "failed"):
            high = round(_HIGH * counts.get(word, 0) / most, 2)
            top -= high
            parts.append(
                f'<rect class="b-{word}" x="{number * 8}" y="{top:.2f}" width="7" height="{high}"/>'
            )
        bars.append(f"<g><title>{escape(f'{night}: {said}')}</title>{''.join(parts)}</g>")
    return (
        f'<figure><svg role="img" aria-label="The last {len(nights)} nights" '
        f'viewBox="0 0 {len(nights) * 8} {_HIGH}" width="{len(nights) * 8}" height="{_HIGH}">'
        f"{''.join(bars)}</svg><figcaption>the last {len(nights)} nights</figcaption></figure>"
    )


def _grid(report: Report) -> Iterator[str]:
    yield '<section id="grid" aria-labelledby="h-grid"><h2 id="h-grid">All cells</h2>'
    yield '<div class="tools" id="tools" hidden><label for="filter">Filter</label>'
    yield '<input id="filter" type="search" autocomplete="off" spellcheck="false"'
    yield ' placeholder="torch python=3.12 …" aria-describedby="count">'
    yield '<div class="chips" role="group" aria-label="Verdicts that are shown">'
    for word, count in group_counts(report).items():
        if count:
            yield (
                f'<button type="button" class="chip" aria-pressed="false" data-group="{word}">'
                f'<span class="mark s-{word}" aria-hidden="true">{_LETTER[word]}</span> '
                f"{word} <b>{count}</b></button>"
            )
    yield '</div><p id="count" role="status"></p></div>'
    yield from grid(report.cells)
    yield '<p id="none" hidden>No cell matches. '
    yield '<button type="button" id="all">Show all</button></p>'
    if report.left:
        yield f"<details><summary>{len(report.left)} cells of earlier nights</summary>"
        yield from grid(report.left)
        yield "</details>"
    yield '<dl class="legend">'
    for word, meaning in marks.GROUPS.items():
        yield (
            f'<div><dt><span class="mark s-{word}" aria-hidden="true">{_LETTER[word]}</span> '
            f"{word}</dt><dd>{meaning}</dd></div>"
        )
    yield "</dl>"
    yield '<p class="keys">In a table: arrow keys move, Home and End go to the ends of a row, '
    yield "Enter opens a cell, Escape closes it, N goes to the next cell that is not ok.</p>"
    yield "</section>"


_LETTER = {**marks.LETTERS, "flaky": "~", "pending": marks.PENDING}


def _data(name: str) -> str:
    return files("mlenv.matrix.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression of an inline block. Source: CSP Level 3, 2.3.1."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
