"""``mlenv matrix run --check-artifacts``, in words."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from mlenv.cli import opening, words
from mlenv.errors import Exit

if TYPE_CHECKING:
    from mlenv.matrix.results import Results
    from mlenv.matrix.survival import Survival

_FEW = 20


def surviving(results: Results, run: str, *, offline: bool) -> Survival:
    """Ask for every file of the locks that are kept, and write what became of them.

    Raises:
        HostError: ``network-off``, ``network-failed``: uv names no index; ``disk-failed``.
    """
    from mlenv.host import disk  # noqa: PLC0415 (loaded when used)
    from mlenv.host.conda import open_channels  # noqa: PLC0415
    from mlenv.matrix.survival import Sources, survival  # noqa: PLC0415
    from mlenv.solve.index import default_index  # noqa: PLC0415

    locks = tuple(results.locks())
    indexes = {alias: url for each in locks for alias, url in each.indexes.items()}
    with opening.desk(offline=offline, verbose=False, indexes=indexes) as desk:
        sources = Sources(
            web=desk.web,
            default=default_index(),
            channels=cache(lambda: open_channels(disk.cache_folder(), offline=offline)),
        )
        found = survival(locks, sources, desk.say)
    text = json.dumps({"schema": "mlenv.artifacts/1", **asdict(found)}, indent=1)
    disk.write(results.run_folder(run) / "artifacts.json", text + "\n")
    return found


def show(found: Survival) -> Exit:
    """Say what became of the files, on stderr; return the status that this comes to."""
    for each in found.fates[:_FEW]:
        locks = f"{len(each.locks)} lock{'s' if len(each.locks) > 1 else ''}"
        words.say(f"{each.what}: {each.filename} (needed by {locks}): {each.cause}")
    if len(found.fates) > _FEW:
        words.say(f"and {len(found.fates) - _FEW} more; artifacts.json has them all")
    words.say(
        f"{found.files} files of locks were asked for, {len(found.fates)} are not as they were"
    )
    if any(each.what != "unknown" for each in found.fates):
        return Exit.FAILED
    return Exit.BROKEN if found.fates else Exit.DONE
