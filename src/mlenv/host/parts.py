"""What a catalog wants of a published wheel: its METADATA, a small file, the names of the rest.

A few kilobytes of a wheel are read, and kept for ever under its hash, so that a refresh that was
stopped goes on where it was. What the texts mean is no business of this room.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mlenv.errors import HostError
from mlenv.host import archive, disk, outage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlenv.host.http import Web
    from mlenv.simple import Published

_SCHEMA = 1
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What was read of a wheel."""

    size: int
    metadata: str = ""
    names: tuple[str, ...] = ()
    small: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be read of a wheel."""

    metadata: bool
    """METADATA, and not only the size."""
    inside: bool
    """Also what needs its directory: names and the small file."""
    small: str | None
    """The pattern of the small file's path."""
    names: Callable[[tuple[str, ...]], tuple[str, ...]]
    """All names of the wheel -> those to keep."""


def read(web: Web, cache: Path, file: Published, wanted: Wanted) -> Parts:
    """Return what is wanted of a wheel: from the cache, else by one to four reads.

    Raises:
        HostError: ``network-off``, ``network-failed`` (also for a wheel that is no archive or
            larger than a wheel can be), ``disk-failed``.
    """
    key = file.sha256 or hashlib.sha256(file.url.encode()).hexdigest()
    depth = "inside" if wanted.inside else "metadata" if wanted.metadata else "size"
    path = cache / "catalog" / "wheels" / key[:2] / f"{key}.{depth}.json"
    kept = _kept(path)
    if kept is not None:
        return kept
    try:
        found = _fresh(web, file, wanted)
    except archive.BrokenError as error:
        raise outage.failed(file.url, str(error), "keep that release out of the spec") from error
    finally:
        web.forget(file.url)
    disk.write(path, json.dumps({"schema": _SCHEMA, **asdict(found)}), durable=False)
    return found


def _fresh(web: Web, file: Published, wanted: Wanted) -> Parts:
    beside = _beside(web, file) if wanted.metadata and not wanted.inside else ""
    if beside or not wanted.metadata:
        size = file.size if file.size is not None else web.tail(file.url, 1)[1]
        return Parts(size=size, metadata=beside)
    source = archive.Source.opened(web, file.url)
    if file.size is not None and file.size != source.size:
        raise archive.BrokenError(
            f"it has {source.size} bytes, but the index says that it has {file.size}"
        )
    entries = archive.directory(source)
    infos = [name for name in entries if _METADATA.fullmatch(name)]
    if len(infos) != 1:
        own = f"{'-'.join(file.filename.split('-')[:2])}.dist-info/METADATA".lower()
        infos = [name for name in infos if name.lower() == own]
    if len(infos) != 1:
        raise archive.BrokenError("it does not hold one METADATA of its own")
    fits = re.compile(wanted.small or r"(?!)").fullmatch
    small = next((name for name in sorted(entries) if fits(name)), None)
    chosen = [infos[0], *([small] if small else [])]
    texts = archive.members(source, {name: entries[name] for name in chosen})
    return Parts(
        size=source.size,
        metadata=texts[infos[0]].decode("utf-8", "replace"),
        names=wanted.names(tuple(entries)),
        small=texts[small].decode("utf-8", "replace") if small else "",
    )


def _beside(web: Web, file: Published) -> str:
    """Return the core metadata that an index serves beside a wheel; nothing where it does not."""
    if not file.metadata:
        return ""
    try:
        return web.page(f"{file.url}.metadata")[1]
    except outage.AbsentError:  # promised, and not there: the wheel itself holds it
        return ""


def _kept(path: Path) -> Parts | None:
    try:
        row = json.loads(disk.text(path))
        if row.pop("schema") != _SCHEMA:
            return None
        return Parts(**{**row, "names": tuple(row["names"])})
    except (HostError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
