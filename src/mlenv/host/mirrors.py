"""Where the images of a registry are really read: ``registries.conf``, as podman and buildah do.

    what a row says     what it does
    prefix              the row is about names that begin so; of several, the longest counts
    location            what stands there instead of the prefix
    mirror              places that are asked first, in order
    insecure            plain http is good enough there
    blocked             never

Rows for names without a registry are left out: mlenv reads ``python:3.12`` as Docker does.

Source: containers-registries.conf(5), version 2; drop-in files as there, beside the file.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlenv.host import disk, registry_outage
from mlenv.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlenv.reference import Reference

_ENDPOINTS = {DOCKER_HUB: "registry-1.docker.io"}
_FILE = "containers/registries.conf"
_PULLS = ("all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository at a host that can be asked for it."""

    registry: str
    """Host and perhaps port, as people name it and log in to it."""
    repository: str
    insecure: bool
    """Plain http is good enough: the user says so, or it is this machine."""

    @property
    def host(self) -> str:
        """The host that answers for the registry."""
        return _ENDPOINTS.get(self.registry, self.registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """What replaces a prefix."""

    text: str
    insecure: bool = False
    pulls: str = "all"
    """``all``, ``digest-only`` or ``tag-only``: what a mirror is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A ``[[registry]]`` of registries.conf."""

    prefix: str
    location: Location
    mirrors: tuple[Location, ...] = ()
    blocked: bool = False
    origin: str = "registries.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The rules of all files; of two with the same prefix the later counts."""

    rules: tuple[Rule, ...] = ()

    def read_from(self, reference: Reference) -> tuple[Place, ...]:
        """Return the places to read ``reference`` from, in order.

        Raises:
            HostError: ``registry-denied``: it is blocked.
        """
        if (rule := self._rule(reference)) is None:
            return (_own(reference),)
        kinds = {"all", "digest-only" if reference.digest else "tag-only"}
        mirrors = [each for each in rule.mirrors if each.pulls in kinds]
        return tuple(_moved(reference, rule.prefix, each) for each in (*mirrors, rule.location))

    def written_to(self, reference: Reference) -> Place:
        """Return the place to write ``reference`` to, which is never a mirror.

        Raises:
            HostError: ``registry-denied``: it is blocked.
        """
        rule = self._rule(reference)
        return _moved(reference, rule.prefix, rule.location) if rule else _own(reference)

    def _rule(self, reference: Reference) -> Rule | None:
        name = f"{reference.registry}/{reference.repository}"
        fitting = [each for each in self.rules if _begins(name, each.prefix)]
        # Among equals the last: "a drop-in overrides what was there before".
        rule = max(reversed(fitting), key=lambda each: len(each.prefix), default=None)
        if rule is not None and rule.blocked:
            raise registry_outage.denied(
                f"{reference} is not read",
                f"{rule.origin} blocks {rule.prefix}",
                "name another image, or take `blocked` out of that file",
            )
        return rule


def is_loopback(host: str) -> bool:
    """Tell whether a host, with or without port, is this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def from_environment(environ: Mapping[str, str] = os.environ) -> Mirrors:
    """Return what the files of this machine and user say, or CONTAINERS_REGISTRIES_CONF.

    Raises:
        HostError: ``registry-failed``: a file is no TOML, or means nothing; ``disk-failed``.
    """
    return Mirrors(rules=tuple(rule for path in _paths(environ) for rule in _rules(path)))


def parse(text: str, origin: str) -> tuple[Rule, ...]:
    """Return the rules of one file.

    Raises:
        HostError: ``registry-failed``.
    """
    try:
        whole = tomllib.loads(text)
        return tuple(_rule(row, origin) for row in _tables(whole.get("registry", []), "registry"))
    except ValueError as error:  # tomllib's own is one
        what, fix = f"cannot understand {origin}", "mend that file: see containers-registries.conf"
        raise registry_outage.failed(what, str(error), fix) from error


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield what is there, what counts last at the end.

    A user's file replaces the machine's; the drop-in folders of both count.
    """
    if named := environ.get("CONTAINERS_REGISTRIES_CONF"):
        mains = folders = [Path(named)]
    else:
        home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME') or '/nonexistent'}/.config"
        folders = [Path("/etc") / _FILE, Path(home) / _FILE]
        mains = [next((path for path in reversed(folders) if path.is_file()), folders[0])]
    yield from (path for path in mains if named or path.is_file())
    for path in folders:
        folder = path.with_name(f"{path.name}.d")
        with disk.spoken(folder):
            yield from sorted(folder.glob("*.conf")) if folder.is_dir() else ()


def _rules(path: Path) -> tuple[Rule, ...]:
    return parse(disk.text(path), str(path))


def _rule(row: Mapping[str, object], origin: str) -> Rule:
    prefix = _string(row, "prefix") or _string(row, "location")
    if not prefix:
        raise ValueError("a [[registry]] has neither prefix nor location")
    text = _string(row, "location") or prefix
    if prefix.startswith("*.") and _string(row, "location"):
        raise ValueError(f"[[registry]] {prefix}: a prefix with `*` takes no location")
    pulls = "digest-only" if _flag(row, "mirror-by-digest-only") else "all"
    return Rule(
        prefix=prefix.rstrip("/"),
        location=Location(text=text.rstrip("/"), insecure=_flag(row, "insecure")),
        mirrors=tuple(_mirror(each, pulls) for each in _tables(row.get("mirror", []), "mirror")),
        blocked=_flag(row, "blocked"),
        origin=origin,
    )


def _mirror(row: Mapping[str, object], pulls: str) -> Location:
    text = _string(row, "location")
    pulls = _string(row, "pull-from-mirror") or pulls
    if not text or pulls not in _PULLS:
        raise ValueError(f"a [[registry.mirror]] needs a location, and pulls {', '.join(_PULLS)}")
    return Location(text=text.rstrip("/"), insecure=_flag(row, "insecure"), pulls=pulls)


def _tables(value: object, key: str) -> Iterable[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"`{key}` is no [[table]]")
    return value


def _string(row: Mapping[str, object], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str) or "://" in value or "@" in value:
        raise ValueError(f"`{key}` is no host and path without a scheme")
    return value


def _flag(row: Mapping[str, object], key: str) -> bool:
    value = row.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"`{key}` is neither true nor false")  # noqa: TRY004 - parse() says it
    return value


def _begins(name: str, prefix: str) -> bool:
    if prefix.startswith("*."):
        host, _, _ = name.partition("/")
        return host.endswith(prefix[1:])
    return f"{name}/".startswith(f"{prefix}/")


def _own(reference: Reference) -> Place:
    return Place(
        registry=reference.registry,
        repository=reference.repository,
        insecure=is_loopback(reference.registry),
    )


def _moved(reference: Reference, prefix: str, location: Location) -> Place:
    name = f"{reference.registry}/{reference.repository}"
    if not prefix.startswith("*."):
        name = location.text + name.removeprefix(prefix)
    elif location.text != prefix:  # a mirror of a whole domain: the repository is below it
        name = f"{location.text}/{reference.repository}"
    registry, _, repository = name.partition("/")
    return Place(
        registry=registry,
        repository=repository,
        insecure=location.insecure or is_loopback(registry),
    )
