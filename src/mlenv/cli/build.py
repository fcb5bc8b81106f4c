"""``mlenv build``: lock, write the image's recipe, and make the image where that is asked."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (click reads it)
from typing import Any

import click

from mlenv.cli import options


@click.command(epilog="Example: mlenv build specs/torch.toml --image")
@options.SPEC
@options.job
@click.option("--image", is_flag=True, help="Make the image too; the options below are for it.")
@options.imaging
def command(spec: Path, *, image: bool, **asked: Any) -> int:  # noqa: ANN401 (the options of a job)
    """Lock a spec and write its image recipe: all of `mlenv lock`, a Dockerfile and smoke.json.

    The folder is replaced as a whole or not at all; files of your own in it stay. With --image the
    image is made from it, as `mlenv image` does.
    """
    from mlenv.cli.job import Job  # noqa: PLC0415 (loaded when used)

    given = {name: asked.pop(name) for name in options.IMAGING}
    if not image:
        _check_idle()
        return Job(recipe=True, **asked).run((spec,))
    from mlenv.cli.making import Making  # noqa: PLC0415 (loaded when used)

    making = Making(offline=asked["offline"], verbose=asked["verbose"], **given)
    return Job(recipe=True, making=making, **asked).run((spec,))


def _check_idle() -> None:
    """Refuse an option that would do nothing."""
    context = click.get_current_context()
    for name in options.IMAGING:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise click.UsageError(f"{option} is for an image: add --image")
