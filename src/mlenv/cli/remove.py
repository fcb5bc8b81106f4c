"""``mlenv remove``: requirements out of a spec, and its lock moved with it."""

from __future__ import annotations

from typing import Any

import click

from mlenv.cli import editing


@click.command(epilog="Example: mlenv remove specs/train.toml wandb")
@click.argument("words", nargs=-1, required=True, metavar="[SPEC] PACKAGE...")
@editing.options
def command(words: tuple[str, ...], **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Remove PACKAGE from a spec, keeping its comments, and lock it.

    It is removed wherever the spec names it. SPEC may be left out where one spec lies here.
    """
    from mlenv.cli import finding  # noqa: PLC0415 (loaded when used)
    from mlenv.intake.editing import remove  # noqa: PLC0415

    path, names = finding.split(words, "PACKAGE")
    return editing.Editing(path=path, **asked).run(lambda text: remove(text, names))
