"""``mlenv lock``: solve, audit, and write the locks."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)
from typing import Any

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv lock specs/train.toml --upgrade")
@options.SPECS
@options.job
def command(specs: tuple[Path, ...], **asked: Any) -> int:  # noqa: ANN401 (the options of a job)
    """Solve specs and write their locks: mlenv.lock, pyproject.toml, uv.lock, layers/.

    A lock keeps its date until --upgrade moves it, so the same spec gives the same lock.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    return Job(recipe=False, **asked).run(specs)
