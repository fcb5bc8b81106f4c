"""``mlenv clean``: caches and old outputs away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlenv.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlenv.host.sweeping import Swept
    from mlenv.lock import Lock


@click.command(epilog="Example: mlenv clean --days 30")
@click.argument(
    "folders",
    nargs=-1,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="[DIR]...",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=14,
    show_default=True,
    help="Remove from the cache what was not used for so long.",
)
@click.option("--all", "everything", is_flag=True, help="Remove all that can be made again.")
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would go.")
@options.JSON
def command(
    folders: tuple[Path, ...], *, days: float, everything: bool, dry_run: bool, as_json: bool
) -> int:
    """Remove what mlenv keeps and can make again: layers, interpreters, directories of wheels.

    With DIR, the files that mlenv wrote into these folders go instead, and yours stay. Facts that
    `mlenv catalog refresh` brought are kept; so is every image that has a name.
    """
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)
    from mlenv.host import disk, sweeping  # noqa: PLC0415

    if folders:
        return _emptied(folders, dry_run=dry_run, as_json=as_json)
    limit = None if everything else days
    found = [*sweeping.sweep(disk.cache_folder(), days=limit, really=not dry_run)]
    if not dry_run:
        found += _pruned()
    if as_json:
        words.emit(_document(found, dry_run=dry_run))
        return 0
    for each in found:
        count = f" ({each.files} files)" if each.files else ""
        click.echo(f"{words.megabytes(each.bytes):>8}  {each.what}{count}")
    total = words.megabytes(sum(each.bytes for each in found))
    words.say(f"{'would free' if dry_run else 'freed'} {total}" if found else "nothing to remove")
    return 0


def _pruned() -> list[Swept]:
    """Remove images of ours that have no name any more, where an engine is here."""
    from mlenv.errors import HostError  # noqa: PLC0415 (loaded when used)
    from mlenv.host.engine import find_engine  # noqa: PLC0415
    from mlenv.host.sweeping import Swept  # noqa: PLC0415
    from mlenv.image.settings import OWN  # noqa: PLC0415

    try:
        engine = find_engine()
    except HostError:
        return []
    freed = engine.prune(f"{OWN}artefacts-sha256")
    what = f"images without a name in {engine.name}"
    return [Swept(what=what, files=0, bytes=freed)] if freed else []


def _unedited(folder: Path, lock: Lock) -> list[str]:
    """Return the files that mlenv wrote and nobody changed since; name the others."""
    from mlenv.cli import words  # noqa: PLC0415 (loaded when used)
    from mlenv.files import sha256  # noqa: PLC0415
    from mlenv.host import disk  # noqa: PLC0415

    own = {each.path: each.sha256 for each in lock.written}
    found = disk.read(folder, own)
    edited = {path for path, text in found.items() if sha256(text) != own[path]}
    for path in sorted(edited):
        words.say(f"{folder / path} was edited, and stays")
    return [path for path in own if path not in edited]


def _document(found: Sequence[Swept], *, dry_run: bool) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 (loaded when used)

    return {
        "removed": not dry_run,
        "bytes": sum(each.bytes for each in found),
        "kinds": [asdict(each) for each in found],
    }


def _emptied(folders: Sequence[Path], *, dry_run: bool, as_json: bool) -> int:
    from mlenv.backends import uv  # noqa: PLC0415 (loaded when used)
    from mlenv.cli import words  # noqa: PLC0415
    from mlenv.files import LOCK_NAME  # noqa: PLC0415
    from mlenv.host import sweeping  # noqa: PLC0415
    from mlenv.imaging.locked import lock_in  # noqa: PLC0415

    # All of them are read before the first is touched.
    rows = [(each, [*_unedited(each, lock_in(each)), uv.ANSWER, LOCK_NAME]) for each in folders]
    for folder, names in rows:
        if not dry_run:
            sweeping.remove_files(folder, names)
        if not as_json:
            click.echo(f"{folder}: {len(names)} files of mlenv's")
    if as_json:
        words.emit({"removed": not dry_run, "folders": {str(f): n for f, n in rows}})
    return 0
