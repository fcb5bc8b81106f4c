"""``mlenv add``: requirements into a spec, and its lock moved with it."""

from __future__ import annotations

from typing import Any

import click

from mlenv.cli import editing


@click.command(epilog="Example: mlenv add specs/train.toml 'transformers>=4.55' wandb")
@click.argument("words", nargs=-1, required=True, metavar="[SPEC] PACKAGE...")
@click.option(
    "--layer",
    type=click.Choice(["numeric", "domain", "config", "logger", "launcher"]),
    help="The layer of [stack].  [default: the usual one where the spec has [stack]]",
)
@click.option("--dev", is_flag=True, help="Into [dev], for the image's dev variant only.")
@editing.options
def command(words: tuple[str, ...], layer: str | None, *, dev: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Add PACKAGE to a spec, keeping its comments, and lock it.

    A package that is there already is changed. A framework goes to `framework`. SPEC may be left
    out where one spec lies here. Where no such stack can be, the spec stays as it was.
    """
    from mlenv.cli import finding, opening  # noqa: PLC0415 (loaded when used)
    from mlenv.intake.editing import Place, add  # noqa: PLC0415

    if layer and dev:
        raise click.UsageError("--layer and --dev are two places: name one")
    path, wanted = finding.split(words, "PACKAGE")
    place = Place(layer=layer, dev=dev)
    edit = editing.Editing(path=path, **asked)
    return edit.run(lambda text: add(text, wanted, opening.catalog(), place))
