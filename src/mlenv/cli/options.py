"""Options that more than one command has, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = click.argument("spec", type=click.Path(path_type=Path, dir_okay=False), metavar="SPEC")
SPECS = click.argument(
    "specs",
    type=click.Path(path_type=Path, dir_okay=False),
    nargs=-1,
    required=True,
    metavar="SPEC...",
)
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("images"),
    show_default=True,
    help="Where the folders of the targets lie.",
)
TARGET = click.option("--target", metavar="NAME", help="One target only.  [default: all]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
OFFLINE = click.option("--offline", is_flag=True, help="Open no socket; use what is cached.")
VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Show what uv says, too.")
STRICT = click.option("--strict", is_flag=True, help="Exit with 6 where the verdict is unknown.")
UPGRADE = click.option(
    "-U", "--upgrade", is_flag=True, help="Lock at today's date, not at that of the former lock."
)


def job(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that ``lock`` and ``build`` share."""
    check = click.option(
        "--check", is_flag=True, help="Write nothing; exit with 1 where a file is not up to date."
    )
    for option in reversed((OUT, TARGET, UPGRADE, check, OFFLINE, STRICT, JSON, VERBOSE)):
        function = option(function)
    return function
