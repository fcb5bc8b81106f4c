"""What uv says, as a value: it found a lock, it refused and why, or it broke and how.

uv's own prose is for ``--verbose``; what is taken from it are facts about named packages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from mlenv.model import CONTROL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MOST_FACTS = 3
"""How many facts a refusal may rest on to be told in a line; a longer proof is uv's to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What uv said: it found a lock, it refused, or it broke."""

    kind: Literal["found", "refused", "broke"]
    text: str
    """Its own words, for ``--verbose``."""
    cause: str = ""
    """Its reason in one line, where it is one that a person understands."""
    code: str = ""
    """The code of a breakdown or of a refusal: ``network-failed``, ``needs-build``, ``yanked`` …"""
    denied: tuple[str, int] | None = None
    """The index that wants other credentials, and the HTTP status that it answered with."""
    package: str = ""
    """The release that a refusal is about, with its version, where its code is ``yanked``."""
    sources: tuple[str, ...] = ()
    """Packages that are published as source only, so that no wheel of them can be taken."""
    facts: tuple[tuple[str, str], ...] = ()
    """(package with its versions, what it requires) that a refusal goes through."""
    extras: tuple[tuple[str, str], ...] = ()
    """(package with version, extra) for extras that do not exist; uv only warns of them."""


_BREAKDOWNS: tuple[tuple[str, str], ...] = (
    (r"network was disabled|Network connectivity is disabled", "network-off"),
    (r"No space left on device|os error 28|Disk quota exceeded", "disk-failed"),
    (r"Failed to fetch|error sending request|Request failed after|dns error", "network-failed"),
    (r"HTTP status (client|server) error", "network-failed"),
)
_DENIED = re.compile(
    r"An index (?:URL )?\((\S+)\) (?:could not be queried due to a lack of valid authentication "
    r"credentials \((\d{3})|returned a (403))"
)
_SOURCE_ONLY = re.compile(
    r"Wheels are required for `([^`]+)` because building from source is disabled"
)
_NO_EXTRA = re.compile(r"The package `([^`]+)` does not have an extra named `([^`]+)`")
_NOT_FOUND = re.compile(r"Because (?:there are no versions of )?(\S+) was not found in the package")
_NO_VERSION = re.compile(r"there (?:is|are) no versions? of (\S+)")
_NO_PYTHON = re.compile(r"matching Python (?:version|ABI) tag|does not satisfy Python")
_YANKED = re.compile(r"(\S+) was yanked(?: \(reason: (.*?)\))?")
_DEPENDS = re.compile(
    r"(your project|[\w.\[\]-]+(?:[=<>!~]=?\S*)?) depends? on ([^\s,]+(?:,[<>=!~]\S+)*)"
)
_ONLY = re.compile(
    r"only (?:the following versions of )?([\w.-]+?)(?:[=<>]\S*)? (?:is|are) available"
)
_FAILED_BUILD = re.compile(r"Failed to build `([^`]+)`")


def answer(status: int, stderr: str, *, bare: Collection[str] = ()) -> Answer:
    """Tell from uv's exit status and words what it found.

    ``bare`` are the URLs of indexes that say 403 where others say 404: they hold no such package.

    Source: read off uv 0.13.9 on 2026-11-22: 0 a lock, 1 a conflict, 2 all else; a conflict that
    rests on packages missing offline exits with 1 as well and says so in a hint.
    """
    text = _lines(stderr)
    if status == 0:
        return Answer(kind="found", text=text, extras=tuple(_NO_EXTRA.findall(text)))
    return _broke(status, text, bare) or _refused(text)


def _broke(status: int, text: str, bare: Collection[str]) -> Answer | None:
    for url, one, other in _DENIED.findall(text):
        if url.rstrip("/") not in bare:
            denied = (re.sub(r"://[^/@]*@", "://", url), int(one or other))
            return Answer(kind="broke", text=text, code="network-failed", denied=denied)
    code = next((code for pattern, code in _BREAKDOWNS if re.search(pattern, text)), "")
    if not code and status == 1:
        return None
    return Answer(kind="broke", text=text, code=code or "solver-broke", cause=_deepest(text))


def _refused(text: str) -> Answer:
    failed = _FAILED_BUILD.search(text)
    if failed:
        return Answer(kind="refused", text=text, code="needs-build", cause=failed[1])
    yanked = _YANKED.search(" ".join(text.split()))
    if yanked:
        what = " ".join(yanked[1].split("=="))
        return Answer(kind="refused", text=text, code="yanked", package=what, cause=yanked[2] or "")
    code = "no-wheel" if "-compatible wheels" in text else ""
    return Answer(
        kind="refused",
        text=text,
        code="python-unsupported" if _NO_PYTHON.search(text) else code,
        cause=_understood(text),
        facts=_facts(text),
        sources=tuple(dict.fromkeys(_SOURCE_ONLY.findall(text))),
    )


def _lines(text: str) -> str:
    return "\n".join(CONTROL.sub(" ", line).rstrip() for line in text.splitlines())


def _deepest(text: str) -> str:
    causes = [line.strip() for line in text.splitlines() if line.strip().startswith("cause:")]
    failed = [line for line in causes if "Failed to fetch" in line]
    last = causes[-1:] if causes else [text.strip().splitlines()[-1] if text.strip() else ""]
    words = [*failed[:1], *last]
    return "; ".join(dict.fromkeys(each.removeprefix("cause:").strip() for each in words))


def _understood(text: str) -> str:
    """Return the facts that a refusal rests on, without uv's prose around them."""
    missing = _NOT_FOUND.search(text)
    if missing:
        return f"no package is called {missing[1]} on the index"
    none = _NO_VERSION.search(text)
    if none and text.count("depends on") <= 1:
        return f"there is no version of {none[1]}"
    other = _ONLY.search(" ".join(text.split()))
    facts = _facts(text)
    if other and not facts:
        return f"the index has other versions of {other[1]} only"
    return in_words(facts) if len(facts) <= MOST_FACTS else ""


def _facts(text: str) -> tuple[tuple[str, str], ...]:
    joined = " ".join(text.partition("cause:")[2].partition("hint:")[0].split())
    found = dict.fromkeys(_DEPENDS.findall(joined))
    return tuple(each for each in found if "your project" not in each[0])


def in_words(facts: Iterable[tuple[str, str]]) -> str:
    """Return facts as one line."""
    return "; ".join(f"{who} requires {wanted}" for who, wanted in facts)


def named(text: str) -> frozenset[str]:
    """Return all words of a refusal that may be names of packages, as names are compared."""
    words = re.findall(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", text, re.ASCII)
    return frozenset(str(canonicalize_name(each)) for each in words)


def majors_blamed(text: str, packages: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the CUDA packages, with their major, that a refusal stumbles over.

    A package of another major is bound to ``<0``, which no version meets: where uv names that
    bound, something in the set needs the other major.
    """
    found = set(re.findall(r"([a-z0-9-]+)(?:\{[^}]*\})?<0\b", text))
    return tuple((each, packages[each]) for each in sorted(found & packages.keys()))
