"""The verdict as a badge: an SVG of its own, or what shields.io reads from an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from mlenv.matrix.report.page import group_counts

if TYPE_CHECKING:
    from mlenv.matrix.report.gathered import Report

_WIDE = 7
"""Pixels of a letter, rounded up: Verdana 11 px."""
_LABEL = "matrix"


def message(report: Report) -> tuple[str, str]:
    """Return the words and the color: red where a cell fails, and grey where nothing is known."""
    counts = group_counts(report)
    asked = sum(count for word, count in counts.items() if word != "impossible")
    failing = report.standing("broke", "failing")
    bad = sum(bool(each.timeline.last and each.timeline.last.red) for each in failing)
    words = f"{counts['ok']} of {asked} ok" + (f", {bad} failed" if bad else "")
    if bad:
        return words, "#b23a00"
    if counts["ok"] == 0:
        return words, "#566070"
    open_ = counts["unknown"] + counts["flaky"] + counts["pending"]
    return words, "#8a6100" if open_ else "#1f7a5c"


def shields(report: Report) -> dict[str, Any]:
    """Return what shields.io shows. Source: https://shields.io/badges/endpoint-badge."""
    words, color = message(report)
    return {"schemaVersion": 1, "label": _LABEL, "message": words, "color": color}


def badge(report: Report) -> str:
    """Return the SVG."""
    words, color = message(report)
    left, right = (_WIDE * len(text) + 12 for text in (_LABEL, words))
    whole = left + right
    said = escape(f"{_LABEL}: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{said}"><title>{said}</title>'
        f'<rect rx="3" width="{whole}" height="20" fill="#3b424d"/>'
        f'<path d="M{left} 0h{right - 3}q3 0 3 3v14q0 3-3 3h-{right - 3}z" fill="{color}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2}" y="14">{_LABEL}</text>'
        f'<text x="{left + right / 2}" y="14">{escape(words)}</text></g></svg>\n'
    )
