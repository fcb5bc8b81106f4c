"""A verdict as one JSON document, for programs; ``verdict.schema.json`` says what it may hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlenv.report.verdict import Finding, Verdict

VERDICT_SCHEMA = "mlenv.verdict/1"


def document(verdict: Verdict, *, runner: str) -> dict[str, Any]:
    """Return the document; ``runner`` is where the probe ran."""
    plan, root = verdict.plan, verdict.root
    return {
        "schema": VERDICT_SCHEMA,
        "name": plan.title,
        "verdict": verdict.word,
        "exit": int(verdict.exit_status),
        "scope": plan.scope,
        "quick": plan.quick,
        "runner": runner,
        "lock_digest": plan.lock_digest,
        "root": _finding(root) if root else None,
        "findings": [_finding(each) for each in verdict.findings],
        "missing": list(verdict.missing),
        "required": sorted(plan.required),
        "report": verdict.report.model_dump(mode="json", by_alias=True),
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {**asdict(found), "also": list(found.also)}


def schema(name: str) -> dict[str, Any]:
    """Return a JSON Schema that is shipped: ``verdict``, or ``report`` for what a probe writes."""
    text = files("mlenv.report").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
