"""``mlenv build``: lock, and write the image's recipe."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)
from typing import Any

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv build specs/torch.toml && docker build images/torch")
@options.SPEC
@options.job
def command(spec: Path, **asked: Any) -> int:  # noqa: ANN401 (the options of a job)
    """Lock a spec and write its image recipe: all of `mlenv lock`, a Dockerfile and smoke.json.

    The folder is replaced as a whole or not at all; files of your own in it stay.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    return Job(recipe=True, **asked).run((spec,))
