"""``mlenv image``: a folder that is locked already, as an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlenv.cli import options
from mlenv.errors import MlenvError


@click.command(epilog="Example: mlenv image images/cpu --push ghcr.io/me/cpu:1")
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)
@options.imaging
@options.OFFLINE
@options.JSON
@options.VERBOSE
def command(folder: Path, *, offline: bool, as_json: bool, verbose: bool, **asked: Any) -> int:  # noqa: ANN401 (the options of an image)
    """Make the image of a folder that `mlenv build` left, without asking the solver again.

    Where only wheels are to be installed, mlenv puts the image together itself, without an engine;
    Debian packages, compilers and source packages take one. Without --push and --output it is
    loaded into the engine of this machine, and every package is imported in it.
    """
    from mlenv.cli import making, words  # noqa: PLC0415 (loaded when used)

    run = making.Making(offline=offline, verbose=verbose, **asked)
    try:
        made = run.image(folder)
    except MlenvError as error:
        if as_json:
            words.emit(making.failure(folder, error))
        raise
    if as_json:
        words.emit(making.document(made))
    else:
        making.show(made)
    return 0
