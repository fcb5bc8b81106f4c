"""A verdict as a person reads it in ten seconds: the word, what to mend first, a line a probe."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from mlenv.model import CONTROL
from mlenv.report.judge import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.probed import Probed
    from mlenv.report.verdict import Finding, Verdict

MEANING = {
    "verified": "it runs here, and is what was locked",
    "static-ok": "what can be shown without a GPU is as locked; no kernel was run",
    "failed": "something ran, and was wrong",
    "not-verified": "nothing wrong was seen, and not all was shown",
}
_WIDTH = 100
_WAITING = frozenset(("skip", "blocked"))
HEADS = {"error": "error", "unproven": "not shown", "warning": "warning"}


def verdict_text(verdict: Verdict) -> str:
    """Return the whole text, without a line end at its end."""
    # What a probe said must not move the cursor of who reads it.
    return "\n".join(
        CONTROL.sub("?", each) for line in _lines(verdict) for each in line.split("\n")
    )


def headline(verdict: Verdict) -> str:
    """Return the one line that says it all."""
    return f"{verdict.plan.title}: {verdict.word}: {MEANING[verdict.word]}"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield headline(verdict)
    for each in verdict.findings:
        yield ""
        yield from _finding(each)
    yield ""
    waiting: dict[tuple[str, str], list[str]] = {}
    for row in verdict.report.probes:
        if row.status in _WAITING and row.seconds == 0:
            waiting.setdefault((row.status, first_line(row.message)), []).append(row.name)
        else:
            yield _row(row, required=row.name in verdict.plan.required)
    for (status, why), names in waiting.items():
        text = f"{why}: {', '.join(names)}"
        yield from wrap(text, _WIDTH, initial_indent=f"  {status:8} ", subsequent_indent=" " * 11)
    there = {row.name for row in verdict.report.probes}
    yield from (f"  {'no word':8} {name}" for name in verdict.plan.probes if name not in there)
    if sentence := boundary(verdict):
        yield ""
        yield sentence


def _finding(found: Finding) -> Iterator[str]:
    yield f"{HEADS[found.weight]}[{found.id}]: {found.what}"
    yield f"  cause:   {found.cause}"
    if found.seen and found.seen not in found.what:
        yield f"  seen:    {found.seen}"
    if found.also:
        yield f"  also:    {', '.join(found.also)}"
    yield f"  fix:     {found.fix}"


def _row(row: Probed, *, required: bool) -> str:
    text = first_line(row.message) if row.status != "pass" else shown(row)
    note = "" if required or row.status == "pass" else " (not required)"
    line = f"  {row.status:8} {row.name:22} {row.seconds:6.1f} s  {text}{note}"
    return line.rstrip() if len(line) <= _WIDTH else line[: _WIDTH - 1].rstrip() + "…"


def shown(row: Probed) -> str:
    """Return in a few words what a probe that passed has shown; nothing where that is its name."""
    facts = row.facts or {}
    found = {name: facts.get(name) for name in ("libraries", "distributions", "built", "devices")}
    libraries, packages, built, devices = found.values()
    if isinstance(libraries, list):
        return f"{len(libraries)} CUDA libraries are loaded, as locked"
    if isinstance(packages, dict):
        return f"{len(packages)} packages, as locked"
    if isinstance(built, dict):
        return f"compiled for {', '.join(built)}"
    if isinstance(devices, list):
        return ", ".join(str(each.get("name")) for each in devices if isinstance(each, dict))
    return str(facts.get("made") or facts.get("version") or "")


def boundary(verdict: Verdict) -> str:
    """Return what a researcher needs to know of the cost of a kernel, where it was measured."""
    return "\n".join(
        dict.fromkeys(each for row in verdict.report.probes for each in _sentences(row.facts))
    )


def _sentences(facts: object) -> Iterator[str]:
    if isinstance(facts, dict):
        for name, value in facts.items():
            if name == "sentence" and isinstance(value, str):
                yield value
            else:
                yield from _sentences(value)
