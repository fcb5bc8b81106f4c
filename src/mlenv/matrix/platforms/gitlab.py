"""GitLab CI: the child pipeline with a job for each stack, and the parent that asks for it.

Source: docs.gitlab.com, "CI/CD YAML syntax reference" and "Downstream pipelines", known on
2026-11-28: a child pipeline holds at least one job.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mlenv.matrix.platforms.order import labels, led
from mlenv.matrix.platforms.text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.matrix.cell import Cell
    from mlenv.matrix.platforms.order import Order

_IMAGE = "python:3.12"


def child(cells: Sequence[Cell], order: Order) -> str:
    """Return the child pipeline; where no cell can be, its one job says so."""
    document: dict[str, Any] = {
        "default": {"image": _IMAGE},
        "stages": ["cells", "report"],
        # the parent gives both, so that every job speaks of one run
        "variables": {"MLENV_RUN": "$MLENV_RUN", "MLENV_DATE": "$MLENV_DATE"},
    }
    every = list(led(cells))
    for leader, members in every:
        document[leader.id] = _job(leader, members, order)
    if not every:
        document["no-cells"] = {"stage": "cells", "script": ["echo 'no cell can be'"]}
    else:
        document["report"] = _report(order)
    return yaml_text([document], f"{order.command('gitlab')} --include")


def _job(leader: Cell, members: Sequence[Cell], order: Order) -> dict[str, Any]:
    words = [word for each in members for word in ("--cell", each.id)]
    run = f"mlenv matrix run {order.choice()} {shlex.join(words)} --verify {order.level} "
    run += '--run "$MLENV_RUN" --date "$MLENV_DATE" --results results'
    tags = [each for each in labels(leader, order) if not each.startswith("ubuntu-")]
    found: dict[str, Any] = {
        "stage": "cells",
        "script": [order.install, run],
        "allow_failure": all(each.allow_failure for each in members),
        "artifacts": {"when": "always", "paths": ["results"], "expire_in": "14 days"},
    }
    return {**found, "tags": tags} if tags else found


def _report(order: Order) -> dict[str, Any]:
    return {
        "stage": "report",
        "when": "always",
        "script": [
            order.install,
            "mlenv matrix report results --to html --out matrix.html",
            "mlenv matrix report results --to junit --out matrix.xml",
        ],
        "cache": {"key": "mlenv-results", "paths": ["results"]},
        "artifacts": {
            "when": "always",
            "paths": ["matrix.html"],
            "reports": {"junit": "matrix.xml"},
        },
    }


def parent(order: Order) -> str:
    """Return the pipeline that plans and starts the child."""
    emit = f"mlenv matrix emit {order.emitted()} --to gitlab --include --out matrix.yml"
    lines = [
        order.install,
        emit,
        'echo "MLENV_RUN=$(date -u +%Y%m%dT%H%M%SZ)" >> run.env',
        'echo "MLENV_DATE=$(date -u +%F)" >> run.env',
    ]
    document = {
        "stages": ["plan", "run"],
        "plan": {
            "stage": "plan",
            "image": _IMAGE,
            "script": lines,
            "artifacts": {"paths": ["matrix.yml"], "reports": {"dotenv": "run.env"}},
        },
        "matrix": {
            "stage": "run",
            "needs": ["plan"],
            "variables": {"MLENV_RUN": "$MLENV_RUN", "MLENV_DATE": "$MLENV_DATE"},
            "trigger": {
                "include": [{"artifact": "matrix.yml", "job": "plan"}],
                "strategy": "depend",
            },
        },
    }
    return yaml_text([document], order.command("gitlab"))
