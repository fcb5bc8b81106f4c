"""Whether the files of kept locks are still served, with the same hash.

Each project's page, or what a conda channel says of a package, is read once, and of each file one
byte: what it weighs is said beside. A page that names another hash, a file of another size, and one
that is gone are told apart; where nobody answers, nothing is known. That a server gives other bytes
of the same size under an unchanged page only a download would show.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from mlenv import simple
from mlenv.errors import HostError
from mlenv.host import outage
from mlenv.layers import DEFAULT_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlenv.host.conda import Channels
    from mlenv.host.http import Web
    from mlenv.matrix.result import Row, Rows
    from mlenv.repodata import Subdir

AT_ONCE = 8
"""Requests side by side; connections are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A file of one or more locks."""

    index: str
    """The URL of its index, or of the folder of its conda channel."""
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who is asked."""

    web: Web
    default: str
    """The URL of the default index."""
    channels: Callable[[], Channels]
    """Conda's, opened where a lock needs one."""
    one: Lock = field(default_factory=Lock)
    """Held while a channel is asked: its records are read once, for all."""


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


def survival(locks: Iterable[Rows], sources: Sources, say: Callable[[str], None]) -> Survival:
    """Ask for every file of every lock.

    Raises:
        HostError: ``network-off``.
    """
    needed: dict[Artefact, list[str]] = defaultdict(list)
    for lock in locks:
        urls = {**lock.indexes, DEFAULT_INDEX: sources.default}
        for row in lock.package:
            folder = row.url.rpartition("/")[0] if row.url else urls.get(row.index, row.index)
            key = Artefact(index=folder, row=row)
            needed[key].append(lock.artefacts_sha256)
    projects: dict[tuple[str, str], list[Artefact]] = defaultdict(list)
    for each in needed:
        projects[each.index, each.row.name].append(each)
    done = 0
    fates: list[Fate] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda files: _project(files, sources), projects.values()):
            done += 1
            say(f"asking for the files of {done} of {len(projects)} projects")
            fates += [_fate(each, what, cause, needed) for each, what, cause in found]
    fates.sort(key=lambda each: (each.what, each.filename))
    return Survival(files=len(needed), fates=tuple(fates))


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


def _project(artefacts: Sequence[Artefact], sources: Sources) -> list[Said]:
    """Return what is wrong with files of one project."""
    first = artefacts[0]
    try:
        shown = _channel(first, sources) if first.row.url else _page(first, sources.web)
    except outage.AbsentError:
        return [(each, "vanished", "its index has no such project any more") for each in artefacts]
    except HostError as error:
        _raise_if_off(error)
        return [(each, "unknown", error.reasons[0].cause) for each in artefacts]
    except ValueError as error:
        return [(each, "unknown", f"its index's page is none: {error}") for each in artefacts]
    found = (_file(each, shown.get(each.row.filename), sources.web) for each in artefacts)
    return [each for each in found if each is not None]


Shown = tuple[str, str | None]
"""The URL of a file that is listed, and its SHA-256 where that is listed too."""


def _page(first: Artefact, web: Web) -> dict[str, Shown]:
    page = simple.address(first.index, first.row.name)
    kind, text = web.page(page)
    return {e.filename: (e.url, e.sha256) for e in simple.files(kind, text, page=page)}


def _channel(first: Artefact, sources: Sources) -> dict[str, Shown]:
    channel, _, folder = first.index.rpartition("/")
    subdir: Subdir = "linux-aarch64" if folder == "linux-aarch64" else "linux-64"
    with sources.one:
        found = sources.channels().builds((channel,), subdir, first.row.name)
    return {each.filename: (each.url, each.sha256) for each in found if each.subdir == folder}


def _file(artefact: Artefact, shown: Shown | None, web: Web) -> Said | None:
    row = artefact.row
    if shown is None:
        return artefact, "vanished", "its index does not list it any more"
    url, sha256 = shown
    if sha256 is not None and sha256 != row.sha256:
        cause = f"its index gives sha256 {sha256[:12]}…, the lock has {row.sha256[:12]}…"
        return artefact, "changed", cause
    try:
        size = _size(url, web)
    except HostError as error:
        _raise_if_off(error)
        return artefact, "unknown", error.reasons[0].cause
    if size is None:
        return artefact, "vanished", "its index lists it, and does not serve it"
    if size != row.size:
        return artefact, "changed", f"it has {size} bytes, the lock has {row.size}"
    return None


def _size(url: str, web: Web) -> int | None:
    """Return the bytes of a file; None where it is gone."""
    if url.startswith("file://"):
        path = Path(unquote(urlsplit(url).path))
        return path.stat().st_size if path.is_file() else None
    try:
        return web.tail(url, 1)[1]
    except outage.AbsentError:
        return None


def _raise_if_off(error: HostError) -> None:
    if error.reasons[0].code == "network-off":
        raise error
