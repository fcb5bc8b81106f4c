"""A folder that ``build`` left, as what an image is made of."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlenv.backends import conda_lock, uv, uv_lock
from mlenv.backends.conda_lock import explicit_name
from mlenv.errors import Reason, UsageError
from mlenv.files import LOCK_NAME, sha256
from mlenv.host import disk
from mlenv.image.recipe import recipe_of
from mlenv.lock import parse_lock
from mlenv.repodata import SUBDIRS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlenv.host.conda_laying import Artefact
    from mlenv.image.recipe import Recipe
    from mlenv.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A folder with a lock and a recipe."""

    folder: Path
    lock: Lock
    recipe: Recipe
    indexes: Mapping[str, str]
    """Alias -> URL of every index beside the default one."""
    urls: Mapping[str, str]
    """SHA-256 -> URL, as uv.lock has them; nothing where that is absent."""
    artefacts: Mapping[str, Artefact]
    """SHA-256 -> artefact of each conda package."""
    edited: tuple[str, ...]
    """Files that are no longer what mlenv wrote."""


def locked(folder: Path) -> Locked:
    """Return what lies in ``folder``.

    Raises:
        UsageError: ``not-locked``: no lock with a recipe, or nothing says where a package lies;
            ``lock-unreadable``.
        HostError: ``disk-failed``.
    """
    lock = lock_in(folder)
    if lock.image is None:
        raise _not_locked(folder, "its lock has no recipe of an image")
    written = {each.path: each.sha256 for each in lock.written}
    found = disk.read(folder, [*written, uv.ANSWER])
    indexes = uv.indexes(found.get(uv.PROJECT, ""))
    return Locked(
        folder=folder,
        lock=lock,
        recipe=recipe_of(lock, indexes=indexes),
        indexes=indexes,
        urls=addresses(found.get(uv.ANSWER)),
        artefacts=artefacts(folder, lock),
        edited=tuple(path for path, own in written.items() if sha256(found.get(path, "")) != own),
    )


def artefacts(folder: Path, lock: Lock) -> dict[str, Artefact]:
    """Return SHA-256 -> artefact of the conda packages of a lock: where its files say they lie.

    Raises:
        UsageError: ``not-locked``: they do not say it of each.
        HostError: ``disk-failed``.
    """
    name = explicit_name(SUBDIRS[lock.target.platform])
    try:
        return conda_lock.artefacts(lock, disk.read(folder, [name]).get(name, ""))
    except ValueError as error:
        raise _not_locked(folder, f"{name} {error}") from None


def lock_in(folder: Path) -> Lock:
    """Return the lock that lies in ``folder``.

    Raises:
        UsageError: ``not-locked``: none does; ``lock-unreadable``.
        HostError: ``disk-failed``.
    """
    text = disk.read(folder, [LOCK_NAME]).get(LOCK_NAME)
    if text is None:
        raise _not_locked(folder, f"it holds no {LOCK_NAME}")
    return parse_lock(text, origin=str(folder / LOCK_NAME))


def addresses(answer: str | None) -> dict[str, str]:
    """Return SHA-256 -> URL of every wheel of a ``uv.lock``; nothing of none, or a damaged one."""
    if answer is None:
        return {}
    try:
        packages = uv_lock.read(answer, {})
    except (tomllib.TOMLDecodeError, KeyError, TypeError, StopIteration):
        return {}
    return {each.sha256: each.url for package in packages for each in package.wheels}


def _not_locked(folder: Path, cause: str) -> UsageError:
    return UsageError(
        Reason(
            code="not-locked",
            what=f"{folder} is no folder that mlenv locked for this",
            cause=cause,
            fix="run `mlenv build` on its spec first, and name the folder that it prints",
        )
    )
