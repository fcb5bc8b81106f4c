"""``mlenv matrix``: many stacks at once, every night; a module for each command."""

from __future__ import annotations

import click

from mlenv.cli.matrix.bisect import command as bisect
from mlenv.cli.matrix.emit import command as emit
from mlenv.cli.matrix.plan import command as plan
from mlenv.cli.matrix.report import command as report
from mlenv.cli.matrix.run import command as run
from mlenv.cli.matrix.submitting import command as task


@click.group(epilog="Example: mlenv matrix plan specs/")
def command() -> None:
    """Plan, run and report a matrix of stacks: which work, what broke, what moved.

    A spec's [matrix] multiplies axes into cells; a spec without one is one cell a target.
    """


command.add_command(plan, "plan")
command.add_command(emit, "emit")
command.add_command(report, "report")
command.add_command(run, "run")
command.add_command(task, "task")
command.add_command(bisect, "bisect")
