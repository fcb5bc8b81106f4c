"""What is to be verified: a spec, a locked folder or an image, each to the folder of its lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlenv.errors import Reason, UsageError
from mlenv.files import LOCK_NAME
from mlenv.host import disk
from mlenv.image.smoke import SMOKE_NAME
from mlenv.lock import parse_lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlenv.lock import Lock

LABEL = "dev.mlenv.artefacts-sha256"
VARIANT = "dev.mlenv.variant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A locked folder, as what it demands of an environment."""

    folder: Path
    lock: Lock
    smoke: Mapping[str, Any]


def subject(folder: Path) -> Subject:
    """Return what lies in ``folder``; without a ``smoke.json`` only the lock demands something.

    Raises:
        UsageError: ``verify-order``: no lock is there, or its smoke.json is damaged;
            ``lock-unreadable``.
        HostError: ``disk-failed``.
    """
    found = disk.read(folder, [LOCK_NAME, SMOKE_NAME]) if folder.is_dir() else {}
    if LOCK_NAME not in found:
        raise refused(
            f"{folder} cannot be verified",
            f"it holds no {LOCK_NAME}, so nobody can say what it should be",
            "run `mlenv build` on its spec, and name the folder that it prints",
        )
    lock = parse_lock(found[LOCK_NAME], origin=str(folder / LOCK_NAME))
    return Subject(folder=folder, lock=lock, smoke=_smoke(found.get(SMOKE_NAME), folder))


def _smoke(text: str | None, folder: Path) -> Mapping[str, Any]:
    if text is None:
        return {}
    cause = "it is no JSON object"
    try:
        found = json.loads(text)
    except ValueError as error:
        found, cause = None, f"it is no JSON: {error}"
    if not isinstance(found, dict):
        fix = "run `mlenv build` on its spec again"
        raise refused(f"{folder / SMOKE_NAME} cannot be read", cause, fix)
    return found


def folders(out: Path, name: str, target: str | None) -> tuple[Path, ...]:
    """Return the locked folders of a spec: its own, or one a target.

    Raises:
        UsageError: ``verify-order``: there is none.
    """
    top = out / name
    found = [top] if (top / LOCK_NAME).is_file() else []
    if top.is_dir():
        found += sorted(each.parent for each in top.glob(f"*/{LOCK_NAME}"))
    wanted = [each for each in found if target in {None, each.name}]
    if target and not wanted and found == [top] and subject(top).lock.target.name == target:
        wanted = found
    if not wanted:
        raise refused(
            f"{name}{f', target {target},' if target else ''} cannot be verified",
            f"no {LOCK_NAME} of it lies below {out}",
            "run `mlenv build` on the spec first (--out names where the folders lie)",
        )
    return tuple(wanted)


def of_image(labels: Mapping[str, str], image: str, places: Sequence[Path]) -> Path:
    """Return the folder whose lock an image was made from, by the label that it bears.

    Args:
        labels: of the image.
        image: what errors call it.
        places: folders that may be it.

    Raises:
        UsageError: ``verify-order``: no label, or none of the folders has that lock.
    """
    wanted = labels.get(LABEL)
    if wanted is None:
        raise refused(
            f"the image {image} cannot be verified",
            f"it has no label {LABEL}, so nobody can say what it should hold",
            "verify an image that mlenv made, or name its lock with --lock DIR",
        )
    for each in places:
        if subject(each).lock.artefacts_sha256 == wanted:
            return each
    raise refused(
        f"the image {image} cannot be verified",
        f"it was made from a lock with the digest {wanted[:12]}…, and none such lies here",
        "name the folder of its lock with --lock DIR",
    )


def check_of_image(labels: Mapping[str, str], image: str, lock: Lock) -> None:
    """Refuse an image that says itself that it was made from another lock.

    Raises:
        UsageError: ``verify-order``.
    """
    said = labels.get(LABEL)
    if said not in {None, lock.artefacts_sha256}:
        raise refused(
            f"the image {image} was not made from the lock of {lock.title}",
            f"its label says {str(said)[:12]}…, the lock is {lock.artefacts_sha256[:12]}…",
            "make the image again (`mlenv image`), or name the lock that it was made from",
        )


def refused(what: str, cause: str, fix: str) -> UsageError:
    """Return the error of something that cannot be verified as it was asked."""
    return UsageError(Reason(code="verify-order", what=what, cause=cause, fix=fix))
