"""``mlenv lock``: solve, audit, and write the locks."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv lock specs/train.toml --upgrade")
@options.SPECS
@options.OUT
@options.TARGET
@options.UPGRADE
@options.OFFLINE
@options.STRICT
@options.JSON
@options.VERBOSE
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 where a lock is not up to date."
)
def command(  # noqa: PLR0913 (its options)
    specs: tuple[Path, ...],
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
    """Solve specs and write their locks: mlenv.lock, pyproject.toml, uv.lock, layers/.

    A lock keeps its date until --upgrade moves it, so the same spec gives the same lock.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    job = Job(
        out=out,
        target=target,
        recipe=False,
        upgrade=upgrade,
        check=check,
        offline=offline,
        strict=strict,
        as_json=as_json,
        verbose=verbose,
    )
    return job.run(specs)
