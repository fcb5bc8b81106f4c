"""``mlenv matrix``: many stacks at once, every night; a module for each command."""

from __future__ import annotations

import click

from mlenv.cli.matrix.plan import command as plan
from mlenv.cli.matrix.report import command as report


@click.group(epilog="Example: mlenv matrix plan specs/")
def command() -> None:
    """Plan, run and report a matrix of stacks: which work, what broke, what moved.

    A spec's [matrix] multiplies axes into cells; a spec without one is one cell a target.
    """


command.add_command(plan, "plan")
command.add_command(report, "report")
