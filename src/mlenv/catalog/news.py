"""What is new between two catalogs: releases, yanks, and pins that changed.

Pure. Rows are compared as they stand in the file; what only the page's upkeep changes (sizes, tags
of wheels) is told as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Table = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One difference."""

    kind: str
    """``new``, ``gone``, ``yanked``, ``restored``, ``pins``, ``wheels`` or ``index``."""
    package: str
    version: str
    text: str
    """The difference in words."""


def news(before: Table, after: Table) -> tuple[News, ...]:
    """Return what differs from the rows ``before``, by package, then by version."""
    return tuple(
        each
        for package in sorted({*before, *after})
        for each in _of_package(package, before.get(package, {}), after.get(package, {}))
    )


def offered(before: Table, after: Table) -> tuple[News, ...]:
    """Return what differs on the frameworks' own indexes."""
    return tuple(
        News(
            kind="index",
            package=name,
            version=version,
            text=f"{name} {version} on its own index: {_offer(was)} -> {_offer(now)}",
        )
        for name in sorted({*before, *after})
        for version in _ascending({*before.get(name, {}), *after.get(name, {})})
        if (was := before.get(name, {}).get(version)) != (now := after.get(name, {}).get(version))
    )


def _offer(row: Mapping[str, Any] | None) -> str:
    if not row:
        return "not known"
    return "; ".join(f"{key} {', '.join(of)}" for key, of in sorted(row.items()))


def _of_package(
    package: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[News]:
    for version in _ascending({*before, *after}):
        was, now = before.get(version), after.get(version)
        for kind, text in _of_release(was, now):
            words = f"{package} {version} {text}"
            yield News(kind=kind, package=package, version=version, text=words)


def _of_release(
    was: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    if was is None or now is None:
        yield ("new", f"is new ({(now or {}).get('date')})") if now else ("gone", "is gone")
        return
    if was.get("yanked") != now.get("yanked"):
        yield (
            ("yanked", f"was yanked: {now['yanked']}")
            if "yanked" in now
            else ("restored", "is no longer yanked")
        )
    pins = sorted(_pins(was) ^ _pins(now))
    gone = [
        f"{key}: {name}{of} no longer" for key, name, of in pins if (key, name, of) in _pins(was)
    ]
    come = [f"{key}: {name}{of}" for key, name, of in pins if (key, name, of) in _pins(now)]
    if pins:
        yield "pins", f"pins otherwise: {'; '.join((*come, *gone))}"
    if _rest(was) != _rest(now):
        yield "wheels", "has other wheels"


def _pins(row: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    found = set()
    for key, said in row.get("metadata", {}).items():
        tables = {"": said.get("requires", {}), **said.get("extras", {})}
        for extra, table in tables.items():
            about = key + (f"[{extra}]" if extra else "")
            found |= {(about, name, str(of)) for name, of in table.items()}
    return found


def _rest(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row without what is told by other words."""
    rest = {key: of for key, of in row.items() if key not in {"yanked", "metadata", "wheels"}}
    wheels = {key: {**of, "mb": 0} for key, of in row.get("wheels", {}).items()}
    own = {
        key: {name: of for name, of in said.items() if name not in {"requires", "extras"}}
        for key, said in row.get("metadata", {}).items()
    }
    return {**rest, "metadata": own, "wheels": wheels}


def _ascending(versions: set[str]) -> list[str]:
    return sorted(versions, key=_version)


def _version(text: str) -> tuple[Version, str]:
    try:
        return Version(text), text
    except InvalidVersion:
        return Version("0"), text
