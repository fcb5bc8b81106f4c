"""``mlenv matrix emit``: the matrix in the words of a CI platform or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlenv.cli.matrix.choosing import choice

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog="Example: mlenv matrix emit specs/ --to github --out .github/workflows/n.yml")
@choice
@click.option(
    "--to",
    "platform",
    type=click.Choice(["github", "gitlab", "kubernetes"]),
    required=True,
    help="For whom.",
)
@click.option(
    "--include",
    is_flag=True,
    help="Not the workflow, but the jobs that it asks for when it runs: for GitHub lines for "
    "$GITHUB_OUTPUT, for GitLab the child pipeline.",
)
@click.option(
    "--parts",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="For GitHub's --include: so many lists of up to 256 jobs.",
)
@click.option(
    "--verify",
    "level",
    type=click.Choice(["none", "static", "gpu"]),
    default="gpu",
    show_default=True,
    help="How much is proven; `gpu` wants a machine with the GPU that a cell names.",
)
@click.option(
    "--event",
    type=click.Choice(["nightly", "pull-request"]),
    default="nightly",
    show_default=True,
    help="When GitHub's workflow runs.",
)
@click.option("--cron", default="17 2 * * *", show_default=True, help="When a nightly one begins.")
@click.option(
    "--install",
    default="pip install 'mlenv[conda]'",
    show_default=True,
    metavar="LINE",
    help="How a job gets mlenv.",
)
@click.option(
    "--runners",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A TOML file that says which labels stand for which machines.",
)
@click.option("--image", metavar="REF", help="For Kubernetes: an image that holds mlenv.")
@click.option("--run", "run_id", metavar="ID", help="For Kubernetes: the run's id.")
@click.option("--out", type=_FILE, metavar="FILE", help="Write it there.  [default: stdout]")
def command(*, out: Path | None, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Print a workflow, a pipeline or manifests that run the matrix elsewhere.

    A job is made for each stack that can be, on a machine with labels like `sm_90` and
    `driver-580`; an empty matrix starts none. Each writes results, and the last makes the report.
    """
    from mlenv.cli.matrix.emitting import Emitting  # noqa: PLC0415 (loaded when used)
    from mlenv.host import disk  # noqa: PLC0415

    text = Emitting(**asked).text()
    if out is None:
        click.echo(text, nl=False)
    else:
        disk.write(out, text)
        click.echo(str(out))
    return 0
