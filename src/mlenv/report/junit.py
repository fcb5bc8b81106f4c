"""A verdict as JUnit XML, for what shows the tests of a CI.

A CI counts a skipped test as no failure, so the verdict itself is a test case: where it is not
good, that one fails, and nothing that was only skipped is green.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from mlenv.report.judge import first_line
from mlenv.report.probed import BAD
from mlenv.report.text import MEANING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlenv.report.probed import Probed
    from mlenv.report.verdict import Verdict

_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: XML 1.0, "Characters"."""
WHOLE = "the environment is what was locked"
"""The name of the test case that is the verdict."""


def junit(verdict: Verdict) -> str:
    """Return the document."""
    rows = verdict.report.probes
    failures = sum(each.status == "fail" for each in rows) + (verdict.exit_status != 0)
    words = {
        "name": f"mlenv verify {verdict.plan.title}",
        "tests": len(rows) + 1,
        "failures": failures,
        "errors": sum(each.status in BAD - {"fail"} for each in rows),
        "skipped": sum(each.status in {"skip", "blocked"} for each in rows),
        "time": f"{verdict.report.seconds:.3f}",
    }
    if verdict.report.started:
        words["timestamp"] = verdict.report.started.rstrip("Z")
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<testsuites>",
            f"<testsuite{attributes(words)}>",
            *_properties(verdict),
            *(line for each in rows for line in _case(each, verdict)),
            *_whole(verdict),
            "</testsuite>",
            "</testsuites>",
            "",
        )
    )


def attributes(words: dict[str, object]) -> str:
    """Return the attributes of an element, each with a space before it."""
    return "".join(f" {name}={quoteattr(writable(str(text)))}" for name, text in words.items())


def writable(text: str) -> str:
    """Return ``text`` without the characters that no XML may hold."""
    return _UNWRITABLE.sub("?", text)


def _properties(verdict: Verdict) -> Iterator[str]:
    plan = verdict.plan
    yield "<properties>"
    for name, text in (
        ("verdict", verdict.word),
        ("scope", plan.scope),
        ("lock", plan.lock_digest),
        ("probe", plan.probe_sha256),
    ):
        yield f"<property{attributes({'name': name, 'value': text})}/>"
    yield "</properties>"


def _case(row: Probed, verdict: Verdict) -> Iterator[str]:
    level = "user" if row.level is None else f"level{row.level}"
    words = {"classname": f"mlenv.{level}", "name": row.name, "time": f"{row.seconds:.3f}"}
    yield f"<testcase{attributes({**words})}>"
    known = [each for each in verdict.findings if row.name in {each.probe, *each.also}]
    why = "; ".join(f"{each.cause}. Fix: {each.fix}" for each in known)
    message = why or first_line(row.message) or row.reason or row.status
    if row.status in {"skip", "blocked"}:
        yield f"<skipped{attributes({'message': message})}/>"
    elif row.status != "pass":
        kind = "failure" if row.status == "fail" else "error"
        words = {"message": message, "type": row.reason or row.status}
        yield f"<{kind}{attributes({**words})}>{escape(writable(row.message or ''))}</{kind}>"
    if row.stderr:
        yield f"<system-err>{escape(writable(row.stderr))}</system-err>"
    yield "</testcase>"


def _whole(verdict: Verdict) -> Iterator[str]:
    yield f"<testcase{attributes({'classname': 'mlenv', 'name': WHOLE, 'time': '0'})}>"
    if verdict.exit_status != 0:
        message = f"{verdict.word}: {MEANING[verdict.word]}"
        told = [
            f"{each.what}\n  cause: {each.cause}\n  fix: {each.fix}" for each in verdict.findings
        ]
        told += [f"not passed: {', '.join(verdict.missing)}"] if verdict.missing else []
        words = {"message": message, "type": verdict.word}
        yield f"<failure{attributes({**words})}>{escape(writable(chr(10).join(told)))}</failure>"
    yield "</testcase>"
