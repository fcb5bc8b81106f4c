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


def imaging(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of making an image."""
    for option in reversed(_IMAGING):
        function = option(function)
    return function


IMAGING = (
    *("engine", "push", "output", "tag", "variant", "oci", "ca_cert", "registry_cache"),
    *("build_args", "network", "imports"),
)
"""What those options are called in a command."""


_IMAGING = (
    click.option(
        "--engine",
        type=click.Choice(["none", "docker", "podman", "buildah"]),
        help="What builds it.  [default: none where only wheels are installed, else what is here]",
    ),
    click.option("--push", metavar="REF", help="Push it there: registry/repository:tag."),
    click.option(
        "--output",
        type=click.Path(path_type=Path),
        help="Write it there: FILE.tar for `docker load`, or a folder in OCI's layout.",
    ),
    click.option("--tag", metavar="NAME", help="Its name in the engine.  [default: the spec's]"),
    click.option(
        "--variant",
        type=click.Choice(["runtime", "dev"]),
        default="runtime",
        show_default=True,
        help="Which variant of the image.",
    ),
    click.option("--oci", is_flag=True, help="OCI's media types; enroot takes Docker's only."),
    click.option(
        "--ca-cert",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Certificates for an engine's build, where a proxy opens TLS; no layer keeps them.",
    ),
    click.option(
        "--registry-cache",
        metavar="REPOSITORY",
        help="Where an engine looks for the steps of earlier builds, and keeps them.",
    ),
    click.option(
        "--build-arg",
        "build_args",
        multiple=True,
        metavar="NAME=VALUE",
        help="For an engine's build, such as UV_IMAGE=MIRROR/uv:0.13.9; may be given again.",
    ),
    click.option(
        "--network",
        type=click.Choice(["default", "host"]),
        help="Of an engine's build.  [default: the host's where an index is on its loopback]",
    ),
    click.option(
        "--imports/--no-imports",
        default=True,
        help="Import every package in it, where an engine holds it.  [default: --imports]",
    ),
)
