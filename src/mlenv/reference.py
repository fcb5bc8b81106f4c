"""The name of an image, as a value: which registry, which repository, which tag or digest.

Read as Docker reads it: no registry is ``docker.io``, one word there is below ``library/``, and no
tag and no digest is ``latest``. Whether there is such an image is no business of this room.

Source: the grammar of distribution/reference, https://github.com/distribution/reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"
_LIBRARY = "library/"
_NAME_LENGTH = 255

_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_REGISTRY = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?", re.ASCII
)
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_WORD}(?:/{_WORD})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image by tag, by digest, or by both: then the digest counts and the tag is for people."""

    registry: str
    """Host and perhaps port; ``docker.io``, though another host answers for it."""
    repository: str
    """With ``library/`` where that is meant."""
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """Return the form that people write: ``python:3.12-slim``, ``ghcr.io/a/b@sha256:...``."""
        return f"{self.name}{self._suffix}"

    @property
    def name(self) -> str:
        """The form that people write, without tag and digest."""
        if self.registry != DOCKER_HUB:
            return f"{self.registry}/{self.repository}"
        short = self.repository.removeprefix(_LIBRARY)
        return self.repository if "/" in short else short

    @property
    def full(self) -> str:
        """The form that every engine reads alike: ``docker.io/library/python:3.12-slim``."""
        return f"{self.registry}/{self.repository}{self._suffix}"

    def pinned(self, digest: str) -> Reference:
        """Return the same image at ``digest``, its tag kept for people."""
        if _DIGEST.fullmatch(digest) is None:
            raise ValueError(f"{digest[:80]!r} is no digest: sha256: and 64 hexadecimal digits")
        return replace(self, digest=digest)

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag


def parse_reference(text: str) -> Reference:
    """Return the reference that ``text`` is.

    Raises:
        ValueError: it is none; the message ends a sentence that begins with the key.
    """
    shown = ascii(text[:100])
    name, at, digest = text.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        raise ValueError(f"{shown} has no digest after the `@`: sha256: and 64 hexadecimal digits")
    # A colon before the last slash is that of a port.
    folder, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and _TAG.fullmatch(tag) is None:
        raise ValueError(f"{shown} has no tag after the last `:`: letters, digits, `_`, `.`, `-`")
    registry, repository = _split(f"{folder}{slash}{last}")
    if _REGISTRY.fullmatch(registry) is None:
        raise ValueError(f"{shown} does not begin with the host of a registry")
    if _REPOSITORY.fullmatch(repository) is None:
        raise ValueError(f"{shown} is no image: write it like `python:3.12-slim` (no capitals)")
    if _IDENTIFIER.fullmatch(repository.removeprefix(_LIBRARY)) or len(repository) > _NAME_LENGTH:
        raise ValueError(f"{shown} is no name of an image, but an identifier or far too long")
    return Reference(
        registry=registry,
        repository=repository,
        tag=tag or (None if digest else "latest"),
        digest=digest or None,
    )


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # "The first component is a host if it has a dot or a colon, or is localhost" (or has capitals,
    # which no path may have).
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    registry, repository = (first, rest) if slash and is_host else (DOCKER_HUB, name)
    if registry == f"index.{DOCKER_HUB}":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = _LIBRARY + repository
    return registry, repository
