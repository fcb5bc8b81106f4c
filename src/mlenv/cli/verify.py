"""``mlenv verify``: proof that an environment is what was locked, and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlenv.cli import options

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog="Example: mlenv verify images/torch --static")
@click.argument("subject", metavar="SPEC|DIR|IMAGE")
@click.option("--static", is_flag=True, help="Only what needs no GPU; ends in `static-ok`.")
@click.option("--quick", is_flag=True, help="The shortest proof: a minute, not three.")
@click.option(
    "--runner",
    type=click.Choice(["local", "container", "slurm"]),
    help="Where it runs.  [default: container for an image, else local]",
)
@click.option(
    "--python",
    type=click.Path(path_type=Path, exists=True),
    help="An interpreter or a venv of yours; else uv makes one from the lock, in the cache.",
)
@click.option(
    "--image", metavar="REF", help="The image to run in, for --runner container or slurm."
)
@click.option(
    "--lock",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="The folder of the lock that an image was made from.",
)
@click.option(
    "--variant",
    type=click.Choice(["runtime", "dev"]),
    help="Which variant.  [default: runtime; of an image, what its label says]",
)
@click.option("--gpus", type=click.IntRange(1, 64), default=1, show_default=True, help="So many.")
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="For the whole run; for SLURM its time limit.",
)
@click.option("--engine", type=click.Choice(["docker", "podman"]), help="For --runner container.")
@click.option(
    "--sbatch",
    multiple=True,
    metavar="OPTION",
    help="For --runner slurm: an option of sbatch, like --partition=gpu.  [repeatable]",
)
@click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML there.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a page there.")
@click.option("--report", type=_FILE, metavar="FILE", help="Write the probe's own report there.")
@options.OUT
@options.TARGET
@options.JSON
@options.VERBOSE
def command(subject: str, *, as_json: bool, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Prove that an environment is what was locked, and runs.

    In the environment itself, probes look at every package and every CUDA library that is loaded,
    compile kernels with each compiler that the stack has, run them on the GPU and check their
    numbers. Without a GPU the answer is `not verified` (exit 6), never good; --static asks only
    what needs none. Exit 1: something ran and was wrong.
    """
    from mlenv.cli.verifying import Verifying  # noqa: PLC0415 (loaded when used)

    return Verifying(**asked).run(subject, as_json=as_json)
