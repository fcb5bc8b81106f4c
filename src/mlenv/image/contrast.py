"""Two images in words: what their labels and variables say, and which layers a registry lacks.

A layer is known by the digest of its content unpacked, which engines and registries both have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLayer:
    """One layer of an image."""

    text: str
    """What it was made by, as the image says."""
    digest: str
    """Of its content, unpacked."""
    size: int | None
    """Bytes to download, else unpacked; None where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An image that was looked at."""

    name: str
    digest: str | None
    """Of its manifest; None where only an engine holds it."""
    platform: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    user: str
    layers: tuple[SeenLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChanges:
    """What differs between two images."""

    facts: tuple[str, ...]
    again: tuple[SeenLayer, ...]
    """Layers that only the second has: they are pushed, and pulled."""
    gone: tuple[SeenLayer, ...]
    kept: int
    kept_bytes: int

    def __bool__(self) -> bool:
        """Tell whether anything differs."""
        return bool(self.facts or self.again or self.gone)


def contrast(before: Seen, after: Seen) -> ImageChanges:
    """Return what differs from one image to another."""
    old = {each.digest for each in before.layers}
    new = {each.digest for each in after.layers}
    kept = [each for each in after.layers if each.digest in old]
    return ImageChanges(
        facts=tuple(_facts(before, after)),
        again=tuple(each for each in after.layers if each.digest not in old),
        gone=tuple(each for each in before.layers if each.digest not in new),
        kept=len(kept),
        kept_bytes=sum(each.size or 0 for each in kept),
    )


def _facts(before: Seen, after: Seen) -> Iterator[str]:
    if before.platform != after.platform:
        yield f"platform {before.platform} -> {after.platform}"
    yield from _moved("label", before.labels, after.labels)
    yield from _moved("variable", before.environment, after.environment)
    if before.user != after.user:
        yield f"user {before.user or 'root'} -> {after.user or 'root'}"


def _moved(word: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    # the CUDA side first: what mlenv labels, then the rest
    own = sorted(before.keys() | after.keys(), key=lambda key: (not key.startswith("dev."), key))
    for key in own:
        old, new = before.get(key), after.get(key)
        if old != new:
            yield f"{word} {key} {_short(old)} -> {_short(new)}"


def _short(text: str | None) -> str:
    if text is None:
        return "none"
    return text if len(text) <= 40 else f"{text[:19]}…{text[-12:]}"
