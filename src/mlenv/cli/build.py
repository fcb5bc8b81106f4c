"""``mlenv build``: lock, and write the image's recipe."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv build specs/torch.toml && docker build images/torch")
@options.SPEC
@options.OUT
@options.TARGET
@options.UPGRADE
@options.OFFLINE
@options.STRICT
@options.JSON
@options.VERBOSE
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file differs.")
def command(  # noqa: PLR0913 (its options)
    spec: Path,
    out: Path,
    target: str | None,
    *,
    upgrade: bool,
    offline: bool,
    strict: bool,
    as_json: bool,
    verbose: bool,
    check: bool,
) -> int:
    """Lock a spec and write its image recipe: all of `mlenv lock`, a Dockerfile and smoke.json.

    The folder is replaced as a whole or not at all; files of your own in it stay.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    job = Job(
        out=out,
        target=target,
        recipe=True,
        upgrade=upgrade,
        check=check,
        offline=offline,
        strict=strict,
        as_json=as_json,
        verbose=verbose,
    )
    return job.run((spec,))
