"""A locked folder of conda packages as an environment: no solve, each file by its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.backends import conda_lock
from mlenv.host import disk
from mlenv.host.conda_prefix import install, remove
from mlenv.host.http import Web
from mlenv.host.login import from_environment
from mlenv.layers import DEV
from mlenv.repodata import SUBDIRS
from mlenv.report.runner import runner_failed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.lock import Lock


def installed(  # noqa: PLR0913 (what, where, and how much of it)
    lock: Lock,
    folder: Path,
    prefix: Path,
    cache: Path,
    *,
    variant: str,
    say: Callable[[str], None],
) -> None:
    """Make ``prefix`` an environment of the conda packages of a lock.

    Raises:
        HostError: ``runner-failed``, ``hash-differs``, ``network-failed``, ``conda-unreadable``,
            ``disk-failed``, ``tool-missing``.
    """
    subdir = SUBDIRS[lock.target.platform]
    name = conda_lock.explicit_name(subdir)
    try:
        found = conda_lock.artefacts(lock, disk.read(folder, [name]).get(name, ""))
    except ValueError as error:
        raise runner_failed(
            f"{lock.title} cannot be installed",
            f"{name} {error}",
            "run `mlenv build` on the spec again, and verify the folder that it writes",
        ) from None
    wanted = {e.sha256 for e in lock.package if variant == "dev" or e.layer not in DEV}
    remove(prefix)  # one that was left half made
    with Web(offline=False, credentials=from_environment({})) as web:
        install(
            [each for digest, each in found.items() if digest in wanted],
            prefix,
            subdir=subdir,
            web=web,
            cache=cache,
            say=say,
        )
