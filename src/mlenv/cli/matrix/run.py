"""``mlenv matrix run``: lock, build and verify every cell, and keep what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlenv.cli import options
from mlenv.cli.matrix.choosing import choice


@click.command(epilog="Example: mlenv matrix run specs/ --on local --results results")
@choice
@click.option("--cell", "only", multiple=True, metavar="ID", help="This cell only.  [repeatable]")
@click.option(
    "--on",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="Where: processes of this machine, or job arrays of a cluster.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder that what became of each cell is added to; with --on slurm the nodes see it.",
)
@click.option(
    "--verify",
    "level",
    type=click.Choice(["none", "static", "gpu"]),
    help="How much is proven: the lock alone; what needs no GPU; all.  [default: gpu where one "
    "is here or with --on slurm, else static]",
)
@click.option("--image", is_flag=True, help="Make the image too, and verify in a container of it.")
@click.option(
    "--engine", type=click.Choice(["docker", "podman"]), help="For --image: what runs it."
)
@click.option("--run", "run_id", metavar="ID", help="The run's id, which its parts share.")
@click.option("--new", is_flag=True, help="Begin a new run, though one was stopped.")
@click.option("--date", metavar="DAY", help="Lock at that day, like 2026-11-28.  [default: today]")
@click.option("--jobs", type=click.IntRange(1), help="So many at once.  [default: what fits]")
@click.option("--keep", is_flag=True, help="Keep environments, images and locks of done cells.")
@click.option(
    "--check-artifacts",
    is_flag=True,
    help="When the cells are done, ask whether every file of every lock that is kept is still "
    "served with the same hash; exit 1 where one is gone or changed.",
)
@click.option(
    "--runners",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="For --on slurm: a TOML file that says which partition runs which cell.",
)
@options.OFFLINE
@options.JSON
def command(*, as_json: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Lock, build and verify cells, each by itself; one that breaks stops no other.

    What became of each is a file in the results folder, which is only added to. A run that was
    stopped goes on when the same command is given again. Exit 1: a cell failed that may not; cells
    that cannot be, and those with `allow-failure`, fail nothing. 4 or 6: nothing failed, and of
    some cells nothing is known, or not all was shown.
    """
    from mlenv.cli.matrix.running import Running  # noqa: PLC0415 (loaded when used)

    return Running(**asked).run(as_json=as_json)
