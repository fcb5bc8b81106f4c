"""The report as one JSON document, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlenv.matrix.report.page import group_counts

if TYPE_CHECKING:
    from mlenv.matrix.movement import Movement
    from mlenv.matrix.report.gathered import Report, Told
    from mlenv.matrix.result import CellResult

REPORT_SCHEMA = "mlenv.matrix-report/1"


def document(report: Report) -> dict[str, Any]:
    """Return the document."""
    last = report.history.runs[-1]
    return {
        "schema": REPORT_SCHEMA,
        "night": last.night,
        "run": last.run,
        "level": last.level,
        "counts": group_counts(report),
        "nights": [{"night": night, **counts} for night, counts in report.nights],
        "cells": [_cell(each) for each in report.cells],
        "left": [_cell(each) for each in report.left],
    }


def _cell(told: Told) -> dict[str, Any]:
    timeline, story = told.timeline, told.story
    last, suspect = timeline.last, story.suspect
    return {
        "cell": timeline.cell,
        "spec": told.spec,
        "axes": dict(told.axes),
        "standing": timeline.standing,
        "flaky": timeline.flaky,
        "streak": timeline.streak,
        "result": last.model_dump(mode="json", by_alias=True) if last else None,
        "good": _when(timeline.good),
        "bad": _when(timeline.bad),
        "since-last": _movement(story.since_last),
        "since-good": _movement(story.since_good),
        "suspect": {**asdict(suspect.move), "grounds": suspect.grounds, "of": suspect.of}
        if suspect
        else None,
        "history": [
            {"run": each.run, "night": each.night, "verdict": each.verdict, "lock": each.lock}
            for each in timeline.results
        ],
    }


def _when(result: CellResult | None) -> dict[str, Any] | None:
    return {"run": result.run, "night": result.night, "lock": result.lock} if result else None


def _movement(found: Movement | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "before": _when(found.before),
        "after": _when(found.after),
        "known": found.known,
        "facts": list(found.facts),
        "moves": [asdict(each) for each in found.moves],
    }
