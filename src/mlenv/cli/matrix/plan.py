"""``mlenv matrix plan``: the cells of specs, and which of them can be."""

from __future__ import annotations

from typing import Any

import click

from mlenv.cli import options
from mlenv.cli.matrix.choosing import choice


@click.command(epilog="Example: mlenv matrix plan specs/ --subset pairwise")
@choice
@click.option("--spec", "show_spec", is_flag=True, help="Print each cell as a spec of its own.")
@options.JSON
def command(*, show_spec: bool, as_json: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Show the cells of specs and what published facts say of each: ok, impossible or unknown.

    Nothing is solved or fetched. Impossible cells are shown with their reason and never run; cells
    that plan to one stack are solved once. --json prints the matrix that `emit` is made of.
    """
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)
    from mlenv.cli.matrix.choosing import Choice  # noqa: PLC0415
    from mlenv.matrix.document import document, summary, table  # noqa: PLC0415
    from mlenv.matrix.points import spec_text  # noqa: PLC0415

    found = Choice(**asked).cells()
    if as_json:
        words.emit(document(found))
    elif show_spec:
        click.echo("\n".join(f"# {each.id}\n{spec_text(each.file.spec)}" for each in found))
    else:
        for line in table(found):
            click.echo(line)
    words.say(summary(found))
    return 0
