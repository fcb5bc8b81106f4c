"""What is inside a published wheel, without downloading it.

A wheel is a zip archive: its directory tells each file's size and checksum, and a few kilobytes
more hold its metadata. What was read is kept for ever under the wheel's SHA-256. The hash itself
is not checked, for that would take the whole file: whoever installs the wheel does that.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlenv.errors import HostError, Reason
from mlenv.host import archive, disk, outage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mlenv.host.http import Web

SCHEMA = 2
"""Of the cache; an entry of another is read anew."""

_INFO = re.compile(r"[^/]+\.dist-info/METADATA")
_ROOT = "../../.."
"""The environment, seen from ``lib/pythonX.Y/site-packages``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is inside a wheel."""

    size: int
    """The bytes of the wheel itself."""
    files: Mapping[str, tuple[int, int]]
    """Path as installed -> (bytes, CRC-32); ``.dist-info`` left out.

    Paths are relative to ``site-packages``: a script is ``../../../bin/NAME``, a header
    ``../../../include/site/PACKAGE/NAME`` (the Python minor that pip adds is not the wheel's).
    """
    requires_python: str | None
    requires: tuple[str, ...]
    """Its requirements, PEP 508, those of its extras too."""
    extras: tuple[str, ...]
    tags: tuple[str, ...]
    purelib: bool
    members: Mapping[str, str]
    """Path as installed -> text, of those that were asked for and are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the cache keeps of a wheel: also where its files lie, to read one later."""

    contents: Contents
    entries: Mapping[str, archive.Entry]


def read(web: Web, cache: Path, *, url: str, sha256: str, want: Iterable[str] = ()) -> Contents:
    """Return what is inside the wheel at ``url``: from the cache, else by two or three range reads.

    Args:
        web: the network.
        cache: the folder of mlenv's caches.
        url: where the wheel lies.
        sha256: its hash, in hexadecimal, as the index gives it.
        want: paths, as installed, of small text files whose content is wanted too.

    Raises:
        HostError: ``wheel-unreadable``, ``network-off``, ``network-failed``, ``disk-failed``.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise _unreadable(url, "the index gives no SHA-256 for it")
    path = beside(cache, sha256, "json.gz")
    wanted = frozenset(want)
    known = _cached(path)
    if known is None or not wanted & known.entries.keys() <= known.contents.members.keys():
        try:
            known = _fresh(web, url, wanted) if known is None else _more(web, url, known, wanted)
        except archive.BrokenError as error:
            raise _unreadable(url, str(error)) from error
        finally:
            web.forget(url)
        _keep(path, known)
    members = {name: text for name, text in known.contents.members.items() if name in wanted}
    return replace(known.contents, members=members)


def beside(cache: Path, sha256: str, what: str) -> Path:
    """Return where something about a wheel is kept, for ever."""
    return cache / "wheels" / sha256[:2] / f"{sha256}.{what}"


def known(cache: Path, sha256: str) -> Contents | None:
    """Return what is inside a wheel that was read before; None of any other."""
    found = _cached(beside(cache, sha256, "json.gz"))
    return found.contents if found else None


def entries(cache: Path, sha256: str) -> Mapping[str, archive.Entry]:
    """Return path as installed -> where it lies, of a wheel that was read before; else nothing."""
    known = _cached(beside(cache, sha256, "json.gz"))
    return known.entries if known else {}


def unreadable(url: str, error: archive.BrokenError) -> HostError:
    """Return what a wheel that is no such archive means for the user."""
    return _unreadable(url, str(error))


def _fresh(web: Web, url: str, wanted: frozenset[str]) -> _Known:
    from email.parser import HeaderParser  # noqa: PLC0415 - 20 ms that what is cached need not pay

    source = archive.Source.opened(web, url)
    entries = archive.directory(source)
    infos = [name for name in entries if _INFO.fullmatch(name)]
    if len(infos) != 1:
        raise archive.BrokenError(f"it holds the METADATA of {len(infos)} packages, not of one")
    info = infos[0].removesuffix("/METADATA")
    about = [f"{info}/METADATA", f"{info}/WHEEL"]
    if about[1] not in entries:
        raise archive.BrokenError("it holds no WHEEL")
    placed = {
        to: (name, entry)
        for name, entry in entries.items()
        if (to := _installed(name, info)) is not None
    }
    more = [placed[to][0] for to in wanted if to in placed]
    read = archive.members(source, {name: entries[name] for name in (*about, *more)})
    metadata, wheel = (HeaderParser().parsestr(_text(read[name]), True) for name in about)
    contents = Contents(
        size=source.size,
        files={to: (entry.size, entry.crc) for to, (_, entry) in placed.items()},
        requires_python=metadata["Requires-Python"],
        requires=tuple(metadata.get_all("Requires-Dist", ())),
        extras=tuple(metadata.get_all("Provides-Extra", ())),
        tags=tuple(wheel.get_all("Tag", ())),
        purelib=wheel.get("Root-Is-Purelib", "").strip().lower() == "true",
        members={to: _text(read[placed[to][0]]) for to in wanted if to in placed},
    )
    return _Known(contents=contents, entries={to: entry for to, (_, entry) in placed.items()})


def _more(web: Web, url: str, known: _Known, wanted: frozenset[str]) -> _Known:
    """Return ``known`` with the members it lacks."""
    lacking = wanted & known.entries.keys() - known.contents.members.keys()
    source = archive.Source(web, url, known.contents.size)
    read = archive.members(source, {name: known.entries[name] for name in lacking})
    members = dict(known.contents.members) | {name: _text(data) for name, data in read.items()}
    return replace(known, contents=replace(known.contents, members=members))


def _installed(name: str, info: str) -> str | None:
    """Return where an installer puts a member; None for what is about the wheel itself.

    Source: Binary distribution format, "Installing a wheel", steps 1.2 and 2.2.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise archive.BrokenError("a path in it leaves the folder that it is installed to")
    top, _, rest = name.partition("/")
    if top.endswith(".dist-info"):
        return None
    stem = info.removesuffix(".dist-info")
    if top != f"{stem}.data":
        return name
    kind, _, inner = rest.partition("/")
    places = {
        "purelib": inner,
        "platlib": inner,
        "scripts": f"{_ROOT}/bin/{inner}",
        "data": f"{_ROOT}/{inner}",
        "headers": f"{_ROOT}/include/site/{stem.partition('-')[0]}/{inner}",
    }
    return places.get(kind, name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _cached(path: Path) -> _Known | None:
    """Return what the cache keeps; None where it keeps nothing, or nothing whole."""
    try:
        data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        if data.pop("schema") != SCHEMA:
            return None
        entries = {name: archive.Entry(*row) for name, row in data.pop("files").items()}
        data.update({name: tuple(data[name]) for name in ("requires", "extras", "tags")})
        files = {name: (entry.size, entry.crc) for name, entry in entries.items()}
        return _Known(contents=Contents(files=files, **data), entries=entries)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return None


def _keep(path: Path, known: _Known) -> None:
    contents = known.contents
    data = {
        "schema": SCHEMA,
        "size": contents.size,
        "requires_python": contents.requires_python,
        "requires": contents.requires,
        "extras": contents.extras,
        "tags": contents.tags,
        "purelib": contents.purelib,
        "members": dict(contents.members),
        "files": known.entries,
    }
    packed = gzip.compress(json.dumps(data, separators=(",", ":")).encode(), 4, mtime=0)
    disk.write(path, packed, durable=False)


def _unreadable(url: str, cause: str) -> HostError:
    return HostError(
        Reason(
            code="wheel-unreadable",
            what=f"cannot read the wheel {outage.shown(url)}",
            cause=cause,
            fix="tell whoever serves the index, or keep that release out of the spec",
        )
    )
