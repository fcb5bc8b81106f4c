"""Why a build failed, read off its last lines: the cause in a sentence, and the way out.

A table, most telling first. What no row knows is told in the engine's own words. Whether the
engine itself is dead is not found out here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What most likely went wrong."""

    cause: str
    fix: str
    broke: bool = False
    """The machine is at fault, and nothing is known about the image."""


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: str
    cause: str
    """With ``{0}`` for the line that matched, and ``{1}`` for its first group."""
    fix: str
    broke: bool = False


_ROWS = (
    _Row(
        r"(?i)no space left on device|disk quota exceeded",
        "the disk that the engine writes to is full",
        "free some space there (`docker system df`, `mlenv clean`), then try again",
        broke=True,
    ),
    _Row(
        r"Cannot connect to the Docker daemon|error during connect|code = Unavailable"
        r"|transport is closing|error reading from server",
        "the engine broke off: {0}",
        "see that its daemon runs, then try again; what it has built is kept",
        broke=True,
    ),
    _Row(
        r"Hash mismatch for `([^`]+)`",
        "the index serves another file of {1} than the lock names",
        "ask who keeps the index or its mirror; `mlenv lock --upgrade` locks what is there now",
    ),
    _Row(
        r"UnknownIssuer|[Cc]ertificate verif\w* failed|unable to get local issuer|self[- ]signed"
        r"|x509: certificate|certificate issuer is unknown",
        "the network answers with a certificate that is not trusted inside the build",
        "name your network's certificates with --ca-cert FILE",
    ),
    _Row(
        r"407 Proxy Authentication",
        "the proxy wants a password",
        "put it into HTTPS_PROXY; it is passed on to the build, and kept nowhere",
    ),
    _Row(
        r"\b(?:401 Unauthorized|403 Forbidden)|status client error \((?:401|403)",
        "an index or a registry refuses this user: {0}",
        "give the credentials in ~/.netrc or in UV_INDEX_NAME_USERNAME and ..._PASSWORD; of a "
        "registry, with `docker login`",
    ),
    _Row(
        r"Unable to locate package (\S+)|Package '(\S+)' has no installation candidate",
        "the base image's distribution has no package `{1}`",
        "correct `apt` under [image] in the spec",
    ),
    _Row(
        r"Version '([^']+)' for '[^']+' was not found",
        "the distribution does not serve the pinned version any more: {0}",
        "correct `apt` under [image] in the spec",
    ),
    _Row(
        r"[Ii]mage not found|manifest unknown|manifest for .* not found|pull access denied"
        r"|repository does not exist|: not found$",
        "an image that this one is made from is not there: {0}",
        "correct `base` under [image] in the spec, or see that its registry can be reached",
    ),
    _Row(
        r"exec format error",
        "the image is for another kind of processor, and this machine does not emulate it",
        "build on a machine of that kind, install QEMU's binfmt, or use `--engine none`",
    ),
    _Row(
        r"exit (?:code|status):? 137|signal: killed|[Cc]annot allocate memory|^Killed$",
        "a step was killed, most likely for want of memory",
        "give the engine more memory, then try again; what it has built is kept",
    ),
    _Row(
        r"failed to do request: Head|failed to resolve source metadata|initializing source docker://",
        "an image that this one is made from cannot be read: {0}",
        "see that its registry can be reached, or name another place that has it: "
        "`--build-arg UV_IMAGE=...` or `BASE_IMAGE=...`",
    ),
    _Row(
        r"no such host|dns error|[Tt]emporary failure (?:in name resolution|resolving)"
        r"|[Cc]onnection (?:refused|timed out|reset)|[Nn]etwork is unreachable|i/o timeout"
        r"|operation timed out|Failed to fetch|failed to do request|error sending request"
        r"|Could not connect|pinging container registry",
        "the network cannot be reached from there: {0}",
        "see that the engine has DNS and the way out; HTTPS_PROXY is passed on to the build, and "
        "an index on this machine's loopback needs the host's network",
    ),
    _Row(
        r"Failed to build `([^`]+)`",
        "the source package {1} does not build in the image",
        "give it what it needs (`compile` or `apt` under [image]), or take a release with wheels",
    ),
    _Row(
        r"No solution found|no wheels? with a matching|not found in the package registry"
        r"|no matching distribution",
        "the index does not serve a file that the lock names: {0}",
        "see that it is the index (or a whole mirror of it) that the lock was made from",
    ),
)


def cause(lines: Sequence[str]) -> Cause:
    """Return the most telling cause of a step's last lines."""
    for row in _ROWS:
        for line in reversed(lines):
            found = re.search(row.pattern, line)
            if found is not None:
                named = next((each for each in found.groups() if each), "")
                text = row.cause.format(short(line.strip()), named)
                return Cause(cause=text, fix=row.fix, broke=row.broke)
    said = short(lines[-1].strip()) if lines else "it did not say why"
    return Cause(cause=said, fix="read the lines above; --verbose shows the whole log")


def without_login(line: str) -> str:
    """Return ``line`` without the user and the password of a URL."""
    return re.sub(r"://[^/\s'\"@]*@", "://", line)


def short(line: str) -> str:
    """Return a line that fits; of a long one the beginning, and the end that most often tells."""
    text = line.rstrip()
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH // 2]} ... {text[-_WIDTH // 2 :]}"


_WIDTH = 200
