"""``mlenv diff``: two locks in words, CUDA libraries first."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from mlenv.lock import Lock

_WHERE = click.Path(path_type=Path)


@click.command(epilog="Example: mlenv diff images/torch ../yesterday/images/torch")
@click.argument("before", type=_WHERE)
@click.argument("after", type=_WHERE)
@options.JSON
def command(before: Path, after: Path, *, as_json: bool) -> int:
    """Say what moved from one lock to another; exit with 1 where anything did.

    BEFORE and AFTER are mlenv.lock files, or folders that hold one.
    """
    from mlenv.changes import changes  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import words  # noqa: PLC0415
    from mlenv.errors import Exit  # noqa: PLC0415

    found = changes(_read(before), _read(after))
    if as_json:
        words.emit(
            {
                "same": not found,
                "facts": list(found.facts),
                "moves": [asdict(each) for each in found.moves],
                "repush": dict(found.repush),
            }
        )
        return Exit.FAILED if found else Exit.DONE
    for line in found.facts:
        click.echo(line)
    for each in found.moves:
        size = f", {words.megabytes(each.bytes)}" if each.bytes else ""
        click.echo(f"{each.text} ({each.layer}{size})")
    if not found:
        click.echo("no difference")
        return Exit.DONE
    total = sum(found.repush.values())
    if total:
        layers = ", ".join(f"{name} {words.megabytes(n)}" for name, n in found.repush.items())
        click.echo(f"to push again: {words.megabytes(total)} of wheels ({layers})")
    return Exit.FAILED


def _read(path: Path) -> Lock:
    from mlenv.files import LOCK_NAME  # noqa: PLC0415 (loaded when used)
    from mlenv.host import disk  # noqa: PLC0415
    from mlenv.lock import parse_lock  # noqa: PLC0415

    place = path / LOCK_NAME if path.is_dir() else path
    return parse_lock(disk.text(place), origin=str(place))
