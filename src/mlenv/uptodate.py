"""Whether a folder is already what its spec gives: answered without solving or loading anything.

Neither pydantic nor the catalog is needed for it: the digest of the spec's content, the versions
of the tools, the time of the facts and the hash of every file that was written stand in
``mlenv.lock``. Facts that are newer than the lock's ask for a new look; older ones do not, so a
machine that has not refreshed its catalog takes the lock of one that has.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from mlenv import __version__
from mlenv.catalog import kept
from mlenv.files import LOCK_NAME, digest, sha256
from mlenv.host import disk, tools

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RECIPE = "Dockerfile"
_ANSWER = "uv.lock"


def current(
    text: str, out: Path, *, target: str | None, recipe: bool
) -> Mapping[Path, Mapping[str, Any]] | None:
    """Return folder -> lock of every target asked for, or None where one is to be made anew.

    Args:
        text: the spec.
        out: the folder that the targets' folders lie in.
        target: one target only, or None for all.
        recipe: whether the image's recipe has to be there too.

    Raises:
        HostError: ``disk-failed``.
    """
    try:
        spec = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    folders = _folders(spec, out, target)
    if not folders:
        return None
    content = digest(spec)
    found = {each: _valid(each, content, recipe=recipe) for each in folders}
    good = {folder: lock for folder, lock in found.items() if lock is not None}
    return good if len(good) == len(found) else None


def _folders(spec: Mapping[str, Any], out: Path, target: str | None) -> tuple[Path, ...]:
    name, targets = spec.get("name"), spec.get("targets", {})
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        return ()
    if not isinstance(targets, dict) or (target is not None and target not in targets):
        return ()
    if len(targets) < 2:
        return (out / name,)
    return tuple(out / name / each for each in targets if target in {None, each})


def _valid(folder: Path, content: str, *, recipe: bool) -> Mapping[str, Any] | None:
    text = disk.read(folder, [LOCK_NAME]).get(LOCK_NAME)
    if text is None:
        return None
    try:
        lock = tomllib.loads(text)
        made_by = lock["tools"]["mlenv"] == __version__ and lock["tools"]["uv"]
        written = {each["path"]: each["sha256"] for each in lock["written"]}
        hashes = {each["sha256"] for each in lock["package"]}
        same = lock["spec-sha256"] == content and lock["schema"] == 1
        conda = lock["backend"] == "conda"
        same = same and str(lock["tools"]["catalog"]) >= kept.time_in_use()
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    if not same or made_by != tools.uv_version() or (recipe and _RECIPE not in written):
        return None
    found = disk.read(folder, [*written, _ANSWER])
    if not (_same_solver(lock) if conda else _answers(found.get(_ANSWER, ""), hashes)):
        return None
    if any(sha256(found.get(path, "")) != wanted for path, wanted in written.items()):
        return None
    return lock


def _answers(answer: str, hashes: set[str]) -> bool:
    """Tell whether a ``uv.lock`` is there that has all files of the lock."""
    return bool(answer) and hashes <= set(re.findall(r"sha256:([0-9a-f]{64})", answer))


def _same_solver(lock: Mapping[str, Any]) -> bool:
    return bool(lock["tools"].get("rattler") == tools.rattler_version())
