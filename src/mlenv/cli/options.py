"""Options that more than one command has, each said once."""

from __future__ import annotations

from pathlib import Path

import click

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
