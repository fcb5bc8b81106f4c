"""The file of rows: how it is packed, and whether the refreshed one or the shipped one is in use.

A refresh writes three files to ``catalog/`` in the cache: the rows, their SHA-256, and the time
that they are of. The refreshed rows are used while they are whole, of this schema and not older
than the shipped ones. Their time is that of the newest upload among them; of a change that no
upload dates, when it was seen; and where nothing changed, the former one. This room loads no
pydantic: a command that has nothing to do asks it.

The file is one JSON document with each package on a line of its own. What was written by mlenv
(the shipped rows, and those that their SHA-256 vouches for) is decoded by the package; another file
is decoded and looked at whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mlenv.catalog.data import contents
from mlenv.errors import HostError, Reason
from mlenv.host import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA = 1
ROWS = "packages.json.gz"
DIGEST = f"{ROWS}.sha256"
TIME = "scanned.txt"
SOURCE = (
    "the default package index: simple API (tier A), core metadata (tier B), small files inside "
    "wheels (tier C), CUDA arch flags in libtorch_python.so (tier D)"
)

_OPENED = "{\n"
"""Before the first package; no other line of the document ends so."""
_CLOSED = "\n}}"
_LIMIT_BYTES = 64 << 20
"""The longest document that is taken; that of 2,000 releases has 1 MB."""
_WAITS_SECONDS = (0.05, 0.2)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The rows as they cross a file."""

    scanned: str
    """The time that they are of, RFC 3339."""
    source: str
    packages: Mapping[str, Mapping[str, Any]]
    """Package -> version -> row."""
    variants: Mapping[str, Mapping[str, Any]]
    """Framework -> version -> architecture -> toolkits on the framework's own index."""


class Rows(Mapping[str, Mapping[str, Any]]):
    """Package -> version -> row, where a package is decoded when it is first asked for."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        """Keep package -> its rows as JSON."""
        self._lines = lines
        self._made: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, package: str) -> Mapping[str, Any]:
        """Return version -> row.

        Raises:
            HostError: ``catalog-damaged``: they are none.
        """
        if package not in self._made:
            line = self._lines[package]
            try:
                rows = json.loads(line)
            except (ValueError, RecursionError):
                rows = None
            if not _is_table(rows):
                raise HostError(damaged(ROWS, f"a row of {package} is wrong"))
            self._made[package] = rows
        return self._made[package]

    def __contains__(self, package: object) -> bool:
        """Tell whether there are rows of a package, without decoding them."""
        return package in self._lines

    def __iter__(self) -> Iterator[str]:
        """Iterate over the packages."""
        return iter(self._lines)

    def __len__(self) -> int:
        """Count the packages."""
        return len(self._lines)


class DamagedError(Exception):
    """The bytes are no document of this schema; its text says why."""


def packed(document: Document) -> bytes:
    """Return the bytes of a document: the same for the same rows."""
    head: dict[str, Any] = {
        "scanned": document.scanned,
        "schema": SCHEMA,
        "source": document.source,
    }
    if document.variants:
        head["variants"] = document.variants
    packages = sorted(document.packages.items())
    lines = ",\n".join(f"{_json(package)}:{_json(rows)}" for package, rows in packages)
    text = f'{_json(head)[:-1]},"packages":{_OPENED}{lines}{_CLOSED}'
    return gzip.compress(text.encode(), 9, mtime=0)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def unpacked(data: bytes) -> Document:
    """Return the document in ``data``, all of it decoded and looked at.

    Raises:
        DamagedError: it is none, or larger than the limit.
    """
    return _document(data, json.loads)


def _document(data: bytes, form: Callable[[str], Any]) -> Document:
    try:
        rows = form(_text(data))
        if rows["schema"] != SCHEMA:
            raise DamagedError(f"it is of another schema, and this mlenv reads {SCHEMA}")
        if _is_sound(rows):
            return Document(
                scanned=rows["scanned"],
                source=rows["source"],
                packages=rows["packages"],
                variants=rows.get("variants", {}),
            )
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError("it is no file of rows") from error
    raise DamagedError("it is no file of rows")


def _text(data: bytes) -> str:
    opened = zlib.decompressobj(wbits=31)
    text = opened.decompress(data, _LIMIT_BYTES)
    if not opened.eof or opened.unused_data:
        raise DamagedError("it is cut off, or larger than a catalog can be")
    return text.decode()


def _by_line(text: str) -> Any:  # noqa: ANN401 (what was found, not yet looked at)
    """Return a document as ``packed`` writes it with its packages not yet decoded."""
    head, opened, rest = text.partition(_OPENED)
    if not opened or not rest.endswith(_CLOSED):
        return json.loads(text)
    lines = {}
    for line in rest.removesuffix(_CLOSED).split(",\n") if rest != _CLOSED else ():
        package, _, rows = line.partition(":")
        lines[package[1:-1]] = rows  # without its quotes; no name has more to be decoded
    return {**json.loads(head + "{}}"), "packages": Rows(lines)}


def _is_sound(rows: Mapping[str, Any]) -> bool:
    """Tell whether a document has the shape that every question takes for granted."""
    texts = (rows["scanned"], rows["source"])
    packages, variants = rows["packages"], rows.get("variants", {})
    return (
        all(isinstance(each, str) for each in texts)
        and _MOMENT.fullmatch(rows["scanned"]) is not None
        and (isinstance(packages, Rows) or _is_deep_table(packages))
        and _is_deep_table(variants)
        and all(_is_offer(row) for of in variants.values() for row in of.values())
    )


def _is_deep_table(rows: object) -> bool:
    return isinstance(rows, dict) and all(_is_table(each) for each in rows.values())


def _is_table(rows: object) -> bool:
    return isinstance(rows, dict) and all(isinstance(each, dict) for each in rows.values())


def _is_offer(row: object) -> bool:
    return isinstance(row, dict) and all(
        isinstance(each, list) and all(re.fullmatch(r"\d{1,3}\.\d{1,3}", str(e)) for e in each)
        for each in row.values()
    )


@cache
def shipped_time() -> str:
    """Return the time of the shipped rows, without reading them."""
    return contents(TIME).decode().strip()


def shipped() -> Document:
    """Return the rows that mlenv is shipped with."""
    return _document(contents(ROWS), _by_line)


def folder() -> Path:
    """Return where a refresh writes; it need not exist.

    Raises:
        HostError: ``disk-failed``.
    """
    return disk.cache_folder() / "catalog"


def time_in_use() -> str:
    """Return the time of the rows that ``load()`` would use, by one small file."""
    try:
        said = disk.text(folder() / TIME).strip()
    except HostError:
        return shipped_time()
    return max(said, shipped_time()) if _MOMENT.fullmatch(said) else shipped_time()


def refreshed() -> tuple[Document | None, Reason | None]:
    """Return the refreshed rows where they are to be used, or why they are not."""
    try:
        path = folder() / ROWS
        data = _whole(path)
    except HostError:  # no home, or nothing there: then nobody refreshed anything
        return None, None
    except DamagedError as error:
        return None, damaged(str(path), str(error))
    try:
        found = _document(data, _by_line)
    except DamagedError as error:
        return None, damaged(str(path), str(error))
    return (found if found.scanned >= shipped_time() else None), None


def write(document: Document) -> Path:
    """Write a refreshed document, each file in one step; return the path of the rows.

    Raises:
        HostError: ``disk-failed``.
    """
    data = packed(document)
    path = folder() / ROWS
    disk.write(path, data)
    disk.write(path.with_name(DIGEST), f"{hashlib.sha256(data).hexdigest()}  {ROWS}\n")
    disk.write(path.with_name(TIME), f"{document.scanned}\n")
    return path


def _whole(path: Path) -> bytes:
    """Return the bytes at ``path`` whose SHA-256 is written beside them.

    Raises:
        DamagedError: it is another, also a moment later: no refresh is writing them.
        HostError: ``disk-failed``.
    """
    for wait in (*_WAITS_SECONDS, None):
        data = disk.contents(path)
        said = disk.contents(path.with_name(DIGEST)) if path.with_name(DIGEST).exists() else b""
        if said.startswith(hashlib.sha256(data).hexdigest().encode()):
            break
        if wait is None:
            raise DamagedError("its SHA-256 is not the one that is written beside it")
        time.sleep(wait)
    return data


def damaged(path: str, cause: str) -> Reason:
    """Return the ``catalog-damaged`` about the file at ``path``."""
    return Reason(
        code="catalog-damaged",
        what=f"the refreshed facts in {path} are not used",
        cause=cause,
        fix="run `mlenv catalog refresh`; until then the facts that mlenv is shipped with count",
    )
