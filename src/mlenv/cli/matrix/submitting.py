"""``mlenv matrix run --on slurm``, and what its nodes call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlenv.matrix.cell import Needs
    from mlenv.matrix.cluster import Site


def site(needs: Mapping[str, Needs], runners: Path | None, jobs: int | None) -> Site:
    """Return the cluster of this machine; ``needs`` are those of each stack.

    Raises:
        HostError: ``scheduler-failed``: there is none.
        UsageError: ``matrix-order``: the file of runners is wrong.
    """
    from mlenv.host import disk  # noqa: PLC0415 (loaded when used)
    from mlenv.host.slurm import find_slurm  # noqa: PLC0415
    from mlenv.matrix.cluster import Site  # noqa: PLC0415
    from mlenv.matrix.hosts import Runners, parse_runners  # noqa: PLC0415

    rules = parse_runners(disk.text(runners), origin=str(runners)) if runners else Runners()
    return Site(slurm=find_slurm(), runner_of=lambda task: rules.of(needs[task.stack]), jobs=jobs)


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("index", type=click.IntRange(0))
def command(folder: Path, index: int) -> int:
    """Do one task of a job array: what a node of a cluster is told to do."""
    from mlenv.matrix import cluster, perform  # noqa: PLC0415 (loaded when used)

    perform.whole(cluster.task(folder, index))
    return 0
