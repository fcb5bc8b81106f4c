"""The grid: a table for each spec that multiplies axes, and one for all others."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mlenv.matrix.report import marks
from mlenv.matrix.report.gathered import axis_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlenv.matrix.report.gathered import Told

MOST = 12
"""Columns that a table may have."""


def grid(cells: Sequence[Told]) -> Iterator[str]:
    """Yield the tables."""
    specs: dict[str, list[Told]] = {}
    for each in cells:
        specs.setdefault(each.spec, []).append(each)
    alone = [own[0] for own in specs.values() if len(own) == 1]
    if alone:
        yield from _list(alone)
    for spec, own in specs.items():
        if len(own) > 1:
            yield from _table(spec, own)


def _list(cells: Sequence[Told]) -> Iterator[str]:
    """Yield the table of what is one cell only: a row says what it holds, and what moved."""
    yield '<table class="list" role="grid" aria-label="Stacks of one cell"><thead><tr>'
    yield "".join(
        f'<th scope="col"{kind}>{head}</th>'
        for head, kind in (
            ("Stack", ""),
            ("Verdict", ""),
            ("Holds", ' class="wide"'),
            ("Since the run before", ' class="wide"'),
        )
    )
    yield "</tr></thead><tbody>"
    for each in cells:
        yield (
            f'<tr><th scope="row">{_label(each.spec, each.axes)}</th>{_cell(each)}'
            f'<td class="wide">{escape(_holds(each))}</td>'
            f'<td class="wide">{escape(moved_words(each))}</td></tr>'
        )
    yield "</tbody></table>"


def _table(spec: str, cells: Sequence[Told]) -> Iterator[str]:
    column = _column(cells)
    heads = list(dict.fromkeys(each.axes.get(column, "") for each in cells))
    rows: dict[tuple[tuple[str, str], ...], dict[str, Told]] = {}
    for each in cells:
        key = tuple((axis, value) for axis, value in each.axes.items() if axis != column)
        rows.setdefault(key, {})[each.axes.get(column, "")] = each
    name = escape(spec)
    yield f'<div class="scroll"><table role="grid" aria-label="{name}">'
    yield f'<thead><tr><th scope="col" class="spec">{name}</th>'
    yield "".join(f'<th scope="col">{escape(axis_words(column, head))}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for key, own in rows.items():
        found = "".join(_cell(own[head]) if head in own else "<td></td>" for head in heads)
        yield f'<tr><th scope="row">{_label("", dict(key)) or name}</th>{found}</tr>'
    yield "</tbody></table></div>"


def _column(cells: Sequence[Told]) -> str:
    """Return the axis whose values stand side by side: Python, else the one with most of them."""
    values: dict[str, set[str]] = {}
    for each in cells:
        for axis, value in each.axes.items():
            values.setdefault(axis, set()).add(value)
    fit = {axis: len(found) for axis, found in values.items() if 1 < len(found) <= MOST}
    if "python" in fit:
        return "python"
    return max(fit, key=lambda axis: (fit[axis], axis), default="")


def _label(spec: str, axes: Mapping[str, str]) -> str:
    values = "".join(
        f'<span class="axis">{escape(axis_words(axis, value))}</span>'
        for axis, value in axes.items()
    )
    return (f"{escape(spec)} " if spec else "") + values


def _cell(told: Told) -> str:
    timeline = told.timeline
    name = escape(timeline.cell)
    said = escape(f"{told.title}: {marks.words(timeline)}", quote=True)
    return (
        f'<td class="cell"><a class="mark {marks.shade(timeline)}" href="#{name}" id="at-{name}"'
        f' data-group="{marks.group(timeline)}" data-words="{escape(search_words(told))}"'
        f' title="{said}" aria-label="{said}">{marks.letter(timeline)}</a></td>'
    )


def search_words(told: Told) -> str:
    """Return what a filter looks at: the axes, how the cell stands, and why."""
    last = told.timeline.last
    found = [told.spec, *(f"{axis}={value}" for axis, value in told.axes.items())]
    found += [marks.words(told.timeline)]
    if last and last.why:
        found += [last.why.code, last.why.what]
    if told.story.suspect:
        found.append(told.story.suspect.move.name)
    return " ".join(found).lower()


def _holds(told: Told) -> str:
    last = told.timeline.last
    names = {"toolkit": "CUDA", "python": "Python"}
    bare = {"cpu": "CPU", "none": "no CUDA"}
    return ", ".join(
        bare.get(version, f"{names.get(name, name)} {version}")
        for name, version in (last.versions if last else {}).items()
    )


def moved_words(told: Told) -> str:
    """Return what moved in a cell since the run before, in a few words."""
    since = told.story.since_last
    if since is None:
        return ""
    if not since.known:
        return "no lock to compare with"
    if not since.moves:
        return "; ".join(since.facts) or "nothing moved"
    first = since.moves[0].text
    more = len(since.moves) - 1
    return f"{first}, and {more} more" if more else first
