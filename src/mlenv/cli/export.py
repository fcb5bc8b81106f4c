"""``mlenv export``: a lock in the words of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlenv.cli import options
from mlenv.export.formats import FORMATS

_WIDTH = max(map(len, FORMATS))
_NAMES = "\n".join(f"  {name:{_WIDTH}}  {each.says}" for name, each in FORMATS.items())
_HELP = f"""Write the lock of DIR as a file of another tool, with the same versions.

    A format is written under its own file name into this folder, or where --output says; a file
    that mlenv did not write is never overwritten. Words after `--` are what a job runs.

    \b
    Formats:
    {_NAMES.replace(chr(10), chr(10) + "    ").strip()}
    """


@click.command(
    help=_HELP,
    epilog="Example: mlenv export images/train --to requirements --output -",
)
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
@click.option(
    "--to",
    "names",
    type=click.Choice(list(FORMATS)),
    metavar="NAME",
    multiple=True,
    required=True,
    help="A format of the list above; may be given again.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="PATH|-",
    help="A file, a folder, or - for stdout.  [default: this folder]",
)
@click.option("--image", metavar="REF", help="The image of the lock, where a registry has it.")
@click.option(
    "--variant",
    type=click.Choice(["runtime", "dev"]),
    help="Which variant.  [default: runtime; dev for what an editor reads]",
)
@click.option("--gpus", type=click.IntRange(0, 64), default=1, help="GPUs of a job.  [default: 1]")
@options.OFFLINE
@options.JSON
def command(folder: Path, *, as_json: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Run an export; what the help says is ``_HELP``."""
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)
    from mlenv.cli.exporting import Exporting  # noqa: PLC0415
    from mlenv.errors import MlenvError  # noqa: PLC0415

    try:
        return Exporting(**asked).run(folder, as_json=as_json)
    except MlenvError as error:
        if as_json:
            words.emit({"files": [], "reasons": [words.reason(each) for each in error.reasons]})
        raise
