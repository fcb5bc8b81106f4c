"""From a plan and what a probe reported to a verdict. A pure function; nothing is looked up.

Nothing is good that was not shown: a report that is cut short, or a required probe that did not
pass, is never ``verified``, and so never exit 0.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mlenv.report.causes import failure_in
from mlenv.report.differences import differences
from mlenv.report.probed import BAD, unusable
from mlenv.report.structure import structure
from mlenv.report.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlenv.report.plan import Plan
    from mlenv.report.probed import Probed, ProbeReport
    from mlenv.report.verdict import Word

_RANK = {"error": 0, "unproven": 1, "warning": 2}
_FIRST = ("driver", "nvml")
"""Probes whose failure explains that of all others."""
_SOME = 3
_ENDINGS = {
    "crash": ("the process of the probe died", "crashed"),
    "timeout": ("the probe did not end within its limit", "hung"),
    "error": ("the probe itself broke", "broke"),
    "fail": ("no failure that is known says this", "failed"),
}


def judge(plan: Plan, report: ProbeReport, *, trouble: str = "") -> Verdict:
    """Return what is thought of the environment that ``report`` came from.

    Args:
        plan: what was asked.
        report: what came back.
        trouble: what went wrong with whoever ran the probe, in words; nothing where all went well.

    Raises:
        HostError: ``report-unusable``: it answers another plan, or another probe wrote it.
    """
    _check_answers(plan, report)
    missing = tuple(name for name in plan.probes if name in plan.required - _passed(report))
    facts = [*structure(plan, report), *differences(plan, report)]
    found = _folded(_in_order([*_joined(facts), *_failures(report)]))
    found += _open(missing, report, found, trouble)
    found = sorted(found, key=lambda each: _RANK[each.weight])
    return Verdict(
        word=_word(plan, report, missing, found),
        findings=tuple(found),
        missing=missing,
        plan=plan,
        report=report,
    )


def _check_answers(plan: Plan, report: ProbeReport) -> None:
    for what, asked, said in (
        ("nonce", plan.nonce, report.nonce),
        ("lock digest", plan.lock_digest, report.lock_digest),
        ("probe hash", plan.probe_sha256, report.probe_sha256),
    ):
        if asked != said:
            raise unusable(f"its {what} is {said or 'missing'}, and {asked} was asked")


def _passed(report: ProbeReport) -> set[str]:
    return {each.name for each in report.probes if each.status == "pass"}


def _word(
    plan: Plan, report: ProbeReport, missing: tuple[str, ...], found: Iterable[Finding]
) -> Word:
    weights = {each.weight for each in found}
    if "error" in weights:
        return "failed"
    if missing or "unproven" in weights or not report.complete:
        return "not-verified"
    return "static-ok" if plan.scope == "static" else "verified"


def _failures(report: ProbeReport) -> Iterator[Finding]:
    """Yield a finding for each probe that ran and was wrong; the catalogue names its cause."""
    for each in report.probes:
        if each.status in BAD and each.reason != "interrupted":
            yield _failure(each)


def _failure(each: Probed) -> Finding:
    cause, ended = _ENDINGS[each.status]
    what = f"{each.name} {ended}: {first_line(each.message) or each.reason or 'no word'}"
    hit = failure_in(each.name, each.text)
    if hit is None:
        fix = "read what the probe said; its whole output is in the report (--json, --html)"
        seen = _last_words(each.stderr or "")
        return Finding(
            id=f"unknown-{each.status}",
            weight="error",
            probe=each.name,
            what=what,
            cause=cause,
            fix=fix,
            seen=seen,
        )
    known, seen = hit
    return Finding(
        id=known.id,
        weight=known.weight,
        probe=each.name,
        what=what,
        cause=known.cause,
        fix=known.fix,
        seen="" if seen == each.reason else seen,  # a code says nothing to a reader
    )


_FRAME = re.compile(r"\(most recent call first\):\n\s*(File .*)")
"""Of what ``faulthandler`` writes when a process dies: where it was."""


def _last_words(text: str) -> str:
    frames = _FRAME.findall(text)
    return str(frames[-1]) if frames else first_line(text.strip().rpartition("\n")[2])


def first_line(text: str | None) -> str:
    """Return the first line that says something."""
    lines = (text or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def _in_order(found: list[Finding]) -> list[Finding]:
    """Put the driver's trouble first: what else is seen beside it may only be its shadow."""
    return sorted(
        found,
        key=lambda each: (
            each.probe not in _FIRST,
            _RANK[each.weight],
            each.id.startswith("unknown-"),  # what has a cause is told before what has none
        ),
    )


def _joined(found: list[Finding]) -> list[Finding]:
    """Make one finding of those of a kind: what was seen stands side by side."""
    kinds: dict[str, list[Finding]] = {}
    for each in found:
        kinds.setdefault(each.id, []).append(each)
    return [_one(members) for members in kinds.values()]


def _one(members: list[Finding]) -> Finding:
    first, *_ = members
    seen = list(dict.fromkeys(each.what for each in members))
    more = f"; and {len(seen) - _SOME} more" if len(seen) > _SOME else ""
    probes = dict.fromkeys(each.probe for each in members)
    also = tuple(each for each in probes if each != first.probe)
    return replace(first, what="; ".join(seen[:_SOME]) + more, also=also)


def _folded(found: list[Finding]) -> list[Finding]:
    """Keep one finding of a cause; the probes of the others stand beside it."""
    kept: dict[tuple[str, str], Finding] = {}
    for each in found:
        key = (each.id, each.probe if each.id.startswith("unknown-") else "")
        first = kept.setdefault(key, each)
        if first is not each and each.probe not in {first.probe, *first.also}:
            kept[key] = replace(first, also=(*first.also, each.probe))
    return list(kept.values())


def _open(
    missing: tuple[str, ...], report: ProbeReport, found: list[Finding], trouble: str
) -> list[Finding]:
    """Return findings for what was required, did not pass, and is explained by nothing yet."""
    root = next((n for n, each in enumerate(found) if each.probe == "driver"), None)
    left = []
    for name in missing:
        probe = report.named(name)
        if probe is not None and probe.status == "blocked" and root is not None:
            found[root] = replace(found[root], also=(*found[root].also, name))
        elif root is not None and probe is not None and probe.reason in _NO_GPU:
            if name != "driver":
                found[root] = replace(found[root], also=(*found[root].also, name))
        elif probe is None or probe.status in {"skip", "blocked"} or probe.reason == "interrupted":
            left.append(name)
    opened = [_ended(left, trouble)] if trouble or not report.complete else []
    if left and not opened:
        opened = [_skipped(name, report.named(name)) for name in left]
    return opened


_NO_GPU = frozenset(("no-driver", "no-device"))


def _ended(left: list[str], trouble: str) -> Finding:
    return Finding(
        id="run-ended",
        weight="unproven",
        probe="",
        what="the run ended before all that was asked was shown",
        cause=trouble or "something ended the probe: an engine, a scheduler, or somebody",
        fix="see what ended it, then verify again",
        also=tuple(left),
    )


def _skipped(name: str, probe: Probed | None) -> Finding:
    why = first_line(probe.message) if probe else "the probe is not in the report"
    return Finding(
        id="probe-skipped",
        weight="unproven",
        probe=name,
        what=f"{name} is required, and was not run",
        cause=why or (probe.reason if probe else None) or "it does not say why",
        fix="install the environment from its lock, and verify again",
    )
