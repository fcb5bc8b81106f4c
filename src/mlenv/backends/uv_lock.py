"""``uv.lock`` as values: packages, the files each is published as, and who needs whom."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One published file."""

    filename: str
    url: str
    sha256: str
    size: int | None
    """Its bytes, where the index says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A package of the answer."""

    name: str
    version: str
    index: str
    """The alias of the index that serves it."""
    page: str
    """The address of the index."""
    wheels: tuple[Artefact, ...]
    sdist: Artefact | None
    dev: bool
    """Whether nothing but [dev] needs it."""
    build_only: bool
    """Whether it is there for the build of source packages alone."""


def read(text: str, aliases: Mapping[str, str]) -> tuple[Solved, ...]:
    """Return the packages of a ``uv.lock``, sorted by name.

    Args:
        text: the lock.
        aliases: address -> alias of every index beside the default one.
    """
    rows: list[dict[str, Any]] = tomllib.loads(text)["package"]
    runtime = _reached(rows, ())
    installed = runtime | _reached(rows, ("dev",))
    found = [_solved(row, aliases, runtime, installed) for row in rows if _served(row)]
    return tuple(sorted(found, key=lambda each: each.name))


def _served(row: Mapping[str, Any]) -> bool:
    return "registry" in row["source"]


def _solved(
    row: Mapping[str, Any], aliases: Mapping[str, str], runtime: set[str], installed: set[str]
) -> Solved:
    page = str(row["source"]["registry"])
    sdist = row.get("sdist")
    return Solved(
        name=str(canonicalize_name(row["name"])),
        version=row["version"],
        index=aliases.get(page.rstrip("/"), DEFAULT),
        page=page,
        wheels=tuple(_artefact(each, page) for each in row.get("wheels", ())),
        sdist=_artefact(sdist, page) if sdist else None,
        dev=row["name"] in installed - runtime,
        build_only=row["name"] not in installed,
    )


def _artefact(row: Mapping[str, Any], page: str) -> Artefact:
    url = row.get("url") or f"{page.rstrip('/')}/{row['path']}"
    return Artefact(
        filename=unquote(urlsplit(url).path.rpartition("/")[2]),
        url=url,
        sha256=row["hash"].removeprefix("sha256:"),
        size=row.get("size"),
    )


def _reached(rows: list[dict[str, Any]], groups: tuple[str, ...]) -> set[str]:
    by_name = {row["name"]: row for row in rows}
    root = next(row for row in rows if not _served(row))
    waiting = list(_edges(root, ()))
    for group in groups:
        waiting += root.get("dev-dependencies", {}).get(group, ())
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        edge = waiting.pop()
        key = (edge["name"], tuple(edge.get("extra", ())))
        if key in seen or key[0] not in by_name:
            continue
        seen.add(key)
        waiting += _edges(by_name[key[0]], key[1])
    return {each for each, _ in seen}


def _edges(row: Mapping[str, Any], extras: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    yield from row.get("dependencies", ())
    for extra in extras:
        yield from row.get("optional-dependencies", {}).get(extra, ())
