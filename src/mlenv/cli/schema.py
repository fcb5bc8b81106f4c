"""``mlenv schema``: the JSON Schema of what a person writes, or of what programs read."""

from __future__ import annotations

import json

import click

_WHICH = ("spec", "verdict", "report")


@click.command(epilog="Example: mlenv schema > mlenv.schema.json")
@click.argument("which", type=click.Choice(_WHICH), default="spec", metavar=f"[{'|'.join(_WHICH)}]")
def command(which: str) -> int:
    """Print the JSON Schema of the spec, of a verdict or of a probe's report.

    An editor that is told of the spec's completes and checks keys as you type. A verdict is what
    `verify --json` prints, a report what `verify --report` writes.
    """
    if which == "spec":
        from mlenv.spec.reference import json_schema  # noqa: PLC0415 (loaded when used)

        click.echo(json_schema(), nl=False)
    else:
        from mlenv.report.document import schema  # noqa: PLC0415 (loaded when used)

        click.echo(json.dumps(schema(which), indent=2))
    return 0
