"""A verdict as one page: no script, nothing from elsewhere, every word of the probe's escaped."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from mlenv.report.judge import first_line
from mlenv.report.text import HEADS, MEANING, boundary, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.probed import Probed
    from mlenv.report.verdict import Finding, Verdict

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --open: #9a6700; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } code, pre { font: 0.85rem/1.4 ui-monospace, monospace; }
.pass { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
.finding { border-left: 4px solid var(--bad); margin: 1rem 0; padding: 0.2rem 1rem; }
.finding.unproven, .finding.warning { border-color: var(--open); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
padding: 0.25rem 0.6rem; border-bottom: 1px solid #8884; } .number { text-align: right; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 30rem; }
h2 { font-size: 1rem; margin: 0.5rem 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; margin: 0.5rem 0; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
"""
_COLORS = {"pass": "pass", "verified": "pass", "static-ok": "pass", "failed": "bad"}
_OPEN = frozenset(("skip", "blocked", "not-verified"))


def page(verdict: Verdict) -> str:
    """Return the page."""
    title = f"{verdict.plan.title}: {verdict.word}"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(verdict.plan.title)}: {_word(verdict.word)}</h1>",
            f"<p>{escape(MEANING[verdict.word])}.</p>",
            *(_finding(each) for each in verdict.findings),
            *(f"<p>{escape(line)}</p>" for line in boundary(verdict).splitlines()),
            *_table(verdict),
            *_facts(verdict),
            "</body></html>",
            "",
        )
    )


def _word(text: str) -> str:
    color = "open" if text in _OPEN else _COLORS.get(text, "bad")
    return f'<span class="{color}">{escape(text)}</span>'


def _finding(found: Finding) -> str:
    rows = [("cause", found.cause), ("fix", found.fix), ("seen", found.seen)]
    rows += [("also", ", ".join(found.also))]
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    head = f"<h2><code>{HEADS[found.weight]}[{escape(found.id)}]</code>: {escape(found.what)}</h2>"
    return f'<section class="finding {found.weight}">{head}<dl>{told}</dl></section>'


def _table(verdict: Verdict) -> Iterator[str]:
    heads = ("probe", "level", "outcome", "seconds", "what it showed")
    yield f"<table><tr>{''.join(f'<th>{each}</th>' for each in heads)}</tr>"
    for row in verdict.report.probes:
        yield _row(row, required=row.name in verdict.plan.required)
    there = {row.name for row in verdict.report.probes}
    for name in verdict.plan.probes:
        if name not in there:
            yield f"<tr><td>{escape(name)}</td><td></td><td>{_word('no word')}</td></tr>"
    yield "</table>"


def _row(row: Probed, *, required: bool) -> str:
    level = "" if row.level is None else str(row.level)
    note = "" if required else " (not required)"
    text = shown(row) if row.status == "pass" else first_line(row.message)
    told = escape(text + note)
    words = "\n".join(filter(None, (row.message, row.stderr, row.stdout)))
    facts = json.dumps(row.facts, indent=1, sort_keys=True) if row.facts else ""
    more = "\n\n".join(filter(None, (words, facts)))
    if more:
        told = f"<details><summary>{told or 'facts'}</summary><pre>{escape(more)}</pre></details>"
    cells = (escape(row.name), level, _word(row.status))
    return (
        "<tr>"
        + "".join(f"<td>{each}</td>" for each in cells)
        + f'<td class="number">{row.seconds:.1f}</td><td>{told}</td></tr>'
    )


def _facts(verdict: Verdict) -> Iterator[str]:
    plan, report = verdict.plan, verdict.report
    rows = (
        ("scope", plan.scope + (", quick" if plan.quick else "")),
        ("begun", report.started or ""),
        ("seconds", f"{report.seconds:.1f}"),
        (
            "on",
            " ".join(str(report.host.get(each) or "") for each in ("node", "machine", "kernel")),
        ),
        ("python", " ".join(str(report.host.get(each) or "") for each in ("python", "executable"))),
        ("lock", plan.lock_digest),
        ("probe", plan.probe_sha256),
    )
    yield "<dl>"
    yield from (f"<dt>{name}</dt><dd><code>{escape(text)}</code></dd>" for name, text in rows)
    yield "</dl>"
