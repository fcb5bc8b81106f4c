"""GitHub Actions: the include list of a matrix, and the workflow that asks for it.

A job makes at most 256 jobs of its matrix, so the list comes in parts. Nothing that a spec says
reaches a shell: a cell's id goes through the environment.
Source: docs.github.com, "Workflow syntax", `jobs.<job_id>.strategy.matrix`, known on 2026-11-28.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlenv.errors import UsageError
from mlenv.matrix.planning import order as reason
from mlenv.matrix.platforms.order import labels, led

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.platforms.order import Order

JOBS = 256
"""Of one matrix."""
_DAYS = 14


def include(cells: Sequence[Cell], order: Order) -> list[dict[str, Any]]:
    """Return a job for each stack that can be; its cells are named by ids, in one word."""
    return [
        {
            "name": leader.id,
            "cells": " ".join(each.id for each in members),
            "runs-on": list(labels(leader, order)),
            "allow-failure": all(each.allow_failure for each in members),
        }
        for leader, members in led(cells)
    ]


def outputs(cells: Sequence[Cell], order: Order, parts: int) -> str:
    """Return lines for ``$GITHUB_OUTPUT``: how many jobs there are, and each part of the list.

    Raises:
        UsageError: ``matrix-order``: the workflow has too few parts.
    """
    found = include(cells, order)
    if len(found) > parts * JOBS:
        raise UsageError(
            reason(
                f"{len(found)} jobs do not go into the workflow",
                f"it has {parts} part{'s' if parts > 1 else ''} of {JOBS}",
                "write the workflow anew with `mlenv matrix emit`, which makes as many as it needs",
            )
        )
    lines = [f"count={len(found)}"]
    for number in range(parts):
        part = found[number * JOBS : (number + 1) * JOBS]
        lines.append(f"count{number}={len(part)}")
        lines.append(f"part{number}={json.dumps({'include': part}, separators=(',', ':'))}")
    return "\n".join(lines) + "\n"


def workflow(cells: Sequence[Cell], order: Order) -> str:
    """Return the workflow's file."""
    from mlenv.matrix.platforms.text import yaml_text  # noqa: PLC0415 (loaded when used)

    parts = max(1, -(-len(include(cells, order)) // JOBS))
    jobs: dict[str, Any] = {"plan": _plan(order, parts)}
    for number in range(parts):
        jobs[f"cells{number}"] = _cells(order, number)
    jobs["report"] = _report(order, [f"cells{number}" for number in range(parts)])
    document = {
        "name": "nightly matrix" if order.event == "nightly" else "matrix",
        "on": _on(order),
        "permissions": {"contents": "read"},
        "concurrency": {
            "group": "${{ github.workflow }}-${{ github.ref }}",
            "cancel-in-progress": order.event != "nightly",
        },
        "jobs": jobs,
    }
    return yaml_text([document], order.command("github")).replace("'on':", "on:", 1)


def _on(order: Order) -> dict[str, Any]:
    if order.event == "nightly":
        return {"schedule": [{"cron": order.cron}], "workflow_dispatch": None}
    return {"pull_request": None, "push": {"branches": ["main"]}}


def _setup(order: Order) -> list[dict[str, Any]]:
    return [
        {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": order.install},
    ]


def _plan(order: Order, parts: int) -> dict[str, Any]:
    emit = f"mlenv matrix emit {order.emitted()} --to github --include --parts {parts}"
    names = ["count", *(f"{word}{n}" for n in range(parts) for word in ("count", "part"))]
    found = {each: f"${{{{ steps.plan.outputs.{each} }}}}" for each in (*names, "run", "date")}
    lines = [
        "{",
        f"  {emit}",
        '  echo "run=$(date -u +%Y%m%dT%H%M%SZ)"',
        '  echo "date=$(date -u +%F)"',
        '} >> "$GITHUB_OUTPUT"',
        f"mlenv matrix plan {order.choice()} --json > matrix.json",
    ]
    return {
        "runs-on": "ubuntu-24.04",
        "timeout-minutes": 15,
        "outputs": found,
        "steps": [
            *_setup(order),
            {"id": "plan", "run": "\n".join(lines) + "\n"},
            _upload("matrix", "matrix.json"),
        ],
    }


def _upload(name: str, path: str) -> dict[str, Any]:
    return {
        "if": "${{ !cancelled() }}",
        "uses": "actions/upload-artifact@v4",
        "with": {"name": name, "path": path, "retention-days": _DAYS},
    }


def _cells(order: Order, number: int) -> dict[str, Any]:
    run = (
        'words=(); for cell in $CELLS; do words+=(--cell "$cell"); done\n'
        f'mlenv matrix run {order.choice()} "${{words[@]}}" --verify {order.level} '
        '--run "$RUN" --date "$DATE" --results results\n'
    )
    return {
        "needs": "plan",
        "if": f"${{{{ needs.plan.outputs.count{number} != '0' }}}}",
        "name": "${{ matrix.name }}",
        "runs-on": "${{ matrix.runs-on }}",
        "timeout-minutes": 120,
        "continue-on-error": "${{ matrix.allow-failure }}",
        "strategy": {
            "fail-fast": False,
            "matrix": f"${{{{ fromJSON(needs.plan.outputs.part{number}) }}}}",
        },
        "steps": [
            *_setup(order),
            {
                "env": {
                    "CELLS": "${{ matrix.cells }}",
                    "RUN": "${{ needs.plan.outputs.run }}",
                    "DATE": "${{ needs.plan.outputs.date }}",
                },
                "run": run,
            },
            _upload("results-${{ matrix.name }}", "results"),
        ],
    }


def _report(order: Order, cells: Sequence[str]) -> dict[str, Any]:
    lines = [
        "mlenv matrix report results --to html --out matrix.html",
        "mlenv matrix report results --to junit --out matrix.xml",
        'mlenv matrix report results --to markdown >> "$GITHUB_STEP_SUMMARY"',
    ]
    history = {"path": "results", "key": "results-${{ github.run_id }}"}
    keep = [{"uses": "actions/cache/save@v4", "with": history}] if order.event == "nightly" else []
    return {
        "needs": ["plan", *cells],
        "if": "${{ !cancelled() && needs.plan.result == 'success' && "
        "needs.plan.outputs.count != '0' }}",
        "runs-on": "ubuntu-24.04",
        "timeout-minutes": 15,
        "steps": [
            *_setup(order),
            {
                "uses": "actions/cache/restore@v4",
                "with": {**history, "restore-keys": "results-"},
            },
            {
                "uses": "actions/download-artifact@v4",
                "with": {"pattern": "results-*", "path": "results", "merge-multiple": True},
            },
            {"run": "\n".join(lines) + "\n"},
            *keep,
            _upload("report", "matrix.html\nmatrix.xml\n"),
        ],
    }
