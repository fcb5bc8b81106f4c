"""``mlenv diff``: two locks, two specs or two images in words, CUDA libraries first."""

from __future__ import annotations

from typing import Any

import click

from mlenv.cli import options


@click.command(
    epilog="Example: mlenv diff images/torch ../yesterday/images/torch, or "
    "mlenv diff specs/a.toml specs/b.toml, or mlenv diff ghcr.io/me/torch:1 ghcr.io/me/torch:2"
)
@click.argument("before")
@click.argument("after")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--platform",
    type=click.Choice(["linux/amd64", "linux/arm64"]),
    default="linux/amd64",
    show_default=True,
    help="Of images.",
)
@options.OUT
@options.OFFLINE
@options.JSON
def command(before: str, after: str, **asked: Any) -> int:  # noqa: ANN401 (the options)
    """Say what moved from BEFORE to AFTER; exit with 1 where anything did.

    Both are locks (an mlenv.lock, or a folder that holds one), or specs, or images: a name, or a
    folder that `--output` wrote. Of specs verdicts and decisions are compared, of images labels
    and layers, and their packages where their locks lie in --out.
    """
    from mlenv.cli.differing import Differing  # noqa: PLC0415 (loaded when used)

    return Differing(**asked).run(before, after)
