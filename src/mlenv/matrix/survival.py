"""Whether the files of kept locks are still served, with the same hash.

Each project's page is read once, and of each file one byte: what it weighs is said beside. A page
that names another hash, a file of another size, and one that is gone are told apart; where nobody
answers, nothing is known. That a server gives other bytes of the same size under an unchanged page
only a download would show.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlenv import simple
from mlenv.errors import HostError
from mlenv.host import outage
from mlenv.layers import DEFAULT_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlenv.host.http import Web
    from mlenv.matrix.result import Row, Rows

AT_ONCE = 8
"""Requests side by side; connections are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A file of one or more locks."""

    index: str
    """The URL of its index."""
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a file, where it is not as it was."""

    what: Literal["vanished", "changed", "unknown"]
    filename: str
    package: str
    version: str
    cause: str
    locks: tuple[str, ...]
    """The digests of the locks that need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """How many files were asked for, and those that are not as they were."""

    files: int
    fates: tuple[Fate, ...]
    skipped: int = 0
    """Files of conda channels, which are not asked for yet."""


def survival(locks: Iterable[Rows], web: Web, default: str, say: Callable[[str], None]) -> Survival:
    """Ask for every file of every lock.

    Raises:
        HostError: ``network-off``.
    """
    needed: dict[Artefact, list[str]] = defaultdict(list)
    skipped = 0
    for lock in locks:
        if lock.backend != "uv":
            skipped += len(lock.package)
            continue
        urls = {**lock.indexes, DEFAULT_INDEX: default}
        for row in lock.package:
            key = Artefact(index=urls.get(row.index, row.index), row=row)
            needed[key].append(lock.artefacts_sha256)
    projects: dict[tuple[str, str], list[Artefact]] = defaultdict(list)
    for each in needed:
        projects[each.index, each.row.name].append(each)
    done = 0
    fates: list[Fate] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda files: _project(files, web), projects.values()):
            done += 1
            say(f"asking for the files of {done} of {len(projects)} projects")
            fates += [_fate(each, what, cause, needed) for each, what, cause in found]
    fates.sort(key=lambda each: (each.what, each.filename))
    return Survival(files=len(needed), fates=tuple(fates), skipped=skipped)


What = Literal["vanished", "changed", "unknown"]
Said = tuple[Artefact, What, str]


def _fate(each: Artefact, what: What, cause: str, needed: Mapping[Artefact, Sequence[str]]) -> Fate:
    return Fate(
        what=what,
        filename=each.row.filename,
        package=each.row.name,
        version=each.row.version,
        cause=cause,
        locks=tuple(sorted(needed[each])),
    )


def _project(artefacts: Sequence[Artefact], web: Web) -> list[Said]:
    """Return what is wrong with files of one project."""
    first = artefacts[0]
    page = simple.address(first.index, first.row.name)
    try:
        kind, text = web.page(page)
    except outage.AbsentError:
        return [(each, "vanished", "its index has no such project any more") for each in artefacts]
    except HostError as error:
        _raise_if_off(error)
        return [(each, "unknown", error.reasons[0].cause) for each in artefacts]
    try:
        shown = {each.filename: each for each in simple.files(kind, text, page=page)}
    except ValueError as error:
        return [(each, "unknown", f"its index's page is none: {error}") for each in artefacts]
    found = (_file(each, shown.get(each.row.filename), web) for each in artefacts)
    return [each for each in found if each is not None]


def _file(artefact: Artefact, shown: simple.Published | None, web: Web) -> Said | None:
    row = artefact.row
    if shown is None:
        return artefact, "vanished", "its index does not list it any more"
    if shown.sha256 is not None and shown.sha256 != row.sha256:
        cause = f"its index gives sha256 {shown.sha256[:12]}…, the lock has {row.sha256[:12]}…"
        return artefact, "changed", cause
    try:
        _, size = web.tail(shown.url, 1)
    except outage.AbsentError:
        return artefact, "vanished", "its index lists it, and does not serve it"
    except HostError as error:
        _raise_if_off(error)
        return artefact, "unknown", error.reasons[0].cause
    if size != row.size:
        return artefact, "changed", f"it has {size} bytes, the lock has {row.size}"
    return None


def _raise_if_off(error: HostError) -> None:
    if error.reasons[0].code == "network-off":
        raise error
