"""What ``explain --image`` says: bytes of each layer, the largest files, what could leave."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli.words import fitted, megabytes, short
from mlenv.host import disk, wheels
from mlenv.image.weighing import weighed
from mlenv.imaging.records import recalled
from mlenv.layers import DEV

if TYPE_CHECKING:
    from mlenv.image.weighing import Weighed
    from mlenv.imaging.records import Records
    from mlenv.lock import Lock

_COLUMNS = 66
"""What is left of a terminal's 80 beside a size."""


def weight(lock: Lock) -> dict[str, Any]:
    """Return what the image of a lock weighs, as JSON has it."""
    found, made = _weighed(lock), _made(lock.title)
    return {**asdict(found), "made": _document(made) if made else None}


def show(lock: Lock) -> None:
    """Print what the image of a lock weighs."""
    found = _weighed(lock)
    click.echo(f"\n{click.style('image', bold=True)}: to download, and on the disk")
    for each in found.parts:
        click.echo(
            f"  {each.layer:<11} {megabytes(each.download):>8} {megabytes(each.unpacked):>8}"
            f"   {each.packages:>3} package{'s' if each.packages > 1 else ''}"
        )
    if found.unread:
        names = ", ".join(found.unread)
        click.echo(f"  not read yet, and counted as nothing: {fitted(names, 39)}")
    if found.largest:
        click.echo(click.style("largest files", bold=True))
    for row in found.largest:
        text = fitted(f"{row.path} ({row.package})", _COLUMNS)
        click.echo(f"  {megabytes(row.bytes):>8}  {text}")
    if found.leavers:
        click.echo(click.style("what could leave", bold=True))
    for leaver in found.leavers:
        count = f"{leaver.files} file{'s' if leaver.files > 1 else ''}"
        click.echo(f"  {megabytes(leaver.bytes):>8}  {leaver.what}, {count}")
        click.echo(f"            {leaver.why}")
        click.echo(f"            such as {fitted(leaver.example, _COLUMNS - 8)}")
    _show_made(_made(lock.title))


def _show_made(made: Records | None) -> None:
    if made is None:
        click.echo("no image of it was made here yet: `mlenv build SPEC --image`")
        return
    click.echo(
        f"{click.style('last image', bold=True)}: {made.now.route} on {short(made.now.base)}"
    )
    again = made.again
    total = sum(each.size or each.unpacked or 0 for each in again)
    what = "its last change pushes again" if made.before else "its first push"
    click.echo(f"  {what}: {megabytes(total)} in {len(again)} of {len(made.now.layers)} layers")
    for each in again if made.before else ():
        click.echo(
            f"  {megabytes(each.size or each.unpacked or 0):>8}  {fitted(each.text, _COLUMNS)}"
        )


def _document(made: Records) -> dict[str, Any]:
    return {**asdict(made), "again": [asdict(each) for each in made.again]}


def _weighed(lock: Lock) -> Weighed:
    packages = [each for each in lock.package if each.layer not in DEV]
    cache = disk.cache_folder()
    found = {each.sha256: wheels.known(cache, each.sha256) for each in packages}
    return weighed(packages, {sha: each.files for sha, each in found.items() if each})


def _made(title: str) -> Records | None:
    return recalled(disk.cache_folder(), title, "runtime")
