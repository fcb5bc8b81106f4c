"""``mlenv schema``: the spec's JSON Schema, for editors."""

from __future__ import annotations

import click


@click.command(epilog="Example: mlenv schema > mlenv.schema.json")
def command() -> int:
    """Print the JSON Schema of the spec.

    An editor that is told of it completes and checks keys as you type.
    """
    from mlenv.spec.reference import json_schema  # noqa: PLC0415 (loaded when used)

    click.echo(json_schema(), nl=False)
    return 0
