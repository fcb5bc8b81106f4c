"""What a package says of itself in its METADATA: its licence, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from mlenv.machine import Python

_LONGEST = 100
"""Some put a whole licence where its name belongs."""
_VAGUE = {"", "unknown", "see license", "see license file", "license"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a package says of itself."""

    expression: str = ""
    """Its licence as SPDX has it, where it says so in that way."""
    licence: str = ""
    """Its licence in its own words, where not."""
    requires: tuple[str, ...] = ()
    """PEP 508, each with its marker."""


def about(metadata: str) -> About:
    """Return what the text of a METADATA says.

    Source: Core metadata, License-Expression (PEP 639), and the older License and Classifier.
    """
    from email.parser import HeaderParser  # noqa: PLC0415 (slow, for a bill alone)

    said = HeaderParser().parsestr(metadata, headersonly=True)
    expression = " ".join(said.get("License-Expression", "").split())
    return About(
        expression=expression,
        licence="" if expression else _licence(said.get("License", ""), said.get_all("Classifier")),
        requires=tuple(said.get_all("Requires-Dist", ())),
    )


def _licence(text: str, classifiers: Iterable[str] | None) -> str:
    line = " ".join(text.split())
    if line.lower() not in _VAGUE and len(line) <= _LONGEST:
        return line
    rows = (each.split(" :: ") for each in classifiers or () if each.startswith("License :: "))
    return ", ".join(sorted({row[-1] for row in rows} - {"OSI Approved"}))


def edges(
    known: Mapping[str, About], asked: Iterable[str], python: Python, architecture: str
) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Return what the stack itself asks for, and package -> the packages that it needs.

    Args:
        known: package, as PEP 503 spells it -> what it says of itself.
        asked: the requirements of the stack itself, PEP 508.
        python: the target's interpreter.
        architecture: ``x86_64`` or ``aarch64``.
    """
    environment = _environment(python, architecture)
    first = [each for text in asked for each in _needed(text, environment, "")]
    waiting = [(each.name, extra) for each in first for extra in ("", *each.extras)]
    found: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        name = canonicalize_name(name)
        if (name, extra) in seen or name not in known:
            continue
        seen.add((name, extra))
        for text in known[name].requires:
            for need in _needed(text, environment, extra):
                found.setdefault(name, set()).add(canonicalize_name(need.name))
                waiting += [(need.name, each) for each in ("", *need.extras)]
    held = {name: frozenset((needs & known.keys()) - {name}) for name, needs in found.items()}
    return frozenset(canonicalize_name(each.name) for each in first) & known.keys(), held


def _needed(text: str, environment: Mapping[str, str], extra: str) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 (likewise)

    try:
        found = Requirement(text)
    except InvalidRequirement:  # of long ago; whoever installs it skips it too
        return
    if found.marker is None or found.marker.evaluate({**environment, "extra": extra}):
        yield found


def _environment(python: Python, architecture: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python.short}.0",
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python.short}.0",
        "python_version": python.short,
        "sys_platform": "linux",
    }
