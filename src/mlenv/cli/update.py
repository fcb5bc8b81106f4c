"""``mlenv update``: a lock moved to today, or only the images that its recipe starts from."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv update specs/torch.toml --only numpy")
@options.SPECS
@options.OUT
@options.TARGET
@click.option(
    "--only",
    metavar="PACKAGE|base",
    help="One package, and all else as it is locked; or `base`: the digests of the base image and "
    "of uv's, and no package.  [default: all]",
)
@options.STRICT
@options.JSON
@options.VERBOSE
def command(  # noqa: PLR0913 (an option each)
    specs: tuple[Path, ...],
    out: Path,
    target: str | None,
    only: str | None,
    *,
    strict: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Lock specs at today's date, write the recipes of their images anew, and say what moved.

    With `--only PACKAGE` its releases of until today count, and for all else the date of the lock;
    a framework moves with the CUDA libraries that it pins.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    run = Job(
        recipe=True,
        out=out,
        target=target,
        upgrade=only is None,
        repin=only == "base",
        only=None if only == "base" else only,
        check=False,
        offline=False,
        strict=strict,
        as_json=as_json,
        verbose=verbose,
        moves=True,
    )
    return run.run(specs)
